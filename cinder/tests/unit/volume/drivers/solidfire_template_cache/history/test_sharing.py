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

"""Past faults of policy: whose images, which signatures, what is told."""

from unittest import mock

import ddt

from cinder import exception
from cinder.image import cache as image_cache
from cinder.image import image_utils
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.flows.manager import create_volume
from cinder.volume import manager

OWN, OTHER = fake.PROJECT_ID, fake.PROJECT2_ID


@ddt.ddt
class WhoseImageTestCase(base.HistoryTestCase):

    @ddt.data(('public', OTHER), ('community', OTHER), ('private', OWN),
              ('shared', OWN), ('public', None))
    @ddt.unpack
    def test_a3_21_image_that_all_or_the_owner_may_use_is_cached(
            self, visibility, owner):
        image = self.images.add(base.DATA, visibility=visibility, owner=owner)
        self.plant(image)
        self.assert_served(self.clone(image))

    @ddt.data(('private', OTHER), ('shared', OTHER), ('private', None),
              ('private', ''), (None, OTHER), ('new', OTHER))
    @ddt.unpack
    def test_a3_21_image_of_another_is_refused_without_warning_or_call(
            self, visibility, owner):
        # It was a warning at each request, and the owner was assumed.
        image = self.images.add(base.DATA, visibility=visibility, owner=owner)
        self.plant(image)
        self.sim.reset_calls()
        self.assert_refused(self.clone(image), 'IMAGE_NOT_SHARED')
        self.assertEqual([], self.sim.calls.methods)

    @ddt.data('queued', 'saving', 'deleted', 'pending_delete', 'killed',
              'deactivated', None)
    def test_a3_21_hit_looks_at_the_status_of_the_image(self, status):
        image = self.images.add(base.DATA)
        self.plant(image)
        self.assert_served(self.clone(image))
        image['status'] = status
        self.assert_refused(self.clone(image), 'IMAGE_NOT_ACTIVE')

    def test_a3_21_image_no_longer_shared_is_refused_though_remembered(self):
        image = self.images.add(base.DATA)
        self.assert_served(self.clone(image))
        image['visibility'] = 'private'
        self.assert_refused(self.clone(image), 'IMAGE_NOT_SHARED')

    def test_bug_1764125_encrypted_volume_is_refused(self):
        # The manager does not ask for such a volume, but others may.
        image = self.images.add(base.DATA)
        self.plant(image)
        volume = self.new_volume(encryption_key_id=fake.ENCRYPTION_KEY_ID)
        self.sim.reset_calls()
        self.assert_refused(self.clone(image, volume), 'VOLUME_ENCRYPTED')
        self.assertEqual([], self.sim.calls.methods)

    @ddt.data({'cinder_encryption_key_id': fake.ENCRYPTION_KEY_ID},
              {'properties': {
                  'cinder_encryption_key_id': fake.ENCRYPTION_KEY_ID}})
    def test_bug_1764125_encrypted_image_is_refused(self, members):
        image = self.images.add(base.DATA)
        self.plant(image)
        image.update(members)
        self.sim.reset_calls()
        self.assert_refused(self.clone(image), 'IMAGE_ENCRYPTED')
        self.assertEqual([], self.sim.calls.methods)

    def test_commit_5b59d85dc_template_is_in_no_tenants_account_or_database(
            self):
        # So that it counts against nobody's quota.
        image = self.images.add(base.DATA)
        self.assert_served(self.clone(image))
        own = self.sim.cluster.volumes_of(self.account_id(OWN))
        self.assertEqual([volume.volume_id for volume in
                          self.tenant_volumes()],
                         [volume.volume_id for volume in own])
        self.assertEqual(['volume_glance_metadata_bulk_create'],
                         [call[0] for call in self.driver.db.mock_calls])


class SignatureTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)

    def verification(self, **behaviour):
        self.override_config('verify_glance_signatures', 'enabled')
        return mock.patch.object(
            image_utils, 'verify_glance_image_signature', autospec=True,
            **behaviour)

    def stamps(self):
        return [call.args[1:] for call in
                self.driver.db.volume_glance_metadata_bulk_create.mock_calls]

    def test_bug_1823445_signature_is_verified_once_and_stamped_each_time(
            self):
        volumes = [self.new_volume() for _i in range(3)]
        with self.verification(return_value=True) as verify:
            for volume in volumes:
                self.assert_served(self.clone(self.image, volume))
        self.assertEqual(1, verify.call_count)
        self.assertEqual([(volume['id'], {'signature_verified': True})
                          for volume in volumes], self.stamps())

    def test_bug_1823445_hit_of_another_process_stamps_what_the_fill_found(
            self):
        with self.verification(return_value=True):
            self.assert_served(self.clone(self.image))
        self.driver = self.new_driver()
        volume = self.new_volume()
        with self.verification(side_effect=AssertionError):
            self.assert_served(self.clone(self.image, volume))
        self.assertEqual([(volume['id'], {'signature_verified': True})],
                         self.stamps())

    def test_bug_1823445_wrong_signature_makes_no_template(self):
        volume = self.new_volume()
        error = exception.ImageSignatureVerificationException(reason='wrong')
        with self.verification(side_effect=error):
            self.assert_fell_back(self.clone(self.image, volume), self.image,
                                  volume, 'wrong')
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))
        self.assertEqual([], self.stamps())

    def test_bug_1823445_template_of_unverified_data_is_replaced(self):
        self.override_config('verify_glance_signatures', 'disabled')
        self.assert_served(self.clone(self.image))
        self.assertEqual([], self.stamps())
        old = self.templates()[0].volume_id
        self.sim.reset_calls()
        with self.verification(return_value=True):
            self.assert_served(self.clone(self.image))
        self.assertNotIn(old, self.sources())
        self.assertEqual(1, len(self.templates()))

    def test_bug_1823445_nothing_is_verified_when_that_is_disabled(self):
        with self.verification(side_effect=AssertionError) as verify:
            self.override_config('verify_glance_signatures', 'disabled')
            for _i in range(2):
                self.assert_served(self.clone(self.image))
        verify.assert_not_called()
        self.assertEqual([], self.stamps())


class WhatIsToldTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)
        self.volume = self.new_volume()

    def outcomes(self):
        """Return all lines that name both the volume and its image."""
        found = self.lines.about(self.volume['id'], self.image['id'])
        self.lines.records.clear()
        return found

    def test_bug_2127220_each_request_has_one_line_that_tells_its_outcome(
            self):
        # Nobody could tell whether the fast way was taken.
        self.assert_served(self.clone(self.image, self.volume))
        filled, = self.outcomes()
        self.volume = self.new_volume()
        self.assert_served(self.clone(self.image, self.volume))
        hit, = self.outcomes()
        self.volume = self.new_volume()
        self.sim.faults.add(method='CloneVolume', job_error='xBroken')
        self.clone(self.image, self.volume)
        failed, = self.outcomes()
        self.image['status'] = 'deactivated'
        self.clone(self.image, self.volume)
        refused, = self.outcomes()
        for line, words in ((filled, 'filled for it'), (hit, '(hit)'),
                            (failed, 'xBroken'),
                            (refused, 'IMAGE_NOT_ACTIVE')):
            self.assertIn(words, line)

    def test_bug_1959178_miss_is_no_error_and_no_warning(self):
        self.assert_served(self.clone(self.image))
        self.image['disk_format'] = 'qcow2'
        self.image['virtual_size'] = None
        self.assert_refused(self.clone(self.image), 'VIRTUAL_SIZE_UNKNOWN')

    def test_bug_1959178_driver_without_cache_says_nothing(self):
        driver = self.new_driver(sf_allow_template_caching=False)
        self.assertEqual((None, False),
                         self.clone(self.image, driver=driver))
        self.assertEqual([], self.lines.records)

    def test_commit_90d2765e7_cache_is_off_by_default(self):
        option, = [option for option in options.template_cache_opts
                   if option.name == 'sf_allow_template_caching']
        self.assertIs(False, option.default)

    def create_as_the_manager_does(self):
        generic = mock.create_autospec(image_cache.ImageVolumeCache,
                                       instance=True)
        task = create_volume.CreateVolumeFromSpecTask(
            mock.create_autospec(manager.VolumeManager, instance=True),
            self.driver.db, self.driver, generic)
        flow = create_volume.CreateVolumeFromSpecTask
        with mock.patch.object(
                flow, '_handle_bootable_volume_glance_meta', autospec=True):
            model_update = task._create_from_image(
                self.context, self.volume, (None, None), self.image['id'],
                self.image, self.images)
        return model_update, generic

    def test_contract_template_goes_before_the_image_volume_cache(self):
        model_update, generic = self.create_as_the_manager_does()
        self.assert_holds(model_update, base.DATA)
        self.assertEqual([], generic.mock_calls)

    def test_contract_image_volume_cache_is_asked_when_there_is_no_template(
            self):
        self.sim.faults.add(method='CloneVolume', job_error='xBroken')
        flow = create_volume.CreateVolumeFromSpecTask
        with mock.patch.object(flow, '_prepare_image_cache_entry',
                               autospec=True,
                               return_value=({'its': 'own'}, True)):
            model_update, _generic = self.create_as_the_manager_does()
        self.assertEqual({'its': 'own'}, model_update)

    def test_contract_manager_does_not_ask_for_an_encrypted_volume(self):
        # What the driver's own refusal backs up.
        self.volume = self.new_volume(
            encryption_key_id=fake.ENCRYPTION_KEY_ID)
        flow = create_volume.CreateVolumeFromSpecTask
        with mock.patch.object(
                flow, '_create_from_image_cache_or_download', autospec=True,
                return_value={'normal': 'way'}):
            model_update, _generic = self.create_as_the_manager_does()
        self.assertEqual({'normal': 'way'}, model_update)
        self.assertEqual([], self.lines.records)
