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
"""Errors and ids in the log."""

import ddt
from oslo_log import log as logging

from cinder import exception
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import log_utils

logger = logging.getLogger(fixtures.PACKAGE + '.test')


@ddt.ddt
class LogUtilsTestCase(test.TestCase):

    @staticmethod
    def error(text='x', notes=(), cause=None):
        exc = ValueError(text)
        for note in notes:
            exc.add_note(note)
        exc.__cause__ = cause
        return exc

    def test_format_error_includes_the_notes_of_all_causes(self):
        first = self.error('not shown', ['volume 7 may be left'])
        second = self.error('not shown', cause=first)
        self.assertEqual(
            'ValueError: x; a note; volume 7 may be left',
            log_utils.format_error(self.error(notes=['a note'],
                                              cause=second)))

    @ddt.data(('a\n  b\r\n\tc', 'a b c'), ('a\x1b[31m', 'a\\x1b[31m'),
              ('a\x00b', 'a\\x00b'), ('a\u202eb', 'a\\u202eb'),
              ('a\udcffb', 'a\\udcffb'), ('\U0001f600', '\\U0001f600'))
    @ddt.unpack
    def test_format_error_is_one_line_of_printable_ascii(self, text,
                                                         expected):
        self.assertEqual('ValueError: ' + expected,
                         log_utils.format_error(self.error(text)))

    def test_format_error_keeps_both_ends_of_a_long_text(self):
        found = log_utils.format_error(
            self.error('first ' + 'x' * 10000 + ' last'))
        self.assertRegex(found, r'^ValueError: first x+ \.\.\. x+ last$')
        self.assertEqual(1000, len(found))

    @ddt.data(({'id': 'an-id'}, 'an-id'), ({}, 'None'),
              ('not a dictionary', None))
    @ddt.unpack
    def test_image_id(self, image_meta, expected):
        self.assertEqual(expected, log_utils.image_id(image_meta))

    def test_image_id_of_untrusted_input(self):
        found = log_utils.image_id({'id': '\n' * 10 ** 6})
        self.assertEqual(64, len(found))
        self.assertTrue(found.isprintable())

    @ddt.data(('abcdefgh', 8, 'abcdefgh'), ('abcdefghij', 9, 'ab ... ij'),
              ('abcdefghij', 8, 'ab ... j'))
    @ddt.unpack
    def test_printable_length(self, text, max_length, expected):
        self.assertEqual(expected, log_utils.printable(text, max_length))

    def test_error_logged_after_the_except_block_is_complete(self):
        # oslo.log appends an active exception, unescaped and at any length.
        log = self.useFixture(fixtures.LogCapture())
        text = 'a\x1b[31m' + 'x' * 5000

        def fail():
            raise exception.CinderException(text)

        try:
            fail()
        except exception.CinderException as exc:
            failure = exc
            logger.warning('inside')
        logger.warning('after: %s', log_utils.format_error(failure))
        self.assertIn(text, log.lines[0])
        self.assertNotIn('\x1b', log.lines[1])
        self.assertLess(len(log.lines[1]), 1500)
        exc = self.assertRaises(AssertionError,
                                log.assert_no_exception_appended)
        self.assertIn('inside', str(exc))
        self.assertNotIn('after', str(exc))
