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

"""Locks by Cinder's coordination."""

import threading
from unittest import mock

import fixtures
from tooz import locking

from cinder import coordination
from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import locks

# Real seconds after which a test that hangs is given up.
_PATIENCE = 60


class HeldTestCase(test.TestCase):

    MOCK_TOOZ = False

    def setUp(self):
        super().setUp()
        directory = self.useFixture(fixtures.TempDir()).path
        self.override_config('backend_url', 'file://' + directory,
                             group='coordination')
        coordination.COORDINATOR.stop()
        coordination.COORDINATOR.start()
        self.addCleanup(coordination.COORDINATOR.stop)

    def elsewhere(self, function, *args, **kwargs):
        """Run something in a thread of its own; return what it returns."""
        results = []
        thread = threading.Thread(
            target=lambda: results.append(function(*args, **kwargs)),
            daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        self.assertFalse(thread.is_alive())
        return results[0]

    @staticmethod
    def try_lock(name='a'):
        """Return whether the lock was free."""
        with locks.held(name, blocking=False) as acquired:
            return acquired

    def test_held_yields_that_it_is(self):
        with locks.held('a') as acquired:
            self.assertIs(True, acquired)

    def test_held_keeps_others_out(self):
        with locks.held('a'):
            self.assertIs(False, self.elsewhere(self.try_lock))
        self.assertIs(True, self.elsewhere(self.try_lock))

    def test_held_of_another_name(self):
        with locks.held('a'):
            self.assertIs(True, self.elsewhere(self.try_lock, 'b'))

    def test_held_when_others_hold_it_does_not_release_theirs(self):
        with locks.held('a'):
            for _i in range(2):
                self.assertIs(False, self.elsewhere(self.try_lock))

    def test_held_is_released_after_an_error(self):
        def fail():
            with locks.held('a'):
                raise KeyError('x')

        self.assertRaises(KeyError, fail)
        self.assertIs(True, self.elsewhere(self.try_lock))

    def test_held_waits_for_others(self):
        order = []
        begun = threading.Event()

        def wait():
            begun.set()
            with locks.held('a'):
                order.append('second')

        waiting = threading.Thread(target=wait, daemon=True)
        with locks.held('a'):
            waiting.start()
            self.assertTrue(begun.wait(_PATIENCE))
            order.append('first')
        waiting.join(_PATIENCE)
        self.assertEqual(['first', 'second'], order)

    @staticmethod
    def _coordinator_with(lock):
        return mock.patch.object(coordination.COORDINATOR, 'get_lock',
                                 autospec=True, return_value=lock)

    def test_held_when_the_coordinator_fails(self):
        lock = mock.Mock(spec=locking.Lock)
        lock.acquire.side_effect = OSError('no coordinator')
        with self._coordinator_with(lock):
            self.assertRaises(OSError, self.try_lock)
        lock.release.assert_not_called()

    def test_held_releases_only_what_it_got(self):
        for acquired in (False, True):
            lock = mock.Mock(spec=locking.Lock)
            lock.acquire.return_value = acquired
            with self._coordinator_with(lock):
                self.assertIs(acquired, self.try_lock())
            lock.acquire.assert_called_once_with(blocking=False)
            self.assertEqual(acquired, lock.release.called)


class NameTestCase(test.TestCase):

    def test_for_image(self):
        self.assertEqual('solidfire-template-CLUSTER-IMAGE',
                         locks.for_image('CLUSTER', 'IMAGE'))

    def test_for_image_differs_by_cluster_and_image(self):
        names = {locks.for_image(cluster, image)
                 for cluster in 'ab' for image in 'ab'}
        self.assertEqual(4, len(names))

    def test_for_image_is_none_of_the_stock_driver_s(self):
        # Holding a lock of its name while calling it would be a deadlock.
        self.assertNotEqual('IMAGE', locks.for_image('', 'IMAGE'))
        self.assertIn('template', locks.for_image('', 'IMAGE'))
