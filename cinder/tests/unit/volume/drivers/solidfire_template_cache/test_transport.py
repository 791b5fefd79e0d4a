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

"""The way to a cluster: TLS, authentication, connections."""

import base64
import threading
import warnings

import ddt
import fixtures
from oslo_utils import units
import trustme
from urllib3 import connectionpool
from werkzeug import wrappers

from cinder.tests.unit.volume.drivers.solidfire_template_cache import answers
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import errors


@ddt.ddt
class ConnectionTestCase(answers.TransportTestCase):
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
        client = self.new_client(verify=path)
        self.assert_fails(errors.AccessDenied, client.get_account, 'a')
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
        login = base64.b64encode(
            b'admin:' + clients.PASSWORD.encode()).decode()
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
        self.sim.faults.add(method='GetAccountByName', http_status=403,
                            body=answers.HTML)
        self.assert_fails(errors.AccessDenied, self.client.get_account, 'a')
        self.assertEqual(1, self.sim.calls.count())

    @ddt.data(301, 302, 307, 308)
    def test_redirection_is_not_followed(self, status):
        asked = []

        def respond(request):
            asked.append(request.path)
            return wrappers.Response(answers.HTML, status, {
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
