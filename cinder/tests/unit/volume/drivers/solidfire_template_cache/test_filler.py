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

"""From an image to a template: formats, sizes, marks."""

import os

import ddt
from oslo_config import cfg
from oslo_utils import units

from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import filling
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl

# What glance calls a format, how qemu-img does, and its settings.
FORMATS = (('raw', 'raw', ''), ('qcow2', 'qcow2', ''),
           ('vmdk', 'vmdk', 'subformat=streamOptimized'),
           ('vmdk', 'vmdk', 'subformat=monolithicSparse'),
           ('vhdx', 'vhdx', ''))


@ddt.ddt
class FormatTestCase(filling.FillTestCase):

    @ddt.data(*FORMATS)
    @ddt.unpack
    def test_fill_of_format(self, disk_format, kind, settings):
        data = filling.convert(filling.DATA, kind, settings, units.Mi)
        image = self.images.add(data, virtual_size=units.Mi,
                                disk_format=disk_format)
        template = self.fill(image)
        self.assertEqual(units.Mi, template.image.virtual_size)
        self.assertEqual(units.Gi, template.size)
        self.assertEqual(filling.DATA.ljust(units.Mi, b'\0'),
                         self.read_volume(template.volume_id, units.Mi))
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual([], self.warnings.messages)

    @ddt.data((units.Gi, 1), (units.Gi + 512, 2), (2 * units.Gi, 2),
              (2 * units.Gi + units.Mi, 3))
    @ddt.unpack
    def test_fill_is_sized_in_whole_gib(self, size, gib):
        data = filling.convert(filling.DATA, 'qcow2', size=size)
        image = self.images.add(data, virtual_size=size, disk_format='qcow2')
        template = self.fill(image)
        self.assertEqual(size, template.image.virtual_size)
        self.assertEqual(gib * units.Gi, template.size)
        [volume] = self.templates()
        self.assertEqual(gib * units.Gi, volume.size)

    @ddt.data(1, 511, 513)
    def test_fill_of_raw_image_that_ends_in_a_sector(self, size):
        image = self.images.add(filling.DATA[:size])
        template = self.fill(image)
        self.assertEqual(size, template.image.virtual_size)
        self.assertEqual(filling.DATA[:size],
                         self.read_volume(template.volume_id, size))

    def test_fill_of_smaller_image_than_declared(self):
        # The declared size lets it in; the real one is what counts.
        data = filling.convert(filling.DATA, 'qcow2', size=units.Mi)
        image = self.images.add(data, virtual_size=5 * units.Gi,
                                disk_format='qcow2')
        template = self.fill(image)
        self.assertEqual(units.Mi, template.image.virtual_size)
        self.assertEqual(units.Gi, template.size)

    def test_fill_gives_a_ready_template(self):
        image = self.images.add(filling.DATA)
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
        image = self.images.add(filling.DATA)
        self.fill(image)
        [create] = [call for call in self.sim.calls
                    if call.method == 'CreateVolume']
        self.assertEqual(
            'filling', create.params['attributes'][tpl.ATTRIBUTE]['state'])
        [publish] = [call for call in self.sim.calls
                     if call.method == 'ModifyVolume']
        self.assertEqual('readOnly', publish.params['access'])

    def test_fill_of_two_images_makes_two_templates(self):
        first = self.fill(self.images.add(filling.DATA))
        second = self.fill(self.images.add(filling.DATA))
        self.assertNotEqual(first.fill_id, second.fill_id)
        self.assertEqual(2, len(self.templates()))
