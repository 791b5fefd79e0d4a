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

"""Turns: lines in which threads wait, and a few are let in at a time."""

import collections
import contextlib
import threading

from cinder.volume.drivers.solidfire_template_cache import clock as clocks


class TimedOut(Exception):
    """The turn did not come in time."""


class _Line(object):
    def __init__(self):
        self.waiting = collections.deque()
        self.inside = 0


class Turnstile(object):
    """Lines by key; in each, first come, first served.

    :param limit: a callable that returns how many may be inside per key
    """

    def __init__(self, limit, clock=None):
        self._limit = limit
        self._clock = clock or clocks.SystemClock()
        self._changed = threading.Condition()
        self._lines = {}

    @contextlib.contextmanager
    def turn(self, key, deadline):
        """Wait until it is this thread's turn, and yield its place.

        The place stays at the head of the line, so that nobody else tries,
        until :meth:`Place.accepted` is called; it is given up at the end
        of the block.

        :param deadline: by the clock's ``monotonic``
        :raises TimedOut: when the deadline passes first
        """
        limit = self._limit()
        place = Place(self._changed, self._clock)
        with self._changed:
            line = self._lines.setdefault(key, _Line())
            line.waiting.append(place)
            place.line = line
        try:
            self._await_turn(place, limit, deadline)
            yield place
        finally:
            with self._changed:
                place.leave()
                if not line.waiting and not line.inside:
                    self._lines.pop(key, None)

    def keys(self):
        """Return the keys for which anybody waits for, or has, a turn."""
        with self._changed:
            return set(self._lines)

    def _await_turn(self, place, limit, deadline):
        line = place.line
        with self._changed:
            while line.waiting[0] is not place or line.inside >= limit:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise TimedOut()
                self._clock.wait(self._changed, left)


class Place(object):
    """One thread's place in a line."""

    def __init__(self, changed, clock):
        self._changed = changed
        self._clock = clock
        self._inside = False
        self.line = None

    def accepted(self):
        """Go inside, and let the next in the line try."""
        with self._changed:
            self.line.waiting.remove(self)
            self.line.inside += 1
            self._inside = True
            self._changed.notify_all()

    def pause(self, seconds):
        """Wait for a while, or until somebody has left."""
        with self._changed:
            self._clock.wait(self._changed, seconds)

    def leave(self):
        """Give up the place; with the turnstile's condition held."""
        if self._inside:
            self.line.inside -= 1
        else:
            self.line.waiting.remove(self)
        self._changed.notify_all()
