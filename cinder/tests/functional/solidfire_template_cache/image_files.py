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

"""An Image service whose images are files, for services in processes.

The test writes images into a directory and reads the downloads from there.
"""

import json
import os

from oslo_utils import timeutils

from cinder import exception
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures

_TIMES = ('created_at', 'updated_at')
_CHUNKS = 8


class ImageFiles(object):
    """A directory with the record and the data of each image, and a log.

    :param directory: its path; created when missing
    """

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)

    def add(self, data, **members):
        """Register an image; return its metadata as Cinder passes them."""
        metadata = fixtures.ImageService().add(data, **members)
        written = {key: value.isoformat() if key in _TIMES else value
                   for key, value in metadata.items()}
        self._write(metadata['id'] + '.data', data)
        self._write(metadata['id'] + '.json', json.dumps(written).encode())
        return metadata

    def show(self, image_id):
        try:
            with open(self.path(image_id + '.json')) as source:
                metadata = json.load(source)
        except FileNotFoundError:
            raise exception.ImageNotFound(image_id=image_id)
        for key in _TIMES:
            metadata[key] = timeutils.parse_isotime(metadata[key])
        return metadata

    def path(self, name):
        return os.path.join(self.directory, name)

    def record_download(self, image_id):
        """Append a line to the log, which several processes share."""
        with open(self.path('downloads.log'), 'ab', buffering=0) as log:
            log.write(image_id.encode() + b'\n')

    def downloads(self):
        """Return the ids of the images downloaded, in order."""
        try:
            with open(self.path('downloads.log')) as log:
                return log.read().split()
        except FileNotFoundError:
            return []

    def _write(self, name, data):
        with open(self.path(name + '.new'), 'wb') as target:
            target.write(data)
        os.rename(self.path(name + '.new'), self.path(name))


class ImageService(object):
    """The Image service as Cinder sees it, inside a service process.

    :param files: an :class:`ImageFiles`
    :param reach: called when half of a download is written
    """

    def __init__(self, files, reach):
        self.temp_images = None
        self._files = files
        self._reach = reach

    def show(self, context, image_id):
        return self._files.show(image_id)

    def get_location(self, context, image_id):
        return None, None

    def download(self, context, image_id, data=None):
        self._files.record_download(image_id)
        with open(self._files.path(image_id + '.data'), 'rb') as source:
            content = source.read()
        step = max(1, -(-len(content) // _CHUNKS))
        for number, start in enumerate(range(0, len(content), step)):
            if number == _CHUNKS // 2:
                self._reach()
            data.write(content[start:start + step])
