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

"""Tests of what is removed of an image's templates, and what is not."""

from unittest import mock

import ddt

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import pruning

LOCK = locks.for_image(base.CLUSTER_ID, fake.IMAGE_ID)
READY = {'image': fixtures.image()}
FILLING = {**READY, 'state': model.State.FILLING, 'filled_by': base.HOST}
ELSEWHERE = {**FILLING, 'filled_by': 'elsewhere'}
OLDER = {'image': fixtures.image(updated_at=base.T0 - base.SECOND)}


class PruningTestCase(base.TemplatesTestCase):

    def setUp(self):
        super().setUp()
        self.store.account.return_value = base.ACCOUNT
        self.clones.is_cloning.return_value = False
        # The order in which volumes are detached and removed.
        self.events = mock.Mock(spec_set=['detach_leftover', 'remove'])
        self.events.attach_mock(self.attachments.detach_leftover,
                                'detach_leftover')
        self.events.attach_mock(self.store.remove, 'remove')
        self.pruner = pruning.TemplatePruner(
            self.cluster, self.store, self.clones, self.attachments)

    def have(self, *changes):
        self.store.find.return_value = base.templates(*changes)
        return self.store.find.return_value

    def removed(self, reason=''):
        """Return the ids of removed templates; forget them."""
        calls = [call.args for call in self.store.remove.mock_calls]
        self.store.remove.reset_mock()
        for _template, given in calls:
            self.assertIn(reason, given)
        return [template.volume_id for template, _given in calls]


@ddt.ddt
class PruneImageTestCase(PruningTestCase):

    def prune(self):
        left = self.pruner.prune_image(fake.IMAGE_ID)
        self.store.find.assert_called_once_with(fake.IMAGE_ID)
        self.store.find.reset_mock()
        self.assertEqual(set(), self.locks.held)
        return [template.volume_id for template in left]

    # Templates; which stay; which are removed (bugs 1668772, 2112403).
    @ddt.data(([], [], []), ([READY], [1], []),
              ([FILLING, READY], [2], [1]),
              ([OLDER, READY], [2], [1]), ([READY, OLDER], [1], [2]),
              ([READY] * 3, [1], [2, 3]),
              ([{**READY, 'active': False}] * 2, [], [1, 2]),
              # Another one is only needed while the newest can be cloned.
              ([OLDER, {**READY, 'read_only': False}], [1, 2], []))
    @ddt.unpack
    def test_prune(self, templates, stay, removed):
        self.have(*templates)
        self.assertEqual(stay, self.prune())
        self.assertEqual(removed, self.removed())
        # The file of the lock is not needed any more.
        self.assertEqual([] if stay else [LOCK], self.locks.removed)

    def test_prune_of_superseded_template_that_is_being_cloned(self):
        # It stays until a later run, which does not wait for the clone.
        self.have(OLDER, READY)
        self.clones.is_cloning.return_value = True
        self.assertEqual([1, 2], self.prune())
        self.assertEqual([], self.removed())
        self.clones.is_cloning.return_value = False
        self.assertEqual([2], self.prune())
        self.assertEqual([1], self.removed('superseded by template volume 2'))

    def test_prune_with_signature_wanted(self):
        # Bug 1823445.
        self.signatures_wanted.return_value = True
        self.have(READY, {**READY, 'signature_verified': True})
        self.assertEqual([2], self.prune())

    def test_prune_while_the_image_is_locked(self):
        self.locks.held.add(LOCK)
        self.have(FILLING, OLDER, READY)
        self.assertIsNone(self.pruner.prune_image(fake.IMAGE_ID))
        self.assertEqual([], self.store.mock_calls)
        self.assertEqual([], self.locks.removed)

    def test_prune_that_fails(self):
        failure = base.api_error()
        for neighbour in (self.store.find, self.clones.is_cloning,
                          self.store.remove):
            neighbour.side_effect = failure
            self.have(OLDER, READY)
            self.assertIs(failure, self.assertRaises(
                errors.ApiError, self.pruner.prune_image, fake.IMAGE_ID))
            neighbour.side_effect = None
        self.assertEqual([], self.locks.removed)


@ddt.ddt
class PruneUnfinishedTestCase(PruningTestCase):
    """Called with the lock of the image held."""

    # What is found; whether it stays; whether it is detached before.
    @ddt.data(
        (READY, True, False),
        ({**READY, 'filled_by': base.HOST}, True, False),
        (FILLING, False, True),
        ({**FILLING, 'lock_domain': 'another'}, False, True),
        # Deleted and not purged, by whomever (bug 1668772).
        ({**FILLING, 'active': False}, False, False),
        ({**ELSEWHERE, 'active': False, 'lock_domain': 'another'},
         False, False),
        # Of another host whose locks are in the same place.
        ({**ELSEWHERE, 'lock_domain': base.SCOPE_ID}, False, True),
        # Of another host whose locks and clock this one does not share.
        (ELSEWHERE, True, False),
        ({**ELSEWHERE, 'lock_domain': 'another'}, True, False),
        ({**ELSEWHERE, 'filled_at': base.T0 - 99 * base.DAY}, True, False),
        ({**ELSEWHERE, 'filled_at': None}, True, False))
    @ddt.unpack
    def test_prune(self, changes, stays, detached):
        [template] = base.templates(changes)
        self.assertEqual([template] if stays else [],
                         self.pruner.prune_unfinished([template]))
        events = []
        if detached:
            self.store.find_volume.assert_called_once_with(1)
            events.append(mock.call.detach_leftover(
                self.cluster, base.ACCOUNT,
                self.store.find_volume.return_value))
        if not stays:
            events.append(mock.call.remove(
                template, 'its fill or its removal was interrupted'))
        self.assertEqual(events, self.events.mock_calls)
        self.assertEqual(stays and not template.ready, bool(self.log.warnings))

    def test_prune_what_another_host_does_not_complete(self):
        # By this host's clock, from when it first saw the fill.
        [template] = found = base.templates(ELSEWHERE)
        for passed, stays in ((0, True), (6 * 3600 - 1, True), (1, False)):
            self.clock.advance(passed)
            self.assertEqual(found if stays else [],
                             self.pruner.prune_unfinished(found))
        self.attachments.detach_leftover.assert_not_called()

    def test_prune_with_shared_locks(self):
        # The lock shows that no host is filling.
        self.mock_object(locks, 'lock_scope_id', autospec=True,
                         return_value=None)
        self.assertEqual([], self.pruner.prune_unfinished(
            base.templates({**ELSEWHERE, 'filled_at': None})))
        self.attachments.detach_leftover.assert_not_called()

    def test_prune_warns_once_of_locks_that_are_not_shared(self):
        found = base.templates(*[
            {**ELSEWHERE, 'filled_at': self.clock.now()}] * 2)
        self.pruner.prune_unfinished(found[:1])
        self.log.pop_warning('elsewhere', fake.IMAGE_ID, 'volume 1)',
                             'backend_url')
        self.pruner.prune_unfinished(found)
        self.log.pop_warning('volume 2)')
        self.pruner.prune_unfinished(found)
        self.assertEqual([], self.log.warnings)

    def test_prune_of_volume_that_is_gone(self):
        self.store.find_volume.return_value = None
        self.pruner.prune_unfinished(base.templates(FILLING))
        self.attachments.detach_leftover.assert_not_called()
        self.assertEqual([1], self.removed())


class RemoveTestCase(PruningTestCase):

    def test_remove_idle(self):
        template = fixtures.template()
        self.assertIs(True, self.pruner.remove_idle(template, 'reason'))
        self.clones.is_cloning.assert_called_once_with(7)
        self.store.remove.assert_called_once_with(template, 'reason')
        self.clones.is_cloning.return_value = True
        self.assertIs(False, self.pruner.remove_idle(template, 'reason'))
        self.assertEqual(1, self.store.remove.call_count)
        self.assertEqual([], self.locks.taken)

    def test_try_remove(self):
        # Unless its image is locked or it is cloned; the lock's file goes too.
        template = fixtures.template()
        for held, cloning, removed in (({LOCK}, False, False),
                                       (set(), True, False),
                                       (set(), False, True)):
            self.locks.held = set(held)
            self.clones.is_cloning.return_value = cloning
            self.assertIs(removed, self.pruner.try_remove(template, 'reason'))
            self.assertEqual([7] if removed else [], self.removed('reason'))
            self.assertEqual([LOCK] if removed else [], self.locks.removed)
            self.assertEqual(held, self.locks.held)
        self.locks.removed.clear()
        self.store.remove.side_effect = failure = base.api_error()
        self.assertIs(failure, self.assertRaises(
            errors.ApiError, self.pruner.try_remove, template, 'reason'))
        self.assertEqual(([], set()), (self.locks.removed, self.locks.held))
