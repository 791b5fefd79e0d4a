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

"""Statistics of volumes; all counters are 0, as there is no I/O."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire

_BLOCK = 4096

_IDLE = {
    'actualIOPS': 0, 'averageIOPSize': 0, 'burstIOPSCredit': 0,
    'clientQueueDepth': 0, 'latencyUSec': 0, 'readBytes': 0,
    'readBytesLastSample': 0, 'readLatencyUSec': 0, 'readLatencyUSecTotal': 0,
    'readOps': 0, 'readOpsLastSample': 0, 'samplePeriodMSec': 500,
    'throttle': 0.0, 'unalignedReads': 0, 'unalignedWrites': 0,
    'volumeUtilization': 0.0, 'writeBytes': 0, 'writeBytesLastSample': 0,
    'writeLatencyUSec': 0, 'writeLatencyUSecTotal': 0, 'writeOps': 0,
    'writeOpsLastSample': 0, 'desiredMetadataHosts': None,
    'asyncDelay': None,
}


def _stats(cluster: cluster.Cluster, volume: records.Volume) -> dict:
    used = cluster.files.used(f'volume-{volume.volume_id}') // _BLOCK
    hosts = {} if cluster.hide_nodes else {'metadataHosts': {
        'primary': cluster.node_of(volume), 'liveSecondaries': [],
        'deadSecondaries': []}}
    return {
        **_IDLE, **hosts,
        'accountID': volume.account_id,
        'nonZeroBlocks': used,
        'timestamp': wire.timestamp(cluster.now()),
        'volumeAccessGroups': [group.group_id for group in
                               cluster.groups_of(volume.volume_id)],
        'volumeID': volume.volume_id,
        'volumeSize': volume.size,
        'zeroBlocks': max(volume.size // _BLOCK - used, 0),
    }


@api.method('GetVolumeStats', required={'volumeID': int})
def get_volume_stats(cluster: cluster.Cluster, args: dict) -> dict:
    return {'volumeStats': _stats(cluster, cluster.volume(args['volumeID']))}


@api.method('ListVolumeStats', since='7.0',
            optional={'volumeIDs': [int], 'includeVirtualVolumes': bool})
def list_volume_stats(cluster: cluster.Cluster, args: dict) -> dict:
    numbers = sorted(set(args.get('volumeIDs', cluster.volumes)))
    volumes = [cluster.volumes[number] for number in numbers
               if number in cluster.volumes]
    return {'volumeStats': [_stats(cluster, volume) for volume in volumes
                            if volume.status == 'active']}
