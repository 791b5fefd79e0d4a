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

"""The client of the API, against a real server: HTTPS, replies, retries."""

import base64
import dataclasses
import threading
from unittest import mock
import warnings

import ddt
import fixtures
from oslo_utils import units
import trustme
from werkzeug import wrappers

from cinder.tests.element_simulator import application
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors

PASSWORD = clients.PASSWORD
SECRET = clients.SECRET
HTML = '<html><body>Service Unavailable</body></html>'


class ClientTestCase(clients.ClientTestCase):

    def setUp(self):
        super().setUp()
        self.log = clients.Log(self, name='')

    def answer(self, respond):
        """Let the server answer by a function from request to response."""
        self.mock_object(application.Application, '_route',
                         lambda _self, request: respond(request))


class CallTestCase(ClientTestCase):
    """What is sent, and what comes out."""

    def test_new_client_connects_to_nothing(self):
        self.assertEqual(0, self.sim.server.connections)

    def test_get_account(self):
        self.make_account()
        account = self.client.get_account('tenant')
        self.assertEqual(('tenant', 0, SECRET, SECRET), (
            account.name, account.volume_count, account.target_secret,
            account.initiator_secret))

    def test_get_account_when_absent(self):
        self.assertIsNone(self.client.get_account('tenant'))
        self.assertEqual([('GetAccountByName', {'username': 'tenant'})],
                         self.sent())

    def test_get_account_that_is_gone_in_another_way(self):
        # Only an unknown name may lead to a new account.
        self.sim.faults.add(method='GetAccountByName',
                            error='xAccountIDDoesNotExist')
        self.assert_fails(errors.NotFound, self.client.get_account, 'tenant')

    def test_add_account(self):
        self.assertIsNone(self.client.add_account('tenant', SECRET))
        # The journal covers what is secret.
        self.assertEqual([('AddAccount', {
            'username': 'tenant', 'initiatorSecret': '***',
            'targetSecret': '***', 'attributes': {}})], self.sent())

    def test_add_account_when_taken(self):
        self.make_account()
        self.assert_fails(errors.AlreadyExists, self.client.add_account,
                          'tenant', SECRET)

    def test_create_volume(self):
        account = self.make_account()
        self.sim.reset_calls()
        volume = self.client.create_volume('v', account.id, units.Gi, False,
                                           {'a': [1]})
        self.assertEqual([('CreateVolume', {
            'name': 'v', 'accountID': account.id, 'totalSize': units.Gi,
            'enable512e': False, 'attributes': {'a': [1]}})], self.sent())
        self.assertEqual(('v', account.id, units.Gi, {'a': [1]}, True), (
            volume.name, volume.account_id, volume.size, volume.attributes,
            volume.active))

    def test_list_volumes(self):
        first, second = self.make_volume(), self.make_volume()
        self.make_volume('w')
        self.client.add_account('other', SECRET)
        other = self.client.get_account('other')
        third = self.client.create_volume('v', other.id, units.Gi, True, {})
        self.sim.reset_calls()

        self.assertEqual([first.id, second.id, third.id], [
            volume.id for volume in self.client.list_volumes('v')])
        self.assertEqual([third.id], [
            volume.id for volume in self.client.list_volumes('v', other.id)])
        self.assertEqual([
            ('ListVolumes', {'volumeName': 'v',
                             'includeVirtualVolumes': False}),
            ('ListVolumes', {'volumeName': 'v', 'accounts': [other.id],
                             'includeVirtualVolumes': False})], self.sent())

    def test_list_volumes_tells_deleted_ones(self):
        volume = self.make_volume()
        self.sim.cluster.delete_volume(self.sim.cluster.volume(volume.id))
        [listed] = self.client.list_volumes('v')
        self.assertEqual((volume.id, 'deleted'), (listed.id, listed.status))

    def test_list_volumes_passes_over_what_was_not_asked_for(self):
        # A cluster that does not know a filter ignores it.
        volume = self.make_volume()
        self.make_volume('w')
        everything = self.client._call('ListVolumes', {})
        self.sim.faults.add(method='ListVolumes', http_status=200,
                            body={'id': 1, 'result': everything}, times=2)
        self.assertEqual([volume.id], [
            found.id for found in self.client.list_volumes('v')])
        self.assertEqual([], self.client.list_volumes(
            'v', volume.account_id + 1))

    def test_find_volume(self):
        volume = self.make_volume()
        self.sim.reset_calls()
        self.assertEqual(volume.id, self.client.find_volume(volume.id).id)
        self.assertEqual([('ListVolumes', {'volumeIDs': [volume.id]})],
                         self.sent())

    def test_find_volume_when_absent_or_deleted(self):
        volume, other = self.make_volume(), self.make_volume()
        self.sim.cluster.delete_volume(self.sim.cluster.volume(volume.id))
        self.assertIsNone(self.client.find_volume(volume.id))
        self.assertIsNone(self.client.find_volume(other.id + 1))

    def test_modify_volume_sends_only_the_changes(self):
        volume = self.make_volume(a=1)
        self.sim.reset_calls()
        modified = self.client.modify_volume(volume.id, access='readOnly')
        self.assertEqual([('ModifyVolume', {
            'volumeID': volume.id, 'access': 'readOnly'})], self.sent())
        self.assertEqual(('readOnly', {'a': 1}),
                         (modified.access, modified.attributes))

    def test_remove_volume(self):
        volume = self.make_volume()
        self.sim.reset_calls()
        self.client.remove_volume(volume.id)
        self.assertEqual([('DeleteVolume', {'volumeID': volume.id}),
                          ('PurgeDeletedVolume', {'volumeID': volume.id})],
                         self.sent())
        self.assertEqual({}, self.sim.cluster.volumes)

    def test_remove_volume_when_deleted_already(self):
        volume = self.make_volume()
        self.sim.cluster.delete_volume(self.sim.cluster.volume(volume.id))
        self.client.remove_volume(volume.id)
        self.assertEqual({}, self.sim.cluster.volumes)

    def test_remove_volume_when_gone(self):
        self.client.remove_volume(77)
        self.assertEqual(['DeleteVolume', 'PurgeDeletedVolume'],
                         self.sim.calls.methods)

    def test_remove_named(self):
        volumes = [self.make_volume() for _i in range(3)]
        other = self.make_volume('w')
        self.sim.cluster.delete_volume(self.sim.cluster.volume(volumes[1].id))
        self.client.remove_named('v')
        self.assertEqual([other.id], list(self.sim.cluster.volumes))

    def test_clone_volume(self):
        source = self.make_volume()
        self.sim.reset_calls()
        started = self.client.clone_volume(
            source.id, 'c', source.account_id, True, {'b': 2})
        self.assertEqual([('CloneVolume', {
            'volumeID': source.id, 'name': 'c', 'access': 'readWrite',
            'newAccountID': source.account_id, 'enable512e': True,
            'attributes': {'b': 2}})], self.sent())
        self.assertEqual(('c', 'init', units.Gi), (
            started.volume.name, started.volume.status, started.volume.size))
        self.assertFalse(self.client.get_job(started.handle).done)
        self.assertEqual({started.volume.id},
                         self.client.list_running_clones(source.id))
        self.assertEqual(set(), self.client.list_running_clones(source.id + 9))
        self.clock.advance(3600)
        self.assertTrue(self.client.get_job(started.handle).done)
        self.assertEqual(set(), self.client.list_running_clones(source.id))
        # Its state was read.
        self.assert_fails(errors.NotFound, self.client.get_job,
                          started.handle)

    def test_clone_volume_with_new_size(self):
        source = self.make_volume()
        self.client.clone_volume(source.id, 'c', source.account_id, True, {},
                                 2 * units.Gi)
        self.assertEqual(2 * units.Gi, self.sim.calls[-1].params['newSize'])

    def test_cancel_clone(self):
        source = self.make_volume()
        started = self.client.clone_volume(
            source.id, 'c', source.account_id, True, {})
        self.client.cancel_clone(started.clone_id)
        self.assertEqual([source.id], list(self.sim.cluster.volumes))
        self.assertEqual(
            'xCloneCancelled',
            self.client.get_job(started.handle).error.partition(':')[0])

    def test_get_clones_per_volume(self):
        self.assertEqual(2, self.client.get_clones_per_volume())

    def test_get_default_qos(self):
        # Without what the cluster works out itself.
        self.assertEqual(
            {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': 15000},
            self.client.get_default_qos())

    def test_get_default_qos_of_odd_reply(self):
        self.sim.faults.add(
            method='GetDefaultQoS', http_status=200,
            body={'result': {'minIOPS': '50', 'maxIOPS': None,
                             'burstIOPS': 9}})
        self.assertEqual({'burstIOPS': 9}, self.client.get_default_qos())

    def test_calls_use_the_lowest_version_that_offers_them(self):
        source = self.make_volume()
        self.client.clone_volume(source.id, 'c', source.account_id, True, {})
        self.client.list_volumes('v')
        self.assertEqual(
            {'GetAccountByName': '1.0', 'AddAccount': '1.0',
             'CreateVolume': '1.0', 'CloneVolume': '6.0',
             'ListVolumes': '8.0'},
            {call.method: call.version for call in self.sim.calls})

    def test_calls_have_no_parameter_that_the_cluster_ignores(self):
        replies = []
        perform = application.Exchange._perform

        def spy(exchange, job_error):
            document = perform(exchange, job_error)
            replies.append(document)
            return document

        self.mock_object(application.Exchange, '_perform', spy)
        source = self.make_volume()
        self.client.list_volumes('v', source.account_id)
        self.client.find_volume(source.id)
        started = self.client.clone_volume(
            source.id, 'c', source.account_id, True, {}, 2 * units.Gi)
        self.client.get_job(started.handle)
        self.client.list_running_clones(source.id)
        self.client.modify_volume(source.id, access='readOnly', qos={},
                                  attributes={})
        self.client.get_clones_per_volume()
        self.client.get_default_qos()
        self.client.cancel_clone(started.clone_id)
        self.client.remove_volume(source.id)
        self.assertEqual(set(element._METHODS), set(self.sim.calls.methods))
        self.assertEqual([], [reply for reply in replies
                              if 'unusedParameters' in reply])


@ddt.ddt
class TransportTestCase(ClientTestCase):
    """TLS, authentication, connections."""

    def test_tls_verified_with_the_authority_s_file(self):
        self.assertEqual(2, self.client.get_clones_per_volume())

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
class ReplyTestCase(ClientTestCase):
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

    @ddt.data(
        ('GetLimits', {}, 'get_clones_per_volume', ()),
        ('GetLimits', {'cloneJobsPerVolumeMax': None},
         'get_clones_per_volume', ()),
        ('GetLimits', {'cloneJobsPerVolumeMax': '2'},
         'get_clones_per_volume', ()),
        ('GetLimits', {'cloneJobsPerVolumeMax': 0},
         'get_clones_per_volume', ()),
        ('ListVolumes', {}, 'list_volumes', ('v',)),
        ('ListVolumes', {'volumes': None}, 'list_volumes', ('v',)),
        ('ListVolumes', {'volumes': [None]}, 'list_volumes', ('v',)),
        ('ListVolumes', {'volumes': [{}]}, 'find_volume', (1,)),
        ('ListSyncJobs', {}, 'list_running_clones', (1,)),
        ('ListSyncJobs', {'syncJobs': {}}, 'list_running_clones', (1,)),
        ('GetAccountByName', {}, 'get_account', ('a',)),
        ('GetAccountByName', {'account': None}, 'get_account', ('a',)),
        ('GetAccountByName', {'account': []}, 'get_account', ('a',)),
        ('GetAccountByName', {'account': {}}, 'get_account', ('a',)),
        ('GetAsyncResult', {}, 'get_job', (1,)),
        ('GetAsyncResult', {'status': None}, 'get_job', (1,)),
        ('CreateVolume', {}, 'create_volume', ('v', 1, 1, True, {})),
        ('CreateVolume', {'volume': None}, 'create_volume',
         ('v', 1, 1, True, {})),
        ('CloneVolume', {'volumeID': 1}, 'clone_volume',
         (1, 'v', 1, True, {})),
        ('CloneVolume', {'volumeID': 1, 'volume': None}, 'clone_volume',
         (1, 'v', 1, True, {})),
        ('ModifyVolume', {}, 'modify_volume', (1,)))
    @ddt.unpack
    def test_result_without_what_is_needed(self, method, result, function,
                                           args):
        self.sim.faults.add(method=method, http_status=200, times=None,
                            body={'id': 1, 'result': result})
        exc = self.assert_fails(errors.UnexpectedReply,
                                getattr(self.client, function), *args)
        self.assertEqual(method, exc.method)

    def test_list_running_clones_of_odd_jobs(self):
        clone = {'type': 'clone', 'srcVolumeID': 1, 'dstVolumeID': 2}
        self.sim.faults.add(
            method='ListSyncJobs', http_status=200, body={'result': {
                'syncJobs': [None, 'x', {}, clone, dict(clone, type='slice'),
                             dict(clone, srcVolumeID=3)]}})
        self.assertEqual({2}, self.client.list_running_clones(1))


@ddt.ddt
class RetryTestCase(ClientTestCase):
    """Which failures are repeated, how long, how often."""

    # Every method, by the client's own.
    CALLS = {
        'AddAccount': ('add_account', 'other', SECRET),
        'CancelClone': ('cancel_clone', 1),
        'CloneVolume': ('clone_volume', 1, 'c', 1, True, {}),
        'CreateVolume': ('create_volume', 'v', 1, units.Gi, True, {}),
        'DeleteVolume': ('remove_volume', 1),
        'GetAccountByName': ('get_account', 'tenant'),
        'GetAsyncResult': ('get_job', 1),
        'GetDefaultQoS': ('get_default_qos',),
        'GetLimits': ('get_clones_per_volume',),
        'ListSyncJobs': ('list_running_clones', 1),
        'ListVolumes': ('list_volumes', 'v'),
        'ModifyVolume': ('modify_volume', 1),
        'PurgeDeletedVolume': ('remove_volume', 1),
    }
    ONCE = ('CloneVolume', 'CreateVolume')

    def setUp(self):
        super().setUp()
        # Something for each of the calls to work on.
        volume = self.make_volume()
        self.client.clone_volume(volume.id, 'c', 1, True, {})
        self.sim.reset_calls()

    def make_call(self, method):
        name, *args = self.CALLS[method]
        return getattr(self.client, name)(*args)

    def test_every_method_is_tried(self):
        self.assertEqual(set(element._METHODS), set(self.CALLS))

    def make_safe_call(self, method):
        """Call a method as those do who look before they repeat."""
        if method not in self.ONCE:
            return self.make_call(method)
        return element.repeat_looking(lambda: self.make_call(method),
                                      lambda exc: None, self.clock)

    @ddt.data(*sorted(ONCE))
    def test_transient_error_is_not_repeated_blindly(self, method):
        self.sim.faults.add(method=method, error='xDBVersionMismatch')
        self.assert_fails(errors.ApiError, self.make_call, method)
        self.assertEqual(1, self.sim.calls.count(method))

    @ddt.data(*sorted(ONCE))
    def test_repeat_looking_returns_what_was_carried_out(self, method):
        self.sim.faults.add(method=method, error='xDBVersionMismatch',
                            when='after')
        self.assertEqual('found', element.repeat_looking(
            lambda: self.make_call(method), lambda exc: 'found', self.clock))
        self.assertEqual(1, self.sim.calls.count(method))

    @ddt.data(*sorted(CALLS))
    def test_transient_error_is_repeated_until_success(self, method):
        self.sim.faults.add(method=method, error='xDBVersionMismatch',
                            times=4)
        self.make_safe_call(method)
        self.assertEqual(5, self.sim.calls.count(method))
        self.assertEqual(4, len(self.clock.slept))

    def test_waits_grow_up_to_a_bound(self):
        self.sim.faults.add(method='GetLimits', error='xNotPrimary',
                            times=None)
        self.assert_fails(errors.ApiError, self.client.get_clones_per_volume)
        # To each of these but the last ones, up to half a second is added.
        least = [0.5, 1, 2, 4, 8, 8, 8, 8][:len(self.clock.slept)]
        self.assertGreaterEqual(len(least), 6)
        for wait, low in zip(self.clock.slept, least):
            self.assertGreaterEqual(wait, low)
            self.assertLessEqual(wait, low + 0.5)
        self.assertEqual(len(least), len(self.clock.slept))

    def test_waits_differ_from_client_to_client(self):
        waits = []
        for client in (self.client, self.new_client()):
            self.sim.faults.add(method='GetLimits', error='xNotPrimary',
                                times=4)
            before = len(self.clock.slept)
            client.get_clones_per_volume()
            waits.append(self.clock.slept[before:])
            self.assertEqual(4, len(waits[-1]))
        for first, second in zip(*waits):
            self.assertNotEqual(first, second)

    def test_deadline_ends_it_with_the_last_real_error(self):
        begin = self.clock.monotonic()
        self.sim.faults.add(method='GetLimits', error='xNotPrimary', times=3)
        self.sim.faults.add(method='GetLimits', error='xNotReadyForIO',
                            message='the last one', times=None)
        exc = self.assert_fails(errors.ApiError,
                                self.client.get_clones_per_volume)
        self.assertEqual(('xNotReadyForIO', 'the last one'),
                         (exc.name, exc.reason))
        spent = self.clock.monotonic() - begin
        self.assertGreaterEqual(spent, element.RETRY_SECONDS)
        self.assertLess(spent, element.RETRY_SECONDS + 8)
        self.assertEqual(len(self.clock.slept) + 1, self.sim.calls.count())

    @ddt.data(('xPermissionDenied', 'ModifyVolume'),
              ('xMaxSnapshotsPerVolumeExceeded', 'CloneVolume'),
              ('xInvalidParameter', 'CloneVolume'),
              ('xDBNoSuchPath', 'ModifyVolume'))
    @ddt.unpack
    def test_few_attempts(self, name, method):
        attempts = errors.FEW_ATTEMPTS[name]
        rule = self.sim.faults.add(method=method, error=name, times=None)
        exc = self.assert_fails(errors.ApiError, self.make_safe_call, method)
        self.assertEqual(name, exc.name)
        self.assertEqual(attempts, rule.hits)
        self.assertEqual(attempts - 1, len(self.clock.slept))

    def test_few_attempts_may_be_enough(self):
        self.sim.faults.add(method='CloneVolume', error='xInvalidParameter',
                            times=3)
        self.assertEqual('c', self.make_safe_call('CloneVolume').volume.name)

    @ddt.data(*sorted(set(CALLS) - set(ONCE)))
    def test_lost_reply_is_asked_for_again(self, method):
        for fault in ({'drop': True}, {'drop': True, 'when': 'after'},
                      {'error': 'xDBConnectionLoss'}):
            self.sim.faults.add(method=method, **fault)
        # What the last try meets, since the second was carried out.
        met = {'AddAccount': 'xDuplicateUsername',
               'CancelClone': 'xInvalidParameter',
               'GetAsyncResult': 'xAsyncHandleDoesNotExist'}
        # A finished job is forgotten once its state was read.
        self.clock.advance(0 if method == 'CancelClone' else 3600)
        if method in met:
            exc = self.assertRaises(errors.ApiError, self.make_call, method)
            self.assertEqual(met[method], exc.name)
        else:
            self.make_call(method)
        self.assertEqual(4, self.sim.calls.count(method))

    @ddt.data(*ONCE)
    def test_lost_reply_of_a_create_is_not_asked_for_again(self, method):
        for when in ('before', 'after'):
            self.sim.faults.clear()
            self.sim.reset_calls()
            self.sim.faults.add(method=method, drop=True, when=when)
            exc = self.assert_fails(errors.ReplyLost, self.make_call, method)
            self.assertIs(errors.Kind.LOST, exc.kind)
            self.assertEqual([method], self.sim.calls.methods)
        self.assertEqual([], self.clock.slept)

    @ddt.data(*ONCE)
    def test_lost_in_the_cluster_is_not_repeated_for_a_create(self, method):
        self.sim.faults.add(method=method, error='xRpcTimeout')
        exc = self.assert_fails(errors.ApiError, self.make_call, method)
        self.assertIs(errors.Kind.LOST, exc.kind)
        self.assertEqual([method], self.sim.calls.methods)

    @ddt.data('xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded')
    def test_busy_is_raised_at_once(self, name):
        self.sim.faults.add(method='CloneVolume', error=name, times=None)
        exc = self.assert_fails(errors.Busy, self.make_call, 'CloneVolume')
        self.assertEqual(name, exc.name)
        self.assertEqual(1, self.sim.calls.count())
        self.assertEqual([], self.clock.slept)

    @ddt.data(*sorted(CALLS))
    def test_unknown_error_is_final(self, method):
        rule = self.sim.faults.add(method=method, error='xNeverHeardOf',
                                   times=None)
        exc = self.assert_fails(errors.ApiError, self.make_call, method)
        self.assertEqual('xNeverHeardOf', exc.name)
        # What tidies up insists a little, whatever the error.
        self.assertEqual(
            3 if method in ('DeleteVolume', 'PurgeDeletedVolume',
                            'ListVolumes', 'ListSyncJobs') else 1,
            rule.hits)

    @ddt.data('DeleteVolume', 'PurgeDeletedVolume')
    def test_not_found_is_not_insisted_on(self, method):
        rule = self.sim.faults.add(
            method=method, error='xVolumeIDDoesNotExist', times=None)
        self.make_call(method)
        self.assertEqual(1, rule.hits)

    def test_errors_that_are_not_ours_are_not_repeated(self):
        with mock.patch.object(self.client, '_decode', autospec=True,
                               side_effect=KeyError('x')):
            self.assertRaises(KeyError, self.client.get_clones_per_volume)
        self.assertEqual(1, self.sim.calls.count())


class SecretsTestCase(ClientTestCase):
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
        self.assert_clean(repr(self.client), repr(self.client._endpoint),
                          str(dataclasses.replace(self.client._endpoint)))

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
