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

"""Fills that fail on the way, and what they leave."""

import errno
from unittest import mock

import ddt

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import filling
from cinder.volume.drivers.solidfire_template_cache import errors


@ddt.ddt
class FailureTestCase(filling.FillTestCase):
    """Whatever fails on the way, no template is left."""

    def setUp(self):
        super().setUp()
        self.image = self.images.add(filling.DATA)

    def test_fill_without_space_for_the_conversion(self):
        usage = mock.Mock(spec_set=['free'], free=len(filling.DATA))
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
            self.assertRaises(filling.FAILURES, self.fill, self.image)
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
        self.assert_holds(model_update, filling.DATA)
        self.assertEqual(1, len(self.templates()))

    def test_clone_image_that_cannot_attach(self):
        failure = exception.VolumeBackendAPIException(data='it failed')
        with self.patch_driver('_attach_volume', side_effect=failure):
            self.assert_falls_back(self.image, 'it failed')
