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

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume import configuration
from cinder.volume.drivers.solidfire_template_cache.clones import late_clones
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache import cluster
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors

SOURCE_ID, LATE_ID, CREATED_ID = 7, 11, 12
NAME = fixtures.element_volume().name


class LateClonesTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.client = mock.create_autospec(client.ElementClient, instance=True)
        self.clock = fixtures.ManualClock()
        of_cluster = cluster.Cluster(
            'cluster-1', self.client, self.clock, 'host', mock.Mock(
                spec=configuration.Configuration, sf_volume_clone_timeout=600))
        self.monitor = monitor.CloneMonitor(of_cluster)
        self.late = late_clones.LateClones(of_cluster, self.monitor)
        self.volumes = {}
        self.client.find_volume.side_effect = self.volumes.get
        self.client.list_volumes_after.return_value = []
        self.create(CREATED_ID, NAME)

    def create(self, volume_id, name):
        self.late.note_created(
            fixtures.element_volume(id=volume_id, name=name), SOURCE_ID)

    def prune(self, *running):
        self.client.list_running_clones.return_value = set(running)
        self.late.prune()

    def end_clone(self, volume_id=LATE_ID, name=NAME):
        self.prune(volume_id)
        self.volumes[volume_id] = fixtures.element_volume(id=volume_id,
                                                          name=name)
        self.prune()

    def test_running_clone_is_removed_when_it_ends(self):
        self.prune(LATE_ID)
        self.client.find_volume.assert_not_called()
        self.end_clone()
        self.client.list_running_clones.assert_called_with()
        self.client.remove_volume.assert_called_once_with(LATE_ID)
        self.prune()
        self.assertEqual(1, self.client.find_volume.call_count)

    def test_clone_that_has_ended_since_the_last_run_is_removed(self):
        self.client.list_volumes_after.return_value = [
            fixtures.element_volume(id=number, name=name)
            for number, name in ((LATE_ID, NAME), (LATE_ID + 1, 'UUID-x'),
                                 (CREATED_ID, NAME))]
        self.prune()
        # Of a first run it is known that a clone follows its template.
        self.client.list_volumes_after.assert_called_once_with(
            SOURCE_ID, {fixtures.element_volume().account_id})
        self.client.remove_volume.assert_called_once_with(LATE_ID)

    def test_each_volume_is_looked_at_once(self):
        self.prune()
        self.prune()
        self.assertEqual(1, self.client.list_volumes_after.call_count)
        self.create(CREATED_ID + 5, 'UUID-5')
        self.prune()
        self.assertEqual(
            CREATED_ID, self.client.list_volumes_after.call_args.args[0])

    def test_volume_that_is_created_during_a_run_is_looked_at_later(self):
        self.client.list_volumes_after.side_effect = [
            errors.NotSent('ListVolumes', 'Refused', 'refused'), [], []]
        self.assertRaises(errors.NotSent, self.prune)
        self.client.list_running_clones.side_effect = (
            lambda: self.create(CREATED_ID + 5, 'UUID-5') or set())
        self.late.prune()
        self.client.list_running_clones.side_effect = None
        self.prune()
        self.assertEqual([SOURCE_ID, SOURCE_ID, CREATED_ID],
                         [call.args[0] for call in
                          self.client.list_volumes_after.call_args_list])

    def test_other_clones_stay(self):
        for volume_id, name in ((LATE_ID, 'UUID-other'),
                                (CREATED_ID, NAME), (CREATED_ID + 1, NAME)):
            self.end_clone(volume_id, name)
            self.client.find_volume.assert_called_with(volume_id)
        self.prune(LATE_ID + 10)
        self.prune()  # it was cancelled
        self.client.remove_volume.assert_not_called()

    def test_clones_of_this_process_are_not_watched(self):
        with self.monitor.in_flight(LATE_ID):
            self.prune(LATE_ID)
        self.prune()
        self.client.find_volume.assert_not_called()

    def test_name_of_a_fallback_is_looked_at_once(self):
        self.late.note_fallback('UUID-7')
        self.client.list_volumes.return_value = [
            fixtures.element_volume(id=21, name='UUID-7'),
            fixtures.element_volume(id=22, name='UUID-7'),
            fixtures.element_volume(id=23, name='UUID-7', status='deleted')]
        for _i in range(2):
            self.prune()
        self.client.list_volumes.assert_called_once_with('UUID-7')
        # The stock driver's volume is the latest.
        self.client.remove_volume.assert_called_once_with(21)

    def test_clone_that_ends_after_a_fallback_is_removed(self):
        self.late.note_fallback('UUID-7')
        self.client.list_volumes.return_value = [
            fixtures.element_volume(id=22, name='UUID-7')]
        self.prune(21)
        self.client.list_volumes.return_value.append(
            fixtures.element_volume(id=21, name='UUID-7'))
        self.end_clone(21, 'UUID-7')
        self.client.remove_volume.assert_called_once_with(21)

    def test_no_call_unless_something_was_created_lately(self):
        self.clock.advance(1200)
        self.prune()
        self.assertEqual([], self.client.method_calls)

    def test_removal_that_fails_is_repeated(self):
        self.client.remove_volume.side_effect = errors.NotSent(
            'DeleteVolume', 'Refused', 'refused')
        self.assertRaises(errors.NotSent, self.end_clone)
        self.client.remove_volume.side_effect = None
        self.prune()
        self.assertEqual(2, self.client.remove_volume.call_count)
