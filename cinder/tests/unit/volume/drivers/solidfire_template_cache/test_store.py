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

"""Templates on a cluster: found, made, published, refreshed, removed."""

import dataclasses
import datetime
import logging as std_logging

import ddt
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import store as stores
from cinder.volume.drivers.solidfire_template_cache import template as tpl

ACCOUNT = 'prefix-openstack-vtemplate'
OTHER_ID = fake.OBJECT_ID
NAME = 'OpenStackIMG-' + fake.IMAGE_ID
IMAGE = images.Image(
    id=fake.IMAGE_ID, updated_at=base.T0, virtual_size=5 * units.Mi,
    size=100, content=images.Content('sha512', 'ab' * 64, 100))
LATER = dataclasses.replace(
    IMAGE, updated_at=base.T0 + datetime.timedelta(minutes=1))


class StoreTestCase(clients.ClientTestCase):

    def setUp(self):
        super().setUp()
        self.store = self.new_store()

    def new_store(self):
        return stores.TemplateStore(self.new_client(), ACCOUNT)

    def plan(self, fill_id='fill-1', image=IMAGE):
        return self.store.plan(image, fill_id, 'host', None)

    def create(self, *args):
        """Return a template that is being filled."""
        template, _volume = self.store.create(self.plan(*args), units.Gi,
                                              True)
        return template

    def make_ready(self, *args):
        return self.store.publish(self.create(*args))

    def foreign(self, name=NAME, **attributes):
        """Make a volume among the templates that is none of ours."""
        return self.make_volume(name, self.store.account(), **attributes)

    def delete(self, volume_id):
        cluster = self.sim.cluster
        cluster.delete_volume(cluster.volume(volume_id))


class AccountTestCase(StoreTestCase):

    def test_account_is_made_when_first_needed(self):
        self.assertEqual(ACCOUNT, self.store.account().name)
        self.assertEqual([ACCOUNT], [
            account.username
            for account in self.sim.cluster.accounts.values()])

    def test_account_is_remembered(self):
        account = self.store.account()
        self.sim.reset_calls()
        self.assertIs(account, self.store.account())
        self.assertEqual([], self.sim.calls.methods)


class FindTestCase(StoreTestCase):

    def test_find_on_an_empty_cluster_makes_no_account(self):
        self.assertEqual([], self.store.find(fake.IMAGE_ID))
        self.assertEqual(['GetAccountByName'], self.sim.calls.methods)
        self.assertEqual({}, self.sim.cluster.accounts)

    def test_find_lists_only_the_image_s_templates(self):
        account = self.store.account()
        self.sim.reset_calls()
        self.store.find(fake.IMAGE_ID)
        self.assertEqual([('ListVolumes', {
            'volumeName': NAME, 'accounts': [account.id],
            'includeVirtualVolumes': False})], self.sent())

    def test_find_after_a_restart_takes_two_calls(self):
        template = self.make_ready()
        self.store = self.new_store()
        self.sim.reset_calls()
        self.assertEqual([template], self.store.find(fake.IMAGE_ID))
        self.assertEqual(['GetAccountByName', 'ListVolumes'],
                         self.sim.calls.methods)

    def test_find_gives_all_by_number(self):
        ready = self.make_ready('fill-1')
        filling = self.create('fill-2')
        found = self.store.find(fake.IMAGE_ID)
        self.assertEqual([ready, filling], found)
        self.assertEqual([True, False], [item.usable for item in found])

    def test_find_when_the_error_is_not_about_the_account(self):
        self.make_ready()
        self.sim.faults.add(method='ListVolumes', times=None,
                            error='xVolumeIDDoesNotExist')
        for find in (self.store.find_all,
                     lambda: self.store.find(fake.IMAGE_ID)):
            self.assertRaises(errors.NotFound, find)

    def test_find_sorts_what_the_cluster_does_not(self):
        first, second = self.create('fill-1'), self.create('fill-2')
        account = self.store.account()
        listed = self.client._transport.call('ListVolumes', '8.0', {
            'volumeName': NAME, 'accounts': [account.id]})
        listed['volumes'].reverse()
        self.sim.faults.add(method='ListVolumes', http_status=200,
                            body={'result': listed})
        self.assertEqual([first, second], self.store.find(fake.IMAGE_ID))

    def test_find_tells_deleted_ones_that_are_not_purged(self):
        template = self.make_ready()
        self.delete(template.volume_id)
        [found] = self.store.find(fake.IMAGE_ID)
        self.assertEqual(dataclasses.replace(template, active=False), found)
        self.assertFalse(found.usable)
        self.store.retire(found)
        self.assertEqual([], self.store.find(fake.IMAGE_ID))
        self.assertEqual([], self.on_cluster())

    def test_find_passes_over_other_images(self):
        self.make_ready()
        self.assertEqual([], self.store.find(OTHER_ID))

    def test_find_passes_over_other_accounts(self):
        attributes = tpl.published(
            self.plan(), base.T0).attributes()
        self.make_volume(NAME, **attributes)
        self.store.account()
        self.assertEqual([], self.store.find(fake.IMAGE_ID))

    def test_find_tells_of_foreign_volumes_and_leaves_them_alone(self):
        log = clients.Log(self)
        foreign = [self.foreign(), self.foreign(image_info={'a': 1}),
                   self.foreign(**{tpl.ATTRIBUTE: {'schema': 2}})]
        template = self.make_ready()
        self.assertEqual([template], self.store.find(fake.IMAGE_ID))
        told = [message for message in log.at(std_logging.INFO)
                if 'left alone' in message]
        self.assertEqual(3, len(told))
        for volume, message in zip(foreign, told):
            self.assertIn('Volume %s ' % volume.id, message)
            self.assertIn(fake.IMAGE_ID, message)
        self.assertEqual([], log.at(std_logging.WARNING))
        self.assertEqual(4, len(self.on_cluster()))

    def test_find_when_the_account_is_gone(self):
        self.store.account()
        self.sim.cluster.accounts.clear()
        self.sim.faults.add(method='ListVolumes',
                            error='xAccountIDDoesNotExist')
        self.assertEqual([], self.store.find(fake.IMAGE_ID))
        # It is looked for anew.
        self.sim.reset_calls()
        self.store.find(fake.IMAGE_ID)
        self.assertEqual(['GetAccountByName'], self.sim.calls.methods)

    def test_find_when_the_cluster_fails(self):
        self.store.account()
        self.sim.faults.add(method='ListVolumes', error='xNew', times=None)
        self.assert_fails(errors.ApiError, self.store.find, fake.IMAGE_ID)


@ddt.ddt
class CreateTestCase(StoreTestCase):

    def test_create(self):
        planned = self.plan()
        template, volume = self.store.create(planned, 2 * units.Gi, False)
        account = self.store.account()
        self.assertEqual([('CreateVolume', {
            'name': NAME, 'accountID': account.id, 'totalSize': 2 * units.Gi,
            'enable512e': False, 'attributes': planned.attributes()})],
            self.sent('CreateVolume'))
        self.assertEqual(
            dataclasses.replace(planned, volume_id=volume.id, active=True,
                                size=2 * units.Gi), template)
        self.assertFalse(template.usable)
        self.assertEqual([volume.id], self.on_cluster())

    @ddt.data({'drop': True, 'when': 'before'},
              {'drop': True, 'when': 'after'},
              {'error': 'xDBConnectionLoss', 'when': 'before'},
              {'error': 'xDBConnectionLoss', 'when': 'after'},
              {'http_status': 500, 'body': '<html>', 'when': 'after'})
    def test_create_whose_reply_is_lost(self, fault):
        self.sim.faults.add(method='CreateVolume', **fault)
        template = self.create()
        self.assertEqual([template.volume_id], self.on_cluster())
        self.assertEqual('fill-1', template.fill_id)
        self.assertEqual(2 if fault['when'] == 'before' else 1,
                         self.sim.calls.count('CreateVolume'))

    def test_create_whose_reply_is_lost_beside_other_volumes(self):
        # Only the mark of the attempt tells which one is ours.
        self.foreign()
        other = self.create('fill-0')
        self.sim.faults.add(method='CreateVolume', drop=True, when='after')
        template = self.create('fill-1')
        self.assertEqual(3, len(self.on_cluster()))
        self.assertNotEqual(other.volume_id, template.volume_id)
        self.assertEqual('fill-1', template.fill_id)

    def test_create_whose_reply_is_lost_and_is_deleted(self):
        # Somebody else has tidied up meanwhile.
        template = self.create()
        self.delete(template.volume_id)
        self.sim.faults.add(method='CreateVolume', drop=True, when='before')
        self.assertNotEqual(template.volume_id, self.create().volume_id)

    def test_create_whose_reply_is_lost_twice(self):
        self.sim.faults.add(method='CreateVolume', drop=True, times=2)
        self.assert_fails(errors.ReplyLost, self.create)
        self.assertEqual([], self.on_cluster())

    def test_create_that_is_refused(self):
        self.sim.cluster.set_fullness(4)
        exc = self.assert_fails(errors.ApiError, self.create)
        self.assertEqual('xTotalCapacityExceeded', exc.name)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))

    def test_create_when_the_account_is_gone(self):
        self.store.account()
        self.sim.cluster.accounts.clear()
        template = self.create()
        self.assertEqual(self.store.account().id,
                         self.sim.cluster.volumes[
                             template.volume_id].account_id)

    @ddt.data({}, {tpl.ATTRIBUTE: None})
    def test_create_that_drops_the_attributes(self, attributes):
        create = self.client.create_volume
        self.mock_object(
            self.store._client, 'create_volume',
            lambda name, account_id, size, enable_512e, _given: create(
                name, account_id, size, enable_512e, attributes))
        exc = self.assert_fails(errors.TemplateCacheError, self.create)
        self.assertIn('attributes', str(exc))


class PublishTestCase(StoreTestCase):

    def test_publish_is_one_call(self):
        filling = self.create()
        self.sim.reset_calls()
        ready = self.store.publish(filling)
        self.assertEqual([('ModifyVolume', {
            'volumeID': filling.volume_id, 'access': 'readOnly',
            'attributes': ready.attributes()})], self.sent())
        self.assertTrue(ready.usable)
        self.assertEqual(
            'ready', ready.attributes()[tpl.ATTRIBUTE]['state'])
        self.assertEqual([ready], self.store.find(fake.IMAGE_ID))

    def test_publish_whose_reply_is_lost(self):
        filling = self.create()
        self.sim.faults.add(method='ModifyVolume', drop=True, when='after')
        self.assertTrue(self.store.publish(filling).usable)

    def test_publish_that_is_refused(self):
        filling = self.create()
        self.sim.faults.add(method='ModifyVolume', error='xNew')
        self.assert_fails(errors.ApiError, self.store.publish, filling)
        self.assertFalse(self.store.find(fake.IMAGE_ID)[0].usable)

    def test_publish_of_one_that_is_gone(self):
        filling = self.create()
        self.delete(filling.volume_id)
        self.assert_fails(errors.NotFound, self.store.publish, filling)

    def test_publish_that_is_not_carried_out_wholly(self):
        modify = self.client.modify_volume

        def without(*dropped):
            return lambda volume_id, **changes: modify(volume_id, **{
                key: value for key, value in changes.items()
                if key not in dropped})

        for dropped in ('access', 'attributes'):
            filling = self.create('fill-' + dropped)
            self.mock_object(self.store._client, 'modify_volume',
                             without(dropped))
            exc = self.assert_fails(errors.TemplateCacheError,
                                    self.store.publish, filling)
            self.assertIn(str(filling.volume_id), str(exc))


class RefreshTestCase(StoreTestCase):

    def test_refresh(self):
        ready = self.make_ready()
        self.sim.reset_calls()
        refreshed = self.store.refresh(ready, LATER)
        self.assertEqual([('ModifyVolume', {
            'volumeID': ready.volume_id,
            'attributes': refreshed.attributes()})], self.sent())
        self.assertEqual(LATER.updated_at, refreshed.image.updated_at)
        self.assertTrue(refreshed.usable)
        self.assertEqual([refreshed], self.store.find(fake.IMAGE_ID))

    def test_refresh_of_one_that_is_gone(self):
        ready = self.make_ready()
        self.delete(ready.volume_id)
        self.assert_fails(errors.NotFound, self.store.refresh, ready, LATER)


@ddt.ddt
class RemoveTestCase(StoreTestCase):

    def test_retire(self):
        log = clients.Log(self)
        ready, other = self.make_ready(), self.create('fill-2')
        self.sim.reset_calls()
        self.store.retire(ready)
        self.assertEqual([
            ('DeleteVolume', {'volumeID': ready.volume_id}),
            ('PurgeDeletedVolume', {'volumeID': ready.volume_id})],
            self.sent())
        self.assertEqual([other.volume_id], self.on_cluster())
        self.assertIn('Removed template volume %s of image %s'
                      % (ready.volume_id, fake.IMAGE_ID), log.text)

    def test_retire_that_fails_tells_what_may_be_left(self):
        ready = self.make_ready()
        self.sim.faults.add(method='PurgeDeletedVolume', error='xNew',
                            times=None)
        exc = self.assertRaises(errors.ApiError, self.store.retire, ready)
        self.assertEqual(['template volume %s may be left'
                          % ready.volume_id], exc.__notes__)

    def test_retire_when_the_error_is_not_about_the_volume(self):
        ready = self.make_ready()
        self.sim.faults.add(method='DeleteVolume', error='xUnknownAccount',
                            times=None)
        self.assertRaises(errors.NotFound, self.store.retire, ready)

    def test_retire_of_one_that_is_gone(self):
        ready = self.make_ready()
        self.store.retire(ready)
        self.store.retire(ready)
        self.assertEqual([], self.on_cluster())

    def test_retire_that_fails(self):
        ready = self.make_ready()
        self.sim.faults.add(method='PurgeDeletedVolume', error='xNew',
                            times=None)
        self.assert_fails(errors.ApiError, self.store.retire, ready)

    def test_discard_fill_removes_only_its_own(self):
        mine, other = self.create('fill-1'), self.create('fill-2')
        foreign = self.foreign()
        self.store.discard_fill(mine)
        self.assertEqual([other.volume_id, foreign.id], self.on_cluster())

    def test_discard_fill_that_was_deleted_and_not_purged(self):
        made = self.create('fill-1')
        self.delete(made.volume_id)
        self.store.discard_fill(made)
        self.assertEqual([], self.on_cluster())

    def test_discard_fill_that_never_got_a_volume(self):
        other = self.create('fill-2')
        self.store.discard_fill(self.plan('fill-1'))
        self.assertEqual([other.volume_id], self.on_cluster())

    def test_discard_fill_whose_volume_is_not_known(self):
        # The reply to its creation was lost.
        made = self.create('fill-1')
        planned = dataclasses.replace(made, volume_id=0)
        self.store.discard_fill(planned)
        self.assertEqual([], self.on_cluster())

    def test_discard_fill_of_a_published_one(self):
        # The publishing was carried out and its reply was lost.
        planned = self.plan('fill-1')
        self.make_ready('fill-1')
        self.store.discard_fill(planned)
        self.assertEqual([], self.on_cluster())

    @ddt.data('ListVolumes', 'DeleteVolume')
    def test_discard_fill_that_fails(self, method):
        made = self.create('fill-1')
        self.sim.faults.add(method=method, error='xNew', times=None)
        self.assert_fails(errors.ApiError, self.store.discard_fill, made)
