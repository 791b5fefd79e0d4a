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

"""Tests of how templates are found, recorded and removed on a cluster."""

import dataclasses
import datetime
from unittest import mock

import ddt
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import store

ACCOUNT, ACCOUNT_NAME = base.ACCOUNT, base.ACCOUNT.name
NAME = 'OpenStackIMG-' + fake.IMAGE_ID
ACCOUNT_GONE = [base.api_error(name, errors.NotFound)
                for name in ('xUnknownAccount', 'xAccountIDDoesNotExist')]
VOLUME_GONE = base.api_error('xVolumeIDDoesNotExist', errors.NotFound)
LOST = errors.ReplyLost('CreateVolume', 'ReadTimeout', 'of the test')


class StoreTestCase(base.TemplatesTestCase):

    def setUp(self):
        super().setUp()
        self.get_or_create = self.mock_object(
            accounts, 'get_or_create', autospec=True, return_value=ACCOUNT)
        self.client.get_account.return_value = ACCOUNT
        self.client.list_volumes.return_value = []
        self.store = store.TemplateStore(self.cluster, ACCOUNT_NAME)

    def list_templates(self, *templates):
        self.client.list_volumes.return_value = [
            base.template_volume(each) for each in templates]


@ddt.ddt
class FindTestCase(StoreTestCase):

    def test_account_is_created_when_missing_and_cached(self):
        # Bug 1414760.
        for _i in range(2):
            self.assertIs(ACCOUNT, self.store.account())
        self.get_or_create.assert_called_once_with(self.client, ACCOUNT_NAME)

    def test_find_on_an_empty_cluster_creates_no_account(self):
        # Bug 1414760, 7c6e41833.
        self.client.get_account.return_value = None
        self.assertEqual([], self.store.find(fake.IMAGE_ID))
        self.assertEqual(([], []), self.store.find_all())
        self.assertEqual([mock.call.get_account(ACCOUNT_NAME)] * 2,
                         self.client.mock_calls)
        self.get_or_create.assert_not_called()

    def test_find(self):
        # Of one image, in the template account (dc7e108be), by the account's
        # id (bug 1486744); all states, in the order of ids.
        found = [fixtures.template(volume_id=1),
                 fixtures.template(volume_id=2, state=model.State.FILLING,
                                   read_only=False),
                 fixtures.template(volume_id=3, active=False)]
        self.list_templates(found[2], found[0], found[1])
        for _i in range(2):
            self.assertEqual(found, self.store.find(fake.IMAGE_ID))
        self.assertEqual([mock.call.get_account(ACCOUNT_NAME)] +
                         [mock.call.list_volumes(NAME, ACCOUNT.id)] * 2,
                         self.client.mock_calls)
        self.assertEqual([], self.log.infos)

    def test_find_leaves_foreign_volumes_alone(self):
        # Bug 1495247; a name alone makes no template.
        foreign = [
            base.template_volume(id=1, attributes=attributes)
            for attributes in ({}, {'image_info': {'a': 1}},
                               {model.ATTRIBUTE: {'schema': 2}},
                               base.attributes(image_id=fake.OBJECT_ID))]
        self.client.list_volumes.return_value = foreign + [
            base.template_volume()]
        self.assertEqual([fixtures.template()], self.store.find(fake.IMAGE_ID))
        self.assertEqual(4, len(self.log.about(
            'Volume 1 ', ACCOUNT_NAME, fake.IMAGE_ID, 'left alone')))
        self.assertEqual(1, len(self.log.about('Kilo to Stein')))
        self.assertEqual([], self.log.warnings)
        self.client.remove_volume.assert_not_called()

    def test_find_all(self):
        # With those of all images, by the image in the name.
        found = base.templates({}, {'active': False})
        foreign = [fixtures.element_volume(id=8),
                   base.template_volume(id=9, name='OpenStackIMG-other')]
        self.client.list_account_volumes.return_value = [
            foreign[0], base.template_volume(found[0]), foreign[1],
            base.template_volume(found[1])]
        self.assertEqual((found, foreign), self.store.find_all())
        self.client.list_account_volumes.assert_called_once_with(ACCOUNT.id)
        self.assertEqual([], self.log.infos)

    @ddt.data(*ACCOUNT_GONE)
    def test_find_when_the_account_is_gone(self, gone):
        self.client.list_volumes.side_effect = gone
        self.client.list_account_volumes.side_effect = gone
        for _i in range(2):
            self.assertEqual([], self.store.find(fake.IMAGE_ID))
            self.assertEqual(([], []), self.store.find_all())
        # It is looked up again each time.
        self.assertEqual(4, self.client.get_account.call_count)

    @ddt.data(VOLUME_GONE, base.api_error(),
              base.api_error('xPermissionDenied'))
    def test_find_when_the_call_fails(self, failure):
        # 7c6e41833: only an unknown account means that there are none.
        self.client.list_volumes.side_effect = failure
        self.client.list_account_volumes.side_effect = failure
        for find in (self.store.find_all,
                     lambda: self.store.find(fake.IMAGE_ID)):
            self.assertIs(failure, self.assertRaises(type(failure), find))
        self.client.get_account.side_effect = failure
        self.assertRaises(type(failure), store.TemplateStore(
            self.cluster, ACCOUNT_NAME).find, fake.IMAGE_ID)

    def test_calls_that_are_passed_on(self):
        self.assertIs(self.client.find_volume.return_value,
                      self.store.find_volume(7))
        self.client.find_volume.assert_called_once_with(7)
        self.assertIs(self.client.get_block_space.return_value,
                      self.store.block_space())


@ddt.ddt
class CreateTestCase(StoreTestCase):

    def setUp(self):
        super().setUp()
        self.planned = self.store.plan(fixtures.image(), 'fill-1', True)
        self.client.create_volume.side_effect = self.create_volume
        self.damage = {}

    def create_volume(self, name, account_id, size, enable_512e, attributes):
        return base.template_volume(
            id=21, name=name, account_id=account_id, size=size,
            access='readWrite', **{'attributes': attributes, **self.damage})

    def create(self):
        return self.store.create(self.planned, units.Gi, True)

    def assert_creates(self, count):
        self.assertEqual(count, self.client.create_volume.call_count)

    def test_plan(self):
        self.assertEqual(model.new(fixtures.image(), 'fill-1', base.HOST, True,
                                   base.T0, base.SCOPE_ID), self.planned)

    def test_create(self):
        # Exact parameters (bug 1454425), the account by its id (bug
        # 1486744), marked as unfinished from the start (ee653ad13).
        template, volume = self.store.create(self.planned, 2 * units.Gi, False)
        self.client.create_volume.assert_called_once_with(
            NAME, ACCOUNT.id, 2 * units.Gi, False, self.planned.attributes())
        self.assertEqual('filling', self.planned.attributes()[
            model.ATTRIBUTE]['state'])
        self.assertEqual(21, volume.id)
        self.assertEqual(dataclasses.replace(
            self.planned, volume_id=21, active=True, size=2 * units.Gi),
            template)

    def test_create_whose_reply_is_lost(self):
        # Bug 1896112. The fill id alone tells which volume it was.
        others = [
            base.template_volume(id=1, attributes={}),
            base.template_volume(id=2, attributes=base.attributes(
                state='filling', fill_id='fill-0')),
            base.template_volume(
                id=3, status='deleted',
                attributes=self.planned.attributes())]
        mine = base.template_volume(
            id=4, attributes=self.planned.attributes(), access='readWrite')
        for listed, expected, count in ((others, 21, 2),
                                        (others + [mine], 4, 3)):
            self.client.create_volume.side_effect = [
                LOST, self.create_volume(NAME, ACCOUNT.id, units.Gi, True,
                                         self.planned.attributes())]
            self.client.list_volumes.return_value = listed
            template, volume = self.create()
            self.assertEqual((expected, expected),
                             (template.volume_id, volume.id))
            self.assert_creates(count)

    def test_create_that_fails(self):
        refused = base.api_error('xExceededLimit', errors.LimitExceeded)
        for failures, count in (([LOST, LOST], 2), ([refused], 3)):
            self.client.create_volume.side_effect = failures
            self.assertIs(failures[-1], self.assertRaises(
                type(failures[-1]), self.create))
            self.assert_creates(count)

    @ddt.data(*ACCOUNT_GONE)
    def test_create_when_the_account_is_gone(self, gone):
        new_account = fixtures.account(id=6)
        self.store.account()
        self.get_or_create.return_value = new_account
        self.client.create_volume.side_effect = [gone, mock.DEFAULT]
        self.client.create_volume.return_value = self.create_volume(
            NAME, 6, units.Gi, True, self.planned.attributes())
        template, _volume = self.create()
        self.assertEqual(21, template.volume_id)
        self.assertEqual([ACCOUNT.id, 6], [
            call.args[1] for call in self.client.create_volume.call_args_list])
        self.client.create_volume.side_effect = gone
        self.assertIs(gone, self.assertRaises(errors.NotFound, self.create))

    # One such volume stayed for each request.
    @ddt.data({}, {model.ATTRIBUTE: None}, base.attributes(fill_id='other'))
    def test_create_that_drops_the_attributes_removes_the_volume(self, stored):
        self.damage = {'attributes': stored}
        exc = self.assertRaises(exceptions.TemplateCacheError, self.create)
        self.assertIn('21 did not store its attributes', str(exc))
        self.client.remove_volume.assert_called_once_with(21)
        self.assertFalse(hasattr(exc, '__notes__'))
        self.client.remove_volume.side_effect = base.api_error('xSecond')
        exc = self.assertRaises(exceptions.TemplateCacheError, self.create)
        [note] = exc.__notes__
        self.assertIn('may be left', note)
        self.assertIn('xSecond', note)

    @ddt.data({'name': 'UUID-1'}, {'account_id': 77}, {'iqn': 'iqn.x.99'})
    def test_create_whose_reply_is_of_another_volume_removes_nothing(
            self, changes):
        self.damage = {'attributes': {}, **changes}
        self.client.create_volume.side_effect = (
            lambda *args: dataclasses.replace(
                base.template_volume(id=21), **self.damage))
        exc = self.assertRaises(exceptions.TemplateCacheError, self.create)
        self.assertIn('another volume', exc.__notes__[0])
        self.client.remove_volume.assert_not_called()


@ddt.ddt
class RecordTestCase(StoreTestCase):

    def setUp(self):
        super().setUp()
        self.clock.advance(60)
        self.template = fixtures.template()
        self.filling = fixtures.template(state=model.State.FILLING,
                                         read_only=False)
        self.later = fixtures.image(updated_at=base.T0 + base.HOUR)
        self.client.modify_volume.side_effect = self.modify_volume
        self.damage = {}

    def modify_volume(self, volume_id, attributes, access='readOnly'):
        return base.template_volume(**{
            'id': volume_id, 'attributes': attributes, 'access': access,
            **self.damage})

    def write(self, name):
        return {
            'publish': lambda: self.store.publish(self.filling),
            'refresh': lambda: self.store.refresh(self.template, self.later),
            'record_use': lambda: self.store.record_use(
                self.template, base.T0 + base.DAY)}[name]()

    # In one call each, with exactly what changes (bug 1454425).
    @ddt.data(('publish', {'access': 'readOnly'}, 60, base.T0),
              ('refresh', {}, 60, base.T0 + base.HOUR),
              ('record_use', {}, 86400, base.T0))
    @ddt.unpack
    def test_write(self, name, changes, seconds, updated_at):
        written = self.write(name)
        self.assertEqual(dataclasses.replace(
            self.template,
            last_used=base.T0 + datetime.timedelta(seconds=seconds),
            image=fixtures.image(updated_at=updated_at)), written)
        self.assertEqual([mock.call.modify_volume(
            7, attributes=written.attributes(), **changes)],
            self.client.mock_calls)

    @ddt.data('publish', 'refresh', 'record_use')
    def test_write_that_is_not_carried_out_wholly(self, name):
        for damage in ({'access': 'readWrite'}, {'attributes': {}},
                       {'attributes': self.filling.attributes()},
                       {'status': 'deleted'}, {'size': units.Mi}):
            self.damage = damage
            exc = self.assertRaises(exceptions.TemplateCacheError,
                                    self.write, name)
            self.assertIn('volume 7 did not store', str(exc))

    @ddt.data('publish', 'refresh', 'record_use')
    def test_write_that_fails(self, name):
        for failure in (VOLUME_GONE, base.api_error()):
            self.client.modify_volume.side_effect = failure
            if (name, failure) == ('record_use', VOLUME_GONE):
                self.assertIs(self.template, self.write(name))
            else:
                self.assertIs(failure, self.assertRaises(
                    type(failure), self.write, name))

    def test_start_replica(self):
        # One call: it is ready and read-only as soon as it is listed.
        self.assertIs(self.client.clone_volume.return_value,
                      self.store.start_replica(self.template, 'maker', False))
        [call] = self.client.mock_calls
        found = model.from_volume(base.template_volume(
            attributes=call.args[4]), fake.IMAGE_ID)
        self.assertEqual(mock.call.clone_volume(
            7, NAME, ACCOUNT.id, False, found.attributes(),
            access='readOnly'), call)
        self.assertNotEqual(self.template.fill_id, found.fill_id)
        self.assertEqual(
            model.replica(self.template, found.fill_id, base.HOST, 'maker',
                          self.clock.now()), found)


@ddt.ddt
class RemoveUnrecordedTestCase(StoreTestCase):

    @ddt.data(({'attributes': {}}, True), ({}, False),
              ({'attributes': {}, 'name': 'other'}, False),
              ({'attributes': {}, 'account_id': 99}, False), (None, False))
    @ddt.unpack
    def test_remove_unrecorded(self, changes, removed):
        self.client.find_volume.return_value = (
            None if changes is None else base.template_volume(**changes))
        self.assertIs(removed, self.store.remove_unrecorded(
            fake.IMAGE_ID, 7))
        self.assertEqual([mock.call(7)] if removed else [],
                         self.client.remove_volume.mock_calls)


class RemoveTestCase(StoreTestCase):

    def test_remove(self):
        # By its id alone (bugs 1454425, 1494830); the log says why.
        self.store.remove(fixtures.template(), 'the reason')
        self.assertEqual([mock.call.remove_volume(7)], self.client.mock_calls)
        self.assertEqual(1, len(self.log.about(
            'Removed template volume 7 of image %s' % fake.IMAGE_ID,
            'ready', base.T0.isoformat(), ': the reason.')))

    def test_remove_that_fails(self):
        self.client.remove_volume.side_effect = base.api_error()
        exc = self.assertRaises(errors.ApiError, self.store.remove,
                                fixtures.template(), 'the reason')
        self.assertEqual(['template volume 7 may be left'], exc.__notes__)
        self.assertEqual([], self.log.infos)

    def removed(self):
        return [call.args for call in self.client.remove_volume.mock_calls]

    def test_discard_fill_removes_all_of_one_attempt(self):
        # Published or deleted; no other attempt's, no foreign (bug 1494830).
        planned = self.store.plan(fixtures.image(), 'fill-1', None)
        mine = {'fill_id': 'fill-1'}
        self.list_templates(*base.templates(
            {}, mine, {**mine, 'active': False},
            {**mine, 'state': model.State.FILLING}, image_id=fake.IMAGE_ID))
        self.client.list_volumes.return_value.append(
            base.template_volume(id=9, attributes={}))
        self.store.discard_fill(planned, None)
        self.assertEqual([(2,), (3,), (4,)], self.removed())
        self.assertEqual(3, len(self.log.about('its fill failed')))
        # Also one whose attributes the cluster has dropped.
        volume = base.template_volume(id=21, attributes={})
        self.client.list_volumes.return_value = [volume]
        self.store.discard_fill(planned, volume)
        self.assertEqual((21,), self.removed()[-1])
        self.assertEqual(4, len(self.removed()))

    def test_discard_fill_that_fails(self):
        planned = self.store.plan(fixtures.image(), 'fill-id', None)
        self.list_templates(fixtures.template())
        failure = base.api_error()
        self.client.remove_volume.side_effect = failure
        for volume in (base.template_volume(), None):
            self.assertIs(failure, self.assertRaises(
                errors.ApiError, self.store.discard_fill, planned, volume))
        self.client.list_volumes.side_effect = failure
        self.assertRaises(errors.ApiError, self.store.discard_fill, planned,
                          None)
