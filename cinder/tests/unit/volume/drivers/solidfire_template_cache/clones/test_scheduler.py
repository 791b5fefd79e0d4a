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
NO_ACCOUNT = base.api_error('xAccountIDDoesNotExist',
                            error_class=errors.NotFound)
FULL = base.api_error('xExceededLimit', error_class=errors.LimitExceeded)
THROTTLED = base.api_error('xMaxClonesPerVolumeExceeded',
                           error_class=errors.Throttled)


@ddt.ddt
class SchedulerTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.late = self.mock_object(
            late_clones, 'LateClones', autospec=True).return_value
        self.scheduler = scheduler.CloneScheduler(self.cluster, self.info)
        self.sources = base.source_set(7, 8)

    def clone(self):
        """Return the volume and its source."""
        return self.scheduler.clone(self.sources, base.SPEC)

    def test_clone(self):
        # Three calls, and the volume of the listing, not of the reply.
        volume, source_id = self.clone()
        self.assertEqual((7, self.volumes[volume.id]), (source_id, volume))
        self.assertEqual([
            mock.call.clone_volume(7, 'UUID-1', 3, True, {'uuid': '1'}, None),
            mock.call.get_job(volume.id),
            mock.call.list_volumes('UUID-1')], self.client.method_calls)
        # Noted before it is confirmed, too.
        self.assertEqual([volume.id] * 2, [
            call.args[0].id for call in self.late.note_created.mock_calls])
        self.assertLess(self.clock.monotonic(), 0.12)
        # The queue has learned how long it takes.
        self.assertIn(('image',),
                      self.scheduler._queue._dispatcher._durations)

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

    def test_clone_waits_for_long(self):
        self.fail_once(THROTTLED, carried_out=False, times=12)
        log = self.useFixture(fixtures.LogCapture())
        self.conf.sf_volume_clone_timeout = 600
        with mock.patch.object(scheduler, '_LOG_SECONDS', 0.3):
            self.clone()
        [line] = log.about('waits for a clone slot')
        self.assertIn('Volume UUID-1 waits for a clone slot of image image: '
                      '0 requests are ahead of it and 0 clones', str(line))

    def test_clone_gets_no_slot_in_time(self):
        self.client.clone_volume.side_effect = THROTTLED
        exc = self.assertRaises(exceptions.CloneTimeout, self.clone)
        self.assertIn('within 600 seconds: reason of the test', str(exc))
        self.assertTrue(600 <= self.clock.monotonic() < 600.1)
        self.client.remove_volumes_named.assert_not_called()

        def time_out(_ticket, deadline):
            self.clock.advance(deadline - self.clock.monotonic())
            raise slot_queue.QueueTimeout()

        self.mock_object(self.scheduler._queue, 'wait', time_out)
        exc = self.assertRaises(exceptions.CloneTimeout, self.clone)
        self.assertIn('no clone slot became free', str(exc))

    # What fails, how, and the sources that are forgotten
    @ddt.data(('clone_volume', FULL, []), ('clone_volume', KeyError('x'), []),
              ('get_job', base.NEW_ERROR, []),
              ('list_volumes', [base.NEW_ERROR], []),
              ('clone_volume', NO_ACCOUNT, []),
              ('clone_volume', GONE, [7, 8]))
    @ddt.unpack
    def test_clone_fails(self, method, effect, forgotten):
        # What is left is nothing, of the queue neither.
        [error] = effect if isinstance(effect, list) else [effect]
        with self.failing(method, effect):
            self.assertIs(error, self.assertRaises(type(error), self.clone))
        self.assertEqual(list(map(mock.call, forgotten)),
                         self.sources.forget.mock_calls)
        self.assert_nothing_left(error)
        self.assertEqual(set(), self.scheduler.sources())
        self.assertEqual(method == 'list_volumes',
                         self.late.note_created.called)

    def test_source_is_gone(self):
        # A further source takes its place; what is gone is not used again.
        self.fail_once(GONE, carried_out=False)
        self.assertEqual(8, self.clone()[1])
        self.sources.forget.assert_called_once_with(7)

    def test_another_request_has_found_that_the_sources_are_gone(self):
        with self.scheduler._queue.ticket(self.sources) as ticket:
            ticket.group.source_ids.clear()
            exc = self.assertRaises(errors.NotFound, self.scheduler._start,
                                    ticket, base.SPEC)
        self.assertIn('no template of the image is left', str(exc))

    def test_late_clones(self):
        self.scheduler.note_fallback('UUID-1')
        self.scheduler.prune_late_clones()
        self.assertEqual([mock.call.note_fallback('UUID-1'),
                          mock.call.prune()], self.late.method_calls)


@ddt.ddt
class ReplicaTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.queue = self.mock_object(
            slot_queue, 'SlotQueue', autospec=True).return_value
        scheduler.CloneScheduler(self.cluster, self.info)
        self.sources = base.source_set()
        self.slot = tickets.Slot(tickets.Group(self.sources),
                                 slots.SourceSlots(base.SOURCE_ID), None)
        self.log = self.useFixture(fixtures.LogCapture())

    def make(self, outcome):
        """Let a thread make a replica; return what the queue is told."""
        self.sources.start_replica.side_effect = [outcome]
        slot_queue.SlotQueue.call_args.args[-1](self.slot)
        for thread in threading.enumerate():
            if thread.name == 'Replica of SolidFire volume 7':
                thread.join(60)
                self.assertFalse(thread.is_alive())
        self.sources.start_replica.assert_called_once_with(7)
        return self.queue.method_calls

    def names(self, outcome):
        return [call[0] for call in self.make(outcome)]

    def test_replica(self):
        replica = self.begin(5)
        self.queue.refresh.return_value = {7, replica.id}
        self.client.list_clones.side_effect = lambda: (
            self.queue.ended.assert_not_called() or self.list_clones())
        self.assertEqual([
            mock.call.accepted(self.slot, replica.id),
            mock.call.ended(self.slot, True),
            mock.call.refresh(self.slot.group)],
            self.make(self.started(replica)))
        self.assertEqual([replica.id], self.let_time_pass())
        self.assertEqual(['Made replica 101 of template volume 7 of image '
                          'image in 5.0 s.'], self.log.infos)

    # Whether it has lost its record; after which listing it is there
    @ddt.data((True, 9), (False, 9), (False, 3))
    @ddt.unpack
    def test_replica_that_is_not_listed(self, removed, listings):
        replica = self.begin(0)
        self.sources.remove_unrecorded.return_value = removed
        self.queue.refresh.side_effect = lambda group: (
            {replica.id} if self.queue.refresh.call_count >= listings
            else {7})
        self.assertEqual(
            ['accepted', 'ended'] + ['refresh'] * (
                1 if removed else min(listings, 5)) +
            ['forget_replica', 'no_replica'] * (listings == 9),
            self.names(self.started(replica)))
        self.sources.remove_unrecorded.assert_called_with(replica.id)

    # What the job is, whether listing fails; whether an operator reads of it
    @ddt.data(([models.Job(True, 'xBroken')], None, True),
              (KeyError('x'), None, True), (None, base.NEW_ERROR, False))
    @ddt.unpack
    def test_replica_is_not_completed(self, job, listing, told):
        # The queue does not wait for it.
        self.client.get_job.side_effect = job or self.get_job
        self.queue.refresh.side_effect = listing
        self.assertEqual(
            ['accepted', 'ended'] + ['refresh'] * (listing is not None),
            self.names(self.started(self.begin(0))))
        self.queue.ended.assert_called_once_with(self.slot, job is None)
        self.assertEqual(told, bool(self.log.about('not completed')))

    @ddt.data((THROTTLED, 'refused', False), (GONE, 'source_is_gone', True))
    @ddt.unpack
    def test_replica_is_not_started(self, error, told, forgotten):
        [call] = self.make(error)
        self.assertEqual((told, self.slot), (call[0], call.args[0]))
        self.assertEqual(forgotten, self.sources.forget.called)
        self.assertEqual([], self.log.infos)

    # The error; whether it may pass, and is the first one of its queue
    @ddt.data((exceptions.CapacityLimitReached(gib=1, reason='x'), False,
               True), (KeyError('x'), False, True), (FULL, False, True),
              (FULL, False, False), (NO_ACCOUNT, False, True),
              (base.api_error('xDBVersionMismatch'), True, True),
              (base.api_error('xRecvTimeout'), False, True))
    @ddt.unpack
    def test_no_replica(self, error, temporary, is_news):
        # It is logged once for a queue, and the clones go on without.
        self.queue.no_replica.return_value = is_news
        self.assertEqual([mock.call.no_replica(self.slot, temporary)],
                         self.make(error))
        self.sources.forget.assert_not_called()
        self.assertEqual(is_news, bool(self.log.about(
            'No replica of template volume 7 of image image was made')))
