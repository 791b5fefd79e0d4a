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

"""Two things go wrong on one path, at random.

The pairs are drawn from all tables of :mod:`fault_kinds`, and are the same
in each run. More of them, and others each time, are drawn for as many
minutes as the environment variable TEMPLATE_CACHE_SOAK tells. Each pair has
a seed, which a failure names; TEMPLATE_CACHE_SEED=<seed> draws this one only.
"""

import os
import random
import time

from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import paths

# A table is drawn first, lest the many names leave no room for the rest.
TABLES = [fault_kinds.KINDS, fault_kinds.NETWORK, fault_kinds.ERRORS,
          fault_kinds.FULL, fault_kinds.GONE]

# What is called once something has failed; a good run may do without.
CLEANING = ('CancelClone', 'DeleteVolume', 'ListSyncJobs', 'ListVolumes',
            'PurgeDeletedVolume')

FIRST_SEED = 20260101

SOAK_MINUTES = float(os.environ.get('TEMPLATE_CACHE_SOAK') or 0)
ONE_SEED = os.environ.get('TEMPLATE_CACHE_SEED')

PATHS = 8
"""How many classes share the minutes."""


class Pairs(object):
    """Random pairs; a path derives from it."""

    COUNT = 50
    FAULTS = 2

    def test_pairs_of_faults(self):
        methods = self.good_run()
        self.both = 0
        print('%s: pairs are drawn by the seeds %s' % (
            self.id(), 'of the clock' if SOAK_MINUTES else
            'from %s on' % (ONE_SEED or FIRST_SEED)))
        self.run_cases(self.draw(seed, methods) for seed in self.seeds())
        print('%s: both struck in %d cases' % (self.id(), self.both))
        if not ONE_SEED:
            # Lest the pairs degenerate to single faults.
            self.assertGreater(self.both, self.COUNT // 5)

    def seeds(self):
        """Yield what each pair is drawn by."""
        if ONE_SEED:
            yield int(ONE_SEED)
        elif SOAK_MINUTES:
            end = time.monotonic() + 60 * SOAK_MINUTES / PATHS
            while time.monotonic() < end:
                yield random.getrandbits(48)
        else:
            yield from range(FIRST_SEED, FIRST_SEED + self.COUNT)

    def draw(self, seed, methods):
        """Return a case of two faults."""
        chance = random.Random(seed)
        first = self.draw_fault(chance, methods)
        second = self.draw_fault(chance, methods + list(CLEANING))
        return ('seed %d: %s; %s' % (seed, first[0], second[0]),
                self.check_pair, first[1:], second[1:])

    @staticmethod
    def draw_fault(chance, methods):
        while True:
            number = chance.randrange(len(methods))
            method = methods[number]
            name, fault = chance.choice(list(chance.choice(TABLES).items()))
            moments = [when for when in fault.moments
                       if fault.can_strike(method, when)]
            if moments:
                break
        call = {'method': method, 'when': chance.choice(moments),
                'skip': methods[:number].count(method)}
        return '%s at %s' % (name, call), fault, call

    def check_pair(self, *pair):
        image, volume = self.begin()
        rules = [fault.begin(self, **call) for fault, call in pair]
        result = self.clone(image, volume)
        self.check_what_is_told(image, volume, result)
        self.both += all(rule.hits for rule in rules)
        self.check_next_host(image, volume, result)


class FirstRequestPairsTestCase(Pairs, paths.FirstRequest):
    pass


class WarmHitPairsTestCase(Pairs, paths.WarmHit):
    pass


class ColdHitPairsTestCase(Pairs, paths.ColdHit):
    pass


class RefillPairsTestCase(Pairs, paths.Refill):
    pass


class TagEditPairsTestCase(Pairs, paths.TagEdit):
    pass


class OwnQosPairsTestCase(Pairs, paths.OwnQos):
    pass


class CrashLeftoversPairsTestCase(Pairs, paths.CrashLeftovers):
    pass


class RescheduledPairsTestCase(Pairs, paths.Rescheduled):
    pass
