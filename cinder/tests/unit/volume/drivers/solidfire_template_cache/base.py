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

"""What the tests of the driver share: a cluster, images, volumes, a clock."""

import copy
import datetime
import hashlib
import itertools
import logging as std_logging
import os
from unittest import mock

import fixtures
import os_brick.privileged
from oslo_utils import timeutils
from oslo_utils import units
from oslo_utils import uuidutils

from cinder import context
from cinder import coordination
from cinder import privsep
from cinder.tests.element_simulator import clock
from cinder.tests.element_simulator import fixture as simulator
from cinder.tests.element_simulator import local_attach
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import fake_volume
from cinder.tests.unit import test
from cinder import utils
from cinder.volume import configuration
from cinder.volume import driver as volume_driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import template as tpl

T0 = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

PACKAGE = 'cinder.volume.drivers.solidfire_template_cache'


class ManualClock(clock.ManualClock):
    """Time that passes only when somebody sleeps or waits.

    :ivar jump: what the date is ahead of the seconds that have passed
    """

    jump = datetime.timedelta()

    def now(self):
        return (T0 + datetime.timedelta(seconds=self.monotonic()) +
                self.jump)

    def wait(self, condition, seconds):
        """Give other threads a chance, then let a little time pass."""
        if not condition.wait(0.002):
            self.advance(min(seconds, 0.05))


class ImageService(object):
    """An Image service with real bytes, which counts what it gives out."""

    def __init__(self):
        self.temp_images = None
        self.images = {}
        self.downloads = []
        self.bytes_sent = 0
        self.on_download = lambda image_id: None

    def add(self, data=b'', virtual_size=None, **members):
        """Register an image; return its metadata as Cinder passes them."""
        image_id = members.pop('id', None) or uuidutils.generate_uuid()
        metadata = {
            'id': image_id, 'name': 'an image', 'status': 'active',
            'visibility': 'public', 'owner': fake.PROJECT2_ID,
            'container_format': 'bare', 'disk_format': 'raw',
            'size': len(data), 'min_disk': 0, 'min_ram': 0,
            'virtual_size': (len(data) if virtual_size is None
                             else virtual_size),
            'checksum': hashlib.md5(data, usedforsecurity=False).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'created_at': T0, 'updated_at': T0, 'properties': {}}
        metadata.update(members)
        self.images[image_id] = (metadata, data)
        return copy.deepcopy(metadata)

    def replace(self, image_id, data, seconds=60, **members):
        """Give an image other data and a later updated_at."""
        old = self.images[image_id][0]
        return self.add(data, **dict(
            {'id': image_id, 'disk_format': old['disk_format'],
             'updated_at': old['updated_at'] + datetime.timedelta(
                 seconds=seconds)}, **members))

    def touch(self, image_id, seconds=60, **members):
        """Edit metadata only, as a tag does."""
        metadata = self.images[image_id][0]
        metadata.update(members, updated_at=metadata['updated_at'] +
                        datetime.timedelta(seconds=seconds))
        return copy.deepcopy(metadata)

    def show(self, context, image_id):
        return copy.deepcopy(self.images[image_id][0])

    def download(self, context, image_id, data=None):
        self.on_download(image_id)
        content = self.images[image_id][1]
        self.downloads.append(image_id)
        self.bytes_sent += len(content)
        data.write(content)


class Warnings(std_logging.Handler):
    """Collects the warnings and errors of the driver's package."""

    def __init__(self):
        super().__init__(std_logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


class DriverTestCase(test.TestCase):
    """Runs the driver, with local attachment, on a simulated cluster."""

    # Locks between threads are part of what is tested.
    MOCK_TOOZ = False
    CLONE_SECONDS = 0.5

    def setUp(self):
        super().setUp()
        self.clock = ManualClock()
        self.context = context.RequestContext(
            fake.USER_ID, fake.PROJECT_ID, is_admin=False)
        self.images = ImageService()
        self.sim = self.new_cluster()
        self._prepare_host()
        self.driver = self.new_driver()
        self.warnings = Warnings()
        logger = std_logging.getLogger(PACKAGE)
        logger.addHandler(self.warnings)
        self.addCleanup(logger.removeHandler, self.warnings)
        self._volume_times = itertools.count()

    def _prepare_host(self):
        self.state = self.useFixture(fixtures.TempDir()).path
        self.override_config('image_conversion_dir',
                             os.path.join(self.state, 'conversion'))
        self.override_config('backend_url', 'file://' + self.state,
                             group='coordination')
        # Started already, with a directory that all tests share.
        coordination.COORDINATOR.stop()
        coordination.COORDINATOR.start()
        self.addCleanup(coordination.COORDINATOR.stop)
        # Root runs what privsep guards in this very process.
        for privileged in self._privileged_contexts():
            privileged.set_client_mode(False)
            self.addCleanup(privileged.set_client_mode, True)
        # The limits on qemu-img cost a Python start each time.
        execute = utils.execute
        self.mock_object(
            utils, 'execute',
            lambda *cmd, prlimit=None, **kwargs: execute(*cmd, **kwargs))

    @staticmethod
    def _privileged_contexts():
        return privsep.sys_admin_pctxt, os_brick.privileged.default

    def new_cluster(self, **arguments):
        arguments.setdefault('clock', self.clock)
        arguments.setdefault('clone_seconds', self.CLONE_SECONDS)
        return self.useFixture(simulator.ElementSimulator(**arguments))

    def new_driver(self, sim=None, clock=None, **options):
        """Start a driver as one cinder-volume process would."""
        sim = sim or self.sim
        driver_class = options.pop('driver_class',
                                   local_attach.SolidFireDriver)
        values = dict(
            san_ip=sim.server.host, sf_api_port=sim.server.port,
            san_login=sim.server.login, san_password=sim.server.password,
            driver_ssl_cert_verify=True,
            driver_ssl_cert_path=sim.server.ca_file,
            volume_backend_name='solidfire',
            sf_allow_template_caching=True,
            sf_simulator_data_dir=sim.cluster.files.directory)
        values.update(options)
        driver = self._build(driver_class, values)
        driver._template_clock = clock or self.clock
        return driver

    def _build(self, driver_class, values):
        group = 'backend_%s' % uuidutils.generate_uuid(dashed=False)
        conf = configuration.Configuration(list(_all_options()),
                                           config_group=group)
        for name, value in values.items():
            self.override_config(name, value, group=group)
        # The stock driver, unlike ours, trusts what the environment names.
        self.useFixture(fixtures.EnvironmentVariable(
            'REQUESTS_CA_BUNDLE', values['driver_ssl_cert_path']))
        driver = driver_class(configuration=conf)
        driver.db = mock.Mock(
            spec_set=['volume_glance_metadata_bulk_create'])
        return driver

    def new_volume(self, size=1, **members):
        """Return a volume that Cinder is creating; size in GiB."""
        members.setdefault('id', uuidutils.generate_uuid())
        members.setdefault('project_id', fake.PROJECT_ID)
        members.setdefault('created_at', timeutils.utcnow())
        members.setdefault('host', 'host@solidfire#solidfire')
        members.setdefault('status', 'creating')
        members.setdefault('encryption_key_id', None)
        members.setdefault('volume_type_id', None)
        return fake_volume.fake_volume_obj(self.context, size=size,
                                           **members)

    def clone(self, image, volume=None, driver=None):
        """Ask a driver for a volume of an image, as Cinder does."""
        volume = volume or self.new_volume()
        return (driver or self.driver).clone_image(
            self.context, volume, (None, None), image, self.images)

    # What is on the cluster

    def volumes_named(self, prefix):
        """Return the volumes on the cluster, deleted ones too, by name."""
        return self.sim.cluster.volumes_named(prefix)

    def templates(self, image_id=''):
        return self.volumes_named(tpl.NAME_PREFIX + image_id)

    def tenant_volumes(self):
        return self.volumes_named('UUID-')

    def read_volume(self, volume_id, size):
        """Return the first bytes of a volume's data."""
        with open(self.sim.cluster.volume_path(volume_id), 'rb') as data:
            return data.read(size).ljust(size, b'\0')

    def assert_holds(self, model_update, data, size=1):
        """Check that a created volume has the image's data, then zeros."""
        volume_id = int(model_update['provider_id'].split()[0])
        with open(self.sim.cluster.volume_path(volume_id), 'rb') as volume:
            self.assertEqual(data, volume.read(len(data)))
            rest = volume.read(units.Mi)
        self.assertEqual(b'\0' * len(rest), rest)


def _all_options():
    return itertools.chain(
        volume_driver.volume_opts, san.san_opts, solidfire.sf_opts,
        options.template_cache_opts, local_attach.local_attach_opts)
