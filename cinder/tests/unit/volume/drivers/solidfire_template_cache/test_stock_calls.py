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

"""The stock driver's own calls: as it makes them, but with no secret told."""

from unittest import mock

import ddt
import requests

from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers import solidfire

SECRET = clients.SECRET


class StockCallsTestCase(base.DriverTestCase):
    """On one cluster, with no real waiting between tries."""

    def setUp(self):
        super().setUp()
        self.naps = []
        time = mock.Mock(spec_set=['sleep'])
        time.sleep.side_effect = self.naps.append
        self.mock_object(solidfire, 'time', time)

    def new_cluster(self, **arguments):
        # Of a kind that is in no text by chance.
        return super().new_cluster(password=clients.PASSWORD, **arguments)


@ddt.ddt
class CallTestCase(StockCallsTestCase):

    def setUp(self):
        super().setUp()
        self.stock = self.new_driver(
            driver_class=solidfire.SolidFireDriver)
        for driver in (self.driver, self.stock):
            driver.do_setup(self.context)
        self.sim.reset_calls()

    def outcome(self, driver, *args, **kwargs):
        """Return what a call gives or raises, its naps, and its tries."""
        self.naps.clear()
        self.sim.reset_calls()
        try:
            result = driver._issue_api_request(*args, **kwargs)
        except Exception as exc:
            result = type(exc)
        return result, list(self.naps), self.sim.calls.methods

    def assert_same(self, fault, *args):
        outcomes = []
        for driver in (self.stock, self.driver):
            self.sim.faults.clear()
            self.sim.faults.add(method=args[0], **fault)
            outcomes.append(self.outcome(driver, *args))
        self.assertEqual(*outcomes)
        return outcomes[0]

    def test_call_that_succeeds(self):
        result, naps, methods = self.assert_same({'delay': 0}, 'GetLimits',
                                                 {})
        self.assertIn('cloneJobsPerVolumeMax', result['result'])
        self.assertEqual(([], ['GetLimits']), (naps, methods))

    @ddt.data(*solidfire.SolidFireDriver.retryable_errors)
    def test_error_that_passes_is_repeated(self, name):
        result, naps, _methods = self.assert_same(
            {'error': name, 'times': 4}, 'GetLimits', {})
        self.assertIn('result', result)
        self.assertEqual([1, 2, 4, 8], naps)

    @ddt.data({'error': 'xNotPrimary'}, {'drop': True},
              {'drop': True, 'when': 'after'})
    def test_error_that_lasts_is_repeated_as_often(self, fault):
        result, naps, methods = self.assert_same(
            dict(fault, times=None), 'GetLimits', {})
        self.assertIs(solidfire.SolidFireAPIException, result)
        self.assertEqual(5, len(naps))
        self.assertEqual(['GetLimits'] * 5, methods)

    def test_error_of_pairing_has_its_own_class(self):
        result, naps, _methods = self.assert_same(
            {'error': 'xInvalidPairingKey'}, 'CompleteClusterPairing',
            {'clusterPairingKey': SECRET}, '8.0')
        self.assertIs(solidfire.SolidFireReplicationPairingError, result)
        self.assertEqual([], naps)

    def test_other_error_is_raised_at_once(self):
        result, naps, methods = self.assert_same(
            {'error': 'xVolumeIDDoesNotExist'}, 'DeleteVolume',
            {'volumeID': 1})
        self.assertIs(solidfire.SolidFireAPIException, result)
        self.assertEqual(([], ['DeleteVolume']), (naps, methods))

    @ddt.data({'http_status': 503, 'body': '<html>'},
              {'http_status': 401, 'body': ''},
              {'http_status': 200, 'body': '{"result": {'})
    def test_reply_that_is_not_json(self, fault):
        result, naps, _methods = self.assert_same(
            dict(fault, times=None), 'GetLimits', {})
        self.assertIs(requests.exceptions.JSONDecodeError, result)
        self.assertEqual([], naps)

    def test_call_without_parameters(self):
        result, _naps, _methods = self.assert_same(
            {'delay': 0}, 'GetLimits', None)
        self.assertIn('result', result)

    @ddt.data({'error': 'xUnknownAccount', 'message': 'no such account'},
              {'error': 'xNew', 'message': 'never heard of'})
    def test_error_tells_name_and_message(self, fault):
        # The stock driver looks for names in it.
        for driver in (self.stock, self.driver):
            self.sim.faults.add(method='GetAccountByName', **fault)
            exc = self.assertRaises(
                solidfire.SolidFireAPIException, driver._issue_api_request,
                'GetAccountByName', {'username': 'x'})
            self.assertIn(fault['error'], exc.msg)
            self.assertIn(fault['message'], exc.msg)

    def test_version_and_endpoint_are_those_asked_for(self):
        far = self.new_cluster()
        other = self.new_driver(far)
        endpoint = other._build_endpoint_info()
        # Each has an authority of its own, and one file is configured.
        self.override_config(
            'driver_ssl_cert_path', far.ca_file,
            group=self.driver.configuration.config_group)
        far.reset_calls()
        self.driver._issue_api_request('ListVolumes', {}, '8.0', endpoint)
        self.assertEqual([('ListVolumes', '8.0')], [
            (call.method, call.version) for call in far.calls])
        self.assertEqual([], self.sim.calls.methods)

    @ddt.data((None, 30), (7, 7))
    @ddt.unpack
    def test_time_out_is_the_one_asked_for(self, timeout, expected):
        with mock.patch.object(requests, 'post', autospec=True,
                               side_effect=requests.post) as post:
            self.driver._issue_api_request('GetLimits', {}, timeout=timeout)
        self.assertEqual(expected, post.call_args.kwargs['timeout'])

    def test_time_out_of_an_answer_is_not_repeated(self):
        with mock.patch.object(
                requests, 'post', autospec=True,
                side_effect=requests.exceptions.ReadTimeout()):
            outcomes = [self.outcome(driver, 'GetLimits', {})
                        for driver in (self.stock, self.driver)]
        self.assertEqual(*outcomes)
        self.assertEqual((requests.exceptions.ReadTimeout, [], []),
                         outcomes[0])


class SecretsTestCase(StockCallsTestCase):

    def setUp(self):
        super().setUp()
        self.log = clients.Log(self, '')

    def assert_clean(self, *texts):
        texts += (self.log.text,)
        for text in texts:
            self.assertNotIn(SECRET, text)
            self.assertNotIn(clients.PASSWORD, text)

    def add_account(self):
        return self.driver._issue_api_request('AddAccount', {
            'username': 'tenant', 'initiatorSecret': SECRET,
            'targetSecret': SECRET})

    def test_start_prints_no_secret(self):
        # The stock driver prints the cluster that it found, and how to
        # reach it.
        self.new_driver().do_setup(self.context)
        self.assertIn('Active cluster', self.log.text)
        self.assert_clean()

    def test_secrets_reach_the_cluster_and_come_back(self):
        self.add_account()
        reply = self.driver._issue_api_request('GetAccountByName',
                                               {'username': 'tenant'})
        self.assertEqual(SECRET, reply['result']['account']['targetSecret'])
        self.assertIn("'targetSecret': '***'", repr(reply))
        self.assert_clean(repr(reply))

    def test_repeats_print_no_secret(self):
        self.sim.faults.add(method='AddAccount', error='xNotPrimary',
                            times=2)
        self.add_account()
        # The stock driver prints what it repeats.
        self.assertIn('Retrying', self.log.text)
        self.assertIn('AddAccount', self.log.text)
        self.assert_clean()

    def test_error_that_quotes_secrets(self):
        self.sim.faults.add(
            method='AddAccount', error='xInvalidParameter',
            message='%s and %s are bad' % (SECRET, clients.PASSWORD))
        exc = self.assertRaises(solidfire.SolidFireAPIException,
                                self.add_account)
        self.assertIn('*** and *** are bad', exc.msg)
        self.assert_clean(exc.msg, repr(exc))
