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
"""Attaching template volumes to this host."""

import copy
from unittest import mock

import ddt
from os_brick.initiator.connectors import iscsi
from oslo_utils import units

from cinder import exception
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume import configuration
from cinder.volume.drivers.solidfire_template_cache import cluster
from cinder.volume.drivers.solidfire_template_cache.host import attach
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume import volume_utils

CONNECTION = {'provider_location': '10.0.0.1:3260 iqn.x 0',
              'provider_auth': 'CHAP tenant secret',
              'provider_geometry': '4096 4096', 'provider_id': '5 1 u'}


class AttachableVolumeTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.volume = attach.AttachableVolume(
            'OpenStackIMG-1', 'openstack-vtemplate', 2, CONNECTION)

    def test_members(self):
        self.assertEqual(dict(
            CONNECTION, id='OpenStackIMG-1', name='OpenStackIMG-1',
            project_id='openstack-vtemplate', size=2, multiattach=False,
            encryption_key_id=None, volume_type_id=None), self.volume)
        for key, value in self.volume.items():
            self.assertEqual(value, getattr(self.volume, key))

    def test_missing_member(self):
        connection = dict(CONNECTION)
        del connection['provider_geometry']
        volume = attach.AttachableVolume('n', 'p', 1, connection)
        self.assertIsNone(volume.provider_geometry)
        self.assertRaises(AttributeError, getattr, volume, 'metadata')
        self.assertRaises(KeyError, volume.__getitem__, 'metadata')
        self.assertEqual('x', getattr(volume, 'metadata', 'x'))

    def test_update_save_and_copy(self):
        # As Cinder's code does with what create_export returns.
        before = copy.deepcopy(CONNECTION)
        self.volume.update({'provider_auth': 'CHAP other secret'})
        self.assertIsNone(self.volume.save())
        self.assertEqual(before, CONNECTION)
        for volume in (self.volume, copy.copy(self.volume),
                       copy.deepcopy(self.volume)):
            self.assertEqual('CHAP other secret', volume.provider_auth)
            self.assertEqual(self.volume, volume)


class AttachTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.LogCapture())
        self.addCleanup(self.log.assert_no_exception_appended)
        self.backend = mock.create_autospec(stock.StockBackend, instance=True)
        self.backend.connection_info.return_value = dict(CONNECTION)
        self.backend.template_project_id = 'openstack-vtemplate'
        self.backend.conf = mock.Mock(
            spec=configuration.Configuration,
            use_multipath_for_image_xfer=False,
            enforce_multipath_for_image_xfer=False,
            num_volume_device_scan_tries=7)
        self.properties = {'initiator': 'iqn.host', 'multipath': False}
        self.get_properties = self.mock_object(
            volume_utils, 'brick_get_connector_properties', autospec=True,
            return_value=self.properties)
        self.cluster = mock.Mock(spec=cluster.Cluster, id='cluster')
        self.account = fixtures.account()
        self.volume = fixtures.element_volume(name='OpenStackIMG-1',
                                              size=3 * units.Gi)
        self.attachments = attach.HostAttachments(self.backend)

    def assert_target(self, target):
        """Check that Cinder was given the template volume."""
        self.assertEqual('OpenStackIMG-1', target.name)
        self.assertEqual('openstack-vtemplate', target.project_id)
        self.assertEqual(3, target.size)
        self.assertEqual(CONNECTION['provider_location'],
                         target.provider_location)
        self.backend.connection_info.assert_called_once_with(
            'cluster', self.account, self.volume)


@ddt.ddt
class AttachedTestCase(AttachTestCase):

    def setUp(self):
        super().setUp()
        self.context = fixtures.new_context()
        self.attach_info = {'device': {'path': '/dev/sdx'}}
        # Cinder may return another object for the volume.
        self.attached_target = object()
        self.backend.attach_volume.return_value = (self.attach_info,
                                                   self.attached_target)

    def use(self, error=None):
        """Use the device; return its path."""
        with self.attachments.attached(self.cluster, self.context,
                                       self.account, self.volume) as path:
            self.backend.detach_volume.assert_not_called()
            if error:
                raise error
            return path

    def assert_detached(self):
        # Force: the host must not keep access, whatever happened.
        self.backend.detach_volume.assert_called_once_with(
            self.context, self.attach_info, self.attached_target,
            self.properties, force=True)

    def test_attached(self):
        self.assertEqual('/dev/sdx', self.use())
        # Cinder's own properties (bug 1494830), with those of multipath.
        context, target, properties = (
            self.backend.attach_volume.call_args.args)
        self.assertIs(self.context, context)
        self.assert_target(target)
        self.assertIs(self.properties, properties)
        self.assert_detached()

    # Commit bf23678fe.
    @ddt.data((False, False), (True, False), (True, True))
    @ddt.unpack
    def test_attached_with_multipath_settings(self, use, enforce):
        self.backend.conf.use_multipath_for_image_xfer = use
        self.backend.conf.enforce_multipath_for_image_xfer = enforce
        self.use()
        self.get_properties.assert_called_once_with(use, enforce)

    def test_attached_when_attaching_fails(self):
        for part in (self.backend.connection_info, self.get_properties,
                     self.backend.attach_volume):
            part.side_effect = exception.VolumeBackendAPIException(data='x')
            self.assertRaises(exception.VolumeBackendAPIException, self.use)
            part.side_effect = None
        self.backend.detach_volume.assert_not_called()

    # The errors of the block and of detaching; the first one decides what
    # becomes of the fill. What is not detached may not have been written.
    @ddt.data((None, OSError('stuck'), []), (KeyError('x'), None, []),
              (exception.ImageUnacceptable(image_id='i', reason='r'),
               OSError('stuck'), ['SolidFire volume 11 may still be attached '
                                  'to this host: OSError: stuck']))
    @ddt.unpack
    def test_attached_with_errors(self, of_block, of_detach, notes):
        self.backend.detach_volume.side_effect = of_detach
        error = of_block or of_detach
        self.assertIs(error, self.assertRaises(type(error), self.use,
                                               of_block))
        self.assert_detached()
        self.assertEqual(notes, getattr(error, '__notes__', []))


class DetachLeftoverTestCase(AttachTestCase):

    def setUp(self):
        super().setUp()
        self.connection = {'driver_volume_type': 'iscsi', 'data': {}}
        self.backend.initialize_connection.return_value = self.connection
        self.connector = mock.create_autospec(iscsi.ISCSIConnector,
                                              instance=True)
        self.get_connector = self.mock_object(
            volume_utils, 'brick_get_connector', autospec=True,
            return_value=self.connector)

    def detach(self):
        self.attachments.detach_leftover(self.cluster, self.account,
                                         self.volume)

    def test_detach_leftover(self):
        self.detach()
        self.get_connector.assert_called_once_with(
            'iscsi', use_multipath=False, device_scan_attempts=7,
            conn=self.connection)
        [call] = self.backend.detach_volume.mock_calls
        context, attach_info, target, properties = call.args
        self.assertTrue(context.is_admin)
        self.assertEqual({'connector': self.connector,
                          'conn': self.connection, 'device': {}},
                         attach_info)
        self.assert_target(target)
        self.assertIs(self.properties, properties)
        self.assertEqual({'force': True, 'ignore_errors': True}, call.kwargs)
        self.assertEqual([], self.log.warnings)

    def test_detach_leftover_that_fails_is_logged(self):
        for part in (self.backend.connection_info, self.get_properties,
                     self.backend.initialize_connection, self.get_connector,
                     self.backend.detach_volume):
            part.side_effect = exception.VolumeBackendAPIException(data='x')
            self.detach()
            self.log.assert_no_exception_appended()
            self.log.pop_warning('SolidFire volume 11 ',
                                 'may still be attached',
                                 'VolumeBackendAPIException')
            part.side_effect = None
