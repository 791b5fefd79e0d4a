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

"""Cinder's own SolidFire driver at work on the simulator."""

import os

from cinder import context
from cinder import exception
from cinder import objects
from cinder.tests.element_simulator import clock
from cinder.tests.element_simulator import fixture
from cinder.tests.element_simulator import peers
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit import utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base
from cinder.volume import configuration
from cinder.volume import driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire

CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:host', 'host': 'host',
             'ip': '127.0.0.1', 'multipath': False}


class StockDriverTestCase(test.TestCase):
    """Makes drivers on simulated clusters, and Cinder's objects."""

    def setUp(self):
        super().setUp()
        self.context = context.RequestContext(fake.USER_ID, fake.PROJECT_ID,
                                              is_admin=True)

    def make_driver(self, sim, **options):
        settings = configuration.Configuration(
            driver.volume_opts + san.san_opts + solidfire.sf_opts,
            config_group='stock')
        options = {'san_ip': sim.host, 'san_login': sim.login,
                   'san_password': sim.password, 'sf_api_port': sim.port,
                   'driver_ssl_cert_verify': False, **options}
        for name, value in options.items():
            self.override_config(name, value, 'stock')
        made = solidfire.SolidFireDriver(configuration=settings)
        made.do_setup(self.context)
        made.check_for_setup_error()
        return made

    def make_type(self, name, extra_specs=None, **qos):
        qos_id = None
        if qos:
            qos_id = utils.create_qos(self.context, name=name,
                                      consumer='back-end', specs=qos)['id']
        return utils.create_volume_type(
            self.context.elevated(), name=name,
            extra_specs=extra_specs or {}, qos_specs_id=qos_id)

    def make_volume(self, **members):
        members.setdefault('volume_type_id', self.vt['id'])
        return utils.create_volume(self.context, **members)

    def create(self, **members):
        """Return a volume that the driver has created."""
        return self.stored(self.make_volume(**members),
                           self.driver.create_volume)

    def stored(self, volume, method, *args):
        """Call the driver and keep what it tells, as the manager does."""
        volume.update(method(volume, *args) or {})
        volume.save()
        return volume

    def simulated(self, volume, cluster=None):
        """Return the simulator's view of a Cinder volume."""
        cluster = cluster or self.sim.cluster
        cluster.advance()
        found, = [item for item in cluster.volumes.values()
                  if item.name == f'UUID-{volume.id}']
        return found

    def write(self, volume, data):
        path = self.sim.cluster.volume_path(self.simulated(volume).volume_id)
        with open(path, 'r+b') as target:
            target.write(data)

    def read(self, volume, length):
        path = self.sim.cluster.volume_path(self.simulated(volume).volume_id)
        with open(path, 'rb') as source:
            return source.read(length)


class OneClusterTestCase(StockDriverTestCase):

    def setUp(self):
        super().setUp()
        self.sim = self.useFixture(fixture.ElementSimulator())
        self.driver = self.make_driver(self.sim)

    def test_create_volume(self):
        volume = self.create(size=2)
        made = self.simulated(volume)
        self.assertEqual((2 * base.GIB, 'active', True),
                         (made.size, made.status, made.enable_512e))
        self.assertEqual(volume.id, made.attributes['uuid'])
        account = self.sim.cluster.account(made.account_id)
        self.assertEqual(self.context.project_id, account.username)
        self.assertEqual(
            f'127.0.0.1:3260 iqn.2010-01.com.solidfire:sim1.uuid-{volume.id}'
            f'.{made.volume_id} 0', volume.provider_location)
        self.assertEqual(
            f'CHAP {account.username} {account.target_secret}',
            volume.provider_auth)
        self.assertEqual(
            f'{made.volume_id} {made.account_id} {self.sim.cluster.uuid}',
            volume.provider_id)

    def test_create_volume_with_type(self):
        volume_type = self.make_type('fast', minIOPS='500', maxIOPS='1000',
                                     burstIOPS='2000')
        volume = self.create(volume_type_id=volume_type['id'])
        self.assertEqual({'minIOPS': 500, 'maxIOPS': 1000,
                          'burstIOPS': 2000}, self.simulated(volume).qos)

    def test_create_volume_name_taken(self):
        volume = self.create()
        self.assertRaises(solidfire.SolidFireDuplicateVolumeNames,
                          self.driver.create_volume, volume)

    def test_create_volume_second_account_when_full(self):
        self.driver.max_volumes_per_account = 1
        first, second = self.create(), self.create()
        self.assertNotEqual(self.simulated(first).account_id,
                            self.simulated(second).account_id)

    def test_extend_volume(self):
        volume = self.create()
        self.write(volume, b'data')
        self.driver.extend_volume(volume, 3)
        made = self.simulated(volume)
        self.assertEqual(3 * base.GIB, made.size)
        self.assertEqual(3 * base.GIB, os.path.getsize(
            self.sim.cluster.volume_path(made.volume_id)))
        self.assertEqual(b'data', self.read(volume, 4))

    def test_create_cloned_volume(self):
        source = self.create()
        self.write(source, b'data')
        clone = self.stored(self.make_volume(size=2),
                            self.driver.create_cloned_volume, source)
        made = self.simulated(clone)
        self.assertEqual((2 * base.GIB, 'active', clone.id),
                         (made.size, made.status, made.attributes['uuid']))
        self.assertEqual(b'data', self.read(clone, 4))
        self.assertEqual(1, self.simulated(source).attributes[
            'cloned_count'])

    def test_create_cloned_volume_that_takes_time(self):
        source = self.create()
        cluster = self.sim.cluster
        cluster.jobs.seconds = 0.5
        cluster.clock = clock.ManualClock()
        look = self.driver._get_model_info

        def look_and_let_time_pass(*args, **kwargs):
            try:
                return look(*args, **kwargs)
            finally:
                cluster.clock.advance(1)

        self.mock_object(self.driver, '_get_model_info',
                         look_and_let_time_pass)
        clone = self.stored(self.make_volume(),
                            self.driver.create_cloned_volume, source)
        self.assertEqual('active', self.simulated(clone).status)
        # Once it was not there yet.
        names = self.sim.calls.methods
        clones = names[names.index('CloneVolume'):]
        modified = clones.index('ModifyVolume')
        self.assertEqual(['ListVolumesForAccount', 'ListVolumesForAccount',
                          'ModifyVolume'], clones[modified + 1:])

    def snapshot(self, volume):
        snapshot = utils.create_snapshot(self.context, volume.id,
                                         volume_type_id=volume.volume_type_id)
        snapshot = objects.Snapshot.get_by_id(self.context, snapshot.id)
        snapshot.update(self.driver.create_snapshot(snapshot))
        snapshot.save()
        return snapshot

    def test_create_and_delete_snapshot(self):
        volume = self.create()
        snapshot = self.snapshot(volume)
        made, = self.sim.cluster.snapshots.values()
        self.assertEqual(f'UUID-{snapshot.id}', made.name)
        self.assertEqual(
            f'{made.snapshot_id} {made.volume_id} {self.sim.cluster.uuid}',
            snapshot.provider_id)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual({}, self.sim.cluster.snapshots)

    def test_create_volume_from_snapshot(self):
        volume = self.create()
        self.write(volume, b'then')
        snapshot = self.snapshot(volume)
        self.write(volume, b'now!')
        restored = self.stored(self.make_volume(size=2),
                               self.driver.create_volume_from_snapshot,
                               snapshot)
        self.assertEqual(2 * base.GIB, self.simulated(restored).size)
        self.assertEqual(b'then', self.read(restored, 4))

    def test_revert_to_snapshot(self):
        volume = self.create()
        self.write(volume, b'then')
        snapshot = self.snapshot(volume)
        self.write(volume, b'now!')
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual(b'then', self.read(volume, 4))

    def test_group_snapshot_and_volumes_from_it(self):
        sources = [self.create(), self.create()]
        for number, volume in enumerate(sources):
            self.write(volume, b'%d' % number)
        snapshots = [{'volume_id': volume.id, 'id': fake.SNAPSHOT_ID}
                     for volume in sources]
        group = {'id': fake.GROUP_SNAPSHOT_ID}
        self.driver._create_cgsnapshot(self.context, group, snapshots)
        clones = [self.make_volume(), self.make_volume()]
        self.driver._create_consistencygroup_from_src(
            self.context, None, clones, group, snapshots, None, None)
        self.assertEqual([b'0', b'1'],
                         [self.read(clone, 1) for clone in clones])
        self.driver._delete_cgsnapshot(self.context, group, snapshots)
        self.assertEqual({}, self.sim.cluster.snapshots)

    def test_delete_volume(self):
        volume = self.create()
        path = self.sim.cluster.volume_path(self.simulated(volume).volume_id)
        self.driver.delete_volume(volume)
        self.assertEqual({}, self.sim.cluster.volumes)
        self.assertFalse(os.path.exists(path))
        self.driver.delete_volume(volume)

    def test_retype(self):
        volume = self.create()
        new_type = self.make_type('fast', minIOPS='500', maxIOPS='1000',
                                  burstIOPS='2000')
        self.assertEqual((True, {}), self.driver.retype(
            self.context, volume, new_type, {}, None))
        made = self.simulated(volume)
        self.assertEqual(500, made.qos['minIOPS'])
        self.assertIn('retyped_at', made.attributes)

    def test_get_volume_stats(self):
        self.create(size=2)
        stats = self.driver.get_volume_stats(refresh=True)
        self.assertEqual('127.0.0.1', stats['active_cluster_mvip'])
        self.assertEqual(1024 ** 5 / base.GIB, stats['total_capacity_gb'])
        self.assertLess(0, stats['free_capacity_gb'])
        self.assertEqual(50, stats['provisioned_iops'])

    def test_get_volume_stats_of_used_space(self):
        self.create(size=2)
        self.override_config('sf_provisioning_calc', 'usedSpace', 'stock')
        stats = self.driver.get_volume_stats(refresh=True)
        self.assertEqual(2, stats['provisioned_capacity_gb'])

    def test_initialize_connection(self):
        volume = self.create()
        made = self.simulated(volume)
        info = self.driver.initialize_connection(volume, CONNECTOR)
        self.assertEqual('iscsi', info['driver_volume_type'])
        self.assertEqual('127.0.0.1:3260', info['data']['target_portal'])
        self.assertEqual(
            'iqn.2010-01.com.solidfire:sim1.'
            f'uuid-{volume.id}.{made.volume_id}', info['data']['target_iqn'])
        self.assertEqual(
            self.sim.cluster.account(made.account_id).target_secret,
            info['data']['auth_password'])
        self.driver.terminate_connection(volume, CONNECTOR, force=False)

    def test_initialize_connection_with_access_groups(self):
        self.override_config('sf_enable_vag', True, 'stock')
        first, second = self.create(), self.create()
        for _ in range(2):
            self.driver.initialize_connection(first, CONNECTOR)
        self.driver.initialize_connection(second, CONNECTOR)
        group, = self.sim.cluster.access_groups.values()
        self.assertEqual('iqn-1993-08-org-debian-01-host', group.name)
        self.assertEqual([CONNECTOR['initiator']], group.initiators)
        self.assertEqual([self.simulated(first).volume_id,
                          self.simulated(second).volume_id],
                         group.volume_ids)
        self.driver.terminate_connection(first, CONNECTOR, force=False)
        self.assertEqual([self.simulated(second).volume_id],
                         group.volume_ids)
        self.driver.terminate_connection(second, CONNECTOR, force=False)
        self.assertEqual({}, self.sim.cluster.access_groups)

    def test_initialize_connection_when_groups_run_out(self):
        self.override_config('sf_enable_vag', True, 'stock')
        volume = self.create()
        self.driver._issue_api_request(
            'CreateVolumeAccessGroup',
            {'name': 'idle', 'attributes': {'openstack': True}}, '7.0')
        self.sim.cluster.limits['volumeAccessGroupCountMax'] = 1
        self.driver.initialize_connection(volume, CONNECTOR)
        group, = self.sim.cluster.access_groups.values()
        self.assertEqual([CONNECTOR['initiator']], group.initiators)

    def test_accept_transfer(self):
        volume = self.create()
        update = self.driver.accept_transfer(
            self.context, volume, fake.USER2_ID, fake.PROJECT2_ID)
        account = self.sim.cluster.account(self.simulated(volume).account_id)
        self.assertEqual(fake.PROJECT2_ID, account.username)
        self.assertEqual(
            f'CHAP {account.username} {account.target_secret}',
            update['provider_auth'])

    def test_manage_and_unmanage(self):
        sfid = self.driver._issue_api_request(
            'CreateVolume', {'name': 'foreign', 'totalSize': base.GIB,
                             'accountID': self.driver._get_create_account(
                                 self.context.project_id)['accountID']},
        )['result']['volumeID']
        volume = self.make_volume()
        reference = {'source-id': sfid, 'name': 'foreign'}
        self.assertEqual(1, self.driver.manage_existing_get_size(
            volume, reference))
        self.stored(volume, self.driver.manage_existing, reference)
        made = self.sim.cluster.volumes[sfid]
        self.assertEqual((volume.id, 'foreign'),
                         (made.attributes['uuid'],
                          made.attributes['old_name']))
        self.driver.unmanage(volume)
        self.assertIn('os_exported_at', made.attributes)

    def test_update_provider_info(self):
        volume = self.create()
        snapshot = self.snapshot(volume)
        volume.provider_id = snapshot.provider_id = None
        volumes, snapshots = self.driver.update_provider_info([volume],
                                                              [snapshot])
        self.assertEqual((volume.id, snapshot.id),
                         (volumes[0]['id'], snapshots[0]['id']))

    def test_error_of_the_cluster(self):
        self.sim.cluster.set_fullness(4)
        error = self.assertRaises(solidfire.SolidFireAPIException,
                                  self.driver.create_volume,
                                  self.make_volume())
        self.assertIn('xTotalCapacityExceeded', error.msg)

    def test_credentials_wrong(self):
        self.sim.server.password = 'changed'
        self.assertRaises(ValueError, self.driver._issue_api_request,
                          'GetLimits', {})


class TwoClustersTestCase(StockDriverTestCase):

    def setUp(self):
        super().setUp()
        network = peers.Peers()
        self.sim = self.useFixture(fixture.ElementSimulator(
            peers=network, name='near', mvip='127.0.0.1'))
        self.far = self.useFixture(fixture.ElementSimulator(
            peers=network, name='far', unique_id='far1', mvip='localhost',
            svip='127.0.0.2'))
        self.driver = self.make_driver(self.sim, replication_device=[{
            'backend_id': 'far', 'mvip': 'localhost', 'login': self.far.login,
            'password': self.far.password, 'port': self.far.port}])
        self.replicated = self.make_type(
            'replicated', extra_specs={'replication_enabled': '<is> True',
                                       'solidfire:replication_mode': 'Sync'})

    def create_replicated(self):
        return self.create(volume_type_id=self.replicated['id'])

    def test_clusters_are_paired(self):
        pair, = self.sim.cluster.cluster_pairs.values()
        self.assertIs(self.far.cluster, pair.remote)
        self.assertTrue(self.driver.replication_enabled)

    def test_create_replicated_volume(self):
        volume = self.create_replicated()
        near = self.simulated(volume)
        far = self.simulated(volume, self.far.cluster)
        self.assertEqual('enabled', volume.replication_status)
        self.assertEqual((far.volume_id, near.volume_id, 'Sync'),
                         (near.pair.remote_volume_id,
                          far.pair.remote_volume_id, near.pair.mode))
        self.assertEqual(('readWrite', 'replicationTarget'),
                         (near.access, far.access))

    def test_extend_and_delete_replicated_volume(self):
        volume = self.create_replicated()
        self.driver.extend_volume(volume, 2)
        self.assertEqual(2 * base.GIB,
                         self.simulated(volume, self.far.cluster).size)
        self.driver.delete_volume(volume)
        self.assertEqual(({}, {}), (self.sim.cluster.volumes,
                                    self.far.cluster.volumes))

    def test_clone_replicated_volume(self):
        source = self.create_replicated()
        clone = self.stored(
            self.make_volume(volume_type_id=self.replicated['id']),
            self.driver.create_cloned_volume, source)
        self.assertIsNotNone(self.simulated(clone).pair)
        self.assertIsNotNone(self.simulated(clone, self.far.cluster).pair)

    def test_retype_to_not_replicated(self):
        volume = self.create_replicated()
        plain = self.make_type('plain')
        _done, update = self.driver.retype(self.context, volume, plain, {},
                                           None)
        self.assertEqual('disabled', update['replication_status'])
        self.assertIsNone(self.simulated(volume).pair)
        self.assertEqual({}, self.far.cluster.volumes)

    def test_failover_and_failback(self):
        volume = self.create_replicated()
        backend, updates, _groups = self.driver.failover_host(
            self.context, [volume])
        self.assertEqual(('far', 'failed-over'), (
            backend, updates[0]['updates']['replication_status']))
        self.assertIn('127.0.0.2:3260',
                      updates[0]['updates']['provider_location'])
        self.assertEqual(('replicationTarget', 'readWrite'),
                         (self.simulated(volume).access,
                          self.simulated(volume, self.far.cluster).access))
        backend, updates, _groups = self.driver.failover_host(
            self.context, [volume], 'default')
        self.assertEqual(('', 'enabled'), (
            backend, updates[0]['updates']['replication_status']))
        self.assertEqual(('readWrite', 'replicationTarget'),
                         (self.simulated(volume).access,
                          self.simulated(volume, self.far.cluster).access))

    def test_failover_unknown_target(self):
        self.assertRaises(exception.InvalidReplicationTarget,
                          self.driver.failover_host, self.context, [],
                          'elsewhere')

    def test_start_again_finds_the_pair(self):
        self.driver._set_cluster_pairs()
        self.assertEqual(1, len(self.sim.cluster.cluster_pairs))
