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

"""The whole path of a request, on a simulated cluster."""

from unittest import mock

from oslo_utils import units

from cinder import exception
from cinder.image import image_utils
from cinder.tests.element_simulator import faults
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base


class CloneImageTestCase(base.DriverTestCase):

    def assert_cloned(self, outcome, data):
        model_update, cloned = outcome
        self.assertEqual([], self.warnings.messages)
        self.assertTrue(cloned)
        self.assert_holds(model_update, data)

    def assert_fell_back(self, outcome, image, reason):
        """Check that a request goes the normal way, with one warning."""
        self.assertEqual((None, False), outcome)
        self.assertEqual(1, len(self.warnings.messages))
        self.assertIn(image['id'], self.warnings.messages[0])
        self.assertIn(reason, self.warnings.messages[0])
        self.warnings.messages.clear()

    def test_first_request_fills_and_next_ones_clone(self):
        data = b'bootable' * 50000
        image = self.images.add(data)
        for _i in range(3):
            self.assert_cloned(self.clone(image), data)
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, len(self.templates()))
        self.assertEqual(units.Gi, self.templates()[0].size)
        self.assertEqual('readOnly', self.templates()[0].access)

    def test_steady_hit_costs_two_calls(self):
        image = self.images.add(b'x' * 4096)
        sim = self.new_cluster(clone_seconds=0)
        driver = self.new_driver(sim)
        self.clone(image, driver=driver)
        sim.calls.reset_calls()
        self.clone(image, driver=driver)
        self.assertEqual(['CloneVolume', 'GetAsyncResult'],
                         sim.calls.methods)

    def test_option_off_is_the_stock_driver(self):
        driver = self.new_driver(sf_allow_template_caching=False)
        self.sim.calls.reset_calls()
        outcome = self.clone(self.images.add(b'x'), driver=driver)
        self.assertEqual((None, False), outcome)
        self.assertEqual([], self.sim.calls.methods)
        self.assertEqual([], self.images.downloads)

    def test_larger_volume_is_resized_by_the_clone_itself(self):
        image = self.images.add(b'x' * 4096)
        self.clone(image)
        self.sim.calls.reset_calls()
        self.assert_cloned(self.clone(image, self.new_volume(size=3)),
                           b'x' * 4096)
        self.assertEqual(3 * units.Gi,
                         self.sim.calls[0].params['newSize'])
        self.assertEqual(3 * units.Gi, self.tenant_volumes()[-1].size)
        self.assertNotIn('ModifyVolume', self.sim.calls.methods)

    def test_newer_content_is_downloaded_and_replaces_the_old(self):
        image = self.images.add(b'old' * 1000)
        self.clone(image)
        old = self.templates()[0].volume_id
        newer = self.images.replace(image['id'], b'new' * 1000)
        self.assert_cloned(self.clone(newer), b'new' * 1000)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual(1, len(self.templates()))
        self.assertNotEqual(old, self.templates()[0].volume_id)

    def test_edited_metadata_refreshes_the_record_without_a_download(self):
        image = self.images.add(b'same' * 1000)
        self.clone(image)
        for _i in range(2):
            self.assert_cloned(self.clone(self.images.touch(image['id'])),
                               b'same' * 1000)
        self.assertEqual(1, len(self.images.downloads))
        self.sim.calls.reset_calls()
        self.clone(self.images.show(None, image['id']))
        self.assertNotIn('ModifyVolume', self.sim.calls.methods)

    def test_request_older_than_the_template_deletes_nothing(self):
        older = self.images.add(b'old' * 1000)
        newer = self.images.replace(older['id'], b'new' * 1000)
        self.clone(newer)
        self.assert_fell_back(self.clone(older), older, 'RequestOutdated')
        self.assertEqual(1, len(self.templates()))
        self.assertEqual(1, len(self.tenant_volumes()))

    def test_template_deleted_behind_our_back_is_made_again(self):
        image = self.images.add(b'x' * 4096)
        self.clone(image)
        for template in self.templates():
            self.sim.cluster.forget_volume(template.volume_id)
        self.assert_cloned(self.clone(image), b'x' * 4096)
        self.assertEqual(2, len(self.images.downloads))

    def test_tenant_account_deleted_behind_our_back_is_made_again(self):
        image = self.images.add(b'x' * 4096)
        self.clone(image)
        cluster = self.sim.cluster
        for volume in self.tenant_volumes():
            cluster.forget_volume(volume.volume_id)
        for account in list(cluster.accounts.values()):
            if account.username == fake.PROJECT_ID:
                del cluster.accounts[account.account_id]
        self.assert_cloned(self.clone(image), b'x' * 4096)

    def test_crashed_fill_is_removed_by_the_next_one(self):
        image = self.images.add(b'x' * 4096)
        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=KeyboardInterrupt):
            # Nothing of ours runs after what this stands for.
            self.assertRaises(KeyboardInterrupt, self.clone, image)
        self.assertEqual(1, len(self.templates()))
        self.assert_cloned(self.clone(image), b'x' * 4096)
        self.assertEqual(1, len(self.templates()))

    def test_new_template_that_is_not_listed_serves_all_the_same(self):
        image = self.images.add(b'old' * 1000)
        self.clone(image)
        newer = self.images.replace(image['id'], b'new' * 1000)
        # The look after the fill, to agree with other hosts.
        look = self.sim.faults.add(
            method='ListVolumes', skip=2, http_status=200,
            match={'volumeName': 'OpenStackIMG-' + image['id']},
            body={'id': 1, 'result': {'volumes': []}})
        self.assert_cloned(self.clone(newer), b'new' * 1000)
        self.assertEqual((1, 2), (look.hits, len(self.images.downloads)))
        # What it replaces is looked for after that.
        self.assertEqual(1, len(self.templates()))

    def test_crashed_retirement_is_completed_by_a_new_process(self):
        image = self.images.add(b'old' * 1000)
        self.clone(image)
        newer = self.images.replace(image['id'], b'new' * 1000)
        self.sim.faults.add(faults.Rule(method='DeleteVolume', times=None,
                                        error='xSomethingFinal'))
        self.clone(newer)
        self.assertEqual(2, len(self.templates()))
        self.assertIn('stays until', self.warnings.messages.pop())
        self.sim.faults.clear()
        self.assert_cloned(self.clone(newer, driver=self.new_driver()),
                           b'new' * 1000)
        self.assertEqual(1, len(self.templates()))

    def test_refusal_after_the_effect_makes_no_second_volume(self):
        for method in ('CreateVolume', 'CloneVolume'):
            for error in ('xDBVersionMismatch', 'xDBConnectionLoss'):
                image = self.images.add(error.encode() * 500)
                self.sim.faults.add(faults.Rule(method=method, error=error,
                                                when='after'))
                volume = self.new_volume()
                self.assert_cloned(self.clone(image, volume),
                                   error.encode() * 500)
                self.assertEqual(1, len(self.templates(image['id'])))
                self.assertEqual(
                    1, len(self.volumes_named('UUID-' + volume.id)))

    def test_image_that_was_refused_is_not_downloaded_again_soon(self):
        image = self.images.add(b'x' * 4096, disk_format='qcow2')
        for _i in range(2):
            self.assert_fell_back(self.clone(image), image, 'FillRefused')
        self.assertEqual(1, len(self.images.downloads))
        self.clock.advance(3600)
        self.assert_fell_back(self.clone(image), image, 'FillRefused')
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([], self.templates())

    def test_signature_is_recorded_on_every_volume(self):
        image = self.images.add(b'x' * 4096)
        with mock.patch.object(image_utils, 'verify_glance_image_signature',
                               autospec=True, return_value=True) as verify:
            self.clone(image)
            volume = self.new_volume()
            self.clone(image, volume)
        self.assertEqual(1, verify.call_count)
        self.driver.db.volume_glance_metadata_bulk_create.assert_called_with(
            self.context, volume.id, {'signature_verified': True})

    def test_volume_is_kept_though_its_signature_is_not_recorded(self):
        image = self.images.add(b'x' * 4096)
        self.driver.db.volume_glance_metadata_bulk_create.side_effect = (
            exception.VolumeNotFound(volume_id='of the test'))
        model_update, cloned = self.clone(image)
        self.assertTrue(cloned)
        self.assert_holds(model_update, b'x' * 4096)
        self.assertIn('signature_verified', self.warnings.messages.pop())
        self.assertEqual([], self.warnings.messages)

    def test_new_template_serves_though_the_look_behind_it_fails(self):
        image = self.images.add(b'old' * 1000)
        self.clone(image)
        newer = self.images.replace(image['id'], b'new' * 1000)
        # The looks before the lock, with it, and, four times, after the fill.
        rule = self.sim.faults.add(faults.Rule(
            method='ListVolumes', error='xSomethingFinal', skip=2, times=4,
            match={'volumeName': 'OpenStackIMG-' + image['id']}))
        self.assert_cloned(self.clone(newer), b'new' * 1000)
        self.assertEqual(4, rule.hits)
        self.assertEqual(1, len(self.templates()))

    def test_unverified_template_is_replaced_once_signatures_count(self):
        image = self.images.add(b'x' * 4096)
        self.override_config('verify_glance_signatures', 'disabled')
        self.clone(image)
        self.override_config('verify_glance_signatures', 'enabled')
        self.assert_cloned(self.clone(image), b'x' * 4096)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual(1, len(self.templates()))

    def test_clone_is_removed_when_what_follows_fails(self):
        image = self.images.add(b'x' * 4096)
        self.clone(image)
        with mock.patch.object(type(self.driver), '_build_connection_info',
                               autospec=True,
                               side_effect=exception.CinderException('no')):
            self.assert_fell_back(self.clone(image), image, 'no')
        self.assertEqual(1, len(self.tenant_volumes()))

    def test_garbage_for_an_image_is_survived(self):
        for garbage in (None, {}, {'id': 5}, [], 'image'):
            self.assertEqual((None, False), self.clone(garbage))
