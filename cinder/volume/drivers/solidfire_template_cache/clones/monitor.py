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

"""Waits for clones: of this process, and of other hosts."""

import contextlib
import threading
from typing import Iterator
from typing import MutableMapping
from typing import Optional
from typing import Sequence

import cachetools

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions

# Seconds between two polls of a clone, growing from the first to the last:
# most clones take seconds, some on a busy cluster take minutes.
_MIN_POLL, _MAX_POLL, _POLL_GROWTH = 0.1, 2.0, 1.6

# Polls of a job that the cluster does not know before it counts as lost: a
# fresh handle may be unknown for a moment (solidfire-csi).
_MAX_UNKNOWN_POLLS = 5

# Listings of a volume whose clone is done before it counts as gone.
_MAX_LISTINGS = 8


class CloneMonitor(object):
    """Polls the clones of one cluster."""

    def __init__(self, cluster: cl.Cluster) -> None:
        self._client = cluster.client
        self._clock = cluster.clock
        self._timeout = cluster.conf.sf_volume_clone_timeout
        self._lock = threading.Lock()
        # Guarded by the lock: ids of the volumes that this process is
        # cloning, and the seconds that the last clone of a source took.
        self._in_flight: set[int] = set()
        self._last_duration: MutableMapping[int, float] = (
            cachetools.LRUCache(1024))

    @contextlib.contextmanager
    def in_flight(self, volume_id: int) -> Iterator[None]:
        """Mark a clone as being of this process, in a ``with`` block."""
        with self._lock:
            self._in_flight.add(volume_id)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight.discard(volume_id)

    def foreign(self, volume_ids: set[int]) -> set[int]:
        """Return those clones that are not of this process."""
        with self._lock:
            return volume_ids - self._in_flight

    def wait_for_job(self, source_id: int,
                     started: models.StartedClone) -> None:
        """Wait until the job of a clone is complete.

        :raises exceptions.CloneTimeout: it is still running after
            ``sf_volume_clone_timeout`` seconds
        :raises exceptions.CloneFailed: the job failed, or is unknown and
            there is no volume
        :raises errors.ElementError: a call failed
        """
        begin = self._clock.monotonic()
        unknown = 0
        for interval in self.poll_intervals(source_id):
            self._clock.sleep(interval)
            elapsed = self._clock.monotonic() - begin
            job = self._get_job(started)
            if job is None:
                unknown += 1
                self._check_known(source_id, started, unknown)
            elif job.error:
                raise exceptions.CloneFailed(template=source_id,
                                             reason=job.error)
            elif job.done:
                with self._lock:
                    self._last_duration[source_id] = elapsed
                return
            if elapsed >= self._timeout:
                raise exceptions.CloneTimeout(
                    template=source_id, seconds=self._timeout,
                    reason=_('its job is still running'))

    def wait_until_listed(self, name: str,
                          volume_id: int) -> list[models.Volume]:
        """List the volumes of a name until a finished clone is among them.

        A clone in progress is in no list of volumes, and appears when its
        job is complete; some clusters may take a moment for that.

        :returns: the last listing, with or without the clone
        :raises errors.ElementError: a call failed
        """
        intervals = self.poll_intervals()
        listings = 1
        while True:
            found = self._client.list_volumes(name)
            if listings == _MAX_LISTINGS or any(
                    volume.id == volume_id and
                    (volume.active or volume.status == 'deleted')
                    for volume in found):
                return found
            self._clock.sleep(next(intervals))
            listings += 1

    def wait_for_foreign_clones(self, *source_ids: int) -> None:
        """Wait for those running clones that are not of this process.

        A clone in progress is in no list of volumes and its job does not
        have its name, so any of them may be the one whose CloneVolume reply
        was lost. Clones that begin later are not waited for.

        :param source_ids: the volumes of which it may be a clone
        :raises errors.ElementError: a call failed, or clones are still
            running after ``sf_volume_clone_timeout`` seconds
        """
        suspects: Optional[set[int]] = None
        for running in self.running_clones(source_ids, self._timeout):
            if suspects is None:
                suspects = self.foreign(running)
            suspects &= running
            if not suspects:
                return

    def running_clones(self, source_ids: Sequence[int],
                       seconds: float) -> Iterator[set[int]]:
        """Yield the ids of volumes being cloned from some, at each poll.

        :param seconds: time after which the iterator raises
        :raises errors.ElementError: a call failed, or the time is over
        """
        deadline = self._clock.monotonic() + seconds
        for interval in self.poll_intervals():
            yield self._client.list_running_clones(*source_ids)
            if self._clock.monotonic() >= deadline:
                raise errors.ElementError(
                    'ListSyncJobs', 'Timeout',
                    'clones of %s are still running'
                    % ', '.join(map(str, source_ids)))
            self._clock.sleep(interval)

    def poll_intervals(self,
                       source_id: Optional[int] = None) -> Iterator[float]:
        """Yield the seconds to wait before each poll, without end.

        :param source_id: the source of the clone: the first poll comes
            shortly before the time that its last clone took
        """
        with self._lock:
            expected = min(self._last_duration.get(source_id or 0, 0.0),
                           _MAX_POLL)
        if expected > _MIN_POLL:
            yield 0.9 * expected
        interval = _MIN_POLL
        while True:
            yield interval
            interval = min(interval * _POLL_GROWTH, _MAX_POLL)

    def _get_job(self, started: models.StartedClone) -> Optional[models.Job]:
        """Return the state of a clone's job; None when it is unknown."""
        try:
            return self._client.get_job(started.handle)
        except errors.NotFound:
            # Its result was in a reply that was lost, or it is too new.
            if self._client.find_volume(started.volume.id):
                return models.Job(done=True, error=None)
            return None

    def _check_known(self, source_id: int, started: models.StartedClone,
                     unknown: int) -> None:
        if (unknown >= _MAX_UNKNOWN_POLLS and started.volume.id not in
                self._client.list_running_clones(source_id)):
            raise exceptions.CloneFailed(
                template=source_id,
                reason=_('neither its job nor its volume was found'))
