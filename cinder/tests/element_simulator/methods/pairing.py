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

"""Pairs of clusters, and of volumes replicated between them."""

import secrets
import typing

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire

_MODES = ('Async', 'Sync', 'SnapshotsOnly')


def _invalid_key() -> errors.ApiError:
    return errors.ApiError('xInvalidPairingKey', 'The pairing key is invalid')


def _pair_with(cluster: cluster.Cluster, remote: cluster.Cluster
               ) -> typing.Optional[records.ClusterPair]:
    for pair in cluster.cluster_pairs.values():
        if pair.remote is remote:
            return pair
    return None


@api.method('ListClusterPairs', since='6.0')
def list_cluster_pairs(cluster: cluster.Cluster, args: dict) -> dict:
    return {'clusterPairs': [wire.cluster_pair(pair) for pair in
                             cluster.cluster_pairs.values()]}


@api.method('StartClusterPairing', since='6.0')
def start_cluster_pairing(cluster: cluster.Cluster, args: dict) -> dict:
    if len(cluster.cluster_pairs) >= cluster.limit('clusterPairsCountMax'):
        raise errors.ApiError('xExceededLimit',
                              'The cluster has its maximum of pairs')
    pair = records.ClusterPair(cluster.next_id('cluster pair'),
                               records.new_uuid())
    key = secrets.token_hex(32)
    cluster.cluster_pairs[pair.pair_id] = pair
    cluster.peers.cluster_keys[key] = (cluster, pair)
    return {'clusterPairingKey': key, 'clusterPairID': pair.pair_id}


@api.method('CompleteClusterPairing', since='6.0',
            required={'clusterPairingKey': str})
def complete_cluster_pairing(cluster: cluster.Cluster, args: dict) -> dict:
    started = cluster.peers.cluster_keys.get(args['clusterPairingKey'])
    if started is None or started[0] is cluster:
        raise _invalid_key()
    remote, theirs = started
    if _pair_with(cluster, remote):
        raise errors.ApiError('xPairingAlreadyExists',
                              'The clusters are already paired')
    del cluster.peers.cluster_keys[args['clusterPairingKey']]
    ours = records.ClusterPair(cluster.next_id('cluster pair'), theirs.uuid,
                               remote, theirs.pair_id)
    cluster.cluster_pairs[ours.pair_id] = ours
    theirs.remote, theirs.remote_pair_id = cluster, ours.pair_id
    return {'clusterPairID': ours.pair_id}


@api.method('RemoveClusterPair', since='6.0',
            required={'clusterPairID': int})
def remove_cluster_pair(cluster: cluster.Cluster, args: dict) -> dict:
    if cluster.cluster_pairs.pop(args['clusterPairID'], None) is None:
        raise errors.ApiError(
            'xPairingDoesNotExist',
            f'Cluster pair {args["clusterPairID"]} does not exist.')
    return {}


@api.method('StartVolumePairing', since='6.0', required={'volumeID': int},
            optional={'mode': _MODES})
def start_volume_pairing(cluster: cluster.Cluster, args: dict) -> dict:
    volume = cluster.volume(args['volumeID'])
    if volume.pair:
        raise errors.ApiError('xVolumeAlreadyPaired',
                              f'Volume {volume.volume_id} is paired')
    key = secrets.token_hex(32)
    cluster.peers.volume_keys[key] = (cluster, volume,
                                      args.get('mode', 'Async'))
    return {'volumePairingKey': key}


@api.method('CompleteVolumePairing', since='6.0',
            required={'volumePairingKey': str, 'volumeID': int})
def complete_volume_pairing(cluster: cluster.Cluster, args: dict) -> dict:
    target = cluster.volume(args['volumeID'])
    started = cluster.peers.volume_keys.get(args['volumePairingKey'])
    if started is None or started[1].status != 'active':
        raise _invalid_key()
    remote, source, mode = started
    ours = _pair_with(cluster, remote)
    if ours is None:
        raise errors.ApiError('xMVIPNotPaired', 'The clusters are not paired')
    if target.pair or source.pair:
        raise errors.ApiError('xVolumeAlreadyPaired',
                              f'Volume {target.volume_id} is paired')
    del cluster.peers.volume_keys[args['volumePairingKey']]
    pair_uuid = records.new_uuid()
    target.pair = records.VolumePair(ours.pair_id, pair_uuid, mode,
                                     source.volume_id, source.name)
    source.pair = records.VolumePair(ours.remote_pair_id, pair_uuid, mode,
                                     target.volume_id, target.name)
    if target.access == 'locked':
        target.access = 'replicationTarget'
    return {}


@api.method('RemoveVolumePair', since='6.0', required={'volumeID': int})
def remove_volume_pair(cluster: cluster.Cluster, args: dict) -> dict:
    # Not an error without a pair: the stock driver calls it before every
    # pairing.
    cluster.volume(args['volumeID']).pair = None
    return {}


@api.method('ListActivePairedVolumes', since='6.0',
            optional={'startVolumeID': int, 'limit': int})
def list_active_paired_volumes(cluster: cluster.Cluster, args: dict) -> dict:
    volumes = [wire.volume(cluster, volume)
               for number, volume in cluster.volumes.items()
               if volume.pair and volume.status == 'active'
               and number >= args.get('startVolumeID', 0)]
    return {'volumes': volumes[:args.get('limit') or None]}
