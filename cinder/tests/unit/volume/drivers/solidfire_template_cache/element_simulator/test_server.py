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

"""Tests of the HTTPS server, its fixture and the journal of calls."""

import concurrent.futures
import logging
import os
import threading
import time
import uuid

import fixtures
import requests

from cinder.tests.element_simulator import clock
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import fixture
from cinder.tests.element_simulator import journal
from cinder.tests.element_simulator import server
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base

GET_LIMITS = {'method': 'GetLimits'}


class HttpTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.start_simulator()

    def test_certificate(self):
        for host in '127.0.0.1', 'localhost':
            reply = self.session.post(
                f'https://{host}:{self.sim.port}/json-rpc/12.0', timeout=60,
                json=GET_LIMITS)
            self.assertEqual(200, reply.status_code)
        key = os.path.join(os.path.dirname(self.sim.ca_file), 'server.key')
        self.assertEqual(0o600, os.stat(key).st_mode & 0o777)
        with server.Server(self.sim.cluster) as other:
            for ca_file in True, other.ca_file:
                self.session.verify = ca_file
                self.assertRaises(requests.exceptions.SSLError, self.request)

    def test_credentials_wrong(self):
        for auth in None, ('admin', 'wrong'), ('other', 'solidfire'), 'Bearer':
            self.session.auth = None if auth == 'Bearer' else auth
            reply = self.request(body=GET_LIMITS, headers=(
                {'Authorization': 'Bearer abc'} if auth == 'Bearer' else {}))
            self.assertEqual(401, reply.status_code)
            self.assertIn('401 Unauthorized', reply.text)
            self.assertIn('text/html', reply.headers['Content-Type'])
        self.assertEqual(0, self.sim.calls.count())

    def test_http_status(self):
        for verb, path, status, text in (
                *(('POST', path, 404, 'Not Found') for path in (
                    'json-rpc/12.9', 'json-rpc/99.0', 'json-rpc/x',
                    'json-rpc', '', 'json-rpc/12.0/x', 'other/12.0')),
                ('GET', 'json-rpc/12.0', 405, 'Not Allowed'),
                ('POST', 'json-rpc/8.0/', 200, 'result')):
            reply = self.request(path, GET_LIMITS, verb)
            self.assertEqual(status, reply.status_code, path)
            self.assertIn(text, reply.text)
        # A bug of the simulator.
        self.sim.cluster.accounts = None
        reply = self.request(body={'method': 'ListAccounts'})
        self.assertEqual(500, reply.status_code)
        self.assertIn('text/html', reply.headers['Content-Type'])

    def test_content_type_ignored_and_id_echoed(self):
        for kind in 'application/json-rpc', 'json-rpc', 'text/plain':
            reply = self.request(body='{"method": "GetLimits"}',
                                 headers={'Content-Type': kind})
            self.assertIn('result', reply.json())
        for method in 'GetLimits', 'Nope':
            for request_id in 7, 'seven', 0, None:
                self.assertEqual(request_id, self.request(body={
                    'method': method, 'id': request_id}).json()['id'])
        self.assertIsNone(self.request(body=GET_LIMITS).json()['id'])

    def test_api_error_and_unused_parameters(self):
        for body, name in (
                ('{', 'xInvalidAPIParameter'), ('[]', 'xInvalidAPIParameter'),
                ('{}', 'xMissingParameter'),
                ('{"method": 3}', 'xMissingParameter'),
                ('{"method": "GetLimits", "params": [1]}',
                 'xInvalidAPIParameter'),
                ('{"method": "GetAccountByName", "params": '
                 '{"username": "nobody"}}', 'xUnknownAccount')):
            reply = self.request(body=body)
            self.assertEqual(200, reply.status_code)
            self.assertEqual(name, reply.json()['error']['name'])
        self.assertEqual(
            {'id': None, 'error': {'code': 500, 'name': 'xUnknownAccount',
                                   'message': 'Unknown account nobody'}},
            reply.json())
        reply = self.call('ListAccounts', bogus=1)
        self.assertEqual({'bogus': 1}, reply['unusedParameters'])
        self.assertEqual({'unusedParameters': {'bogus': 1}},
                         reply['warning'])
        self.assertNotIn('unusedParameters', self.call('ListAccounts'))


class ConnectionTestCase(base.ServerTestCase):

    def test_connections_kept_and_counted(self):
        self.start_simulator()
        for session in [self.new_session() for _ in range(30)] * 2:
            self.call('GetLimits', session=session)
        self.assertEqual(30, self.sim.server.connections)
        self.sim.reset_calls()
        self.result('GetLimits')
        self.assertEqual((1, 1), (self.sim.server.connections,
                                  self.sim.calls.count()))

    def test_stop_and_start_again(self):
        built = server.Server(cluster.Cluster())
        self.addCleanup(built.cluster.close)
        self.assertEqual((0, ''), (built.port, built.ca_file))
        self.start_simulator()
        volume_id = self.make_volume()
        for _ in range(2):
            self.sim.server.stop()
        self.assertRaises(requests.exceptions.ConnectionError, self.call,
                          'GetLimits')
        self.sim.server.start()
        volume, = self.result('ListVolumes')['volumes']
        self.assertEqual(volume_id, volume['volumeID'])

    def test_fixture(self):
        with fixture.ElementSimulator(clone_seconds=2, login='me') as self.sim:
            with fixture.ElementSimulator(cluster=self.sim.cluster) as other:
                self.assertIs(self.sim.cluster, other.cluster)
            self.session = self.new_session()
            self.result('GetLimits')
            self.assertEqual((2, 1), (self.sim.cluster.jobs.seconds,
                                      self.sim.calls.count('GetLimits')))
            directory = self.sim.cluster.files.directory
            self.assertTrue(os.path.isdir(directory))
        self.assertFalse(os.path.exists(directory))
        self.assertRaises(requests.exceptions.ConnectionError, self.request)
        self.assertRaisesRegex(TypeError, 'colour', fixture.ElementSimulator,
                               colour='red')


class FaultsTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.clock = clock.ManualClock()
        self.start_simulator(clock=self.clock, clone_seconds=10,
                             sleep=self.clock.sleep)
        self.volume_id = self.make_volume()

    def names(self):
        return [volume.name for volume in self.sim.cluster.volumes.values()]

    def test_fault_before_or_after_effect(self):
        def create():
            try:
                return self.call('CreateVolume', name='n', accountID=1,
                                 totalSize=base.GIB)['error']
            except requests.exceptions.ConnectionError:
                return None

        error = {'code': 500, 'name': 'xRecvTimeout', 'message': 'gone'}
        names = ['v']
        for when in 'before', 'after':
            for members, expected in (
                    ({'error': 'xRecvTimeout', 'message': 'gone'}, error),
                    ({'drop': True}, None)):
                self.sim.faults.add(method='CreateVolume', when=when,
                                    **members)
                self.assertEqual(expected, create())
                names += ['n'] if when == 'after' else []
                self.assertEqual(names, self.names())
                call = self.sim.calls[-1]
                self.assertEqual(
                    (members.get('error'), when == 'after', False,
                     'drop' in members, None if 'drop' in members else 200),
                    (call.error, call.effect, call.ok, call.dropped,
                     call.http_status))
        self.assertEqual(2, self.sim.server.connections)

    def test_fault_ignores_attributes(self):
        self.sim.faults.add(method='*Volume', ignore=['attributes'],
                            times=None)
        params = {'name': 'n', 'attributes': {'a': 1}}
        created = self.call('CreateVolume', accountID=1, totalSize=base.GIB,
                            **params)
        self.assertEqual({'id', 'result'}, set(created))
        self.result('CloneVolume', volumeID=self.volume_id, **params)
        self.clock.advance(10)
        for volume in self.result('ListVolumes', volumeName='n')['volumes']:
            self.assertEqual({}, volume['attributes'])
        self.assertIn('attributes', self.sim.calls[-2].params)

    def test_fault_with_http_status(self):
        for status, body, text in ((503, '<html>away', '<html>away'),
                                   (200, {'x': None}, '{"x": null}'),
                                   (200, 'null', 'null'), (500, None, '')):
            self.sim.faults.add(http_status=status, body=body)
            reply = self.request(body=GET_LIMITS)
            self.assertEqual((status, text), (reply.status_code, reply.text))
            self.assertIn('html' if status == 503 else 'json',
                          reply.headers['Content-Type'])
        # A volume that is not listed at first, although its clone is done.
        self.sim.faults.add(method='ListVolumes', http_status=200,
                            match={'volumeName': 'v'},
                            body={'id': 1, 'result': {'volumes': []}})
        for params, count in (({}, 1), ({'volumeName': 'v'}, 0),
                              ({'volumeName': 'v'}, 1)):
            self.assertEqual(count, len(self.result('ListVolumes', **params)[
                'volumes']))

    def test_fault_of_job_and_delay_before_and_after_effect(self):
        self.sim.faults.add(method='CloneVolume', delay=3.0)
        self.sim.faults.add(method='CloneVolume', delay=4.0, when='after')
        self.sim.faults.add(method='CloneVolume', job_error='xSnapshotFailed')
        reply = self.result('CloneVolume', volumeID=1, name='c')
        self.assertEqual([3.0, 4.0], self.clock.slept)
        job, = self.result('ListSyncJobs')['syncJobs']
        self.assertAlmostEqual(4.0, job['elapsedTime'])
        self.clock.advance(10)
        result = self.result('GetAsyncResult',
                             asyncHandle=reply['asyncHandle'])
        self.assertEqual('xSnapshotFailed', result['error']['name'])
        self.assertEqual(['v'], self.names())

    def test_delay_does_not_block_other_calls(self):
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
        self.assertNotIn('GetClusterInfo', self.sim.calls.methods)


class CallsTestCase(base.ServerTestCase):

    def test_calls_recorded(self):
        self.start_simulator()
        reply = self.request('json-rpc/8.0', {'method': 'ListVolumes',
                                              'params': {'limit': 1}})
        size = len(reply.request.body), len(reply.content)
        self.call('GetAccountByName', username='x')
        self.call('GetLimits')
        first, second, third = self.sim.calls
        self.assertEqual(journal.Call(
            'ListVolumes', {'limit': 1}, '8.0', effect=True, bytes_in=size[0],
            bytes_out=size[1]), first)
        self.assertEqual(('xUnknownAccount', False, 200),
                         (second.error, second.ok, second.http_status))
        self.assertTrue(first.ok and third.ok)
        self.assertEqual(sum(call.bytes_out for call in self.sim.calls),
                         self.sim.calls.bytes_out)

    def test_secrets_not_recorded(self):
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
        self.request(body={'method': 'AddAccount', 'params': params})
        recorded = logger.output + repr(list(self.sim.calls))
        self.assertIn('AddAccount', logger.output)
        for secret in [*secrets, self.sim.password, 'x' * 40]:
            self.assertNotIn(secret, recorded)


class JournalTestCase(test.TestCase):

    def test_counts_and_reset(self):
        calls = journal.Journal()
        for method in 'ABA':
            calls.add(journal.Call(method, {}, '1.0', bytes_in=3))
        self.assertEqual(['A', 'B', 'A'], calls.methods)
        self.assertEqual(([3, 2, 0], {'A': 2, 'B': 1}, 9),
                         ([calls.count(method) for method in (None, *'AC')],
                          calls.counts(), calls.bytes_in))
        calls.reset_calls()
        self.assertEqual((0, 0), (len(calls), calls.bytes_in))

    def test_redact(self):
        given = {'username': 'a', 'initiatorSecret': 's1',
                 'list': [{'targetSecret': 's2', 'password': 's3'}]}
        self.assertEqual(
            {'username': 'a', 'initiatorSecret': '***',
             'list': [{'targetSecret': '***', 'password': '***'}]},
            journal.redact(given))
        self.assertEqual('s1', given['initiatorSecret'])


class ConcurrencyTestCase(base.ServerTestCase):

    def run_concurrently(self, method, **params):
        """Return the results, or error names, of 16 concurrent calls."""
        barrier = threading.Barrier(16)

        def one(session):
            barrier.wait(60)
            reply = self.call(method, session=session, **params)
            return reply['error']['name'] if 'error' in reply else (
                reply['result'])

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return list(pool.map(one, [
                self.new_session() for _ in range(16)]))

    def test_concurrent_calls(self):
        def clone_seconds(size):
            # Let other threads run between the check and the start.
            time.sleep(0.01)
            return 10

        self.start_simulator(clock=clock.ManualClock(),
                             clone_seconds=clone_seconds)
        results = self.run_concurrently('CloneVolume', name='c',
                                        volumeID=self.make_volume())
        self.assertEqual(14, results.count('xMaxClonesPerVolumeExceeded'))
        results = self.run_concurrently('AddAccount', username='same')
        self.assertEqual(15, results.count('xDuplicateUsername'))
        results = self.run_concurrently('CreateVolume', name='v',
                                        accountID=1, totalSize=base.GIB)
        self.assertEqual(16, len({each['volumeID'] for each in results}))
