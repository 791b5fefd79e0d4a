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

"""Tests of look-ups that several threads need at the same time."""

from concurrent import futures
import threading

import ddt

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import single_flight

THREADS = 8


@ddt.ddt
class SingleFlightTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.lookups = single_flight.SingleFlight()
        self.cached = {}
        self.calls = []
        self.arrived = threading.Semaphore(0)

    def run_together(self, find, keys=('key',) * THREADS):
        """Let threads look up at the same time.

        :param find: looks up in place of the cluster; its argument is
            whether it is the first call of a key, which comes when all
            threads have begun
        :returns: what each thread found, or its error
        """
        def take_cached(key):
            # With the lock held: by the end of the first look-up, all that
            # came here wait for it.
            self.arrived.release()
            return self.cached.get(key)

        def look_up(key):
            is_first = key not in self.calls
            self.calls.append(key)
            if is_first:
                self.wait_for_all(len(keys) // len(set(keys)))
            found = find(is_first)
            if found:
                self.cached[key] = found
            return found

        with futures.ThreadPoolExecutor(len(keys)) as pool:
            asked = [pool.submit(self.lookups.run, key,
                                 lambda key=key: take_cached(key),
                                 lambda key=key: look_up(key))
                     for key in keys]
        # No entry is left.
        self.assertEqual({}, self.lookups._in_progress)
        return [each.exception() or each.result() for each in asked]

    def wait_for_all(self, count):
        for _i in range(count):
            self.assertTrue(self.arrived.acquire(timeout=60))

    def test_one_looks_up_for_all(self):
        self.assertEqual(['found'] * THREADS,
                         self.run_together(lambda is_first: 'found'))
        self.assertEqual(['key'], self.calls)
        # Then it is cached.
        self.assertEqual('found', self.lookups.run(
            'key', lambda: self.cached['key'], self.fail))

    def test_one_finds_nothing_for_all(self):
        found = self.run_together(lambda is_first: ())
        self.assertEqual({(): 1, None: THREADS - 1},
                         {each: found.count(each) for each in found})
        self.assertEqual(['key'], self.calls)
        # The next one looks up again.
        self.assertEqual('found', self.lookups.run('key', lambda: None,
                                                   lambda: 'found'))

    # Even what is no error of a call.
    @ddt.data(OSError('of the test'), SystemExit())
    def test_first_look_up_fails(self, failure):
        # All others look up at the same time, none after the other.
        others = threading.Barrier(THREADS - 1)

        def find(is_first):
            if is_first:
                raise failure
            others.wait(timeout=60)
            return 'found'

        found = self.run_together(find)
        self.assertEqual(1, found.count(failure))
        self.assertEqual(THREADS - 1, found.count('found'))
        self.assertEqual(THREADS, len(self.calls))

    def test_first_look_up_fails_and_another_one_does_not(self):
        # What is cached meanwhile serves.
        def find(is_first):
            self.cached['key'] = 'found elsewhere'
            raise OSError()

        found = self.run_together(find)
        self.assertEqual(THREADS - 1, found.count('found elsewhere'))
        self.assertEqual(['key'], self.calls)

    def test_keys_do_not_wait_for_each_other(self):
        both = threading.Barrier(2)

        def find(is_first):
            both.wait(timeout=60)
            return 'found'

        self.assertEqual(['found'] * 2, self.run_together(find, ('a', 'b')))
        self.assertEqual({'a', 'b'}, set(self.calls))
