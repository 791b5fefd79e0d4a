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

"""A request that Cinder repeats, on the same or on another host.

An earlier attempt may have left a volume, or a clone in progress, with the
name of the requested volume. No name may exist twice, and the clocks of the
hosts count for nothing.
"""

import contextlib
import datetime
import itertools
import json
from unittest import mock

import ddt
import requests

from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures

HOUR = datetime.timedelta(hours=1)
JUMPS = (-HOUR, 0 * HOUR, HOUR)
MINUTE = datetime.timedelta(minutes=1)

HIT = ['CloneVolume', 'GetAsyncResult', 'ListVolumes']


class Killed(BaseException):
    """Ends a request as the death of its process does."""


@ddt.ddt
class RetriedRequestsTestCase(scenario.ScenarioTestCase):

    CLONE_SECONDS = 0
    account_is_full = False

    def setUp(self):
        super().setUp()
        self.driver = self.new_driver()
        self.image = self.images.add(self.DATA)
        self.hosts = []
        for jump in JUMPS:
            host = self.start_driver(
                type(self.driver), self.driver.configuration,
                self.new_clock_with(jump))
            self.assert_served(self.clone(self.image, driver=host),
                               self.DATA)
            self.hosts.append(host)
        self.sim.reset_calls()

    def new_clock_with(self, jump):
        """Return a clock whose date is ahead of the cluster's."""
        clock = fixtures.ManualClock()
        clock.advance = self.clock.advance
        clock.monotonic = self.clock.monotonic
        clock.now = lambda: self.clock.now() + jump
        return clock

    def scheduled_again(self, volume, jump):
        """Return a volume as the scheduler passes it on, a minute later."""
        volume.scheduled_at = volume.created_at + MINUTE + jump
        return volume

    @contextlib.contextmanager
    def killed(self, method, when):
        """Let the process die before or after a call; it makes no more."""
        send = requests.adapters.HTTPAdapter.send
        dead = []

        def send_or_die(adapter, request, **options):
            called = json.loads(request.body)['method'] == method
            if dead or (called and when == 'before'):
                dead.append(True)
                raise Killed()
            response = send(adapter, request, **options)
            if called:
                dead.append(True)
                raise Killed()
            return response

        with mock.patch.object(requests.adapters.HTTPAdapter, 'send',
                               send_or_die):
            yield

    def assert_created_once(self, volume, result):
        self.assert_served(result, self.DATA)
        # Housekeeping runs once a minute on each host.
        for _i in range(3):
            self.clock.advance(60)
            for host in self.hosts:
                self.run_housekeeping(host)
        self.assert_volume(volume, result[0], self.DATA)
        self.assert_no_leftovers()

    def test_hit_after_a_minute_in_the_scheduler(self):
        # A boot storm delays the scheduler, and clocks differ.
        created = []
        for host, jump in itertools.product(self.hosts, JUMPS):
            volume = self.scheduled_again(self.new_volume(), jump)
            self.sim.reset_calls()
            created.append((volume, self.clone(self.image, volume, host)))
            self.assertEqual(HIT, self.sim.calls.methods)
        for volume, result in created:
            self.assert_created_once(volume, result)

    # The call, and how long the clone takes: it is in no list of volumes
    # while it runs, and may outlast a round of housekeeping.
    @ddt.data(('CloneVolume', 'before', 0), ('CloneVolume', 'after', 0),
              ('CloneVolume', 'after', 30), ('CloneVolume', 'after', 90),
              ('GetAsyncResult', 'before', 0), ('GetAsyncResult', 'after', 0),
              ('ListVolumes', 'before', 0), ('ListVolumes', 'after', 0))
    @ddt.unpack
    def test_retry_after_a_host_was_killed(self, method, when, seconds):
        for (first, second), jump in itertools.product(
                itertools.permutations(self.hosts, 2), (-HOUR, HOUR)):
            volume = self.new_volume()
            self.sim.cluster.jobs.seconds = seconds
            with self.killed(method, when):
                self.assertRaises(Killed, self.clone, self.image, volume,
                                  first)
            self.forget(first)
            self.sim.cluster.jobs.seconds = 0
            self.scheduled_again(volume, jump)
            self.assert_created_once(volume, self.clone(
                self.image, volume, second))

    def test_retry_of_a_volume_that_was_created(self):
        # Cinder could not record it.
        for first, second in itertools.product(self.hosts, repeat=2):
            volume = self.new_volume()
            self.assert_served(self.clone(self.image, volume, first),
                               self.DATA)
            self.assert_created_once(volume, self.clone(
                self.image, volume, second))

    def test_retry_with_leftovers_of_several_attempts(self):
        volume = self.new_volume()
        for _i in range(2):
            left = self.plant_volume('UUID-' + volume.id, {},
                                     account='another-account')
        self.api('DeleteVolume', volumeID=left)
        self.assert_created_once(volume, self.clone(self.image, volume))

    def test_clone_of_another_volume_is_not_waited_for(self):
        foreign = self.plant_volume('made-by-hand', {}, account='tenant')
        self.sim.cluster.jobs.seconds = 500
        self.api('CloneVolume', volumeID=foreign, name='its-copy')
        self.sim.cluster.jobs.seconds = 0
        before = self.clock.monotonic()
        volume = self.scheduled_again(self.new_volume(), HOUR)
        self.assert_served(self.clone(self.image, volume), self.DATA)
        self.assertLess(self.clock.monotonic() - before, 5)

    @ddt.data({'error': 'xNeverHeardOf'}, {'error': 'xAPINotPermitted'},
              {'error': 'xPermissionDenied'}, {'http_status': 401},
              {'error': 'xDBConnectionLoss'}, {'drop': True},
              {'http_status': 200, 'body': '<html></html>'})
    def test_retry_after_an_attempt_that_could_not_clean_up(self, fault):
        volume = self.new_volume()
        for method in ('GetAsyncResult', 'CancelClone', 'DeleteVolume',
                       'PurgeDeletedVolume', 'ListSyncJobs', 'ListVolumes'):
            self.sim.faults.add(method=method, times=None, **fault)
        self.assertEqual((None, False), self.clone(self.image, volume))
        self.assertIn('may be left', self.warnings[0])
        self.restore()
        self.log.clear()
        self.assert_created_once(volume, self.clone(self.image, volume,
                                                    self.hosts[0]))
