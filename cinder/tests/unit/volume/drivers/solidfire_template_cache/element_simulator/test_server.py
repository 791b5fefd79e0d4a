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

"""Tests of the HTTPS server, as a client meets it."""

import concurrent.futures
import logging
import os
import threading
import time
import uuid

import ddt
import fixtures
import requests

from cinder.tests.element_simulator import clock
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import server
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class HttpTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.start_simulator()

    def test_certificate_verifies(self):
        for host in ('127.0.0.1', 'localhost'):
            reply = self.session.post(
                f'https://{host}:{self.sim.port}/json-rpc/12.0', timeout=60,
                json={'method': 'GetLimits'})
            self.assertEqual(200, reply.status_code)

    def test_certificate_is_of_no_public_authority(self):
        self.session.verify = True
        self.assertRaises(requests.exceptions.SSLError, self.post, {})

    def test_certificate_of_another_server_does_not_verify(self):
        with server.Server(self.sim.cluster) as other:
            self.session.verify = other.ca_file
            self.assertRaises(requests.exceptions.SSLError, self.post, {})

    @ddt.data(None, ('admin', 'wrong'), ('other', 'solidfire'),
              ('admin', ''))
    def test_credentials_wrong(self, auth):
        self.session.auth = auth
        reply = self.post({'method': 'GetLimits'})
        self.assertEqual(401, reply.status_code)
        self.assertIn('401 Unauthorized', reply.text)
        self.assertIn('text/html', reply.headers['Content-Type'])
        self.assertRaises(ValueError, reply.json)
        self.assertEqual(0, self.sim.calls.count())

    def test_credentials_of_another_kind(self):
        self.session.auth = None
        self.session.headers['Authorization'] = 'Bearer abc'
        self.assertEqual(401, self.post({}).status_code)

    @ddt.data('12.9', '99.0', 'x', '')
    def test_version_unknown(self, version):
        reply = self.post({'method': 'GetLimits'}, version)
        self.assertEqual(404, reply.status_code)
        self.assertIn('Not Found', reply.text)

    @ddt.data('', 'json-rpc', 'json-rpc/12.0/x', 'other/12.0')
    def test_path_unknown(self, path):
        reply = self.session.post(f'{self.sim.url}/{path}', timeout=60)
        self.assertEqual(404, reply.status_code)

    def test_get_is_not_offered(self):
        reply = self.session.get(f'{self.sim.url}/json-rpc/12.0', timeout=60)
        self.assertEqual(405, reply.status_code)

    def test_trailing_slash(self):
        self.assertIn('result', self.post({'method': 'GetLimits'},
                                          '8.0/').json())

    @ddt.data('application/json', 'application/json-rpc', 'json-rpc',
              'text/plain')
    def test_content_type_is_ignored(self, kind):
        reply = self.session.post(
            f'{self.sim.url}/json-rpc/1.0', data='{"method": "GetLimits"}',
            headers={'Content-Type': kind}, timeout=60)
        self.assertIn('result', reply.json())

    @ddt.data(7, 'seven', 0)
    def test_id_is_echoed(self, request_id):
        for method in ('GetLimits', 'Nope'):
            self.assertEqual(request_id, self.post(
                {'method': method, 'id': request_id}).json()['id'])

    def test_id_left_out(self):
        self.assertIsNone(self.post({'method': 'GetLimits'}).json()['id'])

    def test_api_error_has_status_200(self):
        reply = self.post({'method': 'GetAccountByName', 'id': 3,
                           'params': {'username': 'nobody'}})
        self.assertEqual(200, reply.status_code)
        self.assertEqual(
            {'id': 3, 'error': {'code': 500, 'name': 'xUnknownAccount',
                                'message': 'Unknown account nobody'}},
            reply.json())

    @ddt.data(('{', 'xInvalidAPIParameter'), ('[]', 'xInvalidAPIParameter'),
              ('{}', 'xMissingParameter'),
              ('{"method": 3}', 'xMissingParameter'),
              ('{"method": "GetLimits", "params": [1]}',
               'xInvalidAPIParameter'))
    @ddt.unpack
    def test_request_malformed(self, body, name):
        reply = self.session.post(f'{self.sim.url}/json-rpc/1.0', data=body,
                                  timeout=60)
        self.assertEqual(200, reply.status_code)
        self.assertEqual(name, reply.json()['error']['name'])

    def test_unused_parameters_are_told(self):
        answer = self.call('ListAccounts', bogus=1)
        self.assertEqual({'bogus': 1}, answer['unusedParameters'])
        self.assertEqual({'unusedParameters': {'bogus': 1}},
                         answer['warning'])
        self.assertNotIn('unusedParameters', self.call('ListAccounts'))

    def test_defect_of_the_simulator_is_a_server_error(self):
        self.sim.cluster.accounts = None
        reply = self.post({'method': 'ListAccounts'})
        self.assertEqual(500, reply.status_code)
        self.assertIn('text/html', reply.headers['Content-Type'])


class ConnectionTestCase(base.ServerTestCase):

    def test_connection_is_kept_alive(self):
        self.start_simulator()
        for _ in range(20):
            self.result('GetLimits')
        self.assertEqual(1, self.sim.server.connections)

    def test_connections_are_counted(self):
        self.start_simulator()
        for _ in range(3):
            self.call('GetLimits', session=self.new_session())
        self.assertEqual(3, self.sim.server.connections)
        self.sim.reset_calls()
        self.result('GetLimits')
        self.assertEqual((1, 1), (self.sim.server.connections,
                                  self.sim.calls.count()))

    def test_many_idle_connections_are_kept(self):
        self.start_simulator()
        sessions = [self.new_session() for _ in range(30)]
        for _ in range(2):
            for session in sessions:
                self.call('GetLimits', session=session)
        self.assertEqual(30, self.sim.server.connections)

    def test_stop_and_start_again(self):
        self.start_simulator()
        volume_id = self.make_volume()
        self.sim.server.stop()
        self.assertRaises(requests.exceptions.ConnectionError, self.call,
                          'GetLimits')
        self.sim.server.start()
        volume, = self.result('ListVolumes')['volumes']
        self.assertEqual(volume_id, volume['volumeID'])

    def test_stop_twice(self):
        self.start_simulator()
        self.sim.server.stop()
        self.sim.server.stop()

    def test_two_servers_at_once(self):
        first = self.start_simulator()
        self.make_volume()
        second = self.start_simulator(name='other')
        self.assertNotEqual(first.port, second.port)
        self.assertEqual([], self.result('ListVolumes')['volumes'])

    def test_certificate_dir(self):
        directory = os.path.join(self.useFixture(fixtures.TempDir()).path,
                                 'tls')
        self.start_simulator(certificate_dir=directory)
        self.assertEqual(directory, os.path.dirname(self.sim.ca_file))
        self.assertEqual(0o600, os.stat(
            os.path.join(directory, 'server.key')).st_mode & 0o777)
        self.result('GetLimits')


class FaultsTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.clock = clock.ManualClock()
        self.start_simulator(clock=self.clock, clone_seconds=10,
                             sleep=self.clock.sleep)

    def names(self):
        return [volume.name for volume in self.sim.cluster.volumes.values()]

    def test_error_before_the_effect(self):
        self.make_volume()
        self.sim.faults.add(method='CreateVolume', error='xDBConnectionLoss',
                            message='gone')
        answer = self.call('CreateVolume', name='n', accountID=1,
                           totalSize=base.GIB)
        self.assertEqual({'code': 500, 'name': 'xDBConnectionLoss',
                          'message': 'gone'}, answer['error'])
        self.assertEqual(['v'], self.names())
        call = self.sim.calls[-1]
        self.assertEqual(('xDBConnectionLoss', False, False),
                         (call.error, call.effect, call.ok))

    def test_error_after_the_effect(self):
        self.make_volume()
        self.sim.faults.add(method='CreateVolume', error='xRecvTimeout',
                            when='after')
        self.assertEqual('xRecvTimeout', self.error(
            'CreateVolume', name='n', accountID=1, totalSize=base.GIB))
        self.assertEqual(['v', 'n'], self.names())
        self.assertTrue(self.sim.calls[-1].effect)

    def test_drop_before_the_effect(self):
        self.make_volume()
        self.sim.faults.add(method='CreateVolume', drop=True)
        self.assertRaises(requests.exceptions.ConnectionError, self.call,
                          'CreateVolume', name='n', accountID=1,
                          totalSize=base.GIB)
        self.assertEqual(['v'], self.names())
        call = self.sim.calls[-1]
        self.assertEqual((True, None, False),
                         (call.dropped, call.http_status, call.effect))
        self.result('GetLimits')
        self.assertEqual(2, self.sim.server.connections)

    def test_drop_after_the_effect(self):
        self.make_volume()
        self.sim.faults.add(method='CreateVolume', drop=True, when='after')
        self.assertRaises(requests.exceptions.ConnectionError, self.call,
                          'CreateVolume', name='n', accountID=1,
                          totalSize=base.GIB)
        self.assertEqual(['v', 'n'], self.names())
        self.assertEqual((True, True), (self.sim.calls[-1].dropped,
                                        self.sim.calls[-1].effect))

    def test_http_status(self):
        self.sim.faults.add(http_status=503, body='<html>away</html>')
        reply = self.post({'method': 'GetLimits'})
        self.assertEqual((503, '<html>away</html>'),
                         (reply.status_code, reply.text))
        self.assertIn('text/html', reply.headers['Content-Type'])
        self.assertIn('result', self.post({'method': 'GetLimits'}).json())

    def test_http_status_with_json(self):
        self.sim.faults.add(http_status=200, body={'id': None, 'x': 1})
        self.sim.faults.add(http_status=200, body='null')
        self.sim.faults.add(http_status=500)
        self.assertEqual({'id': None, 'x': 1}, self.call('GetLimits'))
        self.assertIsNone(self.call('GetLimits'))
        self.assertEqual('', self.post({'method': 'GetLimits'}).text)

    def test_match_looks_at_the_parameters(self):
        first, second = self.make_volume(), self.make_volume()
        self.sim.faults.add(method='ModifyVolume', error='xDBClosing',
                            match={'volumeID': second}, times=None)
        self.result('ModifyVolume', volumeID=first)
        self.assertEqual('xDBClosing', self.error('ModifyVolume',
                                                  volumeID=second))

    def test_job_error(self):
        volume_id = self.make_volume()
        self.sim.faults.add(method='CloneVolume',
                            job_error='xSnapshotFailed')
        reply = self.result('CloneVolume', volumeID=volume_id, name='c')
        self.clock.advance(10)
        result = self.result('GetAsyncResult',
                             asyncHandle=reply['asyncHandle'])
        self.assertEqual('xSnapshotFailed', result['error']['name'])
        self.assertEqual(['v'], self.names())

    def test_delay_before_and_after_the_effect(self):
        self.make_volume()
        self.sim.faults.add(method='CloneVolume', delay=3.0)
        self.sim.faults.add(method='CloneVolume', delay=4.0, when='after')
        self.result('CloneVolume', volumeID=1, name='c')
        self.assertEqual([3.0, 4.0], self.clock.slept)
        # It started three seconds in, and has run for four.
        job, = self.result('ListSyncJobs')['syncJobs']
        self.assertAlmostEqual(4.0, job['elapsedTime'])

    def test_delay_keeps_nobody_else_waiting(self):
        go, delayed = threading.Event(), threading.Event()

        def sleep(seconds):
            delayed.set()
            self.assertTrue(go.wait(60))

        self.sim.server.sleep = sleep
        self.sim.faults.add(method='GetClusterInfo', delay=5)
        slow = threading.Thread(target=self.call, args=('GetClusterInfo',),
                                kwargs={'session': self.new_session()})
        slow.start()
        self.addCleanup(slow.join)
        self.addCleanup(go.set)
        self.assertTrue(delayed.wait(60))
        self.result('GetLimits')
        self.assertEqual(['GetLimits'], self.sim.calls.methods)


class CallsTestCase(base.ServerTestCase):

    def test_calls_tell_method_params_version_and_outcome(self):
        self.start_simulator()
        self.call('ListVolumes', version='8.0', limit=1)
        self.call('GetAccountByName', username='x')
        first, second = self.sim.calls
        self.assertEqual(('ListVolumes', {'limit': 1}, '8.0', None, True),
                         (first.method, first.params, first.version,
                          first.error, first.ok))
        self.assertEqual(('xUnknownAccount', False, 200),
                         (second.error, second.ok, second.http_status))

    def test_calls_count_bytes(self):
        self.start_simulator()
        reply = self.post({'method': 'GetLimits'})
        self.assertEqual(
            (len(reply.request.body), len(reply.content)),
            (self.sim.calls.bytes_in, self.sim.calls.bytes_out))

    def test_secrets_are_nowhere(self):
        logger = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        secrets = ['chap-' + uuid.uuid4().hex[:8] for _ in range(2)]
        self.start_simulator(password='pass-' + uuid.uuid4().hex)
        params = {'username': 'a', 'initiatorSecret': secrets[0],
                  'targetSecret': secrets[1]}
        self.assertEqual(secrets[0], self.result('AddAccount', **params)[
            'account']['initiatorSecret'])
        self.sim.faults.add(method='AddAccount', drop=True, when='after')
        self.assertRaises(requests.exceptions.ConnectionError, self.call,
                          'AddAccount', **{**params, 'username': 'b'})
        self.error('AddAccount', username='c', initiatorSecret='s' + 'x' * 40)
        self.sim.cluster.accounts = None
        self.post({'method': 'AddAccount', 'params': params})
        seen = logger.output + repr(list(self.sim.calls))
        self.assertIn('AddAccount', logger.output)
        for secret in [*secrets, self.sim.password, 'x' * 40]:
            self.assertNotIn(secret, seen)


class ConcurrencyTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.clock = clock.ManualClock()
        self.start_simulator(clock=self.clock, clone_seconds=self.dawdle)
        self.volume_id = self.make_volume()

    @staticmethod
    def dawdle(size):
        """Give others a chance between the check of slots and the entry."""
        time.sleep(0.01)
        return 10

    def together(self, count, method, params):
        """Return the answers to calls made at the same time."""
        barrier = threading.Barrier(count)

        def one(number):
            session = self.new_session()
            barrier.wait(60)
            return self.call(method, session=session, **params(number))

        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    def test_clones_fill_exactly_the_slots(self):
        answers = self.together(
            16, 'CloneVolume',
            lambda number: {'volumeID': self.volume_id, 'name': f'c{number}'})
        errors = [answer['error']['name'] for answer in answers
                  if 'error' in answer]
        self.assertEqual(['xMaxClonesPerVolumeExceeded'] * 14, errors)
        self.clock.advance(10)
        self.assertEqual(3, len(self.result('ListVolumes')['volumes']))

    def test_accounts_are_unique(self):
        answers = self.together(8, 'AddAccount',
                                lambda number: {'username': 'same'})
        self.assertEqual(7, sum(
            answer.get('error', {}).get('name') == 'xDuplicateUsername'
            for answer in answers))

    def test_volume_ids_are_unique(self):
        answers = self.together(
            16, 'CreateVolume',
            lambda number: {'name': 'v', 'accountID': 1,
                            'totalSize': base.GIB})
        ids = {answer['result']['volumeID'] for answer in answers}
        self.assertEqual(16, len(ids))


class ServerTestCase(base.ServerTestCase):

    def test_building_a_server_listens_nowhere(self):
        built = server.Server(cluster.Cluster())
        self.addCleanup(built.cluster.close)
        self.assertEqual((0, None), (built.port, built.ca_file))
