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

"""Tests of a run of housekeeping."""

from unittest import mock

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import (
    housekeeping)
from cinder.volume.drivers.solidfire_template_cache.templates import limits
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import usage

LOCK = locks.for_housekeeping(base.CLUSTER_ID)
CAPACITY_LOCK = locks.for_capacity(base.CLUSTER_ID)
FILLING = {'state': model.State.FILLING}
DELETED = {'active': False}
SAME_IMAGE = {'image': fixtures.image(id='image-0')}
REPLICA = {**SAME_IMAGE, 'replica_maker': 'maker'}


@ddt.ddt
class HousekeeperTestCase(base.TemplatesTestCase):

    CONF = {'sf_template_max_replicas': 32}

    def setUp(self):
        super().setUp()
        self.found, self.foreign = [], []
        self.store.find_all.side_effect = (
            lambda: (list(self.found), list(self.foreign)))
        self.store.record_use.side_effect = lambda template, when: template
        self.pruner.prune_image.return_value = []
        self.clones.sources.return_value = set()
        self.lock_files = self.mock_object(
            locks, 'images_with_files', autospec=True, return_value=[])
        self.capacity.shrink.side_effect = self.shrink
        self.usage.last_used.side_effect = (
            lambda template: template.last_used)
        self.usage.needs_recording.return_value = False
        self.usage.unused_seconds.return_value = float('inf')
        names = ('sessions', 'clones', 'pruner', 'store', 'capacity')
        self.order = mock.Mock(spec_set=names)
        for name in names:
            self.order.attach_mock(getattr(self, name), name)
        self.new_process()

    def new_process(self):
        self.housekeeper = housekeeping.Housekeeper(
            self.cluster, self.store, self.clones, self.pruner, self.capacity,
            limits.Limits(0, 0, 7 * base.DAY, 0), self.usage, self.sessions)

    def shrink(self, kept, deadline):
        self.assertEqual({LOCK, CAPACITY_LOCK}, self.locks.held)
        self.counted = [template.volume_id for template in kept]

    def run_with(self, *changes):
        """Run with templates; return the ids of those that were counted."""
        self.found = base.templates(*changes)
        self.counted = None
        self.housekeeper.run()
        self.assertEqual(set(), self.locks.held - {CAPACITY_LOCK})
        return self.counted

    def used_ago(self, days, **changes):
        return {'last_used': base.T0 - days * base.DAY, **changes}

    def test_run_in_order(self):
        # What is counted for the limits is what pruning has left.
        self.assertEqual([2], self.run_with(FILLING, {}))
        self.assertEqual([mock.call.sessions.logout_stale(mock.ANY),
                          mock.call.clones.prune_late_clones(),
                          mock.call.store.find_all(),
                          mock.call.pruner.prune_image('image-1'),
                          mock.call.capacity.shrink([self.found[1]], 60)],
                         self.order.mock_calls)
        self.assertEqual([], self.log.messages)

    def test_run_while_another_host_does(self):
        self.locks.held.add(LOCK)
        self.housekeeper.run()
        # What is of this process runs on each host.
        self.assertEqual([mock.call.sessions.logout_stale(mock.ANY),
                          mock.call.clones.prune_late_clones()],
                         self.order.mock_calls)
        [is_there] = self.sessions.logout_stale.call_args.args
        for volume, expected in ((base.template_volume(), True),
                                 (None, False)):
            self.store.find_volume.return_value = volume
            self.assertIs(expected, is_there(7))
        self.store.find_volume.assert_called_with(7)

    def test_run_while_a_fill_reserves_capacity(self):
        self.locks.held.add(CAPACITY_LOCK)
        self.assertIsNone(self.run_with({}))

    # Templates of one image; whether they are pruned, what that leaves (None
    # while the image is locked), and the ids that are counted.
    @ddt.data(([{}], False, None, [1]), ([FILLING], True, [], []),
              ([DELETED], True, [], []), ([{}, {}], True, [0], [1]),
              ([{}, FILLING, DELETED], True, None, [1, 2]),
              ([FILLING, {}], True, [0, 1], [1, 2]))
    @ddt.unpack
    def test_pruning(self, changes, pruned, left, counted):
        changes = [{**SAME_IMAGE, **each} for each in changes]
        self.pruner.prune_image.return_value = left and [
            base.templates(*changes)[place] for place in left]
        self.assertEqual(counted, self.run_with(*changes))
        self.assertEqual([mock.call('image-0')] * pruned,
                         self.pruner.prune_image.mock_calls)
        self.pruner.try_remove.assert_not_called()

    def test_idle_replicas(self):
        # The last one stays, in place of its template.
        self.pruner.prune_image.side_effect = lambda image_id: self.found
        for seconds, removable, first, counted in (
                (0, True, SAME_IMAGE, [1, 2]), (299, True, SAME_IMAGE, [1, 2]),
                (1, False, SAME_IMAGE, [1, 2]), (0, True, SAME_IMAGE, [1]),
                (0, True, REPLICA, [1])):
            self.clock.advance(seconds)
            self.pruner.try_remove.return_value = removable
            self.assertEqual(counted, self.run_with(first, REPLICA))
        self.pruner.try_remove.assert_called_with(
            self.found[1], 'replica, not seen in use for 300 seconds')

    def test_replicas_that_this_process_uses(self):
        # Though none is being cloned at the moment of a run.
        self.usage = usage.UsageTracker(self.clock)
        self.new_process()
        self.pruner.prune_image.side_effect = lambda image_id: self.found
        for seconds, counted in ((0, [1, 2, 3]), (299, [1, 2, 3]),
                                 (1, [1, 3]), (298, [1, 3]), (1, [1])):
            self.clock.advance(seconds)
            self.assertEqual(counted, self.run_with(
                SAME_IMAGE, REPLICA, REPLICA))
            if seconds == 299:
                self.usage.note(self.found[2])

    # The most replicas, which are being cloned, which can be removed, and
    # which are removed, of 2 to 6. An older record is less preferred.
    @ddt.data((5, (), (2, 3, 4, 5, 6), []), (4, (), (3,), [3]),
              (3, (), (2, 3, 4, 5, 6), [3, 6]),
              (0, (), (2, 3, 4, 5, 6), [3, 6, 5, 4, 2]),
              (3, (3, 6), (2, 4, 5), [5, 4]), (2, (2, 4, 5, 6), (3,), [3]),
              (3, (), (3,), [3]))
    @ddt.unpack
    def test_excess_replicas(self, most, cloned, removable, removed):
        # The limit was lowered, or several processes made some at once.
        self.set_conf(sf_template_max_replicas=most)
        self.new_process()
        self.clones.sources.return_value = set(cloned)
        self.pruner.prune_image.side_effect = lambda image_id: self.found
        self.pruner.try_remove.side_effect = (
            lambda template, reason: template.volume_id in removable)
        edited = {'image': fixtures.image(id='image-0',
                                          updated_at=base.T0 + base.SECOND)}
        replica = {**REPLICA, **edited}
        counted = self.run_with(edited, replica, REPLICA, replica, replica,
                                replica)
        self.assertEqual([each for each in range(1, 7)
                          if each not in removed], counted)
        tried = self.pruner.try_remove.mock_calls
        self.assertEqual(removed, [
            call.args[0].volume_id for call in tried
            if call.args[0].volume_id in removable])
        self.assertEqual({'replica, sf_template_max_replicas is %s' % most}
                         if removed else set(),
                         {call.args[1] for call in tried})
        self.assertLessEqual(len(tried), max(5 - most, 0))

    def test_replicas_that_are_idle_do_not_count_as_excess(self):
        self.set_conf(sf_template_max_replicas=1)
        self.new_process()
        self.pruner.prune_image.side_effect = lambda image_id: self.found
        self.clones.sources.return_value = {2, 3}
        self.assertEqual([1, 2, 3],
                         self.run_with(SAME_IMAGE, REPLICA, REPLICA))
        self.clock.advance(300)
        self.clones.sources.return_value = {3}
        self.assertEqual([1, 3],
                         self.run_with(SAME_IMAGE, REPLICA, REPLICA))

    # Days since the last use; whether it is expired, can be removed.
    @ddt.data((6.9, False, True), (7, False, True), (7.1, True, True),
              (70, True, False), (-70, False, True))
    @ddt.unpack
    def test_expiry(self, days, expired, removable):
        # Such as templates of images that are gone.
        self.pruner.try_remove.return_value = removable
        self.assertEqual([] if expired and removable else [1],
                         self.run_with(self.used_ago(days)))
        self.assertEqual(
            [mock.call(self.found[0], 'expired, not used for 7 days')]
            * expired, self.pruner.try_remove.mock_calls)

    def test_expiry_of_what_is_not_ready(self):
        # Of whatever age: pruning decides.
        self.pruner.prune_image.return_value = None
        self.assertEqual([1], self.run_with(
            self.used_ago(99, **FILLING), self.used_ago(99, **DELETED)))
        self.pruner.try_remove.assert_not_called()

    def test_recording_of_uses(self):
        # Of ready templates that stay, when the record lags behind.
        self.pruner.prune_image.side_effect = lambda image_id: [self.found[3]]
        self.pruner.try_remove.side_effect = [True, False]
        self.usage.needs_recording.side_effect = (
            lambda template: template.volume_id != 3)
        recorded = fixtures.template(volume_id=99)
        self.store.record_use.side_effect = None
        self.store.record_use.return_value = recorded
        self.assertEqual([99, 3, 4, 99], self.run_with(
            {}, self.used_ago(8), {}, FILLING, self.used_ago(9)))
        self.assertEqual([mock.call(self.found[0], base.T0),
                          mock.call(self.found[4], base.T0 - 9 * base.DAY)],
                         self.store.record_use.mock_calls)

    @ddt.data(base.api_error(),
              exceptions.TemplateCacheError(reason='of the test'))
    def test_image_that_fails_does_not_stop_the_others(self, failure):
        # One warning; errors are not repeated. What failed counts.
        self.usage.needs_recording.return_value = True
        for neighbour, changes in ((self.pruner.prune_image, FILLING),
                                   (self.pruner.try_remove, self.used_ago(8)),
                                   (self.store.record_use, {})):
            neighbour.side_effect = [failure, mock.DEFAULT]
            self.assertEqual(1, self.run_with(changes, changes)[0])
            self.assertEqual(2, neighbour.call_count)
            self.log.pop_warning('image-1', 'of the test')

    def test_part_that_fails_does_not_stop_the_others(self):
        for part, subject in (
                (self.sessions.logout_stale, 'iSCSI sessions'),
                (self.clones.prune_late_clones, 'clones of earlier attempts')):
            part.side_effect = [base.api_error()]
            self.assertEqual([1], self.run_with({}))
            self.log.pop_warning(subject, 'of the test')
            part.side_effect = None

    def test_images_without_templates_are_pruned(self):
        # Of the files of locks, which only the image's lock tells apart.
        self.lock_files.return_value = ['image-1', 'image-9']
        self.assertEqual([1], self.run_with({}))
        self.lock_files.assert_called_once_with(base.CLUSTER_ID)
        self.pruner.prune_image.assert_called_once_with('image-9')

    def prune_slowly(self, image_id):
        self.clock.advance(30)
        return []

    def test_next_run_continues(self):
        self.pruner.prune_image.side_effect = self.prune_slowly
        for _i in range(2):
            self.run_with(FILLING, FILLING, FILLING)
        self.assertEqual(
            ['image-1', 'image-2', 'image-3', 'image-1'],
            [call.args[0] for call in self.pruner.prune_image.mock_calls])

    def test_run_begins_nothing_new_after_a_minute(self):
        # What was not reached counts all the same.
        self.pruner.prune_image.side_effect = self.prune_slowly
        self.clock.advance(1000)
        self.assertEqual([3, 4], self.run_with(
            FILLING, FILLING, FILLING, self.used_ago(99), DELETED))
        self.assertEqual([mock.call('image-1'), mock.call('image-2')],
                         self.pruner.prune_image.mock_calls)
        self.pruner.try_remove.assert_not_called()
        self.assertEqual(1060, self.capacity.shrink.call_args.args[1])

    def test_run_that_cannot_list_templates(self):
        failure = base.api_error()
        self.store.find_all.side_effect = failure
        self.assertIs(failure, self.assertRaises(errors.ApiError,
                                                 self.housekeeper.run))
        self.assertEqual(set(), self.locks.held)

    def test_foreign_volumes(self):
        # Each is reported once by each process, and left alone.
        volumes = [fixtures.element_volume(id=1, name='made-by\n-hand'),
                   fixtures.element_volume(id=2, name='n' * 99,
                                           attributes={'image_info': {}})]
        deleted = fixtures.element_volume(id=3, status='deleted')
        for _process in range(2):
            self.new_process()
            self.foreign = volumes
            self.run_with()
            first, second = self.log.warnings
            for text in ('Volume 1,', 'made-by\\n-hand', 'left alone',
                         'this driver did not create'):
                self.assertIn(text, first)
            self.assertIn('Kilo to Stein', second)
            self.assertNotIn('n' * 65, second)
            # Again only when it has been away.
            for self.foreign, count in ((volumes + [deleted], 0),
                                        (volumes[:1], 0), (volumes, 1)):
                self.log.clear()
                self.run_with()
                self.assertEqual(count, len(self.log.warnings))
            self.log.clear()
        self.store.remove.assert_not_called()
