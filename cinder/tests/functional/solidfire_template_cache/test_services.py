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
as in Cinder's own functional tests. Only the Image service is replaced, by
one with real data.
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
from cinder.volume import configuration
from cinder.volume import driver
from cinder.volume import manager

CONF = cfg.CONF

BACKEND = 'solidfire'

# Seconds; an operation takes one or two.
TIMEOUT = 60

# Where pip installs what belongs to Cinder outside of its package.
PASTE_CONFIG = os.path.join(sys.prefix, 'etc', 'cinder', 'api-paste.ini')


class ServicesTestCase(functional_helpers._FunctionalTestBase,
                       base.FunctionalTestCase):
    """Starts the services, with one backend; OPTIONS are its own."""

    OPTIONS = {}

    CLONE_SECONDS = 0.1
    DATA = b'bootable' * 40000

    def setUp(self):
        super().setUp()
        self.image = self.images.add(self.DATA, owner=fake.PROJECT_ID)
        self.sim.reset_calls()

    def _prepare_host(self):
        super()._prepare_host()
        self.images.get_location = lambda *_args: (None, None)
        self.mock_object(glance, 'get_default_image_service',
                         autospec=True, return_value=self.images)
        self.mock_object(glance, 'get_remote_image_service', autospec=True,
                         side_effect=lambda _context, image_id:
                         (self.images, image_id))

    def new_cluster(self, **arguments):
        # The services run by the clock of this machine.
        return super().new_cluster(clock=None, **arguments)

    def start_service(self, name, **arguments):
        if name == 'volume':
            arguments.update(host='host@' + BACKEND, service_name=BACKEND)
        return super().start_service(name, **arguments)

    def _start_api_service(self):
        (_group, wsgi_opts), = wsgi.list_opts()
        CONF.register_opts(wsgi_opts)
        self.override_config('api_paste_config', PASTE_CONFIG)
        self.osapi = service.WSGIService('osapi_volume')
        self.osapi.start()
        self.auth_url = 'http://%s:%s/v3' % (self.osapi.host,
                                             self.osapi.port)

    def _get_flags(self):
        values = dict({
            'volume_driver': '%s.SolidFireDriver' % local_attach.__name__,
            'volume_backend_name': BACKEND, 'san_ip': self.sim.host,
            'sf_api_port': self.sim.port, 'san_login': self.sim.login,
            'san_password': self.sim.password,
            'driver_ssl_cert_verify': True,
            'driver_ssl_cert_path': self.sim.ca_file,
            'sf_simulator_data_dir': self.sim.cluster.files.directory,
            'sf_allow_template_caching': True}, **self.OPTIONS)
        # The volume service does the same, but only later.
        configuration.Configuration(
            [*manager.volume_backend_opts, *driver.image_opts,
             *base.all_options()],
            config_group=BACKEND)
        flags = super()._get_flags()
        flags.update((name, {'v': value, 'g': BACKEND})
                     for name, value in values.items())
        # No statistics while calls are counted.
        flags['periodic_interval'] = {'v': 0}
        return flags

    # Requests

    def create(self, image=None, **members):
        """Create a volume over the API; return it when it is available."""
        members.setdefault('size', 1)
        if not {'source_volid', 'snapshot_id'} & set(members):
            members['imageRef'] = (image or self.image)['id']
        created = self.api.post_volume({'volume': members})
        return self.wait_for('volume', created['id'])

    def wait_for(self, kind, resource_id, expected='available'):
        """Wait until a volume or a snapshot has a status; None is gone."""
        get = {'volume': self.api.get_volume,
               'snapshot': self.api.get_snapshot}[kind]
        deadline = time.monotonic() + TIMEOUT
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

    # The cluster

    def volume_on_cluster(self, volume):
        found, = self.volumes_named('UUID-' + volume['id'])
        return found

    def assert_data(self, volume, data=None, size=1):
        """Check the size and the data of a volume."""
        data = data or self.DATA
        found = self.volume_on_cluster(volume)
        self.assertEqual(('active', 'readWrite', size * units.Gi),
                         (found.status, found.access, found.size))
        self.assertEqual(data + b'\0' * 512, self.read_volume(
            found.volume_id, len(data) + 512))

    def pop_methods(self):
        """Return the methods called since the last time, in order.

        Reports to the scheduler may come at any time and are left out.
        """
        methods = [call.method for call in self.sim.calls
                   if not call.method.startswith('GetCluster') and
                   (call.method, call.params) != ('ListVolumes', {})]
        self.sim.reset_calls()
        return methods


class CreateTestCase(ServicesTestCase):

    def test_create_volumes_of_an_image(self):
        first = self.create()
        self.assertEqual(['CreateVolume', 'CloneVolume'],
                         [name for name in self.pop_methods()
                          if name in ('CreateVolume', 'CloneVolume')])
        second = self.create()
        self.assertEqual(
            ['CloneVolume', 'GetAsyncResult', 'ListVolumes'],
            [name for name, _same in itertools.groupby(self.pop_methods())])
        self.assertEqual([self.image['id']], self.images.downloads)
        for volume in first, second:
            self.assert_data(volume)
            self.assertEqual('true', volume['bootable'])
            self.assertEqual(self.image['id'], volume[
                'volume_image_metadata']['image_id'])
        # After an update of the image.
        data = b'rebooted' * 50000
        image = self.images.replace(self.image['id'], data)
        for _i in range(2):
            self.assert_data(self.create(image), data)
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([], self.log.warnings)

    def test_create_volume_when_clones_fail(self):
        self.create()
        self.sim.faults.add(method='CloneVolume', times=None,
                            error='xUnheardOf')
        volume = self.create()
        self.assert_data(volume)
        self.log.pop_warning(volume['id'])
        self.assertEqual(2, len(self.images.downloads))
        self.assert_no_leftovers()
        self.sim.faults.clear()
        self.assert_data(self.create())
        self.assertEqual(2, len(self.images.downloads))

    def test_operations_on_a_volume(self):
        volume = self.create()
        with open(self.sim.cluster.volume_path(self.volume_on_cluster(
                volume).volume_id), 'r+b') as written:
            written.write(b'TENANT')
        data = b'TENANT' + self.DATA[6:]
        self.api.api_post('/volumes/%s/action' % volume['id'],
                          {'os-extend': {'new_size': 2}})
        self.wait_for('volume', volume['id'])
        snapshot = self.api.post_snapshot(
            {'snapshot': {'volume_id': volume['id']}})
        self.wait_for('snapshot', snapshot['id'])
        copies = [self.create(size=2, source_volid=volume['id']),
                  self.create(size=2, snapshot_id=snapshot['id'])]
        self.delete('snapshot', snapshot['id'])
        for each in [volume, *copies]:
            self.assert_data(each, data, size=2)
            self.delete('volume', each['id'])
        self.assertEqual(self.templates(),
                         list(self.sim.cluster.volumes.values()))
        # The template has not changed.
        self.assert_data(self.create())
        self.assertEqual(1, len(self.images.downloads))
        self.assert_no_leftovers()


class ImageVolumeCacheTestCase(ServicesTestCase):
    """Cinder's own cache is enabled as well."""

    OPTIONS = {'image_volume_cache_enabled': True}

    def _get_flags(self):
        return dict(super()._get_flags(), **{
            'cinder_internal_tenant_%s_id' % name: {'v': value}
            for name, value in (('project', fake.PROJECT3_ID),
                                ('user', fake.USER3_ID))})

    def test_create_volumes_uses_one_of_the_caches(self):
        # A template is used first; what can have none is cached by Cinder.
        foreign = self.images.add(self.DATA, visibility='shared',
                                  owner=fake.PROJECT2_ID)
        for image, cached in ((self.image, []), (foreign, [foreign['id']])):
            for _i in range(2):
                self.assert_data(self.create(image))
            self.assertEqual(cached, [
                entry.image_id for entry in db.image_volume_cache_get_all(
                    context.get_admin_context())])
        self.assertEqual([self.image['id'], foreign['id']],
                         self.images.downloads)
        self.assertEqual(1, len(self.templates()))
