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

"""What the cache needs to know of a Glance image.

Image metadata is user input and differs between versions of the Image
service. Each value is validated here once; no other module reads the raw
metadata of an image for its version, size or content.
"""

import dataclasses
import datetime
import re
from typing import Any
from typing import Optional

from oslo_utils import timeutils

_TOKEN = re.compile(r'[A-Za-z0-9_-]+\Z')


@dataclasses.dataclass(frozen=True)
class Content(object):
    """Identity of an image's data: equal values mean equal bytes.

    Glance never changes the data of an active image under a hash.
    """

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
    """Bytes, as declared by the Image service or the owner of the image."""
    size: int
    """Bytes of the stored image file; 0 when the service does not say."""
    content: Optional[Content]
    """None when the service knows no hash."""


def from_metadata(metadata: dict[str, Any]) -> Image:
    """Return the version of an image that its metadata describes.

    :param metadata: the dictionary that Cinder passes to ``clone_image``
    :raises ValueError: when a value that the cache depends on is missing or
        invalid; the text names it
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


def properties_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the custom properties; an empty dictionary if malformed."""
    properties = metadata.get('properties')
    return properties if isinstance(properties, dict) else {}


def read_virtual_size(metadata: dict[str, Any]) -> Optional[int]:
    """Return the declared virtual size in bytes, or None.

    The attribute of the Image service takes precedence. The custom property
    of the same name serves images whose size the service cannot determine.
    """
    value = metadata.get('virtual_size')
    if value is None:
        value = properties_of(metadata).get('virtual_size')
    return read_count(value) or None


def read_count(value: Any) -> Optional[int]:
    """Return a non-negative whole number, or None for anything else."""
    if isinstance(value, str):
        value = value.strip()
        # More digits are no valid size and are expensive to convert.
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            return None
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def read_time(value: Any) -> Optional[datetime.datetime]:
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


def _read_content(metadata: dict[str, Any]) -> Optional[Content]:
    """Return what identifies the data: the secure hash, else the MD5."""
    size = read_count(metadata.get('size'))
    if size is None:
        return None
    for algorithm, digest in (
            (metadata.get('os_hash_algo'), metadata.get('os_hash_value')),
            ('md5', metadata.get('checksum'))):
        algorithm = _read_token(algorithm, 32)
        digest = _read_token(digest, 256)
        if algorithm and digest:
            return Content(algorithm, digest.lower(), size)
    return None


def _read_token(value: Any, max_length: int) -> Optional[str]:
    # The limits keep the attributes of a template below the 1000 bytes that
    # Element stores.
    if (isinstance(value, str) and len(value) <= max_length and
            _TOKEN.match(value)):
        return value
    return None
