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

"""Runs cinder-volume services in processes of their own, to be killed.

The simulator runs in the process of the test; what a service does, and how
it is started, is in :mod:`service_process`.
"""

import atexit
import configparser
import functools
import itertools
import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

from eventlet import patcher
import fixtures
from oslo_utils import uuidutils

from cinder.tests.element_simulator import local_attach
from cinder.tests.functional.solidfire_template_cache import image_files
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test

BACKEND = 'solidfire'
CLUSTER = 'cluster'

TIMEOUT = 180
"""Seconds after which a process hangs that does not answer."""

_MODULE = 'cinder.tests.functional.solidfire_template_cache.service_process'
_MAX_MESSAGE_BYTES = 65536

# With green threads it would be the hub that waits for a socket of these.
_plain_socket = patcher.original('socket')


class ProcessDied(Exception):
    """The service process does not exist any more."""


class ForkServer(object):
    """The process that forks the services, see :mod:`service_process`.

    To start it costs seconds, to fork does not: one serves all tests.
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

    def call(self, request, *descriptors):
        """Fork a service, or reap a killed one; return the reply."""
        with self._lock:
            _plain_socket.send_fds(self._control,
                                   [json.dumps(request).encode()],
                                   descriptors)
            # Other green threads run meanwhile, the simulator above all.
            if not select.select([self._control.fileno()], [], [],
                                 TIMEOUT)[0]:
                raise ProcessDied('the fork server hangs')
            reply = self._control.recv(_MAX_MESSAGE_BYTES)
        if not reply:
            raise ProcessDied('the fork server has ended')
        return json.loads(reply)


@functools.cache
def _fork_server():
    return ForkServer()


class Reply(object):
    """The reply to a command, which a service will send."""

    def __init__(self, process, command):
        self._what = '%s on %s' % (command, process.host)
        self._done = threading.Event()
        self._answer = None

    def set(self, answer):
        self._answer = answer
        self._done.set()

    @property
    def done(self):
        return self._done.is_set()

    def wait(self, seconds=TIMEOUT):
        """Return the members of the reply."""
        if not self._done.wait(seconds):
            raise AssertionError('no reply to %s' % self._what)
        if self._answer is None:
            raise ProcessDied(self._what)
        return self._answer


class Process(object):
    """One service in its process."""

    def __init__(self, host, state_path, request):
        self.host = host
        self.state_path = state_path
        self._output = request['output']
        self._numbers = itertools.count(1)
        self._pending = {}
        self._stages = []
        self._changed = threading.Condition()
        self._ended = False
        self._killed = threading.Lock()
        self._line, theirs = socket.socketpair()
        with theirs:
            self.pid = _fork_server().call(request, theirs.fileno())
        self._ready = self._pending[0] = Reply(self, 'start')
        threading.Thread(target=self._read, daemon=True).start()

    # Commands

    def send(self, command, **members):
        """Send a command of :class:`service_process.ServiceProcess`."""
        reply = Reply(self, command)
        number = next(self._numbers)
        with self._changed:
            if self._ended:
                reply.set(None)
                return reply
            self._pending[number] = reply
        message = dict(members, number=number, command=command)
        try:
            self._line.sendall(json.dumps(message).encode() + b'\n')
        except OSError:
            # The reader sees it too, and ends all waits.
            pass
        return reply

    def call(self, command, **members):
        """Send a command, wait, and return the reply."""
        answer = self.send(command, **members).wait()
        if answer.get('error'):
            raise AssertionError('%s on %s: %s' % (command, self.host,
                                                   answer['error']))
        return answer

    def create(self, image, volume_id=None, project_id=fake.PROJECT_ID,
               **members):
        """Begin to create a volume from an image."""
        return self.send('create', image_id=image['id'],
                         volume_id=volume_id or uuidutils.generate_uuid(),
                         project_id=project_id, **members)

    def arm(self, stage, skip=0):
        """Have the service wait at a stage: see :mod:`stages`."""
        self.call('arm', stage=stage, skip=skip)

    def go(self, stage):
        self.call('go', stage=stage)

    def wait_ready(self):
        """Wait until the service is up."""
        try:
            if self._ready.wait()['working']:
                return
        except ProcessDied:
            pass
        raise AssertionError('%s does not work: %s\n%s' % (
            self.host, self.printed(), self.log()))

    def reached(self, stage):
        """Return whether the service has come to a stage."""
        with self._changed:
            return stage in self._stages

    def wait_stage(self, stage, seconds=TIMEOUT):
        """Wait until the service has come to a stage."""
        with self._changed:
            self._changed.wait_for(
                lambda: stage in self._stages or self._ended, seconds)
            if stage not in self._stages:
                raise AssertionError('%s did not come to %s: %s\n%s' % (
                    self.host, stage, self.printed(), self.log()))

    def kill(self):
        """End the process with SIGKILL, and return when it is gone."""
        with self._killed:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
                _fork_server().call({'reap': self.pid})
            self.pid = None

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    # Output and log

    def printed(self):
        """Return what all processes of this host printed."""
        return _read_file(self._output)

    def log(self):
        """Return the log of all processes of this host."""
        return _read_file(os.path.join(self.state_path, 'log'))

    def records(self, *levels):
        """Return what was logged at some levels: lists of (logger, text)."""
        return [(record['name'], record['message']) for record in map(
            json.loads, self.log().splitlines())
            if record['levelname'] in levels]

    def warnings(self):
        """Return the warnings and errors, except those of Cinder itself."""
        return [text for name, text in self.records(
            'WARNING', 'ERROR', 'CRITICAL') if 'solidfire' in name]

    def errors(self):
        """Return the texts of all errors, Cinder's too."""
        return [text for _name, text in self.records('ERROR', 'CRITICAL')]

    def _read(self):
        try:
            for line in self._line.makefile('r'):
                self._take(json.loads(line))
        except OSError:
            pass
        with self._changed:
            self._ended = True
            pending, self._pending = self._pending, {}
            self._changed.notify_all()
        self._line.close()
        for reply in pending.values():
            reply.set(None)

    def _take(self, message):
        with self._changed:
            event = message.get('event')
            if event == 'stage':
                self._stages.append(message['stage'])
                self._changed.notify_all()
                return
            number = 0 if event == 'ready' else message['number']
            reply = self._pending.pop(number)
        reply.set(message['answer'] if number else message)


class Services(fixtures.Fixture):
    """Services of one Cinder cluster on one simulated Element cluster."""

    def __init__(self, sim):
        super().__init__()
        self._sim = sim
        self._processes = []

    def _setUp(self):
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.images = image_files.ImageFiles(self._path('images'))
        self._make_database()
        self.addCleanup(lambda: [each.kill() for each in self._processes])

    def start(self, *hosts, backend_url=None, **options):
        """Start services at the same time; return when all are up."""
        started = [Process(host, self._path(host), self._request(
            host, backend_url, options)) for host in hosts]
        self._processes.extend(started)
        for process in started:
            process.wait_ready()
        return started

    def kill_at_call(self, process, number, when='after', **rule):
        """Kill a process in one of its next API calls."""
        return self._sim.faults.add(
            skip=number - 1, when=when, drop=True, action=process.kill,
            **rule)

    def volume_statuses(self):
        """Return the status of each volume in Cinder's database, by id."""
        with sqlite3.connect(self._path('cinder.sqlite')) as database:
            return dict(database.execute(
                'SELECT id, status FROM volumes WHERE NOT deleted'))

    def wait_until(self, condition, what):
        """Wait until a callable returns something true, and return that."""
        deadline = time.monotonic() + TIMEOUT
        while not (result := condition()):
            if time.monotonic() > deadline:
                raise AssertionError('not seen: %s' % what)
            time.sleep(0.05)
        return result

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _make_database(self):
        """Create the database with the schema of Cinder's test base."""
        database = sqlite3.connect(self._path('cinder.sqlite'))
        # Readers and a writer do not wait for each other.
        database.execute('PRAGMA journal_mode=WAL')
        database.executescript(test.DB_SCHEMA)
        database.close()

    def _request(self, host, backend_url, options):
        state_path = self._path(host)
        os.makedirs(state_path, exist_ok=True)
        parser = configparser.RawConfigParser(default_section=None)
        parser.read_dict({
            'DEFAULT': {
                'transport_url': 'fake://', 'state_path': state_path,
                'log_file': os.path.join(state_path, 'log'),
                'use_json': True, 'enabled_backends': BACKEND,
                'cluster': CLUSTER,
                # Nothing happens unless the test requests it.
                'periodic_interval': 0, 'report_interval': 0,
            },
            'database': {
                'connection': 'sqlite:///%s?timeout=%d' % (
                    self._path('cinder.sqlite'), TIMEOUT),
                'sqlite_synchronous': False,
            },
            'coordination': {
                'backend_url': backend_url or 'file://' + state_path},
            'oslo_concurrency': {
                'lock_path': os.path.join(state_path, 'locks')},
            BACKEND: dict({
                'volume_driver':
                    '%s.SolidFireDriver' % local_attach.__name__,
                'volume_backend_name': BACKEND,
                'san_ip': self._sim.host, 'sf_api_port': self._sim.port,
                'san_login': self._sim.login,
                'san_password': self._sim.password,
                'driver_ssl_cert_verify': True,
                'driver_ssl_cert_path': self._sim.ca_file,
                'sf_simulator_data_dir': self._sim.cluster.files.directory,
                'sf_allow_template_caching': True}, **options)})
        config_file = self._path(host + '.conf')
        with open(config_file, 'w') as target:
            parser.write(target)
        return {
            'host': host, 'images': self.images.directory,
            'config_file': config_file, 'output': self._path(host + '.out'),
            'environment': {'REQUESTS_CA_BUNDLE': self._sim.ca_file}}


def _read_file(path):
    try:
        with open(path) as source:
            return source.read()
    except FileNotFoundError:
        return ''
