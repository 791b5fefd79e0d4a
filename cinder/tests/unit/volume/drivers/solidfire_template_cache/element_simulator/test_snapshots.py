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

"""Tests of snapshots, and of pairs of clusters and volumes."""

import os

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import peers
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class SnapshotsTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume(name='v')
        self.write(self.volume_id, 0, b'one')

    def snapshot(self, **params):
        return self.call('CreateSnapshot', **{'volumeID': self.volume_id,
                                              **params})

    def roll_back(self, snapshot_id, **params):
        return self.call('RollbackToSnapshot', volumeID=self.volume_id,
                         snapshotID=snapshot_id, **params)

    def names(self, **params):
        return [snapshot['name'] for snapshot in
                self.call('ListSnapshots', **params)['snapshots']]

    def test_create_snapshot(self):
        # Names need not be unique.
        for number in 1, 2:
            self.assert_contains(
                {'snapshotID': number, 'checksum': '0x0', 'snapshot': {
                    'snapshotID': number, 'volumeID': self.volume_id,
                    'volumeName': 'v', 'name': 's', 'status': 'done',
                    'totalSize': base.GIB, 'attributes': {'a': 1},
                    'groupID': 0, 'checksum': '0x0',
                    'expirationReason': 'None', 'expirationTime': None,
                    'remoteStatuses': [], 'snapMirrorLabel': None,
                    'enableRemoteReplication': False}},
                self.snapshot(name='s', attributes={'a': 1}))
        self.assertRegex(self.snapshot()['snapshot']['name'],
                         r'^\d{4}-\d\d-\d\dT')

    def test_create_snapshot_refused(self):
        self.cluster.limits['snapshotsPerVolumeMax'] = 1
        self.cluster.jobs.seconds = 5
        clone_id = self.call('CloneVolume', volumeID=self.volume_id,
                             name='c')['volumeID']
        volume = {'volumeID': self.volume_id}
        self.assert_calls(
            ('CreateSnapshot', {'volumeID': clone_id}, 'xInvalidParameter'),
            ('CreateSnapshot', {**volume, 'name': 'x' * 256},
             'xExceededLimit'),
            ('CreateSnapshot', {**volume, 'name': 'x' * 255}, None),
            ('CreateSnapshot', volume, 'xMaxSnapshotsPerVolumeExceeded'))

    def test_clone_and_snapshot_of_snapshot(self):
        first = self.snapshot()['snapshotID']
        self.write(self.volume_id, 0, b'two')
        clone_id = self.call('CloneVolume', volumeID=self.volume_id,
                             name='c', snapshotID=first,
                             newSize=2 * base.GIB)['volumeID']
        self.assertEqual(b'one', self.read(clone_id, 0, 3))
        self.assertEqual(2 * base.GIB, self.file_size(clone_id))
        self.roll_back(self.snapshot(snapshotID=first)['snapshotID'])
        self.assertEqual(b'one', self.read(self.volume_id, 0, 3))
        for method in 'CloneVolume', 'RollbackToSnapshot', 'CreateSnapshot':
            self.assert_refused('xSnapshotIDDoesNotExist', method, name='c',
                                snapshotID=first, volumeID=clone_id)

    def test_list_snapshots(self):
        self.snapshot(name='a')
        second = self.snapshot(volumeID=self.make_volume(),
                               name='b')['snapshotID']
        self.assertEqual(['a', 'b'], self.names())
        self.assertEqual(['a'], self.names(volumeID=self.volume_id))
        self.assertEqual(['b'], self.names(snapshotID=second))
        self.assert_calls(
            ('ListSnapshots', {'volumeID': 99}, 'xVolumeIDDoesNotExist'),
            ('ListSnapshots', {'snapshotID': 99}, 'xSnapshotIDDoesNotExist'))

    def test_rollback(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.write(self.volume_id, 0, b'two')
        saved = self.roll_back(snapshot_id, saveCurrentState=True,
                               name='saved')
        self.assertEqual('saved', saved['snapshot']['name'])
        self.roll_back(saved['snapshotID'])
        self.assertEqual(b'two', self.read(self.volume_id, 0, 3))
        self.write(self.volume_id, base.MIB, b'more')
        self.call('ModifyVolume', volumeID=self.volume_id,
                  totalSize=2 * base.GIB)
        # As the stock driver calls it.
        reply = self.roll_back(snapshot_id, accountID=1,
                               saveCurrentState='false')
        self.assertEqual({'snapshot': None, 'snapshotID': None,
                          'checksum': '0x0'}, reply)
        self.assertEqual(b'one', self.read(self.volume_id, 0, 3))
        self.assertEqual(b'\0\0', self.read(self.volume_id, base.MIB, 2))
        self.assertEqual(2 * base.GIB, self.file_size(self.volume_id))

    def test_delete_snapshot(self):
        snapshot = {'snapshotID': self.snapshot()['snapshotID']}
        self.assert_calls(
            ('DeleteSnapshot', snapshot, {}),
            ('DeleteSnapshot', snapshot, 'xSnapshotIDDoesNotExist'))
        self.assertEqual(['volume-1'],
                         os.listdir(self.cluster.files.directory))
        # With its volume.
        self.snapshot(name='s')
        for method, names in (('DeleteVolume', ['s']),
                              ('PurgeDeletedVolume', [])):
            self.call(method, volumeID=self.volume_id)
            self.assertEqual(names, self.names())
        self.assertEqual([], os.listdir(self.cluster.files.directory))


class GroupSnapshotsTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_ids = [self.make_volume(), self.make_volume()]
        self.reply = self.call('CreateGroupSnapshot', name='g',
                               volumes=self.volume_ids)
        self.group = {'groupSnapshotID': self.reply['groupSnapshotID']}

    def test_create_group_snapshot(self):
        members = [{'volumeID': volume_id, 'snapshotID': number}
                   for number, volume_id in enumerate(self.volume_ids, 1)]
        group = {**self.reply['groupSnapshot'], 'members': members}
        self.assert_contains({'members': members, 'groupSnapshot': group},
                             self.reply)
        self.assert_calls(
            ('ListSnapshots', {}, {'snapshots': [
                {'groupID': group['groupSnapshotID'], **member}
                for member in members]}),
            *(('ListGroupSnapshots', params, {'groupSnapshots': groups})
              for params, groups in (
                  ({}, [group]), ({'volumes': self.volume_ids[:1]}, [group]),
                  ({'volumes': [99]}, []), ({'groupSnapshotID': 99}, []))),
            ('CreateGroupSnapshot', {'volumes': [*self.volume_ids, 99]},
             'xVolumeIDDoesNotExist'))
        self.cluster.limits['volumesPerGroupSnapshotMax'] = 1
        self.assert_refused('xExceededLimit', 'CreateGroupSnapshot',
                            volumes=self.volume_ids)
        self.assertEqual(2, len(self.cluster.snapshots))

    def test_delete_group_snapshot(self):
        member = {'groupID': 0}
        self.assert_calls(
            ('DeleteGroupSnapshot', {**self.group, 'saveMembers': True}, {}),
            ('ListSnapshots', {}, {'snapshots': [member, member]}),
            ('DeleteGroupSnapshot', self.group,
             'xGroupSnapshotIDDoesNotExist'),
            ('CreateGroupSnapshot', {'volumes': self.volume_ids},
             {'groupSnapshotID': 2}),
            ('DeleteGroupSnapshot', {'groupSnapshotID': 2}, {}),
            ('ListSnapshots', {}, {'snapshots': [member, member]}))

    def test_delete_last_member(self):
        for member in self.reply['members']:
            self.assertEqual(1, len(self.cluster.group_snapshots))
            self.call('DeleteSnapshot', snapshotID=member['snapshotID'])
        self.assert_calls(('ListGroupSnapshots', {}, {'groupSnapshots': []}))


class PairingTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        shared = peers.Peers()
        self.cluster = self.make_cluster(peers=shared, mvip='10.0.0.1',
                                         name='near')
        self.far = self.make_cluster(peers=shared, mvip='10.0.0.2',
                                     name='far')

        self.call_far('AddAccount', username='tenant')
        self.far_id = self.call_far('CreateVolume', name='v', accountID=1,
                                    totalSize=base.GIB)['volumeID']
        self.near_id = self.make_volume()

    def call_far(self, method, **params):
        return api.call(self.far, method, params).result

    def assert_refused_far(self, error, method, **params):
        self.assertRaisesRegex(Exception, error, self.call_far, method,
                               **params)

    def pair_clusters(self):
        key = self.call('StartClusterPairing')['clusterPairingKey']
        self.call_far('CompleteClusterPairing', clusterPairingKey=key)

    def start_volume_pairing(self, volume_id, **params):
        """Return the parameters of CompleteVolumePairing."""
        key = self.call('StartVolumePairing', volumeID=volume_id,
                        **params)['volumePairingKey']
        return {'volumeID': self.far_id, 'volumePairingKey': key}

    def test_pair_clusters(self):
        self.assertEqual([], self.call('ListClusterPairs')['clusterPairs'])
        started = self.call('StartClusterPairing')
        self.assert_calls(
            ('ListClusterPairs', {}, {
                'clusterPairs': [{'status': 'Configured'}]}),
            # A cluster cannot be paired with itself.
            ('CompleteClusterPairing',
             {'clusterPairingKey': started['clusterPairingKey']},
             'xInvalidPairingKey'))
        completed = self.call_far(
            'CompleteClusterPairing',
            clusterPairingKey=started['clusterPairingKey'])
        near, = self.call('ListClusterPairs')['clusterPairs']
        far, = self.call_far('ListClusterPairs')['clusterPairs']
        self.assert_contains(
            {'clusterPairID': started['clusterPairID'], 'mvip': '10.0.0.2',
             'status': 'Connected', 'clusterName': 'far',
             'clusterUUID': self.far.uuid,
             'clusterPairUUID': far['clusterPairUUID']}, near)
        self.assert_contains(
            {'clusterPairID': completed['clusterPairID'],
             'mvip': '10.0.0.1'}, far)
        self.assert_refused_far('xInvalidPairingKey',
                                'CompleteClusterPairing',
                                clusterPairingKey='x')
        self.assertRaisesRegex(Exception, 'xPairingAlreadyExists',
                               self.pair_clusters)
        self.cluster.limits['clusterPairsCountMax'] = 1
        self.assert_refused('xExceededLimit', 'StartClusterPairing')

    def test_pair_volumes(self):
        completion = self.start_volume_pairing(self.near_id, mode='Sync')
        self.assert_refused_far('xMVIPNotPaired', 'CompleteVolumePairing',
                                **completion)
        self.pair_clusters()
        volume = self.call_far('ModifyVolume', volumeID=self.far_id,
                               access='replicationTarget')['volume']
        self.assertEqual('locked', volume['access'])
        self.call_far('CompleteVolumePairing', **completion)
        near, = self.call('ListActivePairedVolumes')['volumes']
        far, = self.call_far('ListVolumes', isPaired=True)['volumes']
        self.assert_contains({'volumePairs': [{
            'clusterPairID': 1, 'remoteVolumeID': self.far_id,
            'volumePairUUID': far['volumePairs'][0]['volumePairUUID'],
            'remoteReplication': {'mode': 'Sync', 'state': 'Active'}}]}, near)
        self.assert_contains({'access': 'replicationTarget', 'volumePairs': [
            {'remoteVolumeID': self.near_id}]}, far)
        self.assert_refused('xVolumeAlreadyPaired', 'StartVolumePairing',
                            volumeID=self.near_id)
        # The same for the other end.
        self.assert_refused_far(
            'xVolumeAlreadyPaired', 'CompleteVolumePairing',
            **self.start_volume_pairing(self.make_volume()))

    def test_pair_deleted_volume_and_remove_pairs(self):
        self.pair_clusters()
        completion = self.start_volume_pairing(self.near_id)
        self.call('DeleteVolume', volumeID=self.near_id)
        for key in completion['volumePairingKey'], 'x':
            self.assert_refused_far(
                'xInvalidPairingKey', 'CompleteVolumePairing',
                volumeID=self.far_id, volumePairingKey=key)
        self.assert_calls(
            ('RemoveClusterPair', {'clusterPairID': 1}, {}),
            ('ListClusterPairs', {}, {'clusterPairs': []}),
            ('RemoveClusterPair', {'clusterPairID': 1},
             'xPairingDoesNotExist'),
            # The stock driver calls it for volumes without a pair.
            ('RemoveVolumePair', {'volumeID': self.make_volume()}, {}),
            ('RemoveVolumePair', {'volumeID': 99}, 'xVolumeIDDoesNotExist'))
