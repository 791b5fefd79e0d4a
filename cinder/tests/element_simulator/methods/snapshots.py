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

"""Snapshots and group snapshots."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire

_CHECKSUM = '0x0'

_COMMON = {'name': str, 'attributes': dict, 'enableRemoteReplication': bool,
           'expirationTime': str, 'retention': str, 'snapMirrorLabel': str,
           'ensureSerialCreation': bool}


def _check_new(cluster: cluster.Cluster, volume: records.Volume) -> None:
    cluster.check_space(0)
    cluster.check_snapshot_count(volume)


def _name(cluster: cluster.Cluster, args: dict) -> str:
    name = args.get('name') or wire.timestamp(cluster.now())
    if len(name) > cluster.limit('snapshotNameLengthMax'):
        raise errors.ApiError('xExceededLimit', 'Snapshot name is too long')
    return name


def _reply(snapshot: records.Snapshot) -> dict:
    return {'snapshot': wire.snapshot(snapshot),
            'snapshotID': snapshot.snapshot_id, 'checksum': _CHECKSUM}


@api.method('CreateSnapshot', since='6.0', required={'volumeID': int},
            optional={'snapshotID': int, **_COMMON})
def create_snapshot(cluster: cluster.Cluster, args: dict) -> dict:
    volume = cluster.active_volume(args['volumeID'])
    _check_new(cluster, volume)
    origin = (cluster.snapshot(args['snapshotID'], volume)
              if args.get('snapshotID') else None)
    snapshot = cluster.add_snapshot(
        volume, _name(cluster, args), origin=origin,
        attributes=checks.attributes(args.get('attributes', {})),
        replicated=args.get('enableRemoteReplication', False))
    return _reply(snapshot)


@api.method('ListSnapshots', since='6.0',
            optional={'volumeID': int, 'snapshotID': int})
def list_snapshots(cluster: cluster.Cluster, args: dict) -> dict:
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
def delete_snapshot(cluster: cluster.Cluster, args: dict) -> dict:
    cluster.forget_snapshot(cluster.snapshot(args['snapshotID']))
    return {}


@api.method('RollbackToSnapshot', since='6.0',
            required={'volumeID': int, 'snapshotID': int},
            optional={'saveCurrentState': bool, 'name': str,
                      'attributes': dict})
def rollback_to_snapshot(cluster: cluster.Cluster, args: dict) -> dict:
    volume = cluster.active_volume(args['volumeID'])
    snapshot = cluster.snapshot(args['snapshotID'], volume)
    saved = None
    if args.get('saveCurrentState', False):
        _check_new(cluster, volume)
        saved = cluster.add_snapshot(
            volume, _name(cluster, args),
            attributes=checks.attributes(args.get('attributes', {})))
    cluster.files.copy(f'snapshot-{snapshot.snapshot_id}',
                       f'volume-{volume.volume_id}', volume.size)
    if saved:
        return _reply(saved)
    return {'snapshot': None, 'snapshotID': None, 'checksum': _CHECKSUM}


@api.method('CreateGroupSnapshot', since='7.0',
            required={'volumes': [int]}, optional=_COMMON)
def create_group_snapshot(cluster: cluster.Cluster, args: dict) -> dict:
    volumes = [cluster.active_volume(number) for number in args['volumes']]
    if len(volumes) > cluster.limit('volumesPerGroupSnapshotMax'):
        raise errors.ApiError('xExceededLimit',
                              'Too many volumes for one group snapshot')
    for volume in volumes:
        _check_new(cluster, volume)
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
                         'snapshotUUID': member.uuid, 'checksum': _CHECKSUM}
                        for member in members]}


@api.method('ListGroupSnapshots', since='7.0',
            optional={'volumes': [int], 'groupSnapshotID': int})
def list_group_snapshots(cluster: cluster.Cluster, args: dict) -> dict:
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
def delete_group_snapshot(cluster: cluster.Cluster, args: dict) -> dict:
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
