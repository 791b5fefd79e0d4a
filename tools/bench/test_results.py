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

"""Tests of what is computed from the results."""

import json
import pathlib
import tempfile
import unittest

from bench import pages
from bench import results
from bench import storm


def _result(name, median, **info):
    return results.Result(name, median, dict(info, way='template'))


class ResultsTestCase(unittest.TestCase):

    def test_bound(self):
        for size, rounds in (1, 1), (2, 1), (4, 2), (8, 3), (64, 5), (256, 11):
            self.assertEqual(rounds, results.bound(size))

    def test_compare(self):
        old = results.Run([_result('a', 2.0), _result('b', 0.0),
                           _result('c', 9.0, ends=[1, 4])], {})
        new = results.Run([_result('a', 3.0), _result('b', 1.0),
                           _result('c', 1.0, ends=[1, 6]),
                           _result('d', 1.0)], {})
        self.assertEqual([('a', 3.0, 1.5), ('c', 6, 1.5)],
                         results.compare(new, old))
        self.assertEqual(1.5, results.fairness([2.0, 3.0, 2.5]))

    def _stored(self, document):
        """Return the runs before and after storing, and the stored text."""
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory, 'source')
            target = pathlib.Path(directory, 'target')
            source.write_text(json.dumps(document))
            results.store(source, target)
            return (results.load(source), results.load(target),
                    target.read_text())

    def test_load_and_store(self):
        document = {'machine_info': {'cpus': 2}, 'benchmarks': [
            {'name': 'a', 'fullname': '/x', 'extra_info': {'way': 'w'},
             'stats': {'median': 2, 'data': [2, 2]}},
            {'name': 'test', 'extra_info': {}, 'stats': {'median': 1}}]}
        fresh, stored, text = self._stored(document)
        self.assertEqual(fresh, stored)
        self.assertEqual(2, stored.find(way='w').value)
        self.assertIsNone(stored.find(way='none'))
        self.assertNotIn('/x', text)
        self.assertIn(
            '\n{"name": "a", "extra_info": {"way": "w"}, '
            '"stats": {"median": 2}}\n', text)

    def test_compare_with_a_stored_run(self):
        storm_info = {'scenario': 'storm', 'manner': 'refuse'}
        fresh, stored, _text = self._stored({
            'machine_info': {}, 'benchmarks': [
                {'name': name, 'stats': {'median': 1.00000049}, 'extra_info': {
                    **storm_info, 'size': size, 'ends': [1.06, 3.17]}}
                for name, size in (('a', 8), ('b', 64))] + [
                {'name': 'c', 'stats': {'median': 0.123456789},
                 'extra_info': {'scenario': 'hit'}}]})
        self.assertEqual([[3.17], [1.06, 3.17]], [
            each.info['ends'] for each in stored.all(**storm_info)])
        self.assertEqual(0.123457, stored.find(scenario='hit').median)
        for one, other in (fresh, stored), (stored, fresh), (stored, stored):
            self.assertEqual(
                [('a', '1.000'), ('b', '1.000'), ('c', '1.000')],
                [(name, f'{ratio:.3f}')
                 for name, _value, ratio in results.compare(one, other)])

    def test_page(self):
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            pages.write(results.Run(
                [_result('a', 0.25, scenario='hit', condition='empty',
                         calls=3.0, bytes=3597.0, polls=1.0)],
                {'cpu': '', 'cpus': 2, 'python': '3'}), directory)
            self.assertIn('- 250 ms', (directory / 'hits.inc').read_text())
            self.assertEqual('Measured on 2 CPUs with Python 3.\n',
                             (directory / 'machine.inc').read_text())

    def test_storm(self):
        self.assertEqual(3, len(storm.run([lambda: None] * 3)))
        self.assertRaisesRegex(
            storm.StormError, '1 of 2 failed: KeyError', storm.run,
            [lambda: None, lambda: {}['x']])
