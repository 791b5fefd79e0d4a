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

"""Fills follow Cinder's settings for images, and the driver's own."""

from unittest import mock

from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import filling
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import template as tpl


class SettingsTestCase(filling.FillTestCase):
    """Cinder's settings for images hold for templates too."""

    def verify(self, result):
        return mock.patch.object(
            image_utils, 'verify_glance_image_signature', autospec=True,
            return_value=result)

    def stamped(self, driver=None):
        stamp = (driver or self.driver).db.volume_glance_metadata_bulk_create
        return [call.args[2] for call in stamp.mock_calls]

    def test_signature_is_not_looked_at_when_disabled(self):
        self.override_config('verify_glance_signatures', 'disabled')
        with self.verify(True) as verify:
            model_update, cloned = self.clone(self.images.add(filling.DATA))
        self.assertTrue(cloned)
        verify.assert_not_called()
        [volume] = self.templates()
        self.assertIsNone(
            volume.attributes[tpl.ATTRIBUTE]['signature_verified'])
        self.assertEqual([], self.stamped())

    def test_signature_is_recorded_and_given_to_each_volume(self):
        self.override_config('verify_glance_signatures', 'enabled')
        for result in (True, False):
            self.driver.db.volume_glance_metadata_bulk_create.reset_mock()
            image = self.images.add(filling.DATA)
            with self.verify(result) as verify:
                for _i in range(2):
                    self.assertTrue(self.clone(image)[1])
            # One look, at what was downloaded.
            self.assertEqual(1, verify.call_count)
            self.assertEqual((self.context, self.images, image['id']),
                             verify.call_args.args[:3])
            [volume] = self.templates(image['id'])
            self.assertIs(
                result,
                volume.attributes[tpl.ATTRIBUTE]['signature_verified'])
            self.assertEqual([{'signature_verified': result}] * 2,
                             self.stamped())
        self.assertEqual([], self.warnings.messages)

    def test_signature_that_was_not_looked_at_is_not_trusted(self):
        self.override_config('verify_glance_signatures', 'disabled')
        image = self.images.add(filling.DATA)
        self.assertTrue(self.clone(image)[1])
        self.override_config('verify_glance_signatures', 'enabled')
        with self.verify(True) as verify:
            self.assertTrue(self.clone(image)[1])
        self.assertEqual(1, verify.call_count)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([{'signature_verified': True}], self.stamped())
        # The one that was looked at replaces the other.
        [volume] = self.templates()
        self.assertIs(
            True, volume.attributes[tpl.ATTRIBUTE]['signature_verified'])

    def test_conversion_disabled_lets_raw_images_in(self):
        self.override_config('image_conversion_disable', True)
        model_update, cloned = self.clone(self.images.add(filling.DATA))
        self.assertTrue(cloned)
        self.assert_holds(model_update, filling.DATA)

    def test_conversion_disabled_keeps_others_out(self):
        self.override_config('image_conversion_disable', True)
        image = self.images.add(filling.convert(filling.DATA, 'qcow2'),
                                virtual_size=len(filling.DATA),
                                disk_format='qcow2')
        self.sim.reset_calls()
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual([], self.sim.calls.methods)
        # In the filler too, should it change meanwhile.
        self.assert_fails(errors.TemplateCacheError, image)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))

    def test_conversion_disabled_keeps_hits_out(self):
        image = self.images.add(filling.convert(filling.DATA, 'qcow2'),
                                virtual_size=len(filling.DATA),
                                disk_format='qcow2')
        self.assertTrue(self.clone(image)[1])
        self.override_config('image_conversion_disable', True)
        self.sim.reset_calls()
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual([], self.sim.calls.methods)

    def test_block_size_is_the_configured_one(self):
        driver = self.new_driver(volume_dd_blocksize='4M')
        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=image_utils.fetch_to_raw) as fetch:
            self.fill(self.images.add(filling.DATA), driver=driver)
        self.assertEqual('4M', fetch.call_args.args[4])
        self.assertEqual(1, fetch.call_args.kwargs['size'])

    def test_emulation_of_512_bytes_is_the_configured_one(self):
        for emulate in (True, False):
            self.fill(self.images.add(filling.DATA),
                      driver=self.new_driver(sf_emulate_512=emulate))
        self.assertEqual([True, False], [
            volume.enable_512e for volume in self.templates()])

    def test_owner_is_the_configured_account(self):
        driver = self.new_driver(sf_template_account_name='templates',
                                 sf_account_prefix='cloud')
        template = self.fill(self.images.add(filling.DATA), driver=driver)
        cluster = self.sim.cluster
        owner = cluster.volumes[template.volume_id].account_id
        self.assertEqual('cloud-templates', cluster.accounts[owner].username)
