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

"""Fills that fail while others wait for them."""

import threading

from eventlet import patcher

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base as history_base)
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import failures
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import locks

REQUESTS = 8


class FillFailuresTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = base.ManualClock()
        self.failures = failures.FillFailures(self.clock)
        service = base.ImageService()
        metadata = service.add(b'data')
        self.image = images.from_metadata(metadata)
        self.newer = images.from_metadata(
            service.replace(metadata['id'], b'newer'))
        self.other = images.from_metadata(service.add(b'other'))

    def test_second_failure_is_told_to_who_waits(self):
        check = self.failures.begin(self.image)
        self.failures.note(self.image, OSError('the first'))
        check()
        # An edited image meets the same cluster and the same host.
        self.failures.note(self.newer, OSError('the second'))
        exc = self.assertRaises(errors.FillsFail, check)
        self.assertIn('2 attempts', str(exc))
        self.assertIn('OSError: the second', str(exc))

    def test_who_comes_later_tries(self):
        for _i in range(3):
            self.failures.note(self.image, OSError('of the test'))
        self.failures.begin(self.image)()

    def test_failures_of_other_images(self):
        check = self.failures.begin(self.image)
        for _i in range(3):
            self.failures.note(self.other, OSError('of the test'))
        check()

    def test_failures_of_one_project(self):
        check = self.failures.begin(self.image)
        for _i in range(3):
            for kind in (exception.ImageNotFound,
                         exception.ImageNotAuthorized):
                self.failures.note(self.image, kind(image_id=self.image.id))
        check()

    def test_refusal_is_of_one_version_for_some_time(self):
        self.failures.note(self.image, errors.FillRefused(reason='a trap'))
        exc = self.assertRaises(errors.FillRefused,
                                self.failures.begin(self.image))
        self.assertIn('a trap', str(exc))
        self.failures.begin(self.newer)()
        self.clock.advance(failures.REFUSAL_SECONDS)
        self.failures.begin(self.image)()


class WaitersTestCase(history_base.HistoryTestCase):
    """Many ask at once for an image that cannot be filled in."""

    def setUp(self):
        super().setUp()
        self.image = self.images.add(history_base.DATA)
        if not patcher.is_monkey_patched('thread'):
            # Cinder 29.0 passes a download through eventlet's thread pool
            # all the same, which answers the first native thread only.
            self.mock_object(image_utils.tpool, 'Proxy', autospec=True,
                             side_effect=lambda image_file: image_file)
        self.everybody_waits = threading.Event()
        tries, held = set(), locks.held

        def note_try(name):
            if self.image['id'] in name:
                tries.add(threading.get_ident())
                if len(tries) == REQUESTS:
                    self.everybody_waits.set()
            return held(name)

        self.mock_object(locks, 'held', side_effect=note_try)

    def ask(self, *failures_of_fills):
        """Ask; let the first fills fail, once all the others wait.

        :returns: the volumes, and what became of them
        """
        outcomes = iter(failures_of_fills)
        fetch_to_raw = image_utils.fetch_to_raw

        def fail_then_fetch(*args, **kwargs):
            self.assertTrue(self.everybody_waits.wait(
                history_base.PATIENCE))
            failure = next(outcomes, None)
            if failure:
                raise failure
            return fetch_to_raw(*args, **kwargs)

        self.mock_object(image_utils, 'fetch_to_raw', autospec=True,
                         side_effect=fail_then_fetch)
        volumes = [self.new_volume() for _i in range(REQUESTS)]
        return volumes, self.run_together(
            *[lambda volume=volume: self.clone(self.image, volume)
              for volume in volumes])

    def test_lasting_failure_costs_two_downloads(self):
        volumes, results = self.ask(
            *[OSError('no path to the cluster')] * REQUESTS)
        self.assertEqual([(None, False)] * REQUESTS, results)
        self.assertEqual(2, len(self.images.downloads))
        for volume in volumes:
            [warning] = [text for text in self.warnings.messages
                         if volume.id in text]
            self.assertIn('no path to the cluster', warning)
        self.assertEqual([], self.templates())

    def test_passing_failure_is_made_up_for_by_the_next(self):
        _volumes, results = self.ask(OSError('once'))
        self.assertEqual(1, results.count((None, False)))
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual(1, len(self.templates()))
