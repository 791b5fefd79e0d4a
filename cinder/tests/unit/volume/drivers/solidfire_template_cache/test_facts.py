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

"""What is remembered of a cluster, and for how long."""

import threading

from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import facts

_PATIENCE = 60


class ClusterFactsTestCase(clients.ClientTestCase):

    def setUp(self):
        super().setUp()
        self.facts = facts.ClusterFacts(self.client, self.clock)

    def test_facts_are_not_asked_for_before_they_are_needed(self):
        self.assertEqual([], self.sim.calls.methods)

    def test_clones_per_volume(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 7
        for _i in range(3):
            self.assertEqual(7, self.facts.clones_per_volume())
        self.assertEqual(['GetLimits'], self.sim.calls.methods)

    def test_clones_per_volume_when_not_told(self):
        log = clients.Log(self)
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = None
        for _i in range(3):
            self.assertEqual(2, self.facts.clones_per_volume())
        self.assertEqual(['GetLimits'], self.sim.calls.methods)
        self.assertIn('Assuming 2', log.text)

    def test_default_qos(self):
        for _i in range(3):
            self.assertEqual(self.sim.cluster.default_qos,
                             self.facts.default_qos())
        self.assertEqual(['GetDefaultQoS'], self.sim.calls.methods)

    def test_default_qos_when_not_told(self):
        self.sim.faults.add(method='GetDefaultQoS', error='xNew', times=None)
        for _i in range(3):
            self.assertEqual({}, self.facts.default_qos())
        self.assertEqual(['GetDefaultQoS'], self.sim.calls.methods)

    def test_facts_are_asked_for_again_after_a_while(self):
        self.facts.clones_per_volume()
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 1
        self.clock.advance(599)
        self.assertEqual(2, self.facts.clones_per_volume())
        self.clock.advance(1)
        self.assertEqual(1, self.facts.clones_per_volume())

    def test_facts_that_were_not_told_are_asked_for_again(self):
        self.sim.faults.add(method='GetLimits', error='xNew')
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 1
        self.assertEqual(2, self.facts.clones_per_volume())
        self.clock.advance(600)
        self.assertEqual(1, self.facts.clones_per_volume())

    def test_facts_are_remembered_apart(self):
        self.facts.clones_per_volume()
        self.facts.default_qos()
        self.assertEqual(['GetLimits', 'GetDefaultQoS'],
                         self.sim.calls.methods)

    def test_crowd_asks_once(self):
        threads = [threading.Thread(target=self.facts.clones_per_volume)
                   for _i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual(['GetLimits'], self.sim.calls.methods)

    def test_errors_of_other_kinds_are_not_hidden(self):
        self.mock_object(self.client, 'get_default_qos', autospec=True,
                         side_effect=KeyError('x'))
        self.assertRaises(KeyError, self.facts.default_qos)

    def test_cluster_that_refuses_the_credentials(self):
        client = self.new_client(password='a wrong password')
        known = facts.ClusterFacts(client, self.clock)
        self.assertRaises(errors.AccessDenied, client.get_default_qos)
        self.assertEqual({}, known.default_qos())
