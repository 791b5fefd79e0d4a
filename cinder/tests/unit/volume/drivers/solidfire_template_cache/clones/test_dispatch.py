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

"""Which clone starts next, on a clock and with random numbers handed in."""

import collections
import random

import ddt

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.volume.drivers.solidfire_template_cache.clones import dispatch
from cinder.volume.drivers.solidfire_template_cache.clones import planning
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.element import models


class DispatchTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.dispatcher = dispatch.Dispatcher(random.Random(8))
        self.dispatcher.table.set_limits(slots.Limits(nodes=4))
        self.now = 100.0
        self.volume_id = 1000

    def arrive(self, count=1, *source_ids, **arguments):
        """Queue clones; return their tickets."""
        source_set = base.source_set(*source_ids, **arguments)
        return [self.dispatcher.arrive(source_set, self.now)
                for _i in range(count)]

    def assign(self, seconds=0.015):
        """Return the slots, after the gather window; start the clones."""
        self.now += seconds
        found = self.dispatcher.assign(self.now)
        for slot in found:
            self.volume_id += 1
            self.dispatcher.accepted(slot, self.volume_id, self.now)
        return found

    def served(self, seconds=0.015):
        """Return the tickets that get a slot; None stands for a replica."""
        return [slot.ticket for slot in self.assign(seconds)]

    def observe(self, source_id=7, *volume_ids):
        """Let clones of other processes run; return groups."""
        found = self.dispatcher.observe(
            [models.RunningClone(source_id, volume_id)
             for volume_id in volume_ids], self.now)
        self.dispatcher.divide(self.now)
        return found

    def begin(self, count, *source_ids, **arguments):
        """Let clones arrive; return the tickets, and those with a slot."""
        tickets = self.arrive(count, *source_ids, **arguments)
        found = self.assign()
        self.observe()
        found += self.assign()
        return tickets, found

    def set_sources(self, ticket, *source_ids):
        self.dispatcher.set_sources(
            ticket.group, map(base.source, source_ids), self.now)

    def leave_no_slot(self):
        """Let this process use each slot that becomes free."""
        self.mock_object(self.dispatcher._rng, 'random', lambda: 1.0)

    def end(self, slot):
        self.dispatcher.ended(slot, self.now)

    def assert_idle(self):
        self.assertEqual((set(), {}, None, None), (
            self.dispatcher.source_ids(), self.dispatcher.table.sources,
            self.dispatcher.first_waiting(),
            self.dispatcher.next_time(self.now)))


@ddt.ddt
class QueueTestCase(DispatchTestCase):

    def test_order_of_arrival(self):
        tickets, found = self.begin(6)
        served = []
        while found:
            served += [slot.ticket for slot in found]
            for slot in found:
                self.assertIs(slot, slot.ticket.slot)
                self.end(slot)
            found = self.assign()
        self.assertEqual(tickets, served)
        # What is listed of a group that has ended does not matter.
        self.set_sources(tickets[0], 8)
        self.assert_idle()

    @ddt.data(True, False)
    def test_refused_keeps_its_place(self, by_node):
        tickets, (_first, refused) = self.begin(4)
        self.dispatcher.refused(refused, by_node, self.now)
        self.assertIsNone(tickets[1].slot)
        self.assertIs(tickets[1], self.dispatcher.first_waiting())
        self.assertEqual([], self.served(0))
        # It is tried again within a look's time, no two at the same.
        pause = self.dispatcher.next_time(self.now) - self.now
        self.assertTrue(0.05 <= pause <= 0.1, pause)
        self.observe()
        self.assertEqual(tickets[1:2], self.served(0.1))

    def test_leave(self):
        tickets, _found = self.begin(5)
        for ticket in (tickets[2], tickets[0]):  # one waits, one has a slot
            self.dispatcher.leave(ticket)
            self.dispatcher.leave(ticket)
        self.assertIs(tickets[3], self.dispatcher.first_waiting())
        self.assertEqual([tickets[3]], self.served())
        for ticket in tickets:
            self.dispatcher.leave(ticket)
        self.assert_idle()

    @ddt.data((0.01, 0.05), (0.02, 0.015))
    @ddt.unpack
    def test_gather_window(self, gap, expected):
        # Each arrival extends it a little, up to a bound.
        ends, tickets = self.now + expected, []
        while not (found := self.served(0)):
            tickets += self.arrive()
            self.now = min(self.now + gap,
                           self.dispatcher.next_time(self.now))
        self.assertAlmostEqual(ends, self.now)
        self.assertEqual(tickets[:1], found)
        # While clones run, nothing is gathered.
        self.now += 1
        self.observe()
        self.arrive()
        self.assertIsNone(self.dispatcher.next_time(self.now))

    def test_images_share_the_slots(self):
        self.leave_no_slot()
        self.dispatcher.table.set_limits(slots.Limits(4, 8, 1))
        running = []
        for images, shares in (('a', [8]), ('ab', [4, 4]), ('abc', [3, 3, 2]),
                               ('abc', [3, 3, 2])):
            ids = [ord(images[-1]), ord(images[-1]) + 100]
            self.arrive(40, *ids, key=images[-1])
            self.dispatcher.table.set_nodes(dict.fromkeys(ids, 'node'))
            running += self.assign()
            self.observe()
            for _i in range(8):
                running += self.assign()
                self.end(running.pop(0))
            running += self.assign()
            used = collections.Counter(
                slot.group.source_set.key for slot in running)
            self.assertEqual(shares, sorted(used.values(), reverse=True))

    def test_hand_over(self):
        tickets, found = self.begin(4)
        self.dispatcher.hand_over(found[0])
        self.assertIs(found[0], tickets[2].slot)
        self.assertIs(tickets[2], found[0].ticket)
        self.assertIsNone(tickets[0].slot)
        self.assertIs(tickets[0], self.dispatcher.first_waiting())

    def test_source_is_gone(self):
        tickets, found = self.begin(4, 7, 8)
        gone = found[0].source.id
        for slot in [slot for slot in found if slot.source.id == gone]:
            self.dispatcher.source_is_gone(slot)
        self.assertEqual({7, 8} - {gone}, self.dispatcher.source_ids())
        self.assertIs(tickets[0], self.dispatcher.first_waiting())
        self.assertEqual([], self.assign())
        self.set_sources(tickets[0], 9, 10)
        self.set_sources(tickets[0], 9)
        # Of those that are not listed, the one of which clones run stays.
        self.assertEqual({7, 8, 9} - {gone}, self.dispatcher.source_ids())
        self.assertEqual({9}, {slot.source.id for slot in self.assign()})

    def test_probing_does_not_last(self):
        self.arrive(6, 7, 8)
        self.assertEqual(1, len(self.assign()))
        self.assertEqual(3, len(self.assign(1)))

    def test_probing(self):
        # A first look tells whether other processes use the sources.
        self.arrive(2)
        self.assertEqual(2, len(self.assign()))
        self.arrive(4, 8, 9, key=('other',))
        [slot] = self.assign()
        self.assertEqual((0.0, ('other',)), (
            self.dispatcher.poll_delay(1, self.now),
            slot.group.source_set.key))
        self.dispatcher.observe_none()
        self.assertEqual(3, len(self.assign()))
        self.arrive(3)
        self.assertGreater(self.dispatcher.poll_delay(1, self.now), 0)

    # Seconds of the last clone, of the wait; of the time to the next look
    @ddt.data((None, 0, 0.1), (None, 5, 0.5), (None, 60, 2.0), (0.1, 9, 0.1),
              (10, 0, 1.0), (100, 0, 2.0))
    @ddt.unpack
    def test_poll_delay(self, duration, waited, expected):
        self.assertEqual(2.0, self.dispatcher.poll_delay(1, self.now))
        if duration is not None:
            _tickets, [slot] = self.begin(1)
            self.now += duration - 0.015
            self.end(slot)
        self.begin(3)
        self.now += waited - (0.03 if duration is None else 0)
        for spread in (0, 1):
            self.assertAlmostEqual(
                expected, self.dispatcher.poll_delay(spread, self.now))

    def test_what_was_started_before_others_were_seen_counts(self):
        self.now = 10000.0
        self.arrive(2)
        self.assertEqual(2, len(self.assign()))
        self.arrive(4)
        self.assign()
        self.assertEqual(2, self.dispatcher._share._own_started)

    def test_contention(self):
        # Others run clones: half of the slots, sources at random, and the
        # slots of this process that end go to whoever is first.
        self.dispatcher.table.queues = True
        sources = list(range(1, 9))
        self.begin(1, *sources)
        self.arrive(20, *sources)
        self.dispatcher.observe([models.RunningClone(source_id, source_id)
                                 for source_id in sources], self.now)
        self.dispatcher.divide(self.now)
        found = self.assign()
        self.assertEqual(4, len(found))
        self.assertNotEqual([1, 2, 3, 4], [slot.source.id for slot in found])
        self.end(found[0])
        self.assertEqual([], self.assign())
        self.assertEqual([0, 0.1], [
            self.dispatcher.poll_delay(spread, self.now)
            for spread in (0, 1)])

    def test_foreign_clone_that_has_ended(self):
        # It may have been a replica, so the sources are to be listed.
        tickets, _found = self.begin(3, 7, 8)
        self.assertEqual([], self.observe(8, 50))
        self.assertEqual([], self.observe(8, 50, 51))
        self.assertEqual([tickets[0].group], self.observe(8, 51))

    def test_slots_are_left_to_others_at_times(self):
        # Others may wait for a source that this process has for itself.
        tickets, (first, second) = self.begin(4)
        self.observe()
        for slot, chance, served in ((first, 1.0, tickets[2:3]),
                                     (second, 0.2, [])):
            self.mock_object(self.dispatcher._rng, 'random', lambda: chance)
            self.end(slot)
            self.assertEqual(served, self.served(0))
        pause = self.dispatcher.next_time(self.now) - self.now
        self.assertAlmostEqual(0.12, pause)
        self.assertEqual(tickets[3:], self.served(0.13))


@ddt.ddt
class ReplicaTestCase(DispatchTestCase):

    # Clones, replicas that are allowed; clone times, replicas
    @ddt.data((1, 32, 1, 0), (2, 32, 1, 0), (3, 32, 2, 0), (8, 32, 3, 1),
              (64, 32, 5, 16), (256, 32, 11, 20), (256, 0, 128, 0),
              (256, 3, 34, 3))
    @ddt.unpack
    def test_storm(self, count, max_replicas, most_rounds, most_made):
        self.leave_no_slot()
        tickets = self.arrive(count, max_replicas=max_replicas)
        made, rounds = [], 0
        while self.dispatcher.first_waiting():
            found = self.assign()
            self.observe()
            found += self.assign(0)
            rounds += 1
            replicas = [slot for slot in found if slot.ticket is None]
            self.assertEqual(len(replicas), self.dispatcher.replicas_coming())
            self.now += 1
            made += [slot.volume_id for slot in replicas]
            for slot in found:
                self.end(slot)
            if replicas:
                self.set_sources(tickets[-1], 7, *made)
        self.assert_idle()
        self.assertLessEqual(rounds, most_rounds)
        self.assertLessEqual(len(made), most_made)
        self.assertEqual(most_made > 0, bool(made))

    def test_replica_that_is_not_listed_yet_counts(self):
        tickets, found = self.begin(64, max_replicas=1)
        [replica] = [slot for slot in found if slot.ticket is None]
        self.end(replica)
        self.assertNotIn(None, self.served())
        self.set_sources(tickets[0], 7, replica.volume_id)
        self.assertEqual(tickets[2:4], self.served())

    @ddt.data((True, 1), (False, 60))
    @ddt.unpack
    def test_no_replica(self, temporary, seconds):
        tickets, replicas = self.begin(64, max_replicas=32)
        self.assertEqual([True, False], [
            self.dispatcher.no_replica(slot, self.now, temporary)
            for slot in replicas])
        self.assertEqual(0, self.dispatcher.replicas_coming())
        # The slots go to the clones, for some time.
        self.assertEqual(tickets[:2], self.served())
        for ticket in tickets[:2]:
            self.end(ticket.slot)
        self.assertEqual([None, None], self.served(seconds))

    @ddt.data('refused', 'source_is_gone')
    def test_replica_of_a_queue_that_has_drained(self, method):
        _tickets, found = self.begin(64, max_replicas=32)
        for ticket in _tickets:
            self.dispatcher.leave(ticket)
        for slot in found:
            if method == 'refused':
                self.dispatcher.refused(slot, False, self.now)
            else:
                self.dispatcher.source_is_gone(slot)
        self.assertEqual((set(), {}), (self.dispatcher.source_ids(),
                                       self.dispatcher.table.sources))

    def test_replica_that_fails_is_not_tried_again_at_once(self):
        _tickets, [first, second] = self.begin(64, max_replicas=32)
        self.dispatcher.ended(first, self.now, done=False)
        self.assertNotIn(None, self.served())
        # The time that it took says nothing.
        self.assertEqual({}, dict(self.dispatcher._durations))
        self.end(second)
        self.assertIn(None, self.served(60))

    def test_replica_that_is_refused_is_tried_again(self):
        _tickets, found = self.begin(64, max_replicas=32)
        for slot in found:
            self.assertIsNone(slot.ticket)
            self.dispatcher.refused(slot, False, self.now)
        self.observe()
        self.assertEqual([None, None], self.served(0.1))

    def test_replica_that_is_not_listed_yet_is_looked_for(self):
        tickets, [first, _second] = self.begin(64, max_replicas=32)
        self.assertEqual([], self.observe())
        self.end(first)
        self.assertEqual([tickets[0].group], self.observe())

    def test_makers_count_as_processes(self):
        tickets, _found = self.begin(64, max_replicas=32)
        self.dispatcher.set_sources(
            tickets[0].group, [base.source(7)] + [
                base.source(8 + number, 'maker-%s' % number)
                for number in range(3)], self.now)
        self.observe(7, *range(8))
        # Four processes, 8 slots that are all taken.
        self.assertEqual(
            2, next(own for own in range(9)
                    if not self.dispatcher._share.allows(own)))

    # Slots that another image uses, clones that arrive, clones of other
    # processes; the demand: queue, margin, capacity
    @ddt.data((0, 31, 0, (30, 1, 32)), (2, 31, 0, (30, 2, 30)),
              (32, 31, 0, (30, 2, 16)), (0, 31, 1, (155, 10, 32)),
              (0, 31, 2, None), (0, 1, 1, None))
    @ddt.unpack
    def test_demand(self, used, count, foreign, expected):
        self.arrive(used, *range(100, 100 + used // 2), key=('other',))
        self.observe()
        self.assertEqual(used, len(self.assign()))
        self.arrive(count, max_replicas=9)
        self.observe(7, *range(foreign))
        plan = self.mock_object(planning, 'replicas', autospec=True,
                                return_value=0)
        self.assign()
        if expected is None:
            plan.assert_not_called()
            return
        demand, most = plan.call_args.args
        self.assertEqual((expected, 2, 2, 9), (
            (demand.queued, demand.margin, demand.capacity), demand.slots,
            demand.per_source, most))
