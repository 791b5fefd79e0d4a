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

"""The slots of sources and nodes, as far as one process knows them."""

import random

import ddt

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.element import models


def clones(source_id, *volume_ids, **members):
    return [models.RunningClone(source_id, volume_id, **members)
            for volume_id in volume_ids]


@ddt.ddt
class SlotTableTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.table = slots.SlotTable()
        self.limit(nodes=4)

    def limit(self, **limits):
        self.table.set_limits(slots.Limits(**limits))

    def add(self, *nodes):
        """Add and return sources 1, 2, ... on nodes, if these are known."""
        for source_id, node in enumerate(nodes, 1):
            self.table.add(source_id)
            if node is not None:
                self.table.set_nodes({source_id: node})
        return list(self.table.sources.values())

    def choose(self, now=0.0, use=True, **arguments):
        """Return the id of the next source and take a slot of it."""
        source = self.table.choose(self.table.sources.values(), now,
                                   **arguments)
        if source is None:
            return None
        if use:
            source.own.add(object())
        return source.id

    def choose_all(self):
        return list(iter(self.choose, None))

    @ddt.data((None, 3), (7, 7), (7, 9))
    @ddt.unpack
    def test_choose_on_a_node_with_clones_of_other_volumes(self, given, node):
        # What runs names its node, which may have another name there.
        self.limit(per_node=2, nodes=4)
        [source] = self.add(given)
        self.table.observe(clones(1, 50, node=node), {50}, {})
        for others, expected in (((51, 52), None), ((51,), 1), ((), 1)):
            self.table.observe(clones(99, *others, node=node), set(), {})
            self.assertEqual(expected, self.choose(use=False))
        # The node is known although the source was not used for a while.
        self.table.discard([1])
        self.table.add(1)
        self.assertEqual(given or node, self.table.sources[1].node)

    # Nodes of the sources; the order in which they are chosen
    @ddt.data(([None], [1, 1]), ([None, None], [1, 1, 2, 2]),
              ([5, 5], [1, 1, 2, 2]), ([5, 6], [1, 2, 1, 2]),
              ([5, 5, 6], [1, 3, 1, 3, 2, 2]), ([5, None], [1, 2, 2, 1]),
              ([5, 5, 5, 5, 5], [1, 1, 2, 2, 3, 3, 4, 4]), ([], []))
    @ddt.unpack
    def test_choose(self, nodes, expected):
        found = self.add(*nodes)
        self.assertEqual(expected, self.choose_all())
        self.assertEqual(len(expected), self.table.slots(found))
        self.assertEqual(len(expected), self.table.running)

    @ddt.data((1, 8, [1, 2]), (3, 8, [1, 2, 1, 2, 1, 2]), (3, 2, [1, 2] * 2))
    @ddt.unpack
    def test_choose_by_the_limits(self, per_volume, per_node, expected):
        self.add(5, 6)
        self.limit(per_volume=per_volume, per_node=per_node)
        self.assertEqual(expected, self.choose_all())

    def test_choose_at_random(self):
        self.add(*[None] * 8)
        chosen = [self.choose(use=False, rng=random.Random(seed))
                  for seed in range(40)]
        self.assertEqual(set(range(1, 9)), set(chosen))
        self.assertEqual(chosen[3], self.choose(rng=random.Random(3)))

    # Nodes of v1 and v2, whether the node refused; who is tried meanwhile
    @ddt.data((None, None, False, [2, 2]), (5, 5, False, [2, 2]),
              (5, 5, True, []), (5, 6, True, [2, 2]),
              (None, None, True, [2, 2]))
    @ddt.unpack
    def test_refused(self, first, second, by_node, meanwhile):
        one, _two = self.add(first, second)
        self.table.refused(one, by_node, now=10, until=12)
        self.assertEqual(12, self.table.next_unblocked(10))
        self.assertEqual(meanwhile, self.choose_all())
        self.assertIsNone(self.table.next_unblocked(12))
        # A source that was full stays so until the clones are listed.
        self.assertEqual(0 if by_node else 2, one.foreign)
        self.assertEqual(1 if by_node else None, self.choose(now=12))
        self.table.observe([], set(), {})
        self.assertEqual(1, self.choose(now=12))

    def test_accepted_ends_that_a_node_is_busy(self):
        one, two = self.add(5, 5)
        self.table.refused(one, True, now=0, until=10)
        self.assertIsNone(self.choose())
        self.table.accepted(two)
        self.assertEqual(2, self.choose())

    # Limits, sources, nodes that are known; the capacity of the cluster
    @ddt.data(({'nodes': 4}, [], 32), ({'nodes': 40}, [], 320),
              ({}, [], 32), ({'per_node': 2}, [], 8),
              ({'per_node': 2, 'nodes': 1}, [1, 2, 2], 4),
              ({'per_node': 8}, [1, 2, 3, 4, 5], 40),
              ({'per_volume': 50}, [1], 50))
    @ddt.unpack
    def test_capacity(self, limits, nodes, expected):
        self.limit(**limits)
        self.add(*nodes)
        self.assertEqual(expected, self.table.capacity())

    def test_capacity_of_a_cluster_that_does_not_tell(self):
        self.limit(per_volume=2)
        found = self.add(*[None] * 20)
        self.assertEqual(32, self.table.slots(found))
        for _i in range(10):
            self.choose()
        # Refusals lower it, those that come together once, but not below
        # what runs; more that run than assumed raise it.
        for now, expected in ((1, 16), (1.5, 16), (2, 16), (3, 10)):
            self.table.refused(found[0], True, now, now + 1)
            self.assertEqual(expected, self.table.capacity(), now)
        self.table.accepted(found[0])
        self.assertEqual(18, self.table.capacity())
        self.limit(per_volume=2)
        self.assertEqual(18, self.table.capacity())
        self.limit(per_volume=2, per_node=4)
        self.assertEqual(16, self.table.capacity())

    # Running, starting here; those of others, of these the young
    @ddt.data(([], 0, 0, 0), ([11], 0, 0, 0), ([11, 12], 0, 1, 1),
              ([12, 13], 0, 2, 2), ([12, 13], 1, 1, 1), ([12], 2, 0, 0))
    @ddt.unpack
    def test_observe(self, running, starting, foreign, young):
        one, _two = self.add(None, None)
        for half_done in (False, True):
            found = clones(1, *running, half_done=half_done)
            self.assertEqual(set(), self.table.observe(
                found + clones(99, 50), {11}, {1: starting}))
            self.assertEqual(
                (foreign, 0 if half_done else young, foreign),
                (one.foreign, one.foreign_young, self.table.foreign))

    def test_observe_ended(self):
        self.add(None, None)
        # At each look: what runs, what is of this process, whose clones of
        # others have ended.
        for running, own, ended in (([21, 22], set(), set()),
                                    ([21, 22], {22}, set()),
                                    ([22], {22}, {2}), ([], set(), set()),
                                    ([23], set(), set()), ([], {23}, set()),
                                    ([24], set(), set()), ([], set(), {2})):
            self.assertEqual(
                ended, self.table.observe(clones(2, *running), own, {}))

    def test_observe_nodes(self):
        # The node that clones a source is its own, unless the cluster tells.
        one, two = self.add(None, None)
        self.table.observe(clones(1, 21, node=5), set(), {})
        self.assertEqual((5, [2]), (one.node, self.table.without_node(0)))
        self.table.set_nodes({2: 6, 99: 7})
        self.table.observe(clones(2, 22, node=5), set(), {})
        self.assertEqual((6, []), (two.node, self.table.without_node(600)))
        # Volumes move: after a refusal by the node, and from time to time.
        self.table.refused(two, True, 0, 1)
        self.assertEqual([2], self.table.without_node(600))
        self.table.set_nodes({2: 6})
        self.assertEqual([1, 2], self.table.without_node(601))

    def test_observe_that_the_cluster_queues(self):
        self.add(None)
        for count, queues in ((2, False), (3, True), (0, True)):
            self.table.observe(clones(1, *range(count)), set(), {})
            self.assertIs(queues, self.table.queues)
        self.table.refused(self.table.sources[1], False, 0, 1)
        self.assertFalse(self.table.queues)
        # A clone of this process that has ended and was not polled yet has
        # made place for the second one of the list.
        self.table.sources[1].own.add('slot')
        self.table.observe(clones(1, 50, 51), {49}, {})
        self.assertFalse(self.table.queues)

    def test_forget_others(self):
        [source] = self.add(5)
        self.table.observe(clones(1, 50, 51, node=5) + clones(
            99, *range(60, 68), node=5), set(), {})
        self.assertIsNone(self.table.choose([source], 0))
        self.table.forget_others()
        self.assertIs(source, self.table.choose([source], 0))
        self.assertEqual((0, 0), (self.table.foreign, self.table.others))
        # That they have ended is noticed all the same.
        self.assertEqual({1}, self.table.observe([], set(), {}))

    def test_discard(self):
        self.add(1, 2)
        self.table.discard({1, 99})
        self.assertEqual({2}, set(self.table.sources))
