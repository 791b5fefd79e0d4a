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

"""When templates were last used, as far as this process knows.

A request notes its use here, which costs no call; housekeeping writes it to
the cluster now and then, where it survives this process.
"""

import datetime
import math
import threading
from typing import MutableMapping

import cachetools

from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache.templates import model

# A use is written to the cluster when the record is older by this much,
# which is also what a restart of the service can lose.
_RECORD_INTERVAL = datetime.timedelta(minutes=10)

_MAX_ENTRIES = 4096

_NEVER = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
_UNUSED = (_NEVER, -math.inf)


class UsageTracker(object):
    """The last use of each template of one cluster. Threads may share it.

    :param clock: gives the date and time
    """

    def __init__(self, clock: clock_mod.SystemClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # By volumeID, the date and the ``monotonic`` of the last use.
        self._noted: MutableMapping[int, tuple[datetime.datetime, float]] = (
            cachetools.LRUCache(_MAX_ENTRIES))

    def note(self, template: model.Template) -> None:
        """Note that a template was cloned just now."""
        with self._lock:
            self._noted[template.volume_id] = (self._clock.now(),
                                               self._clock.monotonic())

    def last_used(self, template: model.Template) -> datetime.datetime:
        """Return the last use of a template, recorded or noted.

        :returns: an aware datetime; the earliest one when none is known
        """
        with self._lock:
            noted, _monotonic = self._noted.get(template.volume_id, _UNUSED)
        return max(noted,
                   template.last_used or template.filled_at or _NEVER)

    def unused_seconds(self, template: model.Template) -> float:
        """Return the seconds since this process used a template.

        What is recorded does not count, for it may be by another clock.

        :returns: infinity when no use is noted
        """
        with self._lock:
            _noted, monotonic = self._noted.get(template.volume_id, _UNUSED)
        return self._clock.monotonic() - monotonic

    def needs_recording(self, template: model.Template) -> bool:
        """Return whether the record of a template lags behind its use."""
        recorded = template.last_used or _NEVER
        return self.last_used(template) - recorded >= _RECORD_INTERVAL
