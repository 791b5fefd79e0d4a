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

"""Clones from the queue to the volume, and the threads that make replicas."""

import dataclasses
import threading
from unittest import mock

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import late_clones
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache.clones import slot_queue
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.clones import tickets
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions

GONE = base.api_error('xVolumeIDDoesNotExist', error_class=errors.NotFound)
THROTTLED = base.api_error('xMaxClonesPerVolumeExceeded',
                           error_class=errors.Throttled)


class SchedulerTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.late = self.mock_object(
            late_clones, 'LateClones', autospec=True).return_value
        self.scheduler = scheduler.CloneScheduler(self.cluster, self.info)
        self.sources = base.SourceSet()

    def clone(self, source_set=None, **changes):
        """Return the volume and its source."""
        return self.scheduler.clone(source_set or self.sources,
                                    dataclasses.replace(base.SPEC, **changes))

    def assert_idle(self, exc=None):
        """Check that nothing is left, of the queue neither."""
        self.assert_nothing_left(exc)
        self.assertEqual(set(), self.scheduler.sources())

    def test_clone(self):
        # Three calls, and the volume of the listing, not of the reply.
        volume, source_id = self.clone()
        self.assertEqual((7, self.volumes[volume.id]), (source_id, volume))
        self.assertEqual([
            mock.call.clone_volume(7, 'UUID-1', 3, True, {'uuid': '1'}, None),
            mock.call.get_job(volume.id),
            mock.call.list_volumes('UUID-1')], self.client.method_calls)
        self.late.note_created.assert_called_once_with(volume, 7)
        self.assertLess(self.clock.monotonic(), 0.12)
        # The queue has learned how long it takes.
        self.assertIn('image', self.scheduler._queue._dispatcher._durations)

    def test_slot_is_for_the_next_one_before_the_listing(self):
        self.client.list_volumes.side_effect = lambda name: (
            self.assertEqual(set(), self.scheduler.sources()) or
            self.list_volumes(name))
        self.client.get_job.side_effect = lambda handle: (
            self.assertTrue(self.scheduler.is_cloning(7)) or
            self.get_job(handle))
        self.clone()
        self.client.list_clone_sources.side_effect = lambda: {8}
        self.assertEqual([False, True], list(map(self.scheduler.is_cloning,
                                                 (7, 8))))

    def test_clone_waits_for_slots_of_other_hosts(self):
        # Launchpad bugs 1552734, 1673264: the limit is no reason to give up.
        self.fail_once(THROTTLED, carried_out=False, times=12)
        self.clone()
        # It is certain that nothing was done, so nothing is looked for.
        calls = self.calls()
        self.assertEqual(13, calls.count('clone_volume'))
        self.assertEqual({'clone_volume', 'list_clones', 'get_job',
                          'list_volumes'}, set(calls))
        self.assertLess(self.clock.monotonic(), 12)

    def test_clone_gets_no_slot_in_time(self):
        self.client.clone_volume.side_effect = THROTTLED
        exc = self.assertRaises(exceptions.CloneTimeout, self.clone)
        self.assertIn('within 600 seconds: reason of the test', str(exc))
        self.assertTrue(600 <= self.clock.monotonic() < 600.1)
        self.client.remove_volumes_named.assert_not_called()
        self.mock_object(self.scheduler._queue, 'wait', autospec=True,
                         side_effect=slot_queue.QueueTimeout())
        exc = self.assertRaises(exceptions.CloneTimeout, self.clone)
        self.assertIn('no clone slot became free', str(exc))

    def test_slot_is_given_up_after_an_error(self):
        for method, effect in (
                ('clone_volume', base.api_error('xExceededLimit')),
                ('clone_volume', KeyError('x')),
                ('get_job', base.api_error('xNew')),
                ('list_volumes', [base.api_error('xNew')])):
            call = getattr(self.client, method)
            call.side_effect = effect
            exc = self.assertRaises((errors.ApiError, KeyError), self.clone)
            call.side_effect = getattr(self, method)
            self.assert_idle(exc)
        self.late.note_created.assert_not_called()

    def test_source_is_gone(self):
        # A further source takes its place; what is gone is not used again.
        self.sources = base.SourceSet(7, 8)
        self.fail_once(GONE, carried_out=False)
        self.assertEqual(8, self.clone()[1])
        self.sources.forget.assert_called_once_with(7)

    def test_sources_are_gone(self):
        self.sources = base.SourceSet(7, 8)
        self.client.clone_volume.side_effect = GONE
        exc = self.assertRaises(errors.NotFound, self.clone)
        self.assertIs(GONE, exc)
        self.assertEqual([mock.call(7), mock.call(8)],
                         self.sources.forget.mock_calls)
        self.assert_idle(exc)
        # Another request has found that.
        with self.scheduler._queue.ticket(self.sources) as ticket:
            ticket.group.source_ids.clear()
            exc = self.assertRaises(errors.NotFound, self.scheduler._start,
                                    ticket, base.SPEC)
        self.assertIn('no template of the image is left', str(exc))

    def test_account_is_gone(self):
        # That says nothing about the source.
        self.client.clone_volume.side_effect = base.api_error(
            'xAccountIDDoesNotExist', error_class=errors.NotFound)
        self.assertRaises(errors.NotFound, self.clone)
        self.sources.forget.assert_not_called()

    def test_late_clones(self):
        self.scheduler.note_fallback('UUID-1')
        self.late.note_fallback.assert_called_once_with('UUID-1')
        self.scheduler.prune_late_clones()
        self.late.prune.assert_called_once_with()


@ddt.ddt
class ReplicaTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.queue = self.mock_object(
            slot_queue, 'SlotQueue', autospec=True).return_value
        scheduler.CloneScheduler(self.cluster, self.info)
        self.sources = base.SourceSet()
        table = slots.SourceSlots(base.SOURCE_ID)
        self.slot = tickets.Slot(tickets.Group(self.sources), table, None)
        self.log = self.useFixture(fixtures.LogCapture())

    def make(self, outcome):
        """Let a thread make a replica, until its end."""
        self.sources.start_replica.side_effect = [outcome]
        slot_queue.SlotQueue.call_args.args[-1](self.slot)
        for thread in threading.enumerate():
            if thread.name == 'Replica of SolidFire volume 7':
                thread.join(60)
                self.assertFalse(thread.is_alive())
        self.sources.start_replica.assert_called_once_with(7)
        return self.queue.method_calls

    def test_replica(self):
        replica = self.begin(5)
        self.client.list_clones.side_effect = lambda: (
            self.queue.ended.assert_not_called() or self.list_clones())
        self.assertEqual([
            mock.call.accepted(self.slot, replica.id),
            mock.call.ended(self.slot), mock.call.refresh(self.slot.group)],
            self.make(self.started(replica)))
        self.assertEqual([replica.id], self.let_time_pass())
        self.assertEqual([], self.log.infos)

    @ddt.data(True, False)
    def test_replica_that_is_not_listed(self, removed):
        replica = self.begin(0)
        self.sources.remove_unrecorded.return_value = removed
        calls = self.make(self.started(replica))
        self.sources.remove_unrecorded.assert_called_once_with(replica.id)
        self.assertEqual(['accepted', 'ended', 'refresh'] + (
            ['no_replica'] if removed else []), [call[0] for call in calls])

    # What fails, and whether an operator reads of it
    @ddt.data(('job', True), ('wait', True), ('refresh', False))
    @ddt.unpack
    def test_replica_is_not_completed(self, what, told):
        # The queue does not wait for it, and looks what there is.
        if what == 'job':
            self.client.get_job.side_effect = [models.Job(True, 'xBroken')]
        elif what == 'wait':
            self.client.get_job.side_effect = KeyError('x')
        else:
            self.queue.refresh.side_effect = base.api_error('xNew')
        calls = self.make(self.started(self.begin(0)))
        self.assertEqual(['accepted', 'ended', 'refresh'],
                         [call[0] for call in calls])
        self.assertEqual(int(told), len(self.log.about('not completed')))

    @ddt.data((THROTTLED, ['refused']), (GONE, ['source_is_gone']))
    @ddt.unpack
    def test_replica_is_not_started(self, error, expected):
        calls = self.make(error)
        self.assertEqual(expected, [call[0] for call in calls])
        self.assertIs(self.slot, calls[0].args[0])
        self.assertEqual(error is GONE, self.sources.forget.called)
        self.assertEqual([], self.log.infos)

    @ddt.data(exceptions.CapacityLimitReached(gib=1, reason='reason'),
              KeyError('x'), base.api_error('xExceededLimit'))
    def test_no_replica(self, error):
        # It is told once for a queue, and the clones go on without.
        for is_news in (True, False):
            self.queue.no_replica.return_value = is_news
            self.assertEqual([mock.call.no_replica(self.slot)],
                             self.make(error))
            self.assertEqual(int(is_news), len(self.log.about(
                'No replica of template volume 7')))
            self.log.clear()
            self.queue.reset_mock()
            self.sources.start_replica.reset_mock()
