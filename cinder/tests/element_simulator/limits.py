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

"""The limits of a cluster of Element 12, as GetLimits reports them."""

GIB = 1024 ** 3
MIB = 1024 ** 2

DEFAULTS = {
    'accountCountMax': 5000,
    'accountNameLengthMax': 64,
    'accountNameLengthMin': 1,
    'backupTargetNameLengthMax': 64,
    'backupTargetNameLengthMin': 1,
    'bulkVolumeJobsPerNodeMax': 8,
    'bulkVolumeJobsPerVolumeMax': 2,
    'chapCredentialsCountMax': 15000,
    'cloneJobsPerNodeMax': 8,
    'cloneJobsPerVirtualVolumeMax': 8,
    'cloneJobsPerVolumeMax': 2,
    'clusterAdminAccountMax': 5000,
    'clusterAdminInfoNameLengthMax': 1024,
    'clusterAdminInfoNameLengthMin': 1,
    'clusterPairsCountMax': 4,
    'fibreChannelVolumeAccessMax': 16384,
    'initiatorAliasLengthMax': 224,
    'initiatorCountMax': 10000,
    'initiatorNameLengthMax': 224,
    'initiatorsPerVolumeAccessGroupCountMax': 128,
    'iscsiSessionsFromFibreChannelNodesMax': 4096,
    'maxAuthSessionsForCluster': 1024,
    'maxAuthSessionsPerUser': 1024,
    'nodesPerClusterCountMax': 100,
    'nodesPerClusterCountMin': 3,
    'qosPolicyCountMax': 500,
    'qosPolicyNameLengthMax': 64,
    'qosPolicyNameLengthMin': 1,
    'scheduleNameLengthMax': 244,
    'secretLengthMax': 16,
    'secretLengthMin': 12,
    'snapMirrorEndpointIPAddressesCountMax': 64,
    'snapMirrorEndpointsCountMax': 4,
    'snapMirrorLabelLengthMax': 31,
    'snapMirrorObjectAttributeValueInfoCountMax': 9900000,
    'snapshotNameLengthMax': 255,
    'snapshotsPerVolumeMax': 32,
    'storageNodesPerClusterCountMin': 2,
    'virtualVolumeCountMax': 8000,
    'virtualVolumesPerAccountCountMax': 10000,
    'volumeAccessGroupCountMax': 1000,
    'volumeAccessGroupLunMax': 16383,
    'volumeAccessGroupNameLengthMax': 64,
    'volumeAccessGroupNameLengthMin': 1,
    'volumeAccessGroupsPerInitiatorCountMax': 1,
    'volumeAccessGroupsPerVolumeCountMax': 64,
    'volumeBurstIOPSMax': 200000,
    'volumeBurstIOPSMin': 100,
    'volumeCountMax': 4000,
    'volumeMaxIOPSMax': 200000,
    'volumeMaxIOPSMin': 100,
    'volumeMinIOPSMax': 15000,
    'volumeMinIOPSMin': 50,
    'volumeNameLengthMax': 64,
    'volumeNameLengthMin': 1,
    'volumeSizeMax': 17592186044416,
    'volumeSizeMin': 1000000000,
    'volumesPerAccountCountMax': 2000,
    'volumesPerGroupSnapshotMax': 32,
    'volumesPerVolumeAccessGroupCountMax': 2000,
    'witnessNodesPerClusterCountMax': 4,
}

QOS = {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': 15000}

QOS_CURVE = {
    '4096': 100, '8192': 160, '16384': 270, '32768': 500, '65536': 1000,
    '131072': 1950, '262144': 3900, '524288': 7600, '1048576': 15000,
}

FULLNESS_STAGES = ('stage1Happy', 'stage2Aware', 'stage3Low',
                   'stage4Critical', 'stage5CompletelyConsumed')
