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

"""Conversion of a cluster's objects to the form of JSON replies."""

import datetime
import typing

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import limits
from cinder.tests.element_simulator import records


def timestamp(value: typing.Optional[datetime.datetime]) -> str:
    """Return a time in Element's format; an empty string for None."""
    return value.strftime('%Y-%m-%dT%H:%M:%SZ') if value else ''


def qos(values: dict) -> dict:
    """Return QoS values with the members that the cluster computes."""
    return {**values, 'burstTime': 60, 'curve': dict(limits.QOS_CURVE)}


def account(cluster: cluster.Cluster, item: records.Account) -> dict:
    """Return an account, including its secrets."""
    volumes = [volume.volume_id
               for volume in cluster.volumes_of(item.account_id)
               if volume.status != 'init']
    return {
        'accountID': item.account_id,
        'attributes': item.attributes,
        'enableChap': item.enable_chap,
        'initiatorSecret': item.initiator_secret,
        'status': item.status,
        'storageContainerID': '00000000-0000-0000-0000-000000000000',
        'targetSecret': item.target_secret,
        'username': item.username,
        'volumes': sorted(volumes),
    }


def _device_ids(cluster: cluster.Cluster, volume_id: int) -> dict:
    cluster_part = cluster.unique_id.encode('ascii').hex()
    volume_part = f'{volume_id:08x}'
    return {
        'scsiEUIDeviceID': cluster_part + volume_part + 'f47acc0100000000',
        'scsiNAADeviceID': '6f47acc100000000' + cluster_part + volume_part,
    }


def volume(cluster: cluster.Cluster, item: records.Volume,
           created: bool = False) -> dict:
    """Return a volume.

    :param created: whether it is for the reply of CreateVolume, in which the
                    volume has no slices yet
    """
    return {
        'access': item.access,
        'accountID': item.account_id,
        'attributes': item.attributes,
        'blockSize': 4096,
        'createTime': timestamp(item.created),
        'currentProtectionScheme': 'doubleHelix',
        'deleteTime': timestamp(item.deleted),
        'enable512e': item.enable_512e,
        'enableSnapMirrorReplication': False,
        'fifoSize': item.fifo_size,
        'iqn': (f'iqn.2010-01.com.solidfire:{cluster.unique_id}.'
                f'{item.name.lower()}.{item.volume_id}'),
        'lastAccessTime': None,
        'lastAccessTimeIO': None,
        'minFifoSize': item.min_fifo_size,
        'name': item.name,
        'previousProtectionScheme': None,
        'purgeTime': timestamp(item.purge),
        'qos': qos(item.qos),
        'qosPolicyID': None,
        'sliceCount': 0 if created or item.status == 'init' else 1,
        'status': item.status,
        'totalSize': item.size,
        'virtualVolumeID': None,
        'volumeAccessGroups': [group.group_id for group in
                               cluster.groups_of(item.volume_id)],
        'volumeConsistencyGroupUUID': item.group_uuid,
        'volumeID': item.volume_id,
        'volumePairs': [_volume_pair(item.pair)] if item.pair else [],
        'volumeUUID': item.uuid,
        **_device_ids(cluster, item.volume_id),
    }


def _volume_pair(pair: records.VolumePair) -> dict:
    return {
        'clusterPairID': pair.cluster_pair_id,
        'remoteReplication': {
            'mode': pair.mode,
            'pauseLimit': 3145728000,
            'remoteServiceID': 1,
            'resumeDetails': '',
            'snapshotReplication': {'state': 'Idle', 'stateDetails': ''},
            'state': pair.state,
            'stateDetails': '',
        },
        'remoteSliceID': pair.remote_volume_id,
        'remoteVolumeID': pair.remote_volume_id,
        'remoteVolumeName': pair.remote_name,
        'volumePairUUID': pair.uuid,
    }


def snapshot(item: records.Snapshot) -> dict:
    """Return a snapshot."""
    return {
        'attributes': item.attributes,
        'checksum': '0x0',
        'createTime': timestamp(item.created),
        'enableRemoteReplication': item.replicated,
        'expirationReason': 'None',
        'expirationTime': None,
        'groupID': item.group_id,
        'groupSnapshotUUID': (item.group_uuid or
                              '00000000-0000-0000-0000-000000000000'),
        'instanceCreateTime': timestamp(item.created),
        'instanceSnapshotUUID': item.uuid,
        'name': item.name,
        'remoteStatuses': [],
        'snapMirrorLabel': None,
        'snapshotID': item.snapshot_id,
        'snapshotUUID': item.uuid,
        'status': 'done',
        'totalSize': item.size,
        'virtualVolumeID': None,
        'volumeID': item.volume_id,
        'volumeName': item.volume_name,
    }


def group_snapshot(cluster: cluster.Cluster,
                   item: records.GroupSnapshot) -> dict:
    """Return a group snapshot with its members."""
    return {
        'attributes': item.attributes,
        'createTime': timestamp(item.created),
        'enableRemoteReplication': False,
        'groupSnapshotID': item.group_id,
        'groupSnapshotUUID': item.uuid,
        'members': [snapshot(cluster.snapshots[each])
                    for each in item.snapshot_ids],
        'name': item.name,
        'remoteStatuses': [],
        'status': 'done',
    }


def access_group(cluster: cluster.Cluster, item: records.AccessGroup) -> dict:
    """Return a volume access group, deleted volumes in a separate list."""
    deleted = [each for each in item.volume_ids
               if cluster.volumes[each].status == 'deleted']
    return {
        'attributes': item.attributes,
        'deletedVolumes': deleted,
        'initiatorIDs': [cluster.initiators[iqn] for iqn in item.initiators],
        'initiators': list(item.initiators),
        'name': item.name,
        'volumeAccessGroupID': item.group_id,
        'volumes': [each for each in item.volume_ids
                    if each not in deleted],
    }


def cluster_pair(item: records.ClusterPair) -> dict:
    """Return one end of a pair of clusters."""
    remote = item.remote
    return {
        'clusterName': remote.name if remote else '',
        'clusterPairID': item.pair_id,
        'clusterPairUUID': item.uuid,
        'clusterUUID': remote.uuid if remote else '',
        'latency': 1 if remote else 0,
        'mvip': remote.mvip if remote else '',
        'status': 'Connected' if remote else 'Configured',
        'version': remote.api_version if remote else '',
    }
