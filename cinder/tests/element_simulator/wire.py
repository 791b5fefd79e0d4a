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

"""How the things of a cluster are written in JSON replies."""

from cinder.tests.element_simulator import limits


def timestamp(value):
    """Return a time as Element writes it; "never" is an empty string."""
    return value.strftime('%Y-%m-%dT%H:%M:%SZ') if value else ''


def qos(values):
    return {**values, 'burstTime': 60, 'curve': dict(limits.QOS_CURVE)}


def account(cluster, item):
    """Return an account with its secrets, as the API does."""
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


def _device_ids(cluster, volume_id):
    where = cluster.unique_id.encode('ascii').hex()
    which = f'{volume_id:08x}'
    return {
        'scsiEUIDeviceID': where + which + 'f47acc0100000000',
        'scsiNAADeviceID': '6f47acc1' + '00000000' + where + which,
    }


def volume(cluster, item, fresh=False):
    """Return a volume.

    :param fresh: as the reply that creates it says it, without slices
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
        'sliceCount': 0 if fresh or item.status == 'init' else 1,
        'status': item.status,
        'totalSize': item.size,
        'virtualVolumeID': None,
        'volumeAccessGroups': [group.group_id for group in
                               cluster.groups_of(item.volume_id)],
        'volumeConsistencyGroupUUID': item.group_uuid,
        'volumeID': item.volume_id,
        'volumePairs': [volume_pair(item.pair)] if item.pair else [],
        'volumeUUID': item.uuid,
        **_device_ids(cluster, item.volume_id),
    }


def volume_pair(pair):
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


def snapshot(item):
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


def group_snapshot(cluster, item):
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


def access_group(cluster, item):
    """Return a group; its deleted volumes stand in a list of their own."""
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


def cluster_pair(item):
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
