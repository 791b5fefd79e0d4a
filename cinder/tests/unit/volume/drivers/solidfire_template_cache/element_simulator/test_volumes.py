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
import random

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class CreateVolumeTestCase(base.ClusterTestCase):

    def assert_create_refused(self, error, **params):
        self.assert_refused(error, 'CreateVolume', **{
            'name': 'v', 'accountID': 1, 'totalSize': base.GIB, **params})

    def test_create_volume_reply(self):
        self.make_account()
        reply = self.call('CreateVolume', name='Delete-This', accountID=1,
                          totalSize=base.GIB, enable512e=True,
                          attributes={'a': {'b': 1}}, qos={'minIOPS': 100})
        self.assert_contains({'volumeID': 1, 'volume': {
            'volumeID': 1, 'accountID': 1, 'name': 'Delete-This',
            'status': 'active', 'access': 'readWrite', 'enable512e': True,
            'totalSize': base.GIB, 'blockSize': 4096, 'sliceCount': 0,
            'attributes': {'a': {'b': 1}}, 'deleteTime': '', 'purgeTime': '',
            'lastAccessTime': None, 'qosPolicyID': None, 'fifoSize': 24,
            'volumeAccessGroups': [], 'volumePairs': [],
            'iqn': 'iqn.2010-01.com.solidfire:sim1.delete-this.1',
            'scsiEUIDeviceID': '73696d3100000001f47acc0100000000',
            'scsiNAADeviceID': '6f47acc10000000073696d3100000001',
            'qos': {'minIOPS': 100, 'maxIOPS': 15000, 'burstIOPS': 15000,
                    'burstTime': 60, 'curve': {'8192': 160}}}}, reply)
        volume = reply['volume']
        self.assertEqual(volume['qos']['curve'], reply['curve'])
        self.assertEqual([{**volume, 'sliceCount': 1}],
                         self.call('ListVolumes')['volumes'])
        # The pair that an exporter recorded from a real cluster.
        self.cluster.unique_id = '1mhp'
        self.assert_calls(('ListVolumes', {}, {'volumes': [
            {'scsiNAADeviceID': '6f47acc100000000316d687000000001'}]}))

    def test_create_volume_sizes(self):
        for requested, size in ((1000000000, 1000341504),
                                (2000000000, 2000683008),
                                (base.GIB, base.GIB)):
            volume_id = self.make_volume(size=requested)
            self.assertEqual(size, self.cluster.volumes[volume_id].size)
            self.assertEqual(size, self.file_size(volume_id))
            self.assertLess(self.disk_bytes(volume_id), base.MIB)

    def test_create_volume_name_used_before(self):
        # Names may be in use; ids are not used again.
        self.assertEqual([1, 2], [self.make_volume(), self.make_volume()])
        for method in 'DeleteVolume', 'PurgeDeletedVolume':
            self.call(method, volumeID=2)
        self.assertEqual(3, self.make_volume())

    def test_create_volume_refused(self):
        self.make_account()
        for error, member, values in (
                ('xAccountIDDoesNotExist', 'accountID', (2,)),
                ('xInvalidAPIParameter', 'name',
                 ('', 'x' * 65, 'a_b', 'a.b', 'a b', 'a\n')),
                ('xInvalidParameter', 'totalSize',
                 (0, -1, 999999999, 17592186044417)),
                ('xInvalidParameter', 'qos',
                 ({'minIOPS': 49}, {'minIOPS': 15001}, {'maxIOPS': 200001},
                  {'burstIOPS': 99}, {'minIOPS': 300, 'maxIOPS': 200},
                  {'maxIOPS': 400, 'burstIOPS': 300})),
                ('xInvalidParameterType', 'qos', ({'minIOPS': 'x'},)),
                ('xQoSPolicyDoesNotExist', 'qosPolicyID', (1,)),
                # Eight bytes around the text; bytes count, not letters.
                ('xInvalidParameter', 'attributes',
                 ({'k': 'x' * 992}, {'k': '\u00fc' * 500}))):
            for value in values:
                self.assert_create_refused(error, **{member: value})
        self.make_volume(attributes={'k': 'x' * 991})
        self.cluster.limits['volumesPerAccountCountMax'] = 1
        self.assert_create_refused('xExceededLimit')
        self.make_volume(self.make_account('other'))
        self.cluster.limits['volumeCountMax'] = 2
        self.assert_create_refused('xExceededLimit',
                                   accountID=self.make_account('third'))

    def test_create_volume_copies_its_members(self):
        qos = {'minIOPS': 77}
        self.cluster = self.make_cluster(default_qos=qos)
        given = {'a': [1]}
        self.make_volume(attributes=given)
        given['a'].append(2)
        self.assert_calls(
            ('GetDefaultQoS', {}, qos),
            ('ListVolumes', {}, {'volumes': [
                {'qos': qos, 'attributes': {'a': [1]}}]}))


class ModifyVolumeTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume(attributes={'a': 1},
                                          qos={'minIOPS': 100})

    def modify(self, params, expected):
        self.assert_calls(('ModifyVolume', {'volumeID': 1, **params},
                           expected))

    def test_modify_volume(self):
        before, = self.call('ListVolumes')['volumes']
        other = self.make_account('other')
        for params, changed in (
                ({}, before), ({'qos': {}}, before),
                ({'attributes': {'b': 2}}, {'attributes': {'b': 2}}),
                ({'attributes': {}}, {'attributes': {}}),
                ({'qos': {'maxIOPS': 500, 'burstIOPS': 600}},
                 {'qos': {'minIOPS': 100, 'maxIOPS': 500,
                          'burstIOPS': 600}}),
                ({'accountID': other}, {'accountID': other}),
                *(({'access': access},) * 2
                  for access in ('readOnly', 'readWrite', 'locked')),
                # Without a volume to replicate from.
                ({'access': 'replicationTarget'}, {'access': 'locked'}),
                ({'fifoSize': 30}, {'fifoSize': 30})):
            self.modify(params, {'volume': changed})

    def test_modify_volume_size_and_refused(self):
        self.write(self.volume_id, 0, b'data')
        for _ in range(2):
            self.modify({'totalSize': 2 * base.GIB},
                        {'volume': {'totalSize': 2 * base.GIB}})
        self.assertEqual(2 * base.GIB, self.file_size(self.volume_id))
        self.assertEqual(b'data', self.read(self.volume_id, 0, 4))
        self.modify({'totalSize': base.GIB}, 'xVolumeShrinkProhibited')
        before, = self.call('ListVolumes')['volumes']
        self.modify({'attributes': {'z': 0}, 'access': 'readOnly',
                     'totalSize': 1}, 'xInvalidParameter')
        self.modify({'accountID': 99}, 'xAccountIDDoesNotExist')
        self.assertEqual([before], self.call('ListVolumes')['volumes'])


class DeleteVolumeTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume()
        self.volume = {'volumeID': self.volume_id}

    def test_delete_and_purge_volume(self):
        path = self.cluster.volume_path(self.volume_id)
        deleted = {'volumes': [{'status': 'deleted', **self.volume}]}
        unknown = 'xVolumeIDDoesNotExist'
        self.assert_calls(
            ('PurgeDeletedVolume', self.volume, unknown),
            ('DeleteVolume', self.volume,
             {'volume': deleted['volumes'][0], **self.volume}),
            ('ListVolumes', {}, deleted),
            ('ListVolumesForAccount', {'accountID': 1}, deleted),
            ('ListDeletedVolumes', {}, deleted),
            ('ListActiveVolumes', {}, {'volumes': []}),
            ('CloneVolume', {'name': 'c', **self.volume}, unknown),
            ('CreateSnapshot', self.volume, unknown),
            ('GetVolumeStats', self.volume, unknown),
            ('ModifyVolume', self.volume, unknown),
            ('PurgeDeletedVolume', self.volume, {}),
            ('ListVolumes', {}, {'volumes': []}))
        self.assertFalse(os.path.exists(path))
        error = self.assert_refused(unknown, 'DeleteVolume', **self.volume)
        self.assertEqual(f'Volume {self.volume_id} does not exist.',
                         error.message)

    def test_delete_volume_purged_after_eight_hours(self):
        volume = self.call('DeleteVolume', **self.volume)['volume']
        self.assertLess(volume['deleteTime'], volume['purgeTime'])
        self.clock.advance(8 * 3600 - 1)
        self.assert_refused('xVolumeIDDoesNotExist', 'DeleteVolume',
                            **self.volume)
        self.assertEqual([self.volume_id], self.listed())
        self.clock.advance(1)
        self.assertEqual([], self.listed())

    def test_restore_deleted_volume(self):
        self.write(self.volume_id, 0, b'data')
        before = self.call('ListVolumes')
        self.call('DeleteVolume', **self.volume)
        self.call('RestoreDeletedVolume', **self.volume)
        self.assertEqual(before, self.call('ListVolumes'))
        self.assertEqual(b'data', self.read(self.volume_id, 0, 4))
        self.clock.advance(9 * 3600)
        self.assertEqual([self.volume_id], self.listed())


class ListVolumesTestCase(base.ClusterTestCase):

    def test_list_volumes(self):
        self.make_account('one')
        first = self.make_volume(1, 'first')
        second = self.make_volume(self.make_account('two'), 'second')
        third = self.make_volume(1, 'second')
        self.call('DeleteVolume', volumeID=third)
        for params, expected in (
                ({}, [first, second, third]),
                ({'volumeName': 'second'}, [second, third]),
                ({'volumeName': 'secon'}, []), ({'volumeName': 'Second'}, []),
                ({'volumeStatus': 'deleted'}, [third]),
                ({'volumeStatus': 'active'}, [first, second]),
                ({'accounts': [2]}, [second]),
                ({'accounts': ['1']}, [first, third]),
                ({'volumeIDs': [second, 99]}, [second]),
                ({'isPaired': True}, []),
                ({'isPaired': False}, [first, second, third])):
            self.assertEqual(expected, self.listed(**params))
        self.assert_calls(
            ('ListActiveVolumes', {'startVolumeID': second, 'limit': 0},
             {'volumes': [{'volumeID': second}]}),
            ('ListVolumesForAccount', {'accountID': 1},
             {'volumes': [{'volumeID': first}, {'volumeID': third}]}),
            ('ListISCSISessions', {}, {'sessions': []}),
            ('ListVolumesForAccount', {'accountID': 9},
             'xAccountIDDoesNotExist'),
            *(('ListVolumes', {'volumeIDs': [1], **params},
               'xInvalidParameter') for params in (
                {'accounts': [1]}, {'startVolumeID': 1}, {'limit': 1})))
        # A limit of one gives the next volume if the first is gone.
        self.call('DeleteVolume', volumeID=first)
        self.call('PurgeDeletedVolume', volumeID=first)
        self.assertEqual([second],
                         self.listed(startVolumeID=str(first), limit=1))

    def test_indexes(self):
        """Whatever happens to volumes, a list has what a scan would find."""
        accounts = [self.make_account(name) for name in 'abc']
        chance = random.Random(1)
        for _ in range(200):
            active = self.listed(volumeStatus='active')
            deleted = self.listed(volumeStatus='deleted')
            action = chance.choice(['create', 'create', 'move', 'grow',
                                    'delete', 'restore', 'purge'])
            account_id = chance.choice(accounts)
            if action == 'create':
                self.make_volume(account_id, chance.choice('uvw'))
            else:
                method, candidates, params = {
                    'move': ('ModifyVolume', active,
                             {'accountID': account_id}),
                    'grow': ('ModifyVolume', active,
                             {'totalSize': 2 * base.GIB}),
                    'delete': ('DeleteVolume', active, {}),
                    'restore': ('RestoreDeletedVolume', deleted, {}),
                    'purge': ('PurgeDeletedVolume', deleted, {})}[action]
                if candidates:
                    self.call(method, volumeID=chance.choice(candidates),
                              **params)
            self.assert_indexed(accounts)

    def assert_indexed(self, accounts):
        volumes = list(self.cluster.volumes.values())
        for params, found in (
                *[({'volumeName': name}, [each for each in volumes
                                          if each.name == name])
                  for name in 'uvwx'],
                *[({'accounts': [number]}, [each for each in volumes
                                            if each.account_id == number])
                  for number in accounts],
                ({'accounts': accounts}, volumes),
                ({'startVolumeID': 9, 'limit': 2},
                 [each for each in volumes if each.volume_id >= 9][:2])):
            self.assertEqual([each.volume_id for each in found],
                             self.listed(**params))
        self.assertEqual(sum(each.size for each in volumes),
                         self.cluster.volumes.provisioned)
