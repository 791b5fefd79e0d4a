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

import contextlib
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
DONE = models.Job(done=True, error=None)

OTHER = fixtures.element_volume(id=1)
OURS, DELETED, UNFINISHED = (fixtures.element_volume(id=2, status=status)
                             for status in ('active', 'deleted', 'init'))


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

    def assert_intervals(self):
        intervals = self.clock.slept
        expected = itertools.accumulate(
            intervals[1:], lambda last, _i: min(last * 1.6, 2.0), initial=0.1)
        self.assertEqual(list(expected)[:len(intervals)], intervals)


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
        self.estimate = lambda remaining: None
        for _i in range(2):
            waited, calls = self.wait_for_job(seconds)
            self.assert_waited(seconds, 2, waited)
        # It has learned what the clones take.
        self.assertLessEqual(calls, 5)

    def test_list_fails(self):
        with self.failing('list_clones'):
            for _i in range(2):
                self.assert_waited(10, 2, self.wait_for_job(10)[0])

    # Seconds of the last clone, of this one, how much may be added
    @ddt.data((10, 4, 0.4), (30, 1, 2.01), (1, 30, 3), (4, 10, 1))
    @ddt.unpack
    def test_duration_changes(self, last, seconds, most):
        self.wait_for_job(last)
        waited, calls = self.wait_for_job(seconds)
        self.assert_waited(seconds, most, waited)
        self.assertLessEqual(calls, 5)
        # It is of one image only.
        self.assertAlmostEqual(0.1, self.wait_for_job(0, key='other')[0])

    def test_short_clone_is_polled_again_without_a_look(self):
        self.wait_for_job(1)
        self.wait_for_job(1.04)
        self.assertEqual(['get_job'] * 2, self.calls())

    def test_polls_come_sooner_while_the_first_one_finds_the_end(self):
        found = [self.wait_for_job(seconds)[0] for seconds in [2] + [1] * 5]
        self.assertEqual(sorted(set(found[1:]), reverse=True), found[1:])

    def test_note_running(self):
        # What another thread has listed tells the end, whatever was expected.
        wait = self.clock.wait

        def look(condition, seconds):
            condition.release()
            wait(condition, min(seconds, 0.5))
            self.monitor.note_running(self.client.list_clones())
            condition.acquire()

        self.estimate = lambda remaining: 500.0
        self.mock_object(self.clock, 'wait', look)
        self.assert_waited(20, 0.5, self.wait_for_job(20)[0])
        self.assertLessEqual(self.client.get_job.call_count, 3)

    def test_job_result_was_in_a_lost_reply(self):
        with self.failing('get_job', NOT_FOUND):
            self.wait_for_job()
        self.assertEqual(['get_job', 'find_volume'], self.calls())

    # For a moment, or as long as it runs; the volume then shows its end.
    @ddt.data(([NOT_FOUND] * 4 + [DONE], 0), (NOT_FOUND, 30))
    @ddt.unpack
    def test_job_unknown(self, effect, seconds):
        self.estimate = lambda remaining: None
        with self.failing('get_job', effect):
            waited, _calls = self.wait_for_job(seconds or 60)
        self.assertGreaterEqual(waited, seconds)
        self.assertEqual(seconds > 0, self.client.list_running_clones.called)

    # What a poll finds, of a clone that exists; what is raised, after polls
    @ddt.data(([models.Job(True, 'xBroken: m')], True, exceptions.CloneFailed,
               'xBroken: m', 1),
              (NOT_FOUND, False, exceptions.CloneFailed, 'neither', 5),
              (base.NEW_ERROR, True, errors.ApiError, 'xNew', 1))
    @ddt.unpack
    def test_job_fails(self, effect, exists, error_class, text, polls):
        volume = self.begin(0)
        if not exists:
            self.jobs.clear()
        with self.failing('get_job', effect) as get_job:
            exc = self.assertRaises(error_class, self.wait_for_job,
                                    volume=volume)
        self.assertIs(error_class, type(exc))
        self.assertIn(text, str(exc))
        self.assertEqual(polls, get_job.call_count)

    # Launchpad bug 1898587: 60 and 200 seconds are settings in use.
    @ddt.data(60, 200, 600)
    def test_job_times_out(self, timeout):
        # Whatever the cluster estimates.
        self.conf.sf_volume_clone_timeout = timeout
        self.monitor = monitor.CloneMonitor(self.cluster)
        self.wait_for_job(timeout - 5)
        begin = self.clock.monotonic()
        exc = self.assertRaises(exceptions.CloneTimeout, self.wait_for_job,
                                10 ** 6, key='other')
        self.assertIn('%d seconds' % timeout, str(exc))
        self.assert_waited(timeout, 3, self.clock.monotonic() - begin)


@ddt.ddt
class WaitUntilListedTestCase(MonitorTestCase):

    # The listings, the one that is returned
    @ddt.data(([[OURS]], 0), ([[OTHER, OURS]], 0), ([[DELETED]], 0),
              ([[], [OTHER], [UNFINISHED], [OURS], []], 3),
              ([[UNFINISHED]] * 7 + [[OURS], []], 7),
              ([[OTHER]] * 8 + [[OURS]], 7))
    @ddt.unpack
    def test_wait_until_listed(self, listings, result):
        self.client.list_volumes.side_effect = listings
        self.assertEqual(listings[result],
                         self.monitor.wait_until_listed('UUID-1', 2))
        self.assertEqual(result, len(self.clock.slept))
        self.assert_intervals()


@ddt.ddt
class ForeignClonesTestCase(MonitorTestCase):

    def assert_waits(self, seconds, *source_ids):
        begin = self.clock.monotonic()
        self.monitor.wait_for_foreign_clones(*(source_ids or [base.SOURCE_ID]))
        self.assert_waited(seconds, min(seconds, 2),
                           self.clock.monotonic() - begin)

    # The sources waited for, the seconds of that
    @ddt.data(([6], 0), ([7], 5), ([7, 8], 10))
    @ddt.unpack
    def test_wait_until_all_have_ended(self, source_ids, seconds):
        for running, source_id in ((5, 7), (10, 8), (10 ** 6, 9)):
            self.begin(running, source_id)
        self.assert_waits(seconds, *source_ids)
        self.assertEqual(['list_running_clones'] * (len(self.clock.slept) + 1),
                         self.calls())
        self.assert_intervals()

    def test_not_for_those_of_this_process(self):
        own = self.begin(100)
        with contextlib.suppress(KeyError), self.monitor.in_flight(own.id):
            self.begin(5)
            self.assert_waits(5)
            raise KeyError('x')
        self.assert_waits(100 - self.clock.monotonic())

    def test_not_for_later_ones(self):
        self.begin(5)
        sleep = self.clock.sleep

        def begin_another(seconds):
            if not self.clock.slept:
                self.begin(1000)
            sleep(seconds)

        self.mock_object(self.clock, 'sleep', begin_another)
        self.assert_waits(5)

    def test_wait_times_out(self):
        self.begin(10 ** 6)
        exc = self.assertRaises(errors.ElementError, self.assert_waits, 600)
        self.assertEqual(('ListSyncJobs', 'Timeout'), (exc.method, exc.name))
        self.assertIn('clones of 7 are still running', str(exc))
        self.assert_waited(600, 3, self.clock.monotonic())
