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

"""The configuration options and where they can be found."""

from importlib import metadata

import ddt
from oslo_config import cfg

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.volume import configuration
from cinder.volume.drivers import solidfire
from cinder.volume.drivers import solidfire_template_cache as package
from cinder.volume.drivers.solidfire_template_cache import options

DEFAULTS = {
    'sf_allow_template_caching': False,
    'sf_template_account_name': 'openstack-vtemplate',
    'sf_template_wait_timeout': 1800,
    'sf_template_max_count': 200,
    'sf_template_max_gib': 0,
    'sf_template_idle_days': 30,
    'sf_template_min_free_percent': 10,
}
NAMES = set(DEFAULTS)
NUMBERS = sorted(name for name in NAMES
                 if type(DEFAULTS[name]) is int)


@ddt.ddt
class OptionsTestCase(test.TestCase):

    def _configuration(self):
        return configuration.Configuration(options.template_cache_opts,
                                           config_group='a_backend')

    def test_names(self):
        self.assertEqual(NAMES, {
            option.name for option in options.template_cache_opts})

    def test_defaults(self):
        conf = self._configuration()
        self.assertEqual(DEFAULTS, {
            name: getattr(conf, name) for name in NAMES})

    @ddt.data(*NUMBERS)
    def test_number_is_not_negative(self, name):
        conf = self._configuration()
        for value in (0, 1, 100):
            self.override_config(name, value, group='a_backend')
            self.assertEqual(value, getattr(conf, name))
        self.assertRaises(ValueError, self.override_config, name, -1,
                          group='a_backend')

    def test_percentage_is_one_hundred_at_the_most(self):
        self._configuration()
        self.assertRaises(ValueError, self.override_config,
                          'sf_template_min_free_percent', 101,
                          group='a_backend')

    @ddt.data(*NUMBERS)
    def test_help_tells_what_zero_does(self, name):
        [option] = [each for each in options.template_cache_opts
                    if each.name == name]
        self.assertRegex(option.help, r'\b0\b')

    def test_every_option_has_help(self):
        for option in options.template_cache_opts:
            self.assertGreater(len(option.help), 40, option.name)
            self.assertEqual('.', option.help[-1])

    def test_account_name_is_no_longer_than_element_takes(self):
        conf = self._configuration()
        self.override_config('sf_template_account_name', 'a' * 64,
                             group='a_backend')
        self.assertEqual('a' * 64, conf.sf_template_account_name)
        self.assertRaises(ValueError, self.override_config,
                          'sf_template_account_name', 'a' * 65,
                          group='a_backend')

    def test_list_opts(self):
        self.assertEqual(
            [(configuration.SHARED_CONF_GROUP, options.template_cache_opts)],
            options.list_opts())

    def test_list_opts_can_be_registered_beside_the_stock_driver_s(self):
        conf = cfg.ConfigOpts()
        conf.register_opts(solidfire.sf_opts)
        for _group, opts in options.list_opts():
            self.assertTrue(all(conf.register_opt(opt) for opt in opts))

    def test_list_opts_is_an_entry_point(self):
        [entry] = metadata.entry_points(group='oslo.config.opts',
                                        name=package.__name__)
        self.assertIs(options.list_opts, entry.load())


class DriverOptionsTestCase(base.DriverTestCase):

    def test_get_driver_options_has_them_and_the_stock_driver_s(self):
        names = {option.name
                 for option in package.SolidFireDriver.get_driver_options()}
        self.assertEqual(
            NAMES | {option.name for option in
                     solidfire.SolidFireDriver.get_driver_options()}, names)

    def test_driver_that_is_not_configured_has_the_defaults(self):
        driver = self.new_driver()
        cfg.CONF.clear_override('sf_allow_template_caching',
                                group=driver.configuration.config_group)
        self.assertEqual(DEFAULTS, {
            name: getattr(driver.configuration, name) for name in NAMES})
