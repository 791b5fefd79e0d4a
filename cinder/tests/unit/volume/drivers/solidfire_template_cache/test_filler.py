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

"""From an image to a template: formats, checks, failures on the way."""

import errno
import functools
import logging as std_logging
import os
import subprocess
import tempfile
from unittest import mock

import ddt
from os_brick import exception as brick_exception
from oslo_config import cfg
from oslo_utils import units

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import volume_utils

DATA = b'bootable' * 4096
# What failures to attach and detach come out as.
FAILURES = (exception.CinderException, brick_exception.BrickException)

INITIATOR = 'iqn.1993-08.org.debian:01:host'

# What glance calls a format, how qemu-img does, and its settings.
FORMATS = (('raw', 'raw', ''), ('qcow2', 'qcow2', ''),
           ('vmdk', 'vmdk', 'subformat=streamOptimized'),
           ('vmdk', 'vmdk', 'subformat=monolithicSparse'),
           ('vhdx', 'vhdx', ''))


def convert(data, kind, settings='', size=None):
    """Return an image file of some data.

    :param kind: the format, as qemu-img calls it
    :param size: bytes of the whole disk, where that is more than the data
    """
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, 'source')
        target = os.path.join(directory, 'target')
        with open(source, 'wb') as plain:
            plain.write(data)
            plain.truncate(size or len(data))
        command = ['qemu-img', 'convert', '-f', 'raw', '-O', kind]
        if settings:
            command += ['-o', settings]
        subprocess.run(command + [source, target], check=True,
                       capture_output=True)
        with open(target, 'rb') as image:
            return image.read()


class FillTestCase(base.DriverTestCase):

    PROPERTIES = {'initiator': INITIATOR, 'host': 'host', 'ip': '127.0.0.1',
                  'multipath': False}

    def setUp(self):
        super().setUp()
        # To find them out takes longer than to fill a template.
        self.properties = self.mock_object(
            volume_utils, 'brick_get_connector_properties', autospec=True,
            return_value=dict(self.PROPERTIES))

    def patch_driver(self, method, **arguments):
        # An instance of the driver answers for attributes it has not.
        return mock.patch.object(type(self.driver), method, autospec=True,
                                 **arguments)

    def spy_driver(self, method):
        return self.patch_driver(
            method, side_effect=getattr(type(self.driver), method))

    def fill(self, image, volume=None, driver=None):
        """Fill a template as a request does that finds none."""
        driver = driver or self.driver
        recheck = functools.partial(
            driver._recheck_image, volume or self.new_volume(size=10),
            image['id'])
        return driver._template_parts().filler.fill(
            self.context, self.images, images.from_metadata(image), recheck,
            'host')

    def assert_fails(self, error_class, image, **arguments):
        """Return the error of a fill, of exactly that class."""
        exc = self.assertRaises(error_class, self.fill, image, **arguments)
        self.assertIs(error_class, type(exc), repr(exc))
        return exc

    def assert_nothing_left(self):
        self.assertEqual([], self.templates())
        directory = image_utils.CONF.image_conversion_dir
        if os.path.isdir(directory):
            self.assertEqual([], os.listdir(directory))

    def assert_falls_back(self, image, *texts):
        """Check that a request goes the normal way, with one warning."""
        volume = self.new_volume()
        self.assertEqual((None, False), self.clone(image, volume))
        [message] = self.warnings.messages
        for text in (volume.id, image['id']) + texts:
            self.assertIn(text, message)
        self.warnings.messages.clear()
        self.assertEqual([], self.tenant_volumes())
        self.assert_nothing_left()


@ddt.ddt
class FormatTestCase(FillTestCase):

    @ddt.data(*FORMATS)
    @ddt.unpack
    def test_fill_of_format(self, disk_format, kind, settings):
        data = convert(DATA, kind, settings, units.Mi)
        image = self.images.add(data, virtual_size=units.Mi,
                                disk_format=disk_format)
        template = self.fill(image)
        self.assertEqual(units.Mi, template.image.virtual_size)
        self.assertEqual(units.Gi, template.size)
        self.assertEqual(DATA.ljust(units.Mi, b'\0'),
                         self.read_volume(template.volume_id, units.Mi))
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual([], self.warnings.messages)

    @ddt.data((units.Gi, 1), (units.Gi + 512, 2), (2 * units.Gi, 2),
              (2 * units.Gi + units.Mi, 3))
    @ddt.unpack
    def test_fill_is_sized_in_whole_gib(self, size, gib):
        data = convert(DATA, 'qcow2', size=size)
        image = self.images.add(data, virtual_size=size, disk_format='qcow2')
        template = self.fill(image)
        self.assertEqual(size, template.image.virtual_size)
        self.assertEqual(gib * units.Gi, template.size)
        [volume] = self.templates()
        self.assertEqual(gib * units.Gi, volume.size)

    @ddt.data(1, 511, 513)
    def test_fill_of_raw_image_that_ends_in_a_sector(self, size):
        image = self.images.add(DATA[:size])
        template = self.fill(image)
        self.assertEqual(size, template.image.virtual_size)
        self.assertEqual(DATA[:size],
                         self.read_volume(template.volume_id, size))

    def test_fill_of_smaller_image_than_declared(self):
        # The declared size lets it in; the real one is what counts.
        image = self.images.add(convert(DATA, 'qcow2', size=units.Mi),
                                virtual_size=5 * units.Gi,
                                disk_format='qcow2')
        template = self.fill(image)
        self.assertEqual(units.Mi, template.image.virtual_size)
        self.assertEqual(units.Gi, template.size)

    def test_fill_gives_a_ready_template(self):
        image = self.images.add(DATA)
        template = self.fill(image)
        self.assertTrue(template.usable)
        [volume] = self.templates(image['id'])
        self.assertEqual(
            ('active', 'readOnly', template.attributes()),
            (volume.status, volume.access, volume.attributes))
        self.assertEqual(cfg.CONF.host, template.filled_by)
        self.assertEqual(images.from_metadata(image), template.image)
        self.assertEqual([], os.listdir(
            image_utils.CONF.image_conversion_dir))
        self.assertEqual({}, self.images.temp_images.temporary_images[
            self.context.user_id])

    def test_fill_is_marked_before_the_data_is_there(self):
        image = self.images.add(DATA)
        self.fill(image)
        [create] = [call for call in self.sim.calls
                    if call.method == 'CreateVolume']
        self.assertEqual(
            'filling', create.params['attributes'][tpl.ATTRIBUTE]['state'])
        [publish] = [call for call in self.sim.calls
                     if call.method == 'ModifyVolume']
        self.assertEqual('readOnly', publish.params['access'])

    def test_fill_of_two_images_makes_two_templates(self):
        first = self.fill(self.images.add(DATA))
        second = self.fill(self.images.add(DATA))
        self.assertNotEqual(first.fill_id, second.fill_id)
        self.assertEqual(2, len(self.templates()))


@ddt.ddt
class RefusalTestCase(FillTestCase):
    """Verdicts on the image: FillRefused, and no second download."""

    def assert_refused(self, image, *texts, when='downloaded'):
        exc = self.assert_fails(errors.FillRefused, image)
        for text in texts:
            self.assertIn(text, str(exc))
        self.assertEqual(1 if when == 'converted' else 0,
                         self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()

    def test_fill_of_larger_image_than_declared(self):
        image = self.images.add(convert(DATA, 'qcow2', size=2 * units.Gi),
                                virtual_size=units.Gi, disk_format='qcow2')
        self.assert_refused(image, str(2 * units.Gi), str(units.Gi))

    def test_fill_of_larger_raw_image_than_declared(self):
        image = self.images.add(DATA + b'x', virtual_size=len(DATA))
        self.assert_refused(image, str(len(DATA) + 1), str(len(DATA)))

    def test_fill_of_empty_image(self):
        self.assert_refused(self.images.add(b'', virtual_size=units.Mi))

    def test_fill_of_image_that_is_not_what_it_says(self):
        # A raw image with a qcow2 file in it is a known way to attack.
        image = self.images.add(convert(DATA, 'qcow2'),
                                virtual_size=len(DATA), disk_format='vmdk')
        self.assert_refused(image, when='converted')

    def test_fill_of_broken_image(self):
        image = self.images.add(DATA, disk_format='qcow2')
        self.assert_refused(image, when='converted')

    def test_fill_of_image_with_a_backing_file(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'image')
            subprocess.run(
                ['qemu-img', 'create', '-f', 'qcow2', '-u', '-F', 'raw',
                 '-b', '/etc/passwd', path, '1M'], check=True,
                capture_output=True)
            with open(path, 'rb') as image:
                data = image.read()
        self.assert_refused(self.images.add(
            data, virtual_size=units.Mi, disk_format='qcow2'))

    @ddt.data(exception.InvalidSignatureImage(image_id='i'),
              exception.ImageSignatureVerificationException(reason='bad'))
    def test_fill_of_image_with_bad_signature(self, failure):
        self.override_config('verify_glance_signatures', 'enabled')
        with mock.patch.object(image_utils, 'verify_glance_image_signature',
                               autospec=True, side_effect=failure):
            self.assert_refused(self.images.add(DATA), str(failure))

    def test_clone_image_after_a_refusal_downloads_no_more(self):
        image = self.images.add(DATA + b'x', virtual_size=len(DATA))
        for _i in range(2):
            self.assert_falls_back(image, 'FillRefused', str(len(DATA) + 1))
        self.assertEqual(1, len(self.images.downloads))


class ChangedImageTestCase(FillTestCase):
    """The image changes while it is downloaded."""

    def on_download(self, change):
        self.images.on_download = lambda image_id: change(image_id)

    def assert_not_made(self, image, error_class=errors.TemplateCacheError):
        exc = self.assert_fails(error_class, image)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()
        return exc

    def test_fill_of_image_that_gets_other_data(self):
        image = self.images.add(DATA)
        self.on_download(lambda image_id: self.images.replace(
            image_id, DATA[::-1]))
        self.assertIn('changed', str(self.assert_not_made(image)))

    def test_fill_of_image_without_hash_that_is_updated(self):
        members = {'os_hash_value': None, 'checksum': None}
        image = self.images.add(DATA, **members)
        self.on_download(self.images.touch)
        self.assertIn('changed', str(self.assert_not_made(image)))

    def test_fill_of_image_that_is_only_tagged(self):
        # The data is known to be the same.
        image = self.images.add(DATA)
        self.on_download(self.images.touch)
        template = self.fill(image)
        self.assertIs(tpl.Match.CURRENT,
                      template.compare(images.from_metadata(image)))

    def test_fill_of_image_that_is_made_private(self):
        image = self.images.add(DATA)
        self.on_download(lambda image_id: self.images.touch(
            image_id, visibility='private'))
        self.assertIn('public', str(self.assert_not_made(image)))

    def test_fill_of_image_that_is_deactivated(self):
        image = self.images.add(DATA)
        self.on_download(lambda image_id: self.images.touch(
            image_id, status='deactivated'))
        self.assertIn('not active', str(self.assert_not_made(image)))

    def test_fill_of_image_that_is_deleted(self):
        image = self.images.add(DATA)

        def delete(image_id):
            self.mock_object(
                self.images, 'show', autospec=True,
                side_effect=exception.ImageNotFound(image_id=image_id))

        self.on_download(delete)
        self.assert_not_made(image, exception.ImageNotFound)

    def test_fill_of_image_that_was_made_private_before(self):
        image = self.images.add(DATA)
        self.images.touch(image['id'], visibility='private')
        self.assert_fails(errors.TemplateCacheError, image)
        self.assertEqual([], self.images.downloads)

    def test_fill_of_image_that_was_updated_before(self):
        # What Glance has now is filled, and the record says so.
        image = self.images.add(DATA)
        updated = self.images.replace(image['id'], DATA[::-1])
        template = self.fill(image)
        self.assertEqual(images.from_metadata(updated), template.image)
        self.assertEqual(DATA[::-1], self.read_volume(
            template.volume_id, len(DATA)))

    def test_clone_image_of_image_that_gets_other_data(self):
        image = self.images.add(DATA)
        self.on_download(lambda image_id: self.images.replace(
            image_id, DATA[::-1]))
        self.assert_falls_back(image, 'changed')
        # The next request fills what is there now.
        self.images.on_download = lambda image_id: None
        image = self.images.show(self.context, image['id'])
        model_update, cloned = self.clone(image)
        self.assertTrue(cloned)
        self.assert_holds(model_update, DATA[::-1])

    def test_clone_image_of_image_that_is_deleted(self):
        image = self.images.add(DATA)
        with mock.patch.object(
                self.images, 'show', autospec=True,
                side_effect=exception.ImageNotFound(image_id=image['id'])):
            self.assert_falls_back(image, 'ImageNotFound')


@ddt.ddt
class FailureTestCase(FillTestCase):
    """Whatever fails on the way, no template is left."""

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)

    def test_fill_without_space_for_the_conversion(self):
        usage = mock.Mock(spec_set=['free'], free=len(DATA))
        with mock.patch.object(image_utils.shutil, 'disk_usage',
                               autospec=True, return_value=usage) as looked:
            self.assert_fails(exception.ImageTooBig, self.image)
        looked.assert_called_once_with(image_utils.CONF.image_conversion_dir)
        # Before anything is fetched or made.
        self.assertEqual([], self.images.downloads)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))
        self.assertEqual(0, self.sim.calls.count('AddAccount'))
        self.assert_nothing_left()

    def test_fill_that_runs_out_of_space(self):
        def fill_up(image_id):
            raise OSError(errno.ENOSPC, 'No space left on device')

        self.images.on_download = fill_up
        self.assert_fails(exception.ImageTooBig, self.image)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()

    def test_clone_image_without_space_for_the_conversion(self):
        usage = mock.Mock(spec_set=['free'], free=1)
        with mock.patch.object(image_utils.shutil, 'disk_usage',
                               autospec=True, return_value=usage):
            self.assert_falls_back(self.image, 'no space')
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))

    def test_fill_whose_download_fails(self):
        def fail(image_id):
            raise exception.GlanceConnectionFailed(reason='gone')

        self.images.on_download = fail
        self.assert_fails(exception.GlanceConnectionFailed, self.image)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()

    # A failure of create_export is passed over by Cinder's own code.
    @ddt.data('_attach_volume', '_detach_volume', 'initialize_connection',
              '_connect_device', 'terminate_connection', 'remove_export')
    def test_fill_that_cannot_attach_or_detach(self, method):
        failure = exception.VolumeBackendAPIException(data='it failed')
        with self.patch_driver(method, side_effect=failure) as failing:
            self.assertRaises(FAILURES, self.fill, self.image)
        self.assertEqual(1, failing.call_count)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()

    def test_fill_that_cannot_convert(self):
        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=OSError('cannot write')):
            exc = self.assert_fails(OSError, self.image)
        self.assertEqual([], getattr(exc, '__notes__', []))
        self.assert_nothing_left()

    @ddt.data(('CreateVolume', 'before'), ('ModifyVolume', 'before'),
              ('ModifyVolume', 'after'))
    @ddt.unpack
    def test_fill_that_the_cluster_refuses(self, method, when):
        self.sim.faults.add(method=method, error='xNew', times=None,
                            when=when)
        self.assert_fails(errors.ApiError, self.image)
        self.sim.faults.clear()
        self.assert_nothing_left()

    def test_fill_whose_create_is_carried_out_though_refused(self):
        self.sim.faults.add(method='CreateVolume', error='xNew', when='after')
        template = self.fill(self.image)
        self.assertTrue(template.usable)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))

    def test_fill_that_cannot_clean_up_says_so(self):
        self.sim.faults.add(method='ModifyVolume', error='xFirst')
        self.sim.faults.add(method='DeleteVolume', error='xSecond',
                            times=None)
        exc = self.assert_fails(errors.ApiError, self.image)
        self.assertEqual('xFirst', exc.name)
        [note] = exc.__notes__
        self.assertIn('xSecond', note)

    def test_clone_image_that_cannot_clean_up_says_so_once(self):
        self.sim.faults.add(method='ModifyVolume', error='xFirst')
        self.sim.faults.add(method='DeleteVolume', error='xSecond',
                            times=None)
        self.assertEqual((None, False), self.clone(self.image))
        [message] = self.warnings.messages
        self.assertIn('xFirst', message)
        self.assertIn('xSecond', message)
        # What is left is never cloned, and goes with the next fill.
        self.sim.faults.clear()
        self.warnings.messages.clear()
        model_update, cloned = self.clone(self.image)
        self.assertTrue(cloned)
        self.assert_holds(model_update, DATA)
        self.assertEqual(1, len(self.templates()))

    def test_clone_image_that_cannot_attach(self):
        failure = exception.VolumeBackendAPIException(data='it failed')
        with self.patch_driver('_attach_volume', side_effect=failure):
            self.assert_falls_back(self.image, 'it failed')


class SettingsTestCase(FillTestCase):
    """Cinder's settings for images hold for templates too."""

    def verify(self, result):
        return mock.patch.object(
            image_utils, 'verify_glance_image_signature', autospec=True,
            return_value=result)

    def stamped(self, driver=None):
        stamp = (driver or self.driver).db.volume_glance_metadata_bulk_create
        return [call.args[2] for call in stamp.mock_calls]

    def test_signature_is_not_looked_at_when_disabled(self):
        self.override_config('verify_glance_signatures', 'disabled')
        with self.verify(True) as verify:
            model_update, cloned = self.clone(self.images.add(DATA))
        self.assertTrue(cloned)
        verify.assert_not_called()
        [volume] = self.templates()
        self.assertIsNone(
            volume.attributes[tpl.ATTRIBUTE]['signature_verified'])
        self.assertEqual([], self.stamped())

    def test_signature_is_recorded_and_given_to_each_volume(self):
        self.override_config('verify_glance_signatures', 'enabled')
        for result in (True, False):
            self.driver.db.volume_glance_metadata_bulk_create.reset_mock()
            image = self.images.add(DATA)
            with self.verify(result) as verify:
                for _i in range(2):
                    self.assertTrue(self.clone(image)[1])
            # One look, at what was downloaded.
            self.assertEqual(1, verify.call_count)
            self.assertEqual((self.context, self.images, image['id']),
                             verify.call_args.args[:3])
            [volume] = self.templates(image['id'])
            self.assertIs(
                result,
                volume.attributes[tpl.ATTRIBUTE]['signature_verified'])
            self.assertEqual([{'signature_verified': result}] * 2,
                             self.stamped())
        self.assertEqual([], self.warnings.messages)

    def test_signature_that_was_not_looked_at_is_not_trusted(self):
        self.override_config('verify_glance_signatures', 'disabled')
        image = self.images.add(DATA)
        self.assertTrue(self.clone(image)[1])
        self.override_config('verify_glance_signatures', 'enabled')
        with self.verify(True) as verify:
            self.assertTrue(self.clone(image)[1])
        self.assertEqual(1, verify.call_count)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([{'signature_verified': True}], self.stamped())
        # The one that was looked at replaces the other.
        [volume] = self.templates()
        self.assertIs(
            True, volume.attributes[tpl.ATTRIBUTE]['signature_verified'])

    def test_conversion_disabled_lets_raw_images_in(self):
        self.override_config('image_conversion_disable', True)
        model_update, cloned = self.clone(self.images.add(DATA))
        self.assertTrue(cloned)
        self.assert_holds(model_update, DATA)

    def test_conversion_disabled_keeps_others_out(self):
        self.override_config('image_conversion_disable', True)
        image = self.images.add(convert(DATA, 'qcow2'),
                                virtual_size=len(DATA), disk_format='qcow2')
        self.sim.reset_calls()
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual([], self.sim.calls.methods)
        # In the filler too, should it change meanwhile.
        self.assert_fails(errors.TemplateCacheError, image)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))

    def test_conversion_disabled_keeps_hits_out(self):
        image = self.images.add(convert(DATA, 'qcow2'),
                                virtual_size=len(DATA), disk_format='qcow2')
        self.assertTrue(self.clone(image)[1])
        self.override_config('image_conversion_disable', True)
        self.sim.reset_calls()
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual([], self.sim.calls.methods)

    def test_block_size_is_the_configured_one(self):
        driver = self.new_driver(volume_dd_blocksize='4M')
        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=image_utils.fetch_to_raw) as fetch:
            self.fill(self.images.add(DATA), driver=driver)
        self.assertEqual('4M', fetch.call_args.args[4])
        self.assertEqual(1, fetch.call_args.kwargs['size'])

    def test_emulation_of_512_bytes_is_the_configured_one(self):
        for emulate in (True, False):
            self.fill(self.images.add(DATA),
                      driver=self.new_driver(sf_emulate_512=emulate))
        self.assertEqual([True, False], [
            volume.enable_512e for volume in self.templates()])

    def test_owner_is_the_configured_account(self):
        driver = self.new_driver(sf_template_account_name='templates',
                                 sf_account_prefix='cloud')
        template = self.fill(self.images.add(DATA), driver=driver)
        cluster = self.sim.cluster
        owner = cluster.volumes[template.volume_id].account_id
        self.assertEqual('cloud-templates', cluster.accounts[owner].username)


class AttachTestCase(FillTestCase):
    """Attaching is done as Cinder does it for every image."""

    def test_attach_uses_the_multipath_settings(self):
        for use, enforce in ((False, False), (True, False), (True, True)):
            self.properties.reset_mock()
            driver = self.new_driver()
            group = driver.configuration.config_group
            self.override_config('use_multipath_for_image_xfer', use,
                                 group=group)
            self.override_config('enforce_multipath_for_image_xfer', enforce,
                                 group=group)
            self.fill(self.images.add(DATA), driver=driver)
            self.properties.assert_called_once_with(use, enforce)

    def test_attach_hands_the_properties_on(self):
        self.properties.return_value['enforce_multipath'] = True
        with self.spy_driver('initialize_connection') as initialize:
            with self.spy_driver('terminate_connection') as terminate:
                self.fill(self.images.add(DATA))
        for spy in (initialize, terminate):
            self.assertEqual(1, spy.call_count)
            self.assertEqual(self.properties.return_value,
                             spy.call_args.args[2])

    def test_attach_is_undone_before_the_template_is_ready(self):
        states = []

        def detach(*args, **kwargs):
            states.extend(volume.attributes[tpl.ATTRIBUTE]['state']
                          for volume in self.templates())
            self.assertIs(True, kwargs['force'])
            return original(*args, **kwargs)

        original = type(self.driver)._detach_volume
        with self.patch_driver('_detach_volume', side_effect=detach):
            self.fill(self.images.add(DATA))
        self.assertEqual(['filling'], states)

    def test_attach_with_access_groups(self):
        driver = self.new_driver(sf_enable_vag=True)
        template = self.fill(self.images.add(DATA), driver=driver)
        [create] = [call for call in self.sim.calls
                    if call.method == 'CreateVolumeAccessGroup']
        self.assertEqual([INITIATOR], create.params['initiators'])
        self.assertIn(template.volume_id, create.params['volumes'])
        # The host has no more access when the data is there.
        self.assertEqual({}, self.sim.cluster.access_groups)
        self.assertTrue(template.usable)
        self.assertEqual([], self.warnings.messages)

    def test_attach_with_access_groups_beside_other_volumes(self):
        driver = self.new_driver(sf_enable_vag=True)
        other = self.fill(self.images.add(DATA), driver=driver)
        vag_id = driver._safe_create_vag(INITIATOR, other.volume_id)
        self.fill(self.images.add(DATA), driver=driver)
        group = self.sim.cluster.access_groups[vag_id]
        self.assertEqual([other.volume_id], group.volume_ids)

    def test_attach_with_access_groups_that_fails(self):
        driver = self.new_driver(sf_enable_vag=True)
        self.sim.faults.add(method='CreateVolumeAccessGroup', error='xNew',
                            times=None)
        self.assertRaises(FAILURES, self.fill, self.images.add(DATA),
                          driver=driver)
        self.assert_nothing_left()
        self.assertEqual({}, self.sim.cluster.access_groups)

    def test_secrets_are_in_no_log(self):
        log = clients.Log(self, name='')
        image = self.images.add(DATA)
        for _i in range(2):
            self.assertTrue(self.clone(image)[1])
        self.sim.faults.add(method='ModifyVolume', error='xNew', times=None)
        self.assertFalse(self.clone(self.images.add(DATA))[1])
        ours = [record for record in log.records
                if record.name.startswith(base.PACKAGE)]
        self.assertIn(std_logging.DEBUG,
                      {record.levelno for record in ours})
        accounts = self.sim.cluster.accounts.values()
        self.assertEqual(2, len(accounts))
        for account in accounts:
            for secret in (account.target_secret, account.initiator_secret):
                for line in log.lines:
                    self.assertNotIn(secret, line)
        for line in log.lines:
            self.assertNotIn(self.sim.password + '@', line)
