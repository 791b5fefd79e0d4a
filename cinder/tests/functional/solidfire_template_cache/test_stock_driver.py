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

"""Cinder's own SolidFire driver, unchanged, on a simulated cluster.

Whatever :mod:`test_operations`, :mod:`test_remote_operations` and
:mod:`test_failover` let it do is not repeated here.
"""

from oslo_utils import units

from cinder import context
from cinder.tests.element_simulator import clock
from cinder.tests.element_simulator import fixture
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit import utils
from cinder.volume import configuration
from cinder.volume import driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire

CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:host', 'host': 'host',
             'ip': '127.0.0.1', 'multipath': False}


class StockDriverTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.context = context.RequestContext(fake.USER_ID, fake.PROJECT_ID,
                                              is_admin=True)
        self.sim = sim = self.useFixture(fixture.ElementSimulator())
        settings = configuration.Configuration(
            driver.volume_opts + san.san_opts + solidfire.sf_opts,
            config_group='stock')
        options = {'san_ip': sim.host, 'san_login': sim.login,
                   'san_password': sim.password, 'sf_api_port': sim.port,
                   'driver_ssl_cert_verify': False}
        for name, value in options.items():
            self.override_config(name, value, 'stock')
        self.driver = solidfire.SolidFireDriver(configuration=settings)
        self.driver.do_setup(self.context)
        self.driver.check_for_setup_error()

    def make_volume(self, **members):
        return utils.create_volume(self.context, **{
            'volume_type_id': self.vt['id'], **members})

    def create(self, **members):
        """Return a volume that the driver has created."""
        return self.stored(self.make_volume(**members),
                           self.driver.create_volume)

    def stored(self, volume, method, *args):
        """Call the driver and store the model update, as the manager does."""
        volume.update(method(volume, *args) or {})
        volume.save()
        return volume

    def simulated(self, volume):
        """Return the simulator's record of a Cinder volume."""
        self.sim.cluster.advance()
        found, = self.sim.cluster.volumes_named('UUID-' + volume.id)
        return found

    def test_create_volume(self):
        volume = self.create(size=2)
        made = self.simulated(volume)
        self.assertEqual((2 * units.Gi, 'active', True, volume.id),
                         (made.size, made.status, made.enable_512e,
                          made.attributes['uuid']))
        account = self.sim.cluster.account(made.account_id)
        self.assertEqual(self.context.project_id, account.username)
        self.assertEqual(
            (f'127.0.0.1:3260 iqn.2010-01.com.solidfire:sim1.uuid-{volume.id}'
             f'.{made.volume_id} 0',
             f'CHAP {account.username} {account.target_secret}',
             f'{made.volume_id} {made.account_id} {self.sim.cluster.uuid}'),
            (volume.provider_location, volume.provider_auth,
             volume.provider_id))
        self.assertRaises(solidfire.SolidFireDuplicateVolumeNames,
                          self.driver.create_volume, volume)
        # The second account of the project.
        self.driver.max_volumes_per_account = 1
        self.assertNotEqual(made.account_id,
                            self.simulated(self.create()).account_id)

    def test_create_cloned_volume_with_delay(self):
        source = self.create()
        cluster = self.sim.cluster
        cluster.jobs.seconds = 0.5
        cluster.clock = clock.ManualClock()
        get_model_info = self.driver._get_model_info

        def get_and_advance(*args, **kwargs):
            try:
                return get_model_info(*args, **kwargs)
            finally:
                cluster.clock.advance(1)

        self.mock_object(self.driver, '_get_model_info', get_and_advance)
        clone = self.stored(self.make_volume(),
                            self.driver.create_cloned_volume, source)
        self.assertEqual('active', self.simulated(clone).status)
        # The first list did not have the clone.
        self.assertEqual(['ListVolumesForAccount', 'ListVolumesForAccount',
                          'ModifyVolume'], self.sim.calls.methods[-3:])

    def test_initialize_connection_access_group_limit_reached(self):
        self.override_config('sf_enable_vag', True, 'stock')
        volume = self.create()
        self.driver._issue_api_request('CreateVolumeAccessGroup', {
            'name': 'idle', 'attributes': {'openstack': True}}, '7.0')
        self.sim.cluster.limits['volumeAccessGroupCountMax'] = 1
        self.driver.initialize_connection(volume, CONNECTOR)
        group, = self.sim.cluster.access_groups.values()
        self.assertEqual([CONNECTOR['initiator']], group.initiators)
