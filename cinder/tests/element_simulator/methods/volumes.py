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

"""Volumes: creating, modifying, listing and deleting them."""

import bisect
import itertools
import typing

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire

ACCESS = ('readWrite', 'readOnly', 'locked', 'replicationTarget',
          'snapMirrorTarget')

_QOS = {'qos': dict, 'qosPolicyID': api.Since('10.0', int),
        'associateWithQoSPolicy': api.Since('10.0', bool)}
_FIFO = {'enableSnapMirrorReplication': api.Since('10.0', bool),
         'fifoSize': int, 'minFifoSize': int}


def _reject_qos_policy(args: dict) -> None:
    if 'qosPolicyID' in args:
        raise errors.ApiError(
            'xQoSPolicyDoesNotExist',
            f'QoS policy {args["qosPolicyID"]} does not exist.')


@api.method('CreateVolume',
            required={'name': str, 'accountID': int, 'totalSize': int},
            optional={'enable512e': bool, 'attributes': dict,
                      'access': ('snapMirrorTarget',),
                      'protectionScheme': str, **_QOS, **_FIFO})
def create_volume(cluster: cluster.Cluster, args: dict) -> dict:
    _reject_qos_policy(args)
    account = cluster.account(args['accountID'])
    checks.name(cluster, args['name'])
    size = checks.size(cluster, args['totalSize'])
    qos = checks.qos(cluster, args.get('qos', {}), cluster.default_qos)
    attributes = checks.attributes(args.get('attributes', {}))
    cluster.check_space(size)
    volume = cluster.add_volume(
        name=args['name'], account_id=account.account_id, size=size, qos=qos,
        attributes=attributes, access=args.get('access', 'readWrite'),
        enable_512e=args.get('enable512e', True),
        fifo_size=args.get('fifoSize', 24),
        min_fifo_size=args.get('minFifoSize', 0))
    cluster.files.create(f'volume-{volume.volume_id}', size)
    reply = wire.volume(cluster, volume, created=True)
    return {'volumeID': volume.volume_id, 'volume': reply,
            'curve': reply['qos']['curve']}


@api.method('ModifyVolume', required={'volumeID': int},
            optional={'accountID': int, 'access': ACCESS, 'totalSize': int,
                      'attributes': dict, 'createTime': str,
                      'setCreateTime': bool, 'mode': ('asynch', 'sync'),
                      **_QOS, **_FIFO})
def modify_volume(cluster: cluster.Cluster, args: dict) -> dict:
    _reject_qos_policy(args)
    volume = cluster.volume(args['volumeID'])
    # Nothing is changed unless all parameters are valid.
    changes: dict[str, typing.Any] = {}
    if 'accountID' in args:
        changes['account_id'] = cluster.account(args['accountID']).account_id
    if 'attributes' in args:
        changes['attributes'] = checks.attributes(args['attributes'])
    if 'qos' in args:
        changes['qos'] = checks.qos(cluster, args['qos'], volume.qos)
    if 'access' in args:
        changes['access'] = _access(volume, args['access'])
    for member, field in (('fifoSize', 'fifo_size'),
                          ('minFifoSize', 'min_fifo_size')):
        if member in args:
            changes[field] = args[member]
    if 'totalSize' in args:
        changes['size'] = _extended(cluster, volume, args['totalSize'])
    cluster.volumes.change(volume, changes)
    if 'size' in changes:
        cluster.files.resize(f'volume-{volume.volume_id}', volume.size)
    return {'volume': wire.volume(cluster, volume)}


def _access(volume: records.Volume, access: str) -> str:
    # A volume without a pair cannot be a replication target.
    if access == 'replicationTarget' and not volume.pair:
        return 'locked'
    return access


def _extended(cluster: cluster.Cluster, volume: records.Volume,
              requested: int) -> int:
    size = checks.size(cluster, requested)
    if size < volume.size:
        raise errors.ApiError(
            'xVolumeShrinkProhibited',
            f'Volume {volume.volume_id} cannot be made smaller')
    return size


@api.method('DeleteVolume', required={'volumeID': int})
def delete_volume(cluster: cluster.Cluster, args: dict) -> dict:
    volume = cluster.volume(args['volumeID'])
    cluster.delete_volume(volume)
    reply = wire.volume(cluster, volume)
    return {'volumeID': volume.volume_id, 'volume': reply,
            'curve': reply['qos']['curve']}


@api.method('PurgeDeletedVolume', required={'volumeID': int})
def purge_deleted_volume(cluster: cluster.Cluster, args: dict) -> dict:
    cluster.volume(args['volumeID'], ('deleted',))
    cluster.forget_volume(args['volumeID'])
    return {}


@api.method('RestoreDeletedVolume', required={'volumeID': int})
def restore_deleted_volume(cluster: cluster.Cluster, args: dict) -> dict:
    volume = cluster.volume(args['volumeID'], ('deleted',))
    volume.status = 'active'
    volume.deleted = volume.purge = None
    return {}


def _candidates(cluster: cluster.Cluster, args: dict
                ) -> typing.Iterable[records.Volume]:
    """Return a few volumes, the one of each id once, with all that match."""
    volumes = cluster.volumes
    if 'volumeIDs' in args:
        return [volumes[number] for number in sorted(set(args['volumeIDs']))
                if number in volumes]
    if 'volumeName' in args:
        return _sorted(volumes.named(args['volumeName']))
    if 'accounts' in args:
        return _sorted([volume for number in set(args['accounts'])
                        for volume in volumes.of_account(number)])
    if 'startVolumeID' in args:
        numbers = list(volumes)  # in ascending order
        return (volumes[number] for number in
                numbers[bisect.bisect_left(numbers, args['startVolumeID']):])
    return volumes.values()


def _sorted(volumes: list[records.Volume]) -> list[records.Volume]:
    return sorted(volumes, key=lambda volume: volume.volume_id)


def _reply(cluster: cluster.Cluster, args: dict,
           condition: typing.Callable[[records.Volume], bool]) -> dict:
    """Return the volumes that may be listed: no targets of running clones."""
    first = args.get('startVolumeID', 0)
    found = (volume for volume in _candidates(cluster, args)
             if volume.status != 'init' and volume.volume_id >= first
             and condition(volume))
    return {'volumes': [wire.volume(cluster, volume) for volume in
                        itertools.islice(found, args.get('limit') or None)]}


@api.method('ListVolumes', since='8.0',
            optional={'accounts': [int], 'startVolumeID': int, 'limit': int,
                      'volumeIDs': [int], 'volumeName': str,
                      'volumeStatus': ('creating', 'snapshotting', 'active',
                                       'deleted'),
                      'isPaired': bool, 'includeVirtualVolumes': bool,
                      'protectionSchemes': [str]})
def list_volumes(cluster: cluster.Cluster, args: dict) -> dict:
    conflicting = [key for key in ('accounts', 'startVolumeID', 'limit')
                   if key in args]
    if 'volumeIDs' in args and conflicting:
        raise errors.ApiError(
            'xInvalidParameter',
            f'volumeIDs cannot be combined with {", ".join(conflicting)}')

    def matches(volume: records.Volume) -> bool:
        exact = (('volumeName', volume.name),
                 ('volumeStatus', volume.status),
                 ('isPaired', volume.pair is not None))
        return (all(args.get(key, value) == value for key, value in exact)
                and volume.account_id in args.get('accounts',
                                                  [volume.account_id]))

    return _reply(cluster, args, matches)


@api.method('ListActiveVolumes',
            optional={'startVolumeID': int, 'limit': int,
                      'includeVirtualVolumes': bool})
def list_active_volumes(cluster: cluster.Cluster, args: dict) -> dict:
    return _reply(cluster, args, lambda volume: volume.status == 'active')


@api.method('ListVolumesForAccount', required={'accountID': int},
            optional={'startVolumeID': int, 'limit': int,
                      'includeVirtualVolumes': bool})
def list_volumes_for_account(cluster: cluster.Cluster, args: dict) -> dict:
    cluster.account(args['accountID'])
    args['accounts'] = [args['accountID']]
    return _reply(cluster, args, lambda volume: True)


@api.method('ListDeletedVolumes', optional={'includeVirtualVolumes': bool})
def list_deleted_volumes(cluster: cluster.Cluster, args: dict) -> dict:
    return _reply(cluster, args, lambda volume: volume.status == 'deleted')


@api.method('GetDefaultQoS')
def get_default_qos(cluster: cluster.Cluster, args: dict) -> dict:
    return wire.qos(cluster.default_qos)


@api.method('ListISCSISessions')
def list_iscsi_sessions(cluster: cluster.Cluster, args: dict) -> dict:
    return {'sessions': []}
