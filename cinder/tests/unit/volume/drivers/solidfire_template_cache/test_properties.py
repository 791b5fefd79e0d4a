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

"""Laws that hold for whatever input: metadata, attributes, versions.

What single values lead to is tested with the modules themselves.
"""

import copy
import dataclasses
import datetime
import json

import hypothesis
from hypothesis import strategies as st
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import inputs
from cinder.volume.drivers.solidfire_template_cache import eligibility
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume.drivers.solidfire_template_cache import wire

Match = tpl.Match

SERVES = (Match.CURRENT, Match.SAME_CONTENT)

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

METADATA = {
    'id': fake.IMAGE_ID, 'name': 'an image', 'status': 'active',
    'visibility': 'public', 'owner': fake.PROJECT2_ID,
    'container_format': 'bare', 'disk_format': 'qcow2', 'updated_at': NOW,
    'size': 100, 'virtual_size': units.Gi, 'os_hash_algo': 'sha512',
    'os_hash_value': 'ab' * 64, 'checksum': 'cd' * 16, 'properties': {}}

anything = inputs.nearly(METADATA) | st.dictionaries(
    st.sampled_from(sorted(METADATA)) | st.text(max_size=5),
    inputs.any_values, max_size=8)


def check(metadata, project_id=fake.PROJECT_ID, key=None,
          volume_bytes=units.Gi, disabled=False):
    return eligibility.check(metadata, project_id, key, volume_bytes,
                             disabled)


def make_volume(attributes, **members):
    return wire.Volume(**dict(
        {'id': 7, 'name': tpl.name_for(fake.IMAGE_ID), 'account_id': 1,
         'status': 'active', 'access': 'readOnly', 'size': units.Gi,
         'iqn': 'iqn', 'attributes': attributes, 'qos': {}}, **members))


def template_of(image):
    return tpl.published(tpl.new(image, 'fill', 'host', None, NOW), NOW)


def compare(mine, theirs):
    return template_of(mine).compare(theirs)


class EligibilityTestCase(test.TestCase):

    @inputs.settings
    @hypothesis.given(anything, inputs.any_values, inputs.any_values,
                      st.integers(), st.booleans())
    def test_check_of_anything(self, metadata, project_id, key, volume_bytes,
                               disabled):
        before = copy.deepcopy(metadata)
        verdict = check(metadata, project_id, key, volume_bytes, disabled)
        self.assertEqual(before, metadata)
        self.assertEqual(1, [verdict.image, verdict.reason].count(None))
        if verdict.image:
            self.assertFalse(bool(key))
            self.assertLessEqual(verdict.image.virtual_size, volume_bytes)
            self.assertEqual(images.from_metadata(metadata), verdict.image)

    @inputs.settings
    @hypothesis.given(anything, st.text(max_size=9), inputs.any_values)
    def test_check_looks_at_no_other_members(self, metadata, name, value):
        hypothesis.assume(name not in METADATA)
        hypothesis.assume(name not in eligibility._ENCRYPTION_MARKS)
        hypothesis.assume(name != 'is_public')
        more = dict(metadata, **{name: value, 'name': value})
        self.assertEqual(check(metadata), check(more))

    @inputs.settings
    @hypothesis.given(anything,
                      st.sampled_from(eligibility._ENCRYPTION_MARKS),
                      inputs.any_values, st.booleans())
    def test_check_of_any_encryption_mark(self, metadata, mark, value,
                                          within):
        hypothesis.assume(value)
        metadata = dict(metadata, **(
            {'properties': {mark: value}} if within else {mark: value}))
        self.assertIs(eligibility.Reason.IMAGE_ENCRYPTED,
                      check(metadata).reason)

    @inputs.settings
    @hypothesis.given(inputs.any_values, inputs.any_values,
                      inputs.any_values)
    def test_check_of_any_visibility(self, visibility, owner, project_id):
        metadata = dict(METADATA, visibility=visibility, owner=owner)
        if check(metadata, project_id).image:
            self.assertTrue(visibility in ('public', 'community') or
                            owner == project_id != '')
        self.assertIsNotNone(check(dict(metadata, visibility='public'),
                                   project_id).image)

    @inputs.settings
    @hypothesis.given(anything)
    def test_from_metadata_raises_value_error_alone(self, metadata):
        try:
            image = images.from_metadata(metadata)
        except ValueError as exc:
            # It names what is wrong, and repeats nothing of it.
            self.assertLess(len(str(exc)), 80)
            return
        self.assertGreater(image.virtual_size, 0)
        hash(image)


class AttributesTestCase(test.TestCase):

    def stored(self, template):
        """Return attributes as they come back from a cluster."""
        text = json.dumps(template.attributes())
        self.assertLess(len(text), 1000)
        return json.loads(text)

    @inputs.settings
    @hypothesis.given(anything, st.text(max_size=300),
                      st.none() | st.booleans(), inputs.utc_times)
    def test_attributes_of_any_image_come_back(self, metadata, host,
                                               verified, now):
        # As the driver does it, from what it lets in.
        verdict = check(metadata, volume_bytes=2 ** 63)
        hypothesis.assume(verdict.image)
        image = verdict.image
        new = tpl.new(image, 'f' * 36, host, verified, now)
        for template in (new, tpl.published(new, now),
                         tpl.refreshed(tpl.published(new, now), image, now),
                         tpl.used(new, now)):
            found = tpl.from_volume(
                make_volume(self.stored(template), size=2 ** 64), image.id)
            self.assertEqual(
                dataclasses.replace(template, volume_id=7, size=2 ** 64,
                                    active=True, read_only=True), found)

    @inputs.settings
    @hypothesis.given(st.data())
    def test_from_volume_of_nearly_good_attributes(self, data):
        image = images.from_metadata(METADATA)
        attributes = template_of(image).attributes()
        attributes[tpl.ATTRIBUTE] = data.draw(inputs.nearly(
            attributes[tpl.ATTRIBUTE], inputs.json_values))
        volume = make_volume(attributes)
        found = tpl.from_volume(volume, image.id)
        self.assertIn('driver', tpl.describe_stranger(volume))
        if found:
            self.assertEqual(image.id, found.image.id)
            # What is read can be written, and is then the same.
            again = tpl.from_volume(
                make_volume(self.stored(found)), image.id)
            self.assertEqual(found, again)

    @inputs.settings
    @hypothesis.given(st.dictionaries(
        st.sampled_from((tpl.ATTRIBUTE, 'image_info')) | st.text(max_size=5),
        inputs.json_values, max_size=4), st.text(max_size=70))
    def test_strangers_of_any_kind(self, attributes, name):
        volume = make_volume(attributes, name=name)
        self.assertIsNone(tpl.from_volume(volume, fake.IMAGE_ID))
        self.assertIsInstance(tpl.describe_stranger(volume), str)
        self.assertEqual(name.startswith(tpl.NAME_PREFIX),
                         tpl.image_id_of(volume) is not None)


class CompareTestCase(test.TestCase):
    """The order of an image's versions."""

    @inputs.settings
    @hypothesis.given(inputs.image_versions, inputs.image_versions)
    def test_compare_is_antisymmetric(self, one, other):
        forth, back = compare(one, other), compare(other, one)
        self.assertEqual(one.updated_at > other.updated_at,
                         forth is Match.NEWER)
        if forth is Match.NEWER:
            self.assertIn(back, (Match.OUTDATED, Match.SAME_CONTENT))
        if one.updated_at == other.updated_at:
            self.assertIs(forth, back)
            self.assertIn(forth, (Match.CURRENT, Match.OUTDATED))

    @inputs.settings
    @hypothesis.given(inputs.image_versions, st.integers(1, 9))
    def test_compare_with_itself(self, image, size):
        self.assertIs(Match.CURRENT, compare(image, image))
        self.assertIs(Match.CURRENT, compare(
            dataclasses.replace(image, virtual_size=size), image))

    @inputs.settings
    @hypothesis.given(inputs.image_versions, inputs.image_versions,
                      inputs.image_versions)
    def test_compare_is_transitive(self, one, other, third):
        if (compare(one, other) is Match.NEWER and
                compare(other, third) is Match.NEWER):
            self.assertIs(Match.NEWER, compare(one, third))

    @inputs.settings
    @hypothesis.given(inputs.image_versions, inputs.image_versions)
    def test_compare_never_serves_other_data(self, mine, theirs):
        match = compare(mine, theirs)
        known = mine.content and theirs.content and (
            mine.content.algorithm == theirs.content.algorithm)
        if match in SERVES and known:
            self.assertEqual(mine.content, theirs.content)
        if match is Match.SAME_CONTENT:
            self.assertTrue(known)
            template = tpl.refreshed(template_of(mine), theirs, NOW)
            self.assertIs(Match.CURRENT, template.compare(theirs))

    @inputs.settings
    @hypothesis.given(st.lists(inputs.templates, max_size=5,
                               unique_by=lambda each: each.volume_id),
                      st.booleans(), st.randoms(use_true_random=False))
    def test_choose_is_the_same_on_all_hosts(self, found, wanted, random):
        chosen = tpl.choose(found, signature_wanted=wanted)
        shuffled = list(found)
        random.shuffle(shuffled)
        self.assertEqual(chosen, tpl.choose(shuffled,
                                            signature_wanted=wanted))
        if chosen is None:
            self.assertEqual([], [each for each in found
                                  if each.serves(wanted)])
            return
        self.assertTrue(chosen.serves(wanted))
        needless = tpl.needless(found, chosen)
        self.assertNotIn(chosen, needless)
        kept = [each for each in found if each not in needless]
        self.assertEqual(chosen, tpl.choose(kept, signature_wanted=wanted))
        self.assertEqual([], tpl.needless(kept, chosen))

    @inputs.settings
    @hypothesis.given(inputs.templates, st.integers(0, 5), st.integers(0, 5))
    def test_fits_more_where_there_is_more_room(self, template, room, more):
        if template.fits(room):
            self.assertTrue(template.fits(room + more))
            self.assertLessEqual(template.image.virtual_size, room)
