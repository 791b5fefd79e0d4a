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

"""Clones under way: their slots, their progress and their end.

Nothing runs in the background. A job is moved on when somebody looks.
"""

import collections
import contextlib

from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records


class Jobs:
    """The clone jobs of one cluster.

    :param cluster: the Cluster that they belong to
    :param seconds: how long a clone takes, or a callable that tells it from
                    the size of the new volume in bytes
    :param polls: when not None, a clone ends after it was asked about this
                  many times with GetAsyncResult, whatever the clock says
    """

    def __init__(self, cluster, seconds, polls):
        self.cluster = cluster
        self.seconds = seconds
        self.polls = polls
        self.by_handle = {}
        self._failures = collections.deque()

    def running(self):
        return [job for job in self.by_handle.values() if not job.done]

    def fail_next(self, error):
        """Let the next clone that starts end with this ApiError."""
        self._failures.append(error)

    @contextlib.contextmanager
    def failing(self, error):
        """Let a clone that starts in this block end with the error."""
        if error is None:
            yield
            return
        self._failures.appendleft(error)
        try:
            yield
        finally:
            if self._failures and self._failures[0] is error:
                self._failures.popleft()

    def check_slots(self, volume):
        """Refuse what would be one clone too many.

        :raises: xMaxClonesPerVolumeExceeded or xMaxClonesPerNodeExceeded
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

    def start(self, source, target, snapshot_id=0):
        """Begin the clone of a volume into one of status init."""
        failure = self._failures.popleft() if self._failures else None
        started = self.cluster.clock.monotonic()
        seconds = self.seconds
        if callable(seconds):
            seconds = seconds(target.size)
        now = self.cluster.now()
        job = records.Job(
            handle=self.cluster.next_id('handle'),
            clone_id=self.cluster.next_id('clone'),
            source_id=source.volume_id, volume_id=target.volume_id,
            snapshot_id=snapshot_id, node_id=self.cluster.node_of(source),
            size=target.size, started=started, due=started + seconds,
            created=now, updated=now, polls=self.polls,
            polls_left=self.polls, failure=failure)
        self.by_handle[job.handle] = job
        return job

    def advance(self):
        """End the jobs whose time has come."""
        now = self.cluster.clock.monotonic()
        for job in sorted(self.running(), key=lambda each: each.due):
            if self.progress(job, now) >= 1.0:
                self._end(job, job.failure)

    def progress(self, job, now=None):
        """Return how much of a running job is done, from 0.0 to 1.0."""
        if job.polls is not None:
            return 1.0 - job.polls_left / job.polls if job.polls else 1.0
        if now is None:
            now = self.cluster.clock.monotonic()
        if now >= job.due:
            return 1.0
        return (now - job.started) / (job.due - job.started)

    def count_poll(self, job):
        """Note that a client asked about the running job."""
        if job.polls_left:
            job.polls_left -= 1

    def cancel(self, job, error):
        """End the job now, without a clone."""
        self._end(job, error)

    def cancel_all_of(self, volume_id):
        """End the jobs that read from or write to a volume now gone."""
        for job in self.running():
            if volume_id in (job.source_id, job.volume_id):
                self._end(job, errors.ApiError(
                    'xVolumeIDDoesNotExist',
                    f'Volume {volume_id} does not exist.'))

    def _end(self, job, error):
        job.done = True
        job.error = error
        job.updated = self.cluster.now()
        if error is None:
            self.cluster.volumes[job.volume_id].status = 'active'
        else:
            self.cluster.forget_volume(job.volume_id)
