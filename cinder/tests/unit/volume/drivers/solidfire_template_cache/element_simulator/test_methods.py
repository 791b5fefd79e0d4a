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

"""Tests of accounts, the cluster and access groups."""

import collections

from cinder.tests.element_simulator import api
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base

IQN = 'iqn.1993-08.org.debian:01:host'
GROUP = {'volumeAccessGroupID': 1}


class AccountsTestCase(base.ClusterTestCase):

    def test_add_account(self):
        account = self.call('AddAccount', username='a_b-1')['account']
        for member in 'initiatorSecret', 'targetSecret':
            self.assertRegex(account[member], '^[A-Za-z0-9]{12}$')
        self.assertNotEqual(account['initiatorSecret'],
                            account['targetSecret'])
        reply = self.call('AddAccount', username='a',
                          initiatorSecret='i' * 12, targetSecret='t' * 16,
                          attributes={'k': 'v'}, enableChap='false')
        self.assertEqual({'accountID': 2, 'account': {
            'accountID': 2, 'username': 'a', 'status': 'active',
            'volumes': [], 'initiatorSecret': 'i' * 12,
            'targetSecret': 't' * 16, 'attributes': {'k': 'v'},
            'enableChap': False,
            'storageContainerID': '00000000-0000-0000-0000-000000000000'}},
            reply)
        self.assertNotRegex(repr(self.cluster.account(2)), 'iii|ttt')

    def test_add_account_refused(self):
        self.make_account('a')
        self.assert_calls(
            ('AddAccount', {'username': 'A'}, {'accountID': 2}),
            ('AddAccount', {'username': 'a'}, 'xDuplicateUsername'),
            *(('AddAccount', {'username': name}, 'xInvalidAPIParameter')
              for name in ('', 'x' * 65, 'a b', 'a.b')))
        for secret in 'short', 'x' * 17:
            error = self.assert_refused(
                'xInvalidParameter', 'AddAccount', username='b',
                initiatorSecret=secret)
            self.assertNotIn(secret, error.message)
        self.cluster.limits['accountCountMax'] = 2
        self.assert_refused('xExceededLimit', 'AddAccount', username='b')

    def test_get_account(self):
        self.cluster.jobs.seconds = 5
        first, second = self.make_volume(), self.make_volume()
        # Deleted volumes are listed, the targets of running clones are not.
        self.call('DeleteVolume', volumeID=second)
        self.call('CloneVolume', volumeID=first, name='c')
        account = {'account': {'username': 'tenant',
                               'volumes': [first, second]}}
        self.assert_calls(
            ('GetAccountByName', {'username': 'tenant'}, account),
            ('GetAccountByID', {'accountID': 1}, account),
            ('GetAccountByName', {'username': 'a'}, 'xUnknownAccount'),
            ('GetAccountByID', {'accountID': 9}, 'xUnknownAccount'))

    def test_list_and_modify_accounts(self):
        a, b = ({'accountID': self.make_account(username),
                 'username': username} for username in 'ac')
        changes = {'username': 'b', 'attributes': {'x': 1},
                   'status': 'locked', 'enableChap': False,
                   'initiatorSecret': 'n' * 12}
        self.assert_calls(
            ('ListAccounts', {}, {'accounts': [a, b]}),
            ('ListAccounts', {'startAccountID': 1, 'limit': 1},
             {'accounts': [a]}),
            ('ListAccounts', {'startAccountID': 2}, {'accounts': [b]}),
            ('ModifyAccount', {'accountID': 1, **changes},
             {'account': changes}),
            ('ModifyAccount', {'accountID': 1, 'username': 'b'},
             {'account': changes}),
            ('ModifyAccount', {'accountID': 1, 'username': 'd',
                               'targetSecret': 'short'}, 'xInvalidParameter'),
            ('ModifyAccount', {'accountID': 1, 'username': 'c'},
             'xDuplicateUsername'),
            ('ModifyAccount', {'accountID': 9}, 'xAccountIDDoesNotExist'),
            ('GetAccountByID', {'accountID': 1}, {'account': changes}))

    def test_remove_account(self):
        volume_id = self.make_volume()
        self.assert_calls(
            ('RemoveAccount', {'accountID': 1}, 'xInvalidParameter'),
            ('DeleteVolume', {'volumeID': volume_id}, None),
            ('RemoveAccount', {'accountID': 1}, 'xInvalidParameter'),
            ('PurgeDeletedVolume', {'volumeID': volume_id}, {}),
            ('RemoveAccount', {'accountID': 1}, {}),
            ('RemoveAccount', {'accountID': 1}, 'xAccountIDDoesNotExist'))


class ClusterTestCase(base.ClusterTestCase):

    def test_get_api_and_cluster_info(self):
        reply = self.call('GetAPI')
        first, *_others, last = reply['supportedVersions']
        self.assertEqual(('12.3', '1.0', '12.3'),
                         (reply['currentVersion'], first, last))
        self.assertEqual(api.names('12.3'), reply['12.3'])
        self.cluster = self.make_cluster(
            name='fast', unique_id='ahf7', mvip='10.0.0.1', svip='10.0.1.1',
            api_version='11.7', nodes=3)
        info = self.call('GetClusterInfo')['clusterInfo']
        self.assert_contains(
            {'name': 'fast', 'uniqueID': 'ahf7', 'mvip': '10.0.0.1',
             'svip': '10.0.1.1', 'mvipVlanTag': '0', 'repCount': 2}, info)
        self.assertRegex(info['uuid'], '^[0-9a-f-]{36}$')
        info = self.call('GetClusterVersionInfo')
        self.assert_contains(
            {'clusterAPIVersion': '11.7', 'clusterVersionInfo': [
                {'nodeID': 1}, {'nodeID': 2}, {'nodeID': 3}]}, info)
        self.assertNotIn('pendingClusterVersion', info)

    def test_get_cluster_capacity(self):
        self.write(self.make_volume(), 0, b'x' * base.MIB)
        capacity = self.call('GetClusterCapacity')['clusterCapacity']
        self.assert_contains({'provisionedSpace': base.GIB,
                              'maxProvisionedSpace': 1024 ** 5,
                              'maxOverProvisionableSpace': 5 * 1024 ** 5},
                             capacity)
        self.assertTrue(base.MIB <= capacity['usedSpace'] < 2 * base.MIB)
        for key, value in capacity.items():
            self.assertIsInstance(value, str if key == 'timestamp' else int)

    def test_over_provisioned(self):
        capacity = {'maxProvisionedSpace': base.GIB, 'currentIOPS': 7,
                    'maxOverProvisionableSpace': 2 * base.GIB}
        self.cluster = self.make_cluster(capacity=capacity)
        first, second = self.make_volume(), self.make_volume()
        create = ('CreateVolume', {'name': 'v', 'accountID': 1,
                                   'totalSize': base.GIB})
        clone = ('CloneVolume', {'name': 'v', 'volumeID': second})
        self.assert_calls(
            ('GetClusterCapacity', {}, {'clusterCapacity': capacity}),
            (*create, 'xTotalCapacityExceeded'),
            (*clone, 'xTotalCapacityExceeded'),
            ('DeleteVolume', {'volumeID': first}, None),
            (*create, 'xTotalCapacityExceeded'),
            ('PurgeDeletedVolume', {'volumeID': first}, {}),
            (*create, None))

    def test_fullness(self):
        source = self.make_volume()
        for number, stage, error in (
                (1, 'stage1Happy', None), (2, 'stage2Aware', None),
                (3, 'stage3Low', None),
                (4, 'stage4Critical', 'xTotalCapacityExceeded'),
                (5, 'stage5CompletelyConsumed', 'xTotalCapacityExceeded')):
            for setting in number, stage:
                self.cluster.set_fullness(setting)
                self.clock.advance(1)
                self.assert_calls(
                    ('GetClusterFullThreshold', {},
                     {'fullness': stage, 'blockFullness': stage}),
                    ('CreateVolume', {'name': 'v', 'accountID': 1,
                                      'totalSize': base.GIB}, error),
                    ('CloneVolume', {'name': 'c', 'volumeID': source}, error),
                    ('CreateSnapshot', {'volumeID': source}, error),
                    ('ModifyVolume', {'volumeID': source,
                                      'attributes': {'a': 1}}, None))

    def test_get_limits(self):
        limits = {'cloneJobsPerVolumeMax': 2, 'cloneJobsPerNodeMax': 8,
                  'volumeCountMax': 4000, 'volumesPerAccountCountMax': 2000,
                  'snapshotsPerVolumeMax': 32, 'volumeSizeMin': 1000000000,
                  'volumeSizeMax': 17592186044416}
        self.assert_calls(('GetLimits', {}, limits))
        self.cluster = self.make_cluster(limits={'cloneJobsPerVolumeMax': 1})
        self.assert_calls(('GetLimits', {},
                           {**limits, 'cloneJobsPerVolumeMax': 1}))

    def test_now_by_clock(self):
        before = self.cluster.now()
        self.clock.advance(90)
        self.assertEqual(90.0, (self.cluster.now() - before).total_seconds())

    def test_volume_stats(self):
        first, second = self.make_volume(), self.make_volume()
        self.call('CreateVolumeAccessGroup', name='g', volumes=[first])
        self.write(first, 0, b'x' * 8192)
        stats = {'volumeID': first, 'accountID': 1, 'volumeSize': base.GIB,
                 'nonZeroBlocks': 2, 'zeroBlocks': base.GIB // 4096 - 2,
                 'volumeAccessGroups': [1], 'readOps': 0}
        self.assert_calls(
            ('GetVolumeStats', {'volumeID': first}, {'volumeStats': stats}),
            ('ListVolumeStats', {},
             {'volumeStats': [stats, {'volumeID': second}]}),
            ('ListVolumeStats', {'volumeIDs': [second, 99]},
             {'volumeStats': [{'volumeID': second}]}))

    def nodes(self, count=300, **arguments):
        """Return how many of the volumes each node holds."""
        self.cluster = self.make_cluster(
            limits={'volumesPerAccountCountMax': count}, **arguments)
        for _ in range(count):
            self.make_volume()
        return collections.Counter(
            each['metadataHosts']['primary'] for each in
            self.call('ListVolumeStats')['volumeStats'])

    def test_placement(self):
        self.assertEqual({1: 75, 2: 75, 3: 75, 4: 75}, self.nodes(nodes=4))
        placed = self.nodes(nodes=4, placement='random')
        self.assertEqual(({1, 2, 3, 4}, True), (
            set(placed), 40 < min(placed.values()) < 75))
        self.assertEqual(placed, self.nodes(nodes=4, placement='random'))
        self.assertNotEqual(placed, self.nodes(nodes=4, placement='random',
                                               placement_seed=1))
        self.assertEqual({1: 299, 3: 1}, self.nodes(
            nodes=4, placement=lambda number: 3 if number == 7 else 1))
        self.assertRaises(ValueError, self.make_cluster, placement='far')

    def test_hidden_nodes(self):
        members = {}
        for hidden in False, True:
            self.cluster = self.make_cluster(clone_seconds=1, nodes=3,
                                             hide_nodes=hidden)
            source = self.make_volume()
            self.call('CloneVolume', volumeID=source, name='c')
            stats, = self.call('ListVolumeStats')['volumeStats']
            job, = self.call('ListSyncJobs')['syncJobs']
            members[hidden] = {*stats, *job}
            self.assertEqual(1 if hidden else 3, len(self.call(
                'GetClusterVersionInfo')['clusterVersionInfo']))
        self.assertEqual(
            {'metadataHosts', 'nodeID', 'srcServiceID', 'dstServiceID'},
            members[False] - members[True])


class GroupsTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.first, self.second = self.make_volume(), self.make_volume()
        self.call('CreateVolumeAccessGroup', name='g', initiators=[IQN],
                  volumes=[self.first], attributes={'openstack': True})

    def test_create_group(self):
        self.assert_calls(
            ('ListVolumeAccessGroups', {}, {'volumeAccessGroups': [{
                **GROUP, 'name': 'g', 'initiators': [IQN], 'initiatorIDs': [1],
                'volumes': [self.first], 'deletedVolumes': [],
                'attributes': {'openstack': True}}]}),
            ('ListVolumes', {}, {'volumes': [
                {'volumeAccessGroups': [1]}, {'volumeAccessGroups': []}]}),
            *(('CreateVolumeAccessGroup', {'name': 'n', **params}, error)
              for error, params in (
                  ('xInvalidAPIParameter', {'name': 'a b'}),
                  ('xVolumeIDDoesNotExist', {'volumes': [99]}),
                  ('xInitiatorDoesNotExist', {'initiators': [99]}),
                  ('xInvalidParameterType', {'volumes': [None]}),
                  ('xInvalidParameter', {'initiators': ['x' * 225]}))))
        error = self.assert_refused(
            'xExceededLimit', 'CreateVolumeAccessGroup', name='n',
            initiators=[IQN])
        # The stock driver looks for the name in the message.
        self.assertIn(IQN, error.message)
        self.assertEqual(1, len(self.cluster.access_groups))
        # Names need not be unique.
        self.call('CreateVolumeAccessGroup', name='g')

    def test_limits_reached(self):
        for limit, method, params in (
                ('volumesPerVolumeAccessGroupCountMax',
                 'AddVolumesToVolumeAccessGroup',
                 {**GROUP, 'volumes': [self.second]}),
                ('initiatorsPerVolumeAccessGroupCountMax',
                 'AddInitiatorsToVolumeAccessGroup',
                 {**GROUP, 'initiators': ['iqn.x:2']}),
                ('volumeAccessGroupsPerVolumeCountMax',
                 'CreateVolumeAccessGroup',
                 {'name': 'n', 'volumes': [self.first]}),
                ('volumeAccessGroupCountMax', 'CreateVolumeAccessGroup',
                 {'name': 'n'})):
            self.cluster.limits = {**self.make_cluster().limits, limit: 1}
            self.assert_refused('xExceededLimit', method, **params)

    def test_list_groups(self):
        second = {'volumeAccessGroupID': self.call(
            'CreateVolumeAccessGroup', name='h')['volumeAccessGroupID']}
        self.assert_calls(*(
            ('ListVolumeAccessGroups', params,
             {'volumeAccessGroups': groups,
              'volumeAccessGroupsNotFound': unknown})
            for params, groups, unknown in (
                ({}, [GROUP, second], []), ({'limit': 1}, [GROUP], []),
                ({'startVolumeAccessGroupID': 2}, [second], []),
                ({'volumeAccessGroups': [2, 99]}, [second], [99]))))

    def test_add_and_remove_members(self):
        for member, old, new, old_id in (
                ('volumes', self.first, self.second, self.first),
                ('initiators', IQN, 'iqn.x:2', 1)):
            add = f'Add{member.capitalize()}ToVolumeAccessGroup'
            remove = f'Remove{member.capitalize()}FromVolumeAccessGroup'
            self.assert_calls(
                (add, {**GROUP, member: [new]},
                 {'volumeAccessGroup': {member: [old, new]}}),
                (add, {**GROUP, member: [new]},
                 'xAlreadyInVolumeAccessGroup'),
                (remove, {**GROUP, member: [old_id]},
                 {'volumeAccessGroup': {member: [new]}}),
                (remove, {**GROUP, member: [old]},
                 'xNotInVolumeAccessGroup'))
        self.assert_refused('xVolumeIDDoesNotExist',
                            'AddVolumesToVolumeAccessGroup', **GROUP,
                            volumes=[99])

    def test_modify_group(self):
        changes = {'name': 'n', 'volumes': [self.second],
                   'initiators': ['iqn.x:2'], 'attributes': {'a': 1}}
        for params in changes, {}:
            self.assert_calls(('ModifyVolumeAccessGroup', {**GROUP, **params},
                               {'volumeAccessGroup': changes}))

    def test_delete_volume_and_group(self):
        for method, deleted in (('DeleteVolume', [self.first]),
                                ('PurgeDeletedVolume', [])):
            self.assert_calls(
                (method, {'volumeID': self.first}, None),
                ('ListVolumeAccessGroups', {}, {'volumeAccessGroups': [
                    {'volumes': [], 'deletedVolumes': deleted}]}))
        self.call('AddVolumesToVolumeAccessGroup', **GROUP,
                  volumes=[self.second])
        unknown = 'xVolumeAccessGroupIDDoesNotExist'
        self.assert_calls(
            ('DeleteVolumeAccessGroup', GROUP, {}),
            ('DeleteVolumeAccessGroup', GROUP, unknown),
            ('ModifyVolumeAccessGroup', GROUP, unknown),
            ('AddVolumesToVolumeAccessGroup', {**GROUP, 'volumes': [1]},
             unknown),
            ('ListVolumes', {'limit': 1},
             {'volumes': [{'volumeAccessGroups': []}]}))
