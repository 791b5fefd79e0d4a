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

"""One clone: started, waited for, and made sure of; else nothing is left.

Of its end: exactly one volume of the name, ours. No case has a clock of
another host, or knows of earlier attempts: they are found by the one listing
with which every clone ends.
"""

import dataclasses
import logging as std_logging
from unittest import mock

from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import cloner
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions

DEFAULT_QOS = {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': 15000}


class ClonerTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.monitor = monitor.CloneMonitor(self.cluster)
        self.cloner = cloner.Cloner(self.cluster, self.info, self.monitor)

    def clone(self, source_size=units.Gi, **changes):
        """Make a clone of :data:`base.SPEC` with other members."""
        wanted = dataclasses.replace(base.SPEC, **changes)
        started = self.cloner.start(base.SOURCE_ID, source_size, wanted)
        with self.monitor.in_flight(started.volume.id):
            self.cloner.wait('image', base.SOURCE_ID, started, wanted)
        return self.cloner.finish(base.SOURCE_ID, started, wanted)

    def assert_fails(self, error_class, **changes):
        """Return the error, of exactly that class."""
        exc = self.assertRaises(error_class, self.clone, **changes)
        self.assertIs(error_class, type(exc), repr(exc))
        return exc


class StartTestCase(ClonerTestCase):

    def test_clone_makes_three_calls(self):
        volume = self.clone()
        # The volume of the listing, not of the reply.
        self.assertIs(self.volumes[volume.id], volume)
        self.assertTrue(volume.active)
        self.assertEqual([
            mock.call.clone_volume(7, 'UUID-1', 3, True, {'uuid': '1'}, None),
            mock.call.get_job(volume.id),
            mock.call.list_volumes('UUID-1')], self.client.method_calls)

    def test_clone_of_another_size(self):
        size = 3 * units.Gi
        self.assertEqual(size, self.clone(size=size).size)
        self.client.clone_volume.assert_called_once_with(
            7, 'UUID-1', 3, True, {'uuid': '1'}, size)

    def test_clone_qos(self):
        # Launchpad bug 1589187: clones ran with the QoS of the template.
        own = {'minIOPS': 70, 'maxIOPS': 700, 'burstIOPS': 7000}
        cases = (
            # The template's, the default, the requested one, ModifyVolume
            (DEFAULT_QOS, DEFAULT_QOS, {}, None),
            (DEFAULT_QOS, DEFAULT_QOS, {'minIOPS': 50}, None),
            (DEFAULT_QOS, DEFAULT_QOS, own, own),
            (own, DEFAULT_QOS, {}, DEFAULT_QOS),
            (own, DEFAULT_QOS, {'minIOPS': 99},
             dict(DEFAULT_QOS, minIOPS=99)),
            (dict(DEFAULT_QOS, burstTime=60), DEFAULT_QOS, {}, None),
            (own, {}, {}, None))
        for inherited, default, wanted, change in cases:
            with self.subTest(inherited=inherited, wanted=wanted):
                self.client.modify_volume.reset_mock()
                self.info.default_qos.return_value = default
                begin = self.begin
                with mock.patch.object(
                        self, 'begin', autospec=True,
                        side_effect=lambda *args, **kwargs: begin(
                            *args, qos=inherited, **kwargs)):
                    volume = self.clone(qos=wanted)
                expected = [mock.call(volume.id, qos=change)] if change else []
                self.assertEqual(expected,
                                 self.client.modify_volume.mock_calls)

    def test_clone_refused(self):
        # A full account is an error of its own.
        cases = (('xVolumeIDDoesNotExist', errors.NotFound),
                 ('xAccountIDDoesNotExist', errors.NotFound),
                 ('xExceededLimit', errors.LimitExceeded),
                 ('xTotalCapacityExceeded', errors.ApiError))
        for name, error_class in cases:
            with self.subTest(name=name):
                self.client.clone_volume.reset_mock()
                self.client.clone_volume.side_effect = errors.from_reply(
                    'CloneVolume', {'name': name}, str)
                exc = self.assert_fails(error_class)
                self.assertEqual(name, exc.name)
                self.client.clone_volume.assert_called_once()
                self.assert_nothing_left(exc)

    def test_clone_not_sent(self):
        self.client.clone_volume.side_effect = errors.NotSent(
            'CloneVolume', 'ConnectionError', 'refused')
        self.assert_nothing_left(self.assert_fails(errors.NotSent))
        # Nothing was sent, so there is nothing to look for.
        self.assertEqual(['clone_volume'], self.calls())


class UnknownOutcomeTestCase(ClonerTestCase):
    """Errors after which CloneVolume may have been carried out."""

    LOST = errors.ReplyLost('CloneVolume', 'Timeout', 'reason')

    def test_clone_reply_lost_once(self):
        # Launchpad bug 1896112, for clones: the retry made a duplicate.
        for error in (self.LOST, base.api_error('xRpcTimeout'),
                      base.api_error('xSliceNotRegistered'),
                      base.api_error('xInvalidParameter')):
            for carried_out in (True, False):
                with self.subTest(error=error, carried_out=carried_out):
                    self.volumes.clear()
                    self.client.clone_volume.reset_mock()
                    self.clone_seconds = 5
                    other = self.begin(5, name='UUID-2')
                    self.fail_once(error, carried_out)
                    volume = self.clone()
                    self.assertEqual([other.id, volume.id],
                                     self.let_time_pass())
                    self.assertEqual(2, self.client.clone_volume.call_count)

    def test_clone_reply_lost_for_good(self):
        unreadable = errors.UnexpectedReply('CloneVolume', 'BadReply', '')
        for error, attempts in ((self.LOST, 2), (unreadable, 1)):
            for carried_out in (True, False):
                with self.subTest(error=error, carried_out=carried_out):
                    self.client.clone_volume.reset_mock()
                    self.fail_once(error, carried_out, times=3)
                    exc = self.assert_fails(type(error))
                    self.assertEqual(attempts,
                                     self.client.clone_volume.call_count)
                    self.assert_nothing_left(exc)

    def test_clone_reply_lost_beside_a_clone_of_this_process(self):
        # That one is known, so it is not waited for.
        self.clone_seconds = 100

        def clone_another(handle):
            self.client.get_job.side_effect = self.get_job
            self.fail_once(self.LOST, carried_out=False)
            self.clone_seconds = 0
            self.clone(name='UUID-2')
            self.assertLess(self.clock.monotonic(), 5)
            return self.get_job(handle)

        self.client.get_job.side_effect = clone_another
        self.clone()
        self.client.list_running_clones.assert_called_once_with(7)

    def test_clone_reply_lost_cannot_be_reconciled(self):
        # Then nothing is cloned again, here or by a caller.
        cannot_remove = ('remove_volumes_named', base.api_error('xNew'))
        for seconds, (method, error) in (
                (0, cannot_remove), (10 ** 6, cannot_remove),
                (10 ** 6, ('cancel_clone', None)),
                (0, ('list_running_clones', base.api_error('xNew')))):
            with self.subTest(method=method, seconds=seconds):
                self.client.clone_volume.reset_mock()
                call = getattr(self.client, method)
                call.side_effect = error
                self.clone_seconds = seconds
                self.fail_once(self.LOST, carried_out=True)
                exc = self.assert_fails(errors.OutcomeUnknown)
                self.assertIs(errors.RetryClass.FINAL, exc.retry_class)
                self.assertIn('xNew' if error else 'still running', str(exc))
                self.client.clone_volume.assert_called_once()
                call.side_effect = getattr(self, method)
                if method == 'list_running_clones':
                    # What could be removed has been.
                    self.assert_nothing_left()
                self.jobs.clear()
                self.volumes.clear()


class FinishTestCase(ClonerTestCase):
    """Whatever fails after the start, the clone is removed."""

    def test_clone_fails(self):
        # Launchpad bug 1642394: errors of any kind.
        failed = [models.Job(done=True, error='xBroken: m')]
        cases = (('get_job', failed, exceptions.CloneFailed),
                 ('get_job', KeyError('x'), KeyError),
                 ('get_job', base.api_error('xNew'), errors.ApiError),
                 ('list_volumes', [base.api_error('xNew')], errors.ApiError),
                 ('modify_volume', base.api_error('xInvalidParameter'),
                  errors.ApiError))
        for method, effect, error_class in cases:
            with self.subTest(method=method, error=error_class):
                call = getattr(self.client, method)
                call.side_effect = effect
                exc = self.assert_fails(error_class, qos={'minIOPS': 100})
                call.side_effect = getattr(self, method, None)
                self.assert_nothing_left(exc)

    def test_clone_does_not_end(self):
        self.clone_seconds = 10 ** 6
        for changes, cancelled in (({}, 1), ({'clone_id': None}, 0)):
            self.client.cancel_clone.reset_mock()
            self.client.clone_volume.side_effect = (
                lambda *args, members=changes: dataclasses.replace(
                    self.clone_volume(*args), **members))
            begin = self.clock.monotonic()
            exc = self.assert_fails(exceptions.CloneTimeout)
            self.assertLess(self.clock.monotonic() - begin, 600 + 65)
            self.assertEqual(cancelled, self.client.cancel_clone.call_count)
            if cancelled:
                self.assert_nothing_left(exc)
            else:
                # All that can be done is to report it.
                self.assertIn('still running', exc.__notes__[0])

    def test_clone_to_abandon_cannot_be_cancelled(self):
        self.client.cancel_clone.side_effect = base.api_error('xNew')
        self.client.get_job.side_effect = KeyError('x')
        self.clone_seconds = 5

        def refuse_while_running(volume_id):
            if volume_id in self.jobs:
                raise base.api_error('xNew', 'DeleteVolume')
            self.remove_volume(volume_id)

        self.client.remove_volume.side_effect = refuse_while_running
        self.assert_nothing_left(self.assert_fails(KeyError))

    def test_clone_to_abandon_may_be_left(self):
        self.client.cancel_clone.side_effect = None
        self.client.get_job.side_effect = KeyError('x')
        for method, left in (('list_running_clones', []),
                             ('remove_volume', [102])):
            call = getattr(self.client, method)
            call.side_effect = base.api_error('xNew')
            note = self.assert_fails(KeyError).__notes__[0]
            for text in ('UUID-1, may be left: SolidFire API call', 'xNew'):
                self.assertIn(text, note)
            # It is removed as far as it is there.
            call.side_effect = getattr(self, method)
            self.assertEqual(left, self.let_time_pass())

    def test_clone_reply_contradicts_itself(self):
        # The volume with the id of the reply may be another's.
        foreign = fixtures.element_volume(id=50, name='UUID-50')
        for changes in ({'id': 50}, dict(vars(foreign)),
                        {'id': 7, 'iqn': 'iqn.1.7'}):
            with self.subTest(changes=changes):
                self.volumes[50] = foreign
                self.client.clone_volume.side_effect = (
                    lambda *args, members=changes: self._alter(
                        self.clone_volume(*args), members))
                exc = self.assert_fails(exceptions.CloneFailed)
                self.assertEqual([50], self.let_time_pass())
                self.assertEqual([], getattr(exc, '__notes__', []))
                self.client.remove_volume.assert_not_called()
                self.client.modify_volume.assert_not_called()

    @staticmethod
    def _alter(started, changes):
        return dataclasses.replace(started, volume=dataclasses.replace(
            started.volume, **changes))


class ConfirmTestCase(ClonerTestCase):

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
