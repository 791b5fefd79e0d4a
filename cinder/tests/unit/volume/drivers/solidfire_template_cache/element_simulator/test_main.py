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

"""Tests of the simulator as a program."""

import json
import os
import signal
import subprocess
import sys

import fixtures
import requests

from cinder.tests.element_simulator import __main__ as program
from cinder.tests.unit import test


class ProgramTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.ca_file = os.path.join(self.directory, 'ca.pem')

    def test_program_until_signal(self):
        for number in signal.SIGTERM, signal.SIGINT:
            process = subprocess.Popen(
                [sys.executable, '-W', 'ignore', '-m',
                 'cinder.tests.element_simulator', '--login', 'me',
                 '--password', 'secret-word', '--ca-file', self.ca_file],
                env={**os.environ, 'TMPDIR': self.directory},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
            line = process.stdout.readline()
            self.assertNotIn(b'secret-word', line)
            printed = json.loads(line)
            self.assertEqual(
                ('me', self.ca_file, f'https://127.0.0.1:{printed["port"]}'),
                (printed['login'], printed['ca_file'], printed['url']))
            for setting in ('san_ip = 127.0.0.1',
                            f'sf_api_port = {printed["port"]}'):
                self.assertIn(setting, printed['cinder_conf'])
            with requests.Session() as session:
                session.trust_env = False
                reply = session.post(
                    f'{printed["url"]}/json-rpc/12.0', timeout=60,
                    verify=self.ca_file, json={'method': 'GetClusterInfo'},
                    auth=('me', 'secret-word'))
            self.assertIn('result', reply.json())
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            self.assertEqual((0, b'', b''),
                             (process.returncode, output, errors))
            # The data and the certificates are removed.
            self.assertEqual(['ca.pem'], os.listdir(self.directory))

    def test_program_arguments(self):
        server = self.mock_object(program.server, 'Server', autospec=True)
        server.side_effect = InterruptedError
        self.mock_object(program.signal, 'signal')
        cluster = self.mock_object(program.cluster, 'Cluster', autospec=True)
        contents = self.mock_object(program, 'contents', autospec=True)
        self.assertRaises(
            InterruptedError, program.main, [
                '--data-dir', 'd', '--clone-seconds', '3', '--nodes', '2',
                '--clones-per-volume', '1', '--clones-per-node', '4',
                '--svip', '10.0.0.9', '--host', '::1', '--port', '7',
                '--queue-clones', '--placement', 'random', '--hide-nodes',
                '--volumes', '1001'])
        cluster.assert_called_once_with(
            data_dir='d', clone_seconds=3.0, nodes=2, mvip='::1',
            svip='10.0.0.9', clone_limit_behavior='queue', placement='random',
            hide_nodes=True, limits={'cloneJobsPerVolumeMax': 1,
                                     'cloneJobsPerNodeMax': 4,
                                     'volumeCountMax': 6002})
        contents.populate.assert_called_once_with(cluster.return_value,
                                                  1001, 2)
        server.assert_called_once_with(cluster.return_value, '::1', 7,
                                       'admin', 'solidfire')
        cluster.return_value.close.assert_called_once_with()

    def test_program_delay(self):
        server = self.mock_object(program.server, 'Server').return_value
        self.mock_object(program.signal, 'signal')
        self.mock_object(program, '_announcement', return_value={})
        stopped = self.mock_object(program.threading, 'Event')
        self.assertEqual(0, program.main(['--delay', '0.5']))
        server.faults.add.assert_called_once_with(delay=0.5, times=None)
        stopped.return_value.wait.assert_called_once_with()
