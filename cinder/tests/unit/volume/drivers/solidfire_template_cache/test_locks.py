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
import time
from unittest import mock

import ddt
import fixtures
from tooz import locking

from cinder import coordination
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import locks

# Real seconds after which a test that hangs is given up.
_PATIENCE = 60


class LocksTestCase(test.TestCase):

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
        with locks.held(name) as acquired:
            return acquired


class HeldTestCase(LocksTestCase):

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

    def test_held_by_others_is_told_at_once(self):
        with locks.held('a'):
            self.assertIs(False, self.try_lock())

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


class AwaitedTestCase(LocksTestCase):

    def setUp(self):
        super().setUp()
        self.clock = clients.Clock()

    def wait(self, seconds=100, needless=lambda: False):
        """Return whether the lock was held, or was needless."""
        with locks.awaited('a', self.clock, seconds, needless) as acquired:
            return acquired

    def after_pauses(self, count, action):
        """Do something when there were so many pauses."""
        wait = self.clock.wait

        def count_and_wait(condition, seconds):
            wait(condition, seconds)
            if len(self.clock.paused) == count:
                action()

        self.mock_object(self.clock, 'wait', count_and_wait)

    def test_awaited_when_free_does_not_wait(self):
        with locks.awaited('a', self.clock, 0) as acquired:
            self.assertIs(True, acquired)
            self.assertIs(False, self.try_lock())
        self.assertIs(True, self.try_lock())
        self.assertEqual([], self.clock.paused)

    def test_awaited_until_it_is_free(self):
        lock = coordination.COORDINATOR.get_lock('a')
        self.assertTrue(lock.acquire())
        self.after_pauses(7, lock.release)
        self.assertIs(True, self.wait())
        self.assertEqual(7, len(self.clock.paused))
        self.assertIs(True, self.try_lock())

    def test_awaited_too_long(self):
        with locks.held('a'):
            self.assertRaises(locks.TimedOut, self.wait, 100)
        self.assertAlmostEqual(100, self.clock.monotonic())
        self.assertIs(True, self.try_lock())

    def test_awaited_for_no_time_at_all(self):
        with locks.held('a'):
            self.assertRaises(locks.TimedOut, self.wait, 0)
        self.assertEqual([], self.clock.paused)

    def test_awaited_pauses_grow_up_to_a_second(self):
        with locks.held('a'):
            self.assertRaises(locks.TimedOut, self.wait, 100)
        pauses = self.clock.paused
        self.assertLessEqual(pauses[0], 0.05)
        self.assertLessEqual(max(pauses), 1)
        self.assertGreater(len(pauses), 100)
        # The last one ends with the time.
        self.assertTrue(all(pause >= 0.5 for pause in pauses[10:-1]))

    def test_awaited_in_vain_is_needless(self):
        answers = iter([None, None, 'a template'])
        with locks.held('a'):
            self.assertIs(False, self.wait(needless=lambda: next(answers)))
        self.assertEqual(2, len(self.clock.paused))

    def test_awaited_pauses_end_when_something_has_changed(self):
        changed = threading.Condition(threading.Lock())
        waited_for = []

        def wait(condition, seconds):
            # As one that waits for real has to have it.
            self.assertFalse(condition.acquire(blocking=False))
            waited_for.append(condition)

        self.mock_object(self.clock, 'wait', wait)
        with locks.held('a'), locks.awaited(
                'a', self.clock, 100, lambda: len(waited_for) == 3,
                changed) as acquired:
            self.assertIs(False, acquired)
        self.assertEqual([changed] * 3, waited_for)

    def test_awaited_when_free_asks_nobody(self):
        self.assertIs(True, self.wait(needless=lambda: self.fail('asked')))

    def test_awaited_when_the_question_fails(self):
        def needless():
            raise KeyError('x')

        with locks.held('a'):
            self.assertRaises(KeyError, self.wait, needless=needless)
        self.assertIs(True, self.try_lock())

    def test_awaited_is_released_after_an_error(self):
        def fail():
            with locks.awaited('a', self.clock, 1):
                raise KeyError('x')

        self.assertRaises(KeyError, fail)
        self.assertIs(True, self.try_lock())

    def test_awaited_by_several_threads_is_held_by_one_at_a_time(self):
        inside, most = [], []

        def work():
            with locks.awaited('a', self.clock, 10 ** 6):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

        self.clock = base.ManualClock()
        threads = [threading.Thread(target=work, daemon=True)
                   for _i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
        self.assertEqual([1] * 5, most)


@ddt.ddt
class SharedTestCase(test.TestCase):

    @ddt.data(('file:///var/lib/cinder', False),
              ('file:///$state_path', False),
              ('ipc://', False), ('etcd3+http://10.0.0.1:2379', True),
              ('redis://:secret@10.0.0.1:6379', True),
              ('zookeeper://10.0.0.1', True),
              ('mysql://user@10.0.0.1/tooz', True))
    @ddt.unpack
    def test_are_shared(self, url, expected):
        self.override_config('backend_url', url, group='coordination')
        self.assertIs(expected, locks.are_shared())

    def domain(self, url):
        self.override_config('backend_url', url, group='coordination')
        return locks.domain()

    def test_domain_of_shared_locks(self):
        self.assertIsNone(self.domain('redis://10.0.0.1:6379'))

    def test_domain_of_files(self):
        first, second = [self.useFixture(fixtures.TempDir()).path
                         for _i in range(2)]
        found = self.domain('file://' + first)
        self.assertRegex(found, r'^[0-9a-f]{16}$')
        for same in ('', '/', '?timeout=5'):
            self.assertEqual(found, self.domain('file://%s%s'
                                                % (first, same)))
        self.assertNotEqual(found, self.domain('file://' + second))

    def test_domain_of_files_of_the_same_name_elsewhere(self):
        url = 'file://' + self.useFixture(fixtures.TempDir()).path
        found = self.domain(url)
        with mock.patch.object(locks.socket, 'gethostname', autospec=True,
                               return_value='another host'):
            self.assertNotEqual(found, self.domain(url))

    def test_domain_of_files_in_no_directory_yet(self):
        self.assertRegex(self.domain('file:///not/there'),
                         r'^[0-9a-f]{16}$')


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

    def test_for_room_and_housekeeping_differ_by_cluster(self):
        names = {name(cluster)
                 for name in (locks.for_room, locks.for_housekeeping)
                 for cluster in 'ab'}
        self.assertEqual(4, len(names))
        self.assertNotIn(locks.for_image('a', 'b'), names)
