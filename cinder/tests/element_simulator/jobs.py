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

"""Running clones: slots, progress and result.

There is no background thread. Jobs advance when they are looked at.
"""

import collections
import contextlib
import typing

from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records

if typing.TYPE_CHECKING:
    from cinder.tests.element_simulator import cluster

Duration = typing.Union[float, typing.Callable[[int], float]]
"""Seconds, or a callable that computes them from a size in bytes."""


MANNERS = ('refuse', 'queue')
"""What happens to a clone beyond the limits of running clones."""


def check_manner(manner: str) -> str:
    """Return the manner.

    :raises: ValueError unless it is in MANNERS
    """
    if manner not in MANNERS:
        raise ValueError(f'the manner is one of {", ".join(MANNERS)}, '
                         f'not {manner}')
    return manner


class Jobs:
    """The clone jobs of one cluster.

    :param cluster: the Cluster
    :param seconds: duration of a clone
    :param polls: if not None, a clone ends after this number of calls of
                  GetAsyncResult for it, whatever the clock says
    :param limit_manner: refuse clones beyond the limits, or queue them
    """

    def __init__(self, cluster: 'cluster.Cluster', seconds: Duration,
                 polls: typing.Optional[int],
                 limit_manner: str = 'refuse') -> None:
        self.cluster = cluster
        self.seconds = seconds
        self.polls = polls
        self.limit_manner = check_manner(limit_manner)
        self.by_handle: dict[int, records.Job] = {}
        # Those of by_handle that are not done, in the order of their calls.
        self._running: dict[int, records.Job] = {}
        self._failure: typing.Optional[errors.ApiError] = None

    def running(self) -> list[records.Job]:
        """Return the jobs that are not done, waiting ones among them."""
        if not all(handle in self.by_handle for handle in self._running):
            # Somebody has cleared the table of the results.
            self._running = {handle: job for handle, job
                             in self._running.items()
                             if handle in self.by_handle}
        return list(self._running.values())

    @contextlib.contextmanager
    def failing(self, error: typing.Optional[errors.ApiError]
                ) -> typing.Iterator[None]:
        """Make a clone that is started in this block fail with the error."""
        self._failure = error
        try:
            yield
        finally:
            self._failure = None

    def check_slots(self, volume: records.Volume) -> None:
        """Check that a volume and its node can have one more clone.

        In the manner ``queue`` they always can.

        :raises: xMaxClonesPerVolumeExceeded, xMaxClonesPerNodeExceeded
        """
        if self.limit_manner == 'queue':
            return
        slots = _Slots(self.cluster, self.running())
        node_id = self.cluster.node_of(volume)
        if slots.volume_is_full(volume.volume_id):
            raise errors.ApiError(
                'xMaxClonesPerVolumeExceeded',
                f'Volume {volume.volume_id} has its maximum of clones')
        if slots.node_is_full(node_id):
            raise errors.ApiError(
                'xMaxClonesPerNodeExceeded',
                f'Node {node_id} has its maximum of clones')

    def start(self, source: records.Volume, target: records.Volume,
              snapshot_id: int = 0) -> records.Job:
        """Start the clone of a volume into a new one with status init.

        Without a free slot, it waits for one.
        """
        started = self.cluster.clock.monotonic()
        seconds = (self.seconds(target.size) if callable(self.seconds)
                   else self.seconds)
        now = self.cluster.now()
        job = records.Job(
            handle=self.cluster.next_id('handle'),
            clone_id=self.cluster.next_id('clone'),
            source_id=source.volume_id, volume_id=target.volume_id,
            snapshot_id=snapshot_id, node_id=self.cluster.node_of(source),
            size=target.size, seconds=seconds, started=started,
            created=now, updated=now, polls=self.polls or 0,
            polls_left=self.polls, failure=self._failure)
        self.by_handle[job.handle] = self._running[job.handle] = job
        self._start_waiting(started)
        return job

    def _start_waiting(self, now: float) -> None:
        """Start the jobs for which there is a slot, in their order.

        :param now: the reading of the clock at which a slot became free
        """
        running = self.running()
        if not any(job.waiting for job in running):
            return
        slots = _Slots(self.cluster, running)
        for job in running:
            if job.waiting and slots.take(job):
                job.waiting = False
                job.started = max(now, job.started)
                job.due = job.started + job.seconds

    def advance(self) -> None:
        """Finish the jobs that are due, and start those that waited."""
        if not self._running:
            return
        now = self.cluster.clock.monotonic()
        # A limit may have been raised.
        self._start_waiting(now)
        while True:
            due = [job for job in self.running()
                   if self.progress(job, now) >= 1.0]
            if not due:
                return
            first = min(job.due for job in due)
            for job in due:
                if job.due == first:
                    self._end(job, job.failure)
            # The slots were free from then on, not only since this call.
            self._start_waiting(now if due[0].polls else first)

    def progress(self, job: records.Job,
                 now: typing.Optional[float] = None) -> float:
        """Return how much of a running job is done, from 0.0 to 1.0.

        :param now: the reading of the cluster's clock, if known
        """
        if job.waiting:
            return 0.0
        if job.polls_left is not None:
            return 1.0 - job.polls_left / job.polls if job.polls else 1.0
        if now is None:
            now = self.cluster.clock.monotonic()
        if now >= job.due:
            return 1.0
        return (now - job.started) / (job.due - job.started)

    def elapsed(self, job: records.Job) -> float:
        """Return the seconds since a job got its slot; 0.0 before."""
        if job.waiting:
            return 0.0
        return self.cluster.clock.monotonic() - job.started

    def count_poll(self, job: records.Job) -> None:
        """Record that a client asked for the result of a running job."""
        if job.polls_left and not job.waiting:
            job.polls_left -= 1

    def cancel(self, job: records.Job, error: errors.ApiError) -> None:
        """End a job with an error; its volume is removed."""
        self._end(job, error)
        self._start_waiting(self.cluster.clock.monotonic())

    def cancel_all_of(self, volume_id: int) -> None:
        """End the jobs that read from or write to a volume."""
        for job in self.running():
            if volume_id in (job.source_id, job.volume_id):
                self._end(job, errors.ApiError(
                    'xVolumeIDDoesNotExist',
                    f'Volume {volume_id} does not exist.'))
        self._start_waiting(self.cluster.clock.monotonic())

    def _end(self, job: records.Job,
             error: typing.Optional[errors.ApiError]) -> None:
        job.done = True
        job.error = error
        job.updated = self.cluster.now()
        self._running.pop(job.handle, None)
        if error is None:
            self.cluster.volumes[job.volume_id].status = 'active'
        else:
            self.cluster.forget_volume(job.volume_id)


class _Slots:
    """The clone slots that running jobs occupy; waiting jobs do not."""

    def __init__(self, cluster: 'cluster.Cluster',
                 jobs: typing.Sequence[records.Job]) -> None:
        self._volume_max = cluster.limit('cloneJobsPerVolumeMax')
        self._node_max = cluster.limit('cloneJobsPerNodeMax')
        started = [job for job in jobs if not job.waiting]
        self._of_volume = collections.Counter(job.source_id
                                              for job in started)
        self._of_node = collections.Counter(job.node_id for job in started)

    def volume_is_full(self, volume_id: int) -> bool:
        return self._of_volume[volume_id] >= self._volume_max

    def node_is_full(self, node_id: int) -> bool:
        return self._of_node[node_id] >= self._node_max

    def take(self, job: records.Job) -> bool:
        """Occupy a slot for a job; return whether there was one."""
        if self.volume_is_full(job.source_id) or self.node_is_full(
                job.node_id):
            return False
        self._of_volume[job.source_id] += 1
        self._of_node[job.node_id] += 1
        return True
