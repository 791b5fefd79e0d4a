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

"""Polls: their intervals, jobs that end or vanish, clones of other hosts."""

import itertools

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions

NOT_FOUND = base.api_error('xDBNoSuchPath', 'GetAsyncResult', errors.NotFound)


class MonitorTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.monitor = monitor.CloneMonitor(self.cluster)

    def wait_for_job(self, seconds=0, source_id=base.SOURCE_ID):
        """Wait for a new clone; return the intervals of the polls."""
        before = len(self.clock.slept)
        self.monitor.wait_for_job(
            source_id, self.started(self.begin(seconds, source_id)))
        return self.clock.slept[before:]

    def assert_intervals(self, intervals):
        expected = itertools.accumulate(
            intervals[1:], lambda last, _i: min(last * 1.6, 2.0), initial=0.1)
        self.assertEqual(list(expected), intervals)


class WaitForJobTestCase(MonitorTestCase):

    def test_wait_for_job_intervals_grow_up_to_a_bound(self):
        intervals = self.wait_for_job(30)
        self.assert_intervals(intervals)
        self.assertEqual(2.0, intervals[-1])
        self.assertGreaterEqual(self.clock.monotonic(), 30)
        self.assertEqual({'get_job'}, set(self.calls()))

    def test_wait_for_job_first_poll_follows_the_last_clone(self):
        first = self.wait_for_job(1)
        second = self.wait_for_job(1.45)
        self.assertAlmostEqual(0.9 * sum(first), second[0])
        self.assertEqual([0.1], second[1:])
        self.assertLess(len(second), len(first))
        # Of the same source only, and not later than the longest interval.
        self.assertEqual(0.1, self.wait_for_job(1, source_id=8)[0])
        self.wait_for_job(30)
        self.assertEqual([0.9 * 2.0], self.wait_for_job(0))

    def test_wait_for_job_result_was_in_a_lost_reply(self):
        self.client.get_job.side_effect = NOT_FOUND
        self.wait_for_job()
        self.assertEqual(['get_job', 'find_volume'], self.calls())

    def test_wait_for_job_unknown(self):
        # For a moment, or as long as it runs; the volume then shows its end.
        for effect, seconds in (
                ([NOT_FOUND] * 4 + [models.Job(done=True, error=None)], 0),
                (NOT_FOUND, 30)):
            self.client.get_job.side_effect = effect
            self.wait_for_job(60 if seconds == 0 else seconds)
            self.assertGreaterEqual(self.clock.monotonic(), seconds)
            self.assertEqual(seconds == 0, (
                self.client.list_running_clones.call_count == 0))

    def test_wait_for_job_fails(self):
        cases = (
            # The job's state, the seconds it runs, what is raised
            (models.Job(True, 'xBroken: m'), 0, exceptions.CloneFailed,
             'xBroken: m', 1),
            (models.Job(False, None), 10 ** 6, exceptions.CloneTimeout,
             '600 seconds', None),
            (NOT_FOUND, None, exceptions.CloneFailed, 'neither', 5),
            (base.api_error('xNew'), 0, errors.ApiError, 'xNew', 1))
        for state, seconds, error_class, text, polls in cases:
            with self.subTest(text=text):
                volume = self.begin(seconds or 0)
                if seconds is None:
                    del self.jobs[volume.id]
                self.client.reset_mock()
                self.client.get_job.side_effect = (
                    state if isinstance(state, Exception)
                    else lambda handle, job=state: job)
                begin = self.clock.monotonic()
                exc = self.assertRaises(error_class, self.monitor.wait_for_job,
                                        base.SOURCE_ID, self.started(volume))
                self.assertIs(error_class, type(exc))
                self.assertIn(text, str(exc))
                if polls:
                    self.assertEqual(polls, self.client.get_job.call_count)
                else:
                    waited = self.clock.monotonic() - begin
                    self.assertTrue(600 <= waited < 603, waited)

    def test_wait_for_job_configured_timeout(self):
        # Launchpad bug 1898587: 60 and 200 seconds are settings in use.
        for timeout in (60, 200):
            self.conf.sf_volume_clone_timeout = timeout
            self.monitor = monitor.CloneMonitor(self.cluster)
            self.wait_for_job(timeout - 5)
            self.assertRaises(exceptions.CloneTimeout, self.wait_for_job,
                              timeout + 5)


class WaitUntilListedTestCase(MonitorTestCase):

    def test_wait_until_listed(self):
        other = fixtures.element_volume(id=1, name='UUID-1')
        ours = [fixtures.element_volume(id=2, name='UUID-1', status=status)
                for status in ('active', 'deleted', 'init')]
        cases = (
            # The listings, the one that is returned
            ([[ours[0]]], 0),
            ([[other, ours[0]]], 0),
            ([[ours[1]]], 0),
            ([[], [other], [ours[2]], [ours[0]], []], 3),
            ([[ours[2]]] * 7 + [[ours[0]], []], 7),
            ([[other]] * 8 + [[ours[0]]], 7))
        for listings, result in cases:
            with self.subTest(listings=listings):
                self.clock.slept.clear()
                self.client.list_volumes.side_effect = listings
                self.assertEqual(listings[result],
                                 self.monitor.wait_until_listed('UUID-1', 2))
                self.assertEqual(result, len(self.clock.slept))
                if result:
                    self.assert_intervals(self.clock.slept)


class ForeignClonesTestCase(MonitorTestCase):

    def wait(self, *source_ids):
        """Return the seconds that the wait took."""
        begin = self.clock.monotonic()
        self.monitor.wait_for_foreign_clones(*(source_ids or [base.SOURCE_ID]))
        return self.clock.monotonic() - begin

    def test_wait_for_foreign_clones_none_run(self):
        self.begin(1000, source_id=8)
        self.assertEqual(0, self.wait())
        self.assertEqual(['list_running_clones'], self.calls())

    def test_wait_for_foreign_clones_until_all_have_ended(self):
        for seconds, source_id in ((5, 7), (10, 8), (10 ** 6, 9)):
            self.begin(seconds, source_id)
        self.assertTrue(10 <= self.wait(7, 8) < 12)
        self.assert_intervals(self.clock.slept)

    def test_wait_for_foreign_clones_not_for_those_of_this_process(self):
        own = self.begin(100)
        with self.monitor.in_flight(own.id):
            self.begin(5)
            self.assertTrue(5 <= self.wait() < 7)
        self.assertTrue(90 <= self.wait() < 100)

    def test_wait_for_foreign_clones_not_for_later_ones(self):
        self.begin(5)
        sleep = self.clock.sleep

        def begin_another(seconds):
            if not self.clock.slept:
                self.begin(1000)
            sleep(seconds)

        self.mock_object(self.clock, 'sleep', begin_another)
        self.assertTrue(5 <= self.wait() < 7)

    def test_wait_for_foreign_clones_times_out(self):
        self.begin(10 ** 6)
        exc = self.assertRaises(errors.ElementError, self.wait)
        self.assertEqual(('ListSyncJobs', 'Timeout'), (exc.method, exc.name))
        self.assertIn('clones of 7 are still running', str(exc))
        self.assertTrue(600 <= self.clock.monotonic() < 603)

    def test_in_flight_ends_with_an_error(self):
        own = self.begin(5)
        in_flight = self.monitor.in_flight(own.id)
        in_flight.__enter__()
        self.assertFalse(in_flight.__exit__(KeyError, KeyError('x'), None))
        self.assertGreaterEqual(self.wait(), 5)
