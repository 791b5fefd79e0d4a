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

"""Decides whether an image and a volume may use a template.

Decides from what the request carries; does no I/O. To refuse for another
reason, add a :class:`Reason` and the condition for it in :func:`check`.
"""

import dataclasses
import enum
import re
from typing import Any
from typing import Optional

from cinder.volume.drivers.solidfire_template_cache.image import metadata


class Reason(enum.Enum):
    """Why a request is refused; the log shows the name and the value."""

    VOLUME_ENCRYPTED = 'the volume is encrypted'
    IMAGE_ENCRYPTED = 'the image is encrypted'
    IMAGE_NOT_ACTIVE = 'the image is not active'
    IMAGE_NOT_SHARED = ('the image is neither public nor community, and not '
                        'owned by the project of the volume')
    IMAGE_ID_UNUSABLE = 'the image id cannot be part of a volume name'
    VIRTUAL_SIZE_UNKNOWN = ('the virtual_size of the image is not a positive '
                            'whole number of bytes')
    UPDATED_AT_UNKNOWN = 'the updated_at of the image is not a time'
    IMAGE_PACKED = ('the image is compressed or packed in its container, so '
                    'that its size is not that of its data')
    CONVERSION_DISABLED = ('image_conversion_disable is set and the image is '
                           'not raw')
    IMAGE_TOO_LARGE = 'the image does not fit the volume'


@dataclasses.dataclass(frozen=True)
class Verdict(object):
    """Exactly one of the two is set."""

    image: Optional[metadata.Image] = None
    reason: Optional[Reason] = None

    @property
    def explanation(self) -> str:
        """Why the request is refused, in words; empty if it is not."""
        return self.reason.value if self.reason else ''


# Element volume names have at most 64 characters; the prefix of a template
# takes 13 of them.
_USABLE_ID = re.compile(r'[A-Za-z0-9-]{1,51}\Z')

# Members and properties that mark encrypted data: Cinder's own, and the
# Image service's common ones for encrypted images.
_ENCRYPTION_MARKS = ('cinder_encryption_key_id', 'os_encrypt_format',
                     'os_encrypt_key_id')


def check(image_meta: dict[str, Any], project_id: Optional[str],
          encryption_key_id: Optional[str], volume_bytes: int,
          conversion_disabled: bool) -> Verdict:
    """Decide on one request.

    :param image_meta: the image's metadata, as Cinder passes it
    :param project_id: the project that owns the volume
    :param encryption_key_id: the volume's encryption key, or None
    :param volume_bytes: the requested size of the volume, in bytes
    :param conversion_disabled: Cinder's ``image_conversion_disable``
    """
    if encryption_key_id:
        return Verdict(reason=Reason.VOLUME_ENCRYPTED)
    reason = (_refuse_image(image_meta, project_id) or
              _refuse_format(image_meta, conversion_disabled))
    if reason:
        return Verdict(reason=reason)
    image = metadata.from_metadata(image_meta)
    if image.virtual_size > volume_bytes:
        return Verdict(reason=Reason.IMAGE_TOO_LARGE)
    return Verdict(image=image)


def _refuse_image(image_meta: dict[str, Any],
                  project_id: Optional[str]) -> Optional[Reason]:
    if _is_encrypted(image_meta):
        return Reason.IMAGE_ENCRYPTED
    if image_meta.get('status') != 'active':
        return Reason.IMAGE_NOT_ACTIVE
    if not _is_shared(image_meta, project_id):
        return Reason.IMAGE_NOT_SHARED
    image_id = image_meta.get('id')
    if not isinstance(image_id, str) or not _USABLE_ID.match(image_id):
        return Reason.IMAGE_ID_UNUSABLE
    if metadata.read_virtual_size(image_meta) is None:
        return Reason.VIRTUAL_SIZE_UNKNOWN
    if metadata.read_time(image_meta.get('updated_at')) is None:
        return Reason.UPDATED_AT_UNKNOWN
    return None


def _refuse_format(image_meta: dict[str, Any],
                   conversion_disabled: bool) -> Optional[Reason]:
    container = image_meta.get('container_format')
    disk = image_meta.get('disk_format')
    if container == 'compressed' or (container, disk) == ('ovf', 'vhd'):
        return Reason.IMAGE_PACKED
    if conversion_disabled and disk != 'raw':
        return Reason.CONVERSION_DISABLED
    return None


def _is_encrypted(image_meta: dict[str, Any]) -> bool:
    properties = metadata.properties_of(image_meta)
    return any(image_meta.get(mark) or properties.get(mark)
               for mark in _ENCRYPTION_MARKS)


def _is_shared(image_meta: dict[str, Any],
               project_id: Optional[str]) -> bool:
    """Return whether the project may use data cached from the image.

    Membership of a shared image does not count: its owner can revoke it,
    and the driver would not notice.
    """
    visibility = image_meta.get('visibility')
    if visibility in ('public', 'community'):
        return True
    if visibility is None and image_meta.get('is_public') is True:
        return True
    owner = image_meta.get('owner')
    return isinstance(owner, str) and bool(owner) and owner == project_id
