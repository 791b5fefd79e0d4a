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

"""The way to a cluster, against a real server: HTTPS, replies, secrets."""

import base64
import dataclasses
import gzip
import json
import threading
import warnings

import ddt
import fixtures
from oslo_utils import units
import trustme
from urllib3 import connectionpool
from werkzeug import wrappers

from cinder.tests.element_simulator import application
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import transport

PASSWORD = clients.PASSWORD
SECRET = clients.SECRET
HTML = '<html><body>Service Unavailable</body></html>'


class TransportTestCase(clients.ClientTestCase):

    def setUp(self):
        super().setUp()
        self.log = clients.Log(self, name='')

    def answer(self, respond):
        """Let the server answer by a function from request to response."""
        self.mock_object(application.Application, '_route',
                         lambda _self, request: respond(request))


@ddt.ddt
class ConnectionTestCase(TransportTestCase):
    """TLS, authentication, connections."""

    def test_tls_verified_with_the_authority_s_file(self):
        self.assertEqual(2, self.client.get_clones_per_volume())

    def test_connection_is_kept_for_the_next_call(self):
        opened = []
        connect = connectionpool.HTTPSConnectionPool._new_conn

        def note(pool):
            opened.append(pool)
            return connect(pool)

        self.mock_object(connectionpool.HTTPSConnectionPool, '_new_conn',
                         autospec=True, side_effect=note)
        for _i in range(5):
            self.client.get_clones_per_volume()
        self.assertEqual(1, len(opened))

    def test_tls_refused_without_the_authority(self):
        client = self.new_client(verify=True)
        exc = self.assert_fails(errors.AccessDenied,
                                client.get_clones_per_volume)
        self.assertEqual('TLSError', exc.name)
        self.assertEqual([], self.clock.slept)
        self.assertEqual([], self.sim.calls.methods)

    def test_tls_refused_with_another_authority(self):
        path = self.useFixture(fixtures.TempDir()).join('ca.pem')
        trustme.CA().cert_pem.write_to_path(path)
        # A method that would be repeated after nearly any error.
        client = self.new_client(verify=path)
        self.assert_fails(errors.AccessDenied, client.list_volumes, 'v')
        self.assertEqual([], self.clock.slept)
        self.assertEqual([], self.sim.calls.methods)

    @ddt.data('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')
    def test_tls_trusts_what_is_configured_not_the_environment(self, name):
        path = self.useFixture(fixtures.TempDir()).join('ca.pem')
        trustme.CA().cert_pem.write_to_path(path)
        self.useFixture(fixtures.EnvironmentVariable(name, path))
        self.assertEqual(2, self.client.get_clones_per_volume())
        self.useFixture(fixtures.EnvironmentVariable(name, self.sim.ca_file))
        self.assert_fails(
            errors.AccessDenied,
            self.new_client(verify=path).get_clones_per_volume)

    def test_tls_not_verified_when_so_configured(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            client = self.new_client(verify=False)
            self.assertEqual(2, client.get_clones_per_volume())
        self.assertEqual([], [
            str(warning.message) for warning in caught
            if 'HTTPS request' in str(warning.message)])

    def test_one_connection_serves_many_calls(self):
        for _i in range(20):
            self.client.get_clones_per_volume()
        self.assertEqual(20, self.sim.calls.count())
        self.assertEqual(1, self.sim.server.connections)

    def test_one_connection_survives_errors(self):
        for name in ('xNotPrimary', 'xVolumeIDDoesNotExist', 'xNew'):
            self.sim.faults.add(method='ModifyVolume', error=name)
        volume = self.make_volume()
        for _i in range(2):
            self.assertRaises(errors.ApiError, self.client.modify_volume,
                              volume.id)
        self.client.modify_volume(volume.id)
        self.assertEqual(1, self.sim.server.connections)

    def test_threads_share_a_client(self):
        results = []

        def work():
            for _i in range(5):
                results.append(self.client.get_clones_per_volume())

        threads = [threading.Thread(target=work) for _i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([2] * 40, results)
        self.assertLessEqual(self.sim.server.connections, 8)

    def test_request_ids_differ(self):
        seen = []

        def respond(request):
            seen.append(request.get_json(force=True)['id'])
            return wrappers.Response('{"result": {}}')

        self.answer(respond)
        for _i in range(5):
            self.client._call('GetLimits', {})
        self.assertEqual(5, len(set(seen)))

    def test_request_names_its_content_type(self):
        seen = []

        def respond(request):
            seen.append((request.method, request.path, request.content_type,
                         request.headers['Authorization']))
            return wrappers.Response('{"result": {}}')

        self.answer(respond)
        self.client._call('GetLimits', {})
        login = base64.b64encode(b'admin:' + PASSWORD.encode()).decode()
        self.assertEqual([('POST', '/json-rpc/1.0', 'application/json-rpc',
                           'Basic ' + login)], seen)

    def test_wrong_password(self):
        client = self.new_client(password='a wrong password')
        exc = self.assert_fails(errors.AccessDenied,
                                client.get_clones_per_volume)
        self.assertEqual('HTTP401', exc.name)
        self.assertEqual([], self.clock.slept)
        for text in (str(exc), repr(exc), self.log.text):
            self.assertNotIn('a wrong password', text)

    def test_forbidden(self):
        self.sim.faults.add(method='ListVolumes', http_status=403, body=HTML)
        self.assert_fails(errors.AccessDenied, self.client.list_volumes, 'v')
        self.assertEqual(1, self.sim.calls.count())

    @ddt.data(301, 302, 307, 308)
    def test_redirection_is_not_followed(self, status):
        asked = []

        def respond(request):
            asked.append(request.path)
            return wrappers.Response(HTML, status, {
                'Location': self.sim.url + '/elsewhere'})

        self.answer(respond)
        exc = self.assert_fails(errors.UnexpectedReply,
                                self.client.get_clones_per_volume)
        self.assertEqual('HTTP%s' % status, exc.name)
        self.assertEqual(['/json-rpc/1.0'], asked)

    def test_time_out_of_an_answer_is_a_lost_reply(self):
        client = self.new_client(timeout=1)
        client.get_clones_per_volume()
        release = threading.Event()
        # Reached before the server's own end, which waits for its threads.
        self.addCleanup(release.set)
        self.mock_object(self.sim.server, 'sleep',
                         lambda seconds: release.wait(60))
        self.sim.faults.add(method='CreateVolume', delay=1)
        exc = self.assert_fails(errors.ReplyLost, client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertEqual('ReadTimeout', exc.name)

    def test_connection_refused_is_not_sent_and_repeated(self):
        self.client.get_clones_per_volume()
        self.sim.server.stop()
        exc = self.assert_fails(errors.NotSent, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertEqual('ConnectionError', exc.name)
        self.assertGreater(len(self.clock.slept), 3)

    def test_connection_refused_until_the_server_is_back(self):
        account = self.make_account()
        self.sim.server.stop()
        sleep = self.clock.sleep

        def wake(seconds):
            sleep(seconds)
            if len(self.clock.slept) == 2:
                self.sim.server.start()

        self.mock_object(self.clock, 'sleep', wake)
        self.client.create_volume('v', account.id, units.Gi, True, {})
        self.assertEqual(2, len(self.clock.slept))
        self.assertEqual(1, len(self.sim.cluster.volumes))


@ddt.ddt
class ReplyTestCase(TransportTestCase):
    """Replies that are not what they ought to be."""

    def test_unknown_version_is_an_unexpected_reply(self):
        self.sim.cluster.versions = ['1.0', '6.0']
        exc = self.assert_fails(errors.UnexpectedReply,
                                self.client.list_volumes, 'v')
        self.assertEqual('HTTP404', exc.name)

    @ddt.data(400, 404, 405)
    def test_client_error_in_html_is_final(self, status):
        self.sim.faults.add(method='GetLimits', http_status=status, body=HTML)
        exc = self.assert_fails(errors.UnexpectedReply,
                                self.client.get_clones_per_volume)
        self.assertEqual('HTTP%s' % status, exc.name)
        self.assertEqual([], self.clock.slept)

    @ddt.data({'http_status': 500, 'body': HTML},
              {'http_status': 502, 'body': HTML},
              {'http_status': 503, 'body': ''},
              {'http_status': 200, 'body': HTML},
              {'http_status': 200, 'body': '{"id": 1, "result": {"clon'},
              {'http_status': 200, 'body': ''},
              {'http_status': 200, 'body': 'null'},
              {'http_status': 200, 'body': '[]'},
              {'http_status': 200, 'body': '5'},
              {'drop': True}, {'drop': True, 'when': 'after'})
    def test_reply_lost_is_asked_for_again(self, fault):
        self.sim.faults.add(method='GetLimits', times=2, **fault)
        self.assertEqual(2, self.client.get_clones_per_volume())
        self.assertEqual(3, self.sim.calls.count())
        self.assertEqual(2, len(self.clock.slept))

    def test_reply_cut_short_on_the_wire(self):
        self.answer(lambda request: wrappers.Response(
            '{"result"', headers={'Content-Length': '200'}))
        exc = self.assert_fails(errors.ReplyLost, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertIs(errors.Kind.LOST, exc.kind)

    @ddt.data({}, {'result': None}, {'result': []}, {'result': 'yes'},
              {'id': 5}, {'error': None})
    def test_reply_without_result(self, document):
        self.sim.faults.add(method='GetLimits', http_status=200,
                            body=dict(document, id=1))
        self.assert_fails(errors.UnexpectedReply,
                          self.client.get_clones_per_volume)

    @ddt.data('text', ['list'], 5)
    def test_reply_with_odd_error(self, value):
        self.sim.faults.add(method='GetLimits', http_status=200,
                            body={'id': 1, 'error': value})
        self.assert_fails(errors.UnexpectedReply,
                          self.client.get_clones_per_volume)

    def test_reply_with_error_and_other_status(self):
        self.sim.faults.add(
            method='GetLimits', http_status=500,
            body={'error': {'name': 'xNew', 'message': 'm', 'code': 500}})
        exc = self.assert_fails(errors.ApiError,
                                self.client.get_clones_per_volume)
        self.assertEqual(('xNew', 'm', 500), (exc.name, exc.reason, exc.code))


@ddt.ddt
class LimitsTestCase(TransportTestCase):
    """Replies without end, in size or in time."""

    PIECE = b' ' * 2 ** 16

    def setUp(self):
        super().setUp()
        self.sent_bytes = 0

    def stream(self, piece, size=None):
        """Let the server send a piece again and again.

        :param size: of the whole, if that is told in advance; the server
            ends of itself only when this is reached
        """
        def pieces():
            while size is None or self.sent_bytes < size:
                self.sent_bytes += len(piece)
                yield piece

        headers = {} if size is None else {'Content-Length': str(size)}
        self.answer(lambda request: wrappers.Response(
            pieces(), headers=headers))

    def assert_given_up(self, name):
        exc = self.assert_fails(errors.ReplyLost, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertEqual(name, exc.name)

    @ddt.data(None, 2 ** 30)
    def test_reply_without_end_is_not_read_to_it(self, size):
        self.stream(self.PIECE, size=size)
        self.assert_given_up('OversizedReply')
        # What lies in buffers on the way is sent as well.
        self.assertLess(self.sent_bytes, 48 * units.Mi)

    def test_reply_that_is_as_long_as_may_be_is_read(self):
        self.mock_object(transport, '_LONGEST_REPLY', 200000)
        reply = json.dumps({'result': {'cloneJobsPerVolumeMax': 5}})
        self.answer(lambda request: wrappers.Response(
            reply.ljust(200000)))
        self.assertEqual(5, self.client.get_clones_per_volume())
        self.answer(lambda request: wrappers.Response(
            reply.ljust(200001)))
        self.assert_given_up('OversizedReply')

    def test_reply_of_a_full_account_is_read(self):
        # 2000 volumes with 4 KiB each.
        self.stream(b' ' * units.Mi, size=8 * units.Mi)
        exc = self.assert_fails(errors.ReplyLost, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertIn('not JSON', exc.reason)

    @ddt.data(None, 5000)
    def test_reply_that_trickles_is_given_up(self, size):
        # A byte now and then, so that no read takes the whole time.
        release = threading.Event()
        self.addCleanup(release.set)

        def pieces():
            yield b' '
            # The other bytes are far off; a client that has noticed how
            # late it is does not wait for them.
            release.wait(60)

        headers = {} if size is None else {'Content-Length': str(size)}
        self.answer(lambda request: wrappers.Response(
            pieces(), headers=headers))
        self.client = self.new_client(timeout=5)
        monotonic = self.clock.monotonic

        def hurry():
            self.clock.advance(6)
            return monotonic()

        self.mock_object(self.clock, 'monotonic', hurry)
        self.assert_given_up('SlowReply')

    def test_reply_that_takes_some_seconds_is_read(self):
        reply = json.dumps(
            {'result': {'cloneJobsPerVolumeMax': 5}}).encode()

        def pieces():
            for place in range(len(reply)):
                self.clock.advance(0.5)
                yield reply[place:place + 1]

        self.answer(lambda request: wrappers.Response(pieces()))
        self.assertEqual(5, self.client.get_clones_per_volume())

    def test_reply_that_is_compressed_counts_by_what_it_becomes(self):
        # 64 MiB become 64 KiB.
        body = gzip.compress(b' ' * (64 * units.Mi))
        self.answer(lambda request: wrappers.Response(
            body, headers={'Content-Encoding': 'gzip'}))
        self.assert_given_up('OversizedReply')

    def test_reply_without_end_closes_the_connection(self):
        self.stream(self.PIECE)
        self.assert_given_up('OversizedReply')
        self.answer(lambda request: wrappers.Response(
            '{"result": {"cloneJobsPerVolumeMax": 7}}'))
        self.assertEqual(7, self.client.get_clones_per_volume())
        self.assertEqual(2, self.sim.server.connections)


class SecretsTestCase(TransportTestCase):
    """No password and no CHAP secret anywhere but on the wire."""

    def assert_clean(self, *texts):
        for text in texts + (self.log.text,):
            self.assertNotIn(PASSWORD, text)
            self.assertNotIn(SECRET, text)

    @staticmethod
    def _texts(exc):
        """Return all that may be printed of an error, causes included."""
        texts = []
        while exc is not None:
            texts.extend((str(exc), repr(exc), repr(exc.args)))
            exc = exc.__cause__ or exc.__context__
        return texts

    def test_repr_of_client_and_endpoint(self):
        endpoint = self.client._transport._endpoint
        self.assert_clean(repr(self.client), repr(self.client._transport),
                          repr(endpoint), str(dataclasses.replace(endpoint)))

    def test_log_of_success(self):
        account = self.make_account()
        self.assertEqual(SECRET, account.target_secret)
        # It was logged, but for the secrets.
        self.assertIn('AddAccount', self.log.text)
        self.assertIn("'username': 'tenant'", self.log.text)
        self.assertIn("'targetSecret': '***'", self.log.text)
        self.assert_clean(repr(account), str(account))

    def test_message_of_the_cluster_that_quotes_secrets(self):
        for name in ('xDBVersionMismatch', 'xInvalidParameter'):
            self.sim.faults.add(
                method='AddAccount', error=name,
                message='%s is bad, said %s' % (SECRET, PASSWORD))
        exc = self.assert_fails(errors.ApiError, self.client.add_account,
                                'tenant', SECRET)
        self.assertEqual('*** is bad, said ***', exc.reason)
        self.assert_clean(*self._texts(exc))

    def test_failures_of_every_kind(self):
        for fault in ({'drop': True}, {'http_status': 404, 'body': SECRET},
                      {'http_status': 200, 'body': SECRET},
                      {'http_status': 401, 'body': PASSWORD},
                      {'http_status': 200, 'body': {'result': SECRET}},
                      {'http_status': 200, 'body': {'error': SECRET}}):
            self.sim.faults.clear()
            self.sim.faults.add(method='AddAccount', times=None, **fault)
            exc = self.assertRaises(errors.ElementError,
                                    self.client.add_account, 'tenant',
                                    SECRET)
            self.assert_clean(*self._texts(exc), repr(vars(exc)))

    def test_failures_to_connect(self):
        wrong = self.new_client(verify=True)
        exc = self.assert_fails(errors.AccessDenied, wrong.add_account,
                                'tenant', SECRET)
        self.assert_clean(*self._texts(exc))
        self.sim.server.stop()
        exc = self.assert_fails(errors.NotSent, self.client.add_account,
                                'tenant', SECRET)
        self.assert_clean(*self._texts(exc))

    def test_account_that_cannot_be_read(self):
        for member, value in (('accountID', None), ('username', 5),
                              ('targetSecret', [SECRET])):
            account = {'accountID': 1, 'username': 'tenant',
                       'targetSecret': SECRET, 'initiatorSecret': SECRET}
            account[member] = value
            self.sim.faults.add(method='GetAccountByName', http_status=200,
                                body={'result': {'account': account}})
            exc = self.assert_fails(errors.UnexpectedReply,
                                    self.client.get_account, 'tenant')
            self.assert_clean(*self._texts(exc))
