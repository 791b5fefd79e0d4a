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

"""Is every past fault either tested or excused?"""

import re
import unittest

from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    rows)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_bounds)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_cleaning)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_cloning)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_filling)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_finding)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_image_data)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_model_update)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_sharing)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    test_single_flight)

MODULES = (test_bounds, test_cleaning, test_cloning, test_filling,
           test_finding, test_image_data, test_model_update, test_sharing,
           test_single_flight)
LAST_OF_A3 = 28


def names_of_tests():
    loader = unittest.TestLoader()
    for module in MODULES:
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, unittest.TestCase):
                yield from loader.getTestCaseNames(item)


def keys_of(name):
    return [key for key in rows.TESTED
            if name.startswith('test_%s_' % key)]


class RowsTestCase(unittest.TestCase):

    def test_rows_each_test_is_of_one_row(self):
        names = list(names_of_tests())
        self.assertGreater(len(names), len(rows.TESTED))
        self.assertEqual([], [name for name in names
                              if len(keys_of(name)) != 1])

    def test_rows_each_row_has_a_test_or_a_reason(self):
        tested = {key for name in names_of_tests() for key in keys_of(name)}
        self.assertEqual(set(rows.TESTED), tested)
        self.assertEqual([], [key for key, reason in rows.LATER.items()
                              if not reason])

    def test_rows_no_number_is_missing(self):
        self.assertEqual(
            {'a3_%d' % number for number in range(1, LAST_OF_A3 + 1)},
            {key for key in {**rows.TESTED, **rows.LATER}
             if key.startswith('a3_')})

    def test_rows_no_commit_or_bug_stands_in_two_rows(self):
        seen = {}
        for table in (rows.TESTED, rows.LATER):
            for key, text in table.items():
                for known in re.findall(r'\b[0-9a-f]{9}\b|\b\d{7}\b',
                                        key.partition('_')[2] + ' ' + text):
                    self.assertEqual(key, seen.setdefault(known, key))
