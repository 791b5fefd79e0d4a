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

"""The simulated cluster of the benchmarks, in a process of its own."""

import contextlib
import json
import subprocess
import sys

import requests

MODULE = 'cinder.tests.element_simulator'
PASSWORD = 'bench-password'
TIMEOUT = 60
# Should the benchmark be killed outright, its children get a SIGTERM.
DIE_WITH_PARENT = ('setpriv', '--pdeathsig', 'TERM', '--')

BASE = {'clone_seconds': 0.0, 'clone_limit_behavior': 'refuse', 'nodes': 4,
        'hide_nodes': False, 'placement': 'round-robin',
        'limits': {'cloneJobsPerVolumeMax': 2, 'cloneJobsPerNodeMax': 8,
                   'volumeCountMax': 20000}}
"""The settings that each benchmark starts from."""


class Simulator:
    """One cluster, from start() until stop().

    :param directory: where the volumes and the certificate are, a
                      ``pathlib.Path``; it must exist
    """

    def __init__(self, directory):
        self.data_dir = directory / 'volumes'
        self.ca_file = directory / 'ca.pem'
        self._process = None
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(self.ca_file)

    def start(self):
        """Start the process, and wait until it listens."""
        self._process = subprocess.Popen(
            [*DIE_WITH_PARENT, sys.executable, '-W', 'ignore', '-m', MODULE,
             '--data-dir', str(self.data_dir), '--ca-file', str(self.ca_file),
             '--password', PASSWORD], stdout=subprocess.PIPE)
        started = json.loads(self._process.stdout.readline())
        self.url = started['url']
        self.port = started['port']
        self.login = started['login']
        self._session.auth = (self.login, PASSWORD)
        self.reset()

    def stop(self):
        """End the process."""
        self._session.close()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()

    def reset(self, **settings):
        """Empty the cluster; it then has these settings."""
        self._control('DELETE', 'state')
        self.set(**{**BASE, **settings})
        self.set_delay(0)
        self.reset_calls()

    def set(self, **settings):
        """Change settings, see the simulator's documentation."""
        self._control('POST', 'settings', settings)

    def set_delay(self, seconds):
        """Delay each reply by so many seconds."""
        self._control('DELETE', 'faults')
        if seconds:
            self._control('POST', 'faults', {'delay': seconds, 'times': None})

    def populate(self, count, accounts=1):
        """Add volumes of others, without data."""
        self._control('POST', 'volumes',
                      {'count': count, 'accounts': accounts})

    def calls(self):
        """Return what was counted since the last reset_calls().

        :returns: dict with counts by method, total, connections, bytesIn and
                  bytesOut
        """
        return self._control('GET', 'calls')

    def reset_calls(self):
        """Begin to count anew."""
        self._control('DELETE', 'calls')

    def call(self, method, /, **params):
        """Return the result of an API method."""
        reply = self._request('POST', 'json-rpc/12.0', {
            'method': method, 'params': params, 'id': 1})
        if 'error' in reply:
            raise RuntimeError(f'{method}: {reply["error"]}')
        return reply['result']

    @contextlib.contextmanager
    def counted(self, counts):
        """Put what was called in this block into a dict."""
        self.reset_calls()
        yield
        counts.update(self.calls())

    def _control(self, verb, path, body=None):
        return self._request(verb, f'sim/{path}', body)

    def _request(self, verb, path, body):
        reply = self._session.request(verb, f'{self.url}/{path}', json=body,
                                      timeout=TIMEOUT)
        reply.raise_for_status()
        return reply.json()
