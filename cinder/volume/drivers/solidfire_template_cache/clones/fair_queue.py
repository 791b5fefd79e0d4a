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

"""A limiter of concurrent work per key that admits in order of arrival."""

import collections
import contextlib
import threading
from typing import Callable
from typing import Hashable
from typing import Iterator

from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod


class QueueTimeout(Exception):
    """The deadline passed before the ticket was at the head of its queue."""


class _Queue(object):
    def __init__(self) -> None:
        self.waiting: collections.deque['Ticket'] = collections.deque()
        self.started = 0


class FairLimiter(object):
    """Queues by key; in each, first come, first served.

    :param limit: returns how many may be started per key; called for each
        ticket
    """

    def __init__(self, limit: Callable[[], int],
                 clock: clock_mod.SystemClock) -> None:
        self._limit = limit
        self._clock = clock
        self._changed = threading.Condition()
        self._queues: dict[Hashable, _Queue] = {}

    @contextlib.contextmanager
    def ticket(self, key: Hashable, deadline: float) -> Iterator['Ticket']:
        """Wait until this thread may start; yield its ticket.

        The ticket stays at the head of the queue, so that no other thread
        tries, until :meth:`Ticket.mark_started` is called. It is released
        at the end of the block.

        :param deadline: by the clock's ``monotonic``, in seconds
        :raises QueueTimeout: the deadline passed first
        """
        limit = self._limit()
        with self._changed:
            queue = self._queues.setdefault(key, _Queue())
            ticket = Ticket(queue, self._changed, self._clock)
            queue.waiting.append(ticket)
        try:
            self._wait_for_turn(ticket, queue, limit, deadline)
            yield ticket
        finally:
            with self._changed:
                ticket.release()
                if not queue.waiting and not queue.started:
                    self._queues.pop(key, None)

    def keys(self) -> set[Hashable]:
        """Return the keys that have a ticket, waiting or started."""
        with self._changed:
            return set(self._queues)

    def _wait_for_turn(self, ticket: 'Ticket', queue: _Queue, limit: int,
                       deadline: float) -> None:
        with self._changed:
            while queue.waiting[0] is not ticket or queue.started >= limit:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise QueueTimeout()
                self._clock.wait(self._changed, left)


class Ticket(object):
    """The place of one thread in a queue."""

    def __init__(self, queue: _Queue, changed: threading.Condition,
                 clock: clock_mod.SystemClock) -> None:
        self._queue = queue
        self._changed = changed
        self._clock = clock
        self._started = False

    def mark_started(self) -> None:
        """Leave the head of the queue, so that the next ticket may try."""
        with self._changed:
            self._queue.waiting.remove(self)
            self._queue.started += 1
            self._started = True
            self._changed.notify_all()

    def back_off(self, seconds: float) -> None:
        """Wait for some seconds, or until another ticket is released."""
        with self._changed:
            self._clock.wait(self._changed, seconds)

    def release(self) -> None:
        """Give up the place; the limiter's condition must be held."""
        if self._started:
            self._queue.started -= 1
        else:
            self._queue.waiting.remove(self)
        self._changed.notify_all()
