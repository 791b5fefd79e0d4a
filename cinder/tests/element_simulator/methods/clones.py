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

"""Clones, and the progress and results of asynchronous jobs."""

import typing

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator.methods import volumes
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire

_RESULT_TYPES = ('DriveAdd', 'BulkVolume', 'Clone', 'DriveRemoval',
                 'RtfiPendingNode')


def _source(cluster: cluster.Cluster, args: dict) -> tuple[
        records.Volume, typing.Optional[records.Snapshot]]:
    volume = cluster.active_volume(args['volumeID'])
    snapshot = (cluster.snapshot(args['snapshotID'], volume)
                if args.get('snapshotID') else None)
    cluster.jobs.check_slots(volume)
    if not snapshot:
        # The clone of a volume temporarily has a snapshot of its own.
        cluster.check_snapshot_count(volume)
    return volume, snapshot


@api.method('CloneVolume', required={'volumeID': int, 'name': str},
            optional={'newAccountID': int, 'newSize': int,
                      'access': volumes.ACCESS,
                      'snapshotID': api.Since('6.0', int),
                      'attributes': api.Since('6.0', dict),
                      'enable512e': bool,
                      'enableSnapMirrorReplication':
                          api.Since('10.0', bool)})
def clone_volume(cluster: cluster.Cluster, args: dict) -> dict:
    source, snapshot = _source(cluster, args)
    checks.name(cluster, args['name'])
    account_id = args.get('newAccountID', source.account_id)
    cluster.account(account_id)
    size = snapshot.size if snapshot else source.size
    if 'newSize' in args:
        size = checks.size(cluster, args['newSize'])
    attributes = checks.attributes(args.get('attributes', source.attributes))
    cluster.check_space(size)
    target = cluster.add_volume(
        name=args['name'], account_id=account_id, size=size,
        qos=dict(source.qos), attributes=attributes, status='init',
        access=args.get('access', source.access),
        enable_512e=args.get('enable512e', source.enable_512e),
        fifo_size=source.fifo_size, min_fifo_size=source.min_fifo_size)
    origin = (f'snapshot-{snapshot.snapshot_id}' if snapshot
              else f'volume-{source.volume_id}')
    cluster.files.copy(origin, f'volume-{target.volume_id}', size)
    job = cluster.jobs.start(source, target,
                             snapshot.snapshot_id if snapshot else 0)
    volume = wire.volume(cluster, target)
    return {'asyncHandle': job.handle, 'cloneID': job.clone_id,
            'volumeID': target.volume_id, 'volume': volume,
            'curve': volume['qos']['curve']}


@api.method('CancelClone', since='9.0', required={'cloneID': int})
def cancel_clone(cluster: cluster.Cluster, args: dict) -> dict:
    for job in cluster.jobs.running():
        if job.clone_id == args['cloneID']:
            cluster.jobs.cancel(job, errors.ApiError(
                'xCloneCancelled', f'Clone {job.clone_id} was cancelled'))
            return {}
    raise errors.ApiError('xInvalidParameter',
                          f'Clone {args["cloneID"]} is not running')


def _outcome(cluster: cluster.Cluster, job: records.Job) -> dict:
    if job.error:
        return {'error': {'name': job.error.name,
                          'message': job.error.message,
                          'volumeID': job.volume_id}}
    volume_id = (job.source_id if cluster.result_names_source
                 else job.volume_id)
    return {'result': {'cloneID': job.clone_id, 'message': 'Clone complete.',
                       'volumeID': volume_id}}


@api.method('GetAsyncResult', required={'asyncHandle': int},
            optional={'keepResult': bool})
def get_async_result(cluster: cluster.Cluster, args: dict) -> dict:
    handle = args['asyncHandle']
    job = cluster.jobs.by_handle.get(handle)
    if job is None:
        raise _unknown_handle(cluster, handle)
    reply = {'status': 'complete' if job.done else 'running',
             'resultType': 'Clone',
             'createTime': wire.timestamp(job.created),
             'lastUpdateTime': wire.timestamp(job.updated)}
    if not job.done:
        cluster.jobs.count_poll(job)
        return {**reply, 'details': {}}
    if not args.get('keepResult', False):
        del cluster.jobs.by_handle[handle]
    return {**reply, **_outcome(cluster, job)}


def _unknown_handle(cluster: cluster.Cluster, handle: int) -> errors.ApiError:
    messages = {'xDBNoSuchPath': f'No such path /asyncresults/{handle}'}
    return errors.ApiError(
        cluster.missing_handle,
        messages.get(cluster.missing_handle,
                     f'Async handle {handle} does not exist.'))


@api.method('ListAsyncResults', since='9.0',
            optional={'asyncResultTypes': [_RESULT_TYPES]})
def list_async_results(cluster: cluster.Cluster, args: dict) -> dict:
    handles = []
    if 'Clone' in args.get('asyncResultTypes', ['Clone']):
        handles = [
            {'asyncResultID': job.handle, 'completed': job.done,
             'success': job.done and job.error is None,
             'resultType': 'Clone',
             'createTime': wire.timestamp(job.created),
             'lastUpdateTime': wire.timestamp(job.updated),
             'data': {'cloneID': job.clone_id, 'volumeID': job.volume_id}}
            for job in cluster.jobs.by_handle.values()]
    return {'asyncHandles': handles}


@api.method('ListSyncJobs')
def list_sync_jobs(cluster: cluster.Cluster, args: dict) -> dict:
    return {'syncJobs': [_sync_job(cluster, job)
                         for job in cluster.jobs.running()]}


def _sync_job(cluster: cluster.Cluster, job: records.Job) -> dict:
    done = cluster.jobs.progress(job)
    elapsed = cluster.jobs.elapsed(job)
    copied = int(job.size * done)
    remaining = elapsed / done - elapsed if done else 0.0
    nodes = {} if cluster.hide_nodes else {
        'nodeID': job.node_id, 'srcServiceID': job.node_id,
        'dstServiceID': job.node_id}
    return {
        **nodes, 'type': 'clone', 'cloneID': job.clone_id, 'groupCloneID': 0,
        'srcVolumeID': job.source_id, 'dstVolumeID': job.volume_id,
        'snapshotID': job.snapshot_id, 'sliceID': job.source_id,
        'stage': 'data',
        'currentBytes': copied, 'totalBytes': job.size,
        'bytesPerSecond': copied / elapsed if elapsed else 0.0,
        'percentComplete': 100.0 * done,
        'elapsedTime': float(elapsed), 'remainingTime': float(remaining),
    }
