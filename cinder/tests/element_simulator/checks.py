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

"""Checks of values that several API methods take."""

import json
import re

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import limits

_MAX_ATTRIBUTES_BYTES = 1000


def name(cluster: cluster.Cluster, value: str, kind: str = 'volume',
         allow_underscore: bool = False) -> None:
    """Check the name of a volume, an account or a volume access group.

    :param kind: prefix of the limits of its length
    :raises: xInvalidAPIParameter
    """
    min_length = cluster.limit(f'{kind}NameLengthMin')
    max_length = cluster.limit(f'{kind}NameLengthMax')
    letters = 'A-Za-z0-9_-' if allow_underscore else 'A-Za-z0-9-'
    if not re.fullmatch(f'[{letters}]{{{min_length},{max_length}}}', value):
        raise errors.ApiError(
            'xInvalidAPIParameter',
            f'{value} is not a valid name. The name must only contain '
            f'digits, alphabetic characters or a -')


def size(cluster: cluster.Cluster, value: int) -> int:
    """Return the size of a volume in bytes, rounded up to a whole MiB.

    :param value: requested size in bytes
    :raises: xInvalidParameter when it is out of range
    """
    min_size = cluster.limit('volumeSizeMin')
    max_size = cluster.limit('volumeSizeMax')
    if not min_size <= value <= max_size:
        raise errors.ApiError(
            'xInvalidParameter',
            f'Volume size {value} is not within {min_size} and {max_size}')
    return -(-value // limits.MIB) * limits.MIB


def attributes(value: dict) -> dict:
    """Return a deep copy of the attributes.

    :raises: xInvalidParameter when they are too long as JSON
    """
    text = json.dumps(value, ensure_ascii=False, separators=(',', ':'))
    if len(text.encode('utf-8')) >= _MAX_ATTRIBUTES_BYTES:
        raise errors.ApiError(
            'xInvalidParameter',
            f'Attributes must be under {_MAX_ATTRIBUTES_BYTES} bytes')
    return json.loads(text)


def secret(cluster: cluster.Cluster, member: str, value: str) -> str:
    """Return a CHAP secret.

    :param member: name of the parameter; the value is not in the error
    :raises: xInvalidParameter when its length is out of range
    """
    min_length = cluster.limit('secretLengthMin')
    max_length = cluster.limit('secretLengthMax')
    if not min_length <= len(value) <= max_length:
        raise errors.ApiError(
            'xInvalidParameter',
            f'{member} must have {min_length} to {max_length} characters')
    return value


def qos(cluster: cluster.Cluster, given: dict, base: dict) -> dict:
    """Return ``base`` updated with the given IOPS.

    :raises: xInvalidParameter when they are out of range or order,
             xInvalidParameterType when they are not numbers
    """
    merged = {member: given.get(member, base[member])
              for member in limits.QOS}
    try:
        merged = {member: int(value) for member, value in merged.items()}
    except (TypeError, ValueError, OverflowError):
        raise errors.ApiError('xInvalidParameterType',
                              'QoS values must be whole numbers')
    for member, value in merged.items():
        limit = 'volume' + member[0].upper() + member[1:]
        min_value = cluster.limit(limit + 'Min')
        max_value = cluster.limit(limit + 'Max')
        if not min_value <= value <= max_value:
            raise errors.ApiError(
                'xInvalidParameter',
                f'{member} {value} is not within {min_value} and {max_value}')
    if not merged['minIOPS'] <= merged['maxIOPS'] <= merged['burstIOPS']:
        raise errors.ApiError('xInvalidParameter',
                              'QoS needs minIOPS <= maxIOPS <= burstIOPS')
    return merged
