#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Every API method of every path fails, in every way that there is.

The cases are made from the tables of :mod:`fault_kinds`: each way to fail and
each name of the cluster's errors strikes each method, before its effect and
after it, on the shortest path that calls the method. On the other paths the
ways take turns; with TEMPLATE_CACHE_SOAK set, all strike all methods there.
"""

import os

from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import paths
from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors

FULL_CROSS = bool(os.environ.get('TEMPLATE_CACHE_SOAK'))
"""Whether all is to strike each method on all paths."""


class ErrorNamesTestCase(test.TestCase):
    """The table is what the driver goes by."""

    def test_each_name_is_of_the_expected_kind(self):
        for kind, names in fault_kinds.ELEMENT_ERRORS.items():
            for name in names:
                error = errors.from_reply('ListVolumes', {'name': name}, str)
                self.assertIs(kind, error.kind, name)
                self.assertEqual(name, error.name)

    def test_each_name_that_the_driver_knows_is_in_the_table(self):
        known = {name for names in errors._KINDS.values() for name in names}
        known.update(errors._NOT_FOUND, errors.FEW_ATTEMPTS)
        known.update(name for _method, name in errors._KIND_OF_METHOD)
        self.assertEqual(set(), known - set(fault_kinds.ERRORS))

    def test_each_method_of_the_client_is_struck(self):
        struck = {method for path in NamedMatrix.__subclasses__()
                  for method in path.NAMED}
        # A clone is only cancelled once something has failed already: the
        # clean-up of the walk.
        self.assertEqual(set(element._METHODS) - {'CancelClone'}, struck)


BUSY = fault_kinds.ELEMENT_ERRORS[errors.Kind.BUSY]


class Matrix(object):
    """All ways to fail; a path derives from it."""

    # The clean-up of templates may meet what lasts, too, and tell of it.
    FAULTS = 2

    def survives(self, fault, method):
        # A place for a clone is waited for; nothing else can be busy.
        return fault.survived or (
            fault.rule.get('error') in BUSY and method == 'CloneVolume')

    def test_path_by_each_kind_in_turn(self):
        kinds = {**fault_kinds.KINDS, **fault_kinds.FULL}
        if FULL_CROSS:
            self.walk_methods(kinds, None)
        else:
            self.walk_in_turn(kinds)

    if FULL_CROSS:
        # Else the names strike on shorter paths only.
        def test_path_by_each_error_name(self):
            self.walk_methods(fault_kinds.ERRORS, None)


class NamedMatrix(Matrix):
    """A path with methods that no shorter one calls."""

    NAMED = ()

    def test_each_method_by_each_kind(self):
        self.walk_methods({**fault_kinds.KINDS, **fault_kinds.FULL},
                          self.NAMED)

    def test_each_method_by_each_error_name(self):
        self.walk_methods(fault_kinds.ERRORS, self.NAMED)


class FirstRequestMatrixTestCase(NamedMatrix, paths.FirstRequest):
    NAMED = ('AddAccount', 'CreateVolume', 'GetClusterCapacity')


class WarmHitMatrixTestCase(NamedMatrix, paths.WarmHit):
    NAMED = ('CloneVolume', 'GetAsyncResult')


class ColdHitMatrixTestCase(NamedMatrix, paths.ColdHit):
    NAMED = ('GetAccountByName', 'GetDefaultQoS', 'GetLimits', 'ListVolumes')


class RefillMatrixTestCase(Matrix, paths.Refill):
    pass


class TagEditMatrixTestCase(NamedMatrix, paths.TagEdit):
    NAMED = ('ModifyVolume',)


class OwnQosMatrixTestCase(NamedMatrix, paths.OwnQos):
    NAMED = ('ModifyVolume',)


class CrashLeftoversMatrixTestCase(NamedMatrix, paths.CrashLeftovers):
    NAMED = ('DeleteVolume', 'ListSyncJobs', 'PurgeDeletedVolume')


class RescheduledMatrixTestCase(Matrix, paths.Rescheduled):
    pass


class VanishedTemplateMatrixTestCase(Matrix, paths.VanishedTemplate):
    pass
