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

"""The client of the Element API against the simulator."""

from oslo_utils import units

from cinder.tests.element_simulator import application
from cinder.tests.element_simulator import fixture as simulator
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import transport


class ElementClientTestCase(test.TestCase):

    def test_calls_have_no_parameter_that_the_cluster_ignores(self):
        clock = fixtures.ManualClock()
        sim = self.useFixture(simulator.ElementSimulator(
            clock=clock, clone_seconds=60))
        element = client.ElementClient(transport.Endpoint(
            sim.url, sim.login, sim.password, sim.ca_file), clock)
        replies = []
        perform = application.Exchange._perform

        def note(exchange, job_error):
            replies.append(perform(exchange, job_error))
            return replies[-1]

        self.mock_object(application.Exchange, '_perform', note)
        element.add_account('tenant', 'CHAPSECRET12')
        account_id = element.get_account('tenant').id
        source = element.create_volume('v', account_id, units.Gi,
                                       True, {'a': 1})
        started = element.clone_volume(source.id, 'c', account_id,
                                       True, {'b': 2}, 2 * units.Gi)
        self.assertFalse(element.get_job(started.handle).done)
        self.assertEqual({started.volume.id},
                         element.list_running_clones(source.id))
        element.modify_volume(source.id, access='readOnly', qos={},
                              attributes={})
        element.list_account_volumes(account_id)
        element.find_volume(source.id)
        element.next_active_volume(source.id)
        element.get_clone_limits()
        element.count_nodes()
        self.assertEqual({source.id}, set(
            element.list_volume_nodes([source.id])))
        element.get_default_qos()
        self.assertNotEqual((None, None), element.get_block_space())
        element.cancel_clone(started.clone_id)
        element.remove_volumes_named('v')
        self.assertEqual({}, sim.cluster.volumes)
        self.assertEqual(set(client._VERSIONS), set(sim.calls.methods))
        self.assertEqual([], [reply for reply in replies
                              if 'unusedParameters' in str(reply)])
