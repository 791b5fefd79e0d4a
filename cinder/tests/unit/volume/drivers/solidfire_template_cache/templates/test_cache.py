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

"""Tests of how a volume is created from a template."""

from unittest import mock

import ddt
from oslo_utils import units

from cinder import exception
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.templates import cache
from cinder.volume.drivers.solidfire_template_cache.templates import provider
from cinder.volume.drivers.solidfire_template_cache.templates import replicas

VOLUME_NAME = 'UUID-of-the-volume'
ACCOUNT_NAME = 'account-of-the-project'
GONE = base.api_error('xVolumeIDDoesNotExist', errors.NotFound, 'CloneVolume')
CLONE_GONE = base.api_error('xVolumeIDDoesNotExist', errors.NotFound,
                            'ModifyVolume')
FULL = base.api_error('xExceededLimit', errors.LimitExceeded, 'CloneVolume')
BROKEN = exceptions.CloneFailed(template=7, reason='of the test')
BROKEN_REPLICA = exceptions.CloneFailed(template=8, reason='of the test')
TIMEOUT = exceptions.CloneTimeout(template=7, reason='test', seconds=1)
SUPERSEDED = exceptions.CloneSuperseded(template=7, other=99)


@ddt.ddt
class TemplateCacheTestCase(base.TemplatesTestCase):

    def setUp(self):
        super().setUp()
        self.cache = cache.TemplateCache(
            self.cluster, self.provider, self.clones, self.replicas,
            self.accounts, self.backend, self.usage)
        self.req = self.new_request()
        self.template = fixtures.template(signature_verified=True)
        self.replica = fixtures.template(
            volume_id=8, signature_verified=False, replica_maker='maker')
        self.sources = self.replicas.source_set.return_value = (
            mock.create_autospec(replicas.TemplateSources, instance=True))
        self.sources.template.side_effect = {
            each.volume_id: each
            for each in (self.template, self.replica)}.__getitem__
        self.provide(self.template)
        self.account = fixtures.account()
        self.accounts.get.return_value = self.account
        self.spec = spec.CloneSpec(
            name=VOLUME_NAME, account_id=self.account.id, size=2 * units.Gi,
            enable_512e=True, attributes={}, qos={})
        self.backend.account_name.return_value = ACCOUNT_NAME
        self.backend.clone_spec.return_value = self.spec
        self.backend.volume_name.return_value = VOLUME_NAME
        self.clone = fixtures.element_volume()
        self.clones.clone.return_value = self.clone, 7

    def provide(self, *templates):
        self.provider.get_or_fill.return_value = provider.Provided(
            templates, provider.Outcome.HIT)

    def create(self):
        return self.cache.create(self.req)

    def fail(self, *failures):
        """Let clones fail, and all after that succeed."""
        self.clones.clone.side_effect = failures + ((self.clone, 7),) * 9

    def assert_fails(self, error, clones):
        """Check the error, the number of clones and that nothing is left."""
        self.assertIs(error, self.assertRaises(type(error), self.create))
        self.assertEqual(clones, self.clones.clone.call_count)
        self.client.remove_volumes_named.assert_called_once_with(VOLUME_NAME)
        # What is still running is removed later.
        self.clones.note_fallback.assert_called_with(VOLUME_NAME)
        self.backend.finalize.assert_not_called()
        self.usage.note.assert_not_called()

    def assert_created(self, clones):
        self.assertEqual(
            cache.Created(self.backend.finalize.return_value, self.template,
                          provider.Outcome.HIT), self.create())
        self.assertEqual(clones, self.clones.clone.call_count)
        self.usage.note.assert_called_once_with(self.template)
        self.client.remove_volumes_named.assert_not_called()

    def test_create(self):
        before = self.req.volume.obj_to_primitive()
        names = ('accounts', 'provider', 'replicas', 'clones', 'usage')
        neighbours = mock.Mock(spec_set=names)
        for name in names:
            neighbours.attach_mock(getattr(self, name), name)
        self.assert_created(clones=1)
        # Nothing else, such as removals or writing to the template.
        self.assertEqual([
            mock.call.accounts.get(ACCOUNT_NAME),
            mock.call.provider.get_or_fill(self.req),
            mock.call.replicas.source_set(self.req.image, [self.template]),
            mock.call.clones.clone(self.sources, self.spec),
            mock.call.replicas.source_set().template(7),
            mock.call.usage.note(self.template)], neighbours.mock_calls)
        self.assertEqual([], self.client.mock_calls)
        self.backend.account_name.assert_called_once_with(fake.PROJECT_ID)
        self.backend.clone_spec.assert_called_once_with(self.req.volume,
                                                        self.account)
        self.backend.finalize.assert_called_once_with(
            self.req.context, base.CLUSTER_ID, self.req.volume, self.account,
            self.clone, True)
        # Bug 1680314.
        self.assertEqual(before, self.req.volume.obj_to_primitive())
        self.assertEqual([], self.log.infos)

    def test_create_whose_template_does_not_fit(self):
        # Bug 1599147; CloneVolume would cut the data.
        self.template = fixtures.template(size=2 * units.Gi + 1)
        self.provide(self.template)
        exc = self.assertRaises(exceptions.TemplateCacheError, self.create)
        self.assertIn('does not fit', str(exc))
        self.provider.forget.assert_called_once_with(self.template)
        self.clones.clone.assert_not_called()

    def test_create_from_a_replica(self):
        # Both are in use; what is too large is no source.
        large = fixtures.template(volume_id=9, size=2 * units.Gi + 1)
        self.provide(self.template, self.replica, large)
        self.clones.clone.return_value = self.clone, 8
        created = self.create()
        self.replicas.source_set.assert_called_once_with(
            self.req.image, [self.template, self.replica])
        self.assertEqual(self.replica, created.template)
        self.assertIs(False, self.backend.finalize.call_args.args[-1])
        self.usage.note.assert_has_calls(
            [mock.call(self.template), mock.call(self.replica)],
            any_order=True)

    # The errors of the first clones, which templates were looked for, and
    # which are not used any more.
    @ddt.data(([GONE], [], [7, 8]), ([GONE, GONE], [], [7, 8, 7, 8]),
              ([BROKEN], [7], [7]), ([BROKEN_REPLICA], [8], [8]),
              ([BROKEN, GONE], [7], [7, 7, 8]))
    @ddt.unpack
    def test_create_whose_template_or_account_is_gone(self, failures, looks,
                                                      forgotten):
        # Bug 1552734: what is gone is looked for again.
        self.provide(self.template, self.replica)
        self.fail(*failures)
        self.client.find_volume.return_value = None
        self.assert_created(clones=len(failures) + 1)
        self.assertEqual(forgotten, [
            call.args[0].volume_id
            for call in self.provider.forget.mock_calls])
        self.assertEqual([mock.call(ACCOUNT_NAME)] * len(failures),
                         self.accounts.forget.mock_calls)
        self.assertEqual([mock.call(each) for each in looks],
                         self.client.find_volume.mock_calls)
        self.assertEqual(len(failures), len(self.log.about(
            'Retrying the clone', self.req.volume['id'])))
        self.accounts.mark_full.assert_not_called()

    def test_create_whose_template_is_gone_each_time(self):
        self.fail(GONE, GONE, GONE)
        self.assert_fails(GONE, clones=3)

    # The error, whether it matters that the template is there: no clone that
    # fails for itself makes a new template (bug 1552734).
    @ddt.data((BROKEN, True), (TIMEOUT, False),
              (base.api_error('xMaxSnapshotsPerVolumeExceeded'), False),
              (exception.SnapshotLimitReached(set_limit=1), False),
              # A limit of another call is not one of the account.
              (base.api_error('xExceededLimit', errors.LimitExceeded,
                              'GetAsyncResult'), False),
              # Not the template but the clone itself is gone.
              (CLONE_GONE, False), (KeyError('volumeID'), False))
    @ddt.unpack
    def test_create_whose_clone_fails(self, failure, looks):
        # Bug 1642394: whatever it is, nothing is left behind.
        self.fail(failure)
        self.assert_fails(failure, clones=1)
        self.assertEqual(looks, self.client.find_volume.called)
        self.provider.forget.assert_not_called()
        self.accounts.mark_full.assert_not_called()

    def test_create_whose_clone_fails_and_its_template_cannot_be_found(self):
        self.fail(BROKEN)
        self.client.find_volume.side_effect = base.api_error()
        self.assert_fails(BROKEN, clones=1)
        self.provider.forget.assert_not_called()

    def test_create_in_a_full_account(self):
        # Other hosts fill it too; bug 1680314.
        second = fixtures.account(id=4)
        self.accounts.get.side_effect = [self.account, second]
        self.fail(FULL)
        self.assert_created(clones=2)
        self.accounts.mark_full.assert_called_once_with(self.account)
        self.assertEqual([self.account, second], [
            call.args[1] for call in self.backend.clone_spec.mock_calls])
        self.assertIs(second, self.backend.finalize.call_args.args[3])
        self.provider.forget.assert_not_called()
        self.assertEqual(1, len(self.log.about('Retrying', 'xExceeded')))

    def test_create_in_a_full_account_after_another_failure(self):
        self.fail(GONE, FULL)
        self.assert_created(clones=3)

    def test_create_in_two_full_accounts(self):
        # Then it is another limit, which must not stop other requests.
        self.fail(FULL, FULL)
        self.assert_fails(FULL, clones=2)
        self.accounts.mark_full.assert_called_once_with(self.account)
        self.accounts.unmark_full.assert_called_once_with(self.account)

    def test_create_without_a_template_or_an_account(self):
        # A limit that a fill has met is not one of the project's account.
        for neighbour, failure in (
                (self.provider.get_or_fill, FULL),
                (self.provider.get_or_fill, GONE),
                (self.provider.get_or_fill, OSError('of the test')),
                (self.accounts.get, exceptions.AccountsFull(name='a'))):
            self.client.reset_mock()
            neighbour.side_effect = failure
            self.assert_fails(failure, clones=0)
        self.accounts.mark_full.assert_not_called()

    def test_create_that_cannot_be_finalized(self):
        # The clone does not stay.
        failure = RuntimeError('of the test')
        self.backend.finalize.side_effect = failure
        self.assertIs(failure, self.assertRaises(RuntimeError, self.create))
        self.client.remove_volumes_named.assert_called_once_with(VOLUME_NAME)

    def test_create_that_fails_and_cannot_be_cleaned_up(self):
        # The stock driver refuses a name that exists.
        failure = exceptions.CloneFailed(template=7, reason='of the test')
        self.fail(failure)
        self.client.remove_volumes_named.side_effect = base.api_error('xOld')
        self.assert_fails(failure, clones=1)
        [note] = failure.__notes__
        for text in (VOLUME_NAME, 'may be left', 'xOld'):
            self.assertIn(text, note)

    # A clone may go on while the cluster cannot be reached.
    @ddt.data((SUPERSEDED, []),
              (errors.NotSent('GetAsyncResult', 'xNo', 'of the test'),
               [mock.call(VOLUME_NAME)]))
    @ddt.unpack
    def test_create_that_fails_and_must_not_be_cleaned_up(self, failure,
                                                          noted):
        # The name belongs to a later attempt; nothing can be reached.
        self.fail(failure)
        self.assertIs(failure, self.assertRaises(type(failure), self.create))
        self.assertEqual(1, self.clones.clone.call_count)
        self.assertEqual([], self.client.mock_calls)
        self.assertEqual(noted, self.clones.note_fallback.mock_calls)
