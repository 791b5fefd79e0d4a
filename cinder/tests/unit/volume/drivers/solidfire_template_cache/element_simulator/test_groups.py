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

"""Tests of volume access groups."""

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base

IQN = 'iqn.1993-08.org.debian:01:host'


class GroupsTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        self.first = self.make_volume()
        self.second = self.make_volume()
        self.group_id = self.call(
            'CreateVolumeAccessGroup', name='g', initiators=[IQN],
            volumes=[self.first],
            attributes={'openstack': True})['volumeAccessGroupID']

    def group(self):
        listed = self.call('ListVolumeAccessGroups')['volumeAccessGroups']
        return {group['volumeAccessGroupID']: group
                for group in listed}[self.group_id]

    def change(self, method, **params):
        return self.call(method, volumeAccessGroupID=self.group_id,
                         **params)['volumeAccessGroup']

    def change_refused(self, error, method, **params):
        self.refused(error, method, volumeAccessGroupID=self.group_id,
                     **params)

    def test_create_group(self):
        self.assertEqual(
            {'volumeAccessGroupID': 1, 'name': 'g', 'initiators': [IQN],
             'initiatorIDs': [1], 'volumes': [self.first],
             'deletedVolumes': [], 'attributes': {'openstack': True}},
            self.group())
        volume = self.call('ListVolumes')['volumes'][0]
        self.assertEqual([1], volume['volumeAccessGroups'])

    def test_create_group_name_is_not_unique(self):
        self.call('CreateVolumeAccessGroup', name='g')

    def test_create_group_refused(self):
        for error, params in (
                ('xInvalidAPIParameter', {'name': 'a b'}),
                ('xVolumeIDDoesNotExist', {'volumes': [99]}),
                ('xInitiatorDoesNotExist', {'initiators': [99]}),
                ('xInvalidParameterType', {'volumes': [None]}),
                ('xInvalidParameter', {'initiators': ['x' * 225]})):
            self.refused(error, 'CreateVolumeAccessGroup',
                         **{'name': 'n', **params})
        self.assertEqual(1, len(self.cluster.access_groups))

    def test_create_group_with_an_initiator_of_another(self):
        error = self.refused('xExceededLimit', 'CreateVolumeAccessGroup',
                             name='h', initiators=[IQN])
        # The stock driver looks for the name in the message.
        self.assertIn(IQN, error.message)

    def test_create_group_limits(self):
        self.cluster.limits['volumeAccessGroupCountMax'] = 1
        self.refused('xExceededLimit', 'CreateVolumeAccessGroup', name='h')
        self.cluster.limits['volumeAccessGroupsPerVolumeCountMax'] = 1
        self.refused('xExceededLimit', 'CreateVolumeAccessGroup', name='h',
                     volumes=[self.first])

    def test_list_groups(self):
        second = self.call('CreateVolumeAccessGroup',
                           name='h')['volumeAccessGroupID']
        for params, expected in (
                ({}, [self.group_id, second]),
                ({'limit': 1}, [self.group_id]),
                ({'startVolumeAccessGroupID': 2}, [second]),
                ({'volumeAccessGroups': [second, 99]}, [second])):
            reply = self.call('ListVolumeAccessGroups', **params)
            self.assertEqual(expected, [
                group['volumeAccessGroupID']
                for group in reply['volumeAccessGroups']])
        self.assertEqual([99], reply['volumeAccessGroupsNotFound'])

    def test_add_and_remove_volumes(self):
        method = 'AddVolumesToVolumeAccessGroup'
        self.assertEqual([self.first, self.second],
                         self.change(method, volumes=[self.second])[
                             'volumes'])
        self.change_refused('xAlreadyInVolumeAccessGroup', method,
                            volumes=[self.second])
        self.change_refused('xVolumeIDDoesNotExist', method, volumes=[99])
        method = 'RemoveVolumesFromVolumeAccessGroup'
        self.assertEqual([self.second],
                         self.change(method, volumes=[self.first])[
                             'volumes'])
        self.change_refused('xNotInVolumeAccessGroup', method,
                            volumes=[self.first])

    def test_add_and_remove_initiators(self):
        method = 'AddInitiatorsToVolumeAccessGroup'
        self.assertEqual([IQN, 'iqn.x:2'],
                         self.change(method, initiators=['iqn.x:2'])[
                             'initiators'])
        self.change_refused('xAlreadyInVolumeAccessGroup', method,
                            initiators=[IQN])
        method = 'RemoveInitiatorsFromVolumeAccessGroup'
        # The first initiator, told by its number.
        self.assertEqual(['iqn.x:2'],
                         self.change(method, initiators=[1])['initiators'])
        self.change_refused('xNotInVolumeAccessGroup', method,
                            initiators=[IQN])

    def test_group_counts(self):
        self.cluster.limits['volumesPerVolumeAccessGroupCountMax'] = 1
        self.cluster.limits['initiatorsPerVolumeAccessGroupCountMax'] = 1
        self.change_refused('xExceededLimit',
                            'AddVolumesToVolumeAccessGroup',
                            volumes=[self.second])
        self.change_refused('xExceededLimit',
                            'AddInitiatorsToVolumeAccessGroup',
                            initiators=['iqn.x:2'])

    def test_modify_group_lists_replace(self):
        group = self.change('ModifyVolumeAccessGroup', name='n',
                            volumes=[self.second], initiators=['iqn.x:2'],
                            attributes={'a': 1})
        self.assertEqual(('n', [self.second], ['iqn.x:2'], {'a': 1}),
                         (group['name'], group['volumes'],
                          group['initiators'], group['attributes']))
        self.assertEqual(group, self.change('ModifyVolumeAccessGroup'))

    def test_deleted_volume_moves_to_its_own_list(self):
        self.call('DeleteVolume', volumeID=self.first)
        group = self.group()
        self.assertEqual(([], [self.first]),
                         (group['volumes'], group['deletedVolumes']))
        self.call('PurgeDeletedVolume', volumeID=self.first)
        group = self.group()
        self.assertEqual(([], []),
                         (group['volumes'], group['deletedVolumes']))

    def test_delete_group(self):
        self.assertEqual({}, self.call('DeleteVolumeAccessGroup',
                                       volumeAccessGroupID=self.group_id))
        for method, params in (
                ('DeleteVolumeAccessGroup', {}),
                ('ModifyVolumeAccessGroup', {}),
                ('AddVolumesToVolumeAccessGroup', {'volumes': [1]})):
            self.change_refused('xVolumeAccessGroupIDDoesNotExist', method,
                                **params)
        volume = self.call('ListVolumes')['volumes'][0]
        self.assertEqual([], volume['volumeAccessGroups'])
