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

"""Images made to harm: each is refused, or serves as the bytes that it is.

What is refused leaves nothing, on the cluster or on this host, is told of
in one line that names the image, the volume and why, and is not downloaded
again while that is remembered.
"""

import os
from unittest import mock

from oslo_utils import units

from cinder.image import format_inspector
from cinder.image import image_utils
from cinder.tests.functional.solidfire_template_cache import hostile
from cinder.tests.functional.solidfire_template_cache import walk
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import eligibility
from cinder.volume.drivers.solidfire_template_cache import failures

DATA = b'bootable' * 600

# How the file is made, and as what it is declared.
BAD_FILES = (
    # Those that tell qemu to read elsewhere.
    ('qcow2_backed_absolutely', 'qcow2'), ('qcow2_backed_absolutely', 'raw'),
    ('qcow2_backed_relatively', 'qcow2'), ('qcow2_backed_relatively', 'raw'),
    ('qcow2_backed_by_protocol', 'qcow2'),
    ('qcow2_backed_by_protocol', 'raw'),
    ('qcow2_with_data_file', 'qcow2'), ('qcow2_with_data_file', 'raw'),
    ('vmdk_flat', 'vmdk'), ('vmdk_flat', 'qcow2'),
    ('vmdk_flat_within', 'vmdk'), ('vmdk_flat_within', 'raw'),
    ('vmdk_foreign_extent', 'vmdk'), ('vmdk_foreign_extent', 'raw'),
    ('vmdk_foreign_extent', 'qcow2'),
    # Those that lie in their headers.
    ('qcow2_with_endless_refcounts', 'qcow2'),
    ('qcow2_with_endless_refcounts', 'raw'),
    ('qcow2_with_unknown_feature', 'qcow2'),
    ('qcow2_of_another_version', 'qcow2'),
    ('qcow2_of_another_version', 'raw'),
    ('qcow2_of_no_size', 'qcow2'), ('qcow2_of_any_size', 'qcow2'),
    ('qcow2_of_any_size', 'raw'), ('qcow2_of_terabyte', 'qcow2'),
    ('qcow2_of_terabyte', 'raw'), ('qcow2_cut', 'qcow2'),
    ('empty', 'raw'), ('empty', 'qcow2'),
    # Those that are not what they are declared to be.
    ('qcow2', 'raw'), ('qcow2', 'vmdk'), ('vmdk', 'raw'), ('vmdk', 'qcow2'),
    ('vhd', 'raw'), ('vhdx', 'raw'), ('vdi', 'raw'), ('qed', 'raw'),
    ('raw', 'qcow2'), ('raw', 'vmdk'), ('raw', 'vhd'), ('raw', 'vhdx'),
    ('iso', 'qcow2'), ('gpt', 'qcow2'), ('gpt', 'vmdk'), ('luks', 'qcow2'),
    ('gzipped', 'qcow2'), ('tar', 'vmdk'))

# Harmless, however odd: they hold what the normal way would bring.
ODD_FILES = (
    ('gpt', 'raw'), ('iso', 'raw'), ('iso', 'iso'), ('luks', 'raw'),
    ('gzipped', 'raw'), ('tar', 'raw'), ('qcow2_cut', 'raw'),
    ('vmdk_flat', 'raw'), ('qcow2_with_snapshot', 'qcow2'),
    ('qcow2_with_wide_refcounts', 'qcow2'), ('vmdk', 'vmdk'),
    ('vhdx', 'vhdx'), ('vdi', 'vdi'))

WHOLE = ('gpt', 'iso', 'luks', 'gzipped', 'tar', 'qcow2_cut', 'vmdk_flat')
"""Files that are raw, so that all of each is the data."""

# What Cinder passes on of an image of the Image service, and what of that
# counts for nobody here.
MEMBERS = ('id', 'status', 'visibility', 'owner', 'container_format',
           'disk_format', 'size', 'virtual_size', 'checksum', 'os_hash_algo',
           'os_hash_value', 'updated_at', 'properties')
IDLE = ('name', 'min_disk', 'min_ram', 'created_at')

PACKED = eligibility.Reason.IMAGE_PACKED
TOO_LARGE = eligibility.Reason.IMAGE_TOO_LARGE


class HostileImagesTestCase(walk.Path):

    def setUp(self):
        super().setUp()
        self.data = DATA
        self.log = clients.Log(self)
        # Beside the directory with what was downloaded.
        self.secret = os.path.join(self.state, 'secret')
        self.workshop = hostile.Workshop(DATA, self.secret)
        self._watch_data()
        # As it is on a host that has once downloaded an image.
        self.conversion = os.path.join(self.state, 'conversion')
        os.makedirs(self.conversion)
        self.attached = self._spy('initialize_connection')
        self.detached = self._spy('terminate_connection')

    def _spy(self, method):
        driver_class = type(self.driver)
        return self.mock_object(driver_class, method, autospec=True,
                                side_effect=getattr(driver_class, method))

    def _watch_data(self):
        """Look for the secret in what is removed, before it is gone."""
        files = self.sim.cluster.files
        remove = files.remove

        def look_and_remove(name):
            self.assert_secret_not_in(files.path(name))
            remove(name)

        self.mock_object(files, 'remove', autospec=True,
                         side_effect=look_and_remove)

    def assert_secret_not_in(self, path):
        if os.path.exists(path):
            with open(path, 'rb') as data:
                # All that is in the images of these tests is at the front.
                start = data.read(4 * units.Mi)
            self.assertFalse(hostile.SECRET[:20] in start, path)

    def renew(self):
        """Begin a case: a cluster without anything, a host that is new."""
        self.clear_cluster()
        self.images.images.clear()
        self.images.downloads.clear()
        self.forget(self.driver)
        self.log.clear()
        with open(self.secret, 'wb') as secret:
            secret.write(hostile.SECRET * 40)

    def add_file(self, kind, disk_format, **members):
        members.setdefault('virtual_size', units.Gi)
        if os.path.exists(self.secret):
            os.remove(self.secret)
        data = getattr(self.workshop, kind)()
        self.renew()
        return self.images.add(data, disk_format=disk_format, **members)

    def run_cases(self, cases):
        failure = None
        try:
            super().run_cases(cases)
        except self.failureException as exc:
            # It may hold texts that cannot be written down.
            failure = str(exc).encode('ascii', 'backslashreplace').decode()
        if failure:
            self.fail(failure)

    # What must be so

    def assert_nothing_left(self):
        files = self.sim.cluster.files
        for volume in self.sim.cluster.volumes.values():
            self.assert_secret_not_in(files.path(
                'volume-%d' % volume.volume_id))
        self.assertEqual({}, self.sim.cluster.volumes)
        self.assertEqual([], os.listdir(self.conversion))
        self.assertEqual(self.attached.call_count, self.detached.call_count)

    def assert_warned(self, image, *texts):
        """Check that a request is refused with one warning; return it."""
        volume = self.new_volume()
        warning = self.check_fallback(image, volume,
                                      self.clone(image, volume))
        for text in texts:
            self.assertIn(text, warning)
        self.assertEqual(1, len(warning.splitlines()))
        self.assertNotIn(hostile.SECRET[:20].decode(), self.log.text)
        self.assert_nothing_left()
        return warning

    def assert_refused(self, image, reason):
        """Check that a request is refused before anything is done."""
        volume = self.new_volume()
        self.assertEqual((None, False), self.clone(image, volume))
        told = ' '.join(self.log.at(clients.std_logging.INFO))
        for text in (volume.id, str(image['id']), reason.name):
            self.assertIn(text, told)
        self.assertEqual([], self.warnings.messages)
        self.assertEqual([], self.images.downloads)
        self.assert_nothing_left()

    def assert_serves(self, image, data):
        for _i in range(2):
            volume = self.new_volume()
            model_update, cloned = self.clone(image, volume)
            self.assertEqual([], self.warnings.messages)
            self.assertTrue(cloned)
            self.assert_volume(volume, model_update, data)
        self.assertEqual(1, len(self.images.downloads))
        self.assert_no_debris()
        self.assertEqual(self.attached.call_count, self.detached.call_count)

    # Files

    def check_bad_file(self, kind, disk_format):
        image = self.add_file(kind, disk_format)
        first = self.assert_warned(image, 'FillRefused')
        # It says what is wrong with the image, not only that something is.
        self.assertNotIn('Unacceptable parameters', first)
        second = self.assert_warned(image, 'FillRefused')
        self.assertEqual(first.partition('FillRefused')[2],
                         second.partition('FillRefused')[2])
        self.assertEqual([image['id']], self.images.downloads)
        self.clock.advance(failures.REFUSAL_SECONDS)
        self.assert_warned(image, 'FillRefused')
        self.assertEqual(2, len(self.images.downloads))

    def test_clone_image_of_bad_file(self):
        self.run_cases([
            ('%s as %s' % case, self.check_bad_file, *case)
            for case in BAD_FILES])

    def check_odd_file(self, kind, disk_format):
        image = self.add_file(kind, disk_format)
        data = self.images.images[image['id']][1]
        self.assert_serves(image, data if kind in WHOLE else DATA)

    def test_clone_image_of_odd_file(self):
        self.run_cases([
            ('%s as %s' % case, self.check_odd_file, *case)
            for case in ODD_FILES])

    def test_bad_file_would_tell_the_secret(self):
        # Without the checks it does what it was made for.
        image = self.add_file('vmdk_flat_within', 'vmdk')
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

    # Sizes

    def test_clone_image_of_terabyte_declared_as_gibibyte(self):
        for by_property in (False, True):
            image = self.add_file('qcow2_of_terabyte', 'qcow2')
            if by_property:
                image = self.images.touch(
                    image['id'], virtual_size=None,
                    properties={'virtual_size': str(units.Gi)})
            self.assertLess(image['size'], 256 * units.Ki)
            self.assert_warned(image, str(units.Ti), str(units.Gi))
            self.assertEqual(0, self.sim.calls.count('CreateVolume'))

    def test_clone_image_of_terabyte_that_is_declared(self):
        image = self.add_file('qcow2_of_terabyte', 'qcow2',
                              virtual_size=units.Ti)
        self.assert_refused(image, TOO_LARGE)

    def test_clone_image_of_other_size_than_declared(self):
        for kind, disk_format in (('raw', 'raw'), ('qcow2', 'qcow2')):
            image = self.add_file(kind, disk_format,
                                  virtual_size=len(DATA) - 1)
            self.assert_warned(image, 'FillRefused', str(len(DATA) - 1))
            image = self.add_file(kind, disk_format,
                                  virtual_size=units.Gi - 1)
            self.assert_serves(image, DATA)

    def test_clone_image_of_other_file_size_than_declared(self):
        for size in (1, units.Mi):
            image = self.add_file('raw', 'raw', size=size)
            self.assert_warned(image, str(len(DATA)), str(size))

    # Containers

    def test_clone_image_of_packed_image(self):
        for kind, disk_format, container in (
                ('gzipped', 'raw', 'compressed'),
                ('gzipped', 'qcow2', 'compressed'),
                ('qcow2', 'qcow2', 'compressed'), ('tar', 'vhd', 'ovf')):
            image = self.add_file(kind, disk_format,
                                  container_format=container)
            self.assert_refused(image, PACKED)

    def test_clone_image_of_image_packed_meanwhile(self):
        image = self.add_file('gzipped', 'raw')
        self.images.touch(image['id'], container_format='compressed')
        self.assert_warned(image, PACKED.value)
        self.assertEqual([], self.images.downloads)

    # Metadata

    def check_survives(self, image, asked):
        """Ask with such metadata; whole bytes or nothing come out."""
        volume = self.new_volume()
        model_update, cloned = self.clone(asked, volume)
        if cloned:
            self.assert_volume(volume, model_update, DATA)
            self.assertEqual([], self.warnings.messages)
        else:
            self.assert_told(volume)
            self.assertEqual([], self.tenant_volumes())
        self.assert_no_debris()
        for template in self.templates():
            self.assertEqual('OpenStackIMG-%s' % image['id'], template.name)

    def assert_told(self, volume):
        """Check that one line says that no template is used."""
        level = (clients.std_logging.WARNING if self.warnings.messages
                 else clients.std_logging.INFO)
        told = [line for line in self.log.at(level)
                if 'without a template' in line]
        self.assertEqual(1, len(told), ascii(told))
        self.assertTrue(told[0].isprintable(), ascii(told[0]))
        self.assertLess(len(told[0]), 2000)
        self.assertIn(volume.id, told[0])
        self.warnings.messages.clear()

    def check_member(self, members, value, both=True):
        self.renew()
        image = self.images.add(DATA)
        stored = self.images.images[image['id']][0]
        asked = dict(image)
        for metadata in (stored, asked) if both else (stored,):
            for member in members:
                del metadata[member]
                if value is not hostile.ABSENT:
                    metadata[member] = value
        self.check_survives(image, asked)

    def test_clone_image_with_any_metadata(self):
        self.assertEqual(set(MEMBERS + IDLE), set(self.images.add(DATA)))
        values = hostile.JUNK + (hostile.ABSENT,)
        self.run_cases([
            ('%s: %.40r, %s' % (member, value,
                                'at once' if both else 'meanwhile'),
             self.check_member, [member], value, both)
            for member in MEMBERS for value in values
            for both in (True, False)] + [
            ('others: %.40r' % value, self.check_member, IDLE, value)
            for value in values])

    def test_clone_image_with_another_hash_than_stored(self):
        self.renew()
        image = self.images.add(DATA)
        volume = self.new_volume()
        warning = self.check_fallback(
            image, volume,
            self.clone(dict(image, os_hash_value='ab'), volume))
        self.assertNotIn('AttributeError', warning)
        self.assert_serves(image, DATA)

    def test_clone_image_with_any_text(self):
        self.run_cases([
            ('%s: %.40a' % (member, text), self.check_member, [member],
             text)
            for member in ('id', 'name', 'owner', 'os_hash_value',
                           'disk_format', 'virtual_size', 'updated_at')
            for text in hostile.TEXTS])

    def test_clone_image_with_any_properties(self):
        values = [{name: text, text: name} for text in hostile.TEXTS
                  for name in ('virtual_size', 'os_encrypt_format', 'name')]
        values += [{'name': text} for text in hostile.TEXTS]
        values += [{text: None} for text in hostile.TEXTS]
        values.append({'key %d' % number: 'x' * 100
                       for number in range(1000)})
        self.run_cases([
            ('%.60a' % value, self.check_member, ['properties'], value)
            for value in values])

    def test_clone_image_with_no_metadata(self):
        for metadata in (None, [], 'x', 5, {}):
            self.renew()
            volume = self.new_volume()
            self.assertEqual((None, False), self.clone(metadata, volume))
            self.assertIn(volume.id, self.log.text)
            self.assert_nothing_left()

    def test_clone_image_told_of_another_image(self):
        # One image's data must not come to stand for another's.
        self.renew()
        image = self.images.add(DATA)
        other = self.images.add(DATA[::-1])
        self.images.images[image['id']][0]['id'] = other['id']
        self.assert_warned(image)
        self.assert_serves(other, DATA[::-1])

    def test_templates_tell_nothing_of_names(self):
        self.renew()
        image = self.images.add(DATA, name='NAME' * 100,
                                properties={'KEY': 'VALUE'})
        self.assert_serves(image, DATA)
        [template] = self.templates()
        for word in ('NAME', 'KEY', 'VALUE', base.fake.PROJECT2_ID):
            self.assertNotIn(word, str(vars(template)))
