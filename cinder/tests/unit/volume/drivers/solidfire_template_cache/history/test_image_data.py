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

"""Past faults of handling images: formats, attachment, hostile data."""

import os
import socket
from unittest import mock

import ddt
from oslo_utils import units

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder import utils
from cinder.volume import throttling
from cinder.volume import volume_utils

MULTIPATH = dict(base.CONNECTOR, multipath=True, enforce_multipath=True)


@ddt.ddt
class HowFilledTestCase(base.HistoryTestCase):
    """The data goes in the way Cinder does it."""

    def test_a3_14_fill_works_with_volume_access_groups(self):
        driver = self.new_driver(sf_enable_vag=True)
        image = self.images.add(base.DATA)
        with self._connector():
            self.assert_served(self.clone(image, driver=driver))
        template_id = self.templates()[0].volume_id
        self.assertIn([template_id],
                      [params['volumes'] for params in
                       self.params_of('CreateVolumeAccessGroup') +
                       self.params_of('AddVolumesToVolumeAccessGroup')])
        self.assertEqual([], self.sim.cluster.groups_of(template_id))

    def test_a3_14_failed_fill_leaves_no_volume_access_group_behind(self):
        self.driver = self.new_driver(sf_enable_vag=True)
        with self._connector(), mock.patch.object(
                image_utils, 'fetch_to_raw', autospec=True,
                side_effect=exception.ImageUnacceptable(
                    image_id='it', reason='of the test')):
            self.assert_fails_to_fill('of the test')
        self.assertEqual(
            [], [group.volume_ids for group in
                 self.sim.cluster.access_groups.values()
                 if group.volume_ids])

    def _connector(self):
        return mock.patch.object(
            volume_utils, 'brick_get_connector_properties', autospec=True,
            return_value=dict(MULTIPATH))

    @ddt.data((True, True), (True, False), (False, False))
    @ddt.unpack
    def test_commit_bf23678fe_multipath_settings_are_used(self, use, enforce):
        for name, value in (('use_multipath_for_image_xfer', use),
                            ('enforce_multipath_for_image_xfer', enforce)):
            self.override_config(name, value, group='backend_defaults')
        with self._connector() as properties:
            self.assert_served(self.clone(self.images.add(base.DATA)))
        properties.assert_called_once_with(use, enforce)

    def _connectors_of_a_fill(self):
        """Fill a template; return with what its volume was attached."""
        connect = type(self.driver).initialize_connection
        seen = []

        def look(driver, volume, connector):
            seen.append(connector)
            return connect(driver, volume, connector)

        self.mock_object(type(self.driver), 'initialize_connection', look)
        self.assert_served(self.clone(self.images.add(base.DATA)))
        return seen

    def test_a3_24_connector_with_multipath_reaches_the_attachment(self):
        with self._connector():
            self.assertEqual([MULTIPATH], self._connectors_of_a_fill())

    def test_bug_1494830_connector_is_what_this_host_tells(self):
        # It was a name only, with which nothing can be attached.
        self.mock_object(volume_utils, 'brick_get_connector_properties',
                         self.ask_host)
        connector, = self._connectors_of_a_fill()
        self.assertEqual(socket.gethostname(), connector['host'])

    def test_a3_22_fill_is_throttled_as_every_copy(self):
        throttle = mock.Mock(spec=throttling.Throttle,
                             wraps=throttling.Throttle())
        throttling.Throttle.set_default(throttle)
        self.addCleanup(throttling.Throttle.set_default, None)
        self.assert_served(self.clone(self.images.add(base.DATA)))
        target = self.sim.cluster.volume_path(self.templates()[0].volume_id)
        self.assertEqual([target],
                         [call.args[1] for call in
                          throttle.subcommand.mock_calls if call.args])

    @ddt.data(('raw', 'qcow2'), ('qcow2', 'raw'))
    @ddt.unpack
    def test_a3_22_data_of_another_format_than_declared_is_refused(
            self, declared, real):
        data = self.qcow2(base.DATA) if real == 'qcow2' else base.DATA
        self.assert_fails_to_fill('different format', data,
                                  disk_format=declared,
                                  virtual_size=units.Mi)

    @ddt.data(('compressed', 'qcow2'), ('ovf', 'vhd'))
    @ddt.unpack
    def test_a3_22_packed_image_takes_the_normal_way(self, container, disk):
        image = self.images.add(base.DATA, container_format=container,
                                disk_format=disk)
        self.sim.reset_calls()
        self.assert_refused(self.clone(image), 'IMAGE_PACKED')
        self.assertEqual([], self.sim.calls.methods)

    @ddt.data('raw', 'qcow2')
    def test_bug_1970115_image_conversion_disable_holds_for_a_fill(
            self, disk_format):
        self.override_config('image_conversion_disable', True)
        data = base.DATA
        if disk_format == 'qcow2':
            data = self.qcow2(base.DATA)
        image = self.images.add(data, disk_format=disk_format,
                                virtual_size=units.Mi)
        if disk_format == 'raw':
            self.assert_served(self.clone(image))
        else:
            self.assert_refused(self.clone(image), 'CONVERSION_DISABLED')
            self.assertEqual([], self.images.downloads)

    @ddt.data('raw', 'qcow2')
    def test_bug_1970115_image_conversion_disable_holds_for_a_hit(
            self, disk_format):
        image = self.images.add(base.DATA, disk_format=disk_format)
        self.plant(image)
        self.assert_served(self.clone(image))
        self.override_config('image_conversion_disable', True)
        if disk_format == 'raw':
            self.assert_served(self.clone(image))
        else:
            self.assert_refused(self.clone(image), 'CONVERSION_DISABLED')

    def test_bug_1703892_device_is_not_probed_after_it_was_written(self):
        commands = []
        execute = utils.execute

        def record(*command, **kwargs):
            commands.append(command)
            return execute(*command, **kwargs)

        self.mock_object(utils, 'execute', record)
        # A guest's own data may look like an image of some other format.
        data = self.qcow2(base.DATA)
        image = self.images.add(self.qcow2(data), disk_format='qcow2',
                                virtual_size=units.Mi)
        self.assert_served(self.clone(image), data)
        device = self.sim.cluster.volume_path(self.templates()[0].volume_id)
        self.assertEqual(
            [('qemu-img', 'convert')],
            [command[:2] for command in commands if device in command])

    def test_bug_1703892_device_that_vanished_is_not_made_a_plain_file(self):
        path = '/dev/vanished-%s' % self.id().rpartition('.')[2]
        connect = self.driver._connect_device

        def vanish(connection):
            return dict(connect(connection),
                        device={'type': 'local', 'path': path})

        self.mock_object(self.driver, '_connect_device', vanish)
        self.assert_fails_to_fill('does not exist')
        self.assertFalse(os.path.exists(path))


@ddt.ddt
class HostileImageTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.secret = os.path.join(self.state, 'secret')
        with open(self.secret, 'wb') as secret:
            secret.write(b'of this host' * units.Ki)

    def _backed(self, path):
        self.qemu_img('create', '-f', 'qcow2', '-F', 'raw', '-b',
                      self.secret, path)
        return 'qcow2'

    def _with_data_file(self, path):
        self.qemu_img('create', '-f', 'qcow2', '-o',
                      'data_file=%s,data_file_raw=on' % (path + '.data'),
                      path, '1M')
        return 'qcow2'

    def _vmdk_of_extents(self, path):
        with open(path, 'w') as image:
            image.write('# Disk DescriptorFile\nversion=1\nCID=12345678\n'
                        'parentCID=ffffffff\ncreateType="monolithicFlat"\n'
                        'RW 2048 FLAT "%s" 0\n' % self.secret)
        return 'vmdk'

    def _truncated(self, path):
        self.qemu_img('create', '-f', 'qcow2', path, '1M')
        with open(path, 'r+b') as image:
            image.truncate(60)
        return 'qcow2'

    @ddt.data('_backed', '_with_data_file', '_vmdk_of_extents', '_truncated')
    def test_bug_2059809_hostile_image_makes_no_template(self, make):
        path = os.path.join(self.state, 'hostile')
        disk_format = getattr(self, make)(path)
        with open(path, 'rb') as image:
            data = image.read()
        with mock.patch.object(image_utils, '_convert_image', autospec=True,
                               side_effect=AssertionError) as convert:
            self.assert_fails_to_fill(data=data, disk_format=disk_format,
                                      virtual_size=units.Mi)
        convert.assert_not_called()

    def test_bug_2059809_image_larger_than_it_declares_is_refused(self):
        self.assert_fails_to_fill('declares', self.qcow2(base.DATA, units.Gi),
                                  disk_format='qcow2', virtual_size=units.Mi)
