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

"""Tests of the record of calls."""

from cinder.tests.element_simulator import journal
from cinder.tests.unit import test


class JournalTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.journal = journal.Journal()
        for method, error in (('A', None), ('B', 'xB'), ('A', None)):
            self.journal.add(journal.Call(method, {}, '1.0', error=error,
                                          bytes_in=3, bytes_out=5))

    def test_journal_is_a_sequence(self):
        self.assertEqual(['A', 'B', 'A'],
                         [call.method for call in self.journal])
        self.assertEqual(('B', 3), (self.journal[1].method,
                                    len(self.journal)))
        self.assertEqual(['A', 'B', 'A'], self.journal.methods)

    def test_journal_counts(self):
        self.assertEqual((3, 2, 0), (self.journal.count(),
                                     self.journal.count('A'),
                                     self.journal.count('C')))
        self.assertEqual({'A': 2, 'B': 1}, self.journal.counts())
        self.assertEqual((9, 15), (self.journal.bytes_in,
                                   self.journal.bytes_out))

    def test_journal_reset(self):
        self.journal.reset_calls()
        self.assertEqual((0, 0), (self.journal.count(),
                                  self.journal.bytes_in))

    def test_call_ok(self):
        self.assertEqual([True, False, True],
                         [call.ok for call in self.journal])
        for outcome in ({'dropped': True, 'http_status': None},
                        {'http_status': 503}):
            self.assertFalse(journal.Call('A', {}, '1.0', **outcome).ok)

    def test_masked(self):
        given = {'username': 'a', 'initiatorSecret': 's1',
                 'list': [{'targetSecret': 's2', 'password': 's3'}]}
        self.assertEqual(
            {'username': 'a', 'initiatorSecret': '***',
             'list': [{'targetSecret': '***', 'password': '***'}]},
            journal.masked(given))
        self.assertEqual('s1', given['initiatorSecret'])
