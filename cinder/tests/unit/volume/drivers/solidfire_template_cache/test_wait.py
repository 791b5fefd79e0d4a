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

"""Requests that wait while another one fills the template of their image."""

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache import house
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import locks


@ddt.ddt
class WaitTestCase(house.HouseTestCase):
    """Another host has the lock of the image."""

    def setUp(self):
        super().setUp()
        self.driver = self.new_driver(sf_template_wait_timeout=100)
        self.cache = self.driver._template_parts().cache
        self.image = self.images.add(house.DATA)
        self.lock = self.hold(locks.for_image(self.sim.cluster.uuid,
                                              self.image['id']))
        self.wait_fast()
        self.sim.reset_calls()

    def after_pauses(self, count, action):
        """Do something after so many pauses of the one that waits."""
        wait, pauses = self.clock.wait, []

        def count_and_wait(condition, seconds):
            wait(condition, seconds)
            pauses.append(seconds)
            if len(pauses) == count:
                action()

        self.mock_object(self.clock, 'wait', count_and_wait)

    def learn(self, image):
        """Let this process learn of a template that another host made."""
        self.plant(image, house.DATA)
        [found] = self.cache._store.find(image['id'])
        self.cache._remember(found)

    def assert_falls_back(self, image, *texts):
        volume = self.new_volume()
        before = self.left()
        self.assertEqual((None, False), self.clone(image, volume))
        self.pop_warning(volume.id, image['id'], *texts)
        self.assertEqual([], self.volumes_named('UUID-'))
        self.assertEqual(before, [each for each in self.left()
                                  if each in before])
        self.assertEqual([], self.images.downloads)
        self.assertEqual([], self.conversion_files())

    def test_wait_that_is_too_long_falls_back(self):
        self.assert_falls_back(self.image, 'FillAwaitedTooLong',
                               '100 seconds', 'sf_template_wait_timeout')
        self.assertGreaterEqual(self.clock.monotonic(), 100)
        self.assertLess(self.clock.monotonic(), 102)
        self.assertEqual([], self.left())

    def test_wait_that_was_too_long_leaves_the_lock_alone(self):
        self.assert_falls_back(self.image)
        self.assert_falls_back(self.image)
        self.lock.release()
        self.assert_served(self.clone(self.image), house.DATA)

    def test_wait_of_no_time_falls_back_at_once(self):
        self.driver = self.new_driver(sf_template_wait_timeout=0)
        begun = self.clock.monotonic()
        self.assert_falls_back(self.image, 'FillAwaitedTooLong')
        self.assertEqual(begun, self.clock.monotonic())

    def test_wait_of_no_time_fills_when_nobody_else_does(self):
        self.driver = self.new_driver(sf_template_wait_timeout=0)
        self.lock.release()
        self.assert_served(self.clone(self.image), house.DATA)

    def test_wait_costs_no_calls(self):
        self.after_pauses(1, self.sim.reset_calls)
        self.assert_falls_back(self.image)
        self.assertEqual([], self.sim.calls.methods)

    def test_wait_ends_as_soon_as_this_process_knows_the_template(self):
        # Others that wait do not take the lock in turn.
        self.after_pauses(5, lambda: self.learn(self.image))
        self.assert_served(self.clone(self.image), house.DATA)
        self.assertEqual([], self.images.downloads)
        self.assertLess(self.clock.monotonic(), 10)

    def test_wait_ends_with_the_lock_when_the_filler_has_failed(self):
        self.after_pauses(5, self.lock.release)
        self.assert_served(self.clone(self.image), house.DATA)
        self.assertEqual([self.image['id']], self.images.downloads)

    def test_wait_for_a_newer_version_is_not_ended_by_the_old_one(self):
        newer = self.images.replace(self.image['id'], b'newer')
        self.learn(self.image)
        self.assert_falls_back(newer, 'FillAwaitedTooLong')

    def test_wait_is_ended_by_a_newer_version_than_asked_for(self):
        newer = self.images.replace(self.image['id'], b'newer')
        self.after_pauses(5, lambda: self.learn(newer))
        self.assert_falls_back(self.image, 'RequestOutdated')
        self.assertLess(self.clock.monotonic(), 10)

    def test_wait_is_ended_by_the_refusal_of_the_image(self):
        refused = images.from_metadata(self.image)
        self.after_pauses(5, lambda: self.cache._failures.note(
            refused, errors.FillRefused(
                reason='its format is not what it says')))
        self.assert_falls_back(self.image, 'FillRefused',
                               'its format is not what it says')
        self.assertLess(self.clock.monotonic(), 10)

    def test_wait_of_one_image_does_not_keep_others(self):
        self.assert_served(self.clone(self.images.add(house.DATA)),
                           house.DATA)
        self.assertLess(self.clock.monotonic(), 10)

    @ddt.data(True, False)
    def test_hit_does_not_wait(self, remembered):
        # Somebody fills a newer version; this request is for the old one.
        self.plant(self.image, house.DATA)
        if remembered:
            self.assert_served(self.clone(self.image), house.DATA)
        self.assert_served(self.clone(self.image), house.DATA)
        self.assertLess(self.clock.monotonic(), 10)
