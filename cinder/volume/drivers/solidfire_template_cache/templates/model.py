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

"""A template volume: the value, its states, its record on the volume.

The whole state of a template is one member of its volume's attributes, so
that every host sees the same. This module also decides which of several
templates is used. It does no I/O.
"""

import dataclasses
import datetime
import enum
from typing import Any
from typing import Iterable
from typing import Optional

from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata

NAME_PREFIX = 'OpenStackIMG-'
"""Templates are named ``OpenStackIMG-<image id>``."""

# Element limits the size of the attributes in bytes, and was seen to limit
# the number of top-level members too, so the record is a single member.
ATTRIBUTE = 'cinder_image_template'

SCHEMA = 1
"""Version of the record. Others are neither used nor removed."""

_MAX_HOST_LENGTH = 64


class State(enum.Enum):
    FILLING = 'filling'
    READY = 'ready'


class Match(enum.Enum):
    """How a ready template compares with an image as a request knows it."""

    CURRENT = 'holds the data of the request'
    SAME_CONTENT = 'holds the data of the request, with an older record'
    OUTDATED = 'holds older data'
    NEWER = 'holds newer data than the request knows'


@dataclasses.dataclass(frozen=True)
class Template(object):
    """What is known of one template volume.

    :ivar volume_id: the SolidFire volumeID
    :ivar size: bytes of the volume
    :ivar active: False once it was deleted, until it is purged
    :ivar read_only: whether the cluster refuses writes to it
    :ivar image: the version of the image that it holds; its virtual size
        is the one found in the data
    :ivar fill_id: unique to one attempt to fill, which so recognises its own
        volume
    :ivar filled_by: the host that filled it, as :func:`host_mark` has it
    :ivar filled_at: start of the fill, by that host's clock; None when
        unreadable
    :ivar last_used: the last use that was recorded; None when unreadable
    :ivar signature_verified: None when the signature was not checked
    :ivar lock_domain: scope of the lock under which it was filled, see
        :func:`locks.lock_scope_id`
    :ivar replica_maker: the process that cloned it from another template;
        None for a template that was filled
    """

    volume_id: int
    size: int
    active: bool
    read_only: bool
    state: State
    image: metadata.Image
    fill_id: str
    filled_by: str
    filled_at: Optional[datetime.datetime]
    last_used: Optional[datetime.datetime]
    signature_verified: Optional[bool]
    lock_domain: Optional[str] = None
    replica_maker: Optional[str] = None

    @property
    def ready(self) -> bool:
        """Whether it was filled and published, and exists."""
        return self.active and self.state is State.READY

    @property
    def usable(self) -> bool:
        """Whether it may be cloned at all."""
        return (self.ready and self.read_only and
                self.image.virtual_size <= self.size)

    def serves(self, signature_wanted: bool) -> bool:
        """Return whether it may be cloned under the current configuration.

        A template that was filled without a check of the signature cannot
        replace a download that checks it.
        """
        return self.usable and (not signature_wanted or
                                self.signature_verified is not None)

    def fits(self, volume_bytes: int) -> bool:
        """Return whether a volume of that size can hold the template."""
        return self.image.virtual_size <= self.size <= volume_bytes

    def compare(self, image: metadata.Image) -> Match:
        """Compare with the image as a request knows it.

        The Image service never changes the data under a content hash, so
        that equal hashes decide, whichever record is the newer one. Times
        decide only where the content differs or is not known.
        """
        recorded, current = self.image.updated_at, image.updated_at
        same = _same_content(self.image, image)
        if same:
            return (Match.SAME_CONTENT if recorded < current
                    else Match.CURRENT)
        if recorded > current:
            return Match.NEWER
        if same is False or recorded < current:
            return Match.OUTDATED
        return Match.CURRENT

    def attributes(self) -> dict[str, Any]:
        """Return the attributes to store on the volume.

        Less than 1000 bytes as JSON for any image: ids, hashes and host
        names are limited where they are read, and the image's name is not
        part of them.
        """
        content = self.image.content
        record = {
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
            'filled_at': _format_time(self.filled_at),
            'last_used': _format_time(self.last_used),
            'lock_domain': self.lock_domain,
        }
        if self.replica_maker is not None:
            record['replica_maker'] = self.replica_maker
        return {ATTRIBUTE: record}


# Which template is used


def choose(found: Iterable[Template], image: metadata.Image,
           signature_wanted: bool) -> list[Template]:
    """Return the templates that a request may be cloned from.

    :param found: templates of one image
    :param image: the image as the request knows it
    :param signature_wanted: whether its signature must have been checked
    :returns: those that hold the data of the request, in an order on which
        all hosts agree
    :raises exceptions.StaleRequest: the image has newer data by now
    """
    newer = None
    matching = []
    for template in found:
        if not template.serves(signature_wanted):
            continue
        match = template.compare(image)
        if match in (Match.CURRENT, Match.SAME_CONTENT):
            matching.append(template)
        elif match is Match.NEWER:
            newer = template
    if newer and not matching:
        raise exceptions.StaleRequest(
            known=image.updated_at.isoformat(),
            template=newer.image.updated_at.isoformat())
    matching.sort(key=_preference, reverse=True)
    # Whether a volume can hold it is checked for the first one.
    return [each for each in matching if each.size == matching[0].size]


def newest(found: Iterable[Template],
           signature_wanted: bool) -> Optional[Template]:
    """Return the template of an image that supersedes the others.

    :returns: None when there is none that can be cloned
    """
    serving = [each for each in found if each.serves(signature_wanted)]
    if not serving:
        return None
    latest = max(each.image.updated_at for each in serving)
    candidates = [each for each in serving
                  if each.image.updated_at == latest]
    # If they differ in content, a request that the first one did not match
    # has filled the last one.
    last = max(candidates, key=lambda each: each.volume_id)
    return max((each for each in candidates
                if _same_content(each.image, last.image) is not False),
               key=_preference)


def superseded(found: Iterable[Template],
               keeper: Template) -> list[Template]:
    """Return the ready templates that another one of the image supersedes.

    Never a newer one, which another host has just filled, nor a replica.
    """
    return [each for each in found
            if each.ready and each.volume_id != keeper.volume_id and
            each.image.updated_at <= keeper.image.updated_at and
            not _is_replica_of(each, keeper)]


def replicas(found: Iterable[Template], keeper: Template) -> list[Template]:
    """Return the replicas of a template, the one made last first."""
    return sorted((each for each in found
                   if each.ready and each.volume_id != keeper.volume_id and
                   _is_replica_of(each, keeper)),
                  key=lambda each: -each.volume_id)


def spare(found: list[Template]) -> list[Template]:
    """Return the replicas of an image without which it can be cloned."""
    keeper = newest(found, signature_wanted=False)
    return replicas(found, keeper) if keeper else []


def _is_replica_of(template: Template, keeper: Template) -> bool:
    """Return whether a template is a replica with the data of another."""
    if template.replica_maker is None or not template.usable:
        return False
    same = _same_content(template.image, keeper.image)
    return same is True or template.image == keeper.image


def _same_content(one: metadata.Image,
                  other: metadata.Image) -> Optional[bool]:
    """Return whether images have the same data; None when it is unknown."""
    if one.content is None or other.content is None or (
            one.content.algorithm != other.content.algorithm):
        return None
    return one.content == other.content


def _preference(template: Template) -> tuple[datetime.datetime, int]:
    """Order templates so that all hosts agree: newest, then lowest id."""
    return template.image.updated_at, -template.volume_id


# The states of a template


def new(image: metadata.Image, fill_id: str, filled_by: str,
        signature_verified: Optional[bool], now: datetime.datetime,
        lock_domain: Optional[str] = None) -> Template:
    """Return a template that is about to be filled; it has no volume yet.

    :param now: an aware datetime, as in the functions that follow
    """
    return Template(
        volume_id=0, size=0, active=False, read_only=False,
        state=State.FILLING,
        image=image, fill_id=fill_id, filled_by=host_mark(filled_by),
        filled_at=_in_seconds(now), last_used=_in_seconds(now),
        signature_verified=signature_verified, lock_domain=lock_domain)


def published(template: Template, now: datetime.datetime) -> Template:
    """Return the same template as it is once ready."""
    return used(dataclasses.replace(template, state=State.READY), now)


def refreshed(template: Template, image: metadata.Image,
              now: datetime.datetime) -> Template:
    """Return the same template with the image's newer record."""
    updated = dataclasses.replace(template.image,
                                  updated_at=image.updated_at)
    return used(dataclasses.replace(template, image=updated), now)


def used(template: Template, now: datetime.datetime) -> Template:
    """Return the same template with the record of a use."""
    return dataclasses.replace(template, last_used=_in_seconds(now))


def replica(template: Template, fill_id: str, host: str, maker: str,
            now: datetime.datetime) -> Template:
    """Return a replica of a template that is about to be cloned from it.

    It is ready from the beginning: the cluster lists a clone when it is
    whole.

    :param maker: identifies the process
    """
    return dataclasses.replace(
        used(template, now), fill_id=fill_id, filled_by=host_mark(host),
        filled_at=_in_seconds(now), replica_maker=maker)


# Names and records on the cluster


def name_for(image_id: str) -> str:
    """Return the volume name of an image's templates."""
    return NAME_PREFIX + image_id


def host_mark(host: str) -> str:
    """Return a host's name as it is recorded on templates.

    Host names are ASCII. Any other name is escaped, and cut to what the
    attributes have room for.
    """
    return ascii(host).strip('\'"')[:_MAX_HOST_LENGTH]


def image_id_of(volume: models.Volume) -> Optional[str]:
    """Return the image id in the name of a volume, or None."""
    if not volume.name.startswith(NAME_PREFIX):
        return None
    return volume.name[len(NAME_PREFIX):]


def describe_foreign(volume: models.Volume) -> str:
    """Describe a volume that :func:`from_volume` does not recognise."""
    data = volume.attributes.get(ATTRIBUTE)
    if isinstance(data, dict) and data.get('schema') != SCHEMA:
        return 'a template of another version of this driver'
    if isinstance(volume.attributes.get('image_info'), dict):
        # As the driver wrote it that was part of Cinder from Kilo to Stein.
        return 'a template of the driver of Kilo to Stein'
    return 'a volume that this driver did not create'


def from_volume(volume: models.Volume,
                image_id: Optional[str]) -> Optional[Template]:
    """Recognise a template.

    :param volume: a volume of the template account
    :param image_id: the image whose templates are wanted
    :returns: None for a volume that is not a template of this version:
        created by hand, by an earlier driver or by a later version
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
    maker = data.get('replica_maker')
    return Template(
        volume_id=volume.id, size=volume.size, active=volume.active,
        read_only=volume.access == 'readOnly', state=state, image=image,
        fill_id=data['fill_id'], filled_by=str(data.get('filled_by')),
        filled_at=metadata.read_time(data.get('filled_at')),
        last_used=metadata.read_time(data.get('last_used')),
        signature_verified=verified if isinstance(verified, bool) else None,
        lock_domain=lock_domain if isinstance(lock_domain, str) else None,
        replica_maker=maker if isinstance(maker, str) else None)


def _read_image(data: dict[str, Any]) -> metadata.Image:
    members = {'id': data.get('image_id'),
               'updated_at': data.get('image_updated_at'),
               'virtual_size': data.get('virtual_size'),
               'size': data.get('image_size')}
    if isinstance(data.get('image_hash'), str):
        algorithm, _colon, digest = data['image_hash'].partition(':')
        members.update(os_hash_algo=algorithm, os_hash_value=digest)
    return metadata.from_metadata(members)


def _in_seconds(time: datetime.datetime) -> datetime.datetime:
    return time.replace(microsecond=0)


def _format_time(time: Optional[datetime.datetime]) -> Optional[str]:
    return time.isoformat() if time else None
