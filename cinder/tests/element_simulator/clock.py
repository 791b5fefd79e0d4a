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

"""A clock that moves only when told to."""

import threading


class ManualClock:
    """Stands in for the time module where a Cluster or Server takes one.

    :param now: what monotonic() answers first, in seconds
    """

    def __init__(self, now=0.0):
        self._now = now
        self._lock = threading.Lock()
        self.slept = []

    def monotonic(self):
        with self._lock:
            return self._now

    def advance(self, seconds):
        """Move the clock forward."""
        with self._lock:
            self._now += seconds

    def sleep(self, seconds):
        """Move the clock forward as a sleeper sees it, and note it."""
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)
