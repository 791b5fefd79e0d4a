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

"""Values read from replies of the Element API, checked as they are read.

Each class reads the object of that name in NetApp's API guide. ``read``
raises KeyError, TypeError or ValueError for a reply that does not have the
members the cache relies on.
"""

import dataclasses
import typing


# The errors name types, not values: a value may be a secret.


def _integer(value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError('%s instead of a whole number' % type(value).__name__)
    return value


def _positive(value):
    """Return an id or a size; Element's are 64 bits wide, with a sign."""
    if not 0 < _integer(value) < 2 ** 63:
        raise ValueError('%s is out of range' % value)
    return value


def _text(value):
    if not isinstance(value, str):
        raise TypeError('%s instead of text' % type(value).__name__)
    return value


def _filled(value):
    if not _text(value):
        raise ValueError('empty text')
    return value


def read_list(value):
    """Return a list, of whatever."""
    if not isinstance(value, list):
        raise TypeError('%s instead of a list' % type(value).__name__)
    return value


def read_count(value):
    """Return a whole number that is not negative."""
    if _integer(value) < 0:
        raise ValueError('%s instead of at least 0' % value)
    return value


def is_iops(value):
    """Tell whether a value is a number of operations per second."""
    return (isinstance(value, int) and not isinstance(value, bool) and
            0 < value < 2 ** 31)


def read_limit(value):
    """Return a limit, which is at least 1."""
    if _integer(value) < 1:
        raise ValueError('%s instead of at least 1' % value)
    return value


def _object(value):
    """Objects may be null where they are empty."""
    return value if isinstance(value, dict) else {}


@dataclasses.dataclass(frozen=True)
class Account(object):
    """A tenant of the cluster; its CHAP secrets stay out of any print."""

    id: int
    name: str
    volume_count: int
    target_secret: str = dataclasses.field(repr=False)
    initiator_secret: str = dataclasses.field(repr=False)

    @classmethod
    def read(cls, data):
        account_id = _positive(data['accountID'])
        volumes = data.get('volumes')
        return cls(
            id=account_id, name=_filled(data['username']),
            volume_count=len(volumes) if isinstance(volumes, list) else 0,
            target_secret=_filled(data['targetSecret']),
            initiator_secret=_filled(data['initiatorSecret']))

    def as_stock(self):
        """Return the account as the stock driver passes it around."""
        return {'accountID': self.id, 'username': self.name,
                'targetSecret': self.target_secret,
                'initiatorSecret': self.initiator_secret}


@dataclasses.dataclass(frozen=True)
class Volume(object):
    """A volume on the cluster; size in bytes."""

    id: int
    name: str
    account_id: int
    status: str
    access: str
    size: int
    iqn: str
    attributes: dict
    qos: dict

    @classmethod
    def read(cls, data):
        return cls(
            id=_positive(data['volumeID']), name=_text(data['name']),
            account_id=_positive(data['accountID']),
            status=_text(data['status']), access=_text(data['access']),
            size=_positive(data['totalSize']), iqn=_text(data['iqn']),
            attributes=_object(data.get('attributes')),
            qos=_object(data.get('qos')))

    @property
    def tells_its_iqn(self):
        """Whether the iqn is of this volume: it ends in the volumeID."""
        return self.iqn.endswith('.%d' % self.id)

    @property
    def active(self):
        return self.status == 'active'

    def as_stock(self):
        """Return what the stock driver needs to tell a connection."""
        return {'volumeID': self.id, 'iqn': self.iqn}


@dataclasses.dataclass(frozen=True)
class StartedClone(object):
    """The reply to CloneVolume: the new volume is there in name only."""

    volume: Volume
    handle: int
    clone_id: typing.Optional[int]

    @classmethod
    def read(cls, data):
        clone_id = data.get('cloneID')
        # The id beside the volume object is the one to trust: builds were
        # seen that give the source's elsewhere (solidfire-csi, sfauto).
        volume = Volume.read(dict(data['volume'],
                                  volumeID=data['volumeID']))
        return cls(volume=volume, handle=_integer(data['asyncHandle']),
                   clone_id=clone_id if isinstance(clone_id, int) else None)


@dataclasses.dataclass(frozen=True)
class Job(object):
    """State of asynchronous work; ``error`` is None unless it failed."""

    done: bool
    error: typing.Optional[str]

    @classmethod
    def read(cls, data):
        done = _text(data['status']) == 'complete'
        error = None
        if done and data.get('error') is not None:
            failure = _object(data['error'])
            error = '%s: %s' % (failure.get('name', 'unnamed'),
                                failure.get('message', 'no message'))
        return cls(done=done, error=error)
