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

"""The objects of a cluster, as plain values."""

import dataclasses
import datetime
import typing
import uuid

from cinder.tests.element_simulator import errors

if typing.TYPE_CHECKING:
    from cinder.tests.element_simulator import cluster


def new_uuid() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())


@dataclasses.dataclass
class Account:
    """A tenant's account; its repr() does not contain the secrets."""

    account_id: int
    username: str
    initiator_secret: str = dataclasses.field(repr=False)
    target_secret: str = dataclasses.field(repr=False)
    attributes: dict = dataclasses.field(default_factory=dict)
    enable_chap: bool = True
    status: str = 'active'


@dataclasses.dataclass
class VolumePair:
    """One end of the replication between two volumes."""

    cluster_pair_id: int
    uuid: str
    mode: str
    remote_volume_id: int
    remote_name: str
    state: str = 'Active'


@dataclasses.dataclass
class Volume:
    """A volume; ``status`` is init, active or deleted, sizes are in bytes."""

    volume_id: int
    name: str
    account_id: int
    size: int
    created: datetime.datetime
    qos: dict
    access: str = 'readWrite'
    enable_512e: bool = True
    attributes: dict = dataclasses.field(default_factory=dict)
    status: str = 'active'
    fifo_size: int = 24
    min_fifo_size: int = 0
    deleted: typing.Optional[datetime.datetime] = None
    purge: typing.Optional[datetime.datetime] = None
    pair: typing.Optional[VolumePair] = None
    uuid: str = dataclasses.field(default_factory=new_uuid)
    group_uuid: str = dataclasses.field(default_factory=new_uuid)


@dataclasses.dataclass
class Snapshot:
    """A snapshot; ``group_id`` is 0 outside group snapshots."""

    snapshot_id: int
    volume_id: int
    volume_name: str
    name: str
    size: int
    created: datetime.datetime
    attributes: dict = dataclasses.field(default_factory=dict)
    replicated: bool = False
    group_id: int = 0
    group_uuid: typing.Optional[str] = None
    uuid: str = dataclasses.field(default_factory=new_uuid)


@dataclasses.dataclass
class GroupSnapshot:
    """Snapshots of several volumes, taken at the same time."""

    group_id: int
    name: str
    created: datetime.datetime
    attributes: dict = dataclasses.field(default_factory=dict)
    snapshot_ids: list[int] = dataclasses.field(default_factory=list)
    uuid: str = dataclasses.field(default_factory=new_uuid)


@dataclasses.dataclass
class AccessGroup:
    """A volume access group: initiators, and the volumes they can reach."""

    group_id: int
    name: str
    initiators: list[str] = dataclasses.field(default_factory=list)
    volume_ids: list[int] = dataclasses.field(default_factory=list)
    attributes: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Job:
    """A running or finished clone; ``error`` is set when it failed.

    It waits until it has a slot, and then takes ``seconds``: it ends when the
    cluster's clock reads ``due``, or after ``polls_left`` more polls where
    that is not None. ``failure`` is the error that it is going to end with.
    """

    handle: int
    clone_id: int
    source_id: int
    volume_id: int
    snapshot_id: int
    node_id: int
    size: int
    seconds: float
    started: float
    created: datetime.datetime
    updated: datetime.datetime
    due: float = float('inf')
    waiting: bool = True
    polls: int = 0
    polls_left: typing.Optional[int] = None
    failure: typing.Optional[errors.ApiError] = None
    done: bool = False
    error: typing.Optional[errors.ApiError] = None


@dataclasses.dataclass
class ClusterPair:
    """One end of the link between two clusters."""

    pair_id: int
    uuid: str
    remote: typing.Optional['cluster.Cluster'] = None
    remote_pair_id: int = 0
