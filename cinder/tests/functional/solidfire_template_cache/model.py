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
"""What the model knows: images as they were, and volumes as asked for."""

import copy
import dataclasses
import typing

from oslo_utils import units

from cinder import exception
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base

PROJECTS = (fake.PROJECT_ID, fake.PROJECT2_ID)

SIZES = (4800, 600, 40960)
"""Bytes of an image's data; a shorter version must not end in a longer
one's."""


@dataclasses.dataclass(frozen=True)
class Kind(object):
    """One of the images that each run begins with."""

    visibility: str
    owner: str
    disk_format: str


KINDS = (
    Kind('public', fake.PROJECT2_ID, 'raw'),
    Kind('private', fake.PROJECT_ID, 'raw'),
    Kind('community', fake.PROJECT_ID, 'qcow2'),
)


class Images(base.ImageService):
    """The Image service, which remembers every version of every image.

    The same actions give the same ids and bytes in every run.

    :param to_qcow2: a callable that makes a qcow2 file's bytes of raw ones
    """

    def __init__(self, to_qcow2):
        super().__init__()
        self._to_qcow2 = to_qcow2
        self._packed = {}
        self._raw = {}
        self.begin()

    def begin(self):
        """Forget all, and offer one image of each kind."""
        self.images.clear()
        self.downloads.clear()
        self.versions = {}
        self._counts = [0] * len(KINDS)
        self._slots = [None] * len(KINDS)
        for slot in range(len(KINDS)):
            self.renew(slot)

    def renew(self, slot):
        """Put an image with another id in the place of one."""
        kind = KINDS[slot]
        self._slots[slot] = '%08d-1111-4000-8000-%012d' % (
            slot, self._counts[slot])
        self._put(slot, SIZES[0], self.add, id=self.id_of(slot),
                  visibility=kind.visibility, owner=kind.owner,
                  disk_format=kind.disk_format)

    def id_of(self, slot):
        return self._slots[slot]

    def change(self, slot, size):
        """Give an image other data."""
        image_id = self.id_of(slot)
        old = self.images[image_id][0]
        self._put(slot, size, lambda data, **members: self.replace(
            image_id, data, visibility=old['visibility'],
            owner=old['owner'], **members))

    def edit(self, slot, **members):
        """Change an image's record, and not its data."""
        self._note(self.touch(self.id_of(slot), **members))

    def withdraw(self, slot):
        """Delete an image, and offer another one like it."""
        del self.images[self.id_of(slot)]
        self.renew(slot)

    def _put(self, slot, size, put, **members):
        count = self._counts[slot]
        self._counts[slot] += 1
        words = b'image %d, data %d; ' % (slot, count)
        raw = (words * (size // len(words) + 1))[:size]
        data = raw
        if KINDS[slot].disk_format == 'qcow2':
            raw = raw.ljust(-(-size // 512) * 512, b'\0')
            if raw not in self._packed:
                self._packed[raw] = self._to_qcow2(raw)
            data = self._packed[raw]
        metadata = put(data, virtual_size=len(raw), **members)
        self._raw[metadata['os_hash_value']] = raw
        self._note(metadata)

    def _note(self, metadata):
        self.versions.setdefault(metadata['id'], []).append(metadata)

    def known(self, slot, age):
        """Return metadata that are that many versions old, at the most."""
        versions = self.versions[self.id_of(slot)]
        return copy.deepcopy(versions[max(0, len(versions) - 1 - age)])

    def is_current(self, metadata):
        image = self.images.get(metadata['id'])
        return bool(image) and image[0] == metadata

    def raw_of(self, metadata):
        """Return the bytes that a volume of this version begins with."""
        return self._raw[metadata['os_hash_value']]

    def version_at(self, image_id, updated_at):
        """Return the metadata of that moment, or None."""
        for metadata in self.versions.get(image_id, ()):
            if metadata['updated_at'] == updated_at:
                return metadata
        return None

    def show(self, context, image_id):
        self._check(image_id)
        return super().show(context, image_id)

    def download(self, context, image_id, data=None):
        self._check(image_id)
        super().download(context, image_id, data)

    def _check(self, image_id):
        if image_id not in self.images:
            raise exception.ImageNotFound(image_id=image_id)


@dataclasses.dataclass
class Request(object):
    """A volume that a tenant asked for.

    :ivar volume: Cinder's volume
    :ivar metadata: the image as the request knows it
    :ivar raw: the bytes of that version
    :ivar done: None until the volume is finished; then what its data begins
        with, which is nothing when Cinder took its normal path
    :ivar number: the finished volume's id on the cluster
    :ivar retriable: whether the scheduler may have it tried once more
    """

    volume: typing.Any
    metadata: dict
    raw: bytes
    done: typing.Optional[bytes] = None
    number: typing.Optional[int] = None
    retriable: bool = True

    @property
    def name(self):
        return 'UUID-' + self.volume.id

    @property
    def eligible(self):
        """Whether the cache may serve it."""
        return (not self.volume.encryption_key_id and
                (self.metadata['visibility'] in ('public', 'community') or
                 self.metadata['owner'] == self.volume.project_id) and
                self.metadata['virtual_size'] <= (self.volume.size *
                                                  units.Gi))

    def finish(self, model_update, data):
        """Note that the volume is there, and what it holds."""
        self.volume.provider_id = model_update['provider_id']
        self.number = int(model_update['provider_id'].split()[0])
        self.done = data
