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

"""Time as the cache uses it, in one object that a test can replace."""

import datetime
import threading
import time

from oslo_utils import timeutils


class SystemClock(object):
    """The time of this machine.

    Only ``time`` and ``threading`` primitives are used: they work with
    native threads, and are patched where eventlet runs the service.
    """

    def monotonic(self) -> float:
        """Return seconds since some fixed point, never going back."""
        return time.monotonic()

    def now(self) -> datetime.datetime:
        """Return the date and time, as an aware datetime in UTC.

        Unlike :meth:`monotonic` it may jump, and differ between hosts.
        """
        return timeutils.utcnow(with_timezone=True)

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for a number of seconds."""
        time.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait for a notification of a held condition, at most seconds."""
        condition.wait(seconds)
