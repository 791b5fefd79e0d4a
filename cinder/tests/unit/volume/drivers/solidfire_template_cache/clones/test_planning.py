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

"""The rule for replicas beside every schedule that the model allows."""

import dataclasses
import itertools
import random

import ddt

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache.clones import planning

UNBOUNDED = 1000


def demand(queued, per_source, capacity):
    """Return what there is at first: the template alone."""
    slots = min(per_source, capacity)
    return planning.Demand(queued, slots, slots, 0, per_source, capacity)


class Optimum(object):
    """The best of all schedules with a number of sources at the end.

    None of them depends on the queue, so what is found is the longest queue
    that a number of rounds can serve.

    :param made: replicas that may be made
    :param queued: the longest queue of interest
    :ivar served: clones, by the number of rounds
    """

    def __init__(self, start, made, queued):
        self.served = [0]
        last = start.coming + made
        slots = [max(int(self.reach(start, number) + 1e-6), 1)
                 for number in range(last + 1)]
        # What the rounds after the first serve, by the replicas that there
        # are at their start.
        later = [0] * (last + 1)
        while self.served[-1] < queued:
            self.served.append(max(
                start.free - new + later[start.coming + new]
                for new in range(min(start.free, made) + 1)))
            later = [max(slots[number] - new + later[number + new]
                         for new in range(min(slots[number],
                                              last - number) + 1))
                     for number in range(last + 1)]

    @staticmethod
    def reach(start, replicas):
        """Return the slots with some replicas, some of which count less."""
        full = start.slots + start.per_source * replicas
        sure = min(full, max(start.sure_part * start.capacity, start.slots))
        return min(start.capacity, sure + 0.6 * (full - sure))

    def rounds(self, queued):
        return next(count for count, served in enumerate(self.served)
                    if served >= queued)


@ddt.ddt
class PlanningTestCase(test.TestCase):

    def assert_optimal(self, start, queues):
        """Compare with every schedule; return the rounds."""
        useful = next(number for number in itertools.count() if
                      Optimum.reach(start, number) >= start.capacity)
        optima = [Optimum(start, made, max(queues)) for made in
                  range(max(useful - start.coming, 0) + 1)]
        for queued in queues:
            given = planning.Demand(**dict(vars(start), queued=queued))
            chosen = planning.replicas(given, UNBOUNDED)
            counts = [optimum.rounds(queued) for optimum in optima]
            self.assertEqual((min(counts), counts.index(min(counts))),
                             (counts[chosen], chosen), given)
            self.assertEqual(counts[chosen], planning.rounds(given, chosen))
            for most in (0, 1, chosen - 1, chosen + 1):
                best = min(counts[:max(most, 0) + 1])
                self.assertEqual(counts.index(best),
                                 planning.replicas(given, most), given)

    # Clones of one source, slots, up to those of 40 nodes; queues
    @ddt.data(*((per_source, range(1, 33), (*range(61), 100, 150))
                for per_source in (1, 2, 3)),
              (2, (40, 104, 320), (60, 320, 999, 1000)))
    @ddt.unpack
    def test_replicas_is_the_optimum_of_the_model(self, per_source, capacities,
                                                  queues):
        for capacity in capacities:
            self.assert_optimal(demand(0, per_source, capacity), queues)

    def test_replicas_in_the_middle_of_a_storm(self):
        rng = random.Random(8)
        for _i in range(300):
            per_source, capacity = rng.randint(1, 3), rng.randint(1, 40)
            slots = min(capacity, per_source * rng.randint(1, 6))
            self.assert_optimal(planning.Demand(
                0, rng.randint(0, slots), slots, rng.randint(0, 4),
                per_source, capacity,
                sure_part=rng.choice((1.0, 0.5, 0.75))),
                (1, 2, 7, 30, 120))

    # Queue, margin; replicas
    @ddt.data((4, 0, 0), (4, 1, 1), (16, 1, 7), (16, 8, 6), (64, 4, 13),
              (256, 16, 15))
    @ddt.unpack
    def test_replicas_with_a_margin(self, queued, margin, expected):
        given = dataclasses.replace(demand(queued, 2, 32), margin=margin)
        longer = dataclasses.replace(given, queued=queued + margin)
        counts = [planning.rounds(given, made) + planning.rounds(longer, made)
                  for made in range(32)]
        self.assertEqual(expected, counts.index(min(counts)))
        self.assertEqual(expected, planning.replicas(given, UNBOUNDED))

    # Queue, nodes of 8 slots, rounds; without a replica it would be half
    # the queue.
    @ddt.data((1, 4, 1), (2, 4, 1), (3, 4, 2), (8, 4, 3), (64, 4, 5),
              (256, 4, 11), (256, 1, 34), (1000, 4, 34), (1000, 40, 8))
    @ddt.unpack
    def test_rounds(self, queued, nodes, expected):
        given = demand(queued, 2, 8 * nodes)
        made = planning.replicas(given, UNBOUNDED)
        self.assertEqual(expected, planning.rounds(given, made))
        self.assertEqual(-(-queued // 2), planning.rounds(given, 0))

    def test_rounds_are_near_the_bound(self):
        # Sources at most triple with each round, and then all slots serve.
        for capacity in (8, 32, 64, 320):
            growth = next(count for count in range(10)
                          if 2 * 3 ** count >= capacity)
            for queued in range(1, 1001, 37):
                given = demand(queued, 2, capacity)
                count = planning.rounds(
                    given, planning.replicas(given, UNBOUNDED))
                bound = -(-queued // capacity)
                self.assertTrue(
                    bound <= count <= min(bound + growth + 1, -(-queued // 2)),
                    (given, count))
