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

"""Tests of the simulator as a program of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from unittest import mock

import ddt
import fixtures
import requests

from cinder.tests.element_simulator import __main__ as program
from cinder.tests.unit import test


@ddt.ddt
class ProgramTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.ca_file = os.path.join(self.directory, 'ca.pem')

    @ddt.data(signal.SIGTERM, signal.SIGINT)
    def test_program_serves_until_told_to_stop(self, number):
        data_dir = os.path.join(self.directory, 'data')
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m',
             'cinder.tests.element_simulator', '--login', 'me', '--password',
             'secret-word', '--ca-file', self.ca_file, '--data-dir',
             data_dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        line = process.stdout.readline()
        told = json.loads(line)
        self.assertEqual(('me', self.ca_file),
                         (told['login'], told['ca_file']))
        with requests.Session() as session:
            session.trust_env = False
            reply = session.post(
                f'{told["url"]}/json-rpc/12.0', timeout=60,
                verify=self.ca_file, json={'method': 'GetClusterInfo'},
                auth=('me', 'secret-word'))
        self.assertIn('result', reply.json())
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        self.assertEqual((0, b'', b''), (process.returncode, output, errors))
        self.assertNotIn(b'secret-word', line)

    def run_program(self, *arguments):
        """Return what the program tells, and the cluster it served."""
        stopped = threading.Event()
        stopped.set()
        output = io.StringIO()
        with mock.patch.object(signal, 'signal', autospec=True), \
                mock.patch.object(sys, 'stdout', output), \
                mock.patch.object(program.server_module, 'Server',
                                  wraps=program.server_module.Server) as made:
            self.assertEqual(0, program.main(arguments, stopped))
        return json.loads(output.getvalue()), made.call_args.args

    def test_program_tells_the_settings(self):
        told, _args = self.run_program('--ca-file', self.ca_file)
        self.assertEqual(f'https://127.0.0.1:{told["port"]}', told['url'])
        self.assertIn(f'sf_api_port = {told["port"]}', told['cinder_conf'])
        self.assertIn('san_ip = 127.0.0.1', told['cinder_conf'])
        self.assertNotIn('password', json.dumps(told))
        with open(self.ca_file) as stream:
            self.assertIn('BEGIN CERTIFICATE', stream.read())

    def test_program_arguments_reach_the_cluster(self):
        _told, args = self.run_program(
            '--clone-seconds', '3', '--clones-per-volume', '1', '--nodes',
            '2', '--delay', '0.5', '--svip', '10.0.0.9')
        cluster, faults = args[0], args[5]
        self.assertEqual((3.0, 1, 8, 2, '10.0.0.9'),
                         (cluster.jobs.seconds,
                          cluster.limit('cloneJobsPerVolumeMax'),
                          cluster.limit('cloneJobsPerNodeMax'),
                          cluster.nodes, cluster.svip))
        rule, = faults.list()
        self.assertEqual((0.5, None, False),
                         (rule.delay, rule.times, rule.fails))

    def test_program_cleans_up(self):
        _told, args = self.run_program()
        self.assertFalse(os.path.exists(args[0].files.directory))
