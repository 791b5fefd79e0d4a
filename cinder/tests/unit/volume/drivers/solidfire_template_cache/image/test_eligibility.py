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
"""Which images and volumes may use a template."""

import copy

import ddt
import hypothesis
from hypothesis import strategies as st
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    fixtures)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    strategies)
from cinder.volume.drivers.solidfire_template_cache.image import eligibility
from cinder.volume.drivers.solidfire_template_cache.image import metadata

Reason = eligibility.Reason

# Some cases are refused because a member is missing.
ABSENT = object()

METADATA = fixtures.image_metadata(disk_format='qcow2', size=100,
                                   virtual_size=units.Gi)

MARKS = ('cinder_encryption_key_id', 'os_encrypt_format', 'os_encrypt_key_id')

# Changes to the metadata and arguments of check() that lead to each reason,
# and changes nearby that do not. A case may have arguments as a second
# dictionary.
REFUSED = {
    # Bug 1764125: neither encrypted volumes nor encrypted images.
    Reason.VOLUME_ENCRYPTED: [
        ({}, {'encryption_key_id': fake.ENCRYPTION_KEY_ID})],
    Reason.IMAGE_ENCRYPTED: (
        [({mark: 'something'},) for mark in MARKS] +
        [({'properties': {mark: fake.ENCRYPTION_KEY_ID}},)
         for mark in MARKS]),
    # Status, visibility and owner count at each request.
    Reason.IMAGE_NOT_ACTIVE: [
        ({'status': status},)
        for status in ('queued', 'saving', 'deactivated', 'deleted',
                       'killed', 'ACTIVE', None, ABSENT)],
    Reason.IMAGE_NOT_SHARED: [
        ({'visibility': visibility},)
        for visibility in ('private', 'shared', 'unknown', [], True, ABSENT)
    ] + [
        ({'visibility': ABSENT, 'is_public': 'True'},),
        # An old public flag does not override the visibility.
        ({'visibility': 'private', 'is_public': True},),
        # An image without an owner is not that of a project without an id.
        ({'visibility': 'private', 'owner': None}, {'project_id': None}),
        ({'visibility': 'private', 'owner': ''}, {'project_id': ''}),
        ({'visibility': 'private', 'owner': ABSENT}, {'project_id': None})],
    Reason.IMAGE_ID_UNUSABLE: [
        ({'id': image_id},)
        for image_id in (None, '', 5, 'a_b', 'a.b', 'a b', 'i' * 52,
                         '\u00e9', 'abc\n', ABSENT)],
    Reason.VIRTUAL_SIZE_UNKNOWN: [
        (members,) for size in (None, 0, -1, 1.5, True, '', 'much', '1.0')
        for members in ({'virtual_size': size},
                        {'virtual_size': ABSENT,
                         'properties': {'virtual_size': size}})],
    Reason.UPDATED_AT_UNKNOWN: [
        ({'updated_at': value},)
        for value in (None, '', 'yesterday', 5, ABSENT)],
    # Data that Cinder would unpack.
    Reason.IMAGE_PACKED: [
        ({'container_format': 'compressed'},),
        ({'container_format': 'ovf', 'disk_format': 'vhd'},)],
    # Bug 1970115: image_conversion_disable.
    Reason.CONVERSION_DISABLED: [
        ({'disk_format': disk_format}, {'conversion_disabled': True})
        for disk_format in ('qcow2', 'vmdk', 'RAW', None)],
    # Bug 1599147: compared in bytes.
    Reason.IMAGE_TOO_LARGE: [
        ({'virtual_size': size},)
        for size in (units.Gi + 1, str(units.Gi + 1), 10 ** 100)],
}

ACCEPTED = [
    ({}, {}), ({}, {'encryption_key_id': None}),
    ({'properties': {'cinder_encryption_key_id': None}}, {}),
    ({'visibility': 'community'}, {}),
    ({'visibility': ABSENT, 'is_public': True}, {}),
    ({'visibility': 'private', 'owner': fake.PROJECT_ID}, {}),
    ({'visibility': 'shared', 'owner': fake.PROJECT_ID}, {}),
    ({'id': 'i' * 51}, {}),
    ({'virtual_size': ABSENT, 'properties': {'virtual_size': '1024'}}, {}),
    ({'updated_at': '2026-01-01T00:00:00Z'}, {}),
    ({'container_format': 'bare', 'disk_format': 'vhd'}, {}),
    ({'disk_format': 'raw'}, {'conversion_disabled': True}),
    ({'virtual_size': units.Gi}, {})]

ANY_METADATA = (
    strategies.nearly(METADATA) | strategies.damaged(METADATA) |
    st.dictionaries(st.sampled_from(sorted(METADATA)) | st.text(max_size=5),
                    strategies.any_values, max_size=8))


def changed(members):
    return {key: value for key, value in dict(METADATA, **members).items()
            if value is not ABSENT}


def check(image_meta, project_id=fake.PROJECT_ID, encryption_key_id=None,
          volume_bytes=units.Gi, conversion_disabled=False):
    return eligibility.check(image_meta, project_id, encryption_key_id,
                             volume_bytes, conversion_disabled)


@ddt.ddt
class CheckTestCase(test.TestCase):

    # Fails for a reason that no case leads to.
    @ddt.data(*Reason)
    def test_check_refused(self, reason):
        for members, *arguments in REFUSED[reason]:
            with self.subTest(members=members):
                self.assertEqual(
                    eligibility.Verdict(reason=reason),
                    check(changed(members), **dict(*arguments)))

    @ddt.data(*ACCEPTED)
    @ddt.unpack
    def test_check_accepted(self, members, arguments):
        image_meta = changed(members)
        self.assertEqual(
            eligibility.Verdict(image=metadata.from_metadata(image_meta)),
            check(image_meta, **arguments))

    def test_reasons_have_different_texts(self):
        texts = {reason.value for reason in Reason}
        self.assertEqual(len(Reason), len(texts))
        self.assertNotIn('', texts)


class AnyInputTestCase(test.TestCase):

    @strategies.settings
    @hypothesis.given(ANY_METADATA, strategies.any_values,
                      strategies.any_values, st.integers(), st.booleans())
    def test_check(self, image_meta, project_id, key, volume_bytes, disabled):
        before = copy.deepcopy(image_meta)
        verdict = check(image_meta, project_id, key, volume_bytes, disabled)
        self.assertEqual(before, image_meta)
        self.assertEqual(1, [verdict.image, verdict.reason].count(None))
        if verdict.image:
            self.assertFalse(bool(key))
            self.assertEqual('active', image_meta['status'])
            self.assertLessEqual(verdict.image.virtual_size, volume_bytes)
            self.assertEqual(metadata.from_metadata(image_meta),
                             verdict.image)

    @strategies.settings
    @hypothesis.given(ANY_METADATA, st.text(max_size=9),
                      strategies.any_values)
    def test_check_reads_no_other_members(self, image_meta, name, value):
        hypothesis.assume(name not in METADATA)
        hypothesis.assume(name not in MARKS + ('is_public',))
        more = dict(image_meta, **{name: value, 'name': value})
        self.assertEqual(check(image_meta), check(more))

    @strategies.settings
    @hypothesis.given(ANY_METADATA, st.sampled_from(MARKS),
                      strategies.any_values, st.booleans())
    def test_check_with_any_encryption_mark(self, image_meta, mark, value,
                                            as_property):
        hypothesis.assume(value)
        members = {mark: value}
        if as_property:
            members = {'properties': members}
        self.assertIs(Reason.IMAGE_ENCRYPTED,
                      check(dict(image_meta, **members)).reason)

    @strategies.settings
    @hypothesis.given(strategies.any_values, strategies.any_values,
                      strategies.any_values)
    def test_check_with_any_visibility(self, visibility, owner, project_id):
        image_meta = changed({'visibility': visibility, 'owner': owner})
        if check(image_meta, project_id).image:
            self.assertTrue(visibility in ('public', 'community') or
                            owner == project_id != '')
        self.assertIsNotNone(
            check(dict(image_meta, visibility='public'), project_id).image)
