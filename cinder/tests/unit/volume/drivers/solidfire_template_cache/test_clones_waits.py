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

"""Clones that wait: for places, in line, for those of others to end."""

import threading

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import cloning
from cinder.volume.drivers.solidfire_template_cache import errors

# Real seconds after which a test that hangs is given up.
_PATIENCE = 60


@ddt.ddt
class BusyTestCase(cloning.CloneTestCase):
    """Other hosts take the places, or the cluster allows fewer."""

    def test_clone_waits_while_other_hosts_hold_the_places(self):
        others = [self.clone_elsewhere('UUID-9%s' % i) for i in range(2)]
        begin = self.clock.monotonic()
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertGreaterEqual(self.clock.monotonic() - begin,
                                2 * self.CLONE_SECONDS)
        self.assertEqual(
            'xMaxClonesPerVolumeExceeded',
            [call.error for call in self.sim.calls
             if call.method == 'CloneVolume'][2])
        for other in others:
            self.assertEqual(
                'active', self.sim.cluster.volumes[other.volume.id].status)
        # Busy is certain: nothing was made that is to be looked for.
        self.assertEqual({'GetLimits', 'CloneVolume', 'GetAsyncResult'},
                         set(self.sim.calls.methods))

    def test_clone_waits_for_a_place_on_the_node(self):
        self.sim.cluster.limits['cloneJobsPerNodeMax'] = 1
        other = self.make_volume('OpenStackIMG-2')
        self.clone_elsewhere('UUID-9', other)
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual(
            'xMaxClonesPerNodeExceeded',
            [call.error for call in self.sim.calls
             if call.method == 'CloneVolume'][1])

    def test_tries_grow_apart_up_to_a_bound(self):
        self.sim.faults.add(method='CloneVolume', times=12,
                            error='xMaxClonesPerVolumeExceeded')
        self.assert_cloned(self.clone())
        self.assertEqual(13, self.sim.calls.count('CloneVolume'))
        pauses = self.clock.paused
        self.assertEqual(12, len(pauses))
        most = 0.5
        for pause in pauses:
            self.assertGreaterEqual(pause, most / 2)
            self.assertLessEqual(pause, most)
            most = min(most * 1.6, 5)
        self.assertEqual(12, len(set(pauses)))

    @ddt.data('xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded')
    def test_clone_whose_place_never_comes_times_out(self, name):
        self.sim.faults.add(method='CloneVolume', times=None, error=name,
                            message='no place')
        begin = self.clock.monotonic()
        exc = self.assert_fails(errors.CloneTimedOut, self.clone)
        self.assertEqual(cloning.TIMEOUT, self.clock.monotonic() - begin)
        self.assertIn('no place', str(exc))
        self.assertIn('%s seconds' % cloning.TIMEOUT, str(exc))
        self.assert_nothing_left(exc)

    def test_clone_after_one_that_timed_out(self):
        rule = self.sim.faults.add(method='CloneVolume', times=None,
                                   error='xMaxClonesPerVolumeExceeded')
        self.assertRaises(errors.CloneTimedOut, self.clone)
        rule.times = 0
        self.assert_cloned(self.clone())

    def test_clone_that_is_refused_after_waiting(self):
        self.sim.faults.add(method='CloneVolume', times=3,
                            error='xMaxClonesPerVolumeExceeded')
        self.sim.faults.add(method='CloneVolume', error='xNew')
        exc = self.assert_fails(errors.ApiError, self.clone)
        self.assertEqual('xNew', exc.name)
        self.assert_nothing_left(exc)


class WaitIdleTestCase(cloning.CloneTestCase):
    """Wait until nobody clones a template."""

    def test_wait_idle_when_idle(self):
        self.scheduler.wait_idle(self.template.id)
        self.assertEqual(['ListSyncJobs'], self.sim.calls.methods)

    def test_wait_idle_until_other_hosts_are_done(self):
        self.clone_elsewhere('UUID-9')
        begin = self.clock.monotonic()
        self.scheduler.wait_idle(self.template.id)
        self.assertGreaterEqual(self.clock.monotonic() - begin,
                                self.CLONE_SECONDS)
        self.assertEqual([], self.sim.cluster.jobs.running())

    def test_wait_idle_passes_over_other_sources(self):
        other = self.make_volume('OpenStackIMG-2')
        self.clone_elsewhere('UUID-9', other)
        self.scheduler.wait_idle(self.template.id)
        self.assertEqual(1, self.sim.calls.count('ListSyncJobs'))

    def test_wait_idle_times_out(self):
        self.sim.cluster.jobs.seconds = 10 ** 6
        self.clone_elsewhere('UUID-9')
        exc = self.assert_fails(errors.ElementError, self.scheduler.wait_idle,
                                self.template.id)
        self.assertIn('still running', str(exc))
        self.assertEqual('TimedOut', exc.name)


class GateClock(base.ManualClock):
    """Stops all threads at their next wait until it is opened."""

    def __init__(self):
        super().__init__()
        self._stopped = set()
        self._changed = threading.Condition()
        self._open = threading.Event()

    def open(self):
        self._open.set()

    def sleep(self, seconds):
        self._stop()
        self._open.wait(_PATIENCE)
        self.advance(seconds)

    def wait(self, condition, seconds):
        if self._open.is_set():
            super().wait(condition, seconds)
        else:
            self._stop()
            condition.wait(0.01)

    def _stop(self):
        with self._changed:
            self._stopped.add(threading.current_thread())
            self._changed.notify_all()

    def await_stopped(self, thread):
        with self._changed:
            if not self._changed.wait_for(lambda: thread in self._stopped,
                                          _PATIENCE):
                raise AssertionError('%s did not get to a wait' % thread.name)


class CrowdTestCase(cloning.CloneTestCase):
    """Many requests at a time."""

    # Ten clones, one by one, with all who wait moving the time too.
    TIMEOUT = 10 ** 6

    def setUp(self):
        super().setUp()
        self.scheduler = self.new_scheduler(self.TIMEOUT)
        self.most_running = 0
        self.errors = []
        self.volumes = {}
        start = self.sim.cluster.jobs.start

        def count(*args):
            job = start(*args)
            self.most_running = max(self.most_running,
                                    len(self.sim.cluster.jobs.running()))
            return job

        self.mock_object(self.sim.cluster.jobs, 'start', count)

    def new_clock(self):
        return GateClock()

    def begin(self, name, **arguments):
        """Start a request; return when it has got as far as it can."""
        thread = threading.Thread(target=self._work, args=(name, arguments),
                                  name=name, daemon=True)
        self.addCleanup(self.clock.open)
        thread.start()
        self.clock.await_stopped(thread)
        return thread

    def _work(self, name, arguments):
        try:
            self.volumes[name] = self.clone(name, **arguments)
        except Exception as exc:
            self.errors.append(exc)

    def finish(self, threads):
        self.clock.open()
        for thread in threads:
            thread.join(_PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual([], self.errors)
        for name, volume in self.volumes.items():
            self.assert_cloned(volume, name)

    def _check_crowd(self, limit):
        names = ['UUID-%s' % number for number in range(8)]
        threads = [self.begin(name) for name in names]
        # As many as the cluster allows are under way, the others wait.
        self.assertEqual(names[:limit], [
            params['name'] for _method, params in self.sent('CloneVolume')])
        self.finish(threads)
        self.assertEqual(names, sorted(self.volumes))
        self.assertEqual(limit, self.most_running)
        # Each asked once, in the order in which they came.
        self.assertEqual([(name, None) for name in names], [
            (call.params['name'], call.error) for call in self.sim.calls
            if call.method == 'CloneVolume'])

    def test_crowd_goes_in_order(self):
        self._check_crowd(2)

    def test_crowd_where_one_at_a_time_is_allowed(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 1
        self._check_crowd(1)

    def test_crowd_where_more_are_allowed(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 5
        self._check_crowd(5)

    def test_crowd_where_the_limit_is_not_told(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = None
        self._check_crowd(2)

    def test_crowds_of_two_templates_do_not_wait_for_each_other(self):
        other = self.make_volume('OpenStackIMG-2')
        threads = [self.begin('UUID-%s' % number) for number in range(4)]
        threads += [self.begin('UUID-%s' % number, source=other)
                    for number in range(4, 6)]
        self.assertEqual(
            ['UUID-0', 'UUID-1', 'UUID-4', 'UUID-5'],
            [params['name'] for _method, params in self.sent('CloneVolume')])
        self.finish(threads)

    def test_crowds_of_two_hosts_share_the_places(self):
        there = self.new_scheduler(self.TIMEOUT, self.new_client())
        threads = []
        for number in range(6):
            threads.append(self.begin(
                'UUID-%s' % number,
                scheduler=(self.scheduler, there)[number % 2]))
        self.finish(threads)
        self.assertEqual(6, len(self.volumes))
        self.assertEqual(2, self.most_running)

    def test_clone_whose_reply_is_lost_beside_one_of_our_own(self):
        # The running clone is known to be another request's, so nothing
        # has to be waited for.
        first = self.begin('UUID-1')
        self.sim.faults.add(method='CloneVolume', drop=True, when='before')
        second = self.begin('UUID-2')
        # It sleeps before the second try.
        self.assertEqual(['CloneVolume', 'ListSyncJobs', 'ListVolumes'],
                         self.sim.calls.methods[-3:])
        self.finish([first, second])
        self.assertEqual(3, self.sim.calls.count('CloneVolume'))
        self.assertEqual(1, self.sim.calls.count('ListSyncJobs'))

    def test_request_that_gives_up_in_line(self):
        self.scheduler = self.new_scheduler(60)
        self.sim.cluster.jobs.seconds = 10 ** 6
        threads = [self.begin('UUID-%s' % number) for number in range(3)]
        self.clock.open()
        for thread in threads:
            thread.join(_PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual([errors.CloneTimedOut] * 3,
                         [type(exc) for exc in self.errors])
        self.assert_nothing_left()
