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

"""Clones: started, queued, of unknown outcome, confirmed, abandoned."""

import dataclasses
from unittest import mock

from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import fair_queue
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions

DEFAULT_QOS = {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': 15000}


class StartTestCase(base.SchedulerTestCase):

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


class QueueTestCase(base.SchedulerTestCase):

    def test_clone_takes_a_ticket(self):
        # Launchpad bug 1673264: a counter, and no lock during the clone.
        limiter = mock.create_autospec(fair_queue.FairLimiter, instance=True)
        ticket = limiter.ticket.return_value.__enter__.return_value
        with mock.patch.object(fair_queue, 'FairLimiter', autospec=True,
                               return_value=limiter) as limiter_class:
            self.scheduler = scheduler.CloneScheduler(self.cluster, self.info)
        limiter_class.assert_called_once_with(self.info.clones_per_volume,
                                              self.clock)
        self.client.get_job.side_effect = lambda handle: (
            ticket.mark_started.assert_called_once_with() or
            limiter.ticket.return_value.__exit__.assert_not_called() or
            self.get_job(handle))
        self.clone()
        limiter.ticket.assert_called_once_with(base.SOURCE_ID, base.TIMEOUT)
        limiter.ticket.return_value.__exit__.assert_called_once()

        limiter.ticket.side_effect = fair_queue.QueueTimeout()
        exc = self.assert_fails(exceptions.CloneTimeout)
        self.assertIn('600 seconds: no clone slot', str(exc))

    def test_sources(self):
        self.client.list_clone_sources.side_effect = lambda: {8}
        self.assertEqual({8}, self.scheduler.sources())
        self.client.get_job.side_effect = lambda handle: (
            self.assertEqual({7, 8}, self.scheduler.sources()) or
            self.assertTrue(self.scheduler.is_cloning(7)) or
            self.get_job(handle))
        self.clone()
        self.assertTrue(self.scheduler.is_cloning(8))
        self.assertFalse(self.scheduler.is_cloning(7))

    def test_clone_waits_for_slots_of_other_hosts(self):
        # Launchpad bug 1552734: the limit is no reason to give up.
        for name in ('xMaxClonesPerVolumeExceeded',
                     'xMaxClonesPerNodeExceeded'):
            error = base.api_error(name, error_class=errors.Throttled)
            self.client.reset_mock()
            self.clock.waited.clear()
            self.volumes.clear()
            self.fail_once(error, carried_out=False, times=12)
            self.clone()
            # It is certain that nothing was done, so nothing is looked for.
            self.assertEqual(
                ['clone_volume'] * 13 + ['get_job', 'list_volumes'],
                self.calls())
            longest = 0.5
            for back_off in self.clock.waited:
                self.assertTrue(longest / 2 <= back_off <= longest)
                longest = min(longest * 1.6, 5)
            self.assertEqual(12, len(set(self.clock.waited)))

    def test_clone_gets_no_slot_in_time(self):
        self.client.clone_volume.side_effect = base.api_error(
            'xMaxClonesPerNodeExceeded', error_class=errors.Throttled)
        exc = self.assert_fails(exceptions.CloneTimeout)
        self.assertEqual(base.TIMEOUT, self.clock.monotonic())
        self.assertIn('within 600 seconds: reason of the test', str(exc))
        self.assert_nothing_left(exc)
        # The slot was given up.
        self.client.clone_volume.side_effect = self.clone_volume
        self.clone()


class UnknownOutcomeTestCase(base.SchedulerTestCase):
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


class FinishTestCase(base.SchedulerTestCase):
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
