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

"""Tests of pairs of clusters and volumes."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import peers
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class PairingTestCase(base.ClusterTestCase):

    def setUp(self):
        super().setUp()
        network = peers.Peers()
        self.near = self.make_cluster(peers=network, mvip='10.0.0.1',
                                      name='near')
        self.far = self.make_cluster(peers=network, mvip='10.0.0.2',
                                     name='far')
        self.cluster = self.near

    def call_far(self, method, **params):
        return api.call(self.far, method, params).result

    def refused_far(self, error, method, **params):
        self.cluster = self.far
        try:
            self.refused(error, method, **params)
        finally:
            self.cluster = self.near

    def pair_clusters(self):
        key = self.call('StartClusterPairing')['clusterPairingKey']
        self.call_far('CompleteClusterPairing', clusterPairingKey=key)

    def make_volumes(self):
        self.call_far('AddAccount', username='tenant')
        far = self.call_far('CreateVolume', name='v', accountID=1,
                            totalSize=base.GIB)['volumeID']
        return self.make_volume(), far

    def test_cluster_pairing(self):
        self.assertEqual([], self.call('ListClusterPairs')['clusterPairs'])
        started = self.call('StartClusterPairing')
        pair, = self.call('ListClusterPairs')['clusterPairs']
        self.assertEqual('Configured', pair['status'])
        completed = self.call_far(
            'CompleteClusterPairing',
            clusterPairingKey=started['clusterPairingKey'])
        near, = self.call('ListClusterPairs')['clusterPairs']
        far, = self.call_far('ListClusterPairs')['clusterPairs']
        self.assertEqual(
            (started['clusterPairID'], 'Connected', '10.0.0.2', 'far',
             self.far.uuid),
            (near['clusterPairID'], near['status'], near['mvip'],
             near['clusterName'], near['clusterUUID']))
        self.assertEqual((completed['clusterPairID'], '10.0.0.1'),
                         (far['clusterPairID'], far['mvip']))
        self.assertEqual(near['clusterPairUUID'], far['clusterPairUUID'])

    def test_cluster_pairing_bad_key(self):
        self.refused_far('xInvalidPairingKey', 'CompleteClusterPairing',
                         clusterPairingKey='x')
        key = self.call('StartClusterPairing')['clusterPairingKey']
        # A cluster is no peer of itself.
        self.refused('xInvalidPairingKey', 'CompleteClusterPairing',
                     clusterPairingKey=key)

    def test_cluster_pairing_twice(self):
        self.pair_clusters()
        key = self.call('StartClusterPairing')['clusterPairingKey']
        self.refused_far('xPairingAlreadyExists', 'CompleteClusterPairing',
                         clusterPairingKey=key)

    def test_cluster_pairing_limit(self):
        self.near.limits['clusterPairsCountMax'] = 1
        self.pair_clusters()
        self.refused('xExceededLimit', 'StartClusterPairing')

    def test_remove_cluster_pair(self):
        self.pair_clusters()
        self.call('RemoveClusterPair', clusterPairID=1)
        self.assertEqual([], self.call('ListClusterPairs')['clusterPairs'])
        self.refused('xPairingDoesNotExist', 'RemoveClusterPair',
                     clusterPairID=1)

    def test_volume_pairing(self):
        self.pair_clusters()
        near_id, far_id = self.make_volumes()
        key = self.call('StartVolumePairing', volumeID=near_id,
                        mode='Sync')['volumePairingKey']
        volume = self.call_far('ModifyVolume', volumeID=far_id,
                               access='replicationTarget')['volume']
        self.assertEqual('locked', volume['access'])
        self.call_far('CompleteVolumePairing', volumeID=far_id,
                      volumePairingKey=key)
        near, = self.call('ListActivePairedVolumes')['volumes']
        far, = self.call_far('ListVolumes', isPaired=True)['volumes']
        self.assertEqual('replicationTarget', far['access'])
        self.assertEqual(
            (1, far_id, 'Sync', 'Active'),
            (near['volumePairs'][0]['clusterPairID'],
             near['volumePairs'][0]['remoteVolumeID'],
             near['volumePairs'][0]['remoteReplication']['mode'],
             near['volumePairs'][0]['remoteReplication']['state']))
        self.assertEqual(near_id, far['volumePairs'][0]['remoteVolumeID'])
        self.assertEqual(near['volumePairs'][0]['volumePairUUID'],
                         far['volumePairs'][0]['volumePairUUID'])
        self.refused('xVolumeAlreadyPaired', 'StartVolumePairing',
                     volumeID=near_id)

    def test_volume_pairing_without_clusters_paired(self):
        near_id, far_id = self.make_volumes()
        key = self.call('StartVolumePairing',
                        volumeID=near_id)['volumePairingKey']
        self.refused_far('xMVIPNotPaired', 'CompleteVolumePairing',
                         volumeID=far_id, volumePairingKey=key)

    def test_volume_pairing_bad_key(self):
        self.pair_clusters()
        near_id, far_id = self.make_volumes()
        self.refused_far('xInvalidPairingKey', 'CompleteVolumePairing',
                         volumeID=far_id, volumePairingKey='x')
        key = self.call('StartVolumePairing',
                        volumeID=near_id)['volumePairingKey']
        self.call('DeleteVolume', volumeID=near_id)
        self.refused_far('xInvalidPairingKey', 'CompleteVolumePairing',
                         volumeID=far_id, volumePairingKey=key)

    def test_volume_pairing_target_taken(self):
        self.pair_clusters()
        near_id, far_id = self.make_volumes()
        for expected in (None, 'xVolumeAlreadyPaired'):
            key = self.call('StartVolumePairing',
                            volumeID=near_id)['volumePairingKey']
            params = {'volumeID': far_id, 'volumePairingKey': key}
            if expected:
                self.refused_far(expected, 'CompleteVolumePairing', **params)
            else:
                self.call_far('CompleteVolumePairing', **params)
                near_id = self.make_volume()

    def test_remove_volume_pair(self):
        near_id = self.make_volume()
        # The stock driver does it to volumes that have none.
        self.assertEqual({}, self.call('RemoveVolumePair',
                                       volumeID=near_id))
        self.refused('xVolumeIDDoesNotExist', 'RemoveVolumePair',
                     volumeID=99)
