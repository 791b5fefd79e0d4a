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

"""Tests of what this process knows of the uses of templates."""

import dataclasses
import datetime
import math

import ddt

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.templates import usage

MINUTE = datetime.timedelta(minutes=1)


@ddt.ddt
class UsageTrackerTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.usage = usage.UsageTracker(self.clock)

    def template(self, ago=None, volume_id=1, **changes):
        """Return a template with the record of a use some time ago."""
        return fixtures.template(
            volume_id=volume_id,
            last_used=None if ago is None else self.clock.now() - ago,
            **{'filled_at': None, **changes})

    def test_last_used_without_a_note(self):
        now = self.clock.now()
        for template, expected in (
                (self.template(MINUTE), now - MINUTE),
                (self.template(2 * MINUTE, filled_at=now), now - 2 * MINUTE),
                # The record cannot be read.
                (self.template(filled_at=now - MINUTE), now - MINUTE),
                (self.template(), datetime.datetime.min.replace(
                    tzinfo=datetime.timezone.utc))):
            self.assertEqual(expected, self.usage.last_used(template))

    def test_last_used_with_a_note(self):
        template, other = self.template(MINUTE), self.template(MINUTE, 2)
        self.usage.note(template)
        noted = self.clock.now()
        self.clock.advance(100)
        for changed in (template, dataclasses.replace(template,
                                                      last_used=None)):
            self.assertEqual(noted, self.usage.last_used(changed))
        self.assertEqual(other.last_used, self.usage.last_used(other))
        # Another host has recorded a later use.
        later = self.template(-MINUTE)
        self.assertEqual(later.last_used, self.usage.last_used(later))
        self.usage.note(template)
        self.assertEqual(self.clock.now(), self.usage.last_used(template))

    def test_last_used_after_the_date_went_back(self):
        template = self.template(MINUTE)
        self.usage.note(template)
        self.clock.jump = datetime.timedelta(days=-1)
        self.usage.note(template)
        self.assertEqual(template.last_used, self.usage.last_used(template))

    @ddt.data((9 * MINUTE, False), (10 * MINUTE, True), (-MINUTE, False),
              (None, True))
    @ddt.unpack
    def test_needs_recording(self, ago, expected):
        template = self.template(ago)
        self.usage.note(template)
        self.assertIs(expected, self.usage.needs_recording(template))

    def test_needs_recording_without_a_note(self):
        # Only what is known and not recorded.
        for ago, filled_at, expected in (
                (None, None, False), (MINUTE, None, False),
                (99 * MINUTE, fixtures.T0, False), (None, fixtures.T0, True)):
            self.assertIs(expected, self.usage.needs_recording(
                self.template(ago, filled_at=filled_at)))

    def test_unused_seconds(self):
        # What others used is recorded by their clocks.
        template = self.template(MINUTE)
        self.assertEqual(math.inf, self.usage.unused_seconds(template))
        self.usage.note(self.template(MINUTE, 2))
        self.assertEqual(math.inf, self.usage.unused_seconds(template))
        for _use in range(2):
            self.usage.note(template)
            self.assertEqual(0, self.usage.unused_seconds(template))
            self.clock.advance(100)
            self.clock.jump -= datetime.timedelta(days=1)
            self.assertEqual(100, self.usage.unused_seconds(
                self.template(volume_id=1)))

    def test_number_of_notes_is_bounded(self):
        self.mock_object(usage, '_MAX_ENTRIES', 2)
        tracker = usage.UsageTracker(self.clock)
        templates = [self.template(MINUTE, number) for number in range(3)]
        for template in templates:
            tracker.note(template)
        self.assertEqual([MINUTE, 0 * MINUTE, 0 * MINUTE],
                         [self.clock.now() - tracker.last_used(template)
                          for template in templates])
