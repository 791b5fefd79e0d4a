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

"""May this image and volume use a template, and if not, why not?

Decides from what the request carries; does no I/O.
"""

import dataclasses
import enum
import re
import typing

from cinder.volume.drivers.solidfire_template_cache import image as images


class Reason(enum.Enum):
    """Why a request is refused; the value is what the log shows."""

    VOLUME_ENCRYPTED = 'the volume is encrypted'
    IMAGE_ENCRYPTED = 'the image is encrypted'
    IMAGE_NOT_ACTIVE = 'the image is not active'
    IMAGE_NOT_SHARED = ('the image is neither public nor community, and not '
                        'owned by the project of the volume')
    IMAGE_ID_UNUSABLE = 'the image id cannot be part of a volume name'
    VIRTUAL_SIZE_UNKNOWN = ('the image does not tell its virtual_size as a '
                            'positive whole number of bytes')
    UPDATED_AT_UNKNOWN = 'the image does not tell when it was updated'
    IMAGE_PACKED = ('the image is compressed or packed in its container, so '
                    'that its size is not that of its data')
    CONVERSION_DISABLED = ('image_conversion_disable is set and the image is '
                           'not raw')
    IMAGE_TOO_LARGE = 'the image does not fit the volume'


@dataclasses.dataclass(frozen=True)
class Verdict(object):
    """Exactly one of the two is set."""

    image: typing.Optional[images.Image] = None
    reason: typing.Optional[Reason] = None


# Element names have at most 64 characters; the prefix takes 13 of them.
_USABLE_ID = re.compile(r'[A-Za-z0-9-]{1,51}\Z')

# Members that mark encrypted data: Cinder's own, and the Image service's
# common ones for encrypted images.
_ENCRYPTION_MARKS = ('cinder_encryption_key_id', 'os_encrypt_format',
                     'os_encrypt_key_id')


def check(metadata, project_id, encryption_key_id, volume_bytes,
          conversion_disabled):
    """Decide on one request.

    :param metadata: the image's metadata, as Cinder passes it
    :param project_id: the project that owns the volume
    :param encryption_key_id: the volume's encryption key, or None
    :param volume_bytes: the size of the volume asked for, in bytes
    :param conversion_disabled: Cinder's ``image_conversion_disable``
    :returns: a :class:`Verdict`
    """
    if encryption_key_id:
        return Verdict(reason=Reason.VOLUME_ENCRYPTED)
    reason = (_refuse_image(metadata, project_id) or
              _refuse_format(metadata, conversion_disabled))
    if reason:
        return Verdict(reason=reason)
    image = images.from_metadata(metadata)
    if image.virtual_size > volume_bytes:
        return Verdict(reason=Reason.IMAGE_TOO_LARGE)
    return Verdict(image=image)


def _refuse_image(metadata, project_id):
    if _is_encrypted(metadata):
        return Reason.IMAGE_ENCRYPTED
    if metadata.get('status') != 'active':
        return Reason.IMAGE_NOT_ACTIVE
    if not _is_shared(metadata, project_id):
        return Reason.IMAGE_NOT_SHARED
    image_id = metadata.get('id')
    if not isinstance(image_id, str) or not _USABLE_ID.match(image_id):
        return Reason.IMAGE_ID_UNUSABLE
    if images.read_virtual_size(metadata) is None:
        return Reason.VIRTUAL_SIZE_UNKNOWN
    if images.read_time(metadata.get('updated_at')) is None:
        return Reason.UPDATED_AT_UNKNOWN
    return None


def _refuse_format(metadata, conversion_disabled):
    container = metadata.get('container_format')
    disk = metadata.get('disk_format')
    if container == 'compressed' or (container, disk) == ('ovf', 'vhd'):
        return Reason.IMAGE_PACKED
    if conversion_disabled and disk != 'raw':
        return Reason.CONVERSION_DISABLED
    return None


def _is_encrypted(metadata):
    properties = images.properties_of(metadata)
    return any(metadata.get(mark) or properties.get(mark)
               for mark in _ENCRYPTION_MARKS)


def _is_shared(metadata, project_id):
    """Tell whether the project may use data cached from the image.

    A member of a shared image may read it today, but not once its owner
    takes that back; a template would not notice, so members are left out.
    """
    visibility = metadata.get('visibility')
    if visibility in ('public', 'community'):
        return True
    if visibility is None and metadata.get('is_public') is True:
        return True
    owner = metadata.get('owner')
    return isinstance(owner, str) and bool(owner) and owner == project_id
