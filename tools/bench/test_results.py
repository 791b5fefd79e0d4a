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

"""Tests of what is computed from the results; part of every run."""

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
        self.assertEqual(4, results.bound(8, nodes=1, of_volume=2, of_node=2))
        self.assertEqual(8, results.bound(8, nodes=1, of_volume=1, of_node=1))

    def test_compare(self):
        old = results.Run([_result('a', 2.0), _result('b', 0.0),
                           _result('c', 9.0, ends=[1, 4])], {})
        new = results.Run([_result('a', 3.0), _result('b', 1.0),
                           _result('c', 1.0, ends=[1, 6]),
                           _result('d', 1.0)], {})
        self.assertEqual([('a', 3.0, 1.5), ('c', 6, 1.5)],
                         results.compare(new, old))
        self.assertEqual(1.5, results.fairness([2.0, 3.0, 2.5]))

    def test_load_and_store(self):
        document = {'machine_info': {'cpus': 2}, 'benchmarks': [
            {'name': 'a', 'fullname': '/x', 'extra_info': {'way': 'w'},
             'stats': {'median': 2, 'data': [2, 2]}},
            {'name': 'test', 'extra_info': {}, 'stats': {'median': 1}}]}
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory, 'source')
            target = pathlib.Path(directory, 'target')
            source.write_text(json.dumps(document))
            results.store(source, target)
            self.assertNotIn('/x', target.read_text())
            run = results.load(target)
            self.assertEqual(results.load(source), run)
        self.assertEqual(2, run.find(way='w').value)
        self.assertIsNone(run.find(way='none'))

    def test_table(self):
        self.assertEqual(
            ['.. list-table::', '   :header-rows: 1', '', '   * - a',
             '     - b', '   * - 1', '     - –'],
            pages.table(('a', 'b'), [(1, None)]))

    def test_storm(self):
        self.assertEqual(3, len(storm.run([lambda: None] * 3)))
        self.assertRaisesRegex(
            storm.StormError, '1 of 2 failed: KeyError', storm.run,
            [lambda: None, lambda: {}['x']])
