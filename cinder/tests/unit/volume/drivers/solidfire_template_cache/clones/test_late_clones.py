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

from unittest import mock

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import late_clones
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.element import errors

LATE_ID, CREATED_ID = 11, 12


def volume(volume_id, name='UUID-1', **members):
    return fixtures.element_volume(id=volume_id, name=name, **members)


@ddt.ddt
class LateClonesTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.monitor = monitor.CloneMonitor(self.cluster)
        self.late = late_clones.LateClones(self.cluster, self.monitor)
        self.client.list_volumes_after.side_effect = self.list_volumes_after
        self.late.note_created(volume(CREATED_ID))

    def list_volumes_after(self, volume_id, account_ids):
        self._end_jobs()
        return [each for each in self.volumes.values()
                if each.id > volume_id and each.account_id in account_ids]

    def listed_after(self):
        return [call.args[0] for call in
                self.client.list_volumes_after.call_args_list]

    def end_clone(self, volume_id=LATE_ID, name='UUID-1'):
        """Let a clone run at one run, and be done at the next one."""
        self.begin(5, id=volume_id, name=name)
        self.late.prune()
        self.clock.advance(5)
        self.late.prune()

    def test_running_clone_is_removed_when_it_ends(self):
        self.end_clone()
        self.client.list_running_clones.assert_called_with()
        self.client.remove_volume.assert_called_once_with(LATE_ID)
        self.late.prune()
        self.client.find_volume.assert_called_once_with(LATE_ID)

    def test_clone_that_has_ended_since_the_last_run_is_removed(self):
        self.volumes = {LATE_ID: volume(LATE_ID), 10: volume(10, 'UUID-x'),
                        CREATED_ID: volume(CREATED_ID)}
        self.late.prune()
        # A first run knows of no id that is lower than that of the clone.
        self.client.list_volumes_after.assert_called_once_with(
            0, {volume(1).account_id})
        self.client.remove_volume.assert_called_once_with(LATE_ID)

    def test_clone_that_is_older_than_the_replica_is_removed(self):
        # An earlier process began 50, and then 60 became a replica.
        self.volumes = {50: volume(50, 'UUID-5'), 70: volume(70, 'UUID-5')}
        self.late = late_clones.LateClones(self.cluster, self.monitor)
        self.late.note_created(volume(70, 'UUID-5'))
        self.late.prune()
        self.client.remove_volume.assert_called_once_with(50)
        # Later ones have begun since, so the account is listed whole once.
        self.late.note_created(volume(80, 'UUID-8'))
        self.late.prune()
        self.assertEqual([0, 70], self.listed_after())

    def test_each_volume_is_looked_at_once(self):
        with self.failing('list_volumes_after'):
            self.assertRaises(errors.ApiError, self.late.prune)
        # One that is created during a run is looked at by the next one.
        with self.failing('list_running_clones', lambda: (
                self.late.note_created(volume(17, 'UUID-5')) or set())):
            self.late.prune()
        for _i in range(2):
            self.late.prune()
        self.assertEqual([0, 0, CREATED_ID], self.listed_after())

    def test_run_that_fails_watches_what_was_running(self):
        self.late.note_fallback('UUID-7')
        self.begin(5, id=LATE_ID)
        with self.failing('list_volumes'):
            self.assertRaises(errors.ApiError, self.late.prune)
        self.clock.advance(5)
        self.late.prune()
        self.client.remove_volume.assert_called_once_with(LATE_ID)

    @ddt.data((LATE_ID, 'UUID-other'), (CREATED_ID, 'UUID-1'),
              (CREATED_ID + 1, 'UUID-1'))
    @ddt.unpack
    def test_other_clones_stay(self, volume_id, name):
        self.end_clone(volume_id, name)
        self.client.find_volume.assert_called_with(volume_id)
        self.begin(5)
        self.late.prune()
        self.jobs.clear()  # it was cancelled
        self.late.prune()
        self.client.remove_volume.assert_not_called()

    def test_clones_of_this_process_are_not_watched(self):
        with self.monitor.in_flight(LATE_ID):
            self.end_clone()
        self.client.find_volume.assert_not_called()

    def test_name_of_a_fallback_is_looked_at_once(self):
        self.late.note_fallback('UUID-7')
        self.volumes = {21: volume(21, 'UUID-7'), 22: volume(22, 'UUID-7'),
                        23: volume(23, 'UUID-7', status='deleted')}
        for _i in range(2):
            self.late.prune()
        self.client.list_volumes.assert_called_once_with('UUID-7')
        # The stock driver's volume is the latest.
        self.client.remove_volume.assert_called_once_with(21)

    def test_clone_that_ends_after_a_fallback_is_removed(self):
        self.late.note_fallback('UUID-7')
        self.volumes[22] = volume(22, 'UUID-7')
        self.end_clone(21, 'UUID-7')
        self.client.remove_volume.assert_called_once_with(21)

    def test_no_call_unless_something_was_created_lately(self):
        self.clock.advance(1200)
        self.late.prune()
        self.assertEqual([], self.client.method_calls)

    def test_removal_that_fails_is_repeated(self):
        with self.failing('remove_volume'):
            self.assertRaises(errors.ApiError, self.end_clone)
        self.late.prune()
        self.assertEqual([mock.call(LATE_ID)] * 2,
                         self.client.remove_volume.mock_calls)
