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

"""A template volume: the value, its states, its attributes on the volume.

A template's whole state lives in one member of its volume's attributes, so
that every host sees the same. Does no I/O.
"""

import dataclasses
import datetime
import enum
import typing

from cinder.volume.drivers.solidfire_template_cache import image as images

NAME_PREFIX = 'OpenStackIMG-'
"""Templates are named ``OpenStackIMG-<image id>``."""

# Element was seen to limit the number of top-level members, not only the
# bytes, so everything is below one.
ATTRIBUTE = 'cinder_image_template'

SCHEMA = 1
"""Version of the members below. Others are neither used nor removed."""


class State(enum.Enum):
    FILLING = 'filling'
    READY = 'ready'


class Match(enum.Enum):
    """How a ready template compares with an image as a request knows it."""

    CURRENT = 'the same version'
    SAME_CONTENT = 'an older record of the same data'
    OUTDATED = 'older data'
    NEWER = 'newer than what the request knows'


@dataclasses.dataclass(frozen=True)
class Template(object):
    """What is known of one template volume.

    :ivar volume_id: the SolidFire volumeID
    :ivar size: bytes of the volume
    :ivar active: False once it was deleted, until it is purged
    :ivar read_only: whether the cluster lets nobody write to it
    :ivar image: the version of the image that it holds; its virtual size
        is the one found in the data
    :ivar fill_id: unique to one attempt to fill, to know our own again
    :ivar filled_by: the host that filled it, as :func:`host_mark` has it
    :ivar filled_at: when that began, by its clock; None when unreadable
    :ivar last_used: the use that was recorded last; None when unreadable
    :ivar signature_verified: None when signatures were not looked at
    :ivar lock_domain: the place of the lock under which it was filled, see
        :func:`locks.domain`
    """

    volume_id: int
    size: int
    active: bool
    read_only: bool
    state: State
    image: images.Image
    fill_id: str
    filled_by: str
    filled_at: typing.Optional[datetime.datetime]
    last_used: typing.Optional[datetime.datetime]
    signature_verified: typing.Optional[bool]
    lock_domain: typing.Optional[str] = None

    @property
    def usable(self):
        """Whether it may be cloned at all."""
        return (self.ready and self.read_only and
                self.image.virtual_size <= self.size)

    @property
    def ready(self):
        """Whether it was filled and published, and is there."""
        return self.active and self.state is State.READY

    def serves(self, signature_wanted):
        """Whether it may be cloned under what is configured now.

        A template that was filled while signatures were not looked at
        cannot stand in for a download that looks at them.
        """
        return self.usable and (not signature_wanted or
                                self.signature_verified is not None)

    def fits(self, volume_bytes):
        """Tell whether a volume of that size can hold the template."""
        return self.image.virtual_size <= self.size <= volume_bytes

    def compare(self, image):
        """Compare with the image as a request knows it.

        :param image: an :class:`image.Image`
        :rtype: Match
        """
        mine, theirs = self.image, image
        if mine.updated_at > theirs.updated_at:
            return Match.NEWER
        if mine.content and theirs.content and (
                mine.content.algorithm == theirs.content.algorithm):
            if mine.content != theirs.content:
                return Match.OUTDATED
            if mine.updated_at < theirs.updated_at:
                return Match.SAME_CONTENT
        elif mine.updated_at < theirs.updated_at:
            return Match.OUTDATED
        return Match.CURRENT

    def attributes(self):
        """Return the attributes to store on the volume.

        Under 1000 bytes as JSON whatever the image is: ids, hashes and host
        are limited where they enter, and no name of the image is kept.
        """
        content = self.image.content
        return {ATTRIBUTE: {
            'schema': SCHEMA,
            'state': self.state.value,
            'image_id': self.image.id,
            'image_updated_at': self.image.updated_at.isoformat(),
            'image_size': self.image.size,
            'image_hash': ('%s:%s' % (content.algorithm, content.digest)
                           if content else None),
            'virtual_size': self.image.virtual_size,
            'signature_verified': self.signature_verified,
            'fill_id': self.fill_id,
            'filled_by': self.filled_by,
            'filled_at': _write_time(self.filled_at),
            'last_used': _write_time(self.last_used),
            'lock_domain': self.lock_domain,
        }}


def name_for(image_id):
    """Return the volume name of an image's templates."""
    return NAME_PREFIX + image_id


def host_mark(host):
    """Return a host's name as templates tell who filled them.

    A host name is ASCII; whatever else was configured is made so, and cut
    to what the attributes have room for.
    """
    return ascii(host).strip('\'"')[:64]


def new(image, fill_id, filled_by, signature_verified, now,
        lock_domain=None):
    """Return a template about to be filled; it has no volume yet.

    :param now: an aware datetime, as in the functions that follow
    """
    return Template(
        volume_id=0, size=0, active=False, read_only=False,
        state=State.FILLING,
        image=image, fill_id=fill_id, filled_by=host_mark(filled_by),
        filled_at=_in_seconds(now), last_used=_in_seconds(now),
        signature_verified=signature_verified, lock_domain=lock_domain)


def published(template, now):
    """Return the same template as it is once ready."""
    return used(dataclasses.replace(template, state=State.READY), now)


def refreshed(template, image, now):
    """Return the same template with the image's newer record."""
    updated = dataclasses.replace(template.image,
                                  updated_at=image.updated_at)
    return used(dataclasses.replace(template, image=updated), now)


def used(template, now):
    """Return the same template with the record of a use."""
    return dataclasses.replace(template, last_used=_in_seconds(now))


def choose(found, *, signature_wanted):
    """Return the template of an image that makes the others needless.

    The newest, and of several the one with the lowest volumeID, so that
    all hosts agree; None when there is none to clone.
    """
    return max((each for each in found if each.serves(signature_wanted)),
               key=lambda each: (each.image.updated_at, -each.volume_id),
               default=None)


def needless(found, chosen):
    """Return the ready templates that the chosen one makes needless.

    Never a newer one, that another host has just made.
    """
    return [each for each in found
            if each.ready and each.volume_id != chosen.volume_id and
            each.image.updated_at <= chosen.image.updated_at]


def image_id_of(volume):
    """Return the id of the image that a volume's name tells, or None."""
    if not volume.name.startswith(NAME_PREFIX):
        return None
    return volume.name[len(NAME_PREFIX):]


def describe_stranger(volume):
    """Tell what a volume is that :func:`from_volume` does not recognise."""
    data = volume.attributes.get(ATTRIBUTE)
    if isinstance(data, dict) and data.get('schema') != SCHEMA:
        return 'a template of another version of this driver'
    if isinstance(volume.attributes.get('image_info'), dict):
        # As the driver that came with Cinder from Kilo to Stein wrote it.
        return 'a template that an old driver, of Kilo to Stein, has left'
    return 'not made by this driver'


def from_volume(volume, image_id):
    """Recognise a template.

    :param volume: a :class:`wire.Volume`
    :param image_id: the image whose templates are looked for
    :returns: a :class:`Template`, or None for a volume that is not one of
        ours: made by hand, by an earlier driver or by a later version
    """
    data = volume.attributes.get(ATTRIBUTE)
    if not isinstance(data, dict) or data.get('schema') != SCHEMA or (
            isinstance(data.get('schema'), bool)):
        return None
    if data.get('image_id') != image_id or not isinstance(
            data.get('fill_id'), str):
        return None
    try:
        state = State(data.get('state'))
        image = _read_image(data)
    except (ValueError, TypeError):
        return None
    verified = data.get('signature_verified')
    lock_domain = data.get('lock_domain')
    return Template(
        volume_id=volume.id, size=volume.size, active=volume.active,
        read_only=volume.access == 'readOnly', state=state, image=image,
        fill_id=data['fill_id'], filled_by=str(data.get('filled_by')),
        filled_at=images.read_time(data.get('filled_at')),
        last_used=images.read_time(data.get('last_used')),
        signature_verified=verified if isinstance(verified, bool) else None,
        lock_domain=lock_domain if isinstance(lock_domain, str) else None)


def _read_image(data):
    metadata = {'id': data.get('image_id'),
                'updated_at': data.get('image_updated_at'),
                'virtual_size': data.get('virtual_size'),
                'size': data.get('image_size')}
    if isinstance(data.get('image_hash'), str):
        algorithm, _colon, digest = data['image_hash'].partition(':')
        metadata.update(os_hash_algo=algorithm, os_hash_value=digest)
    return images.from_metadata(metadata)


def _in_seconds(time):
    return time.replace(microsecond=0)


def _write_time(time):
    return time.isoformat() if time else None
