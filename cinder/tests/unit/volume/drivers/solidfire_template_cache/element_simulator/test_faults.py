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

"""Tests of fault rules."""

import ddt

from cinder.tests.element_simulator import faults
from cinder.tests.unit import test


@ddt.ddt
class RuleTestCase(test.TestCase):

    @ddt.data(({}, True), ({'method': 'CloneVolume'}, True),
              ({'method': 'CloneVol'}, False), ({'method': 'Clone*'}, True),
              ({'method': 'clonevolume'}, False),
              ({'match': {'volumeID': 3}}, True),
              ({'match': {'volumeID': 4}}, False),
              ({'match': {'attributes.state': 'ready'}}, True),
              ({'match': {'attributes.state': 'filling'}}, False),
              ({'match': {'attributes.state.x': 'ready'}}, False),
              ({'match': {'absent': None}}, False),
              ({'match': {'volumeID': 3, 'name': 'other'}}, False))
    @ddt.unpack
    def test_fits(self, members, expected):
        params = {'volumeID': 3, 'name': 'c',
                  'attributes': {'state': 'ready'}}
        self.assertIs(expected, faults.Rule(**members).fits('CloneVolume',
                                                            params))

    def test_fits_params_that_are_no_object(self):
        rule = faults.Rule(match={'volumeID': 3})
        self.assertFalse(rule.fits('CloneVolume', None))
        self.assertFalse(rule.fits('CloneVolume', [3]))

    def test_when_wrong(self):
        self.assertRaises(ValueError, faults.Rule, when='during')
        self.assertRaises(ValueError, faults.Rule, when='after',
                          job_error='xSnapshotFailed')

    def test_dict_and_back(self):
        rule = faults.Rule(method='X', match={'a': 1}, skip=2, times=None,
                           drop=True, when='after', delay=1.5)
        again = faults.Rule.from_dict(rule.to_dict())
        self.assertEqual(rule.to_dict(), again.to_dict())

    def test_from_dict_unknown_member(self):
        for name in 'colour', 'action':
            self.assertRaisesRegex(ValueError, name, faults.Rule.from_dict,
                                   {name: 'red'})

    def test_to_dict_leaves_the_action_out(self):
        rule = faults.Rule(match={'a': 1}, action=self.fail)
        self.assertEqual(faults.Rule(match={'a': 1}).to_dict(),
                         rule.to_dict())


class FaultPlanTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.plan = faults.FaultPlan()

    def strikes(self, count, method='X', when='before'):
        """Return for each of so many calls whether one failed."""
        return [self.plan.strike(method, {}, when).rule is not None
                for _ in range(count)]

    def test_strike_once_by_default(self):
        rule = self.plan.add(error='xA')
        self.assertEqual([True, False, False], self.strikes(3))
        self.assertEqual((3, 1), (rule.seen, rule.hits))

    def test_strike_skip_and_times(self):
        self.plan.add(faults.Rule(error='xA', skip=1, times=2))
        self.assertEqual([False, True, True, False], self.strikes(4))

    def test_strike_for_ever(self):
        self.plan.add(error='xA', times=None)
        self.assertEqual([True] * 20, self.strikes(20))

    def test_strike_counts_only_fitting_calls(self):
        rule = self.plan.add(method='Y', error='xA', skip=1)
        self.assertEqual([False] * 3, self.strikes(3))
        self.assertEqual([False, True], self.strikes(2, 'Y'))
        self.assertEqual((2, 1), (rule.seen, rule.hits))

    def test_strike_when(self):
        self.plan.add(error='xA', when='after')
        self.assertEqual([False], self.strikes(1))
        self.assertEqual([True], self.strikes(1, when='after'))

    def test_strike_first_failure_wins(self):
        first = self.plan.add(error='xA')
        second = self.plan.add(error='xB')
        self.assertIs(first, self.plan.strike('X', {}, 'before').rule)
        self.assertEqual(0, second.seen)
        self.assertIs(second, self.plan.strike('X', {}, 'before').rule)

    def test_strike_delays_add_up(self):
        self.plan.add(delay=1.0, times=None)
        self.plan.add(delay=0.5, error='xA')
        self.plan.add(delay=0.25, times=None)
        strike = self.plan.strike('X', {}, 'before')
        self.assertEqual((1.5, 'xA'), (strike.delay, strike.rule.error))
        strike = self.plan.strike('X', {}, 'before')
        self.assertEqual((1.25, None), (strike.delay, strike.rule))

    def test_strike_job_error(self):
        self.plan.add(job_error='xSnapshotFailed')
        strike = self.plan.strike('CloneVolume', {}, 'before')
        self.assertEqual(('xSnapshotFailed', None),
                         (strike.job_error, strike.rule))
        self.assertIsNone(
            self.plan.strike('CloneVolume', {}, 'before').job_error)

    def test_strike_runs_the_action(self):
        runs = []

        def action():
            # No lock is held: an action may add and clear rules.
            self.plan.clear()
            runs.append('first')

        self.plan.add(method='X', skip=1, when='after', action=action)
        self.plan.strike('X', {}, 'after')
        self.plan.strike('X', {}, 'before')
        self.plan.strike('Y', {}, 'after')
        self.assertEqual([], runs)
        self.assertIsNone(self.plan.strike('X', {}, 'after').rule)
        self.assertEqual(['first'], runs)
        self.plan.strike('X', {}, 'after')
        self.assertEqual(['first'], runs)

    def test_strike_runs_the_actions_up_to_the_failure(self):
        runs = []
        self.plan.add(action=lambda: runs.append(1))
        self.plan.add(error='xA', action=lambda: runs.append(2))
        self.plan.add(action=lambda: runs.append(3))
        self.assertEqual('xA', self.plan.strike('X', {}, 'before').rule.error)
        self.assertEqual([1, 2], runs)

    def test_probability_repeats_with_the_seed(self):
        def run(seed):
            self.plan = faults.FaultPlan(seed)
            self.plan.add(error='xA', probability=0.5, times=None)
            return self.strikes(64)

        first = run(1)
        self.assertEqual(first, run(1))
        self.assertNotEqual(first, run(2))
        self.assertTrue(16 < sum(first) < 48)

    def test_probability_zero(self):
        self.plan.add(error='xA', probability=0.0, times=None)
        self.assertEqual([False] * 50, self.strikes(50))

    def test_clear(self):
        rule = self.plan.add(error='xA', times=None)
        self.assertEqual([rule], self.plan.list())
        self.plan.clear()
        self.assertEqual([], self.plan.list())
        self.assertEqual([False], self.strikes(1))

    def test_clear_repeats_the_chances(self):
        runs = []
        for _ in range(2):
            self.plan.clear()
            self.plan.add(error='xA', probability=0.5, times=None)
            runs.append(self.strikes(32))
        self.assertEqual(*runs)
