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
"""Reading an image's metadata."""

import copy
import datetime
import time

import ddt
import fixtures
import hypothesis
from hypothesis import strategies as st

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    fixtures as cache_fixtures)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    strategies)
from cinder.volume.drivers.solidfire_template_cache.image import metadata

UTC = datetime.timezone.utc
T0 = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

METADATA = cache_fixtures.image_metadata(
    updated_at=T0, size=100, virtual_size=1024, os_hash_value='AB' * 64,
    properties={'virtual_size': 2048})


def changed(**members):
    """Return good metadata with some members changed, or left out (...)."""
    return {key: value for key, value in dict(METADATA, **members).items()
            if value is not ...}


@ddt.ddt
class FromMetadataTestCase(test.TestCase):

    def test_from_metadata_complete(self):
        self.assertEqual(
            metadata.Image(id=METADATA['id'], updated_at=T0,
                           virtual_size=1024, size=100,
                           content=metadata.Content('sha512', 'ab' * 64,
                                                    100)),
            metadata.from_metadata(METADATA))

    def test_from_metadata_minimal(self):
        # What the cache does not need may be missing.
        self.assertEqual(
            metadata.Image('i', T0, 1, 0, None), metadata.from_metadata(
                {'id': 'i', 'updated_at': T0, 'virtual_size': 1}))

    @ddt.data(('id', (None, '', 5, ['i'], b'i')),
              ('updated_at', (None, '', 'yesterday', 1767268800, {})),
              ('virtual_size', (0, -1, '', '-5', 1.5, True, 'big', [1])))
    @ddt.unpack
    def test_from_metadata_with_a_bad_value(self, name, values):
        for value in values:
            with self.subTest(value=value):
                exc = self.assertRaises(ValueError, metadata.from_metadata,
                                        changed(**{name: value}))
                self.assertIn(name, str(exc))

    @strategies.settings
    @hypothesis.given(
        strategies.damaged(METADATA) | strategies.nearly(METADATA) |
        st.dictionaries(st.sampled_from(sorted(METADATA)) |
                        st.text(max_size=5), strategies.any_values,
                        max_size=8))
    def test_from_metadata_of_any_input(self, data):
        before = copy.deepcopy(data)
        try:
            image = metadata.from_metadata(data)
        except ValueError as exc:
            # It names what is wrong and repeats none of the input.
            self.assertLess(len(str(exc)), 80)
            return
        self.assertEqual(before, data)
        self.assertEqual(data['id'], image.id)
        self.assertGreater(image.virtual_size, 0)
        self.assertGreaterEqual(image.size, 0)
        self.assertEqual(datetime.timedelta(0), image.updated_at.utcoffset())
        hash(image)


@ddt.ddt
class ReadTestCase(test.TestCase):

    def test_read_virtual_size(self):
        for value, expected in (
                (1024, 1024), ('1024', 1024), (' 7 ', 7), (1, 1),
                ('9' * 20, int('9' * 20)), (2 ** 70, 2 ** 70)):
            # Bug 1494830: not each Image service has the attribute.
            for data in ({'virtual_size': value},
                         {'properties': {'virtual_size': value}}):
                with self.subTest(data=data):
                    self.assertEqual(expected,
                                     metadata.read_virtual_size(data))

    def test_read_virtual_size_of_invalid_values(self):
        for value in (None, 0, '0', -1, '-1', '+1', '1.0', 1.0, '1e3', '0x10',
                      '', ' ', True, False, '\u0663', '1_000', '9' * 21, [1],
                      {}, b'1'):
            for data in ({'virtual_size': value},
                         {'properties': {'virtual_size': value}}):
                with self.subTest(data=data):
                    self.assertIsNone(metadata.read_virtual_size(data))

    @ddt.data((1, 2, 1), (None, '2', 2), (0, 2, None))
    @ddt.unpack
    def test_read_virtual_size_prefers_the_attribute(self, attribute, custom,
                                                     expected):
        self.assertEqual(expected, metadata.read_virtual_size(
            {'virtual_size': attribute,
             'properties': {'virtual_size': custom}}))

    def test_read_count_of_zero(self):
        self.assertEqual(0, metadata.read_count(0))
        self.assertEqual(0, metadata.read_count('0'))

    @strategies.settings
    @hypothesis.given(strategies.json_values)
    def test_read_count_of_any_value(self, value):
        read = metadata.read_count(value)
        if read is not None:
            self.assertGreaterEqual(read, 0)
            self.assertEqual(str(read), str(value).strip().lstrip('0') or '0')

    def test_properties_of_invalid_values(self):
        for data in ({}, {'properties': None}, {'properties': 'text'},
                     {'properties': [1]}):
            self.assertEqual({}, metadata.properties_of(data))

    def test_read_time(self):
        # Times are compared as times, not as text.
        for value in (
                '2026-01-01T12:00:00Z', '2026-01-01T12:00:00',
                '2026-01-01T12:00:00.000000', '2026-01-01T12:00:00+00:00',
                '2026-01-01T14:30:00+02:30', '2026-01-01 12:00:00', T0,
                T0.replace(tzinfo=None), T0.astimezone(
                    datetime.timezone(datetime.timedelta(hours=-9)))):
            with self.subTest(value=value):
                read = metadata.read_time(value)
                self.assertEqual(T0, read)
                self.assertEqual(datetime.timedelta(0), read.utcoffset())

    def test_read_time_without_offset_is_utc_in_any_time_zone(self):
        # Undone in the reverse order.
        self.addCleanup(time.tzset)
        self.useFixture(fixtures.EnvironmentVariable('TZ', 'XYZ+05'))
        time.tzset()
        self.assertEqual(T0, metadata.read_time(T0.replace(tzinfo=None)))
        self.assertEqual(T0, metadata.read_time('2026-01-01T12:00:00'))

    def test_read_time_of_invalid_values(self):
        for value in (
                None, '', 'now', '2026-13-01T00:00:00Z', 5, 5.0, [], {},
                '2026-01-01T12:00:00+99:99', datetime.date(2026, 1, 1),
                '0001-01-01T00:00:00+23:00', '9999-12-31T23:00:00-23:00',
                datetime.datetime.max.replace(tzinfo=datetime.timezone(
                    -datetime.timedelta(hours=5)))):
            with self.subTest(value=value):
                self.assertIsNone(metadata.read_time(value))

    @strategies.settings
    @hypothesis.given(strategies.any_values)
    def test_read_time_of_any_value(self, value):
        read = metadata.read_time(value)
        if read is not None:
            self.assertEqual(datetime.timedelta(0), read.utcoffset())


SHA512 = metadata.Content('sha512', 'ab' * 64, 100)
MD5 = metadata.Content('md5', 'cd' * 16, 100)


@ddt.ddt
class ContentTestCase(test.TestCase):

    @ddt.data(
        (SHA512, {}), (SHA512, {'os_hash_value': 'ab' * 64}),
        # At the maximum length.
        (metadata.Content('a' * 32, 'b' * 256, 100),
         {'os_hash_algo': 'a' * 32, 'os_hash_value': 'b' * 256}),
        *((MD5, {'os_hash_value': value})
          for value in (..., None, '', 5, 'a' * 257, 'a\n', '\u00e9', ['a'])),
        *((MD5, {'os_hash_algo': value})
          for value in (..., None, '', 5, 'a' * 33, 'sha\t')),
        (None, {'os_hash_value': None, 'checksum': None}),
        (None, {'os_hash_algo': None, 'checksum': None}),
        (None, {'os_hash_value': ..., 'checksum': ...}),
        *((None, {'size': size}) for size in (None, 'unknown', ...)))
    @ddt.unpack
    def test_content(self, expected, members):
        self.assertEqual(
            expected, metadata.from_metadata(changed(**members)).content)
