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

"""Volumes: making, changing, listing and removing them."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import wire

ACCESS = ('readWrite', 'readOnly', 'locked', 'replicationTarget',
          'snapMirrorTarget')

_QOS = {'qos': dict, 'qosPolicyID': api.Since('10.0', int),
        'associateWithQoSPolicy': api.Since('10.0', bool)}
_FIFO = {'enableSnapMirrorReplication': api.Since('10.0', bool),
         'fifoSize': int, 'minFifoSize': int}


def _refuse_policy(args):
    if 'qosPolicyID' in args:
        raise errors.ApiError(
            'xQoSPolicyDoesNotExist',
            f'QoS policy {args["qosPolicyID"]} does not exist.')


@api.method('CreateVolume',
            required={'name': str, 'accountID': int, 'totalSize': int},
            optional={'enable512e': bool, 'attributes': dict,
                      'access': ('snapMirrorTarget',),
                      'protectionScheme': str, **_QOS, **_FIFO})
def create_volume(cluster, args):
    _refuse_policy(args)
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
    written = wire.volume(cluster, volume, fresh=True)
    return {'volumeID': volume.volume_id, 'volume': written,
            'curve': written['qos']['curve']}


@api.method('ModifyVolume', required={'volumeID': int},
            optional={'accountID': int, 'access': ACCESS, 'totalSize': int,
                      'attributes': dict, 'createTime': str,
                      'setCreateTime': bool, 'mode': ('asynch', 'sync'),
                      **_QOS, **_FIFO})
def modify_volume(cluster, args):
    _refuse_policy(args)
    volume = cluster.volume(args['volumeID'])
    # All is checked before anything is changed.
    changes = {}
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
        changes['size'] = _grown(cluster, volume, args['totalSize'])
    for field, value in changes.items():
        setattr(volume, field, value)
    if 'size' in changes:
        cluster.files.resize(f'volume-{volume.volume_id}', volume.size)
    return {'volume': wire.volume(cluster, volume)}


def _access(volume, access):
    # Without a pair there is nothing to be the target of.
    if access == 'replicationTarget' and not volume.pair:
        return 'locked'
    return access


def _grown(cluster, volume, wanted):
    size = checks.size(cluster, wanted)
    if size < volume.size:
        raise errors.ApiError(
            'xVolumeShrinkProhibited',
            f'Volume {volume.volume_id} cannot be made smaller')
    return size


@api.method('DeleteVolume', required={'volumeID': int})
def delete_volume(cluster, args):
    volume = cluster.volume(args['volumeID'])
    cluster.delete_volume(volume)
    written = wire.volume(cluster, volume)
    return {'volumeID': volume.volume_id, 'volume': written,
            'curve': written['qos']['curve']}


@api.method('PurgeDeletedVolume', required={'volumeID': int})
def purge_deleted_volume(cluster, args):
    cluster.volume(args['volumeID'], ('deleted',))
    cluster.forget_volume(args['volumeID'])
    return {}


@api.method('RestoreDeletedVolume', required={'volumeID': int})
def restore_deleted_volume(cluster, args):
    volume = cluster.volume(args['volumeID'], ('deleted',))
    volume.status = 'active'
    volume.deleted = volume.purge = None
    return {}


def _listed(cluster, wanted):
    """Return the volumes that lists show: a clone under way is in none."""
    return [volume for _number, volume in sorted(cluster.volumes.items())
            if volume.status != 'init' and wanted(volume)]


def _written(cluster, volumes, args):
    return {'volumes': [wire.volume(cluster, volume) for volume in
                        volumes[:args.get('limit') or None]]}


@api.method('ListVolumes', since='8.0',
            optional={'accounts': [int], 'startVolumeID': int, 'limit': int,
                      'volumeIDs': [int], 'volumeName': str,
                      'volumeStatus': ('creating', 'snapshotting', 'active',
                                       'deleted'),
                      'isPaired': bool, 'includeVirtualVolumes': bool,
                      'protectionSchemes': [str]})
def list_volumes(cluster, args):
    clashing = [key for key in ('accounts', 'startVolumeID', 'limit')
                if key in args]
    if 'volumeIDs' in args and clashing:
        raise errors.ApiError(
            'xInvalidParameter',
            f'volumeIDs does not go with {", ".join(clashing)}')

    def wanted(volume):
        facts = (('volumeName', volume.name),
                 ('volumeStatus', volume.status),
                 ('isPaired', volume.pair is not None))
        return (all(args.get(key, fact) == fact for key, fact in facts)
                and volume.volume_id >= args.get('startVolumeID', 0)
                and volume.account_id in args.get('accounts',
                                                  [volume.account_id])
                and volume.volume_id in args.get('volumeIDs',
                                                 [volume.volume_id]))

    return _written(cluster, _listed(cluster, wanted), args)


@api.method('ListActiveVolumes',
            optional={'startVolumeID': int, 'limit': int,
                      'includeVirtualVolumes': bool})
def list_active_volumes(cluster, args):
    return _written(cluster, _listed(
        cluster, lambda volume: volume.status == 'active'
        and volume.volume_id >= args.get('startVolumeID', 0)), args)


@api.method('ListVolumesForAccount', required={'accountID': int},
            optional={'startVolumeID': int, 'limit': int,
                      'includeVirtualVolumes': bool})
def list_volumes_for_account(cluster, args):
    cluster.account(args['accountID'])
    return _written(cluster, _listed(
        cluster, lambda volume: volume.account_id == args['accountID']
        and volume.volume_id >= args.get('startVolumeID', 0)), args)


@api.method('ListDeletedVolumes', optional={'includeVirtualVolumes': bool})
def list_deleted_volumes(cluster, args):
    return _written(cluster, _listed(
        cluster, lambda volume: volume.status == 'deleted'), args)


@api.method('GetDefaultQoS')
def get_default_qos(cluster, args):
    return wire.qos(cluster.default_qos)


@api.method('ListISCSISessions')
def list_iscsi_sessions(cluster, args):
    return {'sessions': []}
