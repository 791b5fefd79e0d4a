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

"""The process that forks service processes, as its parent sees it."""

import atexit
import functools
import json
import os
import select
import socket
import subprocess
import sys
import threading

from eventlet import patcher

# Seconds in which it is long up, and each service forked.
PATIENCE = 180

_MODULE = 'cinder.tests.functional.solidfire_template_cache.service_process'
_LARGEST_MESSAGE = 65536

# With green threads it would be the hub that waits for a socket of these.
_plain_socket = patcher.original('socket')


class ProcessDied(Exception):
    """The service process is gone, and its answer will not come."""


class Nursery(object):
    """The process that forks the services, see :mod:`service_process`.

    Starting it costs seconds, forking does not: one serves all tests.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._control, theirs = _plain_socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # To measure coverage slows services down, and what it has found
        # out dies with them.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('COVERAGE_PROCESS')}
        self._process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', _MODULE], stdin=theirs,
            stdout=subprocess.DEVNULL, env=environment)
        theirs.close()
        atexit.register(self.close)

    def close(self):
        """End it, and every service that it has forked."""
        self._control.close()
        self._process.wait()

    def fork(self, line, request):
        """Start a service; return the number of its process."""
        return self._ask(request, [line.fileno()])

    def reap(self, pid):
        """Wait until a killed service is gone."""
        self._ask({'reap': pid})

    def _ask(self, request, descriptors=()):
        with self._lock:
            _plain_socket.send_fds(self._control,
                                   [json.dumps(request).encode()],
                                   descriptors)
            # Others go on meanwhile, the simulator above all.
            if not select.select([self._control.fileno()], [], [],
                                 PATIENCE)[0]:
                raise ProcessDied('the nursery does not answer')
            answer = self._control.recv(_LARGEST_MESSAGE)
        if not answer:
            raise ProcessDied('the nursery has ended')
        return json.loads(answer)


@functools.cache
def get():
    """Return the nursery of this process."""
    return Nursery()
