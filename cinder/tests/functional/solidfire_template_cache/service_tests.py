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

"""What tests with whole volume services have in common."""

import os

from oslo_utils import units

from cinder.tests.element_simulator import fixture as simulator
from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.unit import test


class ServicesTestCase(test.TestCase):
    """Services in their own processes, on one simulated cluster."""

    CLONE_SECONDS = 0.1

    def setUp(self):
        super().setUp()
        self.sim = self.useFixture(simulator.ElementSimulator(
            clone_seconds=self.CLONE_SECONDS))
        self.services = self.useFixture(processes.Services(self.sim))
        self.images = self.services.images

    def volumes(self, prefix):
        """Return the volumes on the cluster, deleted ones too, by name."""
        return self.sim.cluster.volumes_named(prefix)

    def path_of(self, volume):
        return self.sim.cluster.volume_path(volume.volume_id)

    def holds(self, volume, data):
        """Return whether a volume begins with data, and is empty after."""
        with open(self.path_of(volume), 'rb') as source:
            return (source.read(len(data)) == data and
                    not source.read(units.Mi).strip(b'\0'))

    def assert_made(self, answer, data):
        """Check that a request has created its one volume completely."""
        self.assertEqual((None, 'available', False), (
            answer['error'], answer['status'], answer['rescheduled']))
        volume, = self.volumes('UUID-' + answer['volume_id'])
        self.assertEqual(str(volume.volume_id),
                         answer['provider_id'].split()[0])
        self.assertEqual(('active', 'readWrite', units.Gi), (
            volume.status, volume.access, volume.size))
        self.assertTrue(self.holds(volume, data))

    def assert_no_temporary_files(self, *hosts):
        for host in hosts:
            directory = os.path.join(host.state_path, 'conversion')
            self.assertEqual([], os.listdir(directory)
                             if os.path.exists(directory) else [])
