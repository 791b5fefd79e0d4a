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
from typing import Hashable
from typing import Iterable
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

# Seconds between two polls of a clone of which nothing is known, growing from
# the first to the last: most clones take seconds, some take minutes.
_MIN_POLL, _MAX_POLL, _POLL_GROWTH = 0.1, 2.0, 1.6

# A clone whose end was estimated too early is polled again after this part of
# the time it has taken, and at least after so many seconds.
_RELATIVE_POLL, _MIN_REPEATED_POLL = 0.05, 0.05

# Each clone is polled a little sooner than the last one of its image was
# done, for they may have become faster.
_ADVANCE, _MAX_GROWTH = 0.98, 1.25

# A clone that is expected to take more seconds is listed after this part
# of them: it may be faster than the last one.
_LONG_CLONE, _EARLY_LIST = 2.0, 0.1

# Polls of a job that the cluster does not know before it counts as lost: a
# fresh handle may be unknown for a moment (solidfire-csi).
_MAX_UNKNOWN_POLLS = 5

# Listings of a volume whose clone is done before it counts as gone.
_MAX_LISTINGS = 8


class _Watched(object):
    """A clone that a thread of this process waits for."""

    def __init__(self, lock: threading.Lock, now: float) -> None:
        self.changed = threading.Condition(lock)
        self.begin = now
        # When it was last listed as running, and what is left from then on.
        self.listed: Optional[float] = None
        self.remaining: Optional[float] = None
        self.missing = False


class CloneMonitor(object):
    """Polls the clones of one cluster."""

    def __init__(self, cluster: cl.Cluster) -> None:
        self._client = cluster.client
        self._clock = cluster.clock
        self._timeout = cluster.conf.sf_volume_clone_timeout
        self._lock = threading.Lock()
        # Guarded by the lock: the clones of this process by volumeID, and
        # the seconds that the last clone of an image took.
        self._in_flight: dict[int, _Watched] = {}
        self._last_duration: MutableMapping[Hashable, float] = (
            cachetools.LRUCache(1024))

    @contextlib.contextmanager
    def in_flight(self, volume_id: int) -> Iterator[None]:
        """Mark a clone as being of this process, in a ``with`` block."""
        watched = _Watched(self._lock, self._clock.monotonic())
        with self._lock:
            self._in_flight[volume_id] = watched
        try:
            yield
        finally:
            with self._lock:
                self._in_flight.pop(volume_id, None)

    def foreign(self, volume_ids: set[int]) -> set[int]:
        """Return those clones that are not of this process."""
        with self._lock:
            return volume_ids - self._in_flight.keys()

    def note_running(self, clones: Iterable[models.RunningClone]) -> None:
        """Use a list of all clones that run on the cluster.

        A clone that is not listed any more is polled at once, and one that
        is listed is not polled now.
        """
        by_id = {clone.volume_id: clone for clone in clones}
        with self._lock:
            now = self._clock.monotonic()
            for volume_id, watched in self._in_flight.items():
                clone = by_id.get(volume_id)
                if clone is not None:
                    watched.listed, watched.remaining = now, clone.remaining
                elif watched.listed is not None:
                    watched.missing = True
                    watched.changed.notify()

    def wait_for_job(self, key: Hashable, source_id: int,
                     started: models.StartedClone) -> None:
        """Wait until the job of a clone, marked as in flight, is complete.

        :param key: identifies the version of the image, whose clones take
            about the same time
        :raises exceptions.CloneTimeout: it is still running after
            ``sf_volume_clone_timeout`` seconds
        :raises exceptions.CloneFailed: the job failed, or is unknown and
            there is no volume
        :raises errors.ElementError: a call failed
        """
        now = self._clock.monotonic()
        with self._lock:
            watched = self._in_flight.get(
                started.volume.id) or _Watched(self._lock, now)
            expected = self._last_duration.get(key)
        unknown = polls = 0
        due = self._first_poll(watched, expected)
        while True:
            self._pause(watched, due)
            asked = self._clock.monotonic() - watched.begin
            job = self._get_job(started)
            polls += 1
            elapsed = self._clock.monotonic() - watched.begin
            if job is None:
                unknown += 1
                self._check_known(source_id, started, unknown)
            elif job.error:
                raise exceptions.CloneFailed(template=source_id,
                                             reason=job.error)
            elif job.done:
                if elapsed - asked < _MIN_POLL:
                    # Else the call was slow or retried, and teaches nothing.
                    self._learn(key, min(asked, due - watched.begin),
                                expected, polls)
                return
            if elapsed >= self._timeout:
                raise exceptions.CloneTimeout(
                    template=source_id, seconds=self._timeout,
                    reason=_('its job is still running'))
            due = self._next_poll(watched, elapsed, polls,
                                  expected is not None)

    def _learn(self, key: Hashable, seconds: float,
               expected: Optional[float], polls: int) -> None:
        """Remember what a clone took, for the next one of the image."""
        if expected is not None:
            # The cluster may have queued it.
            seconds = min(seconds, _MAX_GROWTH * expected)
        with self._lock:
            self._last_duration[key] = seconds * (
                _ADVANCE if polls == 1 else 1.0)

    def _first_poll(self, watched: _Watched,
                    expected: Optional[float]) -> float:
        """Return when a clone is polled first, by the clock."""
        if expected is None:
            return watched.begin + _MIN_POLL
        if expected > _LONG_CLONE:
            # It may be faster this time.
            self._pause(watched, watched.begin + _EARLY_LIST * expected)
            if not watched.missing:
                self._list_running(watched)
            if watched.remaining is not None and watched.listed is not None:
                return min(watched.begin + expected * (1 + _RELATIVE_POLL),
                           watched.listed + watched.remaining)
        return watched.begin + expected

    def _next_poll(self, watched: _Watched, elapsed: float, polls: int,
                   expected: bool) -> float:
        """Return when to poll a clone again that is still running."""
        now = watched.begin + elapsed
        watched.missing = False
        repeated = max(_RELATIVE_POLL * elapsed, _MIN_REPEATED_POLL)
        if expected and polls == 1:
            return now + repeated
        self._list_running(watched)
        if watched.missing:
            # The list lags behind the job, or the other way round.
            watched.missing = False
        elif watched.remaining is not None and watched.listed is not None:
            return max(watched.listed + watched.remaining, now + repeated)
        return now + min(_MIN_POLL * _POLL_GROWTH ** (polls - 1), _MAX_POLL)

    def _list_running(self, watched: _Watched) -> None:
        """List the running clones, unless that was done just now."""
        with self._lock:
            recent = watched.listed is not None and (
                self._clock.monotonic() - watched.listed < _MIN_POLL)
        if not recent:
            watched.remaining = None
            with contextlib.suppress(errors.ElementError):
                # The list is only needed to time the polls.
                self.note_running(self._client.list_clones())
                watched.missing |= watched.listed is None

    def _pause(self, watched: _Watched, due: float) -> None:
        """Wait until a time, or until a clone is not listed any more.

        No estimate makes it wait longer than until the clone times out.
        """
        latest = watched.begin + self._timeout + _MIN_REPEATED_POLL
        with watched.changed:
            while not watched.missing:
                now = self._clock.monotonic()
                if watched.listed is not None:
                    # It was seen running: it is not worth a poll yet.
                    due = max(due, watched.listed + min(
                        watched.remaining or 0.0, max(
                            2 * _RELATIVE_POLL *
                            (watched.listed - watched.begin), _MIN_POLL)))
                due = min(due, latest)
                if now >= due:
                    return
                self._clock.wait(watched.changed, due - now)

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

    def poll_intervals(self) -> Iterator[float]:
        """Yield the seconds to wait before each poll, without end."""
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
