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

"""Cinder's own services with this driver, on a simulated cluster.

The API over HTTP, the scheduler and the volume service run in this process,
as in Cinder's own functional tests. Only the Image service is a stand-in,
with real bytes.
"""

import itertools
import os
import sys
import time

from oslo_config import cfg
from oslo_service import wsgi
from oslo_utils import units

from cinder import context
from cinder.db import api as db
from cinder.image import glance
from cinder import service
from cinder.tests.element_simulator import local_attach
from cinder.tests.functional.api import client
from cinder.tests.functional import functional_helpers
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    base as driver_base)
from cinder.volume import configuration
from cinder.volume.drivers import solidfire
from cinder.volume import manager

CONF = cfg.CONF

BACKEND = 'solidfire'

# Seconds for what takes one or two.
PATIENCE = 60

# Where pip puts what belongs to Cinder outside its package.
PASTE_CONFIG = os.path.join(sys.prefix, 'etc', 'cinder', 'api-paste.ini')


class StockDriver(solidfire.SolidFireDriver):
    """Cinder's own driver, with volumes attached as local files."""

    def initialize_connection(self, volume, connector):
        connection = super().initialize_connection(volume, connector)
        connection['driver_volume_type'] = 'local'
        connection['data']['device_path'] = os.path.join(
            self.configuration.sf_simulator_data_dir,
            'volume-' + volume['provider_id'].split()[0])
        return connection


class RemoteImageService(driver_base.ImageService):
    """What else Cinder asks of Glance."""

    def get_location(self, context, image_id):
        return None, None


class ServicesTestCase(functional_helpers._FunctionalTestBase,
                       base.FunctionalTestCase):
    """Starts the services, with one backend section."""

    OPTIONS = {}
    """Options of the backend that differ."""

    DATA = b'bootable' * 40000

    def setUp(self):
        super().setUp()
        self.image = self.images.add(self.DATA, owner=fake.PROJECT_ID)
        self.sim.reset_calls()

    def _prepare_host(self):
        super()._prepare_host()
        self.images = RemoteImageService()
        self.mock_object(glance, 'get_default_image_service',
                         autospec=True, return_value=self.images)
        self.mock_object(glance, 'get_remote_image_service', autospec=True,
                         side_effect=lambda _context, image_id:
                         (self.images, image_id))

    def new_cluster(self, **arguments):
        # The services live by the time of this machine.
        return super().new_cluster(clock=None, clone_seconds=0.1,
                                   **arguments)

    def start_service(self, name, **arguments):
        if name == 'volume':
            arguments.update(host='host@' + BACKEND, service_name=BACKEND)
        return super().start_service(name, **arguments)

    def _start_api_service(self):
        wsgi.register_opts(CONF)
        self.override_config('api_paste_config', PASTE_CONFIG)
        self.osapi = service.WSGIService('osapi_volume')
        self.osapi.start()
        self.auth_url = 'http://%s:%s/v3' % (self.osapi.host,
                                             self.osapi.port)

    def _get_flags(self):
        values = dict(
            volume_driver='%s.SolidFireDriver' % local_attach.__name__,
            volume_backend_name=BACKEND,
            san_ip=self.sim.server.host, sf_api_port=self.sim.server.port,
            san_login=self.sim.server.login,
            san_password=self.sim.server.password,
            driver_ssl_cert_verify=True,
            driver_ssl_cert_path=self.sim.server.ca_file,
            sf_simulator_data_dir=self.sim.cluster.files.directory,
            sf_allow_template_caching=True)
        values.update(self.OPTIONS)
        # As the volume service does it, a little later.
        configuration.Configuration(
            [*manager.volume_backend_opts, *driver_base._all_options()],
            config_group=BACKEND)
        flags = super()._get_flags()
        flags.update((name, {'v': value, 'g': BACKEND})
                     for name, value in values.items())
        # No statistics while calls are counted.
        flags['periodic_interval'] = {'v': 0}
        return flags

    # Requests

    def create(self, expected='available', **members):
        """Create a volume over the API; return it when it is done."""
        members.setdefault('size', 1)
        created = self.api.post_volume({'volume': members})
        return self.wait_for('volume', created['id'], expected)

    def create_from_image(self, image=None, **members):
        image = image or self.image
        return self.create(imageRef=image['id'], **members)

    def wait_for(self, kind, resource_id, expected):
        """Wait until a volume or a snapshot is what it is to become.

        :param expected: a status, or None for gone
        """
        get = {'volume': self.api.get_volume,
               'snapshot': self.api.get_snapshot}[kind]
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = get(resource_id)
            except client.OpenStackApiException404:
                self.assertIsNone(expected)
                return None
            if found['status'] == expected:
                return found
            self.assertFalse(found['status'].startswith('error'), found)
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.05)

    def delete(self, kind, resource_id):
        getattr(self.api, 'delete_' + kind)(resource_id)
        self.wait_for(kind, resource_id, None)

    # What is on the cluster

    def volume_on_cluster(self, volume):
        found = self.volumes_named('UUID-' + volume['id'])
        self.assertEqual(1, len(found), found)
        return found[0]

    def assert_data(self, volume, data=None, size=1):
        """Check a volume's size and bytes."""
        data = data or self.DATA
        made = self.volume_on_cluster(volume)
        self.assertEqual(('active', 'readWrite', size * units.Gi),
                         (made.status, made.access, made.size))
        self.assertEqual(data + b'\0' * 512, self.read_volume(
            made.volume_id, len(data) + 512))

    def methods_called(self):
        """Return the methods called since the last reset, in order.

        Reports to the scheduler may come at any time and are left out.
        """
        methods = [call.method for call in self.sim.calls
                   if not is_report(call)]
        self.sim.reset_calls()
        return methods


def is_report(call):
    return (call.method in ('GetClusterCapacity', 'GetClusterInfo',
                            'GetClusterVersionInfo') or
            (call.method, call.params) == ('ListVolumes', {}))


class CreateTestCase(ServicesTestCase):

    def test_create_first_fills_next_clones(self):
        first = self.create_from_image()
        self.assertEqual(['CreateVolume', 'CloneVolume'],
                         [name for name in self.methods_called()
                          if name in ('CreateVolume', 'CloneVolume')])
        second = self.create_from_image()
        self.assertEqual(
            ['CloneVolume', 'GetAsyncResult'],
            [name for name, _same in itertools.groupby(
                self.methods_called())])
        self.assertEqual([self.image['id']], self.images.downloads)
        for volume in first, second:
            self.assert_data(volume)
            self.assertEqual('true', volume['bootable'])
            self.assertEqual(self.image['id'], volume[
                'volume_image_metadata']['image_id'])
        self.assertEqual([], self.warnings.messages)
        self.assert_no_debris()

    def test_create_after_image_update_refills(self):
        self.create_from_image()
        data = b'rebooted' * 50000
        image = self.images.replace(self.image['id'], data)
        for _i in range(2):
            self.assert_data(self.create_from_image(image), data)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual(1, len(self.templates()))
        self.assert_no_debris()

    def test_create_larger_volume(self):
        self.create_from_image()
        self.sim.reset_calls()
        volume = self.create_from_image(size=3)
        self.assert_data(volume, size=3)
        cloned = [call for call in self.sim.calls
                  if call.method == 'CloneVolume']
        self.assertEqual([3 * units.Gi],
                         [call.params['newSize'] for call in cloned])
        self.assertEqual(units.Gi, self.templates()[0].size)
        self.assertEqual(1, len(self.images.downloads))

    def test_create_volume_of_type_with_qos(self):
        qos = {'minIOPS': 300, 'maxIOPS': 600, 'burstIOPS': 900}
        self.api.create_volume_type_extra_specs(
            self.api.create_type('fast')['id'],
            {'qos:' + key: str(value) for key, value in qos.items()})
        for volume_type, expected in (
                ('fast', qos), (None, self.sim.cluster.default_qos)):
            volume = self.create_from_image(volume_type=volume_type)
            self.assert_data(volume)
            self.assertEqual(expected, self.volume_on_cluster(volume).qos)
        self.assertEqual(1, len(self.images.downloads))

    def test_create_from_private_image_of_another_project(self):
        image = self.images.add(self.DATA, visibility='private',
                                owner=fake.PROJECT2_ID)
        for count in range(1, 3):
            self.assert_data(self.create_from_image(image))
            self.assertNotIn('CloneVolume', self.methods_called())
            self.assertEqual(count, len(self.images.downloads))
        self.assertEqual([], self.templates())
        self.assertEqual([], self.warnings.messages)

    def test_create_when_clones_fail(self):
        self.create_from_image()
        self.sim.faults.add(method='CloneVolume', times=None,
                            error='xNobodyEverHeardOfThis')
        volume = self.create_from_image()
        self.assert_data(volume)
        self.assertEqual(1, len(self.warnings.messages))
        self.assertIn(volume['id'], self.warnings.messages[0])
        self.assertEqual(2, len(self.images.downloads))
        self.assert_no_debris()
        self.sim.faults.clear()
        self.assert_data(self.create_from_image())
        self.assertEqual(2, len(self.images.downloads))

    def test_volume_from_template_lives_as_any_other(self):
        volume = self.create_from_image()
        with open(self.sim.cluster.volume_path(self.volume_on_cluster(
                volume).volume_id), 'r+b') as written:
            written.write(b'TENANT')
        data = b'TENANT' + self.DATA[6:]
        self.api.api_post('/volumes/%s/action' % volume['id'],
                          {'os-extend': {'new_size': 2}})
        self.wait_for('volume', volume['id'], 'available')
        self.assert_data(volume, data, size=2)
        snapshot = self.api.post_snapshot(
            {'snapshot': {'volume_id': volume['id']}})
        self.wait_for('snapshot', snapshot['id'], 'available')
        copies = [self.create(size=2, source_volid=volume['id']),
                  self.create(size=2, snapshot_id=snapshot['id'])]
        self.delete('snapshot', snapshot['id'])
        for each in [volume, *copies]:
            self.assert_data(each, data, size=2)
            self.delete('volume', each['id'])
        self.assertEqual(self.templates(),
                         list(self.sim.cluster.volumes.values()))
        # And the template has not changed.
        self.assert_data(self.create_from_image())
        self.assertEqual(1, len(self.images.downloads))
        self.assert_no_debris()


class CachingOffTestCase(ServicesTestCase):

    OPTIONS = {'sf_allow_template_caching': False}

    def test_create_calls_what_the_stock_driver_calls(self):
        # The first one has the tenant's account made.
        self.create_from_image()
        self.sim.reset_calls()
        self.assert_data(self.create_from_image())
        ours = self.methods_called()
        self.run_stock_driver()
        self.sim.reset_calls()
        self.assert_data(self.create_from_image())
        self.assertEqual(self.methods_called(), ours)
        self.assertEqual(1, ours.count('CreateVolume'))
        self.assertEqual([], self.templates())
        self.assertEqual(3, len(self.images.downloads))
        self.assertEqual([], self.warnings.messages)

    def run_stock_driver(self):
        """Put the stock driver in the place of ours."""
        ours = self.volume.manager.driver
        self.assertNotIsInstance(ours, StockDriver)
        stock = StockDriver(configuration=ours.configuration, db=ours.db,
                            host=ours.host)
        stock.set_initialized()
        self.volume.manager.driver = stock


class ImageVolumeCacheTestCase(ServicesTestCase):
    """Cinder's own cache is on as well."""

    OPTIONS = {'image_volume_cache_enabled': True}

    def _get_flags(self):
        flags = super()._get_flags()
        flags['cinder_internal_tenant_project_id'] = {'v': fake.PROJECT3_ID}
        flags['cinder_internal_tenant_user_id'] = {'v': fake.USER3_ID}
        return flags

    def cached_by_cinder(self):
        return db.image_volume_cache_get_all(context.get_admin_context())

    def test_template_comes_first(self):
        for _i in range(2):
            self.assert_data(self.create_from_image())
        self.assertEqual([], self.cached_by_cinder())
        self.assertEqual(2, len(self.tenant_volumes()))
        self.assertEqual(1, len(self.templates()))
        self.assertEqual(1, len(self.images.downloads))

    def test_image_without_template_goes_into_cinders_cache(self):
        image = self.images.add(self.DATA, visibility='shared',
                                owner=fake.PROJECT2_ID)
        for _i in range(2):
            self.assert_data(self.create_from_image(image))
        self.assertEqual([image['id']], [entry.image_id for entry in
                                         self.cached_by_cinder()])
        self.assertEqual(1, len(self.images.downloads))
        self.assertEqual([], self.templates())
