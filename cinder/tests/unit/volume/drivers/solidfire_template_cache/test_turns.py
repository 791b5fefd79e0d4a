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

"""Lines in which threads wait: order, limit, pauses, deadlines."""

import threading

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import turns

# Real seconds after which a test that hangs is given up.
_PATIENCE = 60


class SteppedClock(object):
    """Time that the test moves; knows who waits for it."""

    def __init__(self):
        self._changed = threading.Condition()
        self._now = 0.0
        self._waiting = {}

    def monotonic(self):
        with self._changed:
            return self._now

    def wait(self, condition, seconds):
        """Wait, with the condition held, until notified or time is up."""
        me = threading.current_thread()
        with self._changed:
            due = self._now + seconds
            self._waiting[me] = condition
            self._changed.notify_all()
        try:
            if self.monotonic() < due:
                condition.wait(_PATIENCE)
        finally:
            with self._changed:
                del self._waiting[me]
                self._changed.notify_all()

    def advance(self, seconds):
        with self._changed:
            self._now += seconds
            conditions = set(self._waiting.values())
        for condition in conditions:
            with condition:
                condition.notify_all()

    def await_waiting(self, thread):
        """Return when a thread waits."""
        with self._changed:
            if not self._changed.wait_for(lambda: thread in self._waiting,
                                          _PATIENCE):
                raise AssertionError('%s does not wait' % thread.name)


class Visitor(threading.Thread):
    """Goes through a turnstile, and stops at each step until let go on."""

    def __init__(self, case, name, key='key', deadline=100):
        super().__init__(name=name, daemon=True)
        self.case = case
        self.key = key
        self.deadline = deadline
        self.at_turn = threading.Event()
        self.inside = threading.Event()
        self.may_enter = threading.Event()
        self.may_leave = threading.Event()
        self.place = None
        self.error = None
        case.addCleanup(self.may_enter.set)
        case.addCleanup(self.may_leave.set)

    def run(self):
        try:
            with self.case.turnstile.turn(self.key, self.deadline) as place:
                self.place = place
                self.at_turn.set()
                self.may_enter.wait(_PATIENCE)
                place.accepted()
                self.inside.set()
                self.may_leave.wait(_PATIENCE)
        except turns.TimedOut as exc:
            self.error = exc

    def enter(self):
        """Take the turn that has come."""
        self.case.assertTrue(self.at_turn.wait(_PATIENCE))
        self.may_enter.set()
        self.case.assertTrue(self.inside.wait(_PATIENCE))
        return self

    def finish(self):
        self.may_enter.set()
        self.may_leave.set()
        self.join(_PATIENCE)
        self.case.assertFalse(self.is_alive())


class TurnstileTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = SteppedClock()
        self.limit = 2
        self.turnstile = turns.Turnstile(lambda: self.limit, self.clock)

    def visitor(self, name, **arguments):
        """Start a visitor whose turn comes at once."""
        visitor = Visitor(self, name, **arguments)
        visitor.start()
        self.assertTrue(visitor.at_turn.wait(_PATIENCE))
        return visitor

    def waiting(self, name, **arguments):
        """Start a visitor who has to wait in line."""
        visitor = Visitor(self, name, **arguments)
        visitor.start()
        self.clock.await_waiting(visitor)
        self.assertFalse(visitor.at_turn.is_set())
        return visitor

    def test_turn_of_one(self):
        with self.turnstile.turn('key', 1) as place:
            place.accepted()
        self.assertEqual({}, self.turnstile._lines)

    def test_turn_ends_without_being_accepted(self):
        with self.turnstile.turn('key', 1):
            pass
        self.assertEqual({}, self.turnstile._lines)

    def test_turns_up_to_the_limit(self):
        first = self.visitor('first').enter()
        second = self.visitor('second').enter()
        third = self.waiting('third')
        second.finish()
        third.enter()
        fourth = self.waiting('fourth')
        first.finish()
        fourth.enter()
        third.finish()
        fourth.finish()
        self.assertEqual({}, self.turnstile._lines)

    def test_turns_come_in_order_of_arrival(self):
        self.limit = 1
        inside = self.visitor('first').enter()
        line = [self.waiting('waiting %s' % i) for i in range(5)]
        for position, visitor in enumerate(line):
            inside.finish()
            visitor.enter()
            for later in line[position + 1:]:
                self.clock.await_waiting(later)
                self.assertFalse(later.at_turn.is_set())
            inside = visitor
        inside.finish()

    def test_head_of_the_line_keeps_others_waiting(self):
        # Nobody is inside, and still only the first one tries.
        first = self.visitor('first')
        second = self.waiting('second')
        first.enter()
        second.enter()
        first.finish()
        second.finish()

    def test_head_that_gives_up_lets_the_next_one_try(self):
        first = Visitor(self, 'first')

        def give_up():
            with self.turnstile.turn('key', 100):
                first.at_turn.set()
                first.may_leave.wait(_PATIENCE)

        first.run = give_up
        first.start()
        self.assertTrue(first.at_turn.wait(_PATIENCE))
        second = self.waiting('second')
        first.finish()
        second.enter().finish()

    def test_lines_of_other_keys_are_apart(self):
        self.limit = 1
        first = self.visitor('first', key=1).enter()
        second = self.visitor('second', key=2).enter()
        third = self.waiting('third', key=1)
        second.finish()
        self.clock.await_waiting(third)
        self.assertFalse(third.at_turn.is_set())
        first.finish()
        third.enter().finish()

    def test_turn_times_out(self):
        self.limit = 1
        first = self.visitor('first').enter()
        second = self.waiting('second', deadline=10)
        self.clock.advance(9.5)
        self.clock.await_waiting(second)
        self.assertIsNone(second.error)
        self.clock.advance(0.5)
        second.join(_PATIENCE)
        self.assertIsInstance(second.error, turns.TimedOut)
        self.assertFalse(second.at_turn.is_set())
        first.finish()
        self.assertEqual({}, self.turnstile._lines)

    def test_turn_after_the_deadline_is_taken_when_free(self):
        with self.turnstile.turn('key', -1) as place:
            place.accepted()

    def test_turn_of_others_after_one_timed_out(self):
        self.limit = 1
        first = self.visitor('first').enter()
        second = self.waiting('second', deadline=10)
        third = self.waiting('third')
        self.clock.advance(10)
        second.join(_PATIENCE)
        self.assertIsInstance(second.error, turns.TimedOut)
        self.clock.await_waiting(third)
        first.finish()
        third.enter().finish()
        self.assertEqual({}, self.turnstile._lines)

    def test_error_inside_gives_the_place_up(self):
        self.limit = 1

        def fail(accept):
            with self.turnstile.turn('key', 1) as place:
                if accept:
                    place.accepted()
                raise KeyError('x')

        for accept in (True, False, True):
            self.assertRaises(KeyError, fail, accept)
            self.assertEqual({}, self.turnstile._lines)
        self.visitor('next').enter().finish()

    def test_limit_that_cannot_be_told_leaves_no_line(self):
        def limit():
            raise KeyError('x')

        turnstile = turns.Turnstile(limit, self.clock)

        def enter():
            with turnstile.turn('key', 1):
                pass

        self.assertRaises(KeyError, enter)
        self.assertEqual({}, turnstile._lines)

    def test_limit_is_asked_for_each_time(self):
        self.limit = 1
        first = self.visitor('first').enter()
        self.limit = 2
        self.visitor('second').enter().finish()
        first.finish()

    def test_pause_ends_when_time_is_up(self):
        paused = threading.Thread(target=self._pause, daemon=True)
        paused.start()
        self.clock.await_waiting(paused)
        self.clock.advance(5)
        paused.join(_PATIENCE)
        self.assertFalse(paused.is_alive())

    def test_pause_ends_when_somebody_leaves(self):
        first = self.visitor('first').enter()
        paused = threading.Thread(target=self._pause, daemon=True)
        paused.start()
        self.clock.await_waiting(paused)
        first.finish()
        paused.join(_PATIENCE)
        self.assertFalse(paused.is_alive())
        self.assertEqual(0, self.clock.monotonic())

    def _pause(self):
        with self.turnstile.turn('key', 100) as place:
            place.pause(5)

    def test_system_clock_by_default(self):
        turnstile = turns.Turnstile(lambda: 1)
        with turnstile.turn('key', 0) as place:
            place.accepted()
            # It has passed by the time of any machine.
            self.assertRaises(turns.TimedOut, self._enter, turnstile)

    @staticmethod
    def _enter(turnstile):
        with turnstile.turn('key', 0):
            pass
