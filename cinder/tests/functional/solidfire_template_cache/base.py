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

"""What the functional tests share: the driver on a simulated cluster."""

import copy
import dataclasses
import itertools
import os
import subprocess
from unittest import mock

import fixtures
import os_brick.privileged
from os_brick import utils as brick_utils
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_utils import timeutils
from oslo_utils import units
from oslo_utils import uuidutils

from cinder import coordination
from cinder import privsep
from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import fixture as simulator
from cinder.tests.element_simulator import local_attach
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    fixtures as cache_fixtures)
from cinder import utils
from cinder.volume import configuration
from cinder.volume import driver as volume_driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume import volume_utils

CONF = cfg.CONF

TEMPLATE_ACCOUNT = 'openstack-vtemplate'
DATA = b'bootable' * 50000
OTHER_DATA = b'elsewise' * 50000

CONNECTOR = {'initiator': 'iqn.2026-01.org.example:host', 'host': 'host',
             'ip': '127.0.0.1', 'platform': 'x86_64', 'os_type': 'linux',
             'multipath': False, 'enforce_multipath': False}


class CheckedLog(cache_fixtures.LogCapture):
    """A log none of whose lines has an exception appended by oslo.log."""

    enabled = True

    def check(self):
        if self.enabled:
            self.assert_no_exception_appended()

    def clear(self):
        try:
            self.check()
        finally:
            super().clear()


class CachedProbes(object):
    """Runs ``qemu-img info`` once for each content, and caches the output."""

    def __init__(self, execute):
        self._execute = execute
        self._cache = {}

    def execute(self, *command, prlimit=None, **options):
        # The limits on qemu-img cost a start of Python each time.
        if 'qemu-img' not in command or 'info' not in command:
            return self._execute(*command, **options)
        *words, path = command
        with open(path, 'rb') as image:
            key = (tuple(words), image.read())
        if key not in self._cache:
            try:
                output = self._execute(*command, **options)
            except processutils.ProcessExecutionError as exc:
                output = exc  # The file is of another format.
            self._cache[key] = path, output
        cached_path, output = self._cache[key]
        if isinstance(output, Exception):
            raise output
        return output[0].replace(cached_path, path), output[1]


class FunctionalTestCase(test.TestCase):
    """Runs the driver, with local attachment, on a simulated cluster."""

    # Locks between threads are part of what is tested.
    MOCK_TOOZ = False
    # The first poll sees a clone running, the second one sees it done.
    CLONE_SECONDS = 0.2

    def setUp(self):
        super().setUp()
        self.clock = self.new_clock()
        self.context = cache_fixtures.new_context()
        self.images = cache_fixtures.ImageService()
        self.sim = self.new_cluster()
        self._prepare_host()
        self.log = self.useFixture(CheckedLog())
        self.addCleanup(self.log.check)
        self.driver = self.new_driver()

    def new_clock(self):
        return cache_fixtures.ThreadedClock()

    def _prepare_host(self):
        self.state = self.useFixture(fixtures.TempDir()).path
        self.conversion_dir = os.path.join(self.state, 'conversion')
        self.override_config('image_conversion_dir', self.conversion_dir)
        self.override_config('backend_url', 'file://' + self.state,
                             group='coordination')
        # Started already, with a directory that all tests share.
        coordination.COORDINATOR.stop()
        coordination.COORDINATOR.start()
        self.addCleanup(coordination.COORDINATOR.stop)
        # Root runs what privsep guards in this very process.
        for privileged in privsep.sys_admin_pctxt, os_brick.privileged.default:
            privileged.set_client_mode(False)
            self.addCleanup(privileged.set_client_mode, True)
        self.mock_object(utils, 'execute',
                         CachedProbes(utils.execute).execute)
        # To look for the properties of this host takes six commands.
        self.mock_object(volume_utils, 'brick_get_connector_properties',
                         autospec=True,
                         side_effect=lambda *_args, **_kwargs: dict(CONNECTOR))
        # os-brick runs dd to see whether a device can be read.
        self.mock_object(brick_utils, 'check_valid_device', autospec=True,
                         side_effect=lambda _connector, path:
                         os.access(path, os.R_OK))

    def new_cluster(self, **arguments):
        arguments.setdefault('clock', self.clock)
        arguments.setdefault('clone_seconds', self.CLONE_SECONDS)
        return self.useFixture(simulator.ElementSimulator(**arguments))

    # Drivers

    def new_driver(self, sim=None, clock=None,
                   driver_class=local_attach.SolidFireDriver, **values):
        """Start a driver as one cinder-volume process would."""
        sim = sim or self.sim
        values = dict({
            'san_ip': sim.host, 'sf_api_port': sim.port,
            'san_login': sim.login, 'san_password': sim.password,
            'driver_ssl_cert_verify': True,
            'driver_ssl_cert_path': sim.ca_file,
            'volume_backend_name': 'solidfire',
            'sf_allow_template_caching': True,
            'sf_simulator_data_dir': sim.cluster.files.directory}, **values)
        group = 'backend_%s' % uuidutils.generate_uuid(dashed=False)
        conf = configuration.Configuration(all_options(), config_group=group)
        for name, value in values.items():
            self.override_config(name, value, group=group)
        # The stock driver, unlike ours, trusts what the environment names.
        self.useFixture(fixtures.EnvironmentVariable(
            'REQUESTS_CA_BUNDLE', values['driver_ssl_cert_path']))
        return self.start_driver(driver_class, conf, clock)

    def start_driver(self, driver_class, conf, clock=None, **arguments):
        driver = driver_class(configuration=conf, **arguments)
        driver.db = mock.Mock(spec_set=['volume_glance_metadata_bulk_create'])
        if driver_class is not solidfire.SolidFireDriver:
            driver._template_services.clock = clock or self.clock
        return driver

    def stock_driver(self, sim=None, **values):
        return self.new_driver(sim, driver_class=solidfire.SolidFireDriver,
                               **values)

    def other_host(self):
        """Return one more driver with the same configuration."""
        return self.start_driver(type(self.driver), self.driver.configuration)

    def service(self, driver=None):
        """Return the :class:`service.CacheService` of a driver's cluster."""
        return (driver or self.driver)._template_services.active()

    @staticmethod
    def forget(driver):
        """Leave a driver without memory, as it is after a restart."""
        driver._template_services.clear()

    def run_housekeeping(self, driver=None):
        """Run one round of housekeeping in this thread."""
        self.service(driver).housekeeper.run()

    # Requests

    def new_volume(self, size=1, **members):
        """Return a volume that Cinder is creating; size in GiB."""
        members.setdefault('created_at', timeutils.utcnow())
        return cache_fixtures.new_volume(size, self.context, **members)

    def clone(self, image, volume=None, driver=None):
        """Request a volume of an image from a driver, as Cinder does."""
        # Cinder has an image service for each request.
        service = copy.copy(self.images)
        service.temp_images = None
        volume = volume or self.new_volume()
        before = volume.obj_to_primitive()
        result = (driver or self.driver).clone_image(
            self.context, volume, (None, None), image, service)
        # Bug 1680314: whatever happens, Cinder's volume stays as it is.
        self.assertEqual(before, volume.obj_to_primitive())
        return result

    def qcow2(self, data, *options, size=None):
        """Return the bytes of a qcow2 file with these data."""
        raw, path = self.state + '/raw', self.state + '/qcow2'
        with open(raw, 'wb') as target:
            target.write(data)
            target.truncate(size or len(data))
        subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                        *options, raw, path], check=True,
                       stdout=subprocess.DEVNULL)
        with open(path, 'rb') as source:
            return source.read()

    # The cluster

    def api(self, method, /, sim=None, **params):
        """Call an API method as somebody else would; it is not recorded."""
        return api.call((sim or self.sim).cluster, method, params).result

    def clear_cluster(self):
        """Remove everything from the cluster, and from the log."""
        clear(self.sim)
        self.log.clear()

    def account_id(self, name=fake.PROJECT_ID):
        """Return the id of the one account of that name."""
        found, = [each for each in self.sim.cluster.accounts.values()
                  if each.username == name]
        return found.account_id

    def plant(self, image, data=DATA, size=units.Gi, access='readOnly',
              **changes):
        """Make a template as another host would; return its volumeID."""
        template = dataclasses.replace(
            model.new(metadata.from_metadata(image),
                      uuidutils.generate_uuid(), CONF.host, False,
                      self.clock.now()),
            **dict({'state': model.State.READY}, **changes))
        return self.plant_volume(model.name_for(image['id']),
                                 template.attributes(), data, size=size,
                                 access=access)

    def plant_volume(self, name, attributes, data=b'', size=units.Gi,
                     access='readWrite', account=TEMPLATE_ACCOUNT):
        """Make a volume; the API might refuse its attributes."""
        if account not in [each.username for each in
                           self.sim.cluster.accounts.values()]:
            self.api('AddAccount', username=account)
        volume_id = self.api(
            'CreateVolume', name=name, accountID=self.account_id(account),
            totalSize=size, enable512e=True)['volumeID']
        volume = self.sim.cluster.volumes[volume_id]
        volume.attributes = attributes
        volume.access = access
        with open(self.sim.cluster.volume_path(volume_id), 'r+b') as target:
            target.write(data)
        return volume_id

    def volumes_named(self, prefix):
        """Return the volumes with a prefix, deleted ones among them."""
        return self.sim.cluster.volumes_named(prefix)

    def templates(self, image_id=''):
        return self.volumes_named(model.NAME_PREFIX + image_id)

    def tenant_volumes(self):
        return self.volumes_named('UUID-')

    def only_volume(self, volume):
        """Return the one volume on the cluster for a volume of Cinder's."""
        found, = self.volumes_named('UUID-' + volume.id)
        return found

    def read_volume(self, volume_id, size):
        """Return the first bytes of a volume's data."""
        with open(self.sim.cluster.volume_path(volume_id), 'rb') as data:
            return data.read(size).ljust(size, b'\0')

    def sources(self):
        """Return the ids of the volumes that were cloned."""
        return {call.params['volumeID'] for call in self.sim.calls
                if call.method == 'CloneVolume'}

    # Checks

    def assert_holds(self, model_update, data):
        """Check that a created volume has the image's data, then zeros."""
        volume_id = int(model_update['provider_id'].split()[0])
        with open(self.sim.cluster.volume_path(volume_id), 'rb') as volume:
            self.assertEqual(data, volume.read(len(data)))
            rest = volume.read(units.Mi)
        self.assertEqual(b'\0' * len(rest), rest)

    def assert_served(self, result, data=DATA):
        """Check that a request was served from a template, no warnings."""
        self.assertEqual([], self.log.warnings)
        model_update, cloned = result
        self.assertIs(True, cloned)
        self.assert_holds(model_update, data)

    def assert_volume(self, volume, model_update, data, qos=None):
        """Check the one volume that was created for a request."""
        made = self.only_volume(volume)
        qos = qos or self.sim.cluster.default_qos
        self.assertEqual((volume.size * units.Gi, 'readWrite', qos),
                         (made.size, made.access, made.qos))
        self.assertIn(self.sim.cluster.accounts[made.account_id].username,
                      self.account_names(volume))
        self.assertEqual(str(made.volume_id),
                         model_update['provider_id'].split()[0])
        self.assert_holds(model_update, data)

    def account_names(self, volume):
        return [volume.project_id]

    def assert_no_leftovers(self, replicas=0):
        """Check for complete templates, so many replicas, and volumes."""
        cluster = self.sim.cluster
        cluster.advance()
        volumes = list(cluster.volumes.values())
        self.assertEqual([], cluster.jobs.running())
        self.assertEqual({'active'} if volumes else set(),
                         {volume.status for volume in volumes})
        self.assertEqual([], self.conversion_files())
        for volume in self.templates():
            state = volume.attributes[model.ATTRIBUTE]['state']
            self.assertEqual(('ready', 'readOnly'), (state, volume.access))
        copies = self.copies()
        self.assertLessEqual(len(copies), replicas)
        names = [volume.name for volume in volumes
                 if volume not in copies] + [
            account.username for account in cluster.accounts.values()]
        self.assertEqual(sorted(set(names)), sorted(names))
        held = {(volume.name, self.read_volume(volume.volume_id, units.Mi))
                for volume in self.templates()}
        self.assertEqual(len({name for name, _data in held}), len(held))

    def copies(self):
        """Return the replicas of templates that are there, too."""
        originals = {}
        for volume in sorted(self.templates(), key=is_replica):
            originals.setdefault(volume.name, volume)
        return [volume for volume in self.templates() if is_replica(volume)
                and volume is not originals[volume.name]]

    def conversion_files(self):
        return (os.listdir(self.conversion_dir)
                if os.path.isdir(self.conversion_dir) else [])


def is_replica(volume):
    return 'replica_maker' in volume.attributes.get(model.ATTRIBUTE, {})


def clear(sim):
    """Remove everything from a simulated cluster."""
    with sim.cluster.lock:
        for volume_id in list(sim.cluster.volumes):
            sim.cluster.forget_volume(volume_id)
        sim.cluster.accounts.clear()
        sim.cluster.jobs.by_handle.clear()
    sim.faults.clear()
    sim.reset_calls()


def all_options():
    return list(itertools.chain(
        volume_driver.volume_opts, san.san_opts, solidfire.sf_opts,
        options.template_cache_opts, local_attach.local_attach_opts))
