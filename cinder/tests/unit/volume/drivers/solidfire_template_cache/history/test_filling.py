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

"""Past faults of filling a template with an image's data."""

import collections
import errno
import os
from unittest import mock

import ddt
from oslo_config import cfg
from oslo_utils import units

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import store
from cinder.volume.drivers.solidfire_template_cache import template as tpl

CONF = cfg.CONF

Usage = collections.namedtuple('Usage', 'total used free')


class TemplateTestCase(base.HistoryTestCase):
    """What a fill makes of an image."""

    def test_a1_tests_fill_moves_real_bytes(self):
        # In the old tests every hit for the fill function was a mock.
        data = os.urandom(units.Mi)
        image = self.images.add(data)
        self.assert_served(self.clone(image), data)
        template = self.templates()[0]
        self.assertEqual(data, self.read_volume(template.volume_id,
                                                len(data)))

    def test_commit_ee653ad13_caching_is_off_unless_allowed(self):
        driver = self.new_driver()
        CONF.clear_override('sf_allow_template_caching',
                            group=driver.configuration.config_group)
        self.sim.reset_calls()
        self.assertEqual((None, False),
                         self.clone(self.images.add(base.DATA),
                                    driver=driver))
        self.assertEqual([], self.sim.calls.methods)
        self.assertEqual([], self.lines.records)

    def test_commit_ee653ad13_size_comes_from_the_data(self):
        # The declared size was believed, and had to be set by hand.
        image = self.images.add(base.DATA, virtual_size=3 * units.Gi)
        self.assert_served(self.clone(image, self.new_volume(size=4)))
        self.assertEqual(units.Gi, self.templates()[0].size)

    def test_commit_ee653ad13_template_under_way_is_marked(self):
        image = self.images.add(base.DATA)
        seen = []
        fetch_to_raw = image_utils.fetch_to_raw

        def look(*args, **kwargs):
            for template in self.templates():
                seen.append(template.attributes[tpl.ATTRIBUTE]['state'])
            return fetch_to_raw(*args, **kwargs)

        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=look):
            self.assert_served(self.clone(image))
        self.assertEqual(['filling'], seen)
        self.assertEqual(
            'ready',
            self.templates()[0].attributes[tpl.ATTRIBUTE]['state'])

    def test_bug_1494830_size_of_a_converted_image_is_its_own(self):
        size = units.Gi + 512
        image = self.images.add(self.qcow2(base.DATA, size),
                                virtual_size=size, disk_format='qcow2')
        self.assert_served(self.clone(image, self.new_volume(size=2)))
        self.assertEqual(2 * units.Gi, self.templates()[0].size)

    def test_bug_1494830_size_may_be_told_as_a_property(self):
        image = self.images.add(base.DATA)
        image.update(virtual_size=None,
                     properties={'virtual_size': str(len(base.DATA))})
        self.images.images[image['id']][0].update(image)
        self.assert_served(self.clone(image))

    def test_bug_1454425_payloads_of_a_fill_and_its_clone(self):
        image = self.images.add(base.DATA)
        volume = self.new_volume(size=2, display_name='root')
        self.assert_served(self.clone(image, volume))
        template = self.templates()[0]
        ready = template.attributes
        filling = {tpl.ATTRIBUTE: dict(
            ready[tpl.ATTRIBUTE], state='filling',
            last_used=ready[tpl.ATTRIBUTE]['filled_at'])}
        self.assertEqual(
            [{'name': tpl.name_for(image['id']),
              'accountID': self.account_id(), 'totalSize': units.Gi,
              'enable512e': True, 'attributes': filling}],
            self.params_of('CreateVolume'))
        self.assertEqual(
            [{'volumeID': template.volume_id, 'attributes': ready,
              'access': 'readOnly'}], self.params_of('ModifyVolume'))
        self.assertEqual(
            [{'volumeID': template.volume_id, 'name': 'UUID-' + volume['id'],
              'newAccountID': self.account_id(volume['project_id']),
              'newSize': 2 * units.Gi, 'access': 'readWrite',
              'enable512e': True,
              'attributes': {
                  'uuid': volume['id'], 'is_clone': True,
                  'created_at': volume.created_at.isoformat(),
                  'cinder-name': 'root'}}],
            self.params_of('CloneVolume'))

    def test_a3_4_ready_template_is_read_only_and_its_clone_is_not(self):
        self.assert_served(self.clone(self.images.add(base.DATA)))
        self.assertEqual('readOnly', self.templates()[0].access)
        self.assertEqual('readWrite', self.tenant_volumes()[0].access)

    def test_a3_4_template_that_became_writable_is_not_cloned(self):
        image = self.images.add(base.DATA)
        planted = self.plant(image, b'scribble', access='readWrite')
        self.assert_served(self.clone(image))
        self.assertNotIn(planted, self.sources())

    def test_a3_18_image_name_is_no_part_of_the_attributes(self):
        image = self.images.add(base.DATA, name='\N{SNOWMAN}\n"' * 500)
        self.assert_served(self.clone(image))
        self.assertNotIn('\N{SNOWMAN}', str(self.templates()[0].attributes))

    def test_bug_1680314_fill_and_clone_leave_the_volume_as_it_was(self):
        volume = self.new_volume(size=2)
        before = volume.obj_to_primitive()
        self.assert_served(self.clone(self.images.add(base.DATA), volume))
        self.assertEqual(before, volume.obj_to_primitive())

    def test_bug_1680314_failed_fill_leaves_the_volume_as_it_was(self):
        volume = self.new_volume(size=2)
        before = volume.obj_to_primitive()
        image = self.images.add(base.DATA, disk_format='qcow2')
        self.assert_fell_back(self.clone(image, volume), image, volume)
        self.assertEqual(before, volume.obj_to_primitive())

    def test_head_cache_new_copy_is_ready_before_the_old_one_goes(self):
        # The old entry went first, and who came meanwhile downloaded.
        image = self.images.add(base.DATA)
        old = self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA)
        self.assert_served(self.clone(newer), base.OTHER_DATA)
        methods = self.sim.calls.methods
        self.assertLess(methods.index('ModifyVolume'),
                        methods.index('DeleteVolume'))
        self.assertEqual([{'volumeID': old}], self.params_of('DeleteVolume'))

    def test_head_cache_old_copy_stays_when_the_new_fill_fails(self):
        image = self.images.add(base.DATA)
        old = self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA)
        self.sim.faults.add(method='CreateVolume', error='xExceededLimit')
        volume = self.new_volume()
        self.assert_fell_back(self.clone(newer, volume), newer, volume)
        self.assertEqual([old], [template.volume_id for template in
                                 self.templates()])
        self.assert_served(self.clone(newer), base.OTHER_DATA)


@ddt.ddt
class FailingFillTestCase(base.HistoryTestCase):

    def test_a3_6_failed_fill_falls_back_to_a_download(self):
        # It gave None, which nobody looked at, and VolumeNotFound followed.
        self.sim.faults.add(method='CreateVolume', error='xExceededLimit')
        image = self.assert_fails_to_fill('xExceededLimit')
        self.assert_served(self.clone(image))

    @ddt.data(OSError(errno.ENOSPC, 'full'), OSError(errno.EIO, 'broken'),
              exception.ImageNotFound(image_id='it'), KeyError('size'),
              exception.GlanceConnectionFailed(reason='away'),
              exception.NotAuthorized(), RuntimeError('anything'))
    def test_a3_7_error_of_the_download_falls_back(self, error):
        def fail(image_id):
            self.images.on_download = lambda image_id: None
            raise error

        self.images.on_download = fail
        image = self.assert_fails_to_fill()
        self.assert_served(self.clone(image))

    @ddt.data(exception.ImageUnacceptable(image_id='it', reason='the test'),
              exception.ImageTooBig(image_id='it', reason='the test'),
              solidfire.SolidFireDuplicateVolumeNames(vol_name='the test'),
              OSError(errno.ENOSPC, 'the test'), ValueError('the test'))
    def test_a3_7_error_of_the_copy_falls_back(self, error):
        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=error):
            self.assert_fails_to_fill('the test')
        self.assertEqual(1, self.sim.calls.count('PurgeDeletedVolume'))

    def test_a3_23_no_room_for_the_image_is_seen_before_the_download(self):
        self._fill_disk()
        self.assert_fails_to_fill('no space')
        self.assertEqual([], self.images.downloads)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))

    def test_bug_1744383_hit_needs_no_room(self):
        image = self.images.add(base.DATA)
        self.plant(image)
        self._fill_disk()
        for _i in range(2):
            self.assert_served(self.clone(image))

    def _fill_disk(self):
        self.patch('shutil.disk_usage', autospec=True,
                   return_value=Usage(units.Gi, units.Gi, 0))

    def test_commit_494264e79_room_is_counted_in_bytes(self):
        self.patch('shutil.disk_usage', autospec=True,
                   return_value=Usage(units.Gi, 0, len(base.DATA) + 1))
        self.assert_served(self.clone(self.images.add(base.DATA)))

    def test_commit_494264e79_temporary_file_tells_whose_it_is(self):
        # At its start a service removes what ends in its own name.
        files = []
        self.images.on_download = lambda image_id: files.extend(
            self.conversion_files())
        volume = self.new_volume(host='node@fast#pool')
        image = self.images.add(base.DATA)
        self.assert_served(self.clone(image, volume))
        self.assertEqual(1, len(files))
        self.assertTrue(files[0].endswith('node@fast'), files)
        self.assertEqual([], self.conversion_files())

    @ddt.data('download', 'copy', 'publish')
    def test_a3_1_crash_in_a_fill_leaves_nothing_that_is_cloned(self, where):
        # The image's identity stood on the volume before any data.
        image = self.images.add(base.DATA)
        with self._crash(where):
            self.assertRaises(base.Crash, self.clone, image)
        left = [template.volume_id for template in self.templates()]
        self.assertEqual(0 if where == 'download' else 1, len(left))
        self.assert_served(self.clone(image, driver=self.new_driver()))
        template = self.templates()
        self.assertEqual(1, len(template))
        self.assertEqual({template[0].volume_id}, self.sources())
        self.assertNotIn(template[0].volume_id, left)

    def _crash(self, where):
        if where == 'download':
            return mock.patch.object(self.images, 'on_download',
                                     autospec=True, side_effect=base.Crash)
        if where == 'publish':
            return mock.patch.object(store.TemplateStore, 'publish',
                                     autospec=True, side_effect=base.Crash)
        return mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                                 side_effect=self._write_a_part)

    @staticmethod
    def _write_a_part(context, service, image_id, device, *args, **kwargs):
        with open(device, 'r+b') as target:
            target.write(b'part')
        raise base.Crash()
