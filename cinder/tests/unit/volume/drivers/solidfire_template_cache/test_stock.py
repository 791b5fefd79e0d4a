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
from oslo_utils import units
import requests

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume import configuration
from cinder.volume import driver as volume_driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import transport
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import stock

SECRET = 'PlainSecret1'

ENDPOINT = {'mvip': '192.0.2.1', 'login': 'admin', 'passwd': SECRET,
            'port': 443, 'url': 'https://192.0.2.1:443', 'svip': None}
REMOTE = dict(ENDPOINT, mvip='192.0.2.9', url='https://192.0.2.9:443')


class StockBackendTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        conf = configuration.Configuration(
            volume_driver.volume_opts + san.san_opts + solidfire.sf_opts +
            options.template_cache_opts, config_group='sf')
        self.override_config('san_ip', ENDPOINT['mvip'], group='sf')
        self.driver = mock.create_autospec(
            solidfire.SolidFireDriver, instance=True, configuration=conf,
            verify_ssl=True, replication_enabled=False, db=mock.Mock(
                spec_set=['volume_glance_metadata_bulk_create']),
            cluster_pairs=[{'endpoint': REMOTE}], active_cluster={
                'uuid': 'cluster-1', 'uniqueID': 'ab12', 'endpoint': ENDPOINT,
                'svip': '192.0.2.2:3260'})
        self.driver._build_connection_info.return_value = {
            'provider_id': '11 3 cluster-1'}
        self.driver._retrieve_replication_settings.return_value = {
            'rep_type': 'Sync'}
        self.backend = stock.StockBackend(self.driver)
        self.backend._clock = fixtures.ManualClock()
        self.volume = fixtures.new_volume(size=2)
        self.account = fixtures.account()
        self.clone = fixtures.element_volume()


@ddt.ddt
class VolumeTestCase(StockBackendTestCase):

    def finalize(self):
        return self.backend.finalize(
            mock.sentinel.context, 'cluster-1', self.volume, self.account,
            self.clone, True)

    def fail_over(self, *_args, **_kwargs):
        self.driver.active_cluster = {'uuid': 'cluster-2'}
        return mock.DEFAULT

    @ddt.data(None, {'minIOPS': 100})
    def test_clone_spec(self, qos):
        self.driver._get_default_volume_params.return_value = {
            'name': 'UUID-1', 'totalSize': 2 * units.Gi, 'enable512e': True,
            'attributes': {'uuid': '1'}, 'qos': qos}
        self.assertEqual(
            spec.CloneSpec(name='UUID-1', account_id=self.account.id,
                           size=2 * units.Gi, enable_512e=True,
                           attributes={'uuid': '1'}, qos=qos or {}),
            self.backend.clone_spec(self.volume, self.account))
        self.driver._get_default_volume_params.assert_called_once_with(
            self.volume, self.account.to_stock(), is_clone=True)

    def test_volume_name(self):
        self.override_config('sf_volume_prefix', 'cloud-', group='sf')
        self.assertEqual('cloud-' + self.volume.id,
                         self.backend.volume_name(self.volume))

    def test_finalize(self):
        self.assertEqual({'provider_id': '11 3 cluster-1'}, self.finalize())
        self.driver._build_connection_info.assert_called_once_with(
            self.account.to_stock(), self.clone.to_stock())
        self.driver._replicate_volume.assert_not_called()
        record = self.driver.db.volume_glance_metadata_bulk_create
        record.assert_called_once_with(
            mock.sentinel.context, self.volume.id,
            {'signature_verified': True})

    # After a failover the number is that of another volume.
    @ddt.data('_build_connection_info', '_replicate_volume')
    def test_finalize_after_a_failover(self, method):
        self.driver.replication_enabled = True
        getattr(self.driver, method).side_effect = self.fail_over
        self.assertRaises(exceptions.TemplateCacheError, self.finalize)

    def test_finalize_replicated(self):
        self.driver.replication_enabled = True
        self.driver._replicate_volume.return_value = {
            'replication_status': 'enabled'}
        self.assertEqual({'provider_id': '11 3 cluster-1',
                          'replication_status': 'enabled'}, self.finalize())
        self.driver._replicate_volume.assert_called_once_with(
            self.volume, self.driver._get_default_volume_params.return_value,
            self.account.to_stock(), {'rep_type': 'Sync'})

    def test_finalize_type_is_not_replicated(self):
        self.driver.replication_enabled = True
        self.driver._retrieve_replication_settings.return_value = {}
        self.finalize()
        self.driver._replicate_volume.assert_not_called()

    @ddt.data(None, errors.NotSent('ListVolumes', 'Refused', 'far away'))
    def test_finalize_removes_the_volume_of_a_failed_pairing(self, failure):
        self.driver.replication_enabled = True
        self.driver._replicate_volume.side_effect = (
            solidfire.SolidFireAPIException('unpaired'))
        remote = mock.create_autospec(client.ElementClient, instance=True)
        remote.remove_volumes_named.side_effect = failure
        with mock.patch.object(client, 'ElementClient', autospec=True,
                               return_value=remote) as new_client:
            exc = self.assertRaises(solidfire.SolidFireAPIException,
                                    self.finalize)
        self.assertEqual(REMOTE['url'], new_client.call_args.args[0].url)
        remote.remove_volumes_named.assert_called_once_with(self.clone.name)
        remote.close.assert_called_once_with()
        self.assertEqual(bool(failure), 'far away' in ''.join(
            getattr(exc, '__notes__', ())))


@ddt.ddt
class EndpointTestCase(StockBackendTestCase):

    @ddt.data((True, None, True), (True, '/ca.pem', '/ca.pem'),
              (False, '/ca.pem', False))
    @ddt.unpack
    def test_endpoint_verifies_as_configured(self, verify, path, expected):
        self.driver.verify_ssl = verify
        self.override_config('driver_ssl_cert_path', path, group='sf')
        self.assertEqual(expected,
                         self.backend.active_cluster().endpoint.verify)

    def test_endpoint_has_the_configured_timeout(self):
        # Bug 1898587.
        self.override_config('sf_api_request_timeout', 77, group='sf')
        self.assertEqual(77, self.backend.active_cluster().endpoint.timeout)

    def test_endpoint_of_the_replication_target(self):
        self.assertEqual(transport.Endpoint(
            url=ENDPOINT['url'], login='admin', password=SECRET),
            self.backend.active_cluster().endpoint)
        self.driver.active_cluster['endpoint'] = REMOTE
        endpoint = self.backend.active_cluster().endpoint
        self.assertIn('replication_device', endpoint.address_options)
        self.assertIn('replication_device', endpoint.login_options)

    @ddt.data(('hostname', 'openstack-vtemplate', True),
              ('hostname', 'a-project', False),
              ('cloud', 'openstack-vtemplate', False))
    @ddt.unpack
    def test_is_shared_account(self, prefix, project_id, expected):
        self.override_config('sf_account_prefix', prefix, group='sf')
        self.assertEqual(expected,
                         self.backend.is_shared_account(project_id))


@ddt.ddt
class CallApiTestCase(StockBackendTestCase):

    def setUp(self):
        super().setUp()
        self.send = self.mock_object(transport.Transport, 'call_raw',
                                     autospec=True)
        self.send.return_value = {'result': {'targetSecret': SECRET}}

    def call(self, *args, **kwargs):
        return self.backend.call_api('AddAccount',
                                     {'initiatorSecret': SECRET}, *args,
                                     **kwargs)

    def test_call_api(self):
        reply = self.call('8.0', REMOTE, 7)
        self.assertEqual({'result': {'targetSecret': SECRET}}, reply)
        sender, method, params, version, timeout = self.send.call_args.args
        self.assertEqual(REMOTE['url'], sender._endpoint.url)
        self.assertEqual(
            ('AddAccount', {'initiatorSecret': SECRET}, '8.0', 7),
            (method, params, version, timeout))
        self.assertNotIn(SECRET, repr(params))
        self.backend.call_api('GetLimits', None)
        self.assertEqual({}, self.send.call_args.args[2])

    def test_call_api_keeps_connections_by_endpoint(self):
        close = self.mock_object(transport.Transport, 'close', autospec=True)
        for endpoint in (None, REMOTE, None, ENDPOINT, REMOTE):
            self.call(endpoint=endpoint)
        senders = [call.args[0] for call in self.send.call_args_list]
        first, second = senders[:2]
        self.assertEqual([first, second, first, first, second], senders)
        self.assertIsNot(first, second)
        self.backend.close()
        self.assertEqual({first, second},
                         {call.args[0] for call in close.call_args_list})
        self.call()
        self.assertNotIn(self.send.call_args.args[0], (first, second))

    @ddt.data(*solidfire.SolidFireDriver.retryable_errors)
    def test_call_api_retries_what_the_stock_driver_retries(self, name):
        self.driver.retryable_errors = (
            solidfire.SolidFireDriver.retryable_errors)
        self.send.side_effect = [{'error': {'name': name}}] * 4 + [{}]
        self.assertEqual({}, self.call())
        self.assertEqual([1, 2, 4, 8], self.backend._clock.slept)

    @ddt.data(({'name': 'xUnknownAccount', 'message': 'no such account'},
               solidfire.SolidFireAPIException,
               ('xUnknownAccount', 'no such account')),
              ({'name': 'xInvalidPairingKey', 'message': ''},
               solidfire.SolidFireReplicationPairingError, ()))
    @ddt.unpack
    def test_call_api_other_error_is_final(self, error, expected, texts):
        self.driver.retryable_errors = []
        self.send.return_value = {'error': error}
        exc = self.assertRaises(expected, self.call)
        # The stock driver looks for names in the text.
        for text in texts:
            self.assertIn(text, exc.msg)
        self.assertEqual(1, self.send.call_count)

    # The stock driver catches some of these, and has statistics depend on
    # them (bug 1896112).
    @ddt.data(
        (errors.NotSent, errors.CONNECT_TIMEOUT, 5,
         solidfire.SolidFireAPIException),
        (errors.ReplyLost, errors.CONNECTION_ERROR, 5,
         solidfire.SolidFireAPIException),
        (errors.ReplyLost, errors.TLS_ERROR, 5,
         solidfire.SolidFireAPIException),
        (errors.AccessDenied, errors.TLS_ERROR, 1,
         solidfire.SolidFireAPIException),
        (errors.ReplyLost, errors.READ_TIMEOUT, 1,
         requests.exceptions.ReadTimeout),
        (errors.AccessDenied, 'HTTP401', 1,
         requests.exceptions.InvalidJSONError),
        (errors.ReplyLost, 'HTTP503', 1,
         requests.exceptions.InvalidJSONError))
    @ddt.unpack
    def test_call_api_fails_as_the_stock_driver(self, error_class, name,
                                                attempts, expected):
        self.send.side_effect = error_class('AddAccount', name, 'the cause')
        exc = self.assertRaises(Exception, self.call)  # noqa: H202
        self.assertIs(expected, type(exc))
        self.assertIn('the cause', str(exc))
        self.assertEqual(attempts, self.send.call_count)
