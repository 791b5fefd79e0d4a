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
"""Locks by Cinder's coordination, here with files."""

import contextlib
import os
import threading
import time
from unittest import mock

import ddt
import fixtures
from tooz import locking

from cinder import coordination
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    fixtures as cache_fixtures)
from cinder.volume.drivers.solidfire_template_cache import locks

# Real seconds after which a test that hangs fails.
_TIMEOUT = 60


class LocksTestCase(test.TestCase):

    MOCK_TOOZ = False

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(cache_fixtures.LogCapture())
        self.addCleanup(self.log.assert_no_exception_appended)
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.override_config('backend_url', 'file://' + self.directory,
                             group='coordination')
        coordination.COORDINATOR.stop()
        coordination.COORDINATOR.start()
        self.addCleanup(coordination.COORDINATOR.stop)

    def elsewhere(self, function, *args):
        """Return what a function returns in another thread."""
        results = []
        thread = threading.Thread(
            target=lambda: results.append(function(*args)), daemon=True)
        thread.start()
        thread.join(_TIMEOUT)
        self.assertFalse(thread.is_alive())
        return results[0]

    @staticmethod
    def is_free(name='a'):
        with locks.try_lock(name) as acquired:
            return acquired

    @contextlib.contextmanager
    def backend(self, acquired=True, **errors):
        """Replace the coordination backend; yield its lock."""
        lock = mock.Mock(spec=locking.Lock)
        lock.acquire.return_value = acquired
        lock.configure_mock(**{method + '.side_effect': error
                               for method, error in errors.items()})
        with mock.patch.object(coordination.COORDINATOR, 'get_lock',
                               autospec=True, return_value=lock):
            yield lock


class TryLockTestCase(LocksTestCase):

    def test_try_lock_excludes_others_while_the_block_runs(self):
        with locks.try_lock('a') as acquired:
            self.assertIs(True, acquired)
            # A failed attempt does not release the lock of the holder.
            for _attempt in range(2):
                self.assertIs(False, self.elsewhere(self.is_free))
                self.assertIs(False, self.is_free())
            self.assertIs(True, self.elsewhere(self.is_free, 'b'))
        self.assertIs(True, self.elsewhere(self.is_free))

    def test_try_lock_releases_only_what_it_acquired(self):
        for acquired in (False, True):
            with self.backend(acquired) as lock:
                self.assertIs(acquired, self.is_free())
            lock.acquire.assert_called_once_with(blocking=False)
            self.assertEqual(acquired, lock.release.called)

    def test_try_lock_when_the_backend_fails(self):
        with self.backend(acquire=OSError('no backend')) as lock:
            self.assertRaises(OSError, self.is_free)
        lock.release.assert_not_called()

    def test_try_lock_release_failure_is_only_logged(self):
        # The backend vanished; what the block did stands.
        with self.backend(release=OSError('no backend')):
            self.assertIs(True, self.is_free())
        self.log.pop_warning('Lock a could not be released',
                             'OSError: no backend')

    def test_try_lock_release_failure_after_an_error_is_a_note(self):
        def fail():
            with locks.try_lock('a'):
                raise KeyError('x')

        with self.backend(release=OSError('no backend')):
            exc = self.assertRaises(KeyError, fail)
        self.assertIn('OSError: no backend', exc.__notes__[0])
        self.assertEqual([], self.log.warnings)


class WaitForLockTestCase(LocksTestCase):

    def setUp(self):
        super().setUp()
        self.clock = cache_fixtures.ManualClock()

    def test_locks_are_released_after_an_error(self):
        for lock in (locks.try_lock('a'), locks.wait_for_lock(
                'a', self.clock, 1, 'the test')):
            def fail():
                with lock:
                    raise KeyError('x')

            self.assertRaises(KeyError, fail)
            self.assertIs(True, self.elsewhere(self.is_free))

    def wait(self, seconds=100, until=None):
        """Return what is yielded, and whether the lock was held then."""
        with locks.wait_for_lock('a', self.clock, seconds, 'the test',
                                 until) as found:
            return found, not self.is_free()

    def after_pauses(self, count, action):
        """Do something after so many pauses."""
        wait = self.clock.wait

        def count_and_wait(condition, seconds):
            wait(condition, seconds)
            if len(self.clock.waited) == count:
                action()

        self.mock_object(self.clock, 'wait', count_and_wait)

    def test_wait_for_lock_that_is_free(self):
        for seconds in (0, 100):
            self.assertEqual(
                (None, True),
                self.wait(seconds, lambda: self.fail('not to be called')))
            self.assertIs(True, self.is_free())
        self.assertEqual([], self.clock.waited)
        self.assertEqual([], self.log.infos)

    def test_wait_for_lock_until_it_is_free(self):
        lock = coordination.COORDINATOR.get_lock('a')
        self.assertTrue(lock.acquire())
        self.after_pauses(7, lock.release)
        self.assertEqual((None, True), self.wait())
        self.assertEqual(7, len(self.clock.waited))
        self.assertIs(True, self.is_free())

    def test_wait_for_lock_times_out(self):
        with locks.try_lock('a'):
            self.assertRaises(locks.LockTimeout, self.wait, 100)
        self.assertAlmostEqual(100, self.clock.monotonic())
        self.assertIs(True, self.is_free())
        # Pauses grow up to a second; the last one ends with the time.
        pauses = self.clock.waited
        self.assertLessEqual(pauses[0], 0.05)
        self.assertLessEqual(max(pauses), 1)
        self.assertGreater(len(pauses), 100)
        self.assertTrue(all(pause >= 0.5 for pause in pauses[10:-1]))
        # An operator sees what a request waits for, once.
        self.assertEqual(['Waiting up to 100 s for the test.'],
                         self.log.infos)

    def test_wait_for_lock_with_a_timeout_of_zero(self):
        with locks.try_lock('a'):
            self.assertRaises(locks.LockTimeout, self.wait, 0)
        self.assertEqual([], self.clock.waited)
        self.assertEqual([], self.log.infos)

    def test_wait_for_lock_until_something_else_serves(self):
        answers = iter([None, '', 'a template'])
        with locks.try_lock('a'):
            self.assertEqual(('a template', True),
                             self.wait(until=lambda: next(answers)))
        self.assertEqual(2, len(self.clock.waited))
        self.assertIs(True, self.is_free())

    def test_wait_for_lock_waits_on_the_condition(self):
        changed = threading.Condition(threading.Lock())
        waited_for = []

        def wait(condition, seconds):
            # A real wait requires that it is held.
            self.assertFalse(condition.acquire(blocking=False))
            waited_for.append(condition)

        self.mock_object(self.clock, 'wait', wait)
        with locks.try_lock('a'), locks.wait_for_lock(
                'a', self.clock, 100, 'the test',
                lambda: len(waited_for) == 3, changed):
            self.assertEqual([changed] * 3, waited_for)

    def test_wait_for_lock_when_until_fails(self):
        def until():
            raise KeyError('x')

        with locks.try_lock('a'):
            self.assertRaises(KeyError, self.wait, until=until)
        self.assertIs(True, self.is_free())

    def test_wait_for_lock_in_several_threads(self):
        inside, counts = [], []
        clock = cache_fixtures.ThreadedClock()

        def work():
            with locks.wait_for_lock('a', clock, 10 ** 6, 'the test'):
                inside.append(1)
                counts.append(len(inside))
                time.sleep(0.01)
                inside.pop()

        threads = [threading.Thread(target=work, daemon=True)
                   for _i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_TIMEOUT)
        self.assertEqual([1] * 5, counts)


class RemoveFilesTestCase(LocksTestCase):

    def files(self):
        return {name for name in os.listdir(self.directory)
                if name.startswith('cinder-')}

    def test_remove_files_of_one_lock(self):
        names = ['a', 'a-b', '[a]', 'b']
        for name in names:
            self.is_free(name)
        # A file that is gone is no error.
        for name in ('a', '[a]', '[a]'):
            locks.remove_files(name)
        self.assertEqual({'cinder-a-b', 'cinder-b'}, self.files())
        self.assertIs(True, self.is_free('a'))

    def test_images_with_files(self):
        for name in (locks.for_image('cluster-1', 'image-1'),
                     locks.for_image('cluster-1', 'image-2'),
                     locks.for_image('cluster-2', 'image-3'),
                     locks.for_capacity('cluster-1'),
                     locks.for_housekeeping('cluster-1')):
            self.is_free(name)
        self.assertEqual({'image-1', 'image-2'},
                         set(locks.images_with_files('cluster-1')))
        self.override_config('backend_url', 'redis://host/' + self.directory,
                             group='coordination')
        self.assertEqual([], locks.images_with_files('cluster-1'))

    def test_remove_files_while_the_lock_is_held(self):
        with locks.try_lock('a'):
            locks.remove_files('a')
        self.assertEqual(set(), self.files())
        self.assertEqual([], self.log.warnings)


@ddt.ddt
class BackendTestCase(test.TestCase):

    def configure(self, url):
        self.override_config('backend_url', url, group='coordination')

    @ddt.data(('file:///var/lib/cinder', 'file', False),
              ('file:///$state_path', 'file', False), ('ipc://', 'ipc', False),
              ('FILE:///x', 'file', False),
              ('etcd3+http://10.0.0.1:2379', 'etcd3+http', True),
              ('redis://:secret@10.0.0.1:6379', 'redis', True),
              ('zookeeper://10.0.0.1', 'zookeeper', True),
              ('mysql://user@10.0.0.1/tooz', 'mysql', True))
    @ddt.unpack
    def test_are_shared(self, url, scheme, expected):
        self.configure(url)
        self.assertEqual(scheme, locks.backend_scheme())
        self.assertIs(expected, locks.are_shared())
        self.assertIs(expected, locks.lock_scope_id() is None)

    def scope_of(self, url):
        self.configure(url)
        return locks.lock_scope_id()

    def test_lock_scope_id_of_files(self):
        first, second = [self.useFixture(fixtures.TempDir()).path
                         for _i in range(2)]
        found = self.scope_of('file://' + first)
        self.assertRegex(found, r'^[0-9a-f]{16}$')
        for same in ('', '/', '?timeout=5'):
            self.assertEqual(found, self.scope_of('file://' + first + same))
        self.assertNotEqual(found, self.scope_of('file://' + second))
        with mock.patch.object(locks.socket, 'gethostname', autospec=True,
                               return_value='another host'):
            self.assertNotEqual(found, self.scope_of('file://' + first))

    def test_lock_scope_id_of_containers_with_the_same_names(self):
        url = 'file://' + self.useFixture(fixtures.TempDir()).path
        found = self.scope_of(url)
        status = os.stat(url[7:])
        with mock.patch.object(locks.os, 'stat', autospec=True) as stat:
            stat.return_value = mock.Mock(
                spec=os.stat_result, st_dev=status.st_dev,
                st_ino=status.st_ino + 1, st_mode=status.st_mode)
            self.assertNotEqual(found, self.scope_of(url))

    def test_lock_scope_id_of_a_missing_directory(self):
        self.assertRegex(self.scope_of('file:///not/there'),
                         r'^[0-9a-f]{16}$')


class NameTestCase(test.TestCase):

    def test_names(self):
        # Services of earlier versions use the same names. None is the
        # image's id alone, which is the name of a lock of Cinder's.
        self.assertEqual(
            ('solidfire-template-CLUSTER-IMAGE',
             'solidfire-template-room-CLUSTER',
             'solidfire-template-housekeeping-CLUSTER'),
            (locks.for_image('CLUSTER', 'IMAGE'),
             locks.for_capacity('CLUSTER'),
             locks.for_housekeeping('CLUSTER')))
