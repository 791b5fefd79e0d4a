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

"""Identity, capacity, fullness and limits of the cluster."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import limits
from cinder.tests.element_simulator import wire

_BLOCK = 4096


@api.method('GetAPI')
def get_api(cluster: cluster.Cluster, args: dict) -> dict:
    return {'currentVersion': cluster.api_version,
            'supportedVersions': list(cluster.versions),
            cluster.api_version: api.names(cluster.api_version)}


@api.method('GetClusterInfo')
def get_cluster_info(cluster: cluster.Cluster, args: dict) -> dict:
    return {'clusterInfo': {
        'attributes': {},
        'defaultProtectionScheme': 'doubleHelix',
        'enabledProtectionSchemes': ['doubleHelix'],
        'encryptionAtRestState': 'disabled',
        'ensemble': [cluster.mvip],
        'mvip': cluster.mvip,
        'mvipInterface': 'Bond1G',
        'mvipNodeID': 1,
        'mvipVlanTag': '0',
        'name': cluster.name,
        'repCount': 2,
        'softwareEncryptionAtRestState': 'disabled',
        'supportedProtectionSchemes': ['doubleHelix'],
        'svip': cluster.svip,
        'svipInterface': 'Bond10G',
        'svipNodeID': 1,
        'svipVlanTag': '0',
        'uniqueID': cluster.unique_id,
        'uuid': cluster.uuid,
    }}


@api.method('GetClusterVersionInfo')
def get_cluster_version_info(cluster: cluster.Cluster, args: dict) -> dict:
    release = f'{cluster.api_version}.0.1'
    nodes = 1 if cluster.hide_nodes else cluster.nodes
    return {
        'clusterAPIVersion': cluster.api_version,
        'clusterVersion': release,
        'clusterVersionInfo': [
            {'nodeID': number + 1, 'nodeVersion': release,
             'nodeInternalRevision': ''} for number in range(nodes)],
        'softwareVersionInfo': {
            'currentVersion': release, 'pendingVersion': release, 'nodeID': 0,
            'packageName': '', 'startTime': ''},
    }


def _usage(cluster: cluster.Cluster) -> tuple[int, int, int]:
    """Return (provisioned, used, used by snapshots) in bytes."""
    return (cluster.volumes.provisioned,
            sum(cluster.files.used(f'volume-{number}')
                for number in cluster.volumes),
            sum(cluster.files.used(f'snapshot-{number}')
                for number in cluster.snapshots))


@api.method('GetClusterCapacity')
def get_cluster_capacity(cluster: cluster.Cluster, args: dict) -> dict:
    provisioned, used, in_snapshots = _usage(cluster)
    blocks = (used + in_snapshots) // _BLOCK
    capacity = {
        'activeBlockSpace': used + in_snapshots,
        'activeSessions': 0,
        'averageIOPS': 0,
        'clusterRecentIOSize': 0,
        'currentIOPS': 0,
        'maxIOPS': 50000 * cluster.nodes,
        'maxOverProvisionableSpace': cluster.max_over_provisioned(),
        'maxProvisionedSpace': cluster.max_provisioned(),
        'maxUsedMetadataSpace': cluster.max_provisioned() // 100,
        'maxUsedSpace': cluster.max_provisioned(),
        'nonZeroBlocks': used // _BLOCK,
        'peakActiveSessions': 0,
        'peakIOPS': 0,
        'provisionedSpace': provisioned,
        'snapshotNonZeroBlocks': in_snapshots // _BLOCK,
        'timestamp': wire.timestamp(cluster.now()),
        'totalOps': 0,
        'uniqueBlocks': blocks,
        'uniqueBlocksUsedSpace': used + in_snapshots,
        'usedMetadataSpace': 0,
        'usedMetadataSpaceInSnapshots': 0,
        'usedSpace': used + in_snapshots,
        'zeroBlocks': max(provisioned - used, 0) // _BLOCK,
    }
    return {'clusterCapacity': {**capacity, **cluster.capacity}}


@api.method('GetClusterFullThreshold')
def get_cluster_full_threshold(cluster: cluster.Cluster, args: dict) -> dict:
    total = cluster.max_provisioned()
    return {
        'blockFullness': cluster.fullness,
        'fullness': cluster.fullness,
        'metadataFullness': limits.FULLNESS_STAGES[0],
        'maxMetadataOverProvisionFactor': 5,
        'sliceReserveUsedThresholdPct': 5,
        'stage2AwareThreshold': 3,
        'stage2BlockThresholdBytes': total * 9 // 10,
        'stage3BlockThresholdBytes': total * 93 // 100,
        'stage3BlockThresholdPercent': 3,
        'stage3LowThreshold': 2,
        'stage4BlockThresholdBytes': total * 96 // 100,
        'stage4CriticalThreshold': 1,
        'stage5BlockThresholdBytes': total,
        'sumTotalClusterBytes': total,
        'sumTotalMetadataClusterBytes': total // 100,
        'sumUsedClusterBytes': sum(_usage(cluster)[1:]),
        'sumUsedMetadataClusterBytes': 0,
    }


@api.method('GetLimits')
def get_limits(cluster: cluster.Cluster, args: dict) -> dict:
    return {key: value for key, value in cluster.limits.items()
            if value is not None}
