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

"""Snapshots of volumes, alone and in groups."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire

_ZERO = '0x0'

_COMMON = {'name': str, 'attributes': dict, 'enableRemoteReplication': bool,
           'expirationTime': str, 'retention': str, 'snapMirrorLabel': str,
           'ensureSerialCreation': bool}


def _active(cluster, volume_id):
    volume = cluster.volume(volume_id)
    if volume.status != 'active':
        raise errors.ApiError(
            'xInvalidParameter',
            f'Volume {volume_id} is not in the active state')
    return volume


def _check_room(cluster, volume):
    cluster.check_space(0)
    taken = len(cluster.snapshots_of(volume.volume_id))
    if taken >= cluster.limit('snapshotsPerVolumeMax'):
        raise errors.ApiError(
            'xMaxSnapshotsPerVolumeExceeded',
            f'Volume {volume.volume_id} has its maximum of snapshots')


def _name(cluster, args):
    name = args.get('name') or wire.timestamp(cluster.now())
    if len(name) > cluster.limit('snapshotNameLengthMax'):
        raise errors.ApiError('xExceededLimit', 'Snapshot name is too long')
    return name


def _own(cluster, volume, snapshot_id):
    snapshot = cluster.snapshot(snapshot_id)
    if snapshot.volume_id != volume.volume_id:
        raise errors.ApiError(
            'xSnapshotIDDoesNotExist',
            f'Snapshot {snapshot_id} is not one of volume '
            f'{volume.volume_id}')
    return snapshot


def _written(snapshot):
    return {'snapshot': wire.snapshot(snapshot),
            'snapshotID': snapshot.snapshot_id, 'checksum': _ZERO}


@api.method('CreateSnapshot', since='6.0', required={'volumeID': int},
            optional={'snapshotID': int, **_COMMON})
def create_snapshot(cluster, args):
    volume = _active(cluster, args['volumeID'])
    _check_room(cluster, volume)
    origin = (_own(cluster, volume, args['snapshotID'])
              if args.get('snapshotID') else None)
    snapshot = cluster.add_snapshot(
        volume, _name(cluster, args), origin=origin,
        attributes=checks.attributes(args.get('attributes', {})),
        replicated=args.get('enableRemoteReplication', False))
    return _written(snapshot)


@api.method('ListSnapshots', since='6.0',
            optional={'volumeID': int, 'snapshotID': int})
def list_snapshots(cluster, args):
    if args.get('volumeID'):
        cluster.volume(args['volumeID'], ('active', 'init', 'deleted'))
    if args.get('snapshotID'):
        cluster.snapshot(args['snapshotID'])
    return {'snapshots': [
        wire.snapshot(snapshot)
        for _number, snapshot in sorted(cluster.snapshots.items())
        if snapshot.volume_id == (args.get('volumeID')
                                  or snapshot.volume_id)
        and snapshot.snapshot_id == (args.get('snapshotID')
                                     or snapshot.snapshot_id)]}


@api.method('DeleteSnapshot', since='6.0', required={'snapshotID': int},
            optional={'overrideSnapMirrorHold': bool})
def delete_snapshot(cluster, args):
    cluster.forget_snapshot(cluster.snapshot(args['snapshotID']))
    return {}


@api.method('RollbackToSnapshot', since='6.0',
            required={'volumeID': int, 'snapshotID': int},
            optional={'saveCurrentState': bool, 'name': str,
                      'attributes': dict})
def rollback_to_snapshot(cluster, args):
    volume = _active(cluster, args['volumeID'])
    snapshot = _own(cluster, volume, args['snapshotID'])
    saved = None
    if args.get('saveCurrentState', False):
        _check_room(cluster, volume)
        saved = cluster.add_snapshot(
            volume, _name(cluster, args),
            attributes=checks.attributes(args.get('attributes', {})))
    cluster.files.copy(f'snapshot-{snapshot.snapshot_id}',
                       f'volume-{volume.volume_id}', volume.size)
    if saved:
        return _written(saved)
    return {'snapshot': None, 'snapshotID': None, 'checksum': _ZERO}


@api.method('CreateGroupSnapshot', since='7.0',
            required={'volumes': [int]}, optional=_COMMON)
def create_group_snapshot(cluster, args):
    volumes = [_active(cluster, number) for number in args['volumes']]
    if len(volumes) > cluster.limit('volumesPerGroupSnapshotMax'):
        raise errors.ApiError('xExceededLimit',
                              'Too many volumes for one group snapshot')
    for volume in volumes:
        _check_room(cluster, volume)
    group = records.GroupSnapshot(
        group_id=cluster.next_id('group snapshot'),
        name=_name(cluster, args), created=cluster.now(),
        attributes=checks.attributes(args.get('attributes', {})))
    members = [cluster.add_snapshot(volume, group.name,
                                    group_id=group.group_id,
                                    group_uuid=group.uuid)
               for volume in volumes]
    group.snapshot_ids = [member.snapshot_id for member in members]
    cluster.group_snapshots[group.group_id] = group
    return {'groupSnapshot': wire.group_snapshot(cluster, group),
            'groupSnapshotID': group.group_id,
            'members': [{'volumeID': member.volume_id,
                         'snapshotID': member.snapshot_id,
                         'snapshotUUID': member.uuid, 'checksum': _ZERO}
                        for member in members]}


@api.method('ListGroupSnapshots', since='7.0',
            optional={'volumes': [int], 'groupSnapshotID': int})
def list_group_snapshots(cluster, args):
    groups = [wire.group_snapshot(cluster, group)
              for number, group in sorted(cluster.group_snapshots.items())
              if number == args.get('groupSnapshotID', number)]
    wanted = set(args.get('volumes', []))
    return {'groupSnapshots': [
        group for group in groups
        if not wanted or wanted & {member['volumeID']
                                   for member in group['members']}]}


@api.method('DeleteGroupSnapshot', since='7.0',
            required={'groupSnapshotID': int},
            optional={'saveMembers': bool})
def delete_group_snapshot(cluster, args):
    group = cluster.group_snapshots.pop(args['groupSnapshotID'], None)
    if group is None:
        raise errors.ApiError(
            'xGroupSnapshotIDDoesNotExist',
            f'Group snapshot {args["groupSnapshotID"]} does not exist.')
    for snapshot_id in group.snapshot_ids:
        snapshot = cluster.snapshots[snapshot_id]
        if args.get('saveMembers', False):
            snapshot.group_id, snapshot.group_uuid = 0, None
        else:
            cluster.forget_snapshot(snapshot)
    return {}
