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

"""Coordination backends that a test starts for itself: Redis and etcd."""

import os
import shutil
import socket
import subprocess
import time

import fixtures

# Seconds; a start takes about one.
TIMEOUT = 60

# Ends the server when the test is killed.
_DIE_WITH_PARENT = ('setpriv', '--pdeathsig', 'KILL', '--')


class _Server(fixtures.Fixture):
    """A server on a free port of the loopback interface.

    :param lock_seconds: how long a lock outlives the process that holds it
    :ivar url: for ``backend_url`` in ``[coordination]``
    """

    def __init__(self, lock_seconds=30):
        super().__init__()
        self._lock_seconds = lock_seconds

    def _setUp(self):
        if shutil.which(self.PROGRAM) is None:
            raise AssertionError('the Debian package %s is not installed'
                                 % self.PACKAGE)
        self._directory = self.useFixture(fixtures.TempDir()).path
        # Two free ports.
        with socket.create_server(('127.0.0.1', 0)) as one, \
                socket.create_server(('127.0.0.1', 0)) as other:
            self._port, self._peer_port = (
                each.getsockname()[1] for each in (one, other))
        self._log = os.path.join(self._directory, 'log')
        self.start()

    def start(self):
        """Start the server, on the same port each time."""
        with open(self._log, 'a') as log:
            self._process = subprocess.Popen(
                [*_DIE_WITH_PARENT, self.PROGRAM, *self._arguments()],
                stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT)
        self.addCleanup(self.stop)
        self._wait_ready()

    def _wait_ready(self):
        deadline = time.monotonic() + TIMEOUT
        while not self._is_ready():
            if self._process.poll() is not None or (
                    time.monotonic() > deadline):
                with open(self._log) as log:
                    raise AssertionError('%s did not start: %s'
                                         % (self.PROGRAM, log.read()))
            time.sleep(0.05)

    def _is_ready(self):
        try:
            with socket.create_connection(('127.0.0.1', self._port),
                                          TIMEOUT) as connection:
                connection.sendall(self.REQUEST)
                return self.REPLY in connection.recv(4096)
        except OSError:
            return False

    def stop(self):
        """Kill the server."""
        self._process.kill()
        self._process.wait()


class Redis(_Server):

    PROGRAM = 'redis-server'
    PACKAGE = 'redis-server'
    REQUEST = b'PING\r\n'
    REPLY = b'+PONG'

    def _arguments(self):
        return ('--port', str(self._port), '--bind', '127.0.0.1',
                '--dir', self._directory, '--save', '',
                '--appendonly', 'no')

    @property
    def url(self):
        return 'redis://127.0.0.1:%d?lock_timeout=%d' % (
            self._port, self._lock_seconds)


class Etcd(_Server):

    PROGRAM = 'etcd'
    PACKAGE = 'etcd-server'
    REQUEST = b'GET /health HTTP/1.0\r\n\r\n'
    REPLY = b'"health":"true"'

    def _arguments(self):
        clients, peers = ('http://127.0.0.1:%d' % port
                          for port in (self._port, self._peer_port))
        return ('--data-dir', os.path.join(self._directory, 'data'),
                '--listen-client-urls', clients,
                '--advertise-client-urls', clients,
                '--listen-peer-urls', peers,
                '--initial-advertise-peer-urls', peers,
                '--initial-cluster', 'default=' + peers)

    @property
    def url(self):
        return ('etcd3+http://127.0.0.1:%d?api_version=v3&lock_timeout=%d'
                % (self._port, self._lock_seconds))
