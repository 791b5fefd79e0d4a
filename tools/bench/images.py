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

"""Images, and an Image service that serves them from files."""

import copy
import os
import subprocess

from oslo_utils import timeutils
from oslo_utils import units
from oslo_utils import uuidutils

_CHUNK = 64 * units.Ki  # as the client of Glance


def write_raw(path, data_mib, size_gib):
    """Write a raw image: random data in its first and last part, else zeros.

    :param path: a ``pathlib.Path``
    :param data_mib: MiB that are not zeros
    :param size_gib: virtual size in GiB
    """
    size = round(size_gib * units.Gi)
    with open(path, 'wb') as image:
        image.truncate(size)
        for number in range(data_mib):
            if number == data_mib - 1:
                image.seek(size - units.Mi)
            image.write(os.urandom(units.Mi))


def to_qcow2(raw, path):
    """Convert a raw image."""
    subprocess.run(('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                    str(raw), str(path)), check=True)


class Images:
    """The public images of the benchmark, by id.

    :ivar downloads: the ids of those that were downloaded, in order
    """

    def __init__(self):
        self._images = {}
        self.downloads = []

    def add(self, path, disk_format, virtual_size):
        """Register a file as a public image; return its metadata.

        :param virtual_size: bytes
        """
        return self._register({
            'disk_format': disk_format, 'size': path.stat().st_size,
            'virtual_size': virtual_size}, path)

    def copy_of(self, metadata):
        """Register the same data as another image; return its metadata."""
        return self._register(
            {key: metadata[key] for key in (
                'disk_format', 'size', 'virtual_size')},
            self._images[metadata['id']][1])

    def take_over(self, metadata, path):
        """Register what another process has registered."""
        metadata = dict(metadata)
        for key in 'created_at', 'updated_at':
            metadata[key] = timeutils.parse_isotime(metadata[key])
        self._images[metadata['id']] = metadata, path
        return metadata

    def path(self, metadata):
        """Return the path of an image's file."""
        return self._images[metadata['id']][1]

    def warm(self, metadata):
        """Read an image once, so that its file is in memory."""
        with open(self.path(metadata), 'rb') as image:
            while image.read(units.Mi):
                pass

    def _register(self, members, path):
        now = timeutils.utcnow(with_timezone=True)
        metadata = {
            'id': uuidutils.generate_uuid(), 'name': 'an image',
            'status': 'active', 'visibility': 'public',
            'owner': uuidutils.generate_uuid(dashed=False),
            'container_format': 'bare', 'min_disk': 0, 'min_ram': 0,
            # As if the data of any two images differed.
            'checksum': None, 'os_hash_algo': 'sha512',
            'os_hash_value': uuidutils.generate_uuid(), 'created_at': now,
            'updated_at': now, 'properties': {}, **members}
        self._images[metadata['id']] = metadata, path
        return copy.deepcopy(metadata)

    def service(self):
        """Return a new Image service, as Cinder has one for each request."""
        return ImageService(self._images, self.downloads)


class ImageService:
    """The Image service as Cinder sees it; a download is a copy of a file."""

    def __init__(self, images, downloads):
        self.temp_images = None
        self._images = images
        self._downloads = downloads

    def show(self, context, image_id):
        return copy.deepcopy(self._images[image_id][0])

    def get_location(self, context, image_id):
        return None, None

    def download(self, context, image_id, data=None):
        # Cinder writes through the thread pool of eventlet, in which the
        # calls of native threads get lost but for those of the first one.
        data = getattr(data, '_obj', data)
        self._downloads.append(image_id)
        with open(self._images[image_id][1], 'rb') as image:
            while chunk := image.read(_CHUNK):
                data.write(chunk)
