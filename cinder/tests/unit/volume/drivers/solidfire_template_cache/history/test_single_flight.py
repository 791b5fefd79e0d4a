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

"""Past faults of several who ask for the same image at a time."""

import subprocess
import sys
import threading
from unittest import mock

import ddt
from oslo_config import cfg

from cinder import coordination
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers.solidfire_template_cache import cache
from cinder.volume.drivers.solidfire_template_cache import locks

CONF = cfg.CONF

# Takes a lock as another service on this host does, until its input ends.
HOLD = """
import sys
from tooz import coordination
other = coordination.get_coordinator(sys.argv[1], b'other')
other.start()
lock = other.get_lock(sys.argv[2].encode())
print(lock.acquire(), flush=True)
sys.stdin.read()
lock.release()
"""


@ddt.ddt
class SingleFlightTestCase(base.HistoryTestCase):
    """Several ask for an image that has no template yet."""

    def test_bug_1605027_parallel_first_boots_make_one_template(self):
        image = self.images.add(base.DATA)
        results = self.run_together(
            *[lambda: self.clone(image) for _i in range(4)])
        for result in results:
            self.assert_served(result)
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))

    def test_bug_1605027_half_written_template_is_not_cloned(self):
        image = self.images.add(base.DATA)
        sources = []
        fetch_to_raw = image_utils.fetch_to_raw

        def ask_meanwhile(context, service, image_id, device, *args,
                          **kwargs):
            with open(device, 'r+b') as target:
                target.write(b'half')
            with mock.patch.object(locks, 'held', autospec=True,
                                   side_effect=RuntimeError('locked')):
                self.clone(image, driver=self.new_driver())
            sources.extend(self.sources())
            fetch_to_raw(context, service, image_id, device, *args, **kwargs)

        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=ask_meanwhile):
            model_update, _cloned = self.clone(image)
        self.assertEqual([], sources)
        self.assert_holds(model_update, base.DATA)

    def test_bug_1605027_all_who_waited_for_a_failed_fill_fall_back(self):
        image = self.images.add(base.DATA, disk_format='qcow2')
        results = self.run_together(
            *[lambda: self.clone(image) for _i in range(3)])
        self.assertEqual([(None, False)] * 3, results)
        self.assertEqual(3, len(self.warnings.messages))
        self.assertEqual([], self.templates())

    def test_bug_1605027_no_lock_is_taken_with_caching_off(self):
        # The decorator took it before it looked whether caching was on.
        driver = self.new_driver(sf_allow_template_caching=False)
        with mock.patch.object(coordination.Coordinator, 'get_lock',
                               autospec=True) as get_lock:
            self.clone(self.images.add(base.DATA), driver=driver)
        get_lock.assert_not_called()

    def test_bug_1649636_hosts_make_one_template_together(self):
        image = self.images.add(base.DATA)
        drivers = [self.new_driver() for _i in range(3)]
        results = self.run_together(
            *[lambda driver=driver: self.clone(image, driver=driver)
              for driver in drivers])
        for result in results:
            self.assert_served(result)
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, len(self.sources()))

    def test_bug_1705442_lock_is_that_of_the_image_whoever_asks(self):
        image = self.images.add(base.DATA)
        with mock.patch.object(locks, 'held', autospec=True,
                               side_effect=locks.held) as held:
            for _i in range(2):
                volume = self.new_volume()
                self.assert_served(self.clone(image, volume,
                                              self.new_driver()))
                template_id = self.templates()[0].volume_id
                self.api('DeleteVolume', volumeID=template_id)
                self.api('PurgeDeletedVolume', volumeID=template_id)
            other = self.images.add(base.OTHER_DATA)
            self.assert_served(self.clone(other), base.OTHER_DATA)
        room = locks.for_room(self.sim.cluster.uuid)
        first, second, third = [call.args[0] for call in held.mock_calls
                                if call.args and call.args[0] != room]
        self.assertEqual(first, second)
        self.assertNotEqual(first, third)

    @ddt.data(True, False)
    def test_bug_1758414_hit_takes_no_lock(self, remembered):
        image = self.images.add(base.DATA)
        self.plant(image)
        if remembered:
            self.assert_served(self.clone(image))
        with mock.patch.object(coordination.Coordinator, 'get_lock',
                               autospec=True) as get_lock:
            self.assert_served(self.clone(image))
        get_lock.assert_not_called()

    def test_bug_1758414_who_waited_for_the_lock_looks_again(self):
        image = self.images.add(base.DATA)
        lock = coordination.COORDINATOR.get_lock(self._lock_name(image))
        self.assertTrue(lock.acquire())

        def finish():
            self.plant(image)
            lock.release()

        self._while_it_waits(finish)
        self.assert_served(self.clone(image))
        self.assertEqual([], self.images.downloads)

    def test_commit_6840ddf96_lock_holds_across_processes(self):
        # The former lock was known to one process only.
        image = self.images.add(base.DATA)
        other = self._hold_in_another_process(self._lock_name(image))
        events = []
        self.images.on_download = events.append

        def end():
            events.append('released')
            other.communicate()

        self._while_it_waits(end)
        self.assert_served(self.clone(image))
        self.assertEqual(['released', image['id']], events)

    def test_commit_6840ddf96_driver_declares_active_active(self):
        self.assertIs(True, self.driver.SUPPORTS_ACTIVE_ACTIVE)

    def _lock_name(self, image):
        return locks.for_image(self.sim.cluster.uuid, image['id'])

    def _hold_in_another_process(self, name):
        # The coordinator of the test base began before this test's own
        # settings were made.
        coordination.COORDINATOR.stop()
        coordination.COORDINATOR.start()
        other = subprocess.Popen(
            [sys.executable, '-c', HOLD, CONF.coordination.backend_url,
             coordination.COORDINATOR.prefix + name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(other.kill)
        self.assertEqual(b'True\n', other.stdout.readline())
        return other

    def _while_it_waits(self, action):
        """Run an action some time after the driver has asked for a lock."""
        get_lock = coordination.COORDINATOR.get_lock
        timer = threading.Timer(0.3, action)

        def tell(coordinator, name):
            if not timer.ident:
                timer.start()
                self.addCleanup(timer.join)
            return get_lock(name)

        self.mock_object(coordination.Coordinator, 'get_lock', tell)

    def test_commit_fd495d010_hosts_without_a_common_lock_settle_on_one(self):
        # Two copies of one name made every later boot fail.
        image = self.images.add(base.DATA)
        both = threading.Barrier(2)
        self.images.on_download = lambda image_id: both.wait(base.PATIENCE)
        drivers = [self.new_driver(), self.new_driver()]
        with mock.patch.object(cache.locks, 'held', autospec=True) as held:
            held.return_value.__enter__.return_value = True
            held.return_value.__exit__.return_value = False
            results = self.run_together(
                *[lambda driver=driver: self.clone(image, driver=driver)
                  for driver in drivers])
        for result in results:
            self.assert_served(result)
        self.assertEqual(2, len(self.images.downloads))
        lowest = min(template.volume_id for template in self.templates())
        for driver in drivers + [self.new_driver()]:
            self.assert_served(self.clone(image, driver=driver))
        self.assertEqual([lowest], [template.volume_id for template in
                                    self.templates()])
