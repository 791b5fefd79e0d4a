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
"""Configuration options."""

from importlib import metadata

import ddt
from oslo_config import cfg

from cinder import exception
from cinder.tests.unit import test
from cinder.volume import configuration
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import options

DEFAULTS = {
    'sf_allow_template_caching': False,
    'sf_template_account_name': 'openstack-vtemplate',
    'sf_template_wait_timeout': 1800,
    'sf_template_max_count': 200,
    'sf_template_max_replicas': 32,
    'sf_template_max_gib': 0,
    'sf_template_idle_days': 30,
    'sf_template_min_free_percent': 10,
}
NUMBERS = sorted(name for name, value in DEFAULTS.items()
                 if type(value) is int)


@ddt.ddt
class OptionsTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = configuration.Configuration(options.template_cache_opts,
                                                config_group='a_backend')

    def configure(self, name, value):
        self.override_config(name, value, group='a_backend')
        return getattr(self.conf, name)

    def test_names_and_defaults(self):
        self.assertEqual(DEFAULTS, {
            option.name: getattr(self.conf, option.name)
            for option in options.template_cache_opts})

    @ddt.data(*NUMBERS)
    def test_number(self, name):
        for value in (0, 1, 100):
            self.assertEqual(value, self.configure(name, value))
        self.assertRaises(ValueError, self.configure, name, -1)
        [option] = [each for each in options.template_cache_opts
                    if each.name == name]
        self.assertRegex(option.help, r'Set to 0 (to|for) ')

    def test_every_option_has_help(self):
        for option in options.template_cache_opts:
            self.assertRegex(option.help, r'(?s)^[A-Z].{80,}\.$')

    def test_percentage_and_account_name_are_limited(self):
        self.assertRaises(ValueError, self.configure,
                          'sf_template_min_free_percent', 101)
        name = 'sf_template_account_name'
        self.assertEqual('a' * 64, self.configure(name, 'a' * 64))
        self.assertRaises(ValueError, self.configure, name, 'a' * 65)

    def test_list_opts(self):
        self.assertEqual(
            [(configuration.SHARED_CONF_GROUP, options.template_cache_opts)],
            options.list_opts())
        # They conflict with none of the standard driver's.
        conf = cfg.ConfigOpts()
        conf.register_opts(solidfire.sf_opts)
        for _group, opts in options.list_opts():
            self.assertTrue(all(conf.register_opt(opt) for opt in opts))

    def test_list_opts_is_an_entry_point(self):
        [entry] = metadata.entry_points(
            group='oslo.config.opts',
            name='cinder.volume.drivers.solidfire_template_cache')
        self.assertIs(options.list_opts, entry.load())


@ddt.ddt
class CheckAccountNameTestCase(test.TestCase):

    @ddt.data(('openstack-vtemplate', None), ('a', None), ('A_b-1.x', None),
              ('a' * 64, None), ('templates', 'cloud1-templates'))
    @ddt.unpack
    def test_check_account_name_valid(self, name, full_name):
        options.check_account_name(name, full_name)

    # A cluster that refuses the name does so after each download.
    @ddt.data(('', None), (' ', None), ('two words', None), ('a\n', None),
              ('\u00e9', None), ('a/b', None), ('a' * 65, None),
              # The prefix does not make an empty name valid.
              ('', 'cloud1-'), ('templates', 'cloud 1-templates'),
              ('a' * 60, 'cloud1-' + 'a' * 60))
    @ddt.unpack
    def test_check_account_name_invalid(self, name, full_name):
        exc = self.assertRaises(exception.InvalidConfigurationValue,
                                options.check_account_name, name, full_name)
        for text in ('sf_template_account_name', 'sf_account_prefix',
                     '"%s"' % (full_name or name)):
            self.assertIn(text, str(exc))
