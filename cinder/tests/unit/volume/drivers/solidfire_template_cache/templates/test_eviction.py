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

"""Tests of how the limits on templates are enforced."""

import functools
import sys
from unittest import mock

import ddt
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import eviction
from cinder.volume.drivers.solidfire_template_cache.templates import limits
from cinder.volume.drivers.solidfire_template_cache.templates import model

OWN = fake.IMAGE_ID
LOCK = locks.for_capacity(base.CLUSTER_ID)
FILLING = {'state': model.State.FILLING}


class CapacityTestCase(base.TemplatesTestCase):
    """The templates 1, 2, ... of which the first was used last."""

    def setUp(self):
        super().setUp()
        self.found, self.stuck = [], set()
        self.store.find_all.side_effect = (
            lambda: (list(self.found), [fixtures.element_volume()]))
        self.clones.sources.return_value = set()
        for name in ('try_remove', 'remove_idle'):
            getattr(self.pruner, name).side_effect = self.remove
        self.usage.last_used.side_effect = (
            lambda template: template.last_used)

    def have(self, *gib, **changes):
        """Let there be templates of these sizes, used 1, 2, ... days ago."""
        self.found = base.templates(*(
            {'size': size * units.Gi, 'last_used': base.T0 - days * base.DAY}
            for days, size in enumerate(gib, 1)), **changes)

    def change(self, volume_id, **changes):
        template = self.found[volume_id - 1]
        self.found[volume_id - 1] = fixtures.template(
            **dict(vars(template), **changes))

    def remove(self, template, reason):
        self.assertIn('capacity limit reached', reason)
        if template.volume_id in self.stuck:
            return False
        self.found.remove(template)
        return True

    def capacity(self, count=0, gib=0, percent=0):
        return eviction.CapacityManager(
            self.cluster, self.store, self.clones, self.pruner,
            limits.Limits(count, gib * units.Gi, base.DAY, percent),
            self.usage)

    def left(self):
        return [template.volume_id for template in self.found]

    def reserve(self, count=0, gib=0, size=1):
        with self.capacity(count, gib).reserve_capacity(OWN, size * units.Gi):
            return set(self.locks.held), self.left()

    def assert_limit_reached(self, *texts, action=None, **arguments):
        """Check that there is no room, and that no template is removed."""
        before = self.left()
        exc = self.assertRaises(exceptions.CapacityLimitReached,
                                action or self.reserve, **arguments)
        for text in texts:
            self.assertIn(text, str(exc))
        self.assertEqual(before, self.left())
        self.assertEqual(set(), self.locks.held - {'of another host'})


@ddt.ddt
class CheckCapacityTestCase(CapacityTestCase):

    def check(self, count=0, gib=0, percent=0, size=1):
        self.capacity(count, gib, percent).check_capacity(OWN, size * units.Gi)

    def test_check_of_size(self):
        self.have(1, 1)
        self.check(gib=2, size=2)
        self.store.reset_mock()
        self.assert_limit_reached('3 GiB', 'sf_template_max_gib', gib=2,
                                  size=3, action=self.check)
        self.assertEqual([], self.store.mock_calls)

    @ddt.data((900, 1000, 10, True), (901, 1000, 10, False),
              (None, None, 10, True), (950, 1000, 0, True))
    @ddt.unpack
    def test_check_of_free_space(self, used, total, percent, free):
        self.store.block_space.return_value = (
            used and used * units.Gi, total and total * units.Gi)
        if free:
            self.check(percent=percent)
        else:
            self.assert_limit_reached(
                '%s of 1000 GiB' % used,
                'sf_template_min_free_percent is %s' % percent,
                percent=percent, action=self.check)
        # Without limits no call is made.
        self.assertEqual([mock.call.block_space()] * bool(percent),
                         self.store.mock_calls + self.clones.mock_calls)

    # Whether there can be one more of two templates; in each row what is
    # special about the one that was used last, or the first one.
    @ddt.data(({'count': 3}, {}, {}, True), ({'count': 2}, {}, {}, True),
              ({'count': 1}, FILLING, {}, True),
              ({'count': 1}, {'active': False}, {}, True),
              ({'count': 2}, {}, {1}, True), ({'count': 2}, {}, {1, 2}, False),
              ({'gib': 2}, {}, {1}, True), ({'gib': 1}, {}, {1}, False))
    @ddt.unpack
    def test_check_of_templates(self, given, changes, busy, expected):
        # An unfinished one may be pruned by the time it matters.
        self.have(1, 1)
        self.change(2, **changes)
        self.clones.sources.return_value = set(busy)
        if expected:
            self.check(**given)
            self.assertEqual([1, 2], self.left())
        else:
            self.assert_limit_reached('2 templates use 2 GiB', **given,
                                      action=self.check)
        self.assertEqual([], self.pruner.mock_calls)

    # The limits, what is special about the second of two templates, how many
    # replicas are being made, how many more there can be.
    @ddt.data(({}, {}, 99, sys.maxsize), ({'count': 5}, {}, 1, 2),
              ({'count': 3}, {}, 1, 0), ({'count': 3}, {}, 2, None),
              ({'count': 2}, FILLING, 1, None),
              ({'count': 2}, {'active': False}, 1, 0), ({'gib': 4}, {}, 2, 0),
              ({'gib': 4}, {}, 3, None), ({'percent': 9}, {}, 1, sys.maxsize),
              ({'percent': 11}, {}, 1, None))
    @ddt.unpack
    def test_check_replica(self, given, changes, coming, expected):
        # No template is evicted for one.
        self.have(1, 1)
        self.change(2, **changes)
        self.store.block_space.return_value = 90 * units.Gi, 100 * units.Gi
        check = functools.partial(self.capacity(**given).check_replica,
                                  units.Gi, coming)
        if expected is None:
            self.assert_limit_reached(
                'percent is 11' if 'percent' in given else
                '%s replicas are being made; sf_template_max_count is '
                '%s, sf_template_max_gib is %s (0: no limit)' % (
                    coming - 1, given.get('count', 0), given.get('gib', 0)),
                action=check)
        else:
            self.assertEqual(expected, check())
        self.assertEqual([], self.pruner.mock_calls + self.locks.taken)
        self.assertEqual(len(given), len(self.store.mock_calls))

    def test_check_that_fails(self):
        failure = base.api_error()
        for name, given in (('find_all', {'count': 1}),
                            ('block_space', {'percent': 1})):
            getattr(self.store, name).side_effect = failure
            self.assertIs(failure, self.assertRaises(
                errors.ApiError, self.check, **given))


@ddt.ddt
class ReserveCapacityTestCase(CapacityTestCase):

    # Bug 1584882: the least recently used go, as few as possible. In each row:
    # limits, the GiB of the new template, how many of 1, 2 and 3 GiB stay.
    @ddt.data(({}, 1, 3), ({'count': 4}, 1, 3), ({'count': 3}, 1, 2),
              ({'count': 1}, 1, 0), ({'gib': 7}, 1, 3), ({'gib': 6}, 1, 2),
              ({'gib': 4}, 1, 2), ({'gib': 2}, 1, 1), ({'gib': 5}, 3, 1),
              ({'count': 3, 'gib': 4}, 1, 2), ({'count': 2, 'gib': 7}, 1, 1),
              ({'count': 4, 'gib': 2}, 1, 1))
    @ddt.unpack
    def test_reserve(self, given, size, stay):
        self.have(1, 2, 3)
        limited = bool(given)
        # The capacity lock is held while the volume is created.
        self.assertEqual(({LOCK} if limited else set(), [1, 2, 3][:stay]),
                         self.reserve(size=size, **given))
        self.assertEqual(3 - stay, self.pruner.try_remove.call_count)
        self.assertEqual(limited, self.store.find_all.called)
        self.assertEqual(set(), self.locks.held)

    def test_reserve_removes_what_is_not_in_use(self):
        # What keeps templates, when the third one was used, which one goes.
        for busy, stuck, days_ago, removed in (
                ([], [], 3, 3),
                # Being cloned, or about to be here.
                ([3], [], 3, 2), ([2, 3], [], 3, 1),
                # Its image is locked, or its clone has just begun.
                ([], [3], 3, 2), ([3], [2], 3, 1),
                # Used by this process.
                ([], [], 0, 2)):
            self.have(1, 1, 1)
            self.change(3, last_used=base.T0 - days_ago * base.DAY)
            self.clones.sources.return_value = set(busy)
            self.stuck = set(stuck)
            self.reserve(count=3)
            self.assertEqual({1, 2, 3} - {removed}, set(self.left()))

    def test_reserve_evicts_superseded_templates_of_the_image_first(self):
        # With the lock of the image held, its own need no lock.
        self.have(1, 1)
        own = fixtures.image(id=OWN)
        self.change(1, image=own)
        first = self.found[0]
        self.reserve(count=2)
        self.assertEqual([2], self.left())
        self.pruner.remove_idle.assert_called_once_with(first, mock.ANY)
        self.pruner.try_remove.assert_not_called()

    def test_reserve_counts_fills_and_nothing_deleted(self):
        self.have(1, 1, 1)
        self.change(1, **FILLING)
        self.change(2, active=False)
        self.pruner.prune_image.return_value = None
        self.reserve(count=2)
        self.assertEqual([1, 2], self.left())

    # What an abandoned fill of another image leaves; None is a lock that is
    # held. Fills of the own image were pruned before.
    @ddt.data(([], 'image-1', True), (None, 'image-1', False),
              ('itself', 'image-1', False), ([], OWN, False))
    @ddt.unpack
    def test_reserve_prunes_abandoned_fills(self, stay, image_id, expected):
        self.have(1, image=fixtures.image(id=image_id))
        self.change(1, **FILLING)
        self.pruner.prune_image.return_value = (
            self.found if stay == 'itself' else stay)
        if expected:
            self.reserve(count=1)
            self.pruner.prune_image.assert_called_once_with(image_id)
        else:
            self.assert_limit_reached('1 templates use 1 GiB', count=1)
        self.assertEqual(image_id != OWN, self.pruner.prune_image.called)
        self.pruner.reset_mock()
        self.reserve(count=2)
        self.pruner.prune_image.assert_not_called()

    def test_reserve_removes_none_when_that_is_not_enough(self):
        self.have(3, 1)
        self.clones.sources.return_value = {1}
        self.assert_limit_reached('2 GiB', '2 templates use 4 GiB', gib=4,
                                  size=2)
        self.stuck = {1, 2}
        self.assert_limit_reached('cannot be created', count=1)

    def test_reserve_while_another_host_does(self):
        self.locks.held = {LOCK}
        self.locks.meanwhile = [lambda: self.locks.held.clear()]
        self.reserve(count=1)
        self.assertEqual([(LOCK, 120, mock.ANY)], self.locks.waits)
        self.locks.held = {LOCK}
        exc = self.assertRaises(exceptions.CapacityLimitReached,
                                self.reserve, count=1)
        self.assertIn('120 seconds', str(exc))
        # Without limits nobody waits.
        self.reserve()

    def test_reserve_that_fails(self):
        # Bug 1584882.
        failure = base.api_error()
        for obj, name in ((self.pruner, 'try_remove'),
                          (self.clones, 'sources'), (self.store, 'find_all')):
            self.have(1)
            getattr(obj, name).side_effect = failure
            self.assertIs(failure, self.assertRaises(
                errors.ApiError, self.reserve, count=1))
            self.assertEqual(set(), self.locks.held)


class ShrinkTestCase(CapacityTestCase):

    def have_replicas(self):
        """Let 2 and 3 be replicas of template 1, and 5 of template 4."""
        self.have(1, 1, 1, 1, 1)
        for place, image_id in enumerate('aaabb', 1):
            self.change(place, image=fixtures.image(id=image_id),
                        replica_maker='maker' if place in (2, 3, 5) else None)

    def test_replicas_are_evicted_first(self):
        for count, left in ((5, [1, 2, 3, 4, 5]), (4, [1, 2, 3, 4]),
                            (3, [1, 2, 4]), (2, [1, 4]), (1, [1])):
            for evict, allowed in ((self.shrink, count),
                                   (self.reserve, count + 1)):
                self.have_replicas()
                evict(count=allowed)
                self.assertEqual(left, self.left())
        # Without their template, one of them is the template.
        self.have_replicas()
        del self.found[0]
        self.assertEqual([2, 4], self.shrink(count=2))

    def shrink(self, deadline=60, **given):
        kept = list(self.found)
        self.capacity(**given).shrink(kept, deadline)
        self.assertEqual(self.found, kept)
        return self.left()

    def test_shrink(self):
        # Bug 1584882. Limits; how many of 1, 2, 3 and 4 GiB they leave.
        for count, gib, stay in ((0, 0, 4), (3, 0, 3), (1, 0, 1), (0, 10, 4),
                                 (0, 9, 3), (0, 3, 2), (3, 3, 2), (1, 9, 1),
                                 (4, 10, 4)):
            self.have(1, 2, 3, 4)
            self.pruner.try_remove.reset_mock()
            self.assertEqual([1, 2, 3, 4][:stay],
                             self.shrink(count=count, gib=gib))
            self.assertEqual(4 - stay, self.pruner.try_remove.call_count)

    def test_shrink_passes_over_what_is_in_use(self):
        for changes, stuck, days_ago, left in (
                ({}, [3], 3, [1, 3]), (FILLING, [], 3, [1, 3]),
                ({}, [], 0, [1, 3]), ({}, [1, 2, 3], 3, [1, 2, 3])):
            self.have(1, 1, 1)
            self.change(3, last_used=base.T0 - days_ago * base.DAY, **changes)
            self.stuck = set(stuck)
            self.assertEqual(left, self.shrink(count=2))

    def test_shrink_ends_at_its_deadline(self):
        # 500 templates too many, 40 s for each.
        self.have(*[1] * 500)

        def remove(template, reason):
            self.clock.advance(40)
            return self.remove(template, reason)

        self.pruner.try_remove.side_effect = remove
        self.assertEqual(498, len(self.shrink(count=1)))
        self.assertEqual(498, len(self.shrink(count=1)))
        self.assertEqual(496, len(self.shrink(deadline=160, count=1)))

    def test_by_image(self):
        found = base.templates(*[{'image': fixtures.image(id=name)}
                                 for name in 'bab'])
        self.assertEqual([('a', [found[1]]), ('b', [found[0], found[2]])],
                         eviction.by_image(found))
