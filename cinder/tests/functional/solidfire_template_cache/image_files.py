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

The test writes images into a directory and reads there who downloaded what.
"""

import copy
import datetime
import hashlib
import json
import os

from oslo_utils import timeutils
from oslo_utils import uuidutils

from cinder import exception
from cinder.tests.unit import fake_constants as fake

_TIMES = ('created_at', 'updated_at')
_CHUNKS = 8

T0 = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class ImageFiles(object):
    """The directory: for each image its metadata and its data, and a log.

    :param directory: where it is, made when missing
    """

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)

    def add(self, data, **members):
        """Register an image; return its metadata as Cinder passes them.

        :param data: bytes
        :param members: metadata that differ from a public raw image's
        """
        metadata = dict({
            'id': uuidutils.generate_uuid(), 'name': 'an image',
            'status': 'active', 'visibility': 'public',
            'owner': fake.PROJECT2_ID, 'container_format': 'bare',
            'disk_format': 'raw', 'size': len(data), 'min_disk': 0,
            'min_ram': 0, 'virtual_size': len(data),
            'checksum': hashlib.md5(data, usedforsecurity=False).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'created_at': T0, 'updated_at': T0, 'properties': {}}, **members)
        written = {key: value.isoformat() if key in _TIMES else value
                   for key, value in metadata.items()}
        self._write(metadata['id'] + '.data', data)
        self._write(metadata['id'] + '.json', json.dumps(written).encode())
        return copy.deepcopy(metadata)

    def replace(self, image_id, data, seconds=60, **members):
        """Give an image other data and a later updated_at."""
        updated_at = self.show(image_id)['updated_at'] + (
            datetime.timedelta(seconds=seconds))
        return self.add(data, id=image_id, updated_at=updated_at, **members)

    def show(self, image_id):
        """Return an image's metadata.

        :raises exception.ImageNotFound: for one that is not there
        """
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

    def note(self, **event):
        """Append one event to the log, whole even if others write too."""
        line = json.dumps(event).encode() + b'\n'
        log = os.open(self.path('downloads.log'),
                      os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, line)
        finally:
            os.close(log)

    def downloads(self, event='begin'):
        """Return the ids of the images downloaded, in order.

        :param event: begin, or end for those that came to an end
        """
        try:
            with open(self.path('downloads.log')) as log:
                return [entry['image'] for entry in map(json.loads, log)
                        if entry['event'] == event]
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
        note = {'image': image_id, 'pid': os.getpid()}
        self._files.note(event='begin', **note)
        with open(self._files.path(image_id + '.data'), 'rb') as source:
            content = source.read()
        step = max(1, -(-len(content) // _CHUNKS))
        for number, start in enumerate(range(0, len(content), step)):
            if number == _CHUNKS // 2:
                self._reach()
            data.write(content[start:start + step])
        self._files.note(event='end', **note)
