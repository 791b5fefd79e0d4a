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

import contextlib
import typing

from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records

if typing.TYPE_CHECKING:
    from cinder.tests.element_simulator import cluster

Duration = typing.Union[float, typing.Callable[[int], float]]
"""Seconds, or a callable that computes them from a size in bytes."""


class Jobs:
    """The clone jobs of one cluster.

    :param cluster: the Cluster
    :param seconds: duration of a clone
    :param polls: if not None, a clone ends after this number of calls of
                  GetAsyncResult for it, whatever the clock says
    """

    def __init__(self, cluster: 'cluster.Cluster', seconds: Duration,
                 polls: typing.Optional[int]) -> None:
        self.cluster = cluster
        self.seconds = seconds
        self.polls = polls
        self.by_handle: dict[int, records.Job] = {}
        self._failure: typing.Optional[errors.ApiError] = None

    def running(self) -> list[records.Job]:
        """Return the jobs that are not done."""
        return [job for job in self.by_handle.values() if not job.done]

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
        """Check that a volume and its node can have one more clone running.

        :raises: xMaxClonesPerVolumeExceeded, xMaxClonesPerNodeExceeded
        """
        running = self.running()
        of_volume = [job for job in running
                     if job.source_id == volume.volume_id]
        if len(of_volume) >= self.cluster.limit('cloneJobsPerVolumeMax'):
            raise errors.ApiError(
                'xMaxClonesPerVolumeExceeded',
                f'Volume {volume.volume_id} has its maximum of clones')
        node_id = self.cluster.node_of(volume)
        of_node = [job for job in running if job.node_id == node_id]
        if len(of_node) >= self.cluster.limit('cloneJobsPerNodeMax'):
            raise errors.ApiError(
                'xMaxClonesPerNodeExceeded',
                f'Node {node_id} has its maximum of clones')

    def start(self, source: records.Volume, target: records.Volume,
              snapshot_id: int = 0) -> records.Job:
        """Start the clone of a volume into a new one with status init."""
        started = self.cluster.clock.monotonic()
        seconds = (self.seconds(target.size) if callable(self.seconds)
                   else self.seconds)
        now = self.cluster.now()
        job = records.Job(
            handle=self.cluster.next_id('handle'),
            clone_id=self.cluster.next_id('clone'),
            source_id=source.volume_id, volume_id=target.volume_id,
            snapshot_id=snapshot_id, node_id=self.cluster.node_of(source),
            size=target.size, started=started, due=started + seconds,
            created=now, updated=now, polls=self.polls or 0,
            polls_left=self.polls, failure=self._failure)
        self.by_handle[job.handle] = job
        return job

    def advance(self) -> None:
        """Finish the jobs that are due."""
        now = self.cluster.clock.monotonic()
        for job in sorted(self.running(), key=lambda each: each.due):
            if self.progress(job, now) >= 1.0:
                self._end(job, job.failure)

    def progress(self, job: records.Job,
                 now: typing.Optional[float] = None) -> float:
        """Return how much of a running job is done, from 0.0 to 1.0.

        :param now: the reading of the cluster's clock, if known
        """
        if job.polls_left is not None:
            return 1.0 - job.polls_left / job.polls if job.polls else 1.0
        if now is None:
            now = self.cluster.clock.monotonic()
        if now >= job.due:
            return 1.0
        return (now - job.started) / (job.due - job.started)

    def count_poll(self, job: records.Job) -> None:
        """Record that a client asked for the result of a running job."""
        if job.polls_left:
            job.polls_left -= 1

    def cancel(self, job: records.Job, error: errors.ApiError) -> None:
        """End a job with an error; its volume is removed."""
        self._end(job, error)

    def cancel_all_of(self, volume_id: int) -> None:
        """End the jobs that read from or write to a volume."""
        for job in self.running():
            if volume_id in (job.source_id, job.volume_id):
                self._end(job, errors.ApiError(
                    'xVolumeIDDoesNotExist',
                    f'Volume {volume_id} does not exist.'))

    def _end(self, job: records.Job,
             error: typing.Optional[errors.ApiError]) -> None:
        job.done = True
        job.error = error
        job.updated = self.cluster.now()
        if error is None:
            self.cluster.volumes[job.volume_id].status = 'active'
        else:
            self.cluster.forget_volume(job.volume_id)
