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

"""Many requests at once, in one process and in several.

Threads are green here, as in a volume service that eventlet runs; the last
test runs all the others again in a process with native threads.
"""

import collections
import itertools
import os
import subprocess
import sys
import threading
import time

from eventlet import patcher
from oslo_utils import units

from cinder.image import image_utils
from cinder.tests.functional.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache import locks

# Seconds in which everything here is long done; after that it hangs.
PATIENCE = 60

DATA = b'bootable' * 5000
NEW_DATA = b'rebooted' * 6000


class Together(object):
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

    def wait(self, seconds=PATIENCE):
        """Return whether all came to an end within so many seconds."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


class ConcurrencyTestCase(base.FunctionalTestCase):

    def setUp(self):
        super().setUp()
        # Whoever waits by a clock moved by hand moves it for all.
        self.driver = self.new_driver(clock=clock.SystemClock())
        self.image = self.images.add(DATA)
        if not patcher.is_monkey_patched('thread'):
            # Cinder 29.0 passes a download through eventlet's thread pool
            # all the same, which answers the first native thread only.
            self.mock_object(image_utils.tpool, 'Proxy', autospec=True,
                             side_effect=lambda image_file: image_file)

    def new_cluster(self, **arguments):
        return super().new_cluster(**dict(
            {'clock': None, 'clone_seconds': 0.1}, **arguments))

    def together(self, *calls):
        """Return what the calls returned; nothing may be raised."""
        running = Together(calls)
        self.assertTrue(running.wait())
        for outcome in running.outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return running.outcomes

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

    def assert_clean(self, templates=1):
        self.assert_no_debris()
        self.assertEqual(templates, len(self.templates()))

    def lock_of(self, image):
        return locks.held(locks.for_image(
            self.driver.active_cluster['uuid'], image['id']))

    def watch_clones(self):
        """Return a list that gets how many clones of one volume run."""
        running = []
        start = self.sim.cluster.jobs.start

        def watched_start(source, *args, **kwargs):
            job = start(source, *args, **kwargs)
            running.append(sum(other.source_id == source.volume_id for other
                               in self.sim.cluster.jobs.running()))
            return job

        self.mock_object(self.sim.cluster.jobs, 'start', autospec=True,
                         side_effect=watched_start)
        return running

    def refused_clones(self):
        return [call for call in self.sim.calls
                if call.method == 'CloneVolume' and not call.ok]


class FirstRequestsTestCase(ConcurrencyTestCase):

    def test_first_requests_fill_once(self):
        outcomes = self.together(*self.requests(32))
        self.assert_cloned(outcomes)
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assertEqual(32, self.sim.calls.count('CloneVolume'))
        self.assertEqual([], self.warnings.messages)
        self.assert_clean()

    def test_first_requests_of_four_images_do_not_wait_for_each_other(self):
        data = [b'image %d ' % number * 5000 for number in range(4)]
        images = [self.images.add(each) for each in data]
        # Each download goes on once all have begun.
        all_four = threading.Barrier(4)
        self.images.on_download = lambda _image_id: all_four.wait(PATIENCE)
        outcomes = self.together(*itertools.chain.from_iterable(
            self.requests(4, image) for image in images))
        for number, expected in enumerate(data):
            self.assert_cloned(outcomes[4 * number:4 * number + 4], expected)
        self.assertEqual(sorted(image['id'] for image in images),
                         sorted(self.images.downloads))
        self.assertEqual([], self.warnings.messages)
        self.assert_clean(templates=4)

    def test_first_requests_on_two_hosts_fill_once(self):
        outcomes = self.together(
            *self.requests(4), *self.requests(4, driver=self.other_host()))
        self.assert_cloned(outcomes)
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual([], self.warnings.messages)
        self.assert_clean()

    def test_failed_fill_lets_the_next_one_try(self):
        tries = []

        def fail_first(image_id):
            tries.append(image_id)
            if len(tries) == 1:
                raise OSError('the download broke off')

        self.images.on_download = fail_first
        outcomes = self.together(*self.requests(6))
        fallen_back = [volume for volume, result in outcomes
                       if result == (None, False)]
        self.assertEqual(1, len(fallen_back))
        self.assert_cloned([(volume, result) for volume, result in outcomes
                            if volume not in fallen_back])
        self.assertEqual(2, len(tries))
        self.assertEqual(1, len(self.warnings.messages))
        self.assertIn(fallen_back[0].id, self.warnings.messages[0])
        self.assertIn('ImageDownloadFailed', self.warnings.messages[0])
        self.assert_clean()

    def test_refused_image_is_downloaded_once(self):
        image = self.images.add(DATA, virtual_size=len(DATA) // 2)
        outcomes = self.together(*self.requests(6, image))
        self.assertEqual([(None, False)] * 6,
                         [result for _volume, result in outcomes])
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(6, len(self.warnings.messages))
        self.assert_clean(templates=0)

    def test_miss_waits_for_the_lock(self):
        with self.lock_of(self.image):
            running = Together(self.requests(1))
            self.assertFalse(running.wait(0.5))
            self.assertEqual([], self.images.downloads)
        self.assertTrue(running.wait())
        self.assert_cloned(running.outcomes)

    def test_other_work_of_the_driver_goes_on(self):
        self.clone(self.image)
        source, copy, gone = (self.new_volume() for _i in range(3))
        self.driver.create_volume(source)
        self.driver.create_volume(gone)
        other = self.images.add(NEW_DATA)
        outcomes = self.together(
            *self.requests(3), *self.requests(2, other),
            lambda: self.driver.create_cloned_volume(copy, source),
            lambda: self.driver.delete_volume(gone),
            lambda: self.driver.create_volume(self.new_volume()))
        self.assert_cloned(outcomes[:3])
        self.assert_cloned(outcomes[3:5], NEW_DATA)
        self.only_volume(copy)
        self.assertEqual([], self.volumes_named('UUID-' + gone.id))
        self.assertEqual([], self.warnings.messages)
        self.assert_clean(templates=2)


class HitsTestCase(ConcurrencyTestCase):

    def setUp(self):
        super().setUp()
        self.clone(self.image)
        self.sim.reset_calls()

    def test_hits_take_no_lock(self):
        for driver in self.driver, self.other_host():
            with self.lock_of(self.image):
                self.assert_cloned(
                    self.together(*self.requests(2, driver=driver)))
        self.assertEqual([self.image['id']], self.images.downloads)

    def test_hits_use_all_slots_and_ask_for_no_more(self):
        running = self.watch_clones()
        self.assert_cloned(self.together(*self.requests(8)))
        self.assertEqual(2, max(running))
        self.assertEqual([], self.refused_clones())
        self.assertEqual(collections.Counter(self.sim.calls.methods).keys(),
                         {'CloneVolume', 'GetAsyncResult'})
        self.assert_clean()

    def test_hits_keep_to_the_limit_of_the_cluster(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 1
        running = self.watch_clones()
        self.assert_cloned(self.together(
            *self.requests(4, driver=self.other_host())))
        self.assertEqual(1, max(running))
        self.assertEqual([], self.refused_clones())

    def test_hits_on_two_hosts_share_the_slots(self):
        running = self.watch_clones()
        self.assert_cloned(self.together(
            *self.requests(5), *self.requests(5, driver=self.other_host())))
        self.assertEqual(2, max(running))
        self.assertEqual([], self.warnings.messages)
        self.assert_clean()

    def test_hits_and_an_update_at_once(self):
        old = self.image
        new = self.images.replace(old['id'], NEW_DATA)
        outcomes = self.together(*self.requests(4, old),
                                 *self.requests(4, new))
        self.assert_cloned(outcomes[4:], NEW_DATA)
        cloned = [(volume, result) for volume, result in outcomes[:4]
                  if result != (None, False)]
        # Those that came while the old copy was the one to use.
        self.assert_cloned(cloned)
        self.assertEqual(4 - len(cloned), len(self.warnings.messages))
        self.assertEqual(2, len(self.images.downloads))
        self.assert_clean()

    def test_hits_during_a_refill(self):
        self.clone(self.image)
        new = self.images.replace(self.image['id'], NEW_DATA)
        begun, go_on = threading.Event(), threading.Event()

        def stall(_image_id):
            begun.set()
            go_on.wait(PATIENCE)

        self.images.on_download = stall
        refill = Together([self.request(new)])
        self.assertTrue(begun.wait(PATIENCE))
        # The old copy is right for those who know the old image only.
        self.assert_cloned(self.together(self.request(self.image)))
        waiting = Together([self.request(new)])
        self.assertFalse(waiting.wait(0.3))
        go_on.set()
        for running in refill, waiting:
            self.assertTrue(running.wait())
            self.assert_cloned(running.outcomes, NEW_DATA)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([], self.warnings.messages)
        self.assert_clean()

    def test_update_does_not_cut_off_clones_of_the_old_copy(self):
        # A large clone outlasts the fill and the clone of the new copy.
        self.sim.cluster.jobs.seconds = (
            lambda size: 3 if size > units.Gi else 0.05)
        large = self.new_volume(size=2)
        running = Together([self.request(self.image, large)])
        while not self.sim.cluster.jobs.running():
            self.assertFalse(running.wait(0.01))
        new = self.images.replace(self.image['id'], NEW_DATA)
        self.assert_cloned(self.together(*self.requests(1, new)), NEW_DATA)
        self.assertTrue(running.wait())
        self.assert_cloned(running.outcomes)
        self.assertEqual([], self.warnings.messages)
        self.assert_clean()


class NativeThreadsTestCase(base.FunctionalTestCase):

    CLASSES = (FirstRequestsTestCase, HitsTestCase)

    def test_all_of_it_with_native_threads(self):
        command = [sys.executable, '-m', 'unittest']
        command.extend('%s.%s' % (case.__module__, case.__name__)
                       for case in self.CLASSES)
        run = subprocess.run(
            command, timeout=4 * PATIENCE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=dict(
                os.environ, OS_CINDER_DISABLE_EVENTLET_PATCHING='true',
                PYTHONWARNINGS='ignore'))
        self.assertEqual(0, run.returncode, run.stdout)
        count = sum(name.startswith('test_') for case in self.CLASSES
                    for name in dir(case))
        self.assertIn('Ran %d tests' % count, run.stdout)
