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

"""Images that are refused for what they turn out to be."""

import os
import subprocess
import tempfile
from unittest import mock

import ddt
from oslo_utils import units

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import filling
from cinder.volume.drivers.solidfire_template_cache import errors


@ddt.ddt
class RefusalTestCase(filling.FillTestCase):
    """Verdicts on the image: FillRefused, and no second download."""

    def assert_refused(self, image, *texts, when='downloaded'):
        exc = self.assert_fails(errors.FillRefused, image)
        for text in texts:
            self.assertIn(text, str(exc))
        self.assertEqual(1 if when == 'converted' else 0,
                         self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()

    def test_fill_of_larger_image_than_declared(self):
        data = filling.convert(filling.DATA, 'qcow2', size=2 * units.Gi)
        image = self.images.add(data, virtual_size=units.Gi,
                                disk_format='qcow2')
        self.assert_refused(image, str(2 * units.Gi), str(units.Gi))

    def test_fill_of_larger_raw_image_than_declared(self):
        size = len(filling.DATA)
        image = self.images.add(filling.DATA + b'x', virtual_size=size)
        self.assert_refused(image, str(size + 1), str(size))

    def test_fill_of_empty_image(self):
        self.assert_refused(self.images.add(b'', virtual_size=units.Mi))

    def test_fill_of_image_that_is_not_what_it_says(self):
        # A raw image with a qcow2 file in it is a known way to attack.
        image = self.images.add(filling.convert(filling.DATA, 'qcow2'),
                                virtual_size=len(filling.DATA),
                                disk_format='vmdk')
        self.assert_refused(image, when='converted')

    def test_fill_of_broken_image(self):
        image = self.images.add(filling.DATA, disk_format='qcow2')
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
            self.assert_refused(self.images.add(filling.DATA), str(failure))

    def test_clone_image_after_a_refusal_downloads_no_more(self):
        size = len(filling.DATA)
        image = self.images.add(filling.DATA + b'x', virtual_size=size)
        for _i in range(2):
            self.assert_falls_back(image, 'FillRefused', str(size + 1))
        self.assertEqual(1, len(self.images.downloads))
