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

from unittest import mock

import ddt

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume import configuration
from cinder.volume import driver as volume_driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import driver
from cinder.volume.drivers.solidfire_template_cache.element import redaction
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import service
from cinder.volume.drivers.solidfire_template_cache import stock

# What is overridden, with arguments.
OVERRIDES = (
    ('do_setup', (mock.sentinel.context,)),
    ('get_volume_stats', (True,)),
    ('clone_image', (1, 2, 3, 4, 5)),
    ('manage_existing_get_size', (1, {'source-id': 7})),
    ('manage_existing', (1, {'source-id': 7})),
    ('_get_sf_account_name', ('project',)),
    ('_build_endpoint_info', ()),
    ('_build_repl_endpoint_info', ()),
    ('_issue_api_request', ('GetLimits', {}, '8.0')),
)


@ddt.ddt
class SolidFireDriverTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.LogCapture())
        self.stock_methods = {
            name: self.mock_object(solidfire.SolidFireDriver, name,
                                   return_value={'passwd': 'secret'})
            for name, _args in OVERRIDES}
        self.mock_object(solidfire.SolidFireDriver,
                         '_create_cluster_reference', return_value={})
        self.mock_object(solidfire.SolidFireDriver, '_update_cluster_status')
        self.override_config('sf_allow_template_caching', True, group='sf')
        self.driver = driver.SolidFireDriver(
            configuration=configuration.Configuration(
                volume_driver.volume_opts + san.san_opts, config_group='sf'))
        self.services = self.driver._template_services = (
            mock.create_autospec(service.CacheServices, instance=True))
        self.service = mock.create_autospec(
            service.CacheService, instance=True, housekeeping_runner=mock.Mock(
                spec_set=['trigger']))
        self.services.active.return_value = self.service
        self.backend = self.driver._stock_backend = mock.create_autospec(
            stock.StockBackend, instance=True)

    def override_config(self, name, value, group=None):
        configuration.Configuration(options.template_cache_opts,
                                    config_group=group)
        super().override_config(name, value, group=group)

    def clone_image(self):
        return self.driver.clone_image(
            mock.sentinel.context, fixtures.new_volume(), (None, None),
            fixtures.image_metadata(), mock.sentinel.image_service)

    @ddt.data(*OVERRIDES)
    @ddt.unpack
    def test_caching_off_is_the_stock_driver(self, name, args):
        self.override_config('sf_allow_template_caching', False, group='sf')
        self.stock_methods[name].reset_mock()
        result = getattr(self.driver, name)(*args)
        self.stock_methods[name].assert_called_once_with(*args)
        if name != 'do_setup':
            self.assertIs(self.stock_methods[name].return_value, result)
            self.assertIs(dict, type(result))
        self.assertEqual([], self.services.method_calls)
        self.assertEqual([], self.backend.method_calls)

    def test_every_override_is_known(self):
        overridden = {
            name for name, value in vars(driver.SolidFireDriver).items()
            if callable(value) and name != '__init__' and
            name in dir(solidfire.SolidFireDriver)}
        self.assertEqual({name for name, _args in OVERRIDES}, overridden)

    def test_several_hosts_may_use_it(self):
        self.assertIs(True, driver.SolidFireDriver.SUPPORTS_ACTIVE_ACTIVE)

    def test_get_driver_options(self):
        found = driver.SolidFireDriver.get_driver_options()
        for option in (options.template_cache_opts +
                       solidfire.SolidFireDriver.get_driver_options()):
            self.assertIn(option, found)

    def test_do_setup(self):
        self.driver.do_setup(mock.sentinel.context)
        self.stock_methods['do_setup'].assert_called_once_with(
            mock.sentinel.context)
        self.services.check_setup.assert_called_once_with()

    @ddt.data((True, 100, 1), (False, 100, 0), (True, 0, 0))
    @ddt.unpack
    def test_get_volume_stats_triggers_housekeeping(self, refresh, total,
                                                    triggered):
        self.stock_methods['get_volume_stats'].return_value = {
            'total_capacity_gb': total}
        self.assertEqual({'total_capacity_gb': total},
                         self.driver.get_volume_stats(refresh))
        self.assertEqual(
            triggered, self.service.housekeeping_runner.trigger.call_count)

    def test_clone_image(self):
        self.service.clone_image.return_value = ({'provider_id': '1'}, True)
        self.assertEqual(({'provider_id': '1'}, True), self.clone_image())
        self.assertEqual([], self.log.warnings)

    @ddt.data(exceptions.TemplateCacheError(reason='no such luck'),
              KeyError('no such luck'))
    def test_clone_image_falls_back(self, failure):
        self.service.clone_image.side_effect = failure
        self.assertEqual((None, False), self.clone_image())
        self.log.pop_warning('falls back', fixtures.image().id,
                             type(failure).__name__, 'no such luck')
        self.log.assert_no_exception_appended()

    @ddt.data(None, {}, {'id': 5}, [], 'image')
    def test_clone_image_survives_any_metadata(self, metadata):
        self.services.active.side_effect = KeyError('uuid')
        self.assertEqual((None, False), self.driver.clone_image(
            mock.sentinel.context, fixtures.new_volume(), None, metadata,
            None))

    @ddt.data('manage_existing', 'manage_existing_get_size')
    def test_manage_existing_of_a_template(self, method):
        self.service.refuse_template.side_effect = (
            exceptions.TemplateCacheError(reason='a template'))
        self.assertRaises(exceptions.TemplateCacheError,
                          getattr(self.driver, method), mock.sentinel.volume,
                          {'source-id': 7})
        self.stock_methods[method].assert_not_called()
        self.service.refuse_template.side_effect = None
        getattr(self.driver, method)(mock.sentinel.volume, {'source-id': 7})
        self.stock_methods[method].assert_called_once_with(
            mock.sentinel.volume, {'source-id': 7})

    @ddt.data(True, False)
    def test_get_sf_account_name(self, shared):
        self.backend.is_shared_account.return_value = shared
        self.stock_methods['_get_sf_account_name'].return_value = 'host-x'
        self.assertEqual('x' if shared else 'host-x',
                         self.driver._get_sf_account_name('x'))

    @ddt.data('_build_endpoint_info', '_build_repl_endpoint_info')
    def test_endpoints_do_not_show_their_passwords(self, method):
        found = getattr(self.driver, method)()
        self.assertEqual({'passwd': 'secret'}, found)
        self.assertIsInstance(found, redaction.RedactedDict)

    def test_issue_api_request(self):
        result = self.driver._issue_api_request('GetLimits', {}, timeout=7)
        self.backend.call_api.assert_called_once_with('GetLimits', {},
                                                      timeout=7)
        self.assertIs(self.backend.call_api.return_value, result)
        self.stock_methods['_issue_api_request'].assert_not_called()
