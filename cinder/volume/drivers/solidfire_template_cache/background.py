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

"""Runs a periodic job outside of the call that triggers it."""

import threading
from typing import Callable
from typing import Optional

from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)

# Then a call or a command of the job most likely hangs.
_OVERDUE_SECONDS = 1800


class BackgroundRunner(object):
    """Runs one job in a thread of its own, never twice at a time.

    The volume manager waits for the driver's statistics, so what takes long
    must not run inside of them. No thread exists between two runs, and a
    thread does not keep the process from ending: whatever it leaves is found
    by the next run.

    :param name: what the job does, for the log
    :param job: the job; an exception it raises is logged as a warning
    """

    def __init__(self, name: str, job: Callable[[], None],
                 clock: clock_mod.SystemClock) -> None:
        self._name = name
        self._job = job
        self._lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._clock = clock
        self._triggered = 0.0
        self._overdue = False

    def trigger(self) -> bool:
        """Start the job unless it is running.

        :returns: whether it was started
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                self._report_running()
                return False
            self._triggered = self._clock.monotonic()
            self._overdue = False
            self._thread = threading.Thread(target=self._run, daemon=True,
                                            name=self._name)
            self._thread.start()
            return True

    def wait(self, seconds: Optional[float] = None) -> bool:
        """Wait for the running job to end.

        :param seconds: how long at most; None for as long as it takes
        :returns: whether no job is running any more
        """
        with self._lock:
            thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        return not thread.is_alive()

    def _report_running(self) -> None:
        """Warn once of a run that takes too long, with the lock held."""
        seconds = self._clock.monotonic() - self._triggered
        if seconds < _OVERDUE_SECONDS or self._overdue:
            LOG.debug('%s is still running.', self._name)
            return
        self._overdue = True
        LOG.warning('%(name)s has been running for %(seconds)d s. No other '
                    'run begins before it ends.',
                    {'name': self._name, 'seconds': seconds})

    def _run(self) -> None:
        failure = None
        try:
            self._job()
        except Exception as exc:
            failure = exc
        if failure is not None:
            LOG.warning('%(name)s was not completed: %(reason)s',
                        {'name': self._name,
                         'reason': log_utils.format_error(failure)})
