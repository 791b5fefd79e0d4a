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

"""The client's methods, against a real server: what is sent and read."""

import ddt
from oslo_utils import units

from cinder.tests.element_simulator import application
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors

SECRET = clients.SECRET


class CallTestCase(clients.ClientTestCase):
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

    def test_find_volume_that_the_cluster_says_is_not_there(self):
        self.sim.faults.add(method='ListVolumes',
                            error='xVolumeIDDoesNotExist')
        self.assertIsNone(self.client.find_volume(1))
        self.assertEqual(1, self.sim.calls.count())

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
        self.client.get_block_space()
        self.client.cancel_clone(started.clone_id)
        self.client.remove_volume(source.id)
        self.assertEqual(set(element._METHODS), set(self.sim.calls.methods))
        self.assertEqual([], [reply for reply in replies
                              if 'unusedParameters' in reply])


@ddt.ddt
class ResultTestCase(clients.ClientTestCase):
    """Results that lack something, or have it in another form."""

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
