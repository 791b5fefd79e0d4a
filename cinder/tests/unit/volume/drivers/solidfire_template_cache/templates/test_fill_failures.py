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

"""Tests of the negative cache of fills."""

import ddt

from cinder import exception
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.templates import (
    fill_failures)

REFUSAL = exceptions.FillRefused(reason='adversarial input')


@ddt.ddt
class FillFailuresTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.failures = fill_failures.FillFailures(self.clock)
        self.image = fixtures.image()
        self.newer = fixtures.image(updated_at=fixtures.T0.replace(year=2027))
        self.other = fixtures.image(id='another')

    def test_second_failure_ends_the_wait_of_a_request(self):
        watch = self.failures.watch(self.image)
        watch.check()
        self.failures.note(self.image, OSError('the first'))
        watch.check()
        # A newer version meets the same cluster and the same host.
        self.failures.note(self.newer, OSError('the\nsecond'))
        exc = self.assertRaises(exceptions.RepeatedFillFailure, watch.check)
        self.assertIn('2 other requests', str(exc))
        self.assertIn('OSError: the second', str(exc))
        self.assertNotIn('the first', str(exc))
        self.failures.note(self.image, OSError('the third'))
        self.assertIn('3 other', str(self.assertRaises(
            exceptions.RepeatedFillFailure, watch.check)))
        # Requests that come later try again.
        later = self.failures.watch(self.image)
        later.check()
        self.failures.note(self.image, OSError('of the test'))
        later.check()

    @ddt.data(
        ('another', OSError('of the test')),
        # What is refused to one project may be allowed to others.
        (None, exception.ImageNotFound(image_id='it')),
        (None, exception.ImageNotAuthorized(image_id='it')),
        (None, REFUSAL))
    @ddt.unpack
    def test_failures_that_do_not_count(self, image_id, failure):
        watch = self.failures.watch(self.newer)
        for _i in range(3):
            self.failures.note(fixtures.image(id=image_id or self.image.id),
                               failure)
        watch.check()

    def test_refusal_is_of_one_version_and_expires(self):
        waiting = self.failures.watch(self.image)
        self.failures.note(self.image, REFUSAL)
        self.clock.advance(fill_failures.REFUSAL_SECONDS - 1)
        for watch in (waiting, self.failures.watch(self.image)):
            self.assertIn('adversarial input', str(self.assertRaises(
                exceptions.FillRefused, watch.check)))
        for image in (self.newer, self.other):
            self.failures.watch(image).check()
        self.clock.advance(1)
        waiting.check()
        self.assertEqual(600, fill_failures.REFUSAL_SECONDS)

    def test_number_of_entries_is_bounded(self):
        for failure in (REFUSAL, OSError('of the test')):
            self.mock_object(fill_failures, '_MAX_ENTRIES', 2)
            failures = fill_failures.FillFailures(self.clock)
            watches = []
            for number in range(3):
                image = fixtures.image(id=str(number))
                watches.append(failures.watch(image))
                failures.note(image, failure)
                failures.note(image, failure)
            watches[0].check()
            for watch in watches[1:]:
                self.assertRaises(exceptions.TemplateCacheError, watch.check)
