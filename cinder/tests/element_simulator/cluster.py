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

"""The state of one Element cluster: no HTTP, no JSON, no method names."""

import datetime
import itertools
import time

from cinder.tests.element_simulator import datafiles
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import jobs
from cinder.tests.element_simulator import limits as limits_module
from cinder.tests.element_simulator import peers as peers_module
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import versions

PURGE_AFTER = datetime.timedelta(hours=8)


class Cluster:
    """Accounts, volumes and the rest, with the rules that bind them.

    Hold `lock` while using more than one member. What changes with time does
    so in advance(), which every API call goes through; call it before you
    look at the tables directly.

    :param data_dir: where the volumes' files lie; temporary when None
    :param clock: has monotonic(), seconds as float; the time module when None
    :param clone_seconds: how long a clone takes, a number or a callable that
                          tells it from the new volume's size in bytes
    :param clone_polls: when not None, a clone ends after this many reads of
                        GetAsyncResult, and clone_seconds means nothing
    :param limits: members of GetLimits that differ from Element 12; None as
                   a value leaves the member out of the answer
    :param unique_id: four lower case letters or digits
    :param default_qos: minIOPS, maxIOPS and burstIOPS of a new volume
    :param capacity: members of GetClusterCapacity that are fixed, in bytes
    :param api_version: the newest version that the cluster answers
    :param mvip: management address, told to clients and known to peers
    :param svip: storage address
    :param nodes: how many nodes share the clone slots
    :param peers: the Peers that clusters which are to be paired have in
                  common
    :param missing_handle: error name for an asynchronous handle that is gone
    :param result_names_source: name the source instead of the clone as the
                                volumeID of a finished job, as some do
    """

    def __init__(self, data_dir=None, clock=None, clone_seconds=0.0,
                 clone_polls=None, limits=None, name='sim', unique_id='sim1',
                 default_qos=None, capacity=None, api_version='12.3',
                 mvip='127.0.0.1', svip='127.0.0.1', nodes=1, peers=None,
                 missing_handle='xAsyncHandleDoesNotExist',
                 result_names_source=False):
        self.name = name
        self.unique_id = unique_id
        self.uuid = records.new_uuid()
        self.api_version = api_version
        self.versions = versions.supported(api_version)
        self.mvip = mvip
        self.svip = svip
        self.nodes = nodes
        self.capacity = dict(capacity or {})
        self.missing_handle = missing_handle
        self.result_names_source = result_names_source
        self.limits = {**limits_module.DEFAULTS, **(limits or {})}
        self.default_qos = {**limits_module.QOS, **(default_qos or {})}
        self.fullness = limits_module.FULLNESS_STAGES[0]

        self.peers = peers or peers_module.Peers()
        # Pairing changes two clusters at once, so those share one lock.
        self.lock = self.peers.lock
        self.clock = clock or time
        self._epoch = (datetime.datetime.now(datetime.timezone.utc)
                       - datetime.timedelta(seconds=self.clock.monotonic()))
        self._counters = {}
        self.files = datafiles.DataFiles(data_dir)
        self.jobs = jobs.Jobs(self, clone_seconds, clone_polls)
        self.accounts = {}
        self.volumes = {}
        self.snapshots = {}
        self.group_snapshots = {}
        self.access_groups = {}
        self.initiators = {}
        self.cluster_pairs = {}

    def close(self):
        """Remove the volumes' files, if they lie in a temporary place."""
        self.files.close()

    # Time and numbers

    def now(self):
        """Return the time of day by the cluster's clock, in UTC."""
        return self._epoch + datetime.timedelta(
            seconds=self.clock.monotonic())

    def next_id(self, kind):
        """Count: identifiers only grow and are never given twice."""
        return next(self._counters.setdefault(kind, itertools.count(1)))

    def limit(self, name):
        """Return a limit that holds even where GetLimits leaves it out."""
        value = self.limits.get(name)
        return limits_module.DEFAULTS[name] if value is None else value

    def advance(self):
        """Let happen what the clock says has happened since."""
        with self.lock:
            self.jobs.advance()
            now = self.now()
            due = [volume for volume in self.volumes.values()
                   if volume.purge and volume.purge <= now]
            for volume in due:
                self.forget_volume(volume.volume_id)

    # Knobs of tests

    def fail_next_clone(self, error_name, message=''):
        """Let the next clone that starts end with this error."""
        with self.lock:
            self.jobs.fail_next(errors.ApiError(error_name, message))

    def set_fullness(self, stage):
        """Set how full the cluster is.

        :param stage: 1 to 5, or the name of a stage
        """
        if stage not in limits_module.FULLNESS_STAGES:
            stage = limits_module.FULLNESS_STAGES[int(stage) - 1]
        self.fullness = stage

    # Finding things

    def account(self, account_id):
        """:raises: xAccountIDDoesNotExist"""
        account = self.accounts.get(account_id)
        if account is None:
            raise errors.ApiError('xAccountIDDoesNotExist',
                                  f'Account {account_id} does not exist.')
        return account

    def volume(self, volume_id, statuses=('active', 'init')):
        """:raises: xVolumeIDDoesNotExist, for a deleted volume too"""
        volume = self.volumes.get(volume_id)
        if volume is None or volume.status not in statuses:
            raise errors.ApiError('xVolumeIDDoesNotExist',
                                  f'Volume {volume_id} does not exist.')
        return volume

    def snapshot(self, snapshot_id):
        """:raises: xSnapshotIDDoesNotExist"""
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None:
            raise errors.ApiError('xSnapshotIDDoesNotExist',
                                  f'Snapshot {snapshot_id} does not exist.')
        return snapshot

    def access_group(self, group_id):
        """:raises: xVolumeAccessGroupIDDoesNotExist"""
        group = self.access_groups.get(group_id)
        if group is None:
            raise errors.ApiError(
                'xVolumeAccessGroupIDDoesNotExist',
                f'VolumeAccessGroup {group_id} does not exist.')
        return group

    def volumes_of(self, account_id):
        return [volume for volume in self.volumes.values()
                if volume.account_id == account_id]

    def volumes_named(self, prefix):
        """Return the volumes, deleted ones too, whose name begins so."""
        self.advance()
        with self.lock:
            return [volume for volume in self.volumes.values()
                    if volume.name.startswith(prefix)]

    def snapshots_of(self, volume_id):
        return [snapshot for snapshot in self.snapshots.values()
                if snapshot.volume_id == volume_id]

    def groups_of(self, volume_id):
        return [group for group in self.access_groups.values()
                if volume_id in group.volume_ids]

    def node_of(self, volume):
        """Return the number of the node that holds a volume's slice."""
        return volume.volume_id % self.nodes + 1

    # Volumes and their data

    def volume_path(self, volume_id):
        """Return the path of the file that holds a volume's bytes.

        :raises: xVolumeIDDoesNotExist
        """
        with self.lock:
            self.volume(volume_id, ('active', 'init', 'deleted'))
            return self.files.path(f'volume-{volume_id}')

    def add_volume(self, **members):
        """Number and keep a new volume; its data is still to be made.

        :raises: xExceededLimit
        """
        self.check_volume_count(members['account_id'])
        volume = records.Volume(volume_id=self.next_id('volume'),
                                created=self.now(), **members)
        self.volumes[volume.volume_id] = volume
        return volume

    def check_volume_count(self, account_id):
        """:raises: xExceededLimit when there is no room for one more"""
        if len(self.volumes) >= self.limit('volumeCountMax'):
            raise errors.ApiError('xExceededLimit',
                                  'The cluster has its maximum of volumes')
        if (len(self.volumes_of(account_id))
                >= self.limit('volumesPerAccountCountMax')):
            raise errors.ApiError('xExceededLimit',
                                  'The account has its maximum of volumes')

    def check_space(self, size):
        """Refuse what a full cluster refuses.

        :raises: xTotalCapacityExceeded
        """
        stage = limits_module.FULLNESS_STAGES.index(self.fullness)
        if stage >= limits_module.FULLNESS_STAGES.index('stage4Critical'):
            raise errors.ApiError('xTotalCapacityExceeded',
                                  f'The cluster is at {self.fullness}')
        provisioned = sum(volume.size for volume in self.volumes.values())
        if provisioned + size > self.over_provisionable():
            raise errors.ApiError('xTotalCapacityExceeded',
                                  'The cluster is over-provisioned')

    def max_provisioned(self):
        """Return the nominal capacity in bytes."""
        return self.capacity.get('maxProvisionedSpace', 1024 ** 5)

    def over_provisionable(self):
        """Return how many bytes volumes may promise in all."""
        return self.capacity.get('maxOverProvisionableSpace',
                                 5 * self.max_provisioned())

    def delete_volume(self, volume):
        """Put a volume aside until its purge; a clone under way vanishes."""
        now = self.now()
        was_clone = volume.status == 'init'
        volume.status = 'deleted'
        volume.deleted = now
        volume.purge = now + PURGE_AFTER
        self.jobs.cancel_all_of(volume.volume_id)
        if was_clone:
            self.forget_volume(volume.volume_id)

    def forget_volume(self, volume_id):
        """Remove a volume, its snapshots and all their data."""
        if self.volumes.pop(volume_id, None) is None:
            return
        for group in self.groups_of(volume_id):
            group.volume_ids.remove(volume_id)
        for snapshot in self.snapshots_of(volume_id):
            self.forget_snapshot(snapshot)
        self.files.remove(f'volume-{volume_id}')

    def add_snapshot(self, volume, name, origin=None, **members):
        """Keep a copy of a volume as it is now.

        :param origin: the Snapshot to copy instead
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

    def forget_snapshot(self, snapshot):
        """Remove a snapshot and its data."""
        del self.snapshots[snapshot.snapshot_id]
        for group in list(self.group_snapshots.values()):
            if snapshot.snapshot_id in group.snapshot_ids:
                group.snapshot_ids.remove(snapshot.snapshot_id)
                if not group.snapshot_ids:
                    del self.group_snapshots[group.group_id]
        self.files.remove(f'snapshot-{snapshot.snapshot_id}')
