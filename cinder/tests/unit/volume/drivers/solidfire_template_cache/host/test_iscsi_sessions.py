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
"""Sessions to templates that were removed.

No iSCSI is involved: the test creates the files in which Linux lists its
sessions, and a replacement of os-brick removes them.
"""

import os
import shutil
from unittest import mock

import ddt
import fixtures
from os_brick.initiator.connectors import iscsi

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    fixtures as cache_fixtures)
from cinder.volume import configuration
from cinder.volume.drivers.solidfire_template_cache.host import iscsi_sessions
from cinder.volume import volume_utils

PORTAL = '10.0.0.9:3260'
IQN = 'iqn.2010-01.com.solidfire:mark.openstackimg-a-b.%d'


@ddt.ddt
class TemplateSessionsTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(cache_fixtures.LogCapture())
        self.addCleanup(self.log.assert_no_exception_appended)
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.mock_object(iscsi_sessions, 'DIRECTORY', self.directory)
        self.connector = mock.create_autospec(iscsi.ISCSIConnector,
                                              instance=True)
        self.connector.disconnect_volume.side_effect = self._disconnect
        self.get_connector = self.mock_object(
            volume_utils, 'brick_get_connector', autospec=True,
            return_value=self.connector)
        self.existing = set()
        self.asked = []
        self.sessions = iscsi_sessions.TemplateSessions(
            'OpenStackIMG-', 'mark', PORTAL, mock.Mock(
                spec=configuration.Configuration,
                num_volume_device_scan_tries=7,
                use_multipath_for_image_xfer=True))

    def _disconnect(self, connection, _device, force, ignore_errors):
        for name in os.listdir(self.directory):
            if self._target_of(name) == connection['target_iqn']:
                shutil.rmtree(os.path.join(self.directory, name))

    def _target_of(self, name):
        with open(os.path.join(self.directory, name, 'targetname')) as file:
            return file.read().strip()

    def log_in(self, iqn):
        """Leave a session to a target; return its iqn."""
        path = os.path.join(self.directory,
                            'session%d' % len(os.listdir(self.directory)))
        os.mkdir(path)
        with open(os.path.join(path, 'targetname'), 'w') as file:
            file.write(iqn + '\n')
        return iqn

    def is_there(self, volume_id):
        self.asked.append(volume_id)
        return volume_id in self.existing

    def logout_stale(self):
        self.sessions.logout_stale(self.is_there)

    def left(self):
        return sorted(self._target_of(name)
                      for name in os.listdir(self.directory))

    def test_logout_stale_of_a_removed_template(self):
        # One session for each path.
        gone, kept = IQN % 7, IQN % 8
        for iqn in (gone, kept, gone):
            self.log_in(iqn)
        self.existing = {8}
        self.logout_stale()
        self.assertEqual([kept], self.left())
        connection = {'target_discovered': False, 'target_lun': 0,
                      'target_portal': PORTAL, 'target_iqn': gone}
        self.connector.disconnect_volume.assert_called_once_with(
            connection, {}, force=True, ignore_errors=True)
        self.get_connector.assert_called_once_with(
            'iscsi', use_multipath=True, device_scan_attempts=7,
            conn={'driver_volume_type': 'iscsi', 'data': connection})
        self.assertEqual([], self.log.warnings)
        self.assertEqual(1, len(self.log.about('removed template volume 7')))

    @ddt.data('iqn.2010-01.com.solidfire:far1.openstackimg-a-b.9',
              'iqn.2010-01.com.solidfire:mark.uuid-a-b.9',
              'iqn.2010-01.com.solidfire:mark.openstackimg-a-b.nine',
              'iqn.2010-01.com.solidfire:mark.openstackimg-a-b.9.x',
              'iqn.2010-10.org.openstack:openstackimg-a-b.9', '')
    def test_logout_stale_leaves_other_sessions(self, iqn):
        self.log_in(iqn)
        self.logout_stale()
        self.assertEqual([iqn], self.left())
        self.assertEqual([], self.asked)
        self.get_connector.assert_not_called()

    def test_logout_stale_that_fails_is_logged_once_per_session(self):
        iqn = self.log_in(IQN % 7)
        self.connector.disconnect_volume.side_effect = [
            None, RuntimeError('no privileges'), None]
        self.logout_stale()
        self.log.pop_warning('volume 7 ', iqn, 'the session did not end')
        for _i in range(2):
            self.logout_stale()
        self.assertEqual(3, self.connector.disconnect_volume.call_count)
        self.assertEqual([], self.log.warnings)
        self.log_in(IQN % 8)
        self.get_connector.side_effect = OSError('no program')
        self.logout_stale()
        self.log.pop_warning('volume 8 ', 'OSError: no program')

    def test_logout_stale_is_logged_again_for_a_new_session(self):
        for _i in range(2):
            self.connector.disconnect_volume.side_effect = None
            self.log_in(IQN % 7)
            self.logout_stale()
            self.log.pop_warning(IQN % 7)
            self.connector.disconnect_volume.side_effect = self._disconnect
            self.logout_stale()
            self.logout_stale()
            self.log.clear()

    def test_logout_stale_when_a_session_ends_meanwhile(self):
        path = os.path.join(self.directory, 'session7')
        os.mkdir(path)
        os.symlink('nowhere', os.path.join(path, 'targetname'))
        self.logout_stale()
        self.assertEqual([], self.log.warnings)
