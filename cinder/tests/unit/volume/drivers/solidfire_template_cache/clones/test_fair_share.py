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

"""The share of the slots that a process takes, from what it sees."""

import ddt

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache.clones import fair_share


@ddt.ddt
class FairShareTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.share = fair_share.FairShare()

    def update(self, own, foreign, total, queues=False, clone_seconds=1,
               now=0):
        self.share.update(own, foreign, total, queues, clone_seconds, now)

    def allowed(self):
        """Return how many clones this process may run; 99 for no limit."""
        return next((own for own in range(99) if not self.share.allows(own)),
                    99)

    # Own clones, those of others, slots, names of other processes; allowed
    @ddt.data((0, 0, 8, '', 99), (8, 0, 8, 'abc', 99),
              # Half of the free slots, beside what it has.
              (0, 4, 8, '', 2), (3, 2, 8, '', 5), (1, 4, 8, 'a', 3),
              (2, 2, 9, 'abc', 4),
              # All are taken: an equal part of all of them.
              (0, 2, 2, '', 1), (7, 1, 8, '', 4), (1, 7, 8, 'abc', 2),
              (0, 9, 8, 'abcdefg', 1), (4, 28, 32, 'aabbc', 8))
    @ddt.unpack
    def test_update(self, own, foreign, total, others, allowed):
        for name in others:
            self.share.note_process(name, 10)
        self.share.update(own, foreign, total, False, 1, 10)
        self.assertEqual(allowed, self.allowed())
        self.assertIs(foreign > 0, self.share.contended)
        # What was seen counts until the next look only.
        self.share.update(own, 0, total, False, 1, 10)
        self.assertEqual((99, False), (self.allowed(), self.share.contended))

    # Clones started here and elsewhere, other processes; allowed of 8 slots
    @ddt.data((0, 0, '', 4), (2, 8, '', 4), (6, 4, '', 3), (8, 0, '', 1),
              (9, 9, '', 4), (9, 9, 'abc', 1), (3, 9, 'abc', 2))
    @ddt.unpack
    def test_update_after_a_larger_share(self, own, foreign, others, allowed):
        # What it had more than each of the others it leaves them in part.
        for name in others:
            self.share.note_process(name, 0)
        for _i in range(own):
            self.share.note_started()
        self.share.note_foreign_started(foreign)
        self.update(4, 4, 8)
        self.assertEqual(allowed, self.allowed())
        # It still counts when nobody else was seen, with all slots in use,
        self.update(8, 0, 8)
        self.update(4, 4, 8)
        self.assertEqual(allowed, self.allowed())
        # but not when slots were free that nobody wanted.
        self.update(0, 0, 8)
        self.update(4, 4, 8)
        self.assertEqual(2 if others else 4, self.allowed())

    # Whether the cluster queues, and all slots were taken; own clones, those
    # of others; allowed, also after a further look
    @ddt.data((False, False, 1, 4, 3, 3), (False, True, 1, 4, 4, 3),
              (False, True, 5, 1, 4, 6), (False, True, 3, 2, 4, 5),
              (True, False, 1, 4, 3, 3), (True, True, 1, 4, 3, 3),
              (True, True, 3, 2, 5, 5))
    @ddt.unpack
    def test_update_after_a_saturation(self, queues, saturated, own, foreign,
                                       allowed, later):
        # The other processes may not have noticed yet that some are free;
        # what they do not take until the next look, they do not want.
        self.update(own, 8 - own if saturated else 2, 8, queues)
        for expected in (allowed, later):
            self.update(own, foreign, 8, queues)
            self.assertEqual(expected, self.allowed())

    @ddt.data((1, 3.9, 2), (1, 4, 4), (10, 39, 2), (10, 41, 4))
    @ddt.unpack
    def test_processes_are_forgotten(self, clone_seconds, later, allowed):
        for name in 'abc':
            self.share.note_process(name, 5)
        self.share.update(0, 8, 8, False, clone_seconds, 5 + later)
        self.assertEqual(allowed, self.allowed())

    @ddt.data((False, 4, [4, 4, 4]), (False, 0, [99, 99, 99]),
              (True, 4, [3, 2, 1]), (True, 0, [99, 99, 99]))
    @ddt.unpack
    def test_note_end(self, queues, foreign, allowed):
        # A cluster that queues clones gives the slot to another process.
        self.share.update(4, foreign, 8, queues, 1, 0)
        found = []
        for _i in range(3):
            self.share.note_end(queues)
            found.append(self.allowed())
        self.assertEqual(allowed, found)
        self.assertIs(queues and foreign > 0, self.share.outdated)
        self.share.update(4, foreign, 8, queues, 1, 0)
        self.assertFalse(self.share.outdated)

    # Own, foreign, slots; how probable it is that a slot is left to others
    @ddt.data((2, 0, 2, 0.25), (1, 1, 2, 1), (1, 0, 2, 0), (0, 1, 2, 0),
              (2, 2, 4, 1), (4, 0, 4, 0.25), (5, 0, 5, 0.05),
              (32, 0, 32, 1 / 128), (3, 2, 5, 0), (31, 0, 32, 0))
    @ddt.unpack
    def test_should_yield(self, own, foreign, total, probability):
        self.assertFalse(self.share.should_yield(0))
        self.share.update(own, foreign, total, False, 1, 0)
        self.assertEqual((probability > 0, probability == 1), (
            self.share.should_yield(probability - 0.001),
            self.share.should_yield(probability)))

    @ddt.data((0, 0, 1), (9, 0, 1), (0, 1, 0.2), (1, 2, 2 / 7),
              (0, 20, 1 / 8), (15, 13, 0.5))
    @ddt.unpack
    def test_of_queue(self, own, foreign, expected):
        self.assertAlmostEqual(expected, self.share.of_queue(own, foreign))
