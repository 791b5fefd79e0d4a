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

"""Malicious images: refused, or served as the bytes that they are.

A refused image leaves nothing on the cluster or on this host. One line of
the log names the image, the volume and the reason, and the image is not
downloaded again while the refusal is cached.
"""

import os
from unittest import mock

from oslo_utils import units

from cinder.image import format_inspector
from cinder.image import image_utils
from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.functional.solidfire_template_cache import untrusted
from cinder.volume.drivers.solidfire_template_cache.templates import \
    fill_failures

DATA = b'bootable' * 600

# How the file is made, and the disk formats that it claims to have.
REFUSED_FILES = {
    # Those that let qemu-img read other files.
    'qcow2_with_absolute_backing_file': ('qcow2', 'raw'),
    'qcow2_with_relative_backing_file': ('qcow2', 'raw'),
    'qcow2_with_backing_protocol': ('qcow2', 'raw'),
    'qcow2_with_data_file': ('qcow2', 'raw'),
    'vmdk_flat': ('vmdk', 'qcow2'),
    'vmdk_sparse_with_flat_descriptor': ('vmdk', 'raw'),
    'vmdk_with_foreign_extent': ('vmdk', 'raw', 'qcow2'),
    # Those with an invalid header.
    'qcow2_with_huge_refcount_table': ('qcow2', 'raw'),
    'qcow2_with_unknown_feature': ('qcow2',),
    'qcow2_of_unknown_version': ('qcow2', 'raw'),
    'qcow2_of_size_zero': ('qcow2',),
    'qcow2_of_impossible_size': ('qcow2', 'raw'),
    'qcow2_of_terabyte': ('qcow2', 'raw'),
    'qcow2_truncated': ('qcow2',), 'empty': ('raw', 'qcow2'),
    # Those that have another format than they claim.
    'qcow2': ('raw', 'vmdk'), 'vmdk': ('raw', 'qcow2'), 'vhd': ('raw',),
    'vhdx': ('raw',), 'vdi': ('raw',), 'qed': ('raw',),
    'raw': ('qcow2', 'vmdk', 'vhd', 'vhdx'), 'gzip': ('qcow2',),
    'tar': ('vmdk',)}

# Harmless ones: they hold what Cinder's image download would write.
SERVED_FILES = {
    'gzip': ('raw', 'iso'), 'tar': ('raw',), 'qcow2_truncated': ('raw',),
    'vmdk_flat': ('raw',), 'qcow2_with_snapshot': ('qcow2',),
    'qcow2_with_wide_refcounts': ('qcow2',), 'vmdk': ('vmdk',),
    'vhdx': ('vhdx',), 'vdi': ('vdi',)}

# The members of an image's record that are read.
READ_MEMBERS = (
    'id', 'status', 'visibility', 'owner', 'container_format', 'disk_format',
    'size', 'virtual_size', 'checksum', 'os_hash_algo', 'os_hash_value',
    'updated_at', 'properties')


class UntrustedImagesTestCase(scenario.ScenarioTestCase):

    account_is_full = False

    def setUp(self):
        super().setUp()
        self.data = DATA
        # Beside the directory into which images are downloaded.
        self.secret = os.path.join(self.state, 'secret')
        self.factory = untrusted.ImageFactory(DATA, self.secret)
        driver_class = type(self.driver)
        self.attached, self.detached = (
            self.mock_object(driver_class, method, autospec=True,
                             side_effect=getattr(driver_class, method))
            for method in ('initialize_connection', 'terminate_connection'))
        # The data of each volume are checked before it is removed.
        files = self.sim.cluster.files
        remove = files.remove

        def check_and_remove(name):
            self.assert_secret_not_in(files.path(name))
            remove(name)

        self.mock_object(files, 'remove', check_and_remove)

    def assert_secret_not_in(self, path):
        if os.path.exists(path):
            with open(path, 'rb') as data:
                # All data of these images is at the beginning.
                start = data.read(4 * units.Mi)
            self.assertFalse(untrusted.SECRET[:20] in start, path)

    def renew(self):
        """Begin a case: an empty cluster, and a driver without a cache."""
        self.clear_cluster()
        self.images.images.clear()
        del self.images.downloads[:]
        self.forget(self.driver)
        with open(self.secret, 'wb') as secret:
            secret.write(untrusted.SECRET * 40)

    def add_file(self, kind, disk_format):
        if os.path.exists(self.secret):
            os.remove(self.secret)
        data = self.factory.make(kind)
        self.renew()
        return self.images.add(data, disk_format=disk_format,
                               virtual_size=units.Gi)

    # Checks

    def assert_nothing_left(self):
        self.assertEqual({}, self.sim.cluster.volumes)
        self.assertEqual([], self.conversion_files())
        self.assertEqual(self.attached.call_count, self.detached.call_count)

    def assert_warned(self, image, text=''):
        """Check a request that falls back with one warning; return it."""
        volume = self.new_volume()
        result = self.clone(image, volume)
        self.assertNotIn(untrusted.SECRET[:20].decode(), self.log.text)
        warning = self.check_fallback(image, volume, result)
        self.assertIn(text, warning)
        self.assertEqual(1, len(warning.splitlines()))
        self.assert_nothing_left()
        return warning

    def assert_serves(self, image, data):
        for _i in range(2):
            volume = self.new_volume()
            model_update, cloned = self.clone(image, volume)
            self.assertEqual([], self.log.warnings)
            self.assertTrue(cloned)
            self.assert_volume(volume, model_update, data)
        self.assertEqual(1, len(self.images.downloads))
        self.assert_no_leftovers()
        self.assertEqual(self.attached.call_count, self.detached.call_count)

    # Files

    def run_files(self, check, files):
        self.run_cases([
            ('%s as %s' % (kind, disk_format), check, kind, disk_format)
            for kind, formats in files.items() for disk_format in formats])

    def check_refused(self, kind, disk_format):
        image = self.add_file(kind, disk_format)
        first = self.assert_warned(image, 'FillRefused')
        # It names the defect, not only that there is one.
        self.assertNotIn('Unacceptable parameters', first)
        second = self.assert_warned(image, 'FillRefused')
        self.assertEqual(first.partition('FillRefused')[2],
                         second.partition('FillRefused')[2])
        self.assertEqual([image['id']], self.images.downloads)
        self.clock.advance(fill_failures.REFUSAL_SECONDS)
        self.assert_warned(image, 'FillRefused')
        self.assertEqual(2, len(self.images.downloads))

    def test_clone_image_of_malicious_or_invalid_file(self):
        self.run_files(self.check_refused, REFUSED_FILES)

    def check_served(self, kind, disk_format):
        image = self.add_file(kind, disk_format)
        self.assert_serves(image, self.images.images[image['id']][1] if (
            disk_format in ('raw', 'iso')) else DATA)

    def test_clone_image_of_unusual_file(self):
        self.run_files(self.check_served, SERVED_FILES)

    def test_secret_is_read_without_the_checks(self):
        # So that the tests above can fail.
        image = self.add_file('vmdk_sparse_with_flat_descriptor', 'vmdk')
        with mock.patch.object(format_inspector.VMDKInspector, 'safety_check',
                               autospec=True, return_value=True), \
                mock.patch.object(image_utils, 'check_vmdk_image',
                                  autospec=True):
            self.clone(image)
        [template] = self.templates()
        path = self.sim.cluster.volume_path(template.volume_id)
        self.assertRaises(AssertionError, self.assert_secret_not_in, path)
        with open(path, 'r+b') as data:
            data.write(bytes(units.Mi))

    # Records

    def check_record(self, member, value, both):
        """Request a volume with a record in which a member has a value.

        :param both: whether the request has it, too, or only the Image
            service when the filler reads it again
        """
        self.renew()
        image = self.images.add(DATA)
        requested = dict(image)
        stored = self.images.images[image['id']][0]
        for record in (stored, requested) if both else (stored,):
            del record[member]
            if value is not untrusted.ABSENT:
                record[member] = value
        volume = self.new_volume()
        model_update, cloned = self.clone(requested, volume)
        if cloned:
            self.assert_volume(volume, model_update, DATA)
            self.assertEqual([], self.log.warnings)
        else:
            # One line says that no template is used.
            line, = self.log.about('without a template')
            self.assertTrue(line.isprintable() and line.isascii(),
                            ascii(line))
            self.assertLess(len(line), 2000)
            self.assertIn(volume.id, line)
            self.log.clear()
            self.assertEqual([], self.tenant_volumes())
        self.assert_no_leftovers()
        for template in self.templates():
            self.assertEqual('OpenStackIMG-%s' % image['id'], template.name)

    def test_clone_image_with_any_record(self):
        cases = [(member, value, both) for member in READ_MEMBERS
                 for value in untrusted.VALUES + (untrusted.ABSENT,)
                 for both in (True, False)]
        cases += [(member, text, True) for text in untrusted.TEXTS
                  for member in ('id', 'name', 'owner', 'os_hash_value',
                                 'disk_format', 'virtual_size', 'updated_at')]
        cases += [('properties', value, True) for text in untrusted.TEXTS
                  for value in (
                      {'virtual_size': text, 'os_encrypt_format': text},
                      {'name': text, text: 'name'}, {text: None})]
        cases.append(('properties', {'key %d' % number: 'x' * 100
                                     for number in range(1000)}, True))
        self.run_cases([
            ('%s: %.60a, %s' % (member, value,
                                'in both' if both else 'read again'),
             self.check_record, member, value, both)
            for member, value, both in cases])
