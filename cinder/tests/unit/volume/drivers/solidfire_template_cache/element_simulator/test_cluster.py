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

"""Tests of what is told of the cluster and its volumes' activity."""

import ddt

from cinder.tests.element_simulator import api
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class ClusterInfoTestCase(base.ClusterTestCase):

    def test_get_api(self):
        reply = self.call('GetAPI')
        self.assertEqual('12.3', reply['currentVersion'])
        self.assertEqual(('1.0', '12.3'), (reply['supportedVersions'][0],
                                           reply['supportedVersions'][-1]))
        self.assertEqual(api.names('12.3'), reply['12.3'])
        self.assertIn('CloneVolume', reply['12.3'])

    def test_get_cluster_info(self):
        self.cluster = self.make_cluster(
            name='fast', unique_id='ahf7', mvip='10.0.0.1', svip='10.0.1.1')
        info = self.call('GetClusterInfo')['clusterInfo']
        self.assertEqual(('fast', 'ahf7', '10.0.0.1', '10.0.1.1', '0', 2),
                         (info['name'], info['uniqueID'], info['mvip'],
                          info['svip'], info['mvipVlanTag'],
                          info['repCount']))
        self.assertRegex(info['uuid'], '^[0-9a-f-]{36}$')

    def test_get_cluster_version_info(self):
        self.cluster = self.make_cluster(api_version='11.7', nodes=3)
        info = self.call('GetClusterVersionInfo')
        self.assertEqual('11.7', info['clusterAPIVersion'])
        self.assertEqual([1, 2, 3], [node['nodeID'] for node in
                                     info['clusterVersionInfo']])
        self.assertNotIn('pendingClusterVersion', info)

    def test_get_cluster_capacity(self):
        volume_id = self.make_volume()
        self.write(volume_id, 0, b'x' * base.MIB)
        capacity = self.call('GetClusterCapacity')['clusterCapacity']
        self.assertEqual(base.GIB, capacity['provisionedSpace'])
        self.assertEqual(1024 ** 5, capacity['maxProvisionedSpace'])
        self.assertEqual(5 * 1024 ** 5,
                         capacity['maxOverProvisionableSpace'])
        self.assertGreaterEqual(capacity['usedSpace'], base.MIB)
        self.assertLess(capacity['usedSpace'], 2 * base.MIB)
        for key, value in capacity.items():
            self.assertIsInstance(value,
                                  str if key == 'timestamp' else int)

    def test_get_cluster_capacity_set(self):
        self.cluster = self.make_cluster(
            capacity={'maxProvisionedSpace': 3 * base.GIB, 'currentIOPS': 7,
                      'maxOverProvisionableSpace': 2 * base.GIB})
        capacity = self.call('GetClusterCapacity')['clusterCapacity']
        self.assertEqual((3 * base.GIB, 7), (
            capacity['maxProvisionedSpace'], capacity['currentIOPS']))

    def test_over_provisioned(self):
        self.cluster = self.make_cluster(
            capacity={'maxProvisionedSpace': base.GIB,
                      'maxOverProvisionableSpace': 2 * base.GIB})
        first = self.make_volume()
        self.make_volume()
        self.refused('xTotalCapacityExceeded', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB)
        self.refused('xTotalCapacityExceeded', 'CloneVolume', name='v',
                     volumeID=first)
        self.call('DeleteVolume', volumeID=first)
        self.refused('xTotalCapacityExceeded', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB)
        self.call('PurgeDeletedVolume', volumeID=first)
        self.make_volume()

    @ddt.data(4, 5, 'stage4Critical')
    def test_fullness_refuses(self, stage):
        volume_id = self.make_volume()
        self.cluster.set_fullness(stage)
        for method, params in (
                ('CreateVolume', {'name': 'v', 'accountID': 1,
                                  'totalSize': base.GIB}),
                ('CloneVolume', {'name': 'c', 'volumeID': volume_id}),
                ('CreateSnapshot', {'volumeID': volume_id})):
            self.refused('xTotalCapacityExceeded', method, **params)
        self.call('ModifyVolume', volumeID=volume_id, attributes={'a': 1})

    @ddt.data(1, 2, 3)
    def test_fullness_allows(self, stage):
        self.cluster.set_fullness(stage)
        volume_id = self.make_volume()
        self.call('CloneVolume', volumeID=volume_id, name='c')
        self.call('CreateSnapshot', volumeID=volume_id)

    def test_get_cluster_full_threshold(self):
        self.assertEqual('stage1Happy',
                         self.call('GetClusterFullThreshold')['fullness'])
        self.cluster.set_fullness(3)
        reply = self.call('GetClusterFullThreshold')
        self.assertEqual(('stage3Low', 'stage3Low'),
                         (reply['fullness'], reply['blockFullness']))

    def test_get_limits(self):
        limits = self.call('GetLimits', version='1.0')
        for name, value in (('cloneJobsPerVolumeMax', 2),
                            ('cloneJobsPerNodeMax', 8),
                            ('volumeCountMax', 4000),
                            ('volumesPerAccountCountMax', 2000),
                            ('snapshotsPerVolumeMax', 32),
                            ('volumeSizeMin', 1000000000),
                            ('volumeSizeMax', 17592186044416)):
            self.assertEqual(value, limits[name])

    def test_get_limits_set(self):
        self.cluster = self.make_cluster(
            limits={'cloneJobsPerVolumeMax': 1, 'cloneJobsPerNodeMax': None})
        limits = self.call('GetLimits')
        self.assertEqual(1, limits['cloneJobsPerVolumeMax'])
        self.assertNotIn('cloneJobsPerNodeMax', limits)
        self.assertEqual(2, self.make_cluster().limit(
            'cloneJobsPerVolumeMax'))

    def test_clusters_share_nothing(self):
        self.make_volume()
        self.assertEqual({}, self.make_cluster().volumes)

    def test_time_follows_the_clock(self):
        before = self.cluster.now()
        self.clock.advance(90)
        self.assertEqual(90.0,
                         (self.cluster.now() - before).total_seconds())


class StatsTestCase(base.ClusterTestCase):

    def test_get_volume_stats(self):
        volume_id = self.make_volume()
        self.call('CreateVolumeAccessGroup', name='g', volumes=[volume_id])
        self.write(volume_id, 0, b'x' * 8192)
        stats = self.call('GetVolumeStats', volumeID=volume_id)['volumeStats']
        expected = {'volumeID': volume_id, 'accountID': 1,
                    'volumeSize': base.GIB, 'nonZeroBlocks': 2,
                    'zeroBlocks': base.GIB // 4096 - 2,
                    'volumeAccessGroups': [1], 'readOps': 0}
        self.assertEqual(expected, {key: stats[key] for key in expected})

    def test_list_volume_stats(self):
        first, second = self.make_volume(), self.make_volume()
        reply = self.call('ListVolumeStats')['volumeStats']
        self.assertEqual([first, second], [s['volumeID'] for s in reply])
        reply = self.call('ListVolumeStats', volumeIDs=[second, 99])
        self.assertEqual([second],
                         [s['volumeID'] for s in reply['volumeStats']])
