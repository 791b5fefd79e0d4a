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

"""Rules for names, sizes, attributes and QoS."""

import json
import re

from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import limits as limits_module

ATTRIBUTES_BYTES = 1000


def name(cluster, value, kind='volume', underscore=False):
    """:raises: xInvalidAPIParameter for a name Element does not take"""
    least = cluster.limit(f'{kind}NameLengthMin')
    most = cluster.limit(f'{kind}NameLengthMax')
    letters = 'A-Za-z0-9_-' if underscore else 'A-Za-z0-9-'
    if not re.fullmatch(f'[{letters}]{{{least},{most}}}', value):
        raise errors.ApiError(
            'xInvalidAPIParameter',
            f'{value} is not a valid name. The name must only contain '
            f'digits, alphabetic characters or a -')


def size(cluster, value):
    """Return the size in bytes, rounded up to a whole MiB.

    :raises: xInvalidParameter out of range
    """
    least = cluster.limit('volumeSizeMin')
    most = cluster.limit('volumeSizeMax')
    if not least <= value <= most:
        raise errors.ApiError(
            'xInvalidParameter',
            f'Volume size {value} is not within {least} and {most}')
    return -(-value // limits_module.MIB) * limits_module.MIB


def attributes(value):
    """Return a copy of the attributes.

    :raises: xInvalidParameter when they are too long as JSON
    """
    text = json.dumps(value, ensure_ascii=False, separators=(',', ':'))
    if len(text.encode('utf-8')) >= ATTRIBUTES_BYTES:
        raise errors.ApiError(
            'xInvalidParameter',
            f'Attributes must be under {ATTRIBUTES_BYTES} bytes')
    return json.loads(text)


def secret(cluster, member, value):
    """:raises: xInvalidParameter for a CHAP secret of a wrong length"""
    least = cluster.limit('secretLengthMin')
    most = cluster.limit('secretLengthMax')
    if not least <= len(value) <= most:
        raise errors.ApiError(
            'xInvalidParameter',
            f'{member} must have {least} to {most} characters')
    return value


def qos(cluster, given, base):
    """Return `base` with the given IOPS put in.

    :raises: xInvalidParameter out of range or order
    """
    merged = {member: given.get(member, base[member])
              for member in limits_module.QOS}
    try:
        merged = {member: int(value) for member, value in merged.items()}
    except (TypeError, ValueError, OverflowError):
        raise errors.ApiError('xInvalidParameterType',
                              'QoS values must be whole numbers')
    for member, value in merged.items():
        limit = 'volume' + member[0].upper() + member[1:]
        least = cluster.limit(limit + 'Min')
        most = cluster.limit(limit + 'Max')
        if not least <= value <= most:
            raise errors.ApiError(
                'xInvalidParameter',
                f'{member} {value} is not within {least} and {most}')
    if not merged['minIOPS'] <= merged['maxIOPS'] <= merged['burstIOPS']:
        raise errors.ApiError('xInvalidParameter',
                              'QoS needs minIOPS <= maxIOPS <= burstIOPS')
    return merged
