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

"""Tests of the fixture."""

import os

import requests

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import fixture
from cinder.tests.unit import test


class FixtureTestCase(test.TestCase):

    def test_fixture_gives_a_running_cluster(self):
        with fixture.ElementSimulator(clone_seconds=2, login='me',
                                      password='secret') as sim:
            self.assertEqual(2, sim.cluster.jobs.seconds)
            reply = requests.post(
                f'{sim.url}/json-rpc/12.0', timeout=60, verify=sim.ca_file,
                json={'method': 'GetClusterInfo'}, auth=('me', 'secret'))
            self.assertIn('result', reply.json())
            self.assertEqual(1, sim.calls.count('GetClusterInfo'))
            self.assertEqual((sim.host, sim.port),
                             (sim.server.host, sim.server.port))
            directory = sim.cluster.files.directory
            self.assertTrue(os.path.isdir(directory))
        self.assertFalse(os.path.exists(directory))
        self.assertRaises(requests.exceptions.ConnectionError, requests.get,
                          sim.url, timeout=60)

    def test_fixture_around_a_given_cluster(self):
        given = cluster.Cluster()
        self.addCleanup(given.close)
        with fixture.ElementSimulator(cluster=given) as sim:
            self.assertIs(given, sim.cluster)
        self.assertTrue(os.path.isdir(given.files.directory))

    def test_fixture_unknown_argument(self):
        self.assertRaisesRegex(TypeError, 'colour', fixture.ElementSimulator,
                               colour='red')
