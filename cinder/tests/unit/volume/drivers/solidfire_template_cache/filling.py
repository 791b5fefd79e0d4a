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

"""What the tests of filling share: image files, fills, checks."""

import functools
import os
import subprocess
import tempfile
from unittest import mock

from os_brick import exception as brick_exception

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume import volume_utils

DATA = b'bootable' * 4096
# What failures to attach and detach come out as.
FAILURES = (exception.CinderException, brick_exception.BrickException)

INITIATOR = 'iqn.1993-08.org.debian:01:host'


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
