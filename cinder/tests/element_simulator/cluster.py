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

"""The state of one Element cluster, without HTTP, JSON and method names."""

import collections
import datetime
import itertools
import time
import typing

from oslo_utils import timeutils

from cinder.tests.element_simulator import datafiles
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import jobs
from cinder.tests.element_simulator import limits as limits_module
from cinder.tests.element_simulator import peers as peers_module
from cinder.tests.element_simulator import placement as placement_module
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import versions
from cinder.tests.element_simulator import volume_table

_PURGE_AFTER = datetime.timedelta(hours=8)


class Cluster:
    """Accounts, volumes and the rest, with the rules that apply to them.

    Hold ``lock`` while using more than one member. Changes over time are
    applied by advance(), which every API call runs first; call it before
    reading the tables directly.

    :param data_dir: directory for the data of the volumes; temporary if None
    :param clock: has monotonic(), seconds as float; the time module when None
    :param clone_seconds: duration of a clone, a number or a callable that
                          computes it from the new volume's size in bytes
    :param clone_polls: if not None, a clone ends after this number of calls
                        of GetAsyncResult, whatever clone_seconds says
    :param limits: members of GetLimits that differ from Element 12; those
                   with the value None are left out of the reply
    :param unique_id: four lower case letters or digits
    :param default_qos: minIOPS, maxIOPS and burstIOPS of a new volume
    :param capacity: members of GetClusterCapacity that are fixed, in bytes
    :param api_version: the newest supported version of the API
    :param mvip: management address, as reported to clients and peers
    :param svip: storage address
    :param nodes: number of nodes, each with clone slots of its own
    :param peers: the Peers to share with the clusters to pair with
    :param missing_handle: error name for an unknown asynchronous handle
    :param result_names_source: report the source instead of the clone as the
                                volumeID of a finished job, as some releases
    :param clone_limit_behavior: ``refuse`` clones beyond the limits, or
                               ``queue`` them until there is a slot
    :param placement: which node holds a volume: ``round-robin`` by its id,
                      ``random``, or a callable that returns the number of
                      the node, from 1 on, for the id
    :param placement_seed: of the random placement
    :param hide_nodes: never tell which node holds or clones a volume, nor
                       how many nodes there are
    """

    def __init__(
            self, data_dir: typing.Optional[str] = None,
            clock: typing.Any = None, clone_seconds: jobs.Duration = 0.0,
            clone_polls: typing.Optional[int] = None,
            limits: typing.Optional[dict] = None, name: str = 'sim',
            unique_id: str = 'sim1',
            default_qos: typing.Optional[dict] = None,
            capacity: typing.Optional[dict] = None,
            api_version: str = '12.3', mvip: str = '127.0.0.1',
            svip: str = '127.0.0.1', nodes: int = 1,
            peers: typing.Optional[peers_module.Peers] = None,
            missing_handle: str = 'xAsyncHandleDoesNotExist',
            result_names_source: bool = False,
            clone_limit_behavior: str = 'refuse',
            placement: placement_module.Placement = 'round-robin',
            placement_seed: int = 0, hide_nodes: bool = False) -> None:
        self.name = name
        self.unique_id = unique_id
        self.uuid = records.new_uuid()
        self.api_version = api_version
        self.versions = versions.supported(api_version)
        self.mvip = mvip
        self.svip = svip
        self.nodes = nodes
        self.placement = placement_module.check(placement)
        self.placement_seed = placement_seed
        self.hide_nodes = hide_nodes
        self.capacity = dict(capacity or {})
        self.missing_handle = missing_handle
        self.result_names_source = result_names_source
        self.limits = {**limits_module.DEFAULTS, **(limits or {})}
        self.default_qos = {**limits_module.QOS, **(default_qos or {})}
        self.fullness = limits_module.FULLNESS_STAGES[0]
        self.clock = clock or time
        self.peers = peers or peers_module.Peers()
        # Pairing changes two clusters at once, so they share one lock.
        self.lock = self.peers.lock
        self.files = datafiles.DataFiles(data_dir)
        self.jobs = jobs.Jobs(self, clone_seconds, clone_polls,
                              clone_limit_behavior)
        self._create_tables()

    def _create_tables(self) -> None:
        self._epoch = (timeutils.utcnow(with_timezone=True)
                       - datetime.timedelta(seconds=self.clock.monotonic()))
        self._counters: dict[str, typing.Iterator[int]] = {}
        self.accounts: dict[int, records.Account] = {}
        self.volumes = volume_table.Volumes()
        # (time, volume id) of the deleted volumes, in the order of the times;
        # some have been restored or purged since.
        self._purges: collections.deque[tuple[datetime.datetime, int]] = (
            collections.deque())
        self.snapshots: dict[int, records.Snapshot] = {}
        self.group_snapshots: dict[int, records.GroupSnapshot] = {}
        self.access_groups: dict[int, records.AccessGroup] = {}
        self.initiators: dict[str, int] = {}
        self.cluster_pairs: dict[int, records.ClusterPair] = {}

    def close(self) -> None:
        """Remove the data of the volumes if their directory is temporary."""
        self.files.close()

    # Time, identifiers and limits

    def now(self) -> datetime.datetime:
        """Return the time in UTC, by the cluster's clock."""
        return self._epoch + datetime.timedelta(
            seconds=self.clock.monotonic())

    def next_id(self, kind: str) -> int:
        """Return a new identifier; they only grow and are never reused."""
        return next(self._counters.setdefault(kind, itertools.count(1)))

    def limit(self, name: str) -> int:
        """Return a limit, which applies even if GetLimits leaves it out."""
        value = self.limits.get(name)
        return limits_module.DEFAULTS[name] if value is None else value

    def advance(self) -> None:
        """Finish clones and purge volumes that are due by the clock."""
        with self.lock:
            self.jobs.advance()
            now = self.now()
            while self._purges and self._purges[0][0] <= now:
                due, volume_id = self._purges.popleft()
                volume = self.volumes.get(volume_id)
                if volume and volume.purge == due:
                    self.forget_volume(volume_id)

    # Setting for tests

    def set_fullness(self, stage: typing.Union[int, str]) -> None:
        """Set how full the cluster is.

        :param stage: 1 to 5, or the name of a stage
        """
        if stage not in limits_module.FULLNESS_STAGES:
            stage = limits_module.FULLNESS_STAGES[int(stage) - 1]
        self.fullness = str(stage)

    # Look-ups

    def account(self, account_id: int) -> records.Account:
        """Return an account.

        :raises: xAccountIDDoesNotExist
        """
        account = self.accounts.get(account_id)
        if account is None:
            raise errors.ApiError('xAccountIDDoesNotExist',
                                  f'Account {account_id} does not exist.')
        return account

    def volume(self, volume_id: int,
               statuses: typing.Sequence[str] = ('active', 'init')
               ) -> records.Volume:
        """Return a volume that has one of the statuses.

        :raises: xVolumeIDDoesNotExist
        """
        volume = self.volumes.get(volume_id)
        if volume is None or volume.status not in statuses:
            raise errors.ApiError('xVolumeIDDoesNotExist',
                                  f'Volume {volume_id} does not exist.')
        return volume

    def active_volume(self, volume_id: int) -> records.Volume:
        """Return a volume that is not the target of a running clone.

        :raises: xVolumeIDDoesNotExist, xInvalidParameter
        """
        volume = self.volume(volume_id)
        if volume.status != 'active':
            raise errors.ApiError(
                'xInvalidParameter',
                f'Volume {volume_id} is not in the active state')
        return volume

    def snapshot(self, snapshot_id: int,
                 volume: typing.Optional[records.Volume] = None
                 ) -> records.Snapshot:
        """Return a snapshot.

        :param volume: the volume that it must be of, if not None
        :raises: xSnapshotIDDoesNotExist
        """
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None:
            raise errors.ApiError('xSnapshotIDDoesNotExist',
                                  f'Snapshot {snapshot_id} does not exist.')
        if volume and snapshot.volume_id != volume.volume_id:
            raise errors.ApiError(
                'xSnapshotIDDoesNotExist',
                f'Snapshot {snapshot_id} is not one of volume '
                f'{volume.volume_id}')
        return snapshot

    def access_group(self, group_id: int) -> records.AccessGroup:
        """Return a volume access group.

        :raises: xVolumeAccessGroupIDDoesNotExist
        """
        group = self.access_groups.get(group_id)
        if group is None:
            raise errors.ApiError(
                'xVolumeAccessGroupIDDoesNotExist',
                f'VolumeAccessGroup {group_id} does not exist.')
        return group

    def volumes_of(self, account_id: int) -> list[records.Volume]:
        """Return the volumes of an account, including deleted ones."""
        return self.volumes.of_account(account_id)

    def volumes_named(self, prefix: str) -> list[records.Volume]:
        """Return the volumes with a name prefix, including deleted ones."""
        self.advance()
        with self.lock:
            return [volume for volume in self.volumes.values()
                    if volume.name.startswith(prefix)]

    def snapshots_of(self, volume_id: int) -> list[records.Snapshot]:
        """Return the snapshots of a volume."""
        return [snapshot for snapshot in self.snapshots.values()
                if snapshot.volume_id == volume_id]

    def groups_of(self, volume_id: int) -> list[records.AccessGroup]:
        """Return the volume access groups that a volume is in."""
        return [group for group in self.access_groups.values()
                if volume_id in group.volume_ids]

    def node_of(self, volume: records.Volume) -> int:
        """Return the number of the node that holds a volume's slice."""
        return placement_module.node_of(
            volume.volume_id, self.nodes, self.placement, self.placement_seed)

    # Volumes and their data

    def volume_path(self, volume_id: int) -> str:
        """Return the path of the file that holds a volume's data.

        :raises: xVolumeIDDoesNotExist
        """
        with self.lock:
            self.volume(volume_id, ('active', 'init', 'deleted'))
            return self.files.path(f'volume-{volume_id}')

    def add_volume(self, **members: typing.Any) -> records.Volume:
        """Add a volume; the caller creates the file for its data.

        :param members: of records.Volume
        :raises: xExceededLimit
        """
        self._check_volume_count(members['account_id'])
        return self.insert_volume(**members)

    def insert_volume(self, **members: typing.Any) -> records.Volume:
        """Do as add_volume(), but without a limit."""
        volume = records.Volume(volume_id=self.next_id('volume'),
                                created=self.now(), **members)
        self.volumes.add(volume)
        return volume

    def _check_volume_count(self, account_id: int) -> None:
        if len(self.volumes) >= self.limit('volumeCountMax'):
            raise errors.ApiError('xExceededLimit',
                                  'The cluster has its maximum of volumes')
        if (self.volumes.count_of_account(account_id)
                >= self.limit('volumesPerAccountCountMax')):
            raise errors.ApiError('xExceededLimit',
                                  'The account has its maximum of volumes')

    def check_space(self, size: int) -> None:
        """Check that the cluster accepts ``size`` more bytes.

        :raises: xTotalCapacityExceeded
        """
        stage = limits_module.FULLNESS_STAGES.index(self.fullness)
        if stage >= limits_module.FULLNESS_STAGES.index('stage4Critical'):
            raise errors.ApiError('xTotalCapacityExceeded',
                                  f'The cluster is at {self.fullness}')
        if self.volumes.provisioned + size > self.max_over_provisioned():
            raise errors.ApiError('xTotalCapacityExceeded',
                                  'The cluster is over-provisioned')

    def check_snapshot_count(self, volume: records.Volume) -> None:
        """Check that a volume can have one more snapshot.

        :raises: xMaxSnapshotsPerVolumeExceeded
        """
        count = len(self.snapshots_of(volume.volume_id))
        if count >= self.limit('snapshotsPerVolumeMax'):
            raise errors.ApiError(
                'xMaxSnapshotsPerVolumeExceeded',
                f'Volume {volume.volume_id} has its maximum of snapshots')

    def max_provisioned(self) -> int:
        """Return the nominal capacity in bytes."""
        return self.capacity.get('maxProvisionedSpace', 1024 ** 5)

    def max_over_provisioned(self) -> int:
        """Return the maximum of the sizes of all volumes in bytes."""
        return self.capacity.get('maxOverProvisionableSpace',
                                 5 * self.max_provisioned())

    def delete_volume(self, volume: records.Volume) -> None:
        """Mark a volume as deleted; the target of a clone is gone at once."""
        now = self.now()
        was_clone = volume.status == 'init'
        volume.status = 'deleted'
        volume.deleted = now
        volume.purge = now + _PURGE_AFTER
        self._purges.append((volume.purge, volume.volume_id))
        self.jobs.cancel_all_of(volume.volume_id)
        if was_clone:
            self.forget_volume(volume.volume_id)

    def forget_volume(self, volume_id: int) -> None:
        """Remove a volume, its snapshots and all their data."""
        if self.volumes.remove(volume_id) is None:
            return
        for group in self.groups_of(volume_id):
            group.volume_ids.remove(volume_id)
        for snapshot in self.snapshots_of(volume_id):
            self.forget_snapshot(snapshot)
        self.files.remove(f'volume-{volume_id}')

    def add_snapshot(self, volume: records.Volume, name: str,
                     origin: typing.Optional[records.Snapshot] = None,
                     **members: typing.Any) -> records.Snapshot:
        """Add a snapshot with a copy of the data.

        :param origin: the snapshot to copy; the volume when None
        :param members: of records.Snapshot
        """
        source = f'volume-{volume.volume_id}'
        size = volume.size
        if origin:
            source = f'snapshot-{origin.snapshot_id}'
            size = origin.size
        snapshot = records.Snapshot(
            snapshot_id=self.next_id('snapshot'),
            volume_id=volume.volume_id, volume_name=volume.name, name=name,
            size=size, created=self.now(), **members)
        self.files.copy(source, f'snapshot-{snapshot.snapshot_id}', size)
        self.snapshots[snapshot.snapshot_id] = snapshot
        return snapshot

    def forget_snapshot(self, snapshot: records.Snapshot) -> None:
        """Remove a snapshot and its data."""
        del self.snapshots[snapshot.snapshot_id]
        for group in list(self.group_snapshots.values()):
            if snapshot.snapshot_id in group.snapshot_ids:
                group.snapshot_ids.remove(snapshot.snapshot_id)
                if not group.snapshot_ids:
                    del self.group_snapshots[group.group_id]
        self.files.remove(f'snapshot-{snapshot.snapshot_id}')
