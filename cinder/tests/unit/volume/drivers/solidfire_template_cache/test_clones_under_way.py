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

"""Clones under way: looks at them, and what becomes of them."""

import dataclasses
from unittest import mock

import ddt
from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import cloning
from cinder.volume.drivers.solidfire_template_cache import errors


@ddt.ddt
class FinishTestCase(cloning.CloneTestCase):
    """The clone is under way; what may become of it."""

    def test_looks_grow_apart_up_to_a_bound(self):
        self.sim.cluster.jobs.seconds = 30
        self.clone()
        slept = self.clock.slept
        self.assertEqual(0.1, slept[0])
        self.assertEqual(2.0, slept[-1])
        for before, after in zip(slept, slept[1:]):
            self.assertEqual(min(before * 1.6, 2.0), after)

    def _looks_at_a_clone(self, seconds, name, source=None):
        """Return the seconds between the looks at one clone."""
        self.sim.cluster.jobs.seconds = seconds
        before = len(self.clock.slept)
        self.clone(name, source=source)
        return self.clock.slept[before:]

    def test_first_look_is_when_the_last_clone_was_nearly_done(self):
        first = self._looks_at_a_clone(1, 'UUID-1')
        second = self._looks_at_a_clone(1, 'UUID-2')
        self.assertAlmostEqual(0.9 * sum(first), second[0])
        self.assertEqual([0.1, 0.1 * 1.6][:len(second) - 1], second[1:])
        self.assertLess(len(second), len(first))

    def test_first_look_is_no_later_than_the_bound(self):
        self._looks_at_a_clone(30, 'UUID-1')
        self.assertEqual(0.9 * 2.0, self._looks_at_a_clone(0, 'UUID-2')[0])

    def test_first_look_at_a_clone_of_another_template(self):
        self._looks_at_a_clone(1, 'UUID-1')
        other = self.make_volume('OpenStackIMG-2')
        self.assertEqual(0.1,
                         self._looks_at_a_clone(1, 'UUID-2', other)[0])

    def test_clone_whose_end_was_told_in_a_lost_reply(self):
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='GetAsyncResult', drop=True, when='after')
        self.assert_cloned(self.clone())
        self.assertEqual(
            ['GetLimits', 'CloneVolume', 'GetAsyncResult', 'GetAsyncResult',
             'ListVolumes'], self.sim.calls.methods)

    def test_clone_whose_failure_was_told_in_a_lost_reply(self):
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='CloneVolume', job_error='xSliceLost')
        self.sim.faults.add(method='GetAsyncResult', drop=True, when='after')
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assertIn('neither job nor volume', str(exc))
        self.assert_nothing_left(exc)

    @ddt.data('xAsyncHandleDoesNotExist', 'xDBNoSuchPath')
    def test_clone_whose_handle_is_unknown_for_a_moment(self, name):
        self.sim.faults.add(method='GetAsyncResult', error=name, times=3)
        self.assert_cloned(self.clone())
        self.assertEqual(0, self.sim.calls.count('ListSyncJobs'))

    def test_clone_whose_handle_is_unknown_while_its_job_runs(self):
        self.sim.faults.add(method='GetAsyncResult', times=None,
                            error='xAsyncHandleDoesNotExist')
        self.assert_cloned(self.clone())
        self.assertGreater(self.sim.calls.count('ListSyncJobs'), 0)

    @ddt.data('xAsyncHandleDoesNotExist', 'xDBNoSuchPath')
    def test_clone_that_vanishes(self, name):
        self.sim.cluster.missing_handle = name
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='CloneVolume', job_error='xSliceLost')
        self.sim.faults.add(method='GetAsyncResult', times=None, error=name)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assert_nothing_left(exc)

    def test_clone_that_fails(self):
        self.sim.faults.add(method='CloneVolume',
                            job_error='xSliceNotRegistered')
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assertIn('xSliceNotRegistered: ', str(exc))
        self.assertIn(str(self.template.id), str(exc))
        self.assert_nothing_left(exc)

    def test_clone_that_fails_and_stays(self):
        # Some leave the half-made volume of a failed job behind.
        self.sim.faults.add(
            method='GetAsyncResult', http_status=200, when='before',
            body={'result': {'status': 'complete', 'resultType': 'Clone',
                             'error': {'name': 'xNew', 'message': 'm'}}})
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assertIn('xNew: m', str(exc))
        self.assert_nothing_left(exc)

    def test_clone_that_does_not_end(self):
        self.sim.cluster.jobs.seconds = 10 ** 6
        begin = self.clock.monotonic()
        exc = self.assert_fails(errors.CloneTimedOut, self.clone)
        spent = self.clock.monotonic() - begin
        self.assertTrue(cloning.TIMEOUT <= spent < cloning.TIMEOUT + 10, spent)
        self.assertEqual(1, self.sim.calls.count('CancelClone'))
        self.assert_nothing_left(exc)

    def test_clone_whose_reply_names_the_source(self):
        self.sim.cluster.result_names_source = True
        self.assert_cloned(self.clone())
        self.assertEqual(2, len(self.on_cluster()))

    @ddt.data({'size': units.Gi + 1}, {'size': 0}, {'account_id': 77},
              {'name': 'UUID-7'})
    def test_clone_that_is_not_as_ordered(self, changes):
        self._start_with(**changes)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        for value in changes.values():
            self.assertIn(str(value), str(exc))
        self.assert_nothing_left(exc)

    def _start_with(self, **changes):
        """Let the reply to CloneVolume differ from what was asked for."""
        start = self.client.clone_volume

        def altered(*args):
            started = start(*args)
            return dataclasses.replace(
                started, volume=dataclasses.replace(started.volume,
                                                    **changes))

        self.mock_object(self.client, 'clone_volume', altered)

    @ddt.data('xUnknownAPIMethod', 'xInvalidParameter')
    def test_clone_to_give_up_that_cannot_be_cancelled(self, name):
        self._start_with(size=0)
        self.sim.faults.add(method='CancelClone', error=name, times=None)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assert_nothing_left(exc)

    def test_clone_to_give_up_that_is_there_only_at_its_end(self):
        self._start_with(size=0)
        self.sim.faults.add(method='CancelClone', error='xNew', times=None)
        # It cannot be deleted while it is made.
        delete = self.sim.cluster.delete_volume
        self.mock_object(self.sim.cluster, 'delete_volume',
                         lambda volume: self._refuse_unfinished(volume) or
                         delete(volume))
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assert_nothing_left(exc)

    def _refuse_unfinished(self, volume):
        if volume.status == 'init':
            self.sim.cluster.volume(-1)

    def test_clone_to_give_up_that_cannot_be_removed(self):
        self._start_with(size=0)
        self.sim.faults.add(method='DeleteVolume', error='xNew', times=None)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        [note] = exc.__notes__
        self.assertIn('may be left', note)
        self.assertIn('xNew', note)

    def test_clone_to_give_up_without_its_clone_id(self):
        start = self.client.clone_volume
        self.mock_object(
            self.client, 'clone_volume', lambda *args: dataclasses.replace(
                start(*args), clone_id=None))
        self.sim.cluster.jobs.seconds = 10 ** 6
        exc = self.assert_fails(errors.CloneTimedOut, self.clone)
        self.assertEqual(0, self.sim.calls.count('CancelClone'))
        self.assert_nothing_left(exc)

    def test_clone_interrupted_by_an_error_of_any_kind(self):
        with mock.patch.object(self.client, 'get_job', autospec=True,
                               side_effect=KeyError('x')):
            exc = self.assert_fails(KeyError, self.clone)
        self.assert_nothing_left(exc)
