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

"""Tests of snapshots."""

import os

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class SnapshotsTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume(name='v')
        self.write(self.volume_id, 0, b'one')

    def snapshot(self, volume_id=None, **params):
        return self.call('CreateSnapshot',
                         volumeID=volume_id or self.volume_id, **params)

    def names(self, **params):
        return [snapshot['name'] for snapshot in
                self.call('ListSnapshots', **params)['snapshots']]

    def test_create_snapshot_reply(self):
        reply = self.snapshot(name='s', attributes={'a': 1})
        self.assertEqual((1, '0x0'), (reply['snapshotID'],
                                      reply['checksum']))
        expected = {'snapshotID': 1, 'volumeID': self.volume_id,
                    'volumeName': 'v', 'name': 's', 'status': 'done',
                    'totalSize': base.GIB, 'attributes': {'a': 1},
                    'groupID': 0, 'checksum': '0x0',
                    'expirationReason': 'None', 'expirationTime': None,
                    'remoteStatuses': [], 'snapMirrorLabel': None,
                    'enableRemoteReplication': False}
        self.assertEqual(expected, {key: reply['snapshot'][key]
                                    for key in expected})

    def test_create_snapshot_name_defaults_to_a_time(self):
        self.assertRegex(self.snapshot()['snapshot']['name'],
                         r'^\d{4}-\d\d-\d\dT')

    def test_create_snapshot_names_repeat(self):
        self.snapshot(name='s')
        self.snapshot(name='s')
        self.assertEqual(['s', 's'], self.names())

    def test_create_snapshot_limit_reached(self):
        self.cluster.limits['snapshotsPerVolumeMax'] = 2
        self.snapshot()
        self.snapshot()
        self.refused('xMaxSnapshotsPerVolumeExceeded', 'CreateSnapshot',
                     volumeID=self.volume_id)

    def test_create_snapshot_name_too_long(self):
        self.snapshot(name='x' * 255)
        self.refused('xExceededLimit', 'CreateSnapshot',
                     volumeID=self.volume_id, name='x' * 256)

    def test_create_snapshot_of_a_clone_under_way(self):
        self.cluster.jobs.seconds = 5
        clone_id = self.call('CloneVolume', volumeID=self.volume_id,
                             name='c')['volumeID']
        self.refused('xInvalidParameter', 'CreateSnapshot',
                     volumeID=clone_id)

    def test_create_snapshot_of_a_snapshot(self):
        first = self.snapshot()['snapshotID']
        self.write(self.volume_id, 0, b'two')
        second = self.snapshot(snapshotID=first)['snapshotID']
        self.call('RollbackToSnapshot', volumeID=self.volume_id,
                  snapshotID=second)
        self.assertEqual(b'one', self.read(self.volume_id, 0, 3))

    def test_list_snapshots(self):
        other = self.make_volume()
        self.snapshot(name='a')
        second = self.snapshot(other, name='b')['snapshotID']
        self.assertEqual(['a', 'b'], self.names())
        self.assertEqual(['a'], self.names(volumeID=self.volume_id))
        self.assertEqual(['b'], self.names(snapshotID=second))

    def test_list_snapshots_unknown(self):
        self.refused('xVolumeIDDoesNotExist', 'ListSnapshots', volumeID=99)
        self.refused('xSnapshotIDDoesNotExist', 'ListSnapshots',
                     snapshotID=99)

    def test_clone_of_a_snapshot(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.write(self.volume_id, 0, b'two')
        clone_id = self.call('CloneVolume', volumeID=self.volume_id,
                             name='c', snapshotID=snapshot_id,
                             newSize=2 * base.GIB)['volumeID']
        self.assertEqual(b'one', self.read(clone_id, 0, 3))
        self.assertEqual(2 * base.GIB, os.path.getsize(
            self.cluster.volume_path(clone_id)))

    def test_clone_of_another_volumes_snapshot(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.refused('xSnapshotIDDoesNotExist', 'CloneVolume', name='c',
                     volumeID=self.make_volume(), snapshotID=snapshot_id)

    def test_rollback(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.write(self.volume_id, 0, b'two')
        self.write(self.volume_id, base.MIB, b'more')
        # The stock driver sends the account and a word for false.
        reply = self.call('RollbackToSnapshot', volumeID=self.volume_id,
                          snapshotID=snapshot_id, accountID=1,
                          saveCurrentState='false')
        self.assertEqual({'snapshot': None, 'snapshotID': None,
                          'checksum': '0x0'}, reply)
        self.assertEqual(b'one', self.read(self.volume_id, 0, 3))
        self.assertEqual(b'\0\0', self.read(self.volume_id, base.MIB, 2))

    def test_rollback_keeps_the_size(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.call('ModifyVolume', volumeID=self.volume_id,
                  totalSize=2 * base.GIB)
        self.call('RollbackToSnapshot', volumeID=self.volume_id,
                  snapshotID=snapshot_id)
        self.assertEqual(2 * base.GIB, os.path.getsize(
            self.cluster.volume_path(self.volume_id)))

    def test_rollback_saves_the_current_state(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.write(self.volume_id, 0, b'two')
        saved = self.call('RollbackToSnapshot', volumeID=self.volume_id,
                          snapshotID=snapshot_id, saveCurrentState=True,
                          name='saved')
        self.assertEqual('saved', saved['snapshot']['name'])
        self.call('RollbackToSnapshot', volumeID=self.volume_id,
                  snapshotID=saved['snapshotID'])
        self.assertEqual(b'two', self.read(self.volume_id, 0, 3))

    def test_rollback_to_another_volumes_snapshot(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.refused('xSnapshotIDDoesNotExist', 'RollbackToSnapshot',
                     volumeID=self.make_volume(), snapshotID=snapshot_id)

    def test_delete_snapshot(self):
        snapshot_id = self.snapshot()['snapshotID']
        self.assertEqual({}, self.call('DeleteSnapshot',
                                       snapshotID=snapshot_id))
        self.assertEqual([], self.names())
        self.assertEqual(['volume-1'],
                         os.listdir(self.cluster.files.directory))
        self.refused('xSnapshotIDDoesNotExist', 'DeleteSnapshot',
                     snapshotID=snapshot_id)

    def test_snapshots_live_until_their_volume_is_purged(self):
        self.snapshot(name='s')
        self.call('DeleteVolume', volumeID=self.volume_id)
        self.assertEqual(['s'], self.names())
        self.call('PurgeDeletedVolume', volumeID=self.volume_id)
        self.assertEqual([], self.names())
        self.assertEqual([], os.listdir(self.cluster.files.directory))


class GroupSnapshotsTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_ids = [self.make_volume(), self.make_volume()]
        for volume_id in self.volume_ids:
            self.write(volume_id, 0, b'%d' % volume_id)
        self.group = self.call('CreateGroupSnapshot', name='g',
                               volumes=self.volume_ids)

    def test_create_group_snapshot(self):
        self.assertEqual(self.volume_ids, [member['volumeID'] for member in
                                           self.group['members']])
        listed = self.call('ListSnapshots')['snapshots']
        self.assertEqual([self.group['groupSnapshotID']] * 2,
                         [snapshot['groupID'] for snapshot in listed])
        self.assertEqual([member['snapshotID'] for member in
                          self.group['members']],
                         [snapshot['snapshotID'] for snapshot in listed])

    def test_create_group_snapshot_takes_all_or_none(self):
        self.refused('xVolumeIDDoesNotExist', 'CreateGroupSnapshot',
                     volumes=[*self.volume_ids, 99])
        self.assertEqual(2, len(self.cluster.snapshots))

    def test_create_group_snapshot_too_many(self):
        self.cluster.limits['volumesPerGroupSnapshotMax'] = 1
        self.refused('xExceededLimit', 'CreateGroupSnapshot',
                     volumes=self.volume_ids)

    def test_list_group_snapshots(self):
        group, = self.call('ListGroupSnapshots')['groupSnapshots']
        self.assertEqual(self.group['groupSnapshot'], group)
        self.assertEqual(self.volume_ids, [member['volumeID'] for member in
                                           group['members']])
        for params, count in (({'volumes': self.volume_ids[:1]}, 1),
                              ({'volumes': [99]}, 0),
                              ({'groupSnapshotID': 99}, 0)):
            self.assertEqual(count, len(self.call(
                'ListGroupSnapshots', **params)['groupSnapshots']))

    def test_delete_group_snapshot(self):
        number = self.group['groupSnapshotID']
        self.call('DeleteGroupSnapshot', groupSnapshotID=number)
        self.assertEqual([], self.call('ListSnapshots')['snapshots'])
        self.refused('xGroupSnapshotIDDoesNotExist', 'DeleteGroupSnapshot',
                     groupSnapshotID=number)

    def test_delete_group_snapshot_keeps_members(self):
        self.call('DeleteGroupSnapshot', saveMembers=True,
                  groupSnapshotID=self.group['groupSnapshotID'])
        self.assertEqual([0, 0], [snapshot['groupID'] for snapshot in
                                  self.call('ListSnapshots')['snapshots']])

    def test_group_snapshot_goes_with_its_last_member(self):
        for member in self.group['members']:
            self.assertEqual(1, len(self.cluster.group_snapshots))
            self.call('DeleteSnapshot', snapshotID=member['snapshotID'])
        self.assertEqual([], self.call('ListGroupSnapshots')[
            'groupSnapshots'])
