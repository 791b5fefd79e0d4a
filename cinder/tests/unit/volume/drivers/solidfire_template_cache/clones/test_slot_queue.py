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

"""Threads in the queue for slots: who is served, who polls, who is woken.

Most tests have one thread: while it waits, its clock does what other threads
would do.
"""

import threading
from unittest import mock

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.clones import slot_queue
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.element import models


class ScriptedClock(fixtures.ManualClock):
    """A clock whose next long waits do what other threads would do."""

    def __init__(self):
        super().__init__()
        self.actions = []

    def wait(self, condition, seconds):
        if seconds < 0.06 or not self.actions:  # the gather window
            return super().wait(condition, seconds)
        self.waited.append(seconds)
        condition.release()
        try:
            self.actions.pop(0)()
        finally:
            condition.acquire()


class NotifiedClock(fixtures.ManualClock):
    """A clock of which only notifications end waits, but the shortest."""

    def __init__(self):
        super().__init__()
        self.waiting = threading.Event()

    def wait(self, condition, seconds):
        if seconds < 0.06:
            return super().wait(condition, seconds)
        self.waited.append(seconds)
        self.waiting.set()
        if not condition.wait(60):
            raise AssertionError('not notified')


class QueueTestCase(base.CloneTestCase):

    CLOCK = ScriptedClock

    def setUp(self):
        super().setUp()
        self.monitor = mock.create_autospec(monitor.CloneMonitor,
                                            instance=True)
        self.make_replica = mock.Mock(spec_set=[])
        self.queue = slot_queue.SlotQueue(
            self.cluster, self.info, self.monitor, self.make_replica)
        # No slot is left to others by chance.
        self.mock_object(self.queue._dispatcher._rng, 'random', lambda: 1.0)
        self.sources = base.source_set()
        self.contexts = {}

    def enter(self, source_set=None):
        """Return a ticket; its place is kept until it leaves."""
        context = self.queue.ticket(source_set or self.sources)
        ticket = context.__enter__()
        self.contexts[ticket] = context
        return ticket

    def leave(self, ticket):
        self.contexts[ticket].__exit__(None, None, None)

    def wait(self, ticket, deadline=100):
        return self.queue.wait(ticket, deadline)

    def occupy(self, count=2):
        """Return the slots of clones that were started."""
        found = []
        for number in range(count):
            found.append(self.wait(self.enter()))
            self.queue.accepted(found[-1], 1000 + number)
        return found

    def foreign(self, *volume_ids):
        """Let clones of other processes be listed."""
        self.client.list_clones.side_effect = None
        self.client.list_clones.return_value = [
            models.RunningClone(7, volume_id) for volume_id in volume_ids]

    def assert_times_out(self, ticket, deadline=100):
        self.assertRaises(slot_queue.QueueTimeout, self.wait, ticket, deadline)
        self.assertGreaterEqual(self.clock.monotonic(), deadline)


class SlotQueueTestCase(QueueTestCase):

    def test_wait(self):
        first, second = self.occupy()
        # To gather; the second one came within the window.
        self.assertEqual([0.015, 0.015], self.clock.waited)
        third = self.enter()
        self.clock.actions = [lambda: self.queue.ended(second, True)]
        self.assertIs(first.source, self.wait(third).source)
        self.assertEqual({7}, self.queue.source_ids())
        self.client.list_clones.assert_not_called()

    def test_wait_times_out(self):
        slot, _other = self.occupy()
        ticket = self.enter()
        self.assert_times_out(ticket, 10)
        self.leave(ticket)
        ticket = self.enter()
        self.queue.ended(slot, True)
        self.wait(ticket, -1)  # it does not have to wait
        self.leave(ticket)
        self.assertEqual((1, 2), (len(self.queue._dispatcher._used()),
                                  len(self.queue._conditions)))

    def test_limits_of_the_cluster(self):
        self.info.clone_limits.return_value = slots.Limits(per_volume=3)
        self.info.nodes.return_value = 5
        self.occupy(3)
        self.assert_times_out(self.enter(), 1)
        self.enter()
        self.assertEqual(slots.Limits(3, 8, 5),
                         self.queue._dispatcher.table.limits)

    def test_replicas(self):
        self.sources.max_replicas = 32
        first, *_others = [self.enter() for _i in range(20)]

        def fail():
            self.assertEqual(2, self.queue.replicas_coming())
            self.assertEqual([True, False], [
                self.queue.no_replica(call.args[0], False)
                for call in self.make_replica.call_args_list])

        self.clock.actions = [fail]
        self.assertIs(first, self.wait(first).ticket)
        self.assertEqual((0, 2), (self.queue.replicas_coming(),
                                  self.make_replica.call_count))

    def test_no_thread_for_a_replica(self):
        # The slots that were assigned with it are used.
        log = self.useFixture(fixtures.LogCapture())
        self.sources.max_replicas = 32
        self.make_replica.side_effect = RuntimeError("can't start new thread")
        tickets = [self.enter() for _i in range(20)]
        self.assertEqual(tickets[:2], [self.wait(ticket).ticket
                                       for ticket in tickets[:2]])
        self.assertEqual(0, self.queue.replicas_coming())
        self.assertIn("can't start new thread", log.warnings[0])
        self.make_replica.assert_called_once()

    def test_position(self):
        self.occupy()
        waiting = [self.enter() for _i in range(3)]
        self.assertEqual([(0, 2), (1, 2), (2, 2)],
                         list(map(self.queue.position, waiting)))


class PollTestCase(QueueTestCase):
    """The one who has waited longest looks at what the cluster runs."""

    def setUp(self):
        super().setUp()
        self.slots = self.occupy()
        self.ticket = self.enter()

    def test_interval(self):
        # Rarely, once for all that wait, and told to the monitor.
        self.info.nodes.return_value = 9
        self.enter()
        self.foreign(50)
        self.assert_times_out(self.ticket)
        self.assertTrue(75 <= self.client.list_clones.call_count <= 90,
                        self.client.list_clones.call_count)
        self.monitor.note_running.assert_called_with(
            self.client.list_clones.return_value)
        self.info.volume_nodes.assert_called_with([7])
        self.assertEqual(9, self.queue._dispatcher.table.limits.nodes)

    def test_clones_of_others_take_slots(self):
        self.foreign(50)
        self.clock.actions = [lambda: self.clock.advance(1),
                              lambda: self.queue.ended(self.slots[0], True),
                              self.foreign]
        begin = self.clock.monotonic()
        self.wait(self.ticket)
        self.assertGreaterEqual(self.clock.monotonic() - begin, 1)
        self.assertEqual([], self.clock.actions)

    def test_clone_of_others_that_ended_may_be_a_replica(self):
        self.foreign(50)
        self.clock.actions = [lambda: self.clock.advance(1), self.foreign]
        self.sources.refresh.return_value.append(base.source(8, maker='other'))
        self.assertEqual(8, self.wait(self.ticket).source.id)

    def test_thread_with_a_slot_lists_no_other_images(self):
        other = base.source_set(9, key=('other',))
        self.enter(other)
        self.foreign(50)
        self.client.list_clones.return_value.append(
            models.RunningClone(9, 60))
        self.queue._poll(self.ticket)
        self.foreign()
        self.ticket.slot = self.slots[0]
        self.queue._poll(self.ticket)
        other.refresh.assert_not_called()
        self.sources.refresh.assert_called_once_with()
        self.ticket.slot = None
        self.queue._poll(self.ticket)
        other.refresh.assert_called_once_with()

    def test_slot_is_not_for_the_thread_that_polls(self):
        other = self.enter()
        found = []

        def list_clones():
            if not found:
                self.queue.ended(self.slots[0], True)
                found.extend([self.ticket.slot, other.slot])
            return []

        self.queue._poll(self.ticket)
        self.client.list_clones.side_effect = list_clones
        self.assert_times_out(self.ticket, 3)
        self.assertIsNone(found[0])
        self.assertIs(other, found[1].ticket)

    def test_failure(self):
        # The queue goes on; an unexpected error ends one request only.
        log = self.useFixture(fixtures.LogCapture())
        self.foreign(50)
        self.queue._poll(self.ticket)
        self.foreign()
        self.sources.refresh.side_effect = base.NEW_ERROR
        self.queue._poll(self.ticket)
        self.sources.refresh.assert_called_once_with()
        # It is tried again at the next look.
        self.sources.refresh.side_effect = None
        self.queue._poll(self.ticket)
        self.queue._poll(self.ticket)
        self.assertEqual(2, self.sources.refresh.call_count)
        self.ticket.group.observed = False
        self.client.list_clones.side_effect = base.NEW_ERROR
        self.assert_times_out(self.ticket, 5)
        self.assertTrue(self.ticket.group.observed)
        self.assertIn('were not counted', log.text)
        self.assertEqual([], log.warnings)
        self.client.list_clones.side_effect = KeyError('x')
        self.assertRaises(KeyError, self.wait, self.ticket)
        self.foreign()
        self.assert_times_out(self.ticket)


class NotificationTestCase(QueueTestCase):
    """Threads in real time, which ends no wait: it would take a minute."""

    CLOCK = NotifiedClock

    def setUp(self):
        super().setUp()
        self.slots = self.occupy()
        # So that no first look is due.
        self.queue._poll(self.slots[0].ticket)
        self.clock.waited.clear()
        self.results = []
        self.threads = [self.begin_thread() for _i in range(2)]

    def begin_thread(self):
        ticket = self.enter()

        def run():
            try:
                self.results.append(self.wait(ticket, 1000).ticket)
            except slot_queue.SourcesGone:
                self.results.append(None)

        self.clock.waiting.clear()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.assertTrue(self.clock.waiting.wait(60))
        return thread

    def join(self, *threads):
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive())

    def test_leader_hands_over(self):
        # The first one waits for the next look, the second until it is told
        # to; when the first one is served, the second is to look.
        self.assertLessEqual(self.clock.waited[0], 2)
        self.assertGreater(self.clock.waited[-1], 900)
        self.clock.waiting.clear()
        self.queue.ended(self.slots[0], True)
        self.join(self.threads[0])
        self.assertTrue(self.clock.waiting.wait(60))
        self.assertLessEqual(self.clock.waited[-1], 2, self.clock.waited)
        self.queue.ended(self.slots[1], True)
        self.join(self.threads[1])
        self.assertEqual(list(self.contexts)[2:], self.results)

    def test_sources_gone_wakes_all(self):
        self.queue.source_is_gone(self.slots[0])
        self.join(*self.threads)
        self.assertEqual([None, None], self.results)
