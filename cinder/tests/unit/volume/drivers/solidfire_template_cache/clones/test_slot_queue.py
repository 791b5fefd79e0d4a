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

"""Threads in the queue for slots: who is served, who looks, who is woken.

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
        self.sources = base.SourceSet()
        self.contexts = []

    def enter(self, source_set=None):
        """Return a ticket, and what gives up its place."""
        context = self.queue.ticket(source_set or self.sources)
        self.contexts.append(context)  # a context that is dropped ends
        return context.__enter__(), lambda: context.__exit__(None, None, None)

    def occupy(self, source_set=None, deadline=100):
        """Return the slot of a clone that was started, and its release."""
        ticket, leave = self.enter(source_set)
        slot = self.queue.wait(ticket, deadline)
        self.queue.accepted(slot, 1000 + ticket.number)
        return slot, leave

    def foreign(self, source_id, *volume_ids):
        """Let clones of other processes be listed."""
        self.client.list_clones.side_effect = None
        self.client.list_clones.return_value = [
            models.RunningClone(source_id, volume_id)
            for volume_id in volume_ids]

    def assert_times_out(self, ticket, deadline=100):
        self.assertRaises(slot_queue.QueueTimeout, self.queue.wait, ticket,
                          deadline)
        self.assertGreaterEqual(self.clock.monotonic(), deadline)


class SlotQueueTestCase(QueueTestCase):

    def test_wait(self):
        first, second = self.occupy()[0], self.occupy()[0]
        # To gather; the second one came within the window.
        self.assertEqual([0.015, 0.015], self.clock.waited)
        third, _leave = self.enter()
        self.clock.actions = [lambda: self.queue.ended(second)]
        self.assertIs(first.source, self.queue.wait(third, 100).source)
        self.assertEqual({7}, self.queue.source_ids())
        self.client.list_clones.assert_not_called()

    def test_wait_times_out(self):
        slot, _leave = self.occupy()
        self.occupy()
        ticket, leave = self.enter()
        self.assert_times_out(ticket, 10)
        leave()
        ticket, leave = self.enter()
        self.queue.ended(slot)
        self.queue.wait(ticket, -1)  # it does not have to wait
        leave()
        self.assertEqual(1, len(self.queue._dispatcher._used()))
        self.assertEqual(1, len(self.queue._conditions) - 1)

    def test_limits_of_the_cluster(self):
        self.info.clone_limits.return_value = slots.Limits(per_volume=3)
        self.info.nodes.return_value = 5
        for _i in range(3):
            self.occupy()
        self.assert_times_out(self.enter()[0], 1)
        self.enter()
        self.assertEqual(slots.Limits(3, 8, 5),
                         self.queue._dispatcher.table.limits)

    def test_sources_are_gone(self):
        ticket, _leave = self.enter()
        self.queue.source_is_gone(self.queue.wait(ticket, 100))
        self.assertRaises(slot_queue.SourcesGone, self.queue.wait, ticket, 100)

    def test_refresh(self):
        self.occupy()
        self.occupy()
        ticket, _leave = self.enter()
        self.sources.found.append(base.SourceSet.source(8))
        self.clock.actions = [lambda: self.queue.refresh(ticket.group)]
        self.assertEqual(8, self.queue.wait(ticket, 100).source.id)

    def test_replicas(self):
        self.sources.max_replicas = 32
        tickets = [self.enter()[0] for _i in range(20)]

        def fail():
            self.assertEqual(2, self.queue.replicas_coming())
            self.assertEqual([True, False], [
                self.queue.no_replica(call.args[0])
                for call in self.make_replica.call_args_list])

        self.clock.actions = [fail]
        self.assertIs(tickets[0], self.queue.wait(tickets[0], 100).ticket)
        self.assertEqual((0, 2), (self.queue.replicas_coming(),
                                  self.make_replica.call_count))


class LookTestCase(QueueTestCase):
    """The one who has waited longest looks at what the cluster runs."""

    def setUp(self):
        super().setUp()
        self.slots = [self.occupy()[0], self.occupy()[0]]
        self.ticket, self.leave = self.enter()

    def test_interval(self):
        # Rarely, once for all that wait, and told to the monitor.
        self.info.nodes.return_value = 9
        self.enter()
        self.foreign(7, 50)
        self.assert_times_out(self.ticket)
        self.assertTrue(75 <= self.client.list_clones.call_count <= 90,
                        self.client.list_clones.call_count)
        self.monitor.note_running.assert_called_with(
            self.client.list_clones.return_value)
        self.info.volume_nodes.assert_called_with([7])
        self.assertEqual(9, self.queue._dispatcher.table.limits.nodes)

    def test_clones_of_others_take_slots(self):
        self.foreign(7, 50)
        self.clock.actions = [lambda: self.clock.advance(1),
                              lambda: self.queue.ended(self.slots[0]),
                              lambda: self.foreign(7)]
        begin = self.clock.monotonic()
        self.queue.wait(self.ticket, 100)
        self.assertGreaterEqual(self.clock.monotonic() - begin, 1)
        self.assertEqual([], self.clock.actions)

    def test_clone_of_others_that_ended_may_be_a_replica(self):
        self.foreign(7, 50)
        self.clock.actions = [lambda: self.clock.advance(1),
                              lambda: self.foreign(7)]
        self.sources.found.append(base.SourceSet.source(8, maker='other'))
        self.assertEqual(8, self.queue.wait(self.ticket, 100).source.id)

    def test_failure(self):
        # The queue goes on; an unexpected error ends one request only.
        log = self.useFixture(fixtures.LogCapture())
        self.foreign(7, 50)
        self.queue._look()
        self.foreign(7)
        self.sources.refresh = mock.Mock(
            spec_set=[], side_effect=base.api_error('xNew'))
        self.queue._look()
        self.ticket.group.observed = False
        self.client.list_clones.side_effect = base.api_error('xNew')
        self.assert_times_out(self.ticket, 5)
        self.assertTrue(self.ticket.group.observed)
        self.sources.refresh.assert_called_once_with()
        self.assertIn('were not counted', log.text)
        self.assertEqual([], log.warnings)
        self.client.list_clones.side_effect = KeyError('x')
        self.assertRaises(KeyError, self.queue.wait, self.ticket, 100)
        self.client.list_clones.side_effect = None
        self.client.list_clones.return_value = []
        self.assert_times_out(self.ticket)


class NotificationTestCase(QueueTestCase):
    """Threads in real time, which ends no wait: it would take a minute."""

    CLOCK = NotifiedClock

    def setUp(self):
        super().setUp()
        self.slots = [self.occupy()[0], self.occupy()[0]]
        self.queue._look()  # so that no first look is due
        self.clock.waited.clear()
        self.results = []

    def begin_thread(self):
        ticket, _leave = self.enter()

        def run():
            try:
                self.results.append(self.queue.wait(ticket, 1000))
            except slot_queue.SourcesGone as exc:
                self.results.append(exc)

        self.clock.waiting.clear()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.assertTrue(self.clock.waiting.wait(60))
        return thread

    def join(self, *threads):
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive())

    def test_ended_wakes_the_next(self):
        threads = [self.begin_thread() for _i in range(2)]
        for slot, thread in zip(self.slots, threads):
            self.queue.ended(slot)
            self.join(thread)
        self.assertEqual([2, 3],
                         [slot.ticket.number for slot in self.results])

    def test_sources_gone_wakes_all(self):
        threads = [self.begin_thread() for _i in range(2)]
        self.queue.source_is_gone(self.slots[0])
        self.join(*threads)
        self.assertEqual([slot_queue.SourcesGone] * 2,
                         list(map(type, self.results)))

    def test_leader_hands_over(self):
        # The first one waits for the next look, the second until it is told
        # to; when the first one is served, the second is to look.
        first = self.begin_thread()
        second = self.begin_thread()
        self.assertLessEqual(self.clock.waited[0], 2)
        self.assertGreater(self.clock.waited[-1], 900)
        self.clock.waiting.clear()
        self.queue.ended(self.slots[0])
        self.join(first)
        self.assertTrue(self.clock.waiting.wait(60))
        self.assertLessEqual(self.clock.waited[-1], 2, self.clock.waited)
        self.queue.ended(self.slots[1])
        self.join(second)
