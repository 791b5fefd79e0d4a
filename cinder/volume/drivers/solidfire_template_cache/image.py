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

"""What the cache needs to know of a Glance image, read with care.

Metadata comes from users and from several Image service versions, so each
value is checked here once and nothing behind this module sees raw metadata.
"""

import dataclasses
import datetime
import re
import typing

from oslo_utils import timeutils

_TOKEN = re.compile(r'[A-Za-z0-9_-]+\Z')


@dataclasses.dataclass(frozen=True)
class Content(object):
    """Identity of an image's data: equal values mean equal bytes."""

    algorithm: str
    digest: str
    size: int
    """Bytes of the stored image file."""


@dataclasses.dataclass(frozen=True)
class Image(object):
    """One version of an image."""

    id: str
    updated_at: datetime.datetime
    """Aware, in UTC."""
    virtual_size: int
    """Bytes, as declared by the Image service or the image's owner."""
    size: int
    """Bytes of the stored image file; 0 when the service does not say."""
    content: typing.Optional[Content]
    """None when the service knows no hash."""


def from_metadata(metadata):
    """Read an image's metadata.

    :param metadata: the dictionary that Cinder hands to ``clone_image``
    :returns: an :class:`Image`
    :raises ValueError: when a value that the cache cannot do without is
        missing or of the wrong kind; the text names it
    """
    image_id = metadata.get('id')
    if not isinstance(image_id, str) or not image_id:
        raise ValueError('the image has no id')
    updated_at = read_time(metadata.get('updated_at'))
    if updated_at is None:
        raise ValueError('updated_at is missing or not a time')
    virtual_size = read_virtual_size(metadata)
    if virtual_size is None:
        raise ValueError('virtual_size is not a positive number of bytes')
    return Image(id=image_id, updated_at=updated_at,
                 virtual_size=virtual_size,
                 size=read_count(metadata.get('size')) or 0,
                 content=_read_content(metadata))


def properties_of(metadata):
    """Return the custom properties as a dictionary, whatever was sent."""
    properties = metadata.get('properties')
    return properties if isinstance(properties, dict) else {}


def read_virtual_size(metadata):
    """Return the declared virtual size in bytes, or None.

    The service's own attribute comes first. The property of that name
    serves images whose size the service could not find out.
    """
    value = metadata.get('virtual_size')
    if value is None:
        value = properties_of(metadata).get('virtual_size')
    return read_count(value) or None


def read_count(value):
    """Return a whole number that is not negative, or None."""
    if isinstance(value, str):
        value = value.strip()
        # Longer ones are no size of anything, and costly to convert.
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            return None
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def read_time(value):
    """Return a time as an aware datetime in UTC, or None.

    :param value: a datetime or ISO 8601 text; without an offset it is UTC
    """
    try:
        if isinstance(value, str):
            value = timeutils.parse_isotime(value)
        if not isinstance(value, datetime.datetime):
            return None
        if value.tzinfo is None or value.utcoffset() is None:
            return value.replace(tzinfo=datetime.timezone.utc)
        return value.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        return None


def _read_content(metadata):
    """Return what identifies the data: the secure hash, else the MD5."""
    size = read_count(metadata.get('size'))
    if size is None:
        return None
    for algorithm, digest in (
            (metadata.get('os_hash_algo'), metadata.get('os_hash_value')),
            ('md5', metadata.get('checksum'))):
        if _is_token(algorithm, 32) and _is_token(digest, 256):
            return Content(algorithm, digest.lower(), size)
    return None


def _is_token(value, longest):
    # The limits keep a template's attributes within what Element stores.
    return (isinstance(value, str) and len(value) <= longest and
            _TOKEN.match(value) is not None)
