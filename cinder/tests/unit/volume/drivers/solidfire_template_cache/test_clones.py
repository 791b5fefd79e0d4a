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

"""Clones of a template: what is sent, their QoS, refusals."""

from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import cloning
from cinder.volume.drivers.solidfire_template_cache import errors


class StartTestCase(cloning.CloneTestCase):

    def test_clone(self):
        volume = self.clone()
        self.assert_cloned(volume)
        methods = self.sim.calls.methods
        self.assertEqual(['GetLimits', 'CloneVolume'], methods[:2])
        self.assertEqual({'GetAsyncResult'}, set(methods[2:]))
        self.assertEqual([('CloneVolume', {
            'volumeID': self.template.id, 'name': 'UUID-1',
            'newAccountID': self.tenant.id, 'access': 'readWrite',
            'enable512e': True, 'attributes': {'uuid': '1'}})],
            self.sent('CloneVolume'))
        self.assertEqual((self.tenant.id, units.Gi, {'uuid': '1'}), (
            volume.account_id, volume.size, volume.attributes))

    def test_clone_that_is_done_at_once_takes_two_calls(self):
        self.clone()
        self.sim.cluster.jobs.seconds = 0
        self.sim.reset_calls()
        self.clone('UUID-2')
        self.assertEqual(['CloneVolume', 'GetAsyncResult'],
                         self.sim.calls.methods)

    def test_clone_of_the_same_size_sends_no_size(self):
        self.clone()
        [(_method, params)] = self.sent('CloneVolume')
        self.assertNotIn('newSize', params)

    def test_clone_of_another_size_sends_it(self):
        volume = self.clone(size=3 * units.Gi)
        [(_method, params)] = self.sent('CloneVolume')
        self.assertEqual(3 * units.Gi, params['newSize'])
        self.assertEqual(3 * units.Gi, volume.size)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_clone_with_the_template_s_qos_changes_none(self):
        default = self.sim.cluster.default_qos
        for number, qos in enumerate(({}, dict(default),
                                      {'minIOPS': default['minIOPS']})):
            self.clone('UUID-%s' % number, qos=qos)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_clone_with_other_qos_changes_it_once(self):
        qos = {'minIOPS': 100, 'maxIOPS': 12000, 'burstIOPS': 14000}
        volume = self.clone(qos=qos)
        self.assertEqual([('ModifyVolume', {
            'volumeID': volume.id, 'qos': qos})], self.sent('ModifyVolume'))
        self.assertEqual(qos, self.sim.cluster.volumes[volume.id].qos)

    def test_clone_with_part_of_the_qos_has_the_default_for_the_rest(self):
        self.client.modify_volume(self.template.id, qos={
            'minIOPS': 70, 'maxIOPS': 700, 'burstIOPS': 7000})
        volume = self.clone(qos={'minIOPS': 100})
        self.assertEqual(dict(self.sim.cluster.default_qos, minIOPS=100),
                         self.sim.cluster.volumes[volume.id].qos)

    def test_clone_of_a_template_with_qos_of_its_own(self):
        self.client.modify_volume(self.template.id, qos={
            'minIOPS': 70, 'maxIOPS': 700, 'burstIOPS': 7000})
        volume = self.clone()
        self.assertEqual(self.sim.cluster.default_qos,
                         self.sim.cluster.volumes[volume.id].qos)

    def test_clone_when_the_default_qos_is_not_told(self):
        self.sim.faults.add(method='GetDefaultQoS', error='xNew', times=None)
        self.scheduler = self.new_scheduler()
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_clone_whose_qos_is_refused_leaves_nothing(self):
        self.sim.faults.add(method='ModifyVolume', error='xInvalidParameter')
        exc = self.assert_fails(errors.ApiError, self.clone,
                                qos={'minIOPS': 100})
        self.assert_nothing_left(exc)

    def test_clone_of_a_template_that_is_gone(self):
        self.client.remove_volume(self.template.id)
        self.sim.reset_calls()
        exc = self.assert_fails(errors.NotFound, self.clone)
        self.assertEqual('xVolumeIDDoesNotExist', exc.name)
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))
        self.assertEqual([], self.on_cluster())

    def test_clone_to_an_account_that_is_gone(self):
        exc = self.assert_fails(errors.NotFound, self.clone, account_id=77)
        self.assertEqual('xAccountIDDoesNotExist', exc.name)
        self.assert_nothing_left(exc)

    def test_clone_that_is_refused(self):
        self.sim.cluster.set_fullness(4)
        exc = self.assert_fails(errors.ApiError, self.clone)
        self.assertEqual('xTotalCapacityExceeded', exc.name)
        self.assert_nothing_left(exc)

    def test_clone_when_nobody_answers(self):
        self.sim.server.stop()
        exc = self.assert_fails(errors.NotSent, self.clone)
        # Nothing was sent, so there is nothing to look for.
        self.assertEqual([], getattr(exc, '__notes__', []))
        self.assertEqual([self.template.id], self.on_cluster())
