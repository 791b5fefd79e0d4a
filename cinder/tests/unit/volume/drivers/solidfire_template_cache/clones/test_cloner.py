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
import itertools
import logging as std_logging
from unittest import mock

import ddt
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
OWN_QOS = {'minIOPS': 70, 'maxIOPS': 700, 'burstIOPS': 7000}

LOST = errors.ReplyLost('CloneVolume', 'Timeout', 'reason')
UNREADABLE = errors.UnexpectedReply('CloneVolume', 'BadReply', '')

FOREVER = 10 ** 6


class ClonerTestCase(base.CloneTestCase):

    OURS = 101

    def setUp(self):
        super().setUp()
        self.monitor = monitor.CloneMonitor(self.cluster)
        self.cloner = cloner.Cloner(self.cluster, self.info, self.monitor)

    def clone(self, **changes):
        """Make a clone of :data:`base.SPEC` with other members."""
        wanted = dataclasses.replace(base.SPEC, **changes)
        started = self.cloner.start(base.SOURCE_ID, units.Gi, wanted)
        with self.monitor.in_flight(started.volume.id):
            self.cloner.wait('image', base.SOURCE_ID, started, wanted)
        return self.cloner.finish(base.SOURCE_ID, started, wanted)

    def assert_fails(self, error_class, **changes):
        """Return the error, of exactly that class."""
        exc = self.assertRaises(error_class, self.clone, **changes)
        self.assertIs(error_class, type(exc), repr(exc))
        return exc

    def alter(self, volume=None, **changes):
        """Let replies to CloneVolume, and their volume, have changes."""
        def clone_volume(*args):
            started = self.clone_volume(*args)
            return dataclasses.replace(started, **changes, volume=(
                dataclasses.replace(started.volume, **volume or {})))

        self.client.clone_volume.side_effect = clone_volume

    def refuse_to_remove(self, refused):
        """Let the removal of those volumes fail of which a callable says."""
        def remove_volume(volume_id):
            if refused(volume_id):
                raise base.NEW_ERROR
            self.remove_volume(volume_id)

        self.client.remove_volume.side_effect = remove_volume


@ddt.ddt
class StartTestCase(ClonerTestCase):

    def test_clone_of_another_size(self):
        size = 3 * units.Gi
        self.assertEqual(size, self.clone(size=size).size)
        self.client.clone_volume.assert_called_once_with(
            7, 'UUID-1', 3, True, {'uuid': '1'}, size)

    # The template's, the default, the requested one, ModifyVolume
    @ddt.data((DEFAULT_QOS, DEFAULT_QOS, {}, None),
              (DEFAULT_QOS, DEFAULT_QOS, {'minIOPS': 50}, None),
              (DEFAULT_QOS, DEFAULT_QOS, OWN_QOS, OWN_QOS),
              (OWN_QOS, DEFAULT_QOS, {}, DEFAULT_QOS),
              (OWN_QOS, DEFAULT_QOS, {'minIOPS': 99},
               dict(DEFAULT_QOS, minIOPS=99)),
              (dict(DEFAULT_QOS, burstTime=60), DEFAULT_QOS, {}, None),
              (OWN_QOS, {}, {}, None))
    @ddt.unpack
    def test_clone_qos(self, inherited, default, wanted, change):
        # Launchpad bug 1589187: clones ran with the QoS of the template.
        self.members['qos'] = inherited
        self.info.default_qos.return_value = default
        volume = self.clone(qos=wanted)
        self.assertEqual([mock.call(volume.id, qos=change)] if change else [],
                         self.client.modify_volume.mock_calls)

    # The error, and whether it may have been carried out
    @ddt.data((errors.NotFound, False), (errors.LimitExceeded, False),
              (errors.ApiError, True))
    @ddt.unpack
    def test_clone_refused(self, error_class, doubtful):
        with self.failing('clone_volume', base.api_error(
                'xName', error_class=error_class)):
            self.assert_nothing_left(self.assert_fails(error_class))
        self.assertEqual(
            ['clone_volume', 'list_running_clones', 'remove_volumes_named'] if
            doubtful else ['clone_volume', 'remove_volumes_named'],
            self.calls())

    # The error, how often it occurs, and the attempts
    @ddt.data(*itertools.product(
        ((LOST, 1, 2), (base.api_error('xRpcTimeout'), 1, 2), (LOST, 3, 2),
         (UNREADABLE, 3, 1)), (True, False)))
    @ddt.unpack
    def test_clone_reply_lost(self, case, carried_out):
        # Launchpad bug 1896112, for clones: the retry made a duplicate.
        error, times, attempts = case
        self.clone_seconds = 5
        other = self.begin(5, name='UUID-2')
        self.fail_once(error, carried_out, times)
        if times == 1:
            left = [other.id, self.clone().id]
        else:
            exc = self.assert_fails(type(error))
            self.assertFalse(hasattr(exc, '__notes__'))
            left = [other.id]
        self.assertEqual(left, self.let_time_pass())
        self.assertEqual(attempts, self.client.clone_volume.call_count)
        self.client.list_running_clones.assert_called_with(7)

    # Seconds of the clone, the method that fails
    @ddt.data((0, 'remove_volumes_named'), (FOREVER, 'remove_volumes_named'),
              (FOREVER, None), (0, 'list_running_clones'))
    @ddt.unpack
    def test_clone_reply_lost_cannot_be_reconciled(self, seconds, method):
        # Then nothing is cloned again, here or by a caller.
        self.clone_seconds = seconds
        self.fail_once(LOST, carried_out=True)
        with self.failing(method or 'cancel_clone'):
            exc = self.assert_fails(errors.OutcomeUnknown)
        self.assertIs(errors.RetryClass.FINAL, exc.retry_class)
        self.assertIn('xNew' if method else 'still running', str(exc))
        self.client.clone_volume.assert_called_once()
        if method == 'list_running_clones':
            # What could be removed has been.
            self.assert_nothing_left()


@ddt.ddt
class AbandonTestCase(ClonerTestCase):
    """Whatever fails after the start, the clone is removed."""

    # Launchpad bug 1642394: errors of any kind.
    @ddt.data(('get_job', [models.Job(done=True, error='xBroken: m')],
               exceptions.CloneFailed),
              ('get_job', KeyError('x'), KeyError),
              ('get_job', base.NEW_ERROR, errors.ApiError),
              ('list_volumes', [base.NEW_ERROR], errors.ApiError),
              ('modify_volume', base.NEW_ERROR, errors.ApiError))
    @ddt.unpack
    def test_clone_fails(self, method, effect, error_class):
        with self.failing(method, effect):
            exc = self.assert_fails(error_class, qos={'minIOPS': 100})
        self.assert_nothing_left(exc)

    @ddt.data(True, False)
    def test_clone_does_not_end(self, has_id):
        self.clone_seconds = FOREVER
        self.alter(**({} if has_id else {'clone_id': None}))
        exc = self.assert_fails(exceptions.CloneTimeout)
        self.assertLess(self.clock.monotonic(), 600 + 65)
        self.assertEqual(has_id, self.client.cancel_clone.called)
        if has_id:
            self.assert_nothing_left(exc)
        else:
            # All that can be done is to report it.
            self.assertIn('still running', exc.__notes__[0])

    def test_clone_cannot_be_cancelled(self):
        self.clone_seconds = 5
        self.refuse_to_remove(lambda volume_id: volume_id in self.jobs)
        with self.failing('cancel_clone'), self.failing('get_job'):
            self.assert_nothing_left(self.assert_fails(errors.ApiError))

    # What fails, and what is left of the clone, which is done
    @ddt.data(('list_running_clones', []), ('remove_volume', [101]))
    @ddt.unpack
    def test_clone_may_be_left(self, method, left):
        with self.failing('cancel_clone', None), self.failing(
                'get_job', KeyError('x')), self.failing(method):
            note = self.assert_fails(KeyError).__notes__[0]
        for text in ('101, named UUID-1, may be left: SolidFire API call',
                     'xNew'):
            self.assertIn(text, note)
        self.assertEqual(left, self.let_time_pass())

    @ddt.data({'id': 50}, vars(fixtures.element_volume(id=50, name='UUID-50')),
              {'id': 7, 'iqn': 'iqn.1.7'})
    def test_clone_reply_contradicts_itself(self, changes):
        # The volume with the id of the reply may be another's.
        self.volumes[50] = fixtures.element_volume(id=50, name='UUID-50')
        self.alter(changes)
        exc = self.assert_fails(exceptions.CloneFailed)
        self.assertEqual([50], self.let_time_pass())
        self.assertFalse(hasattr(exc, '__notes__'))
        self.client.remove_volume.assert_not_called()
        self.client.modify_volume.assert_not_called()


@ddt.ddt
class ConfirmTestCase(ClonerTestCase):

    def plant(self, volume_id, **members):
        """Let a volume of the same name be there."""
        self.volumes[volume_id] = fixtures.element_volume(
            id=volume_id, name='UUID-1', **members)

    def list_ours_with(self, **members):
        """Let our volume be listed with other members."""
        self.client.list_volumes.side_effect = lambda name: [
            dataclasses.replace(volume, **members)
            if volume.id == self.OURS else volume
            for volume in self.list_volumes(name)]

    @ddt.data({50: {}}, {50: {'status': 'deleted'}},
              # The project had another account, as when the first was full.
              {50: {'account_id': 4}},
              {50: {'size': 9 * units.Gi, 'access': 'readOnly'}},
              {50: {}, 51: {'status': 'deleted'}},
              # A later attempt has given up, and did not get to the purge.
              {200: {'status': 'deleted'}})
    def test_clone_removes_what_earlier_attempts_left(self, leftovers):
        for volume_id, members in leftovers.items():
            self.plant(volume_id, **members)
        log = self.useFixture(fixtures.LogCapture())
        self.assertEqual(self.OURS, self.clone().id)
        self.assertEqual([self.OURS], self.let_time_pass())
        self.assertEqual(['clone_volume', 'get_job', 'list_volumes'] +
                         ['remove_volume'] * len(leftovers), self.calls())
        self.assertEqual(len(leftovers), len(log.at(std_logging.INFO)))

    def test_clone_leftover_cannot_be_removed(self):
        # Then the name would stand twice, so the clone has failed.
        self.plant(50)
        self.refuse_to_remove(lambda volume_id: volume_id == 50)
        self.assert_fails(errors.ApiError)
        self.assertEqual([50], self.let_time_pass())

    # The status of our volume; None if it is not listed
    @ddt.data('active', 'deleted', None)
    def test_clone_superseded(self, status):
        # A later attempt has finished first: its volume stays.
        self.plant(200)
        if status is None:
            self.client.list_volumes.side_effect = lambda name: [
                self.volumes[200]]
        else:
            self.list_ours_with(status=status)
        exc = self.assert_fails(exceptions.CloneSuperseded)
        self.assertIn('200', str(exc))
        self.assertEqual([] if status is None else [mock.call(self.OURS)],
                         self.client.remove_volume.mock_calls)
        self.client.remove_volumes_named.assert_not_called()

    def test_clone_superseded_cannot_be_removed(self):
        self.plant(200)
        self.refuse_to_remove(lambda volume_id: True)
        exc = self.assert_fails(exceptions.CloneSuperseded)
        self.assertIn('%s may be left' % self.OURS, exc.__notes__[0])
        self.client.remove_volumes_named.assert_not_called()

    @ddt.data({'size': units.Gi + 1}, {'account_id': 77},
              {'access': 'readOnly'}, {'status': 'deleted'})
    def test_clone_not_as_requested(self, changes):
        self.list_ours_with(**changes)
        exc = self.assert_fails(exceptions.CloneFailed)
        self.assertIn(str(*changes.values()), str(exc))
        self.assert_nothing_left(exc)

    def test_clone_not_listed(self):
        with self.failing('list_volumes', lambda name: []) as call:
            exc = self.assert_fails(exceptions.CloneFailed)
        self.assertIn('%s was not found' % self.OURS, str(exc))
        self.assertEqual(8, call.call_count)
        self.assert_nothing_left(exc)
