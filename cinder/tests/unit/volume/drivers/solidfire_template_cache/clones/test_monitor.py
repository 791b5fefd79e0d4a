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

import dataclasses
import itertools

import ddt

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

    def wait_for_job(self, seconds=0, key='image', volume=None):
        """Wait for a clone; return the seconds of that, and the calls."""
        begin = self.clock.monotonic()
        self.client.reset_mock()
        volume = volume or self.begin(seconds)
        with self.monitor.in_flight(volume.id):
            self.monitor.wait_for_job(key, base.SOURCE_ID,
                                      self.started(volume))
        return self.clock.monotonic() - begin, len(self.calls())

    def assert_waited(self, seconds, added, waited):
        rounded = round(waited, 6)
        self.assertTrue(seconds <= rounded <= seconds + added, waited)

    def assert_intervals(self, intervals):
        expected = itertools.accumulate(
            intervals[1:], lambda last, _i: min(last * 1.6, 2.0), initial=0.1)
        self.assertEqual(list(expected), intervals)


@ddt.ddt
class WaitForJobTestCase(MonitorTestCase):

    DURATIONS = (0, 0.05, 0.3, 1, 1.9, 2.1, 3, 5, 8, 10, 13, 20, 30)

    def test_clone_that_is_done_when_first_asked(self):
        self.assertEqual((0.1, 1), self.wait_for_job(0))
        self.assertEqual(['get_job'], self.calls())

    @ddt.data(*itertools.product(DURATIONS, (None, 1, 0.9, 1.1)))
    @ddt.unpack
    def test_added_wait(self, seconds, learned):
        # From the second clone on it is known what they take, about.
        if learned is not None:
            for _i in range(2):
                self.wait_for_job(seconds * learned)
        waited, calls = self.wait_for_job(seconds)
        self.assert_waited(seconds, max(0.1 * seconds, 0.1), waited)
        self.assertLessEqual(calls, 5)

    @ddt.data(*DURATIONS)
    def test_added_wait_of_a_cluster_that_does_not_estimate(self, seconds):
        self.tells_remaining = False
        for _i in range(2):
            waited, calls = self.wait_for_job(seconds)
            self.assert_waited(seconds, 2, waited)
        # It has learned what the clones take.
        self.assertLessEqual(calls, 5)

    # Seconds of the last clone, of this one, how much may be added
    @ddt.data((10, 4, 0.4), (30, 1, 2.01), (1, 30, 3), (4, 10, 1))
    @ddt.unpack
    def test_duration_changes(self, last, seconds, most):
        self.wait_for_job(last)
        waited, calls = self.wait_for_job(seconds)
        self.assert_waited(seconds, most, waited)
        self.assertLessEqual(calls, 5)
        # It is of one image only.
        waited, _calls = self.wait_for_job(0, key='other')
        self.assertAlmostEqual(0.1, waited)

    def test_estimate_is_wrong(self):
        # No estimate makes a wait exceed the timeout.
        self.client.list_clones.side_effect = lambda: [models.RunningClone(
            base.SOURCE_ID, volume_id, remaining=86400.0)
            for volume_id in self.jobs]
        begin = self.clock.monotonic()
        self.assertRaises(exceptions.CloneTimeout, self.wait_for_job, 10 ** 6)
        self.assertTrue(600 <= self.clock.monotonic() - begin <= 603)

    def test_list_fails(self):
        self.client.list_clones.side_effect = base.api_error('xNew')
        for _i in range(2):
            waited, _calls = self.wait_for_job(10)
            self.assert_waited(10, 2, waited)

    def test_short_clone_is_polled_again_without_a_look(self):
        self.wait_for_job(1)
        self.wait_for_job(1.04)
        self.assertEqual(['get_job'] * 2, self.calls())

    def test_polls_come_sooner_while_the_first_one_finds_the_end(self):
        found = [self.wait_for_job(seconds)[0] for seconds in [2] + [1] * 5]
        self.assertEqual(sorted(set(found[1:]), reverse=True), found[1:])

    def test_note_running(self):
        # What another thread has listed tells the end, whatever was expected.
        volume = self.begin(20)
        wait = self.clock.wait

        def look(condition, seconds):
            condition.release()
            wait(condition, min(seconds, 0.5))
            self.monitor.note_running(self.client.list_clones())
            condition.acquire()

        self.client.list_clones.side_effect = lambda: [
            dataclasses.replace(clone, remaining=500.0)
            for clone in self.list_clones()]
        self.mock_object(self.clock, 'wait', look)
        self.assert_waited(20, 0.5, self.wait_for_job(volume=volume)[0])
        self.assertLessEqual(self.client.get_job.call_count, 3)

    def test_wait_for_job_result_was_in_a_lost_reply(self):
        self.client.get_job.side_effect = NOT_FOUND
        self.wait_for_job()
        self.assertEqual(['get_job', 'find_volume'], self.calls())

    def test_wait_for_job_unknown(self):
        # For a moment, or as long as it runs; the volume then shows its end.
        self.tells_remaining = False
        for effect, seconds in (
                ([NOT_FOUND] * 4 + [models.Job(done=True, error=None)], 0),
                (NOT_FOUND, 30)):
            self.client.get_job.side_effect = effect
            waited, _calls = self.wait_for_job(seconds or 60)
            self.assertGreaterEqual(waited, seconds)
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
                self.client.get_job.side_effect = (
                    state if isinstance(state, Exception)
                    else lambda handle, job=state: job)
                begin = self.clock.monotonic()
                exc = self.assertRaises(error_class, self.wait_for_job,
                                        volume=volume)
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
