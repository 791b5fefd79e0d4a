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

"""Queues in which threads wait: order, limit, back-off, deadlines."""

import functools
import threading
from unittest import mock

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache.clones import fair_queue


class ScriptedClock(fixtures.ManualClock):
    """A clock whose waits do what other threads would do meanwhile."""

    def __init__(self):
        super().__init__()
        self.actions = []

    def wait(self, condition, seconds):
        if not self.actions:
            return super().wait(condition, seconds)
        self.waited.append(seconds)
        self.actions.pop(0)()


class FairLimiterTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = ScriptedClock()
        self.limit = 2
        self.limiter = fair_queue.FairLimiter(lambda: self.limit, self.clock)

    def enter(self, key='key', deadline=100, start=True):
        """Get a ticket; return a callable that releases it."""
        context = self.limiter.ticket(key, deadline)
        ticket = context.__enter__()
        if start:
            ticket.mark_started()
        return functools.partial(context.__exit__, None, None, None)

    def assert_times_out(self, **arguments):
        self.assertRaises(fair_queue.QueueTimeout, self.enter, **arguments)

    def test_ticket_up_to_the_limit(self):
        first, second = self.enter(), self.enter()
        self.assertEqual([], self.clock.waited)
        self.clock.actions = [second]
        third = self.enter()
        self.assertEqual([100], self.clock.waited)
        self.assert_times_out()
        first()
        fourth = self.enter()
        third()
        fourth()
        self.assertEqual(set(), self.limiter.keys())

    def test_ticket_order_of_arrival(self):
        self.limit = 1
        first = self.enter()

        def arrive_later():
            # A slot becomes free, and is not for the one who came last.
            self.clock.actions = [first]
            self.assert_times_out(deadline=50)

        self.clock.actions = [arrive_later]
        self.enter()()
        self.assertEqual([100, 50, 50], self.clock.waited)

    def test_ticket_not_started(self):
        # The limit is not reached, and still only the first one tries.
        first = self.enter(start=False)
        self.assert_times_out()
        first()
        self.enter()
        self.enter()

    def test_ticket_of_another_key(self):
        self.limit = 1
        first, second = self.enter(key=1), self.enter(key=2)
        self.assertEqual({1, 2}, self.limiter.keys())
        second()
        self.assertEqual({1}, self.limiter.keys())
        self.assert_times_out(key=1)
        first()

    def test_ticket_deadline(self):
        self.limit = 1
        first = self.enter()
        self.clock.actions = [lambda: self.clock.advance(9.5)]
        self.assert_times_out(deadline=10)
        self.assertEqual([10, 0.5], self.clock.waited)
        first()
        # A deadline that has passed counts only if there is a wait.
        self.enter(deadline=-1)

    def test_ticket_error_in_the_block(self):
        self.limit = 1
        for start in (True, False, True):
            context = self.limiter.ticket('key', 1)
            ticket = context.__enter__()
            if start:
                ticket.mark_started()
            self.assertFalse(context.__exit__(KeyError, KeyError('x'), None))
            self.assertEqual(set(), self.limiter.keys())

    def test_ticket_limit_changes(self):
        self.limit = 1
        first = self.enter()
        self.limit = 2
        self.enter()()
        first()
        limit = mock.Mock(spec_set=[], side_effect=KeyError('x'))
        self.limiter = fair_queue.FairLimiter(limit, self.clock)
        self.assertRaises(KeyError, self.enter)
        self.assertEqual(set(), self.limiter.keys())


class NotificationTestCase(test.TestCase):
    """Threads in real time, which ends no wait: it takes 300 seconds."""

    def setUp(self):
        super().setUp()
        self.waiting = threading.Event()
        wait = clock.SystemClock.wait
        self.mock_object(
            clock.SystemClock, 'wait', autospec=True,
            side_effect=lambda *args: self.waiting.set() or wait(*args))
        self.limiter = fair_queue.FairLimiter(lambda: 2, clock.SystemClock())
        self.thread = threading.Thread(target=self.run_thread, daemon=True)

    def run_thread(self):
        deadline = clock.SystemClock().monotonic() + 300
        with self.limiter.ticket('key', deadline) as ticket:
            ticket.back_off(300)

    def begin_thread(self):
        self.waiting.clear()
        self.thread.start()
        self.assertTrue(self.waiting.wait(60))

    def test_mark_started_admits_the_next(self):
        with self.limiter.ticket('key', 0) as ticket:
            self.begin_thread()
            self.waiting.clear()
            ticket.mark_started()
            self.assertTrue(self.waiting.wait(60))
        self.thread.join(60)
        self.assertFalse(self.thread.is_alive())

    def test_release_ends_back_off(self):
        with self.limiter.ticket('key', 0) as ticket:
            ticket.mark_started()
            self.begin_thread()
        self.thread.join(60)
        self.assertFalse(self.thread.is_alive())
