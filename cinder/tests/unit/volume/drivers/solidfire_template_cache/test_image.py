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

import datetime
import time

import ddt
import fixtures
import hypothesis

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import inputs
from cinder.volume.drivers.solidfire_template_cache import image as images

UTC = datetime.timezone.utc
T0 = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

METADATA = {
    'id': 'c7a8b5d2-9a1e-4c1e-8a57-000000000001', 'updated_at': T0,
    'virtual_size': 1024, 'size': 100, 'os_hash_algo': 'sha512',
    'os_hash_value': 'AB' * 64, 'checksum': 'cd' * 16,
    'properties': {'virtual_size': 2048}}


def metadata(*absent, **members):
    """Return good metadata, with some members changed or left out."""
    changed = dict(METADATA, **members)
    return {key: value for key, value in changed.items()
            if key not in absent}


class FromMetadataTestCase(test.TestCase):

    def test_from_metadata_complete(self):
        self.assertEqual(
            images.Image(id=METADATA['id'], updated_at=T0, virtual_size=1024,
                         size=100, content=images.Content(
                             'sha512', 'ab' * 64, 100)),
            images.from_metadata(METADATA))

    def test_from_metadata_minimal(self):
        image = images.from_metadata(
            {'id': 'i', 'updated_at': T0, 'virtual_size': 1})
        self.assertEqual(images.Image('i', T0, 1, 0, None), image)

    def test_from_metadata_with_bad_id(self):
        for value in (None, '', 5, ['i'], b'i'):
            self._assert_refused('id', id=value)

    def test_from_metadata_with_bad_updated_at(self):
        for value in (None, '', 'yesterday', 1767268800, {}):
            self._assert_refused('updated_at', updated_at=value)

    def test_from_metadata_with_bad_virtual_size(self):
        for value in (0, -1, '', '-5', 1.5, True, 'big', [1]):
            self._assert_refused('virtual_size', virtual_size=value)

    def _assert_refused(self, name, **members):
        exc = self.assertRaises(ValueError, images.from_metadata,
                                metadata(**members))
        self.assertIn(name, str(exc))

    @inputs.settings
    @hypothesis.given(inputs.damaged(METADATA))
    def test_from_metadata_of_anything(self, data):
        try:
            image = images.from_metadata(data)
        except ValueError:
            return
        self.assertEqual(data['id'], image.id)
        self.assertGreater(image.virtual_size, 0)
        self.assertGreaterEqual(image.size, 0)
        self.assertEqual(datetime.timedelta(0), image.updated_at.utcoffset())


@ddt.ddt
class ReadTestCase(test.TestCase):

    @ddt.data((1024, 1024), ('1024', 1024), (' 7 ', 7), (1, 1),
              ('9' * 20, int('9' * 20)), (2 ** 70, 2 ** 70))
    @ddt.unpack
    def test_read_virtual_size(self, value, expected):
        self.assertEqual(expected,
                         images.read_virtual_size({'virtual_size': value}))
        self.assertEqual(expected, images.read_virtual_size(
            {'properties': {'virtual_size': value}}))

    @ddt.data(None, 0, '0', -1, '-1', '+1', '1.0', 1.0, '1e3', '0x10', '',
              ' ', True, False, '\u0663', '1_000', '9' * 21, [1], {}, b'1')
    def test_read_virtual_size_that_is_none(self, value):
        self.assertIsNone(images.read_virtual_size({'virtual_size': value}))
        self.assertIsNone(images.read_virtual_size(
            {'properties': {'virtual_size': value}}))

    def test_read_virtual_size_prefers_attribute(self):
        self.assertEqual(1, images.read_virtual_size(
            {'virtual_size': 1, 'properties': {'virtual_size': 2}}))
        self.assertEqual(2, images.read_virtual_size(
            {'virtual_size': None, 'properties': {'virtual_size': '2'}}))

    def test_read_virtual_size_of_bad_attribute_is_not_the_property(self):
        self.assertIsNone(images.read_virtual_size(
            {'virtual_size': 0, 'properties': {'virtual_size': 2}}))

    def test_read_count_of_zero(self):
        self.assertEqual(0, images.read_count(0))
        self.assertEqual(0, images.read_count('0'))

    @ddt.data({}, {'properties': None}, {'properties': 'text'},
              {'properties': [1]})
    def test_properties_of_anything_is_a_dictionary(self, data):
        self.assertEqual({}, images.properties_of(data))

    @ddt.data('2026-01-01T12:00:00Z', '2026-01-01T12:00:00',
              '2026-01-01T12:00:00.000000', '2026-01-01T12:00:00+00:00',
              '2026-01-01T14:30:00+02:30', '2026-01-01 12:00:00',
              T0, T0.replace(tzinfo=None),
              T0.astimezone(datetime.timezone(datetime.timedelta(hours=-9))))
    def test_read_time(self, value):
        read = images.read_time(value)
        self.assertEqual(T0, read)
        self.assertEqual(datetime.timedelta(0), read.utcoffset())

    def test_read_time_without_offset_is_utc_wherever_the_host_is(self):
        # Undone in the reverse order.
        self.addCleanup(time.tzset)
        self.useFixture(fixtures.EnvironmentVariable('TZ', 'XYZ+05'))
        time.tzset()
        self.assertEqual(T0, images.read_time(T0.replace(tzinfo=None)))
        self.assertEqual(T0, images.read_time('2026-01-01T12:00:00'))

    @ddt.data(None, '', 'now', '2026-13-01T00:00:00Z', 5, 5.0, [], {},
              '2026-01-01T12:00:00+99:99', datetime.date(2026, 1, 1),
              '0001-01-01T00:00:00+23:00', '9999-12-31T23:00:00-23:00',
              datetime.datetime.max.replace(tzinfo=datetime.timezone(
                  -datetime.timedelta(hours=5))))
    def test_read_time_of_what_is_none(self, value):
        self.assertIsNone(images.read_time(value))

    @inputs.settings
    @hypothesis.given(inputs.json_values)
    def test_read_time_of_anything(self, value):
        read = images.read_time(value)
        if read is not None:
            self.assertEqual(datetime.timedelta(0), read.utcoffset())

    @inputs.settings
    @hypothesis.given(inputs.json_values)
    def test_read_count_of_anything(self, value):
        read = images.read_count(value)
        if read is not None:
            self.assertGreaterEqual(read, 0)
            self.assertEqual(str(read), str(value).strip().lstrip('0') or '0')


@ddt.ddt
class ContentTestCase(test.TestCase):

    def _content(self, *absent, **members):
        return images.from_metadata(metadata(*absent, **members)).content

    def test_content_prefers_secure_hash(self):
        self.assertEqual(images.Content('sha512', 'ab' * 64, 100),
                         self._content())

    @ddt.data('os_hash_algo', 'os_hash_value')
    def test_content_without_secure_hash_is_the_checksum(self, absent):
        self.assertEqual(images.Content('md5', 'cd' * 16, 100),
                         self._content(absent))

    @ddt.data(None, '', 5, 'a' * 257, 'a\n', 'a\u00e9', ['a'])
    def test_content_with_bad_secure_hash_is_the_checksum(self, value):
        self.assertEqual(images.Content('md5', 'cd' * 16, 100),
                         self._content(os_hash_value=value))

    @ddt.data(None, '', 5, 'a' * 33, 'sha\t')
    def test_content_with_bad_algorithm_is_the_checksum(self, value):
        self.assertEqual(images.Content('md5', 'cd' * 16, 100),
                         self._content(os_hash_algo=value))

    def test_content_with_no_hash_is_none(self):
        self.assertIsNone(self._content('os_hash_value', 'checksum'))
        self.assertIsNone(self._content('os_hash_algo', checksum=None))

    def test_content_without_size_is_none(self):
        self.assertIsNone(self._content('size'))
        self.assertIsNone(self._content(size='unknown'))

    def test_content_at_the_longest(self):
        self.assertEqual(images.Content('a' * 32, 'b' * 256, 100),
                         self._content(os_hash_algo='a' * 32,
                                       os_hash_value='b' * 256))

    def test_content_ignores_case_of_digest(self):
        self.assertEqual(self._content(os_hash_value='ab' * 64),
                         self._content(os_hash_value='AB' * 64))
