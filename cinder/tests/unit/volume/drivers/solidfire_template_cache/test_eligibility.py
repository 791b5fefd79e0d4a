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

"""Which requests may use a template, and why the others may not."""

import logging as std_logging
from unittest import mock

import ddt
import hypothesis
from hypothesis import strategies as st
from oslo_utils import units

from cinder import coordination
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.tests.unit.volume.drivers.solidfire_template_cache import inputs
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import eligibility
from cinder.volume.drivers.solidfire_template_cache import image as images

Reason = eligibility.Reason

METADATA = {
    'id': fake.IMAGE_ID, 'status': 'active', 'visibility': 'public',
    'owner': fake.PROJECT2_ID, 'container_format': 'bare',
    'disk_format': 'qcow2', 'updated_at': base.T0, 'size': 100,
    'virtual_size': units.Gi, 'os_hash_algo': 'sha512',
    'os_hash_value': 'ab' * 64, 'checksum': 'cd' * 16, 'properties': {}}


def metadata(*absent, **members):
    """Return good metadata, with some members changed or left out."""
    changed = dict(METADATA, **members)
    return {key: value for key, value in changed.items()
            if key not in absent}


def check(data, project_id=fake.PROJECT_ID, encryption_key_id=None,
          volume_bytes=units.Gi, conversion_disabled=False):
    return eligibility.check(data, project_id, encryption_key_id,
                             volume_bytes, conversion_disabled)


class ReasonTestCase(test.TestCase):
    """One test a reason, ``test_<reason>``; see the last test."""

    def _assert_accepted(self, data, **arguments):
        verdict = check(data, **arguments)
        self.assertIsNone(verdict.reason)
        self.assertEqual(images.from_metadata(data), verdict.image)

    def _assert_refused(self, reason, data, **arguments):
        self.assertEqual(eligibility.Verdict(reason=reason),
                         check(data, **arguments))

    def test_volume_encrypted(self):
        self._assert_refused(Reason.VOLUME_ENCRYPTED, metadata(),
                             encryption_key_id=fake.ENCRYPTION_KEY_ID)
        self._assert_accepted(metadata(), encryption_key_id=None)

    def test_image_encrypted(self):
        for mark in ('cinder_encryption_key_id', 'os_encrypt_format',
                     'os_encrypt_key_id'):
            self._assert_refused(Reason.IMAGE_ENCRYPTED,
                                 metadata(**{mark: 'something'}))
            self._assert_refused(
                Reason.IMAGE_ENCRYPTED,
                metadata(properties={mark: fake.ENCRYPTION_KEY_ID}))
        self._assert_accepted(
            metadata(properties={'cinder_encryption_key_id': None}))

    def test_image_not_active(self):
        for status in ('queued', 'saving', 'deactivated', 'deleted',
                       'killed', 'ACTIVE', None):
            self._assert_refused(Reason.IMAGE_NOT_ACTIVE,
                                 metadata(status=status))
        self._assert_refused(Reason.IMAGE_NOT_ACTIVE, metadata('status'))

    def test_image_not_shared(self):
        for visibility in ('private', 'shared', 'unknown', [], True):
            self._assert_refused(Reason.IMAGE_NOT_SHARED,
                                 metadata(visibility=visibility))
        self._assert_refused(Reason.IMAGE_NOT_SHARED, metadata('visibility'))
        self._assert_refused(Reason.IMAGE_NOT_SHARED,
                             metadata('visibility', is_public='True'))
        # An old public flag does not undo what visibility says.
        self._assert_refused(Reason.IMAGE_NOT_SHARED,
                             metadata(visibility='private', is_public=True))

    def test_image_not_shared_when_nobody_owns_it(self):
        for owner in (None, ''):
            self._assert_refused(
                Reason.IMAGE_NOT_SHARED,
                metadata(visibility='private', owner=owner), project_id=owner)
        self._assert_refused(
            Reason.IMAGE_NOT_SHARED,
            metadata('owner', visibility='private'), project_id=None)

    def test_image_shared(self):
        self._assert_accepted(metadata(visibility='public'))
        self._assert_accepted(metadata(visibility='community'))
        self._assert_accepted(metadata('visibility', is_public=True))
        for visibility in ('private', 'shared'):
            self._assert_accepted(metadata(visibility=visibility,
                                           owner=fake.PROJECT_ID))

    def test_image_id_unusable(self):
        for image_id in (None, '', 5, 'a_b', 'a.b', 'a b', 'i' * 52,
                         '\u00e9', 'abc\n'):
            self._assert_refused(Reason.IMAGE_ID_UNUSABLE,
                                 metadata(id=image_id))
        self._assert_refused(Reason.IMAGE_ID_UNUSABLE, metadata('id'))
        self._assert_accepted(metadata(id='i' * 51))

    def test_virtual_size_unknown(self):
        for size in (None, 0, -1, 1.5, True, '', 'much', '1.0'):
            self._assert_refused(Reason.VIRTUAL_SIZE_UNKNOWN,
                                 metadata(virtual_size=size))
            self._assert_refused(
                Reason.VIRTUAL_SIZE_UNKNOWN,
                metadata('virtual_size', properties={'virtual_size': size}))
        self._assert_accepted(
            metadata('virtual_size', properties={'virtual_size': '1024'}))

    def test_updated_at_unknown(self):
        for time in (None, '', 'yesterday', 5):
            self._assert_refused(Reason.UPDATED_AT_UNKNOWN,
                                 metadata(updated_at=time))
        self._assert_refused(Reason.UPDATED_AT_UNKNOWN,
                             metadata('updated_at'))
        self._assert_accepted(metadata(updated_at='2026-01-01T00:00:00Z'))

    def test_image_packed(self):
        self._assert_refused(Reason.IMAGE_PACKED,
                             metadata(container_format='compressed'))
        self._assert_refused(
            Reason.IMAGE_PACKED,
            metadata(container_format='ovf', disk_format='vhd'))
        self._assert_accepted(metadata(container_format='bare',
                                       disk_format='vhd'))

    def test_conversion_disabled(self):
        for disk_format in ('qcow2', 'vmdk', 'RAW', None):
            self._assert_refused(Reason.CONVERSION_DISABLED,
                                 metadata(disk_format=disk_format),
                                 conversion_disabled=True)
        self._assert_accepted(metadata(disk_format='raw'),
                              conversion_disabled=True)
        self._assert_accepted(metadata(disk_format='qcow2'))

    def test_image_too_large(self):
        for size in (units.Gi + 1, str(units.Gi + 1), 10 ** 100):
            self._assert_refused(Reason.IMAGE_TOO_LARGE,
                                 metadata(virtual_size=size))
        self._assert_accepted(metadata(virtual_size=units.Gi))

    def test_every_reason_has_a_test(self):
        missing = [reason.name for reason in Reason
                   if not hasattr(self, 'test_' + reason.name.lower())]
        self.assertEqual([], missing)


class CheckTestCase(test.TestCase):

    @inputs.settings
    @hypothesis.given(inputs.damaged(METADATA),
                      st.sampled_from((fake.PROJECT_ID, fake.PROJECT2_ID,
                                       None)), st.booleans())
    def test_check_of_anything_is_a_verdict(self, data, project_id, disabled):
        verdict = check(data, project_id=project_id,
                        conversion_disabled=disabled)
        self.assertIsInstance(verdict, eligibility.Verdict)
        if verdict.image is None:
            self.assertIn(verdict.reason, Reason)
            return
        self.assertIsNone(verdict.reason)
        self.assertEqual('active', data['status'])
        self.assertTrue(data.get('visibility') in ('public', 'community') or
                        data.get('owner') == project_id)
        self.assertLessEqual(verdict.image.virtual_size, units.Gi)

    @inputs.settings
    @hypothesis.given(inputs.json_values)
    def test_check_of_any_properties_is_a_verdict(self, properties):
        verdict = check(metadata('virtual_size', properties=properties))
        self.assertIsInstance(verdict, eligibility.Verdict)

    def test_reasons_tell_apart(self):
        texts = {reason.value for reason in Reason}
        self.assertEqual(len(Reason), len(texts))
        self.assertNotIn('', texts)


# For each reason: members of the volume and of the image that lead to it.
REFUSALS = {
    Reason.VOLUME_ENCRYPTED: (
        {'encryption_key_id': fake.ENCRYPTION_KEY_ID}, {}),
    Reason.IMAGE_ENCRYPTED: (
        {}, {'properties': {
            'cinder_encryption_key_id': fake.ENCRYPTION_KEY_ID}}),
    Reason.IMAGE_NOT_ACTIVE: ({}, {'status': 'deactivated'}),
    Reason.IMAGE_NOT_SHARED: ({}, {'visibility': 'private'}),
    Reason.IMAGE_ID_UNUSABLE: ({}, {'id': 'an_image'}),
    Reason.VIRTUAL_SIZE_UNKNOWN: ({}, {'virtual_size': 'much'}),
    Reason.UPDATED_AT_UNKNOWN: ({}, {'updated_at': None}),
    Reason.IMAGE_PACKED: ({}, {'container_format': 'compressed'}),
    Reason.CONVERSION_DISABLED: ({}, {'disk_format': 'qcow2'}),
    Reason.IMAGE_TOO_LARGE: ({'size': 1}, {'virtual_size': units.Gi + 1}),
}


@ddt.ddt
class DriverRefusalTestCase(base.DriverTestCase):

    def setUp(self):
        super().setUp()
        self.override_config('image_conversion_disable', True)
        self.log = clients.Log(self)

    @ddt.data(*Reason)
    def test_clone_image_refused(self, reason):
        volume_members, image_members = REFUSALS[reason]
        volume = self.new_volume(**volume_members)
        image = self.images.add(b'data', **image_members)
        self.sim.reset_calls()
        get_lock = self.mock_object(
            coordination.COORDINATOR, 'get_lock', autospec=True)

        self.assertEqual((None, False), self.clone(image, volume))

        self.assertEqual([], self.sim.calls.methods)
        self.assertEqual([], self.images.downloads)
        get_lock.assert_not_called()
        self.assertEqual([], self.warnings.messages)
        self.assertLessEqual(
            max(record.levelno for record in self.log.records),
            std_logging.INFO)
        told = self.log.at(std_logging.INFO)
        self.assertEqual(1, len(told))
        self.assertIn('(%s)' % reason.name, told[0])
        self.assertIn(reason.value, told[0])
        self.assertIn(volume.id, told[0])
        self.assertIn(image['id'], told[0])

    def test_every_reason_is_tried_on_the_driver(self):
        self.assertEqual(set(Reason), set(REFUSALS))


class CachingOffTestCase(base.DriverTestCase):

    def test_clone_image_with_caching_off_makes_no_call(self):
        driver = self.new_driver(sf_allow_template_caching=False)
        image = self.images.add(b'data')
        self.sim.reset_calls()
        get_lock = self.mock_object(
            coordination.COORDINATOR, 'get_lock', autospec=True)

        self.assertEqual((None, False), self.clone(image, driver=driver))

        self.assertEqual([], self.sim.calls.methods)
        self.assertEqual([], self.images.downloads)
        get_lock.assert_not_called()
        self.assertEqual([], self.warnings.messages)

    def test_clone_image_with_caching_off_is_the_stock_driver_s(self):
        driver = self.new_driver(sf_allow_template_caching=False)
        stock = self.mock_object(
            solidfire.SolidFireDriver, 'clone_image', autospec=True,
            return_value=mock.sentinel.result)
        volume = self.new_volume()
        image = self.images.add(b'data')
        self.assertEqual(mock.sentinel.result,
                         self.clone(image, volume, driver))
        stock.assert_called_once_with(driver, self.context, volume,
                                      (None, None), image, self.images)

    def test_start_makes_the_calls_of_the_stock_driver(self):
        calls = []
        for driver_class, options in (
                (solidfire.SolidFireDriver, {}),
                (None, {'sf_allow_template_caching': False}),
                (None, {'sf_allow_template_caching': True})):
            if driver_class:
                options['driver_class'] = driver_class
            self.sim.reset_calls()
            self.new_driver(**options)
            calls.append(self.sim.calls.methods)
        self.assertNotEqual([], calls[0])
        self.assertEqual(calls[0], calls[1])
        self.assertEqual(calls[0], calls[2])
