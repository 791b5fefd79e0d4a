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

"""Templates are attached to be filled, and no secret is logged."""

import logging as std_logging

from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.tests.unit.volume.drivers.solidfire_template_cache import filling
from cinder.volume.drivers.solidfire_template_cache import template as tpl


class AttachTestCase(filling.FillTestCase):
    """Attaching is done as Cinder does it for every image."""

    def test_attach_uses_the_multipath_settings(self):
        for use, enforce in ((False, False), (True, False), (True, True)):
            self.properties.reset_mock()
            driver = self.new_driver()
            group = driver.configuration.config_group
            self.override_config('use_multipath_for_image_xfer', use,
                                 group=group)
            self.override_config('enforce_multipath_for_image_xfer', enforce,
                                 group=group)
            self.fill(self.images.add(filling.DATA), driver=driver)
            self.properties.assert_called_once_with(use, enforce)

    def test_attach_hands_the_properties_on(self):
        self.properties.return_value['enforce_multipath'] = True
        with self.spy_driver('initialize_connection') as initialize:
            with self.spy_driver('terminate_connection') as terminate:
                self.fill(self.images.add(filling.DATA))
        for spy in (initialize, terminate):
            self.assertEqual(1, spy.call_count)
            self.assertEqual(self.properties.return_value,
                             spy.call_args.args[2])

    def test_attach_is_undone_before_the_template_is_ready(self):
        states = []

        def detach(*args, **kwargs):
            states.extend(volume.attributes[tpl.ATTRIBUTE]['state']
                          for volume in self.templates())
            self.assertIs(True, kwargs['force'])
            return original(*args, **kwargs)

        original = type(self.driver)._detach_volume
        with self.patch_driver('_detach_volume', side_effect=detach):
            self.fill(self.images.add(filling.DATA))
        self.assertEqual(['filling'], states)

    def test_attach_with_access_groups(self):
        driver = self.new_driver(sf_enable_vag=True)
        template = self.fill(self.images.add(filling.DATA), driver=driver)
        [create] = [call for call in self.sim.calls
                    if call.method == 'CreateVolumeAccessGroup']
        self.assertEqual([filling.INITIATOR], create.params['initiators'])
        self.assertIn(template.volume_id, create.params['volumes'])
        # The host has no more access when the data is there.
        self.assertEqual({}, self.sim.cluster.access_groups)
        self.assertTrue(template.usable)
        self.assertEqual([], self.warnings.messages)

    def test_attach_with_access_groups_beside_other_volumes(self):
        driver = self.new_driver(sf_enable_vag=True)
        other = self.fill(self.images.add(filling.DATA), driver=driver)
        vag_id = driver._safe_create_vag(filling.INITIATOR, other.volume_id)
        self.fill(self.images.add(filling.DATA), driver=driver)
        group = self.sim.cluster.access_groups[vag_id]
        self.assertEqual([other.volume_id], group.volume_ids)

    def test_attach_with_access_groups_that_fails(self):
        driver = self.new_driver(sf_enable_vag=True)
        self.sim.faults.add(method='CreateVolumeAccessGroup', error='xNew',
                            times=None)
        self.assertRaises(filling.FAILURES, self.fill,
                          self.images.add(filling.DATA), driver=driver)
        self.assert_nothing_left()
        self.assertEqual({}, self.sim.cluster.access_groups)

    def test_secrets_are_in_no_log(self):
        log = clients.Log(self, '')
        image = self.images.add(filling.DATA)
        for _i in range(2):
            self.assertTrue(self.clone(image)[1])
        self.sim.faults.add(method='ModifyVolume', error='xNew', times=None)
        self.assertFalse(self.clone(self.images.add(filling.DATA))[1])
        ours = [record for record in log.records
                if record.name.startswith(base.PACKAGE)]
        self.assertIn(std_logging.DEBUG,
                      {record.levelno for record in ours})
        accounts = self.sim.cluster.accounts.values()
        self.assertEqual(2, len(accounts))
        for account in accounts:
            for secret in (account.target_secret, account.initiator_secret):
                for line in log.lines:
                    self.assertNotIn(secret, line)
        for line in log.lines:
            self.assertNotIn(self.sim.password + '@', line)
