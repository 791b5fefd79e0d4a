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

"""Tests of what the pages have in common."""

import json
import unittest

from figures import rows
from figures import tables


class FiguresTestCase(unittest.TestCase):

    def test_table(self):
        self.assertEqual(
            '.. list-table::\n   :header-rows: 1\n\n   * - a\n     - b\n'
            '   * - 1\n     - –\n', tables.table(('a', 'b'), [(1, None)]))

    def test_rows(self):
        document = {'a': {'b': 1}, 'c': [{'d': [1, 2]}, {'d': []}], 'e': []}
        text = rows.dumps(document)
        self.assertEqual(document, json.loads(text))
        self.assertIn('\n{"d": [1, 2]},\n{"d": []}\n', text)
