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

"""What a hit costs: calls and bytes, whatever the cluster holds."""

import ddt
from oslo_utils import units
from oslo_utils import uuidutils

from cinder.tests.element_simulator import records
from cinder.tests.functional.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache.templates import model

MAX_BYTES = 5000
"""Of the bodies of all requests and replies of a hit."""

# What longer numbers, and the ids of two volumes, may differ in.
DIFFERENCE = 100


@ddt.ddt
class HitsTestCase(base.FunctionalTestCase):

    # It is done when first asked for.
    CLONE_SECONDS = 0

    def measure_hit(self):
        """Return the methods of a hit, and its bytes."""
        self.clone(self.image)
        self.sim.reset_calls()
        self.assert_served(self.clone(self.image), base.DATA)
        calls = self.sim.calls
        return calls.methods, calls.bytes_in + calls.bytes_out

    @ddt.data((10000, 0, 0), (0, 1000, 0), (0, 0, 1000))
    @ddt.unpack
    def test_hit_on_a_full_cluster(self, volumes, templates, accounts):
        cluster = self.sim.cluster
        cluster.limits.update(volumeCountMax=20000)
        self.image = self.images.add(base.DATA)
        methods, size = self.measure_hit()
        self.assertEqual(['CloneVolume', 'GetAsyncResult', 'ListVolumes'],
                         methods)
        self.assertLess(0, size)
        self.assertLessEqual(size, MAX_BYTES)
        for _i in range(accounts or 1):
            other = cluster.next_id('account')
            cluster.accounts[other] = records.Account(
                other, uuidutils.generate_uuid(), 'initiator-1x', 'target-1x')
        self.add_volumes(volumes, 'UUID-', other)
        # Of other images, which nobody clones here.
        self.add_volumes(templates, model.NAME_PREFIX,
                         self.account_id(base.TEMPLATE_ACCOUNT))
        # With nothing cached, and then once more.
        self.driver = self.other_host()
        full_methods, full_size = self.measure_hit()
        self.assertEqual(methods, full_methods)
        self.assertLessEqual(abs(full_size - size), DIFFERENCE)
        self.assertEqual(1, len(self.images.downloads))

    def add_volumes(self, count, prefix, account_id):
        cluster = self.sim.cluster
        mark = self.templates()[0].attributes[model.ATTRIBUTE]
        for _i in range(count):
            image_id = uuidutils.generate_uuid()
            cluster.insert_volume(
                name=prefix + image_id, account_id=account_id,
                size=units.Gi, qos=dict(cluster.default_qos),
                access='readOnly', attributes={
                    model.ATTRIBUTE: dict(mark, image_id=image_id)})
