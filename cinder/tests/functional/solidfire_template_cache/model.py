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

"""The model's images and volumes, and what changes around the hosts."""

import copy
import dataclasses
import datetime
import functools
import typing

from oslo_utils import units

from cinder import exception
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.templates import (
    model as template_model)

PROJECTS = (fake.PROJECT_ID, fake.PROJECT2_ID)

SIZES = (4800, 600, 40960)
"""Bytes of an image's data; a shorter version must not end in the data of a
longer one."""


KINDS = [
    {'visibility': visibility, 'owner': owner, 'disk_format': disk_format}
    for visibility, owner, disk_format in (
        ('public', fake.PROJECT2_ID, 'raw'),
        ('private', fake.PROJECT_ID, 'raw'),
        ('community', fake.PROJECT_ID, 'qcow2'))]
"""The images that each run begins with."""


class Images(fixtures.ImageService):
    """An Image service that keeps every version of every image."""

    def __init__(self, to_qcow2):
        super().__init__()
        self._to_qcow2 = to_qcow2
        self._converted = {}
        self._raw = {}
        self.begin()

    def begin(self):
        """Drop everything, and offer one image of each kind."""
        self.images.clear()
        del self.downloads[:]
        self.versions = {}
        self._counts = [0] * len(KINDS)
        self._slots = [None] * len(KINDS)
        for slot in range(len(KINDS)):
            self.renew(slot)

    def renew(self, slot):
        """Offer an image with another id instead of one."""
        self._slots[slot] = '%08d-1111-4000-8000-%012d' % (
            slot, self._counts[slot])
        self._put(slot, SIZES[0], self.add, id=self.id_of(slot),
                  **KINDS[slot])

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

    def _put(self, slot, size, put, **members):
        count = self._counts[slot]
        self._counts[slot] += 1
        words = b'image %d, data %d; ' % (slot, count)
        raw = (words * (size // len(words) + 1))[:size]
        data = raw
        if KINDS[slot]['disk_format'] == 'qcow2':
            raw = raw.ljust(-(-size // 512) * 512, b'\0')
            if raw not in self._converted:
                self._converted[raw] = self._to_qcow2(raw)
            data = self._converted[raw]
        metadata = put(data, virtual_size=len(raw), **members)
        self._raw[metadata['os_hash_value']] = raw
        self._note(metadata)

    def _note(self, metadata):
        self.versions.setdefault(metadata['id'], []).append(metadata)

    def version(self, slot, age):
        """Return metadata that are at most so many versions old."""
        versions = self.versions[self.id_of(slot)]
        return copy.deepcopy(versions[max(0, len(versions) - 1 - age)])

    def version_at(self, image_id, updated_at):
        """Return the metadata of that time, or None."""
        return next((metadata for metadata in self.versions.get(image_id, ())
                     if metadata['updated_at'] == updated_at), None)

    def is_current(self, metadata):
        image = self.images.get(metadata['id'])
        return bool(image) and image[0] == metadata

    def raw_of(self, metadata):
        """Return the bytes that a volume of this version begins with."""
        return self._raw[metadata['os_hash_value']]

    def show(self, context, image_id):
        if image_id not in self.images:
            raise exception.ImageNotFound(image_id=image_id)
        return super().show(context, image_id)

    def download(self, context, image_id, data=None):
        self.show(context, image_id)
        super().download(context, image_id, data)


@dataclasses.dataclass
class Request(object):
    """A volume that a tenant has requested.

    :ivar volume: Cinder's volume
    :ivar metadata: the image as the request knows it
    :ivar raw: the bytes of that version
    :ivar done: None until the volume is complete; then what its data begins
        with, which is nothing after Cinder's image download
    :ivar number: the complete volume's id on the cluster
    :ivar can_retry: whether the scheduler may try it again
    """

    volume: typing.Any
    metadata: dict
    raw: bytes
    done: typing.Optional[bytes] = None
    number: typing.Optional[int] = None
    can_retry: bool = True

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
        """Note that the volume is complete, and its data."""
        self.volume.provider_id = model_update['provider_id']
        self.number = int(model_update['provider_id'].split()[0])
        self.done = data


class Environment(object):
    """Operators, the Image service, and time."""

    def __init__(self, test):
        self._test = test
        self._cluster = test.sim.cluster
        self._images = test.images
        self._rules = test.rules

    # Operators

    def purge_templates(self, slot):
        for volume in self._templates(slot):
            self._remove(volume)

    def purge_oldest_template(self, slot):
        """Leave what are replicas, if there are any."""
        for volume in self._templates(slot)[:1]:
            self._remove(volume)

    def delete_templates(self, slot):
        for volume in self._templates(slot):
            if volume.status == 'active':
                self._rules.altered.add(volume.volume_id)
                self._cluster.delete_volume(volume)

    def make_writable(self, slot):
        for volume in self._templates(slot):
            if volume.access == 'readOnly':
                self._rules.altered.add(volume.volume_id)
                volume.access = 'readWrite'

    def remove_account(self, _slot):
        self._rules.account_removed = True
        for account in self._accounts():
            for volume in self._cluster.volumes_of(account.account_id):
                self._rules.foreign.pop(volume.volume_id, None)
                self._remove(volume)
            del self._cluster.accounts[account.account_id]

    def add_foreign_volume(self, slot):
        """Create a volume that has a template's name."""
        for account in self._accounts():
            volume = self._cluster.add_volume(
                name=template_model.name_for(self._images.id_of(slot)),
                account_id=account.account_id, size=units.Gi,
                qos=dict(self._cluster.default_qos))
            self._cluster.files.create('volume-%d' % volume.volume_id,
                                       units.Gi)
            self._rules.foreign[volume.volume_id] = {}

    def _accounts(self):
        return [account for account in self._cluster.accounts.values()
                if account.username == base.TEMPLATE_ACCOUNT]

    def _templates(self, slot):
        return [volume for volume in self._test.templates(
                self._images.id_of(slot))
                if volume.volume_id not in self._rules.foreign]

    def _remove(self, volume):
        self._cluster.delete_volume(volume)
        self._cluster.forget_volume(volume.volume_id)

    # The Image service

    def _change_image(self, size, slot):
        self._images.change(slot, size)

    def _edit_image(self, members, slot):
        self._images.edit(slot, **members)

    lengthen_image = functools.partialmethod(_change_image, SIZES[2])
    shorten_image = functools.partialmethod(_change_image, SIZES[1])
    edit_image = functools.partialmethod(_edit_image, {'name': 'edited'})
    make_image_private = functools.partialmethod(_edit_image,
                                                 {'visibility': 'private'})
    make_image_public = functools.partialmethod(_edit_image,
                                                {'visibility': 'public'})

    def withdraw_image(self, slot):
        del self._images.images[self._images.id_of(slot)]
        self._images.renew(slot)

    # Time

    def _pass_time(self, seconds, _slot):
        self._test.clock.advance(seconds)

    def _set_date(self, days, _slot):
        self._test.clock.jump += datetime.timedelta(days=days)

    pass_seconds = functools.partialmethod(_pass_time, 40)
    pass_minutes = functools.partialmethod(_pass_time, 400)
    pass_hours = functools.partialmethod(_pass_time, 9 * 3600)
    set_date_forward = functools.partialmethod(_set_date, 3)
    set_date_back = functools.partialmethod(_set_date, -2)


CHANGES = tuple(name for name in vars(Environment)
                if not name.startswith('_'))
"""Names of the methods of :class:`Environment`, which take the slot of an
image."""
