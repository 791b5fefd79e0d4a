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

"""The HTTPS server in front of one cluster."""

import itertools
import os
import shutil
import socket
import tempfile
import threading
import time
import weakref

from cheroot import server as cheroot_server
from cheroot.ssl import builtin
from cheroot import wsgi
from oslo_log import log as logging
import trustme

from cinder.tests.element_simulator import application
from cinder.tests.element_simulator import faults as faults_module
from cinder.tests.element_simulator import journal

LOG = logging.getLogger(__name__)

# Seconds: how long an idle connection is kept, how often the server looks
# whether it is to stop, and how long stopping waits for a call under way.
# With green threads a call on a kept connection waits for that look, too.
_IDLE = 120
_LOOK = 0.002
_STOP = 5


class Server:
    """Answers for a Cluster at https://host:port/json-rpc/<version>.

    :param cluster: the Cluster
    :param host: address to listen at
    :param port: TCP port; any free one when 0, told by `port` after start()
    :param faults: a FaultPlan
    :param sleep: waits out the delays of fault rules, in seconds
    :param certificate_dir: where the certificates are put; a temporary
                            place when None
    :param threads: how many calls can be under way at once
    """

    def __init__(self, cluster, host='127.0.0.1', port=0, login='admin',
                 password='solidfire', faults=None, sleep=time.sleep,
                 certificate_dir=None, threads=64):
        self.cluster = cluster
        self.host = host
        self.port = port
        self.login = login
        self.password = password
        self.faults = faults or faults_module.FaultPlan()
        self.sleep = sleep
        self.calls = journal.Journal()
        self.threads = threads
        self.ca_file = None
        self._certificate_dir = certificate_dir
        self._connections = itertools.count()
        self._connections_seen = 0
        self._http = None
        self._thread = None

    @property
    def url(self):
        return f'https://{self.host}:{self.port}'

    @property
    def connections(self):
        """How many TLS connections were opened since the last reset."""
        return self._connections_seen

    def reset_calls(self):
        """Forget the calls and connections so far."""
        self.calls.reset_calls()
        self._connections = itertools.count()
        self._connections_seen = 0

    def start(self):
        """Listen, and return when connections are accepted.

        A server that was stopped comes back at the same port with the same
        certificates.
        """
        if self.ca_file is None:
            self._make_certificates()
        http = wsgi.Server((self.host, self.port),
                           application.Application(self),
                           numthreads=self.threads, timeout=_IDLE,
                           request_queue_size=128, shutdown_timeout=_STOP)
        http.ssl_adapter = builtin.BuiltinSSLAdapter(
            self._path('server.pem'), self._path('server.key'))
        http.ConnectionClass = self._connection
        http.keep_alive_conn_limit = None
        http.expiration_interval = _LOOK
        http.error_log = _log
        http.prepare()
        # Connections inherit it: what is left of them does not keep a later
        # start() from the port. Set before the port is chosen, it could
        # give two servers the same one.
        http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = http.bind_addr[1]
        self._http = http
        self._thread = threading.Thread(
            target=http.serve, name='element-simulator', daemon=True)
        self._thread.start()

    def stop(self):
        """Close the port and all connections; the cluster stays."""
        if self._http is None:
            return
        self._http.stop()
        self._thread.join()
        self._http = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def _connection(self, *args, **kwargs):
        # Only the thread that accepts connections gets here.
        self._connections_seen = next(self._connections) + 1
        return cheroot_server.HTTPConnection(*args, **kwargs)

    def _path(self, name):
        return os.path.join(self._certificate_dir, name)

    def _make_certificates(self):
        if self._certificate_dir is None:
            self._certificate_dir = tempfile.mkdtemp(
                prefix='element-simulator-tls-')
            weakref.finalize(self, shutil.rmtree, self._certificate_dir,
                             ignore_errors=True)
        os.makedirs(self._certificate_dir, exist_ok=True)
        authority = trustme.CA()
        names = dict.fromkeys(['127.0.0.1', 'localhost', self.host])
        names.pop('0.0.0.0', None)
        certificate = authority.issue_cert(*names)
        authority.cert_pem.write_to_path(self._path('ca.pem'))
        with open(self._path('server.key'), 'wb',
                  opener=lambda path, flags: os.open(path, flags,
                                                     0o600)) as stream:
            stream.write(certificate.private_key_pem.bytes())
        for number, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(self._path('server.pem'), append=number > 0)
        self.ca_file = self._path('ca.pem')


def _log(message='', level=20, traceback=False):
    LOG.log(level, message, exc_info=traceback)
