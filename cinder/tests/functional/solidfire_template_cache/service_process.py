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

"""A real cinder-volume service in a process of its own, for tests.

``python -m`` this module runs a fork server: it imports what a service needs,
which takes seconds, and then forks a service for each request on the socket
that is its standard input, as Cinder's own launcher does. A service gets its
commands on a socket of its own, in lines of JSON: see the ``do_`` methods.
"""

# flake8: noqa: E402,F401,I100

# As the first thing, like Cinder's own services.
from cinder import monkey_patch
monkey_patch.patch()

import ctypes
import datetime
import json
import os
import signal
import socket
import sys
import threading

from eventlet import patcher
import os_brick
import os_brick.privileged
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils
import redis
import sqlalchemy
from sqlalchemy import orm
import tooz.drivers.etcd3gw
import tooz.drivers.file
import tooz.drivers.redis

from cinder.common import constants
from cinder import context
from cinder.db import api as db
from cinder.image import glance
from cinder import objects
from cinder import privsep
from cinder import rpc
from cinder import service
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import image_files
from cinder.tests.functional.solidfire_template_cache import (
    stages as stages_module)
from cinder import utils
from cinder import version
from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume import manager
from cinder.volume import volume_types
from cinder.volume import volume_utils

CONF = cfg.CONF
CONF.import_opt('cluster', 'cinder.cmd.volume')

BACKEND = 'solidfire'

MAX_MESSAGE_BYTES = 65536

# from <linux/prctl.h>
_PR_SET_PDEATHSIG = 1


class ShiftedClock(clock.SystemClock):
    """The time of this machine, which a command can move forward."""

    shift = 0

    def monotonic(self):
        return super().monotonic() + self.shift

    def now(self):
        return super().now() + datetime.timedelta(seconds=self.shift)


class ServiceProcess(object):
    """One service and the line on which it takes commands."""

    def __init__(self, line, host, images):
        self._line = line
        self._send_lock = threading.Lock()
        self._host = '%s@%s' % (host, BACKEND)
        self._clock = ShiftedClock()
        self.stages = stages_module.Stages(
            lambda stage: self.send(event='stage', stage=stage))
        self._images = image_files.ImageFiles(images)
        self._rescheduled = set()

    def start(self):
        """Start the service as Cinder's command does."""
        self.stages.install()
        # A new one each time, as in Cinder: they hold what is downloaded.
        glance.get_default_image_service = self._image_service
        glance.get_remote_image_service = (
            lambda _context, image_id: (self._image_service(), image_id))
        self._service = service.Service.create(
            host=self._host, service_name=BACKEND, coordination=True,
            binary=constants.VOLUME_BINARY, cluster=self._cluster())
        self._manager = self._service.manager
        self._manager.driver._template_services.clock = self._clock
        # There is no scheduler but the test.
        self._manager.scheduler_rpcapi.create_volume = (
            lambda _context, volume, **_unused:
                self._rescheduled.add(volume.id))
        self._service.start()
        working = self._manager.is_working()
        if working:
            # Its statistics have triggered housekeeping.
            self._wait_for_housekeeping()
        self.send(event='ready', working=working)

    def _wait_for_housekeeping(self):
        services = self._manager.driver._template_services
        services.active().housekeeping_runner.wait()

    def serve(self):
        """Carry out commands, all at the same time, until the line ends."""
        for line in self._line.makefile('r'):
            request = json.loads(line)
            threading.Thread(target=self._answer, args=(request,),
                             daemon=True).start()

    def send(self, **message):
        with self._send_lock:
            self._line.sendall(json.dumps(message).encode() + b'\n')

    def _answer(self, request):
        number = request.pop('number')
        command = getattr(self, 'do_' + request.pop('command'))
        try:
            answer = command(**request) or {}
        except Exception as exc:
            answer = {'error': '%s: %s' % (type(exc).__name__, exc)}
        self.send(number=number, answer=answer)

    def _image_service(self):
        return image_files.ImageService(
            self._images, lambda: self.stages.reach(stages_module.DOWNLOAD))

    @staticmethod
    def _cluster():
        return CONF.cluster and '%s@%s' % (CONF.cluster, BACKEND)

    # Commands; they return the members of the answer, or None

    def do_arm(self, stage, skip=0):
        self.stages.arm(stage, skip)

    def do_go(self, stage):
        self.stages.go(stage)

    def do_advance(self, seconds):
        """Let time pass for the cache, but for those that wait already."""
        self._clock.shift += seconds

    def do_stats(self):
        """Collect the statistics, and wait for the housekeeping."""
        stats = self._manager.driver.get_volume_stats(refresh=True)
        self._wait_for_housekeeping()
        return {'stats': stats}

    def do_delete(self, volume_id):
        admin = context.get_admin_context()
        self._manager.delete_volume(
            admin, objects.Volume.get_by_id(admin, volume_id))

    def do_create(self, volume_id, image_id, project_id, size=1, age=0):
        """Create a volume from an image; also one that failed elsewhere."""
        ctxt = context.RequestContext(project_id, project_id,
                                      is_admin=False)
        volume = self._record(ctxt, volume_id, size, age)
        spec = objects.RequestSpec(
            volume_id=volume_id, image_id=image_id,
            volume_properties=objects.VolumeProperties(size=size))
        try:
            self._manager.create_volume(
                ctxt, volume, spec, {'retry': {'num_attempts': 1}})
            error = None
        except Exception as exc:
            error = '%s: %s' % (type(exc).__name__, exc)
        volume.refresh()
        return {'volume_id': volume_id, 'status': volume.status,
                'provider_id': volume.provider_id, 'host': volume.host,
                'rescheduled': volume_id in self._rescheduled,
                'error': error}

    def _record(self, ctxt, volume_id, size, age):
        """Return the volume as API and scheduler leave it."""
        now = timeutils.utcnow()
        values = {
            'status': 'creating', 'host': '%s#%s' % (self._host, BACKEND),
            'scheduled_at': now, 'cluster_name': self._cluster() and (
                '%s#%s' % (self._cluster(), BACKEND)),
            'created_at': now - datetime.timedelta(seconds=age)}
        admin = ctxt.elevated()
        try:
            db.volume_get(admin, volume_id)
        except Exception:
            db.volume_create(admin, dict(
                values, id=volume_id, size=size, attach_status='detached',
                user_id=ctxt.user_id, project_id=ctxt.project_id,
                availability_zone='nova', display_name='of an image',
                volume_type_id=volume_types.get_default_volume_type()['id']))
        else:
            db.volume_update(admin, volume_id, values)
        return objects.Volume.get_by_id(ctxt, volume_id)


def _begin_at_once(connection):
    """Take SQLite's lock for writing when a transaction begins."""
    if 'in_transaction' not in connection.info:
        connection.exec_driver_sql('BEGIN IMMEDIATE')
        connection.info['in_transaction'] = True


def _prepare_host(host):
    """Let the host be this machine, as root."""
    for privileged in privsep.sys_admin_pctxt, os_brick.privileged.default:
        privileged.set_client_mode(False)
    # Repeated probes, and the look for the properties of this host, cost most
    # of the time of a fill.
    utils.execute = base.CachedProbes(utils.execute).execute
    volume_utils.brick_get_connector_properties = (
        lambda *args, **kwargs: dict(
            base.CONNECTOR, host=host,
            initiator='iqn.2026-01.org.example:' + host))
    sqlalchemy.event.listen(sqlalchemy.Engine, 'begin', _begin_at_once)


def _configure(config_file):
    CONF(['--config-file', config_file], project='cinder',
         version=version.version_string())
    logging.setup(CONF, 'cinder')
    os_brick.setup(CONF)
    rpc.init(CONF)


def run(descriptor, host, images, config_file, output, environment):
    """Be one service until the other end of the line is closed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with open(output, 'a') as target:
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    os.environ.update(environment)
    _configure(config_file)
    _prepare_host(host)
    process = ServiceProcess(socket.socket(fileno=descriptor), host, images)
    process.start()
    process.serve()


def _fork(control, request, descriptor):
    pid = os.fork()
    if pid:
        return pid
    try:
        control.close()
        run(descriptor, **request)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(0)


def serve_forks():
    """Fork services and reap them, until the parent has ended."""
    # The hub of eventlet must not be there yet when a service is forked.
    plain_socket = patcher.original('socket')
    objects.register_all()
    # Half of the time that a service would take to start.
    orm.configure_mappers()
    control = plain_socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    while True:
        message, descriptors, _flags, _address = plain_socket.recv_fds(
            control, MAX_MESSAGE_BYTES, 1)
        if not message:
            return
        request = json.loads(message)
        if 'reap' in request:
            answer = os.waitpid(request['reap'], 0)[1]
        else:
            answer = _fork(control, request, descriptors[0])
            os.close(descriptors[0])
        control.send(json.dumps(answer).encode())


if __name__ == '__main__':
    serve_forks()
