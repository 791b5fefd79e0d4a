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

"""Tests of beginning clones."""

import os

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class CloneVolumeTestCase(base.CloneTestCase):

    def test_clone_volume_reply(self):
        reply = self.clone('My-Clone')
        volume = reply['volume']
        self.assertEqual({'asyncHandle', 'cloneID', 'volumeID', 'volume',
                          'curve'}, set(reply))
        self.assertEqual(('init', 0, reply['volumeID']),
                         (volume['status'], volume['sliceCount'],
                          volume['volumeID']))
        self.assertEqual('iqn.2010-01.com.solidfire:sim1.my-clone.'
                         f'{reply["volumeID"]}', volume['iqn'])

    def test_clone_volume_inherits(self):
        self.call('ModifyVolume', volumeID=self.source, access='readOnly')
        volume = self.clone()['volume']
        self.assertEqual(
            (1, base.GIB, 'readOnly', False, {'a': 1}, 123),
            (volume['accountID'], volume['totalSize'], volume['access'],
             volume['enable512e'], volume['attributes'],
             volume['qos']['minIOPS']))

    def test_clone_volume_takes_what_is_given(self):
        other = self.make_account('other')
        volume = self.clone(newAccountID=other, newSize=2 * base.GIB,
                            access='readWrite', attributes={'b': 2},
                            enable512e=True, snapshotID=0)['volume']
        self.assertEqual(
            (other, 2 * base.GIB, 'readWrite', True, {'b': 2}),
            (volume['accountID'], volume['totalSize'], volume['access'],
             volume['enable512e'], volume['attributes']))

    def test_clone_volume_empty_attributes_clear(self):
        self.assertEqual({}, self.clone(attributes={})['volume'][
            'attributes'])

    def test_clone_volume_attributes_are_its_own(self):
        clone_id = self.clone()['volumeID']
        self.call('ModifyVolume', volumeID=clone_id, attributes={'z': 1})
        self.assertEqual({'a': 1},
                         self.cluster.volumes[self.source].attributes)

    @ddt.data('readOnly', 'locked')
    def test_clone_volume_of_protected_source(self, access):
        self.call('ModifyVolume', volumeID=self.source, access=access)
        self.clone(access='readWrite')

    def test_clone_volume_not_in_access_groups(self):
        self.call('CreateVolumeAccessGroup', name='g', volumes=[self.source])
        self.assertEqual([], self.clone()['volume']['volumeAccessGroups'])

    def test_clone_volume_is_in_no_list_until_done(self):
        clone_id = self.clone('c')['volumeID']
        lists = (('ListVolumes', {}),
                 ('ListVolumes', {'volumeIDs': [clone_id]}),
                 ('ListVolumes', {'volumeName': 'c'}),
                 ('ListVolumes', {'startVolumeID': clone_id, 'limit': 1}),
                 ('ListActiveVolumes', {}), ('ListDeletedVolumes', {}),
                 ('ListVolumesForAccount', {'accountID': 1}))
        for method, params in lists:
            ids = [volume['volumeID'] for volume in
                   self.call(method, **params)['volumes']]
            self.assertNotIn(clone_id, ids)
        self.clock.advance(10)
        for method, params in lists:
            ids = [volume['volumeID'] for volume in
                   self.call(method, **params)['volumes']]
            self.assertEqual(method != 'ListDeletedVolumes', clone_id in ids)
        volume = self.call('ListVolumes', volumeIDs=[clone_id])['volumes'][0]
        self.assertEqual(('active', 1),
                         (volume['status'], volume['sliceCount']))

    def test_clone_volume_can_be_modified_meanwhile(self):
        clone_id = self.clone()['volumeID']
        self.call('ModifyVolume', volumeID=clone_id, totalSize=2 * base.GIB,
                  attributes={'n': 1}, qos={'minIOPS': 200})
        self.clock.advance(10)
        volume = self.call('ListVolumes', volumeIDs=[clone_id])['volumes'][0]
        self.assertEqual((2 * base.GIB, {'n': 1}, 200),
                         (volume['totalSize'], volume['attributes'],
                          volume['qos']['minIOPS']))

    def test_clone_volume_data_is_of_the_moment_of_the_call(self):
        self.write(self.source, 0, b'before')
        self.write(self.source, base.GIB - 3, b'end')
        clone_id = self.clone()['volumeID']
        self.write(self.source, 0, b'later!')
        self.clock.advance(10)
        self.assertEqual(b'before', self.read(clone_id, 0, 6))
        self.assertEqual(b'end', self.read(clone_id, base.GIB - 3, 3))
        self.assertLess(self.disk_bytes(clone_id), base.MIB)
        self.write(clone_id, 0, b'mine')
        self.assertEqual(b'later!', self.read(self.source, 0, 6))

    def test_clone_volume_larger_ends_in_zeros(self):
        self.write(self.source, base.GIB - 3, b'end')
        clone_id = self.clone(newSize=base.GIB + 1)['volumeID']
        self.assertEqual(base.GIB + base.MIB, os.path.getsize(
            self.cluster.volume_path(clone_id)))
        self.assertEqual(b'end\0\0', self.read(clone_id, base.GIB - 3, 5))

    def test_clone_volume_smaller_is_cut(self):
        big = self.make_volume(size=2 * base.GIB)
        self.write(big, 0, b'data')
        clone_id = self.clone(volume_id=big, newSize=base.GIB)['volumeID']
        self.assertEqual(base.GIB, os.path.getsize(
            self.cluster.volume_path(clone_id)))
        self.assertEqual(b'data', self.read(clone_id, 0, 4))

    @ddt.data(
        ('xVolumeIDDoesNotExist', {'volumeID': 99}),
        ('xAccountIDDoesNotExist', {'newAccountID': 99}),
        ('xSnapshotIDDoesNotExist', {'snapshotID': 99}),
        ('xInvalidAPIParameter', {'name': 'a_b'}),
        ('xInvalidParameter', {'newSize': 5}),
        ('xInvalidParameter', {'attributes': {'k': 'x' * 1000}}))
    @ddt.unpack
    def test_clone_volume_refused(self, error, params):
        self.refused(error, 'CloneVolume',
                     **{'volumeID': self.source, 'name': 'c', **params})
        self.assertEqual([self.source], list(self.cluster.volumes))
        self.assertEqual([], self.cluster.jobs.running())

    def test_clone_volume_of_a_clone_under_way(self):
        clone_id = self.clone()['volumeID']
        error = self.refused('xInvalidParameter', 'CloneVolume',
                             volumeID=clone_id, name='cc')
        self.assertIn('not in the active state', error.message)
        self.clock.advance(10)
        self.clone(volume_id=clone_id)

    def test_clone_volume_counts_in_limits(self):
        self.cluster.limits['volumesPerAccountCountMax'] = 2
        self.clone()
        self.refused('xExceededLimit', 'CloneVolume', volumeID=self.source,
                     name='c')


class CloneSlotsTestCase(base.CloneTestCase):

    def test_clone_slots_of_a_volume(self):
        self.clone()
        self.clock.advance(5)
        self.clone()
        self.refused('xMaxClonesPerVolumeExceeded', 'CloneVolume',
                     volumeID=self.source, name='c')
        self.clock.advance(5)
        self.clone()
        self.refused('xMaxClonesPerVolumeExceeded', 'CloneVolume',
                     volumeID=self.source, name='c')

    def test_clone_slots_of_a_node(self):
        sources = [self.make_volume() for _ in range(5)]
        for source in sources[:4]:
            self.clone(volume_id=source)
            self.clone(volume_id=source)
        self.refused('xMaxClonesPerNodeExceeded', 'CloneVolume',
                     volumeID=sources[4], name='c')
        self.clock.advance(10)
        self.clone(volume_id=sources[4])

    def test_clone_slots_of_two_nodes(self):
        self.cluster.nodes = 2
        self.cluster.limits['cloneJobsPerNodeMax'] = 1
        other = self.make_volume()
        self.assertEqual(self.source + 1, other)
        self.clone()
        self.clone(volume_id=other)
        self.refused('xMaxClonesPerNodeExceeded', 'CloneVolume',
                     volumeID=other, name='c')

    def test_clone_slots_differ(self):
        self.cluster.limits['cloneJobsPerVolumeMax'] = 1
        self.clone()
        self.refused('xMaxClonesPerVolumeExceeded', 'CloneVolume',
                     volumeID=self.source, name='c')

    def test_clone_slots_of_a_snapshot_are_its_volumes(self):
        snapshot_id = self.call('CreateSnapshot',
                                volumeID=self.source)['snapshotID']
        self.clone()
        self.clone(snapshotID=snapshot_id)
        self.refused('xMaxClonesPerVolumeExceeded', 'CloneVolume',
                     volumeID=self.source, name='c', snapshotID=snapshot_id)

    def test_clone_slot_limit_not_told(self):
        self.cluster.limits['cloneJobsPerNodeMax'] = None
        self.assertNotIn('cloneJobsPerNodeMax', self.call('GetLimits'))
        self.clone()

    def test_clone_needs_a_free_snapshot(self):
        self.cluster.limits['snapshotsPerVolumeMax'] = 1
        snapshot_id = self.call('CreateSnapshot',
                                volumeID=self.source)['snapshotID']
        self.refused('xMaxSnapshotsPerVolumeExceeded', 'CloneVolume',
                     volumeID=self.source, name='c')
        self.clone(snapshotID=snapshot_id)
