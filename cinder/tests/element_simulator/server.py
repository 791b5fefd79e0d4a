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

"""The HTTPS server of one cluster."""

import itertools
import os
import shutil
import socket
import tempfile
import threading
import time
import typing
import weakref

from cheroot import server as cheroot_server
from cheroot.ssl import builtin
from cheroot import wsgi
from oslo_log import log as logging
import trustme

from cinder.tests.element_simulator import application
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import faults
from cinder.tests.element_simulator import journal

LOG = logging.getLogger(__name__)

# Seconds: how long an idle connection is kept, the interval at which the
# server checks for a stop, and how long a stop waits for running calls. With
# green threads a call on a kept connection waits for the check, too.
_IDLE_TIMEOUT = 120
_CHECK_INTERVAL = 0.002
_STOP_TIMEOUT = 5

# Maximum number of concurrent calls
_THREADS = 64


class Server:
    """Serves a Cluster at https://host:port/json-rpc/<version>.

    :param cluster: the Cluster
    :param host: address to listen on
    :param port: TCP port; 0 for any free port
    :param login: name of the cluster administrator
    :param password: password of the cluster administrator
    :param sleep: waits for the delays of fault rules, in seconds
    :ivar port: the TCP port in use, once start() was called
    :ivar faults: the fault rules
    :ivar calls: the journal of API calls
    :ivar ca_file: path of the CA certificate; empty before start()
    """

    def __init__(self, cluster: cluster.Cluster, host: str = '127.0.0.1',
                 port: int = 0, login: str = 'admin',
                 password: str = 'solidfire',
                 sleep: typing.Callable[[float], None] = time.sleep
                 ) -> None:
        self.cluster = cluster
        self.host = host
        self.port = port
        self.login = login
        self.password = password
        self.faults = faults.FaultPlan()
        self.sleep = sleep
        self.calls = journal.Journal()
        self.ca_file = ''
        self._certificate_dir = ''
        self._connections = itertools.count(1)
        self._last_connection = 0
        self._http: typing.Any = None
        self._thread: typing.Optional[threading.Thread] = None

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f'https://{self.host}:{self.port}'

    @property
    def connections(self) -> int:
        """Number of TLS connections that were opened since the last reset."""
        return self._last_connection

    def reset_calls(self) -> None:
        """Forget the calls and connections so far."""
        self.calls.reset_calls()
        self._connections = itertools.count(1)
        self._last_connection = 0

    def start(self) -> None:
        """Start to accept connections.

        A server that is started again has the same port and certificates.
        """
        if not self.ca_file:
            self._create_certificates()
        http: typing.Any = wsgi.Server(
            (self.host, self.port), application.Application(self),
            numthreads=_THREADS, timeout=_IDLE_TIMEOUT,
            request_queue_size=128, shutdown_timeout=_STOP_TIMEOUT)
        http.ssl_adapter = builtin.BuiltinSSLAdapter(
            self._certificate_path('server.pem'),
            self._certificate_path('server.key'))
        http.ConnectionClass = self._connection
        http.keep_alive_conn_limit = None
        http.expiration_interval = _CHECK_INTERVAL
        http.error_log = _log
        http.prepare()
        # Connections inherit the option: their remains do not prevent a
        # later start() on the port. If it were set before the port is
        # chosen, two servers could get the same port.
        http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = http.bind_addr[1]
        self._http = http
        self._thread = threading.Thread(
            target=http.serve, name='element-simulator', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and all connections; the cluster is kept."""
        if self._http is None or self._thread is None:
            return
        self._http.stop()
        self._thread.join()
        self._http = None

    def __enter__(self) -> 'Server':
        self.start()
        return self

    def __exit__(self, *exc_info: typing.Any) -> None:
        self.stop()

    def _connection(self, *args: typing.Any, **kwargs: typing.Any
                    ) -> cheroot_server.HTTPConnection:
        # Called only by the thread that accepts connections.
        self._last_connection = next(self._connections)
        return cheroot_server.HTTPConnection(*args, **kwargs)

    def _certificate_path(self, name: str) -> str:
        return os.path.join(self._certificate_dir, name)

    def _create_certificates(self) -> None:
        self._certificate_dir = tempfile.mkdtemp(
            prefix='element-simulator-tls-')
        weakref.finalize(self, shutil.rmtree, self._certificate_dir,
                         ignore_errors=True)
        authority = trustme.CA()
        names = dict.fromkeys(['127.0.0.1', 'localhost', self.host])
        names.pop('0.0.0.0', None)
        certificate = authority.issue_cert(*names)
        ca_file = self._certificate_path('ca.pem')
        authority.cert_pem.write_to_path(ca_file)
        with open(self._certificate_path('server.key'), 'wb',
                  opener=lambda path, flags: os.open(path, flags,
                                                     0o600)) as stream:
            stream.write(certificate.private_key_pem.bytes())
        for number, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(self._certificate_path('server.pem'),
                               append=number > 0)
        self.ca_file = ca_file


def _log(message: str = '', level: int = 20, traceback: bool = False) -> None:
    LOG.log(level, message, exc_info=traceback)
