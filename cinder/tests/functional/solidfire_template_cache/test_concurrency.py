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

"""Many requests at once, in one process and on two hosts.

The threads are green here, as in a volume service with eventlet. The last
test runs all others again in a process with native threads.
"""

import itertools
import os
import subprocess
import sys
import threading
import time

import ddt
from eventlet import patcher
from oslo_utils import units

from cinder.image import image_utils
from cinder.tests.functional.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import replicas

# Seconds after which a test hangs.
TIMEOUT = 60

DATA = b'bootable' * 5000
NEW_DATA = b'rebooted' * 6000


class Threads(object):
    """Runs callables at the same time; keeps what they return or raise."""

    def __init__(self, calls):
        self.outcomes = [None] * len(calls)
        self._threads = [
            threading.Thread(target=self._run, args=(number, call),
                             daemon=True)
            for number, call in enumerate(calls)]
        for thread in self._threads:
            thread.start()

    def _run(self, number, call):
        try:
            self.outcomes[number] = call()
        except BaseException as exc:
            self.outcomes[number] = exc

    def wait(self, seconds=TIMEOUT):
        """Return whether all have ended within so many seconds."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


class ConcurrencyTestCase(base.FunctionalTestCase):

    CLONE_SECONDS = 0.1

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)
        if not patcher.is_monkey_patched('thread'):
            # Cinder 29.0 passes a download through eventlet's thread pool
            # all the same, which replies to the first native thread only.
            self.mock_object(image_utils.tpool, 'Proxy', autospec=True,
                             side_effect=lambda image_file: image_file)

    def new_clock(self):
        # A thread that waits by a manual clock would advance it for all.
        return clock.SystemClock()

    def new_cluster(self, **arguments):
        return super().new_cluster(clock=None, **arguments)

    def together(self, *calls):
        """Return what the calls returned; none may raise."""
        threads = Threads(calls)
        self.assertTrue(threads.wait())
        for outcome in threads.outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return threads.outcomes

    def request(self, image=None, volume=None, driver=None):
        """Return a callable that makes one request."""
        image = image or self.image
        volume = volume or self.new_volume()
        return lambda: (volume, self.clone(image, volume, driver))

    def requests(self, count, image=None, driver=None):
        return [self.request(image, driver=driver) for _i in range(count)]

    def assert_cloned(self, outcomes, data=DATA):
        for volume, (model_update, cloned) in outcomes:
            self.assertIs(True, cloned)
            self.assert_volume(volume, model_update, data)

    def assert_clean(self, templates=1, replicas=0):
        """Check that nothing is left, and that no warning was logged."""
        self.assertEqual([], self.log.warnings)
        self.assert_no_leftovers(replicas)
        self.assertEqual(templates,
                         len(self.templates()) - len(self.copies()))

    def assert_clones(self, count):
        """Check how many clones were made, besides the replicas."""
        self.assertEqual(count + len(self.copies()), len([
            call for call in self.sim.calls
            if call.method == 'CloneVolume' and call.effect]))

    def count_clones(self):
        """Return a list that gets how many clones of one volume run."""
        counts = []
        jobs = self.sim.cluster.jobs
        start = jobs.start

        def count_and_start(source, *args, **kwargs):
            job = start(source, *args, **kwargs)
            counts.append(sum(other.source_id == source.volume_id
                              for other in jobs.running()))
            return job

        self.mock_object(jobs, 'start', count_and_start)
        return counts


class FirstRequestsTestCase(ConcurrencyTestCase):

    def test_first_requests_fill_once(self):
        # Bug 1605027: parallel first boots cloned a half-written template,
        # or made two.
        outcomes = self.together(*self.requests(32))
        self.assert_cloned(outcomes)
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assert_clones(32)
        self.assert_clean(replicas=20)

    def test_first_requests_of_four_images_do_not_wait_for_each_other(self):
        data = [b'image %d ' % number * 5000 for number in range(4)]
        images = [self.images.add(each) for each in data]
        # Each download continues when all have begun.
        all_four = threading.Barrier(4)
        self.images.on_download = lambda _image_id: all_four.wait(TIMEOUT)
        outcomes = self.together(*itertools.chain.from_iterable(
            self.requests(3, image) for image in images))
        for number, expected in enumerate(data):
            self.assert_cloned(outcomes[3 * number:3 * number + 3], expected)
        self.assertEqual(sorted(image['id'] for image in images),
                         sorted(self.images.downloads))
        self.assert_clean(templates=4)


class HitsTestCase(ConcurrencyTestCase):

    def setUp(self):
        super().setUp()
        self.clone(self.image)
        self.sim.reset_calls()

    def test_hits_take_no_lock(self):
        with locks.try_lock(locks.for_image(
                self.sim.cluster.uuid, self.image['id'])) as acquired:
            self.assertTrue(acquired)
            self.assert_cloned(self.together(
                *self.requests(2),
                *self.requests(2, driver=self.other_host())))
        self.assertEqual([self.image['id']], self.images.downloads)

    def test_hits_use_all_slots_of_the_cluster(self):
        for limit, calls in ((2, self.requests(8)), (1, self.requests(
                4, driver=self.other_host()))):
            self.sim.cluster.limits['cloneJobsPerVolumeMax'] = limit
            counts = self.count_clones()
            self.assert_cloned(self.together(*calls))
            self.assertEqual(limit, max(counts))
        self.assertEqual([], [call for call in self.sim.calls
                              if call.method == 'CloneVolume' and
                              not call.ok])
        self.assert_clean(replicas=20)

    def test_hits_during_a_refill(self):
        new = self.images.replace(self.image['id'], NEW_DATA)
        begun, resume = threading.Event(), threading.Event()

        def stall(_image_id):
            begun.set()
            resume.wait(TIMEOUT)

        self.images.on_download = stall
        refill = Threads([self.request(new)])
        self.assertTrue(begun.wait(TIMEOUT))
        self.assert_cloned(self.together(self.request()))
        waiting = Threads([self.request(new)])
        self.assertFalse(waiting.wait(0.3))
        resume.set()
        for threads in refill, waiting:
            self.assertTrue(threads.wait())
            self.assert_cloned(threads.outcomes, NEW_DATA)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual(1, len(self.log.about('(waited)')))

    def test_superseded_template_is_removed_after_its_clones(self):
        self.sim.cluster.jobs.seconds = (
            lambda size: 2 if size > units.Gi else 0.05)
        threads = Threads([self.request(volume=self.new_volume(size=2))])
        while not self.sim.cluster.jobs.running():
            self.assertFalse(threads.wait(0.01))
        new = self.images.replace(self.image['id'], NEW_DATA)
        self.assert_cloned(self.together(self.request(new)), NEW_DATA)
        self.run_housekeeping()
        self.assertEqual(2, len(self.templates()))
        self.assertTrue(threads.wait())
        self.assert_cloned(threads.outcomes)
        self.run_housekeeping()
        self.assert_clean()


@ddt.ddt
class StormsTestCase(ConcurrencyTestCase):
    """Four nodes, which run 32 clones of 16 templates at a time."""

    MANNER = 'refuse'

    def new_cluster(self, **arguments):
        return super().new_cluster(nodes=4, clone_limit_behavior=self.MANNER,
                                   **arguments)

    def expire_replicas(self):
        """Let housekeeping remove all replicas."""
        self.mock_object(replicas, 'IDLE_SECONDS', 0)
        self.run_housekeeping()
        self.assert_clean(templates=len({
            volume.name for volume in self.templates()}))

    def test_storm_on_an_image_that_is_not_cached(self):
        self.assert_cloned(self.together(*self.requests(64)))
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assert_clones(64)
        self.assertGreater(len(self.copies()), 2)
        self.assert_clean(replicas=20)
        self.assertGreater(len({
            self.sim.cluster.node_of(volume)
            for volume in self.templates()}), 1)
        self.sim.cluster.jobs.seconds = 0
        self.sim.reset_calls()
        self.assert_cloned(self.together(self.request()))
        # The last replica may be looked for meanwhile; see test_hits.
        self.assertEqual({'CloneVolume', 'GetAsyncResult', 'ListVolumes'},
                         set(self.sim.calls.methods))
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))
        self.expire_replicas()

    def test_requests_that_need_no_replica(self):
        for _i in range(3):
            self.assert_cloned(self.together(self.request()))
        self.assert_cloned(self.together(*self.requests(2)))
        self.assert_clean()
        driver = self.new_driver(sf_template_max_replicas=0)
        self.assert_cloned(self.together(*self.requests(12, driver=driver)))
        self.assert_clean()

    @ddt.data({'sf_template_max_replicas': 2}, {'sf_template_max_count': 3},
              {'sf_template_max_gib': 3})
    def test_storm_within_the_limits(self, options):
        self.driver = self.new_driver(**options)
        self.assert_cloned(self.together(*self.requests(24)))
        self.assertGreater(len(self.copies()), 0)
        self.assert_clean(replicas=2)

    def test_replicas_beyond_the_limit_are_removed(self):
        # Each of several hosts may have made as many, or it was lowered.
        for maker in None, 'a', 'b', 'c':
            self.plant(self.image, DATA, replica_maker=maker)
        first, *planted = self.copies()
        self.driver = self.new_driver(sf_template_max_replicas=1)
        self.sim.cluster.jobs.seconds = 0.5
        storm = Threads(self.requests(8))
        while not self.sim.cluster.jobs.running():
            self.assertFalse(storm.wait(0.01))
        self.run_housekeeping()
        self.assertTrue(storm.wait())
        self.assert_cloned(storm.outcomes)
        # What was being cloned is removed now.
        self.run_housekeeping()
        self.assertEqual([first], self.copies())
        self.assertEqual(2, len(self.log.about(
            'sf_template_max_replicas is 1')))
        self.assert_clean(replicas=1)

    def test_image_is_updated_while_replicas_are_made(self):
        self.clone(self.image)
        update = []

        def replace():
            update.append(self.images.replace(self.image['id'], NEW_DATA))

        self.sim.faults.add(method='CloneVolume', action=replace,
                            match={'access': 'readOnly'})
        storm = Threads(self.requests(24))
        while not update:
            self.assertFalse(storm.wait(0.01))
        self.assert_cloned(self.together(*self.requests(24, update[0])),
                           NEW_DATA)
        self.assertTrue(storm.wait())
        self.assert_cloned(storm.outcomes)
        self.assertEqual(2, len(self.images.downloads))
        self.expire_replicas()
        template, = self.templates()
        self.assertEqual(NEW_DATA, self.read_volume(template.volume_id,
                                                    len(NEW_DATA)))

    def test_replicas_are_evicted_during_a_storm(self):
        for maker in None, 'a', 'b', 'c':
            self.plant(self.image, DATA, replica_maker=maker)
        self.driver = self.new_driver(sf_template_max_count=4)
        other, filled = self.other_host(), []

        def fill():
            image = self.images.add(NEW_DATA)
            filled.append(self.request(image, driver=other)())

        # The other host evicts what a clone is just about to be made of. Of
        # few clones, not all templates are in use.
        for count in 16, 3:
            self.log.clear()
            self.sim.faults.add(method='CloneVolume', action=fill, skip=2)
            self.assert_cloned(self.together(*self.requests(count)))
            self.assertLessEqual(len(self.templates()), 4)
        self.assertEqual(2, len(filled))
        self.assert_cloned(filled[1:], NEW_DATA)
        self.assertNotIn(self.image['id'], self.images.downloads)
        self.expire_replicas()


class QueuedStormsTestCase(StormsTestCase):
    """The cluster queues clones instead of refusing them."""

    MANNER = 'queue'


class NativeThreadsTestCase(base.FunctionalTestCase):

    CLASSES = (FirstRequestsTestCase, HitsTestCase, StormsTestCase)

    def test_all_with_native_threads(self):
        command = [sys.executable, '-m', 'unittest']
        command.extend('%s.%s' % (case.__module__, case.__name__)
                       for case in self.CLASSES)
        run = subprocess.run(
            command, timeout=4 * TIMEOUT, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=dict(
                os.environ, OS_CINDER_DISABLE_EVENTLET_PATCHING='true',
                PYTHONWARNINGS='ignore'))
        self.assertEqual(0, run.returncode, run.stdout)
        count = sum(name.startswith('test_') for case in self.CLASSES
                    for name in dir(case))
        self.assertIn('Ran %d tests' % count, run.stdout)
