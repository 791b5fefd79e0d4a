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

"""Sessions that a dead fill has left on its host are ended.

There is no iSCSI here: the files in which Linux tells of its sessions are
made by hand, and a stand-in for os-brick removes them.
"""

import os
import shutil
from unittest import mock

import ddt
import fixtures
from os_brick.initiator.connectors import iscsi

from cinder.tests.unit.volume.drivers.solidfire_template_cache import house
from cinder.volume.drivers.solidfire_template_cache import sessions
from cinder.volume import volume_utils


@ddt.ddt
class TemplateSessionsTestCase(house.HouseTestCase):

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.mock_object(sessions, 'DIRECTORY', self.directory)
        self.ended = []
        self.connector = mock.create_autospec(iscsi.ISCSIConnector,
                                              instance=True)
        self.connector.disconnect_volume.side_effect = self._disconnect
        self.get_connector = self.mock_object(
            volume_utils, 'brick_get_connector', autospec=True,
            return_value=self.connector)

    def _disconnect(self, connection, _device, force, ignore_errors):
        self.assertTrue(force and ignore_errors)
        self.ended.append(connection['target_iqn'])
        for name in os.listdir(self.directory):
            if self._target_of(name) == connection['target_iqn'] + '\n':
                shutil.rmtree(os.path.join(self.directory, name))

    def _target_of(self, name):
        with open(os.path.join(self.directory, name, 'targetname')) as file:
            return file.read()

    def log_in(self, iqn):
        """Leave a session to a target; return its iqn."""
        path = os.path.join(self.directory,
                            'session%d' % len(os.listdir(self.directory)))
        os.mkdir(path)
        with open(os.path.join(path, 'targetname'), 'w') as file:
            file.write(iqn + '\n')
        return iqn

    def plant_gone(self):
        """Let another host remove a template; return its iqn."""
        volume_id = self.plant_fill()
        iqn = self.iqn_of(volume_id)
        self.api('DeleteVolume', volumeID=volume_id)
        self.api('PurgeDeletedVolume', volumeID=volume_id)
        return iqn

    def iqn_of(self, volume_id):
        [volume] = self.api('ListVolumes', volumeIDs=[volume_id])['volumes']
        return volume['iqn']

    def sessions(self):
        return [self._target_of(name).strip()
                for name in sorted(os.listdir(self.directory))]

    def test_run_ends_the_sessions_to_a_removed_template(self):
        # A session for each path.
        gone = [self.log_in(self.plant_gone())] * 2
        self.log_in(gone[0])
        self.run_round()
        self.assertEqual([], self.sessions())
        self.assertEqual(gone[:1], self.ended)
        connection = self.connector.disconnect_volume.call_args.args[0]
        self.assertEqual(self.driver.active_cluster['svip'],
                         connection['target_portal'])
        self.assertEqual(0, connection['target_lun'])
        self.assertEqual([], self.warnings.messages)

    def test_run_ends_the_session_to_a_template_that_is_only_deleted(self):
        planted = self.plant_fill()
        iqn = self.log_in(self.iqn_of(planted))
        self.api('DeleteVolume', volumeID=planted)
        self.run_round()
        self.assertEqual([iqn], self.ended)

    def test_run_leaves_the_session_to_a_template_that_is_there(self):
        planted = self.plant_used(house.MINUTE)
        iqn = self.log_in(self.iqn_of(planted))
        self.run_round()
        self.assertEqual([iqn], self.sessions())

    @ddt.data('iqn.2010-01.com.solidfire:far1.openstackimg-%s.9',
              'iqn.2010-01.com.solidfire:{mark}.uuid-%s.9',
              'iqn.2010-01.com.solidfire:{mark}.openstackimg-%s.nine',
              'iqn.2010-01.com.solidfire:{mark}.openstackimg-%s.9.x',
              'iqn.2010-10.org.openstack:openstackimg-%s.9', '')
    def test_run_leaves_sessions_to_anything_else(self, iqn):
        iqn = iqn.replace('{mark}', self.sim.cluster.unique_id)
        iqn = self.log_in(iqn.replace('%s', 'a-b'))
        self.run_round()
        self.assertEqual([iqn], self.sessions())
        self.get_connector.assert_not_called()

    def test_run_warns_once_of_a_session_that_does_not_end(self):
        iqn = self.log_in(self.plant_gone())
        self.connector.disconnect_volume.side_effect = [
            None, RuntimeError('no rights'), OSError('no program')]
        self.plant_used(100 * house.DAY)
        for _i in range(3):
            self.run_round()
        self.assertEqual(3, self.connector.disconnect_volume.call_count)
        [warning] = self.warnings.messages
        self.assertIn(iqn, warning)
        self.assertIn('the session did not end', warning)
        # The rest of the round takes place.
        self.assertEqual([], self.left())

    def test_run_tells_why_a_session_does_not_end(self):
        self.log_in(self.plant_gone())
        self.get_connector.side_effect = OSError('no program')
        self.run_round()
        [warning] = self.warnings.messages
        self.assertIn('no program', warning)

    def test_run_survives_a_session_that_ends_meanwhile(self):
        os.mkdir(os.path.join(self.directory, 'session7'))
        os.symlink('nowhere', os.path.join(self.directory, 'session7',
                                           'targetname'))
        self.run_round()
        self.assertEqual([], self.warnings.messages)

    def test_run_asks_the_cluster_nothing_without_a_session(self):
        self.run_round()
        self.sim.reset_calls()
        self.run_round()
        without = list(self.sim.calls.methods)
        self.log_in('iqn.2003-01.org.example:other')
        self.sim.reset_calls()
        self.run_round()
        self.assertEqual(without, list(self.sim.calls.methods))
