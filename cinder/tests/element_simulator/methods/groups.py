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

"""Volume access groups: initiators, and the volumes they can reach."""

import typing

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire


def _check_volumes(cluster: cluster.Cluster,
                   volume_ids: typing.Iterable[int]) -> None:
    for volume_id in volume_ids:
        cluster.volume(volume_id)
        groups = cluster.groups_of(volume_id)
        if len(groups) >= cluster.limit('volumeAccessGroupsPerVolumeCountMax'):
            raise errors.ApiError(
                'xExceededLimit',
                f'Volume {volume_id} is in its maximum of groups')


def _check_initiators(
        cluster: cluster.Cluster, initiators: list[str],
        own: typing.Optional[records.AccessGroup] = None) -> None:
    """Check names, and that no initiator is in another group than ``own``."""
    for iqn in initiators:
        if not 0 < len(iqn) <= cluster.limit('initiatorNameLengthMax'):
            raise errors.ApiError('xInvalidParameter',
                                  'Initiator name is too long or empty')
        for group in cluster.access_groups.values():
            if group is not own and iqn in group.initiators:
                raise errors.ApiError(
                    'xExceededLimit',
                    f'Initiator {iqn} is in its maximum of groups')


def _check_counts(cluster: cluster.Cluster, initiators: list[str],
                  volume_ids: list[int]) -> None:
    if (len(initiators)
            > cluster.limit('initiatorsPerVolumeAccessGroupCountMax')):
        raise errors.ApiError('xExceededLimit',
                              'Too many initiators for one group')
    if len(volume_ids) > cluster.limit('volumesPerVolumeAccessGroupCountMax'):
        raise errors.ApiError('xExceededLimit',
                              'Too many volumes for one group')


def _names(cluster: cluster.Cluster, initiators: list) -> list[str]:
    """Return the names of initiators that are given by name or ID."""
    by_id = {number: iqn for iqn, number in cluster.initiators.items()}
    names: list[str] = []
    for each in initiators:
        if isinstance(each, str):
            names.append(each)
        elif isinstance(each, int) and each in by_id:
            names.append(by_id[each])
        else:
            raise errors.ApiError('xInitiatorDoesNotExist',
                                  f'Initiator {each} does not exist.')
    return names


def _register(cluster: cluster.Cluster, initiators: list[str]) -> None:
    for iqn in initiators:
        if iqn not in cluster.initiators:
            cluster.initiators[iqn] = cluster.next_id('initiator')


def _reply(cluster: cluster.Cluster, group: records.AccessGroup) -> dict:
    return {'volumeAccessGroupID': group.group_id,
            'volumeAccessGroup': wire.access_group(cluster, group)}


@api.method('CreateVolumeAccessGroup', since='5.0', required={'name': str},
            optional={'initiators': [object], 'volumes': [int],
                      'attributes': dict, 'virtualNetworkID': [int],
                      'virtualNetworkTags': [int]})
def create_volume_access_group(cluster: cluster.Cluster, args: dict) -> dict:
    checks.name(cluster, args['name'], 'volumeAccessGroup')
    initiators = _names(cluster, args.get('initiators', []))
    volume_ids = args.get('volumes', [])
    attributes = checks.attributes(args.get('attributes', {}))
    _check_volumes(cluster, volume_ids)
    _check_initiators(cluster, initiators)
    _check_counts(cluster, initiators, volume_ids)
    if (len(cluster.access_groups)
            >= cluster.limit('volumeAccessGroupCountMax')):
        raise errors.ApiError('xExceededLimit',
                              'The cluster has its maximum of groups')
    _register(cluster, initiators)
    group = records.AccessGroup(
        group_id=cluster.next_id('access group'), name=args['name'],
        initiators=initiators, volume_ids=sorted(set(volume_ids)),
        attributes=attributes)
    cluster.access_groups[group.group_id] = group
    return _reply(cluster, group)


@api.method('ListVolumeAccessGroups', since='5.0',
            optional={'startVolumeAccessGroupID': int, 'limit': int,
                      'volumeAccessGroups': [int]})
def list_volume_access_groups(cluster: cluster.Cluster, args: dict) -> dict:
    requested = args.get('volumeAccessGroups')
    groups = [group for number, group in sorted(cluster.access_groups.items())
              if number >= args.get('startVolumeAccessGroupID', 0)
              and (requested is None or number in requested)]
    return {
        'volumeAccessGroups': [wire.access_group(cluster, group) for group in
                               groups[:args.get('limit') or None]],
        'volumeAccessGroupsNotFound': [
            number for number in requested or []
            if number not in cluster.access_groups]}


@api.method('ModifyVolumeAccessGroup', since='5.0',
            required={'volumeAccessGroupID': int},
            optional={'name': str, 'attributes': dict,
                      'initiators': [object], 'volumes': [int],
                      'deleteOrphanInitiators': bool})
def modify_volume_access_group(cluster: cluster.Cluster, args: dict) -> dict:
    group = cluster.access_group(args['volumeAccessGroupID'])
    if 'name' in args:
        checks.name(cluster, args['name'], 'volumeAccessGroup')
    initiators = _names(cluster, args.get('initiators', group.initiators))
    volume_ids = args.get('volumes', group.volume_ids)
    _check_initiators(cluster, initiators, group)
    _check_volumes(cluster, set(volume_ids) - set(group.volume_ids))
    _check_counts(cluster, initiators, volume_ids)
    if 'attributes' in args:
        group.attributes = checks.attributes(args['attributes'])
    group.name = args.get('name', group.name)
    _register(cluster, initiators)
    group.initiators = initiators
    group.volume_ids = sorted(set(volume_ids))
    return _reply(cluster, group)


@api.method('AddVolumesToVolumeAccessGroup', since='5.0',
            required={'volumeAccessGroupID': int, 'volumes': [int]})
def add_volumes(cluster: cluster.Cluster, args: dict) -> dict:
    group = cluster.access_group(args['volumeAccessGroupID'])
    for volume_id in args['volumes']:
        if volume_id in group.volume_ids:
            raise errors.ApiError('xAlreadyInVolumeAccessGroup',
                                  f'Volume {volume_id} is in the group')
    _check_volumes(cluster, args['volumes'])
    volume_ids = sorted({*group.volume_ids, *args['volumes']})
    _check_counts(cluster, group.initiators, volume_ids)
    group.volume_ids = volume_ids
    return _reply(cluster, group)


@api.method('RemoveVolumesFromVolumeAccessGroup', since='5.0',
            required={'volumeAccessGroupID': int, 'volumes': [int]})
def remove_volumes(cluster: cluster.Cluster, args: dict) -> dict:
    group = cluster.access_group(args['volumeAccessGroupID'])
    for volume_id in args['volumes']:
        if volume_id not in group.volume_ids:
            raise errors.ApiError('xNotInVolumeAccessGroup',
                                  f'Volume {volume_id} is not in the group')
    group.volume_ids = [each for each in group.volume_ids
                        if each not in args['volumes']]
    return _reply(cluster, group)


@api.method('AddInitiatorsToVolumeAccessGroup', since='5.0',
            required={'volumeAccessGroupID': int, 'initiators': [object]})
def add_initiators(cluster: cluster.Cluster, args: dict) -> dict:
    group = cluster.access_group(args['volumeAccessGroupID'])
    added = _names(cluster, args['initiators'])
    for iqn in added:
        if iqn in group.initiators:
            raise errors.ApiError('xAlreadyInVolumeAccessGroup',
                                  f'Initiator {iqn} is in the group')
    _check_initiators(cluster, added, group)
    _check_counts(cluster, group.initiators + added, group.volume_ids)
    _register(cluster, added)
    group.initiators.extend(added)
    return _reply(cluster, group)


@api.method('RemoveInitiatorsFromVolumeAccessGroup', since='5.0',
            required={'volumeAccessGroupID': int, 'initiators': [object]},
            optional={'deleteOrphanInitiators': bool})
def remove_initiators(cluster: cluster.Cluster, args: dict) -> dict:
    group = cluster.access_group(args['volumeAccessGroupID'])
    removed = _names(cluster, args['initiators'])
    for iqn in removed:
        if iqn not in group.initiators:
            raise errors.ApiError('xNotInVolumeAccessGroup',
                                  f'Initiator {iqn} is not in the group')
    group.initiators = [iqn for iqn in group.initiators
                        if iqn not in removed]
    return _reply(cluster, group)


@api.method('DeleteVolumeAccessGroup', since='5.0',
            required={'volumeAccessGroupID': int},
            optional={'deleteOrphanInitiators': bool, 'force': bool})
def delete_volume_access_group(cluster: cluster.Cluster, args: dict) -> dict:
    group = cluster.access_group(args['volumeAccessGroupID'])
    del cluster.access_groups[group.group_id]
    return {}
