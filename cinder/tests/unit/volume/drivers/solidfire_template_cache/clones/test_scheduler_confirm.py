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

"""The end of a clone: exactly one volume of the name, ours.

No case has a clock of another host, or knows of earlier attempts: they are
found by the one listing with which every clone ends.
"""

import dataclasses
import logging as std_logging

from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions


class ConfirmTestCase(base.SchedulerTestCase):

    OURS = 101

    def plant(self, volume_id, **members):
        """Let a volume of the same name be there."""
        self.volumes[volume_id] = fixtures.element_volume(
            id=volume_id, name='UUID-1', **members)

    def test_clone_removes_what_earlier_attempts_left(self):
        cases = (
            {50: {}},
            {50: {'status': 'deleted'}},
            # The project had another account, as when the first was full.
            {50: {'account_id': 4}},
            {50: {'size': 9 * units.Gi, 'access': 'readOnly'}},
            {50: {}, 51: {'status': 'deleted'}},
            # A later attempt has given up, and did not get to the purge.
            {200: {'status': 'deleted'}})
        for leftovers in cases:
            with self.subTest(leftovers=leftovers):
                self.volumes.clear()
                self.client.reset_mock()
                for volume_id, members in leftovers.items():
                    self.plant(volume_id, **members)
                log = self.useFixture(fixtures.LogCapture())
                volume = self.clone()
                self.assertEqual([volume.id], self.let_time_pass())
                self.assertEqual(
                    ['clone_volume', 'get_job', 'list_volumes'] +
                    ['remove_volume'] * len(leftovers), self.calls())
                self.assertEqual(len(leftovers), len(log.at(std_logging.INFO)))

    def test_clone_removes_what_appears_while_it_runs(self):
        # A host was killed while the cluster cloned for it.
        self.clone_seconds = 5
        self.begin(4)
        volume = self.clone()
        self.assertEqual([volume.id], self.let_time_pass())
        # Nobody was asked which clones run, nor waited for.
        self.assertNotIn('list_running_clones', self.calls())
        self.assertLess(volume.id - self.OURS, 2)

    def test_clone_leaves_other_names_alone(self):
        self.volumes[50] = fixtures.element_volume(id=50, name='UUID-10')
        volume = self.clone()
        self.assertEqual([50, volume.id], self.let_time_pass())

    def test_clone_leftover_cannot_be_removed(self):
        # Then the name would stand twice, so the clone has failed.
        self.plant(50)

        def refuse(volume_id):
            if volume_id == 50:
                raise base.api_error('xNew', 'DeleteVolume')
            self.remove_volume(volume_id)

        self.client.remove_volume.side_effect = refuse
        self.assert_fails(errors.ApiError)
        self.assertEqual([50], self.let_time_pass())

    def test_clone_superseded(self):
        # A later attempt has finished first: its volume stays.
        for ours in ('active', 'deleted', None):
            with self.subTest(ours=ours):
                self.volumes.clear()
                self.client.list_volumes.side_effect = (
                    lambda name, status=ours: [
                        dataclasses.replace(volume, status=status or '')
                        if volume.id != 200 else volume
                        for volume in self.list_volumes(name)
                        if status or volume.id == 200])
                self.plant(200)
                exc = self.assert_fails(exceptions.CloneSuperseded)
                self.assertIn('200', str(exc))
                if ours is None:
                    self.client.remove_volume.assert_not_called()
                else:
                    self.assertEqual([200], self.let_time_pass())
                self.client.remove_volume.reset_mock()
                self.client.remove_volumes_named.assert_not_called()

    def test_clone_superseded_cannot_be_removed(self):
        self.plant(200)
        self.client.remove_volume.side_effect = base.api_error('xNew')
        exc = self.assert_fails(exceptions.CloneSuperseded)
        self.assertIn('%s may be left' % self.OURS, exc.__notes__[0])
        self.client.remove_volumes_named.assert_not_called()

    def test_clone_not_as_requested(self):
        for changes in ({'size': units.Gi + 1}, {'account_id': 77},
                        {'access': 'readOnly'}, {'status': 'deleted'}):
            with self.subTest(changes=changes):
                self.client.list_volumes.side_effect = (
                    lambda name, members=changes: [
                        dataclasses.replace(volume, **members)
                        for volume in self.list_volumes(name)])
                exc = self.assert_fails(exceptions.CloneFailed)
                [value] = changes.values()
                self.assertIn(str(value), str(exc))
                self.assert_nothing_left(exc)

    def test_clone_not_listed(self):
        self.client.list_volumes.side_effect = lambda name: []
        exc = self.assert_fails(exceptions.CloneFailed)
        self.assertIn('%s was not found' % self.OURS, str(exc))
        self.assertEqual(8, self.client.list_volumes.call_count)
        self.assert_nothing_left(exc)
