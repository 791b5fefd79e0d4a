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

"""Cinder asks for the same volume again, on this host or another."""

import datetime

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)

DATA = b'bootable' * 500

AFTER_THE_CLONE = ('GetAsyncResult', 'CancelClone', 'DeleteVolume',
                   'PurgeDeletedVolume', 'ListSyncJobs', 'ListVolumes')


@ddt.ddt
class RescheduleTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)
        self.volume = self.new_volume()
        self.other = self.new_driver()
        for driver in (self.driver, self.other):
            # Both know the template and the account.
            self.assert_served(self.clone(self.image, driver=driver), DATA)

    def clone_again(self, seconds, driver):
        """Ask for the volume as so many seconds after the first time."""
        self.volume.scheduled_at = (self.volume.created_at +
                                    datetime.timedelta(seconds=seconds))
        self.assert_served(self.clone(self.image, self.volume, driver), DATA)
        self.clock.advance(3600)
        self.assertEqual(1, len(self.volumes_named(
            'UUID-' + self.volume.id)))

    @ddt.data({'error': 'xNeverHeardOf'}, {'error': 'xAPINotPermitted'},
              {'error': 'xPermissionDenied'}, {'http_status': 401},
              {'http_status': 403}, {'error': 'xDBConnectionLoss'},
              {'drop': True}, {'http_status': 200, 'body': '<html></html>'})
    def test_what_could_not_be_removed_is_told_by_the_time_it_took(
            self, fault):
        for method in AFTER_THE_CLONE:
            self.sim.faults.add(method=method, times=None, **fault)
        before = self.clock.monotonic()
        self.assertEqual((None, False), self.clone(self.image, self.volume))
        [warning] = self.warnings.messages
        self.assertIn('may be left', warning)
        self.warnings.messages.clear()
        self.sim.faults.clear()
        # A database may keep whole seconds only.
        self.clone_again(int(self.clock.monotonic() - before), self.other)

    @ddt.data(2, 60)
    def test_volume_of_an_earlier_attempt_is_removed(self, seconds):
        # It was made, and then Cinder could not record it.
        self.assert_served(self.clone(self.image, self.volume), DATA)
        self.clone_again(seconds, self.other)

    def test_volume_of_an_earlier_attempt_is_removed_by_a_new_process(self):
        self.assert_served(self.clone(self.image, self.volume), DATA)
        self.clone_again(0, self.new_driver())

    def begin_clone(self, source_id, name, seconds):
        """Start a clone, as another host or program does."""
        self.sim.cluster.jobs.seconds = seconds
        self.api('CloneVolume', volumeID=source_id, name=name)
        self.sim.cluster.jobs.seconds = 0

    def test_clone_that_an_earlier_attempt_has_begun_is_outwaited(self):
        # While it runs, no list of volumes has it.
        self.begin_clone(self.templates()[0].volume_id,
                         'UUID-' + self.volume.id, 30)
        self.clone_again(2, self.other)

    def test_clone_of_anything_else_is_not_waited_for(self):
        foreign = self.plant_volume('made-by-hand', {}, account='tenant')
        self.begin_clone(foreign, 'its-copy', 500)
        before = self.clock.monotonic()
        self.volume.scheduled_at = (self.volume.created_at +
                                    datetime.timedelta(seconds=60))
        self.assert_served(self.clone(self.image, self.volume), DATA)
        self.assertLess(self.clock.monotonic() - before, 5)

    def test_retry_where_there_is_no_template_yet(self):
        image = self.images.add(DATA * 2)
        self.volume.scheduled_at = (self.volume.created_at +
                                    datetime.timedelta(seconds=60))
        self.assert_served(self.clone(image, self.volume), DATA * 2)
        self.assertNotIn('ListSyncJobs', self.sim.calls.methods)

    @ddt.data('GetAsyncResult', 'CloneVolume')
    def test_clone_is_removed_though_nobody_tells_what_runs(self, lost):
        self.sim.cluster.jobs.seconds = 0
        # Nobody knows what has become of it, nor tells.
        self.sim.faults.add(method=lost, times=None, when='after',
                            http_status=200, body='{"id": 1, "result": {}}')
        for method in ('CancelClone', 'ListSyncJobs'):
            self.sim.faults.add(method=method, times=None,
                                error='xAPINotPermitted')
        self.assert_fell_back(self.clone(self.image, self.volume),
                              self.image, self.volume, lost)
        self.clock.advance(3600)
        self.assertEqual([], self.volumes_named('UUID-' + self.volume.id))

    @ddt.data('ListSyncJobs', 'ListVolumes', 'DeleteVolume',
              'PurgeDeletedVolume')
    def test_clean_up_survives_access_that_is_refused_once(self, method):
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='CloneVolume', when='after',
                            http_status=200, body='{"id": 1, "result": {}}')
        refusal = self.sim.faults.add(method=method, http_status=401)
        outcome = self.clone(self.image, self.volume)
        self.assertEqual(1, refusal.hits)
        if outcome[1]:
            self.assert_served(outcome, DATA)
        else:
            self.assert_fell_back(outcome, self.image, self.volume)
