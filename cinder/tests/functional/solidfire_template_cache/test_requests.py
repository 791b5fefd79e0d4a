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

"""Requests for volumes of images, from an empty cluster to a hit."""

import os
from unittest import mock

import ddt
from oslo_utils import fileutils
from oslo_utils import uuidutils

from cinder.image import image_utils
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume import throttling

DATA = b'bootable' * 500
NEW_DATA = b'rebooted' * 600

HIT = ['CloneVolume', 'GetAsyncResult', 'ListVolumes']

# The record of a template that version 1.0.0 wrote for an image with DATA.
RECORD_OF_1_0_0 = {'cinder_image_template': {
    'schema': 1, 'state': 'ready',
    'image_id': 'e79161cd-5f9d-4007-8823-81a807a64332',
    'image_updated_at': '2026-01-01T00:00:00+00:00', 'image_size': 4000,
    'image_hash':
        'sha512:388256e6148aef516ee0123ffc6a82fa3a892346af61bff559de1ee19e6de'
        '383c8e3fef1382258d4ce64241c082c8fa02c65a9ca5b720e6fd7a5caf088bcad43',
    'virtual_size': 4000, 'signature_verified': False,
    'fill_id': '529f3a75-f1ea-42ef-b6be-8d410a3027f9', 'filled_by': 'vm',
    'filled_at': '2026-01-01T00:00:00+00:00',
    'last_used': '2026-01-01T00:00:00+00:00',
    'lock_domain': '6a19daede5b07514'}}


@ddt.ddt
class RequestsTestCase(base.FunctionalTestCase):

    # So that a hit polls its job once.
    CLONE_SECONDS = 0

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)

    def params_of(self, method):
        return [call.params for call in self.sim.calls
                if call.method == method]

    def request(self, image=None, data=DATA, driver=None):
        self.assert_served(self.clone(image or self.image, driver=driver),
                           data)

    def test_clone_image_on_an_empty_cluster(self):
        # Bug 1414760: the account was never created. Bug 1486744: the
        # whole reply was sent in place of the account's id.
        self.assertEqual({}, self.sim.cluster.accounts)
        self.request()
        template, = self.templates()
        self.assertEqual(self.account_id(base.TEMPLATE_ACCOUNT),
                         template.account_id)
        self.assertEqual(self.account_id(), self.params_of('CloneVolume')[0][
            'newAccountID'])
        for _i in range(2):
            self.sim.reset_calls()
            self.request()
            self.assertEqual(HIT, self.sim.calls.methods)
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assert_no_leftovers()

    def test_clone_image_template_of_version_1_0_0(self):
        image = self.images.add(
            DATA, id=RECORD_OF_1_0_0[model.ATTRIBUTE]['image_id'])
        planted = self.plant_volume('OpenStackIMG-' + image['id'],
                                    RECORD_OF_1_0_0, DATA, access='readOnly')
        self.request(image)
        self.request(self.images.touch(image['id']))
        self.run_housekeeping()
        self.assertEqual({planted}, self.sources())
        self.assertEqual([], self.images.downloads)
        record = self.templates()[0].attributes[model.ATTRIBUTE]
        self.assertEqual(set(RECORD_OF_1_0_0[model.ATTRIBUTE]), set(record))
        self.assertEqual((1, '2026-01-01T00:01:00+00:00'),
                         (record['schema'], record['image_updated_at']))

    def test_clone_image_whose_content_was_replaced(self):
        # Bugs 1454425 and 1668772: the parameters of the deletion were
        # lost, and what was deleted but not purged counted as a duplicate.
        self.request()
        old = self.templates()[0].volume_id
        newer = self.images.replace(self.image['id'], NEW_DATA)
        self.request(newer, NEW_DATA)
        self.assertEqual(2, len(self.images.downloads))
        # A request removes nothing; housekeeping does.
        self.assertEqual([], self.params_of('DeleteVolume'))
        self.run_housekeeping()
        self.assertEqual([{'volumeID': old}], self.params_of('DeleteVolume'))
        self.assertEqual([{'volumeID': old}],
                         self.params_of('PurgeDeletedVolume'))
        self.assertEqual([old], [
            number for number in (old, self.templates()[0].volume_id)
            if number not in self.sim.cluster.volumes])
        self.request(newer, NEW_DATA)

    @ddt.data(None, 'before the request', 'during the download')
    def test_clone_image_whose_record_was_edited(self, when):
        # Only a tag or a name is new, so that the older record is as good.
        if when == 'before the request':
            self.images.touch(self.image['id'])
        elif when:
            self.images.on_download = self.images.touch
        drivers = self.driver, self.other_host()
        for driver in drivers:
            self.request(driver=driver)
        edited = self.images.touch(self.image['id'])
        for image in (edited, self.image, edited):
            for driver in drivers:
                self.request(image, driver=driver)
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual(1, len(self.templates()))
        # Whatever was refreshed, it is not done again.
        self.sim.reset_calls()
        self.request(edited)
        self.assertEqual(HIT, self.sim.calls.methods)

    def test_clone_image_with_signatures(self):
        # Bug 1823445: a clone had no signature_verified.
        self.image = self.images.add(DATA, properties={'img_signature': 'x'})
        self.override_config('verify_glance_signatures', 'disabled')
        self.request()
        self.override_config('verify_glance_signatures', 'enabled')
        volumes = [self.new_volume() for _i in range(3)]
        drivers = [self.driver, self.driver, self.other_host()]
        with mock.patch.object(image_utils, 'verify_glance_image_signature',
                               autospec=True, return_value=True) as verify:
            for volume, driver in zip(volumes, drivers):
                self.assert_served(self.clone(self.image, volume, driver),
                                   DATA)
                record = driver.db.volume_glance_metadata_bulk_create
                record.assert_called_with(self.context, volume.id,
                                          {'signature_verified': True})
        # Once for the template that replaced the one of unverified data.
        self.assertEqual(1, verify.call_count)
        self.assertEqual(2, len(self.images.downloads))

    def test_clone_image_with_an_account_prefix(self):
        # Bug 1479897: accounts were created without it.
        for _i in range(2):
            self.request(driver=self.new_driver(sf_account_prefix='cloud'))
        self.assertEqual(
            {'cloud-' + base.TEMPLATE_ACCOUNT, 'cloud-' + fake.PROJECT_ID},
            {account.username for account in
             self.sim.cluster.accounts.values()})
        self.assertEqual(1, len(self.images.downloads))

    # The fill

    def test_clone_image_is_throttled_as_every_copy(self):
        throttle = mock.Mock(spec=throttling.Throttle,
                             wraps=throttling.Throttle())
        throttling.Throttle.set_default(throttle)
        self.addCleanup(throttling.Throttle.set_default, None)
        self.request()
        template, = self.templates()
        self.assertIn(self.sim.cluster.volume_path(template.volume_id), [
            call.args[1] for call in throttle.subcommand.mock_calls
            if call.args])

    def test_clone_image_does_not_probe_what_was_written(self):
        # Bug 1703892: the data of a disk may look like an image.
        data = self.qcow2(DATA)
        self.request(self.images.add(self.qcow2(data), len(data),
                                     disk_format='qcow2'), data)

    @ddt.data(('raw', 'No such file'), ('qcow2', 'does not exist'))
    @ddt.unpack
    def test_clone_image_whose_device_vanished(self, disk_format, text):
        # Bug 1703892: qemu-img created a plain file in /dev.
        data = DATA if disk_format == 'raw' else self.qcow2(DATA)
        image = self.images.add(data, len(DATA) + 512, disk_format=disk_format)
        path = '/dev/vanished-%s' % uuidutils.generate_uuid()
        self.addCleanup(fileutils.delete_if_exists, path)
        connect = self.driver._connect_device
        self.mock_object(
            self.driver, '_connect_device', lambda connection: dict(
                connect(connection), device={'type': 'local', 'path': path}))
        self.assertEqual((None, False), self.clone(image))
        self.log.pop_warning('without a template', text)
        self.assertFalse(os.path.exists(path))

    # Housekeeping

    def test_get_volume_stats_runs_housekeeping_in_the_background(self):
        self.plant(self.image, DATA, access='readWrite', filled_at=None,
                   state=model.State.FILLING)
        stats = self.stock_driver().get_volume_stats(refresh=True)
        self.assertEqual(stats, self.driver.get_volume_stats(refresh=True))
        self.assertTrue(self.service().housekeeping_runner.wait(60))
        self.assertEqual([], self.templates())
        # Without new statistics there is no round.
        self.sim.reset_calls()
        self.driver.get_volume_stats(refresh=False)
        self.assertTrue(self.service().housekeeping_runner.wait(60))
        self.assertEqual([], self.sim.calls.methods)

    def test_run_costs_one_call_while_there_is_nothing_to_do(self):
        self.request()
        # Late clones of other attempts are looked for this long.
        self.clock.advance(3600)
        self.sim.reset_calls()
        self.run_housekeeping()
        self.assertEqual(['ListVolumes'], self.sim.calls.methods)
