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

"""The polls of clones, as the driver's clone monitor schedules them.

The monitor's threads wait on conditions; what they decide is repeated here,
with its constants.
"""

from cinder.volume.drivers.solidfire_template_cache.clones import monitor


class _Watched(object):
    """A clone that is waited for; see the monitor's."""

    def __init__(self, now):
        self.begin = now
        self.listed = self.remaining = self.wake = None
        self.missing = False


class Monitor(object):
    """Waits for the clones of one host.

    :param host: makes the calls
    """

    def __init__(self, host):
        self._env = host.env
        self._host = host
        self._in_flight = {}
        self._last_duration = {}

    def note_running(self, clones):
        """Use a list of all clones that run on the cluster."""
        by_id = {clone.volume_id: clone for clone in clones}
        for volume_id, watched in self._in_flight.items():
            clone = by_id.get(volume_id)
            if clone is not None:
                watched.listed = self._env.now
                watched.remaining = clone.remaining
            elif watched.listed is not None:
                watched.missing = True
                if watched.wake is not None and not watched.wake.triggered:
                    watched.wake.succeed()

    def wait(self, key, job):
        """Wait until a clone is done."""
        watched = self._in_flight[job.volume_id] = _Watched(self._env.now)
        expected = self._last_duration.get(key)
        due = yield from self._first_poll(watched, expected)
        polls = 0
        while True:
            yield from self._pause(watched, due)
            asked = self._env.now - watched.begin
            done = yield from self._host.call('GetAsyncResult',
                                              lambda: job.done)
            polls += 1
            elapsed = self._env.now - watched.begin
            if done:
                break
            due = yield from self._next_poll(watched, elapsed, polls,
                                             expected is not None)
        self._last_duration[key] = min(
            asked, due - watched.begin,
            monitor._MAX_GROWTH * (expected or asked)) * (
                monitor._ADVANCE if polls == 1 else 1.0)
        del self._in_flight[job.volume_id]

    def _first_poll(self, watched, expected):
        if expected is None:
            return watched.begin + monitor._MIN_POLL
        if expected > monitor._LONG_CLONE:
            yield from self._pause(
                watched, watched.begin + monitor._EARLY_LIST * expected)
            if not watched.missing:
                yield from self._list_running(watched)
            if watched.remaining is not None and watched.listed is not None:
                return min(
                    watched.begin + expected * (1 + monitor._RELATIVE_POLL),
                    watched.listed + watched.remaining)
        return watched.begin + expected

    def _next_poll(self, watched, elapsed, polls, expected):
        now = watched.begin + elapsed
        watched.missing = False
        repeated = max(monitor._RELATIVE_POLL * elapsed,
                       monitor._MIN_REPEATED_POLL)
        if expected and polls == 1:
            return now + repeated
        yield from self._list_running(watched)
        if watched.missing:
            watched.missing = False
        elif watched.remaining is not None and watched.listed is not None:
            return max(watched.listed + watched.remaining, now + repeated)
        return now + min(
            monitor._MIN_POLL * monitor._POLL_GROWTH ** (polls - 1),
            monitor._MAX_POLL)

    def _list_running(self, watched):
        if watched.listed is None or (
                self._env.now - watched.listed >= monitor._MIN_POLL):
            watched.remaining = None
            self.note_running((yield from self._host.call(
                'ListSyncJobs', self._host.cluster.running_clones)))

    def _pause(self, watched, due):
        while not watched.missing:
            now = self._env.now
            if watched.listed is not None:
                due = max(due, watched.listed + min(
                    watched.remaining or 0.0, max(
                        2 * monitor._RELATIVE_POLL *
                        (watched.listed - watched.begin),
                        monitor._MIN_POLL)))
            if now >= due:
                return
            watched.wake = self._env.event()
            # A millisecond more than due ends what rounding would repeat.
            yield watched.wake | self._env.timeout(due - now + 1e-6)
            watched.wake = None
