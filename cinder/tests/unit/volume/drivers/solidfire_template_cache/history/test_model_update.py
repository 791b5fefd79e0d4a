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

"""Past faults of what Cinder is told of a clone, and its replication."""

import ddt

from cinder.tests.element_simulator import peers
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers import solidfire

QOS = {'minIOPS': 200, 'maxIOPS': 400, 'burstIOPS': 600}


@ddt.ddt
class ModelUpdateTestCase(base.TypedTestCase):
    """A clone cannot be told from what the stock driver creates."""

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)

    def twin_clusters(self, **arguments):
        """Make two clusters alike, but for what they are asked to do.

        On the one a template is cloned; on the other a volume of the same
        number is created by the stock driver.
        """
        twins = []
        for _i in range(2):
            sim = self.new_cluster(**arguments)
            sim.cluster.uuid = self.sim.cluster.uuid
            twins.append(sim)
        for sim in twins:
            self.sim = sim
            self.api('AddAccount', username=fake.PROJECT_ID,
                     initiatorSecret='A' * 12, targetSecret='A' * 12)
            self.account_id()
            self.plant(self.image)
        return twins

    @ddt.data(
        {}, {'sf_emulate_512': False}, {'sf_svip': '192.0.2.7:3261'},
        {'sf_svip': '192.0.2.7'}, {'sf_volume_prefix': 'cloud-'},
        {'sf_enable_vag': True}, {'sf_allow_tenant_qos': True})
    def test_bug_1680314_fields_are_those_of_the_stock_driver(self, options):
        ours, stock = self.twin_clusters()
        volume = self.new_volume(size=2, display_name='root')
        volume.metadata = {'sf-qos': 'fast'}
        expected = self.stock_driver(stock, **options).create_volume(volume)
        self.sim = ours
        result = self.clone(self.image, volume,
                            self.new_driver(ours, **options))
        self.assert_served(result)
        self.assertEqual(expected, result[0])
        self._assert_alike(ours, stock)
        fast = solidfire.SolidFireDriver.sf_qos_dict['fast']
        self.assertEqual('sf_allow_tenant_qos' in options,
                         fast == self.sim.cluster.volumes[2].qos)

    def test_bug_1680314_qos_and_attributes_are_those_of_the_type(self):
        ours, stock = self.twin_clusters()
        specs = {'qos:' + key: str(value) for key, value in QOS.items()}
        specs['SFAttribute:tier'] = 'gold'
        volume = self.new_typed_volume(**specs)
        expected = self.stock_driver(stock).create_volume(volume)
        self.sim = ours
        self.assertEqual((expected, True), self.clone(
            self.image, volume, self.new_driver(ours)))
        self._assert_alike(ours, stock)

    def test_bug_1680314_second_account_serves_when_the_first_is_full(self):
        ours, stock = self.twin_clusters()
        volume = self.new_volume()
        accounts = []
        for sim, driver in ((ours, self.new_driver(ours)),
                            (stock, self.stock_driver(stock))):
            self.sim = sim
            self.plant_volume('elder', {}, account=fake.PROJECT_ID)
            driver.max_volumes_per_account = 1
            if sim is ours:
                created, _cloned = self.clone(self.image, volume, driver)
            else:
                created = driver.create_volume(volume)
            accounts.append(created['provider_auth'].split()[1])
        self.assertEqual([fake.PROJECT_ID + '_'] * 2, accounts)

    def _assert_alike(self, ours, stock):
        """Compare what the clusters say of the new volumes."""
        volumes = []
        for sim in (ours, stock):
            self.sim = sim
            found = self.api('ListVolumes', volumeIDs=[2])['volumes'][0]
            # They cannot but differ; a clone says so, as the stock one does.
            for name in ('volumeUUID', 'volumeConsistencyGroupUUID',
                         'createTime'):
                del found[name]
            self.assertIs(sim is ours, found['attributes'].pop('is_clone'))
            volumes.append(found)
        self.assertEqual(*volumes)


class ReplicatedTestCase(base.TypedTestCase):
    """Volumes of a replicated type are paired with a second cluster."""

    def setUp(self):
        super().setUp()
        together = peers.Peers()
        self.sim = self.new_cluster(peers=together)
        self.remote = self.new_cluster(peers=together, mvip='localhost',
                                       unique_id='sim2')
        self.image = self.images.add(base.DATA)
        self.plant(self.image)
        self.options = {
            'driver_ssl_cert_path': self._both_authorities(),
            'replication_device': [{
                'backend_id': 'remote', 'mvip': 'localhost',
                'port': str(self.remote.port), 'login': self.remote.login,
                'password': self.remote.password}]}

    def _both_authorities(self):
        path = self.state + '/authorities.pem'
        with open(path, 'w') as both:
            for sim in (self.sim, self.remote):
                with open(sim.ca_file) as one:
                    both.write(one.read())
        return path

    def _new_replicated_volume(self):
        return self.new_typed_volume(**{
            'replication_enabled': '<is> True',
            'solidfire:replication_mode': 'Sync'})

    def test_bug_1680314_replication_is_as_the_stock_driver_sets_it_up(self):
        stock = self.stock_driver(**self.options)
        expected = stock.create_volume(self._new_replicated_volume())
        result = self.clone(self.image, self._new_replicated_volume(),
                            self.new_driver(**self.options))
        self.assert_served(result)
        self.assertEqual(expected['replication_status'],
                         result[0]['replication_status'])
        self.assertEqual(set(expected), set(result[0]))
        pairs = [(volume.pair.mode, volume.pair.remote_name == volume.name)
                 for volume in self.tenant_volumes()]
        self.assertEqual([('Sync', True)] * 2, pairs)
        self.assertEqual(
            ['replicationTarget'] * 2,
            [volume.access for volume in
             self.remote.cluster.volumes.values()])

    def test_a3_10_clone_that_cannot_be_paired_leaves_nothing(self):
        driver = self.new_driver(**self.options)
        self.remote.faults.add(method='CompleteVolumePairing',
                               error='xMVIPNotPaired')
        volume = self._new_replicated_volume()
        self.assert_fell_back(self.clone(self.image, volume, driver),
                              self.image, volume)
        self.assertEqual({}, self.remote.cluster.volumes)
