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

"""What the tests of clones share: a template, orders, checks."""

import dataclasses

from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import clones
from cinder.volume.drivers.solidfire_template_cache import facts

TIMEOUT = 600


class CloneTestCase(clients.ClientTestCase):

    CLONE_SECONDS = 5

    def setUp(self):
        super().setUp()
        self.tenant = self.make_account('tenant')
        owner = self.make_account('openstack-vtemplate')
        self.template = self.make_volume('OpenStackIMG-1', owner, a=1)
        self.scheduler = self.new_scheduler()
        # What is asked for once in a while would stand between the calls.
        self.scheduler._facts.default_qos()
        self.sim.reset_calls()

    def new_scheduler(self, timeout=TIMEOUT, client=None):
        client = client or self.client
        return clones.CloneScheduler(
            client, facts.ClusterFacts(client, self.clock), timeout,
            self.clock)

    def order(self, name='UUID-1', **changes):
        return dataclasses.replace(
            clones.Order(name=name, account_id=self.tenant.id, size=units.Gi,
                         enable_512e=True, attributes={'uuid': '1'}, qos={}),
            **changes)

    def clone(self, name='UUID-1', scheduler=None, source=None, **changes):
        source = source or self.template
        return (scheduler or self.scheduler).clone(
            source.id, source.size, self.order(name, **changes))

    def clone_elsewhere(self, name, source=None):
        """Start a clone as another host does."""
        return self.new_client().clone_volume(
            (source or self.template).id, name, self.tenant.id, True, {})

    def assert_cloned(self, volume, name='UUID-1'):
        """Check that a volume is whole, and the only one of its name."""
        self.sim.cluster.advance()
        found = [item for item in self.sim.cluster.volumes.values()
                 if item.name == name]
        self.assertEqual([(volume.id, 'active', 'readWrite')], [
            (item.volume_id, item.status, item.access) for item in found])
        self.assertEqual([], self.sim.cluster.jobs.running())

    def assert_nothing_left(self, exc=None):
        self.assertEqual([self.template.id], self.on_cluster())
        self.assertEqual([], self.sim.cluster.jobs.running())
        self.assertEqual([], getattr(exc, '__notes__', []))
