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

from cinder.tests.element_simulator import faults
from cinder.tests.unit import test


class RuleTestCase(test.TestCase):

    def test_matches(self):
        params = {'volumeID': 3, 'name': 'c',
                  'attributes': {'state': 'ready'}}
        for members, expected in (
                ({}, True), ({'method': 'CloneVolume'}, True),
                ({'method': 'CloneVol'}, False), ({'method': 'Clone*'}, True),
                ({'method': 'clonevolume'}, False),
                ({'match': {'volumeID': 3}}, True),
                ({'match': {'volumeID': 4}}, False),
                ({'match': {'attributes.state': 'ready'}}, True),
                ({'match': {'attributes.state': 'filling'}}, False),
                ({'match': {'attributes.state.x': 'ready'}}, False),
                ({'match': {'absent': None}}, False),
                ({'match': {'volumeID': 3, 'name': 'other'}}, False)):
            rule = faults.Rule(**members)
            self.assertIs(expected, rule.matches('CloneVolume', params))
            for other in None, [3]:
                self.assertIs(expected and not rule.match,
                              rule.matches('CloneVolume', other))

    def test_members(self):
        for members in (
                {'method': 'X', 'match': {'a': 1}, 'skip': 2, 'times': None,
                 'drop': True, 'ignore': ['b'], 'delay': 1.5},
                {'error': 'xA', 'message': 'm', 'when': 'after'},
                {'http_status': 503, 'body': '{}', 'probability': 0.5},
                {'job_error': 'xSnapshotFailed'}):
            rule = faults.Rule(action=self.fail, **members)
            again = faults.Rule.from_dict(rule.to_dict())
            self.assertEqual(faults.Rule(**members).to_dict(),
                             again.to_dict())
            self.assertEqual(members, {
                name: again.to_dict()[name] for name in members})
        for members in ({'when': 'during'}, {'colour': 'red'}, {'action': 1},
                        {'when': 'after', 'job_error': 'xSnapshotFailed'},
                        {'when': 'after', 'ignore': ['attributes']}):
            self.assertRaises(ValueError, faults.Rule.from_dict, members)


class FaultPlanTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.plan = faults.FaultPlan()

    def strikes(self, count, method='X', when='before'):
        """Return for each of a number of calls whether it failed."""
        return [self.plan.strike(method, {}, when).rule is not None
                for _ in range(count)]

    def test_strike_times(self):
        for members, expected in (
                ({}, [True, False, False, False]),
                ({'skip': 1, 'times': 2}, [False, True, True, False]),
                ({'times': None}, [True] * 20),
                ({'times': None, 'probability': 0.0}, [False] * 50)):
            rule = self.plan.add(faults.Rule(error='xA', **members))
            self.assertEqual([rule], self.plan.list())
            self.assertEqual(expected, self.strikes(len(expected)))
            self.assertEqual((len(expected), sum(expected)),
                             (rule.seen, rule.hits))
            self.plan.clear()
            self.assertEqual([False], self.strikes(1))
        # Only calls that match are counted.
        rule = self.plan.add(method='Y', error='xA', skip=1, when='after')
        self.assertEqual([False] * 3, self.strikes(3, when='after'))
        self.assertEqual([False] * 3, self.strikes(3, 'Y'))
        self.assertEqual([False, True], self.strikes(2, 'Y', 'after'))
        self.assertEqual((2, 1), (rule.seen, rule.hits))

    def test_strike_of_several_rules(self):
        runs = []
        self.plan.add(delay=1.0, times=None, action=lambda: runs.append(1))
        first = self.plan.add(delay=0.5, error='xA',
                              action=lambda: runs.append(2))
        second = self.plan.add(delay=0.25, error='xB',
                               action=lambda: runs.append(3))
        # The first failure wins; rules behind it do not count the call.
        for rule, seen, delay, expected in (
                (first, 0, 1.5, [1, 2]), (second, 1, 1.25, [1, 2, 1, 3])):
            strike = self.plan.strike('X', {}, 'before')
            self.assertEqual((delay, rule, seen, expected),
                             (strike.delay, strike.rule, second.seen, runs))
        self.plan.clear()
        self.plan.add(job_error='xSnapshotFailed')
        self.plan.add(ignore=['attributes'])
        self.plan.add(ignore=['qos', 'access'])
        for strike in faults.Strike(
                job_error='xSnapshotFailed',
                ignored={'attributes', 'qos', 'access'}), faults.Strike():
            self.assertEqual(strike, self.plan.strike('X', {}, 'before'))

    def test_strike_runs_action(self):
        runs = []

        def action():
            # No lock is held: an action may add and clear rules.
            self.plan.clear()
            runs.append('first')

        self.plan.add(method='X', skip=1, when='after', action=action)
        for method, when, expected in (
                ('X', 'after', []), ('X', 'before', []), ('Y', 'after', []),
                ('X', 'after', ['first']), ('X', 'after', ['first'])):
            self.assertEqual(faults.Strike(),
                             self.plan.strike(method, {}, when))
            self.assertEqual(expected, runs)

    def test_strike_probability_by_seed(self):
        def run(plan):
            self.plan = plan
            self.plan.clear()
            self.plan.add(error='xA', probability=0.5, times=None)
            return self.strikes(64)

        plan = faults.FaultPlan(1)
        first = run(plan)
        self.assertTrue(16 < sum(first) < 48)
        for again in plan, faults.FaultPlan(1):
            self.assertEqual(first, run(again))
        self.assertNotEqual(first, run(faults.FaultPlan(2)))
