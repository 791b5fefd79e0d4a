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

"""The value of a template, and its attributes on the volume."""

import copy
import dataclasses
import datetime
import json

import ddt
import hypothesis
from hypothesis import strategies as st
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import inputs
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume.drivers.solidfire_template_cache import wire

Match = tpl.Match

NOW = datetime.datetime(2026, 2, 3, 4, 5, 6, 789,
                        tzinfo=datetime.timezone.utc)
IN_SECONDS = NOW.replace(microsecond=0)
LATER = IN_SECONDS + datetime.timedelta(hours=1)

T0 = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
BEFORE = T0 - datetime.timedelta(seconds=1)
AFTER = T0 + datetime.timedelta(microseconds=1)
OTHER_ID = fake.OBJECT_ID
FILL_ID = 'f1110000-0000-0000-0000-000000000001'

SHA = images.Content('sha512', 'ab' * 64, 100)
OTHER_SHA = images.Content('sha512', 'cd' * 64, 100)
LONGER_SHA = images.Content('sha512', 'ab' * 64, 101)
MD5 = images.Content('md5', 'ab' * 16, 100)


def make_image(updated_at=T0, content=SHA, **members):
    return images.Image(**dict(
        {'id': fake.IMAGE_ID, 'updated_at': updated_at, 'content': content,
         'virtual_size': 5 * units.Mi, 'size': 100}, **members))


def make_template(image=None, **changes):
    template = tpl.new(image or make_image(), FILL_ID, 'host', None, NOW)
    return dataclasses.replace(template, **changes)


def make_volume(attributes, **members):
    return wire.Volume(**dict(
        {'id': 7, 'name': tpl.name_for(fake.IMAGE_ID), 'account_id': 1,
         'status': 'active', 'access': 'readOnly', 'size': units.Gi,
         'iqn': 'iqn', 'attributes': attributes, 'qos': {}}, **members))


class StateTestCase(test.TestCase):

    def test_name_for(self):
        self.assertEqual('OpenStackIMG-' + fake.IMAGE_ID,
                         tpl.name_for(fake.IMAGE_ID))

    def test_new_is_filling(self):
        image = make_image()
        template = tpl.new(image, FILL_ID, 'host', True, NOW)
        self.assertIs(tpl.State.FILLING, template.state)
        self.assertFalse(template.usable)
        self.assertEqual(image, template.image)
        self.assertEqual(FILL_ID, template.fill_id)
        self.assertEqual('host', template.filled_by)
        self.assertIs(True, template.signature_verified)
        self.assertEqual(IN_SECONDS, template.filled_at)
        self.assertEqual(IN_SECONDS, template.last_used)

    def test_published_is_ready(self):
        template = make_template()
        published = tpl.published(template, LATER)
        self.assertIs(tpl.State.READY, published.state)
        self.assertEqual(
            template, dataclasses.replace(published,
                                          state=tpl.State.FILLING,
                                          last_used=template.last_used))
        self.assertEqual(LATER, published.last_used)

    def test_usable_needs_active_and_ready_and_read_only(self):
        usable = tpl.published(make_template(
            active=True, read_only=True, size=units.Gi), NOW)
        self.assertTrue(usable.usable)
        for change in ({'active': False}, {'read_only': False},
                       {'state': tpl.State.FILLING}, {'size': 4 * units.Mi}):
            template = dataclasses.replace(usable, **change)
            self.assertFalse(template.usable)
            self.assertEqual('read_only' in change or 'size' in change,
                             template.ready)

    def test_refreshed_changes_only_the_time(self):
        template = tpl.published(make_template(), NOW)
        newer = make_image(updated_at=AFTER, virtual_size=1, size=1)
        refreshed = tpl.refreshed(template, newer, LATER)
        self.assertEqual(AFTER, refreshed.image.updated_at)
        self.assertEqual(
            template.image,
            dataclasses.replace(refreshed.image, updated_at=T0))
        self.assertIs(tpl.State.READY, refreshed.state)

    def test_fits(self):
        template = make_template(make_image(virtual_size=units.Gi),
                                 size=units.Gi)
        self.assertTrue(template.fits(units.Gi))
        self.assertTrue(template.fits(2 * units.Gi))
        self.assertFalse(template.fits(units.Gi - 1))

    def test_fits_not_when_smaller_than_its_image(self):
        template = make_template(make_image(virtual_size=units.Gi + 1),
                                 size=units.Gi)
        self.assertFalse(template.fits(2 * units.Gi))


@ddt.ddt
class CompareTestCase(test.TestCase):

    # The template's record, the image as requested, what comes out.
    @ddt.data(
        # Equal times.
        (T0, SHA, T0, SHA, Match.CURRENT),
        (T0, None, T0, None, Match.CURRENT),
        (T0, SHA, T0, None, Match.CURRENT),
        (T0, None, T0, SHA, Match.CURRENT),
        (T0, MD5, T0, SHA, Match.CURRENT),
        (T0, SHA, T0, OTHER_SHA, Match.OUTDATED),
        (T0, SHA, T0, LONGER_SHA, Match.OUTDATED),
        # The request knows a later version.
        (T0, SHA, AFTER, SHA, Match.SAME_CONTENT),
        (T0, SHA, AFTER, OTHER_SHA, Match.OUTDATED),
        (T0, SHA, AFTER, LONGER_SHA, Match.OUTDATED),
        (T0, None, AFTER, None, Match.OUTDATED),
        (T0, SHA, AFTER, None, Match.OUTDATED),
        (T0, None, AFTER, SHA, Match.OUTDATED),
        (T0, MD5, AFTER, SHA, Match.OUTDATED),
        # The request knows an earlier version.
        (T0, SHA, BEFORE, SHA, Match.NEWER),
        (T0, SHA, BEFORE, OTHER_SHA, Match.NEWER),
        (T0, None, BEFORE, None, Match.NEWER),
        (T0, MD5, BEFORE, SHA, Match.NEWER))
    @ddt.unpack
    def test_compare(self, mine, my_content, theirs, content, expected):
        template = make_template(make_image(mine, my_content))
        self.assertIs(expected, template.compare(make_image(theirs, content)))

    def test_compare_of_times_in_other_zones(self):
        template = make_template()
        east = datetime.timezone(datetime.timedelta(hours=5))
        self.assertIs(Match.CURRENT, template.compare(
            make_image(T0.astimezone(east))))

    def test_compare_ignores_the_declared_size(self):
        template = make_template()
        self.assertIs(Match.CURRENT, template.compare(
            make_image(virtual_size=units.Gi)))


@ddt.ddt
class AttributesTestCase(test.TestCase):

    def _length(self, attributes):
        # With blanks and escapes, the longest that a client could send.
        return len(json.dumps(attributes))

    def test_attributes(self):
        template = tpl.new(make_image(), FILL_ID, 'host', False, NOW)
        self.assertEqual(
            {'cinder_image_template': {
                'schema': 1, 'state': 'filling',
                'image_id': fake.IMAGE_ID,
                'image_updated_at': '2026-01-01T00:00:00+00:00',
                'image_size': 100, 'image_hash': 'sha512:' + 'ab' * 64,
                'virtual_size': 5 * units.Mi, 'signature_verified': False,
                'fill_id': FILL_ID, 'filled_by': 'host',
                'filled_at': '2026-02-03T04:05:06+00:00',
                'last_used': '2026-02-03T04:05:06+00:00',
                'lock_domain': None}},
            template.attributes())

    def test_attributes_without_hash(self):
        attributes = make_template(make_image(content=None)).attributes()
        self.assertIsNone(attributes[tpl.ATTRIBUTE]['image_hash'])

    def test_attributes_have_one_top_level_member(self):
        # Element was seen to take no more than ten.
        self.assertEqual([tpl.ATTRIBUTE], list(make_template().attributes()))

    @ddt.data('a', '"', '\\')
    def test_attributes_are_short_at_the_longest_hash(self, symbol):
        metadata = {
            'id': 'i' * 51, 'size': 2 ** 63, 'virtual_size': 2 ** 63,
            'updated_at': datetime.datetime(
                2026, 12, 31, 23, 59, 59, 999999, datetime.timezone.utc),
            'os_hash_algo': symbol * 32, 'os_hash_value': symbol * 256,
            'checksum': 'c' * 32}
        template = tpl.new(images.from_metadata(metadata), FILL_ID,
                           'h' * 255, False, NOW)
        self.assertLess(self._length(template.attributes()), 1000)

    @ddt.data('h', '\u00e9', '\u4e3b', '\U0001f600', '\\', '"', "'", '\x00',
              '\udcff')
    def test_attributes_are_short_at_the_longest_host(self, symbol):
        metadata = {
            'id': 'i' * 51, 'size': 2 ** 63, 'virtual_size': 2 ** 63,
            'updated_at': datetime.datetime(
                2026, 12, 31, 23, 59, 59, 999999, datetime.timezone.utc),
            'os_hash_algo': 'a' * 32, 'os_hash_value': 'b' * 256}
        template = tpl.new(images.from_metadata(metadata), FILL_ID,
                           symbol * 255, False, NOW)
        self.assertIn('b' * 256, json.dumps(template.attributes()))
        self.assertLess(self._length(template.attributes()), 1000)

    def test_attributes_hold_no_name_of_the_image(self):
        image = images.from_metadata(
            {'id': 'i', 'updated_at': T0, 'virtual_size': 1,
             'name': 'an image name', 'properties': {'a': 'property'}})
        text = json.dumps(make_template(image).attributes())
        self.assertNotIn('an image name', text)
        self.assertNotIn('property', text)


@ddt.ddt
class FromVolumeTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.template = tpl.published(tpl.new(
            make_image(), FILL_ID, 'host', True, NOW), NOW)
        self.attributes = self.template.attributes()

    def _altered(self, *absent, **members):
        attributes = copy.deepcopy(self.attributes)
        attributes[tpl.ATTRIBUTE].update(members)
        for key in absent:
            del attributes[tpl.ATTRIBUTE][key]
        return make_volume(attributes)

    def test_from_volume_gives_what_was_stored(self):
        self.assertEqual(
            dataclasses.replace(self.template, volume_id=7, size=units.Gi,
                                active=True, read_only=True),
            tpl.from_volume(make_volume(self.attributes), fake.IMAGE_ID))

    def test_from_volume_of_filling_one(self):
        attributes = make_template().attributes()
        found = tpl.from_volume(make_volume(attributes, access='readWrite'),
                                fake.IMAGE_ID)
        self.assertIs(tpl.State.FILLING, found.state)
        self.assertFalse(found.read_only)
        self.assertFalse(found.usable)

    @ddt.data('readWrite', 'locked', 'replicationTarget', '')
    def test_from_volume_with_other_access_is_not_usable(self, access):
        found = tpl.from_volume(make_volume(self.attributes, access=access),
                                fake.IMAGE_ID)
        self.assertFalse(found.usable)

    def test_from_volume_of_deleted_one(self):
        for status in ('deleted', 'init'):
            found = tpl.from_volume(
                make_volume(self.attributes, status=status), fake.IMAGE_ID)
            self.assertFalse(found.active)
            self.assertFalse(found.ready)

    # As Cinder's earlier template cache left them, then other makers' ones.
    @ddt.data(
        {'image_info': {'image_updated_at': '2015-01-01',
                        'image_name': 'a', 'image_created_at': '2015'}},
        {}, {'uuid': fake.VOLUME_ID, 'is_clone': True},
        {tpl.ATTRIBUTE: None}, {tpl.ATTRIBUTE: 'ready'},
        {tpl.ATTRIBUTE: ['ready']}, {tpl.ATTRIBUTE: {}},
        {tpl.ATTRIBUTE: 1})
    def test_from_volume_of_foreign_one(self, attributes):
        self.assertIsNone(tpl.from_volume(make_volume(attributes),
                                          fake.IMAGE_ID))

    @ddt.data(0, 2, 99, -1, None, '1', True, [1], {})
    def test_from_volume_of_another_schema(self, schema):
        self.assertIsNone(tpl.from_volume(self._altered(schema=schema),
                                          fake.IMAGE_ID))

    def test_from_volume_of_another_image(self):
        self.assertIsNone(tpl.from_volume(self._altered(), OTHER_ID))
        self.assertIsNone(tpl.from_volume(
            self._altered(image_id=OTHER_ID), fake.IMAGE_ID))

    @ddt.data('schema', 'state', 'image_id', 'image_updated_at',
              'virtual_size', 'fill_id')
    def test_from_volume_of_altered_one(self, member):
        self.assertIsNone(tpl.from_volume(self._altered(member),
                                          fake.IMAGE_ID))
        for value in (None, '', 'other', 0, -1, 1.5, [], {}, [1], True):
            if (member, value) == ('schema', True) or (
                    member == 'fill_id' and isinstance(value, str)):
                continue
            found = tpl.from_volume(self._altered(**{member: value}),
                                    fake.IMAGE_ID)
            self.assertIsNone(found, '%s: %r' % (member, value))

    @ddt.data(None, '', 'nothing', ':', 'sha512:', ':ab', 5, 0, [], ['a:b'],
              {}, {'a': 'b'}, True)
    def test_from_volume_with_bad_hash_knows_no_content(self, value):
        found = tpl.from_volume(self._altered(image_hash=value),
                                fake.IMAGE_ID)
        # None would do as well: such a volume is not of our making.
        self.assertIsNone(found and found.image.content)

    @ddt.data(None, 'yes', 1, 0, [])
    def test_from_volume_with_bad_signature_mark(self, value):
        found = tpl.from_volume(self._altered(signature_verified=value),
                                fake.IMAGE_ID)
        self.assertIsNone(found.signature_verified)

    def test_from_volume_ignores_members_it_does_not_know(self):
        found = tpl.from_volume(self._altered(more='of it'), fake.IMAGE_ID)
        self.assertEqual(FILL_ID, found.fill_id)

    @inputs.settings
    @hypothesis.given(inputs.json_values)
    def test_from_volume_of_any_attribute(self, value):
        found = tpl.from_volume(make_volume({tpl.ATTRIBUTE: value}),
                                fake.IMAGE_ID)
        self.assertIsNone(found)

    @inputs.settings
    @hypothesis.given(st.data())
    def test_from_volume_of_any_members(self, data):
        members = data.draw(inputs.damaged(self.attributes[tpl.ATTRIBUTE]))
        found = tpl.from_volume(make_volume({tpl.ATTRIBUTE: members}),
                                fake.IMAGE_ID)
        if found is not None:
            self.assertIsInstance(found, tpl.Template)
            self.assertEqual(fake.IMAGE_ID, found.image.id)
            self.assertEqual(1, members['schema'])

    @inputs.settings
    @hypothesis.given(
        st.datetimes(timezones=st.just(datetime.timezone.utc)),
        st.integers(1, 2 ** 63), st.integers(0, 2 ** 63),
        st.text(st.characters(codec='ascii'), max_size=40),
        st.text(st.characters(codec='ascii'), max_size=260),
        st.text(max_size=70), st.none() | st.booleans())
    def test_from_volume_gives_what_any_image_stored(
            self, updated_at, virtual_size, size, algorithm, digest, host,
            verified):
        image = images.from_metadata(
            {'id': fake.IMAGE_ID, 'updated_at': updated_at,
             'virtual_size': virtual_size, 'size': size,
             'os_hash_algo': algorithm, 'os_hash_value': digest})
        template = tpl.new(image, FILL_ID, host, verified, NOW)
        stored = json.loads(json.dumps(template.attributes()))
        self.assertLess(len(json.dumps(stored)), 1000)
        self.assertEqual(
            dataclasses.replace(template, volume_id=7, size=units.Gi,
                                active=True, read_only=True),
            tpl.from_volume(make_volume(stored), fake.IMAGE_ID))
