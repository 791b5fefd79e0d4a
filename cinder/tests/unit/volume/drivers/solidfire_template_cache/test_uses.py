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

"""What this process remembers of the uses of templates."""

import dataclasses
import datetime
import threading
import unittest

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    test_bounds)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache import uses

MINUTE = datetime.timedelta(minutes=1)


@ddt.ddt
class UsesTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = base.ManualClock()
        self.uses = uses.Uses(self.clock)

    def template(self, ago=None, volume_id=1):
        """Return a template whose record tells of a use some time ago."""
        return dataclasses.replace(
            test_bounds.make_template(1), volume_id=volume_id,
            last_used=None if ago is None else self.clock.now() - ago)

    def test_last_when_nothing_is_known_is_long_ago(self):
        last = self.uses.last(self.template())
        self.assertLess(last, self.clock.now() - datetime.timedelta(36500))

    def test_last_as_recorded(self):
        self.assertEqual(self.clock.now() - MINUTE,
                         self.uses.last(self.template(MINUTE)))

    def test_last_is_the_fill_when_the_record_cannot_be_read(self):
        filled_at = self.clock.now() - MINUTE
        template = dataclasses.replace(self.template(), filled_at=filled_at)
        self.assertEqual(filled_at, self.uses.last(template))
        self.assertIs(True, self.uses.is_worth_recording(template))
        # The record, where there is one, is of a use.
        template = dataclasses.replace(template,
                                       last_used=filled_at - MINUTE)
        self.assertEqual(template.last_used, self.uses.last(template))

    def test_last_as_noted(self):
        template = self.template(MINUTE)
        self.uses.note(template)
        noted = self.clock.now()
        self.clock.advance(100)
        self.assertEqual(noted, self.uses.last(template))
        # Whatever is known of it else.
        self.assertEqual(noted, self.uses.last(
            dataclasses.replace(template, last_used=None)))

    def test_last_is_the_later_one(self):
        template = self.template(-MINUTE)
        self.uses.note(template)
        self.assertEqual(template.last_used, self.uses.last(template))

    def test_last_is_that_of_the_same_volume(self):
        self.uses.note(self.template(volume_id=1))
        other = self.template(MINUTE, volume_id=2)
        self.assertEqual(other.last_used, self.uses.last(other))

    def test_note_again_after_the_date_went_back(self):
        template = self.template(MINUTE)
        self.uses.note(template)
        self.clock.jump = datetime.timedelta(days=-1)
        self.uses.note(template)
        # What was recorded is still the latest that is known.
        self.assertEqual(template.last_used, self.uses.last(template))

    @ddt.data((9 * MINUTE, False), (10 * MINUTE, True), (-MINUTE, False),
              (None, True))
    @ddt.unpack
    def test_is_worth_recording(self, ago, expected):
        template = self.template(ago)
        self.uses.note(template)
        self.assertIs(expected, self.uses.is_worth_recording(template))

    def test_is_worth_recording_without_a_use(self):
        for ago in (None, MINUTE, datetime.timedelta(days=99)):
            self.assertIs(False,
                          self.uses.is_worth_recording(self.template(ago)))

    def test_note_of_very_many_forgets_the_oldest(self):
        first = self.template(volume_id=0)
        self.uses.note(first)
        noted = self.uses.last(first)
        for number in range(1, uses._MOST_NOTED + 1):
            self.uses.note(self.template(volume_id=number))
        self.assertLess(self.uses.last(first), noted)
        self.assertEqual(noted, self.uses.last(self.template(volume_id=1)))

    def test_note_by_several_threads(self):
        templates = [self.template(volume_id=number)
                     for number in range(200)]

        def note():
            for template in templates:
                self.uses.note(template)
                self.uses.last(template)

        threads = [threading.Thread(target=note) for _i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({self.clock.now()},
                         {self.uses.last(each) for each in templates})
