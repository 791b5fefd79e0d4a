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

"""Tests of raw images that are written while they are downloaded."""

from concurrent import futures
import contextlib
import hashlib
import os
import random
import struct
import threading
import tracemalloc
from unittest import mock

import ddt
import fixtures as base_fixtures
from oslo_utils import units

from cinder.image import format_inspector
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder import utils
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.image import signatures
from cinder.volume.drivers.solidfire_template_cache.image import stream
from cinder.volume import throttling

BLOCK = 4096
DATA = bytes(range(1, 256)) * 257  # 65535 bytes, none of them zero
VHDX_TABLE = 192 * units.Ki

# Beginnings of images. Of the VHDX the table is far from the identifier, and
# may lead to anywhere.
HEADS = {
    'data': DATA, 'zeros': bytes(units.Mi), 'short': b'x',
    'sector': b'x' * 512,
    'qcow2': b'QFI\xfb' + bytes(508), 'qcow2, cut': b'QFI\xfb' + bytes(507),
    'qed': b'QED\0' + bytes(508), 'vhd': b'conectix' + bytes(504),
    'vdi': bytes(64) + struct.pack('<I', 0xbeda107f) + bytes(444),
    'vmdk': struct.pack('<4sIIQQQQIQQ', b'KDMV', 1, 0, 9, 9, 1, 20, 0, 0, 0
                        ).ljust(64 * units.Ki, b'\0'),
    'vmdk, cut': struct.pack('<4sIIQQQQIQQ', b'KDMV', 1, 0, 9, 9, 1, 20, 0,
                             0, 0).ljust(units.Ki, b'\0'),
    'vmdk, footer': struct.pack('<4sIIQQQQIQQ', b'KDMV', 1, 0, 9, 9, 1, 20,
                                0, 0, 2 ** 64 - 1).ljust(units.Mi, b'\0'),
    'vhdx without a table': b'vhdxfile'.ljust(units.Mi, b'\0'),
    'vhdx without regions': (
        b'vhdxfile'.ljust(VHDX_TABLE, b'\0') + struct.pack(
            '<IIII', 0x69676572, 0, 0, 0)).ljust(units.Mi, b'\0'),
    'a table only': (bytes(VHDX_TABLE) + struct.pack(
        '<IIII', 0x69676572, 0, 0, 0)).ljust(units.Mi, b'\0')}

# Images, of which not all are whole blocks or sectors.
IMAGES = {
    'one byte': b'x', 'zero byte': b'\0', 'all zeros': bytes(3 * units.Mi),
    'odd size': DATA, 'data and an empty tail': DATA + bytes(units.Mi + 5),
    'data at the end': bytes(2 * units.Mi + 100) + b'end',
    'one byte in a block': bytes(5 * BLOCK - 1) + b'x' + bytes(7 * BLOCK),
    'alternating blocks': (b'x' * BLOCK + bytes(BLOCK)) * 40,
    'larger than a part': DATA * 40 + bytes(units.Mi) + DATA}


def parts(data, size):
    return [data[start:start + size] for start in range(0, len(data), size)]


@ddt.ddt
class FormatCheckTestCase(test.TestCase):

    @ddt.data(1, 511, 512, 513, 65536, 10 ** 9)
    def test_verdict_is_that_of_cinder(self, size):
        path = self.useFixture(base_fixtures.TempDir()).join('image')
        for name, head in HEADS.items():
            # Bytes are slow, and short heads have what there is to see.
            head = head[:units.Ki] if size == 1 else head
            with open(path, 'wb') as target:
                target.write(head)
            expected = str(format_inspector.detect_file_format(path))
            check = stream.FormatCheck()
            found = 'raw'
            try:
                for part in parts(head, size):
                    check.check(part)
                check.finish()
            except exceptions.FillRefused as exc:
                found = str(exc).split()[-1].rstrip('.')
            self.assertEqual(expected, found, name)

    def test_all_formats_are_found(self):
        # So that the test above can fail.
        for name in ('qcow2', 'vhd', 'vdi', 'vmdk'):
            exc = self.assertRaises(exceptions.FillRefused,
                                    stream.FormatCheck().check, HEADS[name])
            self.assertIn('format %s' % name, str(exc))


class WriterTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.path = self.useFixture(base_fixtures.TempDir()).join('device')
        self.device = 4 * units.Mi
        self.written = []

        def pwrite(fd, data, offset):
            # As a signal may cut it short.
            data = bytes(data[:max(BLOCK, len(data) // 2)])
            self.written.append((offset, len(data)))
            return os_pwrite(fd, data, offset)

        os_pwrite = os.pwrite
        self.mock_object(os, 'pwrite', pwrite)

    def write(self, data, size=None, part=None):
        """Write an image, and return what the device has then."""
        with open(self.path, 'wb') as target:
            target.truncate(self.device)
        writer = stream.RawImageWriter(
            self.path, len(data) if size is None else size)
        writer.open()
        with contextlib.closing(writer):
            for each in parts(data, part or len(data)):
                self.assertEqual(len(each), writer.write(each))
            writer.finish()
        with open(self.path, 'rb') as source:
            return source.read()

    def assert_same(self, expected, found):
        """Compare megabytes, without a report that has all of them."""
        self.assertEqual(hashlib.sha512(expected).digest(),
                         hashlib.sha512(found).digest())


@ddt.ddt
class RawImageWriterTestCase(WriterTestCase):

    @ddt.data(*IMAGES)
    def test_device_holds_the_image(self, name):
        data = IMAGES[name]
        expected = data.ljust(self.device, b'\0')
        data_blocks = sum(1 for block in parts(expected, BLOCK)
                          if block.strip(b'\0'))
        for size in (1000, BLOCK, 64 * units.Ki, 10 ** 9):
            del self.written[:]
            self.assert_same(expected, self.write(data, part=size))
            # Zeros are not written, data only once and in whole blocks.
            self.assertEqual(data_blocks * BLOCK,
                             sum(length for _at, length in self.written))

    def test_random_images(self):
        source = random.Random(8)
        for _i in range(30):
            data = b''.join(
                source.choice((bytes, source.randbytes))(
                    source.choice((1, 511, BLOCK, 3 * BLOCK, 70000)))
                for _j in range(source.randint(1, 12)))
            self.assert_same(
                data.ljust(self.device, b'\0'),
                self.write(data, part=source.choice((7777, 65536))))

    @ddt.data(-1, 1)
    def test_size_that_is_not_known(self, difference):
        exc = self.assertRaises(
            exceptions.TemplateCacheError, self.write, DATA,
            len(DATA) + difference)
        self.assertIs(exceptions.TemplateCacheError, type(exc))
        self.assertIn('%d of %d bytes' % (len(DATA), len(DATA) + difference),
                      str(exc))
        # Nothing is written past the end.
        self.assertLessEqual(sum(length for _at, length in self.written),
                             max(0, difference) * len(DATA))

    def test_other_format(self):
        self.assertRaises(exceptions.FillRefused, self.write,
                          HEADS['qcow2'] + DATA)
        self.assertEqual([], self.written)
        # It is complete, but shorter than a step of the inspection.
        self.mock_object(stream.FormatCheck, 'finish', autospec=True,
                         side_effect=exceptions.FillRefused(reason='bad'))
        self.assertRaises(exceptions.FillRefused, self.write, b'x')

    def test_writeback_begins_early(self):
        advise = self.mock_object(os, 'posix_fadvise', autospec=True)
        sync = self.mock_object(os, 'fsync', autospec=True)
        self.assertRaises(exceptions.TemplateCacheError, self.write,
                          b'x' * (40 * units.Mi), units.Gi, units.Mi)
        # After each 16 MiB, and of the 16 MiB before them again.
        self.assertEqual(
            [(0, 16 * units.Mi), (0, 32 * units.Mi)],
            [call.args[1:3] for call in advise.mock_calls])
        self.assertFalse(sync.called)

    def test_memory_is_constant(self):
        peaks = []
        for size in (units.Mi, 16 * units.Mi):
            with open(self.path, 'wb') as target:
                target.truncate(size)
            writer = stream.RawImageWriter(self.path, size)
            writer.open()
            part = random.Random(8).randbytes(60000)
            tracemalloc.start()
            with contextlib.closing(writer):
                for _i in range(size // len(part)):
                    writer.write(part)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            # What the test itself has of it.
            del self.written[:]
        # The inspection of formats ends after the first 256 KiB.
        self.assertLess(max(peaks), units.Mi)

    def test_device_that_fails(self):
        for name in ('pwrite', 'fsync'):
            with mock.patch.object(os, name, autospec=True,
                                   side_effect=OSError('of the test')):
                self.assertRaises(OSError, self.write, DATA)


class _ThreadProxy(object):
    """Calls each method in a thread, as tpool does for greenthreads."""

    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        def call(*args):
            with futures.ThreadPoolExecutor(1) as pool:
                return pool.submit(getattr(self._target, name), *args).result()
        return call


@ddt.ddt
class DownloadTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.images = fixtures.ImageService()
        self.path = self.useFixture(base_fixtures.TempDir()).join('device')
        self.wanted = self.mock_object(signatures, 'wanted', autospec=True,
                                       return_value=True)

    def download(self, meta, path=None):
        stream.download(fixtures.new_context(), self.images,
                        metadata.from_metadata(meta), path or self.path)

    def test_download(self):
        with open(self.path, 'wb') as device:
            device.truncate(units.Mi)
        events = []

        @contextlib.contextmanager
        def chown(path):
            events.append(path)
            yield
            events.append('given back')

        self.mock_object(utils, 'temporary_chown', chown)
        self.images.on_download = lambda image_id: events.append(image_id)
        image = self.images.add(DATA)
        self.download(image)
        self.assertEqual([self.path, image['id'], 'given back'], events)
        with open(self.path, 'rb') as device:
            self.assertEqual(DATA, device.read().rstrip(b'\0'))

    @ddt.data(None, ConnectionResetError('of the test'))
    def test_what_blocks_is_done_in_another_thread(self, failure):
        with open(self.path, 'wb') as device:
            device.truncate(units.Mi)
        self.mock_object(utils, 'tpool_wrap', _ThreadProxy)
        done = []
        for name in ('open', 'pwrite', 'fsync', 'close'):
            self.mock_object(os, name, side_effect=self.observed(
                name, getattr(os, name), done))
        if failure:
            self.images.on_download = mock.Mock(side_effect=failure)
            self.assertRaises(ConnectionResetError, self.download,
                              self.images.add(DATA))
        else:
            self.download(self.images.add(DATA))
        # Greenthreads of this one would not go on meanwhile.
        self.assertNotIn(threading.get_ident(), [each[1] for each in done])
        self.assertEqual(
            ['open', 'close'] if failure else
            ['open', 'pwrite', 'pwrite', 'fsync', 'close'],
            [each[0] for each in done])

    @staticmethod
    def observed(name, function, done):
        def call(*args):
            done.append((name, threading.get_ident()))
            return function(*args)
        return call

    def test_device_that_vanished(self):
        # Bug 1703892: no plain file is created in its place.
        self.assertRaises(FileNotFoundError, self.download,
                          self.images.add(DATA))
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual([], self.images.downloads)

    @ddt.data({}, {'disk_format': 'iso'}, {'properties': {'os': 'x'}},
              {'size': '%d' % len(DATA)})
    def test_possible(self, members):
        self.assertIs(True, stream.is_possible(self.images.add(
            DATA, **members)))

    @ddt.data({'disk_format': 'qcow2'}, {'disk_format': None},
              {'disk_format': []}, {'disk_format': {}}, {'size': None},
              {'size': 0}, {'size': 'x'}, {'size': -1},
              {'properties': {'img_signature': 'x'}}, {'properties': None},
              {'properties': {'img_signature_key_type': None}},
              {'properties': 'text'})
    def test_not_possible(self, members):
        self.assertIs(False, stream.is_possible(self.images.add(
            DATA, **members)))
        self.assertIs(False, stream.is_possible({}))

    def test_possible_without_signatures(self):
        self.wanted.return_value = False
        self.assertIs(True, stream.is_possible(self.images.add(
            DATA, properties={'img_signature': 'x'})))

    def test_not_possible_with_a_limit_on_copies(self):
        limited = mock.Mock(spec=throttling.BlkioCgroup)
        self.mock_object(throttling.Throttle, 'DEFAULT', limited)
        self.assertIs(False, stream.is_possible(self.images.add(DATA)))
