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

"""Values of the Element API, checked when they are read from a reply.

Each class is the object of that name in NetApp's Element software API guide,
release 12, unless its docstring names another source. ``read`` raises
KeyError, TypeError or ValueError for a reply that lacks a member on which
the cache relies.
"""

import dataclasses
from typing import Any
from typing import Dict
from typing import Hashable
from typing import List
from typing import Optional

# The errors below name types and no values: a value may be a secret.


def _read_integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError('%s instead of an integer' % type(value).__name__)
    return value


def _read_positive(value: Any) -> int:
    """Return an id or a size; Element's are signed 64-bit integers."""
    if not 0 < _read_integer(value) < 2 ** 63:
        raise ValueError('%s is out of range' % value)
    return value


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError('%s instead of a string' % type(value).__name__)
    return value


def _read_nonempty(value: Any) -> str:
    if not _read_text(value):
        raise ValueError('empty string')
    return value


def _read_object(value: Any) -> Dict[str, Any]:
    """Return an object; the API may give null instead of an empty one."""
    return value if isinstance(value, dict) else {}


def read_list(value: Any) -> List[Any]:
    """Return a list, whatever its items are."""
    if not isinstance(value, list):
        raise TypeError('%s instead of a list' % type(value).__name__)
    return value


def read_count(value: Any) -> int:
    """Return an integer of at least 0."""
    if _read_integer(value) < 0:
        raise ValueError('%s instead of at least 0' % value)
    return value


def read_limit(value: Any) -> int:
    """Return an integer of at least 1."""
    if _read_integer(value) < 1:
        raise ValueError('%s instead of at least 1' % value)
    return value


def is_iops(value: Any) -> bool:
    """Return whether a value is a number of I/O operations per second."""
    return (isinstance(value, int) and not isinstance(value, bool) and
            0 < value < 2 ** 31)


@dataclasses.dataclass(frozen=True)
class Account(object):
    """A tenant of the cluster; ``repr`` leaves its CHAP secrets out."""

    id: int
    name: str
    volume_count: int
    """Number of its volumes, deleted ones included until their purge."""
    target_secret: str = dataclasses.field(repr=False)
    initiator_secret: str = dataclasses.field(repr=False)

    @classmethod
    def read(cls, data: Dict[str, Any]) -> 'Account':
        account_id = _read_positive(data['accountID'])
        volumes = data.get('volumes')
        return cls(
            id=account_id, name=_read_nonempty(data['username']),
            volume_count=len(volumes) if isinstance(volumes, list) else 0,
            target_secret=_read_nonempty(data['targetSecret']),
            initiator_secret=_read_nonempty(data['initiatorSecret']))

    def to_stock(self) -> Dict[str, Any]:
        """Return the account as the stock driver passes it around."""
        return {'accountID': self.id, 'username': self.name,
                'targetSecret': self.target_secret,
                'initiatorSecret': self.initiator_secret}


@dataclasses.dataclass(frozen=True)
class Volume(object):
    """A volume of the cluster."""

    id: int
    name: str
    """Not unique, and kept by a deleted volume until it is purged."""
    account_id: int
    status: str
    access: str
    size: int
    """Bytes."""
    iqn: str
    attributes: Dict[str, Any]
    qos: Dict[str, Any]

    @classmethod
    def read(cls, data: Dict[str, Any]) -> 'Volume':
        return cls(
            id=_read_positive(data['volumeID']),
            name=_read_text(data['name']),
            account_id=_read_positive(data['accountID']),
            status=_read_text(data['status']),
            access=_read_text(data['access']),
            size=_read_positive(data['totalSize']),
            iqn=_read_text(data['iqn']),
            attributes=_read_object(data.get('attributes')),
            qos=_read_object(data.get('qos')))

    @property
    def iqn_matches_id(self) -> bool:
        """Whether the iqn is of this volume: an iqn ends in the volumeID."""
        return self.iqn.endswith('.%d' % self.id)

    @property
    def active(self) -> bool:
        """Whether it is whole and not deleted."""
        return self.status == 'active'

    def to_stock(self) -> Dict[str, Any]:
        """Return what the stock driver needs to describe a connection."""
        return {'volumeID': self.id, 'iqn': self.iqn}


@dataclasses.dataclass(frozen=True)
class StartedClone(object):
    """The reply to CloneVolume: the volume is listed when its job is done.

    The ``volumeID`` beside the volume object is the one that counts: some
    builds give the source's id inside of the object (solidfire-csi, sfauto).
    """

    volume: Volume
    handle: int
    """Of the job, for GetAsyncResult."""
    clone_id: Optional[int]
    """For CancelClone; None when the cluster did not give one."""

    @classmethod
    def read(cls, data: Dict[str, Any]) -> 'StartedClone':
        clone_id = data.get('cloneID')
        volume = Volume.read(dict(data['volume'],
                                  volumeID=data['volumeID']))
        return cls(volume=volume, handle=_read_integer(data['asyncHandle']),
                   clone_id=clone_id if isinstance(clone_id, int) else None)


@dataclasses.dataclass(frozen=True)
class RunningClone(object):
    """A clone that runs on the cluster (ListSyncJobs), of any client."""

    source_id: int
    volume_id: int
    """Of the volume that it will become."""
    node: Optional[Hashable] = None
    """The node that clones; None when the cluster does not report it."""
    remaining: Optional[float] = None
    """Seconds until its end, as estimated; None when unknown."""
    half_done: bool = True

    @classmethod
    def read(cls, data: Dict[str, Any]) -> Optional['RunningClone']:
        """Read a job; None for one without its volumes."""
        source_id = _read_optional_id(data.get('srcVolumeID'))
        volume_id = _read_optional_id(data.get('dstVolumeID'))
        if source_id is None or volume_id is None:
            return None
        percent = _read_number(data.get('percentComplete'))
        return cls(source_id=source_id, volume_id=volume_id,
                   node=_read_optional_id(data.get('nodeID')),
                   remaining=_read_remaining(data, percent),
                   half_done=percent is None or percent >= 50)


def _read_optional_id(value: Any) -> Optional[int]:
    """Return an id; None for anything else."""
    return value if isinstance(value, int) and (
        not isinstance(value, bool)) else None


def _read_remaining(data: Dict[str, Any],
                    percent: Optional[float]) -> Optional[float]:
    """Return the seconds until a job ends, from whatever the reply has."""
    remaining = _read_number(data.get('remainingTime'))
    if remaining:
        return remaining
    elapsed = _read_number(data.get('elapsedTime'))
    if elapsed and percent:
        return elapsed * max(100 - percent, 0) / percent
    return None


def _read_number(value: Any) -> Optional[float]:
    """Return a number from 0 to a day of seconds; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= 86400 else None


def read_primaries(stats: Any) -> Dict[int, Hashable]:
    """Return the primary metadata service by volumeID (ListVolumeStats)."""
    found: Dict[int, Hashable] = {}
    for item in read_list(stats):
        hosts = _read_object(_read_object(item).get('metadataHosts'))
        primary = hosts.get('primary')
        if isinstance(primary, int) and not isinstance(primary, bool):
            found[_read_positive(item['volumeID'])] = primary
    return found


@dataclasses.dataclass(frozen=True)
class Job(object):
    """The state of an asynchronous job (GetAsyncResult)."""

    done: bool
    error: Optional[str]
    """Name and message of the error; None unless the job has failed."""

    @classmethod
    def read(cls, data: Dict[str, Any]) -> 'Job':
        done = _read_text(data['status']) == 'complete'
        error = None
        if done and data.get('error') is not None:
            failure = _read_object(data['error'])
            error = '%s: %s' % (failure.get('name', 'unnamed'),
                                failure.get('message', 'no message'))
        return cls(done=done, error=error)
