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

"""Tests of volumes."""

import os

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class CreateVolumeTestCase(base.ClusterTestCase):

    def test_create_volume_reply(self):
        self.make_account()
        reply = self.call('CreateVolume', name='Delete-This', accountID=1,
                          totalSize=base.GIB, enable512e=True,
                          attributes={'a': {'b': 1}},
                          qos={'minIOPS': 100})
        self.assertEqual(1, reply['volumeID'])
        volume = reply['volume']
        expected = {
            'volumeID': 1, 'accountID': 1, 'name': 'Delete-This',
            'status': 'active', 'access': 'readWrite', 'enable512e': True,
            'totalSize': base.GIB, 'blockSize': 4096, 'sliceCount': 0,
            'attributes': {'a': {'b': 1}}, 'deleteTime': '', 'purgeTime': '',
            'lastAccessTime': None, 'qosPolicyID': None, 'fifoSize': 24,
            'volumeAccessGroups': [], 'volumePairs': [],
            'iqn': 'iqn.2010-01.com.solidfire:sim1.delete-this.1',
            'scsiEUIDeviceID': '73696d3100000001f47acc0100000000',
            'scsiNAADeviceID': '6f47acc10000000073696d3100000001',
        }
        self.assertEqual(expected, {key: volume[key] for key in expected})
        self.assertEqual((100, 15000, 15000, 60),
                         tuple(volume['qos'][key] for key in (
                             'minIOPS', 'maxIOPS', 'burstIOPS', 'burstTime')))
        self.assertEqual(160, volume['qos']['curve']['8192'])
        self.assertEqual(volume['qos']['curve'], reply['curve'])
        listed = self.call('ListVolumes')['volumes'][0]
        self.assertEqual({**volume, 'sliceCount': 1}, listed)

    def test_create_volume_device_id_example(self):
        # The pair that an exporter recorded from a real cluster.
        self.cluster.unique_id = '1mhp'
        self.make_volume()
        self.assertEqual(
            '6f47acc100000000316d687000000001',
            self.call('ListVolumes')['volumes'][0]['scsiNAADeviceID'])

    def test_create_volume_has_data(self):
        volume_id = self.make_volume()
        path = self.cluster.volume_path(volume_id)
        self.assertEqual(f'volume-{volume_id}', os.path.basename(path))
        self.assertEqual(base.GIB, os.path.getsize(path))
        self.assertLess(self.disk_bytes(volume_id), base.MIB)

    def test_create_volume_duplicate_name(self):
        self.assertNotEqual(self.make_volume(name='same'),
                            self.make_volume(name='same'))

    def test_create_volume_ids_are_never_reused(self):
        first = self.make_volume()
        self.call('DeleteVolume', volumeID=first)
        self.call('PurgeDeletedVolume', volumeID=first)
        self.assertGreater(self.make_volume(), first)

    @ddt.data((1000000000, 1000341504), (2000000000, 2000683008),
              (base.GIB, base.GIB))
    @ddt.unpack
    def test_create_volume_rounds_up(self, asked, made):
        volume_id = self.make_volume(size=asked)
        self.assertEqual(made, self.cluster.volumes[volume_id].size)
        self.assertEqual(made, os.path.getsize(
            self.cluster.volume_path(volume_id)))

    @ddt.data(0, -1, 999999999, 17592186044417)
    def test_create_volume_size_out_of_range(self, size):
        self.make_account()
        self.refused('xInvalidParameter', 'CreateVolume', name='v',
                     accountID=1, totalSize=size)

    @ddt.data('', 'x' * 65, 'a_b', 'a.b', 'a b', 'a\n')
    def test_create_volume_bad_name(self, name):
        self.make_account()
        self.refused('xInvalidAPIParameter', 'CreateVolume', name=name,
                     accountID=1, totalSize=base.GIB)

    def test_create_volume_unknown_account(self):
        self.refused('xAccountIDDoesNotExist', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB)

    def test_create_volume_attributes_limit(self):
        # {"k":"..."} is eight bytes around the text.
        self.make_volume(attributes={'k': 'x' * 991})
        self.refused('xInvalidParameter', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB,
                     attributes={'k': 'x' * 992})
        # Bytes count, not letters.
        self.refused('xInvalidParameter', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB,
                     attributes={'k': '\u00fc' * 500})

    def test_create_volume_keeps_its_own_attributes(self):
        given = {'a': [1]}
        volume_id = self.make_volume(attributes=given)
        given['a'].append(2)
        self.assertEqual({'a': [1]},
                         self.cluster.volumes[volume_id].attributes)

    @ddt.data({'minIOPS': 49}, {'minIOPS': 15001}, {'maxIOPS': 200001},
              {'burstIOPS': 99}, {'minIOPS': 300, 'maxIOPS': 200},
              {'maxIOPS': 400, 'burstIOPS': 300})
    def test_create_volume_bad_qos(self, qos):
        self.make_account()
        self.refused('xInvalidParameter', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB, qos=qos)

    def test_create_volume_qos_not_a_number(self):
        self.make_account()
        self.refused('xInvalidParameterType', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB, qos={'minIOPS': 'x'})

    def test_create_volume_qos_policy(self):
        self.make_account()
        self.refused('xQoSPolicyDoesNotExist', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB, qosPolicyID=1)

    def test_create_volume_limit_of_account(self):
        self.cluster.limits['volumesPerAccountCountMax'] = 1
        self.make_volume()
        self.refused('xExceededLimit', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB)
        other = self.make_account('other')
        self.make_volume(other)

    def test_create_volume_limit_of_cluster(self):
        self.cluster.limits['volumeCountMax'] = 1
        self.make_volume()
        other = self.make_account('other')
        self.refused('xExceededLimit', 'CreateVolume', name='v',
                     accountID=other, totalSize=base.GIB)

    def test_create_volume_default_qos(self):
        self.cluster = self.make_cluster(default_qos={'minIOPS': 77})
        self.assertEqual(77, self.call('GetDefaultQoS')['minIOPS'])
        volume_id = self.make_volume()
        self.assertEqual(77, self.cluster.volumes[volume_id].qos['minIOPS'])


@ddt.ddt
class ModifyVolumeTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume(attributes={'a': 1},
                                          qos={'minIOPS': 100})

    def modify(self, **params):
        return self.call('ModifyVolume', volumeID=self.volume_id,
                         **params)['volume']

    def test_modify_volume_keeps_what_is_left_out(self):
        before = self.call('ListVolumes')['volumes'][0]
        self.assertEqual(before, self.modify())
        self.assertEqual(before, self.modify(qos={}))

    def test_modify_volume_attributes_replace(self):
        self.assertEqual({'b': 2},
                         self.modify(attributes={'b': 2})['attributes'])
        self.assertEqual({}, self.modify(attributes={})['attributes'])

    def test_modify_volume_qos(self):
        qos = self.modify(qos={'maxIOPS': 500, 'burstIOPS': 600})['qos']
        self.assertEqual((100, 500, 600), (qos['minIOPS'], qos['maxIOPS'],
                                           qos['burstIOPS']))

    def test_modify_volume_account(self):
        other = self.make_account('other')
        self.assertEqual(other, self.modify(accountID=other)['accountID'])
        self.refused('xAccountIDDoesNotExist', 'ModifyVolume',
                     volumeID=self.volume_id, accountID=99)

    @ddt.data('readOnly', 'readWrite', 'locked')
    def test_modify_volume_access(self, access):
        self.assertEqual(access, self.modify(access=access)['access'])

    def test_modify_volume_replication_target_unpaired(self):
        self.assertEqual('locked',
                         self.modify(access='replicationTarget')['access'])

    def test_modify_volume_grows(self):
        self.write(self.volume_id, 0, b'data')
        self.assertEqual(2 * base.GIB,
                         self.modify(totalSize=2 * base.GIB)['totalSize'])
        self.assertEqual(2 * base.GIB, os.path.getsize(
            self.cluster.volume_path(self.volume_id)))
        self.assertEqual(b'data', self.read(self.volume_id, 0, 4))
        self.modify(totalSize=2 * base.GIB)

    def test_modify_volume_does_not_shrink(self):
        self.modify(totalSize=2 * base.GIB)
        self.refused('xVolumeShrinkProhibited', 'ModifyVolume',
                     volumeID=self.volume_id, totalSize=base.GIB)

    def test_modify_volume_changes_nothing_when_refused(self):
        self.refused('xInvalidParameter', 'ModifyVolume',
                     volumeID=self.volume_id, attributes={'z': 0},
                     access='readOnly', totalSize=1)
        volume = self.cluster.volumes[self.volume_id]
        self.assertEqual(({'a': 1}, 'readWrite'),
                         (volume.attributes, volume.access))

    def test_modify_volume_fifo(self):
        self.assertEqual(30, self.modify(fifoSize=30)['fifoSize'])

    def test_modify_volume_deleted(self):
        self.call('DeleteVolume', volumeID=self.volume_id)
        self.refused('xVolumeIDDoesNotExist', 'ModifyVolume',
                     volumeID=self.volume_id)


class DeleteVolumeTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume()

    def test_delete_volume_stays_until_purged(self):
        path = self.cluster.volume_path(self.volume_id)
        reply = self.call('DeleteVolume', volumeID=self.volume_id)
        self.assertEqual('deleted', reply['volume']['status'])
        self.assertEqual(self.volume_id, reply['volumeID'])
        for method, params in (('ListVolumes', {}),
                               ('ListVolumesForAccount', {'accountID': 1}),
                               ('ListDeletedVolumes', {})):
            listed = self.call(method, **params)['volumes']
            self.assertEqual(['deleted'],
                             [volume['status'] for volume in listed])
        self.assertEqual([], self.call('ListActiveVolumes')['volumes'])
        self.assertEqual({}, self.call('PurgeDeletedVolume',
                                       volumeID=self.volume_id))
        self.assertEqual([], self.listed())
        self.assertFalse(os.path.exists(path))

    def test_delete_volume_twice(self):
        self.call('DeleteVolume', volumeID=self.volume_id)
        error = self.refused('xVolumeIDDoesNotExist', 'DeleteVolume',
                             volumeID=self.volume_id)
        self.assertEqual(f'Volume {self.volume_id} does not exist.',
                         error.message)

    def test_delete_volume_refuses_what_needs_an_active_one(self):
        self.call('DeleteVolume', volumeID=self.volume_id)
        for method, params in (('CloneVolume', {'name': 'c'}),
                               ('CreateSnapshot', {}),
                               ('GetVolumeStats', {})):
            self.refused('xVolumeIDDoesNotExist', method,
                         volumeID=self.volume_id, **params)

    def test_delete_volume_purged_after_eight_hours(self):
        reply = self.call('DeleteVolume', volumeID=self.volume_id)
        self.clock.advance(8 * 3600 - 1)
        self.assertEqual([self.volume_id], self.listed())
        self.clock.advance(1)
        self.assertEqual([], self.listed())
        self.assertLess(reply['volume']['deleteTime'],
                        reply['volume']['purgeTime'])

    def test_purge_volume_not_deleted(self):
        self.refused('xVolumeIDDoesNotExist', 'PurgeDeletedVolume',
                     volumeID=self.volume_id)
        self.assertEqual([self.volume_id], self.listed())

    def test_restore_deleted_volume(self):
        self.write(self.volume_id, 0, b'data')
        before = self.call('ListVolumes')
        self.call('DeleteVolume', volumeID=self.volume_id)
        self.call('RestoreDeletedVolume', volumeID=self.volume_id)
        self.assertEqual(before, self.call('ListVolumes'))
        self.assertEqual(b'data', self.read(self.volume_id, 0, 4))
        self.clock.advance(9 * 3600)
        self.assertEqual([self.volume_id], self.listed())


class ListVolumesTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.make_account('one')
        self.make_account('two')
        self.first = self.make_volume(1, 'first')
        self.second = self.make_volume(2, 'second')
        self.third = self.make_volume(1, 'second')
        self.call('DeleteVolume', volumeID=self.third)

    def test_list_volumes_all_by_id(self):
        self.assertEqual([self.first, self.second, self.third],
                         self.listed())

    def test_list_volumes_by_name_is_exact(self):
        self.assertEqual([self.second, self.third],
                         self.listed(volumeName='second'))
        self.assertEqual([], self.listed(volumeName='secon'))
        self.assertEqual([], self.listed(volumeName='Second'))

    def test_list_volumes_by_status(self):
        self.assertEqual([self.third], self.listed(volumeStatus='deleted'))
        self.assertEqual([self.first, self.second],
                         self.listed(volumeStatus='active'))

    def test_list_volumes_by_account(self):
        self.assertEqual([self.second], self.listed(accounts=[2]))
        self.assertEqual([self.first, self.third],
                         self.listed(accounts=['1']))

    def test_list_volumes_by_ids_leaves_out_unknown_ones(self):
        self.assertEqual([self.second],
                         self.listed(volumeIDs=[self.second, 99]))

    def test_list_volumes_ids_go_alone(self):
        for params in ({'accounts': [1]}, {'startVolumeID': 1},
                       {'limit': 1}):
            self.refused('xInvalidParameter', 'ListVolumes', volumeIDs=[1],
                         **params)

    def test_list_volumes_start_gives_the_next_when_gone(self):
        self.call('DeleteVolume', volumeID=self.first)
        self.call('PurgeDeletedVolume', volumeID=self.first)
        self.assertEqual([self.second],
                         self.listed(startVolumeID=str(self.first), limit=1))

    def test_list_volumes_paired(self):
        self.assertEqual([], self.listed(isPaired=True))
        self.assertEqual(3, len(self.listed(isPaired=False)))

    def test_list_active_volumes(self):
        volumes = self.call('ListActiveVolumes', startVolumeID=self.second,
                            limit=0)['volumes']
        self.assertEqual([self.second], [v['volumeID'] for v in volumes])

    def test_list_volumes_for_account(self):
        volumes = self.call('ListVolumesForAccount', accountID=1)['volumes']
        self.assertEqual([self.first, self.third],
                         [v['volumeID'] for v in volumes])
        self.refused('xAccountIDDoesNotExist', 'ListVolumesForAccount',
                     accountID=9)

    def test_list_iscsi_sessions(self):
        self.assertEqual({'sessions': []}, self.call('ListISCSISessions'))
