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

"""What the log shows of errors and ids."""

import ddt

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import telling


@ddt.ddt
class TellingTestCase(test.TestCase):

    def test_tell_names_the_error_and_its_notes(self):
        error = KeyError('x')
        error.add_note('a volume may be left')
        self.assertEqual("KeyError: 'x'; a volume may be left",
                         telling.tell(error))

    def test_tell_adds_the_notes_of_causes(self):
        cause = ValueError('not told')
        cause.add_note('volume 7 may be left')
        error = KeyError('x')
        error.__cause__ = cause
        self.assertEqual("KeyError: 'x'; volume 7 may be left",
                         telling.tell(error))

    def test_tell_is_one_line(self):
        self.assertEqual('ValueError: a b c',
                         telling.tell(ValueError('a\n  b\r\n\tc')))

    @ddt.data('\x1b[31m', '\x00', '\u202e', '\udcff', '\U0001f600')
    def test_tell_is_printable_ascii(self, text):
        told = telling.tell(ValueError('a' + text + 'b'))
        self.assertTrue(told.isascii() and told.isprintable(), told)
        self.assertRegex(told, r'^ValueError: a\\.+b$')

    def test_tell_keeps_both_ends_of_what_is_long(self):
        told = telling.tell(ValueError('first ' + 'x' * 10000 + ' last'))
        self.assertLess(len(told), 1100)
        self.assertTrue(told.startswith('ValueError: first xxx'))
        self.assertTrue(told.endswith('xxx last'))

    def test_id_of(self):
        self.assertEqual('an-id', telling.id_of({'id': 'an-id'}))
        self.assertEqual('None', telling.id_of({}))
        self.assertIsNone(telling.id_of('no dictionary'))

    def test_id_of_what_is_no_id(self):
        told = telling.id_of({'id': '\n' * 10 ** 6})
        self.assertLess(len(told), 80)
        self.assertTrue(told.isprintable())
