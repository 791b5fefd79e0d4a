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

"""What an operator finds in the log, and what a start refuses."""

import traceback

import ddt
import requests

from cinder import coordination
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import clock

DATA = b'bootable' * 500


@ddt.ddt
class DiagnosticsTestCase(base.FunctionalTestCase):

    CLONE_SECONDS = 0

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)

    def new_clock(self):
        return fixtures.ManualClock()

    def test_start_calls_what_the_stock_driver_calls(self):
        # No account is created, or looked for, before there is a request.
        seen = []
        for driver_class in type(self.driver), solidfire.SolidFireDriver:
            self.sim.reset_calls()
            self.new_driver(driver_class=driver_class).do_setup(
                self.context)
            seen.append(self.sim.calls.methods)
        self.assertEqual(*seen)

    def test_caching_off_is_the_stock_driver(self):
        self.assert_served(self.clone(self.image), DATA)
        template = self.templates()[0].volume_id
        self.mock_object(coordination.Coordinator, 'get_lock')
        seen = []
        for start in (lambda: self.new_driver(
                sf_allow_template_caching=False), self.stock_driver):
            self.sim.reset_calls()
            driver = start()
            self.log.clear()
            seen.append([
                self.clone(self.image, driver=driver),
                driver.get_volume_stats(refresh=True),
                driver.manage_existing_get_size(
                    self.new_volume(), {'source-id': template}),
                [(call.method, call.params) for call in self.sim.calls]])
            self.assertEqual([], self.log.messages)
        self.assertEqual(*seen)
        self.assertEqual((None, False), seen[0][0])
        coordination.Coordinator.get_lock.assert_not_called()

    def wrong_options(self, kind):
        return {
            'login': {'san_password': 'wrong'},
            'certificate': {'driver_ssl_cert_path':
                            self.new_cluster().ca_file},
            'no such file': {'driver_ssl_cert_path': '/no/such/file'},
            'port': {'sf_api_port': 1},
            'name': {'san_ip': 'no-such-host.invalid'}}[kind]

    @ddt.data(('login', '401', 'san_login, san_password'),
              ('certificate', 'certificate', 'driver_ssl_cert_path'),
              ('no such file', '/no/such/file', 'driver_ssl_cert_path'),
              ('port', 'refused', 'san_ip, sf_api_port'),
              ('name', 'no-such-host.invalid', 'san_ip, sf_api_port'))
    @ddt.unpack
    def test_start_names_the_cause(self, kind, cause, options):
        warnings_at_pauses = []
        self.mock_object(
            clock.SystemClock, 'sleep',
            lambda _clock, seconds: warnings_at_pauses.append(
                list(self.log.warnings)))
        wrong = self.wrong_options(kind)
        # The page in place of a reply is no API error to the stock driver.
        exc = self.assertRaises(
            requests.exceptions.InvalidJSONError if kind == 'login' else
            solidfire.SolidFireAPIException, self.new_driver, **wrong)
        warning = self.log.pop_warning(cause, options, 'https://%s:%s' % (
            wrong.get('san_ip', self.sim.host),
            wrong.get('sf_api_port', self.sim.port)))
        self.assertEqual(1, len(warning.splitlines()))
        # Before the first pause, not after the last.
        for warnings in warnings_at_pauses:
            self.assertEqual([warning], warnings)
        last_line = traceback.format_exception(exc)[-1]
        for text in (cause, options):
            self.assertIn(text, last_line)

    def test_outage_is_logged_once_and_its_end(self):
        self.assert_served(self.clone(self.image), DATA)
        self.driver._stock_backend._clock = self.clock
        self.sim.server.stop()
        for _i in range(2):
            self.assertEqual((None, False), self.clone(self.image))
            self.assertRaises(solidfire.SolidFireAPIException,
                              self.driver.create_volume, self.new_volume())
        outage, *fallbacks = self.log.warnings
        for text in (self.sim.url, 'refused', 'san_ip, sf_api_port'):
            self.assertIn(text, outage)
        self.assertEqual(2, len(fallbacks))
        for fallback in fallbacks:
            self.assertIn('without a template', fallback)
        self.sim.server.start()
        self.log.clear()
        self.assert_served(self.clone(self.image), DATA)
        self.assertEqual(1, len(self.log.about(self.sim.url)))

    def outcome(self, volume, image=None):
        """Return the one line that names a volume and its image."""
        self.log.clear()
        self.clone(image or self.image, volume)
        line, = [line for line in self.log.about(
            volume.id, self.image['id']) if 'Filling' not in line]
        return line

    def test_clone_image_logs_one_line_with_the_outcome(self):
        # Bugs 2127220 and 1959178.
        self.assertIn('(miss)', self.outcome(self.new_volume()))
        self.assertEqual([], self.log.warnings)
        self.assertIn('(hit)', self.outcome(self.new_volume()))
        self.assertIn('(IMAGE_NOT_ACTIVE)', self.outcome(
            self.new_volume(), dict(self.image, status='deactivated')))
        self.assertEqual([], self.log.warnings)
        self.sim.faults.add(method='CloneVolume', job_error='xBroken')
        self.assertIn('xBroken', self.outcome(self.new_volume()))
