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

"""The data of a fill: how often it is read and written, and what is written.

Nothing here depends on the speed of the machine.
"""

import hashlib
import os
from unittest import mock

import ddt
from oslo_utils import units

from cinder.image import image_utils
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder import utils
from cinder.volume.drivers.solidfire_template_cache.image import stream

BLOCK = 4096
TEXT = b'bootable' * 8191  # Neither whole blocks nor whole sectors.

# Images, of which a volume must hold every byte.
IMAGES = {
    'one byte': b'x', 'all zeros': bytes(3 * units.Mi), 'odd size': TEXT,
    'empty tail': TEXT + bytes(2 * units.Mi),
    'odd empty tail': TEXT + bytes(units.Mi + 3),
    'data at the end': bytes(2 * units.Mi + 100) + b'end',
    'holes': (TEXT + bytes(100000)) * 20,
    'lone bytes': (bytes(10 * BLOCK - 1) + b'x') * 9}


class PartwiseImages(fixtures.ImageService):
    """Delivers downloads in parts, as the Image service does."""

    PART = 50000

    def download(self, context, image_id, data=None):
        self.downloads.append(image_id)
        whole = self.images[image_id][1]
        for start in range(0, len(whole), self.PART):
            data.write(whole[start:start + self.PART])


@ddt.ddt
class FillsTestCase(base.FunctionalTestCase):

    def setUp(self):
        super().setUp()
        self.images = PartwiseImages()
        self.commands, self.files = [], []
        execute = utils.execute

        def record(*command, **options):
            self.commands.append(command)
            return execute(*command, **options)

        self.mock_object(utils, 'execute', record)
        create = image_utils.create_temporary_file

        def create_temporary_file(*args, **kwargs):
            self.files.append(create(*args, **kwargs))
            return self.files[-1]

        self.mock_object(image_utils, 'create_temporary_file',
                         create_temporary_file)

    def fill(self, image):
        """Request a volume; return the path of the template's data."""
        self.assertIs(True, self.clone(image)[1])
        template, = self.templates(image['id'])
        return self.sim.cluster.volume_path(template.volume_id)

    def contents(self, path):
        """Return a digest of all blocks that are not zero, and their count."""
        digest, count = hashlib.sha512(), 0
        size = os.path.getsize(path)
        with open(path, 'rb') as source:
            offset = 0
            while offset < size:
                try:
                    start = os.lseek(source.fileno(), offset, os.SEEK_DATA)
                except OSError:
                    break  # There is no data from here to the end.
                start -= start % BLOCK
                offset = os.lseek(source.fileno(), start, os.SEEK_HOLE)
                for start in range(start, offset, BLOCK):
                    block = os.pread(source.fileno(), BLOCK, start)
                    if block.strip(b'\0'):
                        digest.update(b'%d' % start + block)
                        count += 1
        return size, digest.hexdigest(), count

    @ddt.data(*IMAGES)
    def test_stream_and_conversion_write_the_same_bytes(self, name):
        data = IMAGES[name]
        streamed = self.fill(self.images.add(data))
        self.assertEqual([], self.commands)
        with mock.patch.object(stream, 'is_possible', autospec=True,
                               return_value=False):
            converted = self.fill(self.images.add(data))
        self.assertEqual(1, self.runs_of('convert'))
        self.assertEqual(self.contents(converted), self.contents(streamed))
        with open(streamed, 'rb') as source:
            self.assertEqual(hashlib.sha512(data).digest(),
                             hashlib.sha512(source.read(len(data))).digest())

    def runs_of(self, subcommand):
        """Return how often qemu-img was run with a subcommand."""
        return sum(subcommand in command for command in self.commands)

    # Disk format, temporary files, inspections, conversions.
    @ddt.data(('raw', 0, 0, 0), ('iso', 0, 0, 0), ('qcow2', 1, 2, 1))
    @ddt.unpack
    def test_data_is_read_and_written_once(self, disk_format, *counts):
        data = (os.urandom(256 * units.Ki) + bytes(3 * units.Mi)) * 4
        image = self.images.add(
            self.qcow2(data) if disk_format == 'qcow2' else data,
            virtual_size=len(data), disk_format=disk_format)
        path = self.fill(image)
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(counts, (len(self.files), self.runs_of('info'),
                                  self.runs_of('convert')))
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))
        # Runs of zeros are not written.
        _size, _digest, blocks = self.contents(path)
        self.assertEqual(units.Mi // BLOCK, blocks)
        self.assertLessEqual(self.sim.cluster.files.used(
            os.path.basename(path)), units.Mi + 4 * 64 * units.Ki)
        self.assertEqual([], self.conversion_files())

    def test_volume_of_a_failed_stream_is_removed(self):
        image = self.images.add(TEXT)
        self.images.images[image['id']] = (
            self.images.images[image['id']][0], TEXT[:-1])
        self.assertEqual((None, False), self.clone(image))
        self.log.pop_warning('%d of %d bytes' % (len(TEXT) - 1, len(TEXT)))
        self.assertEqual({}, self.sim.cluster.volumes)
        # The next fill has a new volume, with nothing of this one.
        self.images.images[image['id']] = (
            self.images.images[image['id']][0], TEXT)
        self.assert_served(self.clone(image), TEXT)
        self.assert_no_leftovers()
