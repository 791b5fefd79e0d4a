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

"""Templates before, during and after a failover.

The cache works on the active cluster; templates are not replicated.
"""

import functools
import os

import ddt
import fixtures

from cinder.tests.element_simulator import local_attach
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.templates import model

DATA = b'bootable' * 500


class Driver(local_attach.SolidFireDriver):
    """Attaches the volumes of several clusters.

    :cvar directories: of the volumes' data, by the unique ids of clusters
    """

    directories = {}

    def _local_path(self, volume):
        target = volume['provider_location'].split()[1]
        unique_id, _name, number = target.partition(':')[2].split('.')
        return os.path.join(self.directories[unique_id], 'volume-' + number)


@ddt.ddt
class FailoverTestCase(base.FunctionalTestCase):
    """A driver that replicates from one cluster to another."""

    CLONE_SECONDS = 0

    authorities = operations.ComparisonTestCase.authorities
    volume_type = operations.ComparisonTestCase.volume_type

    def setUp(self):
        super().setUp()
        self._volume_types = {}
        self.near = self.sim
        self.far = self.new_cluster(
            peers=self.near.cluster.peers, unique_id='far1',
            mvip='localhost', svip='127.0.0.2')
        # The ids of accounts differ from those of the first cluster.
        self.api('AddAccount', sim=self.far, username='only-there')
        self.useFixture(fixtures.MockPatchObject(Driver, 'directories', {
            sim.cluster.unique_id: sim.cluster.files.directory
            for sim in (self.near, self.far)}))
        self.both = self.authorities(self.near, self.far)
        self.driver = self.start_host()
        self.image = self.images.add(DATA)
        self.plain = self.volume_type()['id']
        self.replicated = self.volume_type('replicated', **{
            'replication_enabled': '<is> True'})['id']

    def start_host(self, **arguments):
        driver = self.new_driver(
            self.near, driver_class=functools.partial(Driver, **arguments),
            driver_ssl_cert_path=self.both,
            **operations.ComparisonTestCase.replication([self.far]))
        # The calls of the stock driver wait for a failed cluster.
        driver._stock_backend._clock = self.clock
        return driver

    def new_volume(self, *args, **members):
        members.setdefault('volume_type_id', self.plain)
        return super().new_volume(*args, **members)

    def fail_over(self):
        """Fail over to the second cluster when the first has failed."""
        self.near.server.stop()
        self.driver.failover_host(self.context, [])
        self.set_active(self.far)

    def fail_back(self):
        self.near.server.start()
        self.driver.failover_host(self.context, [], 'default')
        self.set_active(self.near)

    def set_active(self, sim):
        self.sim = sim
        for each in (self.near, self.far):
            each.reset_calls()
        # That a cluster failed was logged, by the stock driver's calls, too.
        self.log.clear()

    def request(self, image=None, driver=None, **members):
        """Check a request that the active cluster serves."""
        volume = self.new_volume(**members)
        update, cloned = self.clone(image or self.image, volume, driver)
        self.assert_served((update, cloned), DATA)
        self.assertEqual(self.sim.cluster.uuid,
                         update['provider_id'].split()[2])
        self.assertEqual(self.sim.cluster.svip + ':3260',
                         update['provider_location'].split()[0])
        volume.update(update)
        volume.status = 'available'
        return volume

    def assert_fell_back(self, result, volume):
        self.assertEqual((None, False), result)
        self.assertIn(volume.id, self.log.warnings[-1])
        self.log.clear()

    def templates_on(self, sim):
        return sim.cluster.volumes_named(model.NAME_PREFIX)

    def assert_not_called(self, sim):
        self.assertEqual([], sim.calls.methods)

    # The cache works on the active cluster only

    def test_failover_and_failback(self):
        self.request()
        source, = self.sources()
        self.sim = self.far
        planted_image = self.images.add(DATA)
        planted = self.plant(planted_image, DATA)
        self.fail_over()
        for driver in (self.driver, self.driver,
                       self.start_host(active_backend_id='far')):
            self.request(driver=driver)
            self.request(planted_image, driver)
        self.assertEqual([self.image['id']] * 2, self.images.downloads)
        self.assertIn(planted, self.sources())
        self.assertEqual([1, 2], [len(self.templates_on(sim))
                                  for sim in (self.near, self.far)])
        self.assert_not_called(self.near)
        self.fail_back()
        self.request()
        self.assertEqual({source}, self.sources())
        self.assertEqual(2, len(self.images.downloads))
        self.assert_not_called(self.far)

    def test_active_active_hosts_fail_over_one_by_one(self):
        other = self.start_host()
        hosts = self.driver, other
        for host in hosts:
            self.request(driver=host)
        backend, _volumes, _groups = self.driver.failover(self.context, [])
        # The first half of a failover does not change the cluster yet.
        self.request()
        self.driver.failover_completed(self.context, backend)
        self.set_active(self.near)
        self.request(driver=other)
        self.assert_not_called(self.far)
        other.failover_completed(self.context, backend)
        self.set_active(self.far)
        for host in hosts:
            self.request(driver=host)
        self.assert_not_called(self.near)
        self.assertEqual(2, len(self.images.downloads))

    # A failover during a request

    def fail_over_now(self, *_args):
        self.driver.failover_completed(self.context, 'far')
        self.images.on_download = lambda image_id: None

    def fail_over_at(self, method):
        """Fail over when a method of the first cluster is called."""
        strike = self.near.faults.strike

        def fail_over_and_strike(name, params, when):
            if (name, when) == (method, 'after') and (
                    not self.driver.failed_over):
                self.fail_over_now()
            return strike(name, params, when)

        self.mock_object(self.near.faults, 'strike', fail_over_and_strike)

    def check_request(self):
        """Check that no volume is left or recorded wrongly."""
        volume = self.new_volume()
        update, cloned = self.clone(self.image, volume)
        self.assertTrue(self.driver.failed_over)
        self.sim = self.far
        for template in self.templates_on(self.near):
            self.assertEqual('readOnly', template.access)
        self.assertEqual([], self.near.cluster.volumes_named('UUID-'))
        if cloned:
            self.assertEqual(self.far.cluster.uuid,
                             update['provider_id'].split()[2])
            self.assert_holds(update, DATA)
        else:
            self.assertEqual([], self.volumes_named('UUID-' + volume.id))
        self.log.clear()
        self.request()

    @ddt.data('CreateVolume', 'ModifyVolume', 'CloneVolume',
              'GetAsyncResult', 'ListVolumes', 'the download')
    def test_failover_during_a_first_request(self, call):
        if call == 'the download':
            self.images.on_download = self.fail_over_now
        self.fail_over_at(call)
        self.check_request()

    @ddt.data('CloneVolume', 'GetAsyncResult', 'ListVolumes')
    def test_failover_during_a_hit(self, call):
        volume = self.request()
        self.near.cluster.forget_volume(int(volume.provider_id.split()[0]))
        self.fail_over_at(call)
        self.check_request()

    def test_failover_after_the_cluster_failed_during_a_fill(self):
        def fail(image_id):
            self.near.server.stop()
            self.fail_over_now()

        self.images.on_download = fail
        volume = self.new_volume()
        self.assert_fell_back(self.clone(self.image, volume), volume)
        self.assertEqual([], self.far.cluster.volumes_named('UUID-'))
        self.sim = self.far
        self.request()
        # The next request after the failback removes what was left.
        self.fail_back()
        self.request()
        self.assertEqual(1, len(self.templates_on(self.near)))

    # Replicated volumes

    def test_volume_fails_over_and_its_template_does_not(self):
        volume = self.request(volume_type_id=self.replicated)
        self.assertEqual('enabled', volume.replication_status)
        copy, = self.far.cluster.volumes.values()
        self.assertEqual('UUID-' + volume.id, copy.name)
        # With volumes the stock driver needs the first cluster for this.
        _backend, (update,), _groups = self.driver.failover_host(
            self.context, [volume])
        self.set_active(self.far)
        self.assertEqual('failed-over',
                         update['updates']['replication_status'])
        self.assertEqual('readWrite', copy.access)
        self.request()
        self.assert_not_called(self.near)
        self.assertEqual(2, len(self.images.downloads))

    def test_request_during_failover_and_after_failback(self):
        self.fail_over()
        self.request()
        volume = self.new_volume(volume_type_id=self.replicated)
        self.assert_fell_back(self.clone(self.image, volume), volume)
        # There is no replication target: the stock driver fails, too.
        self.assertRaises(solidfire.SolidFireDuplicateVolumeNames,
                          self.driver.create_volume, volume)
        self.assert_not_called(self.near)
        self.fail_back()
        volume = self.request(volume_type_id=self.replicated)
        pair = self.near.cluster.volumes[
            int(volume.provider_id.split()[0])].pair
        self.assertEqual('UUID-' + volume.id, pair.remote_name)

    def test_requests_without_the_replication_target(self):
        self.far.server.stop()
        self.request()
        volume = self.new_volume(volume_type_id=self.replicated)
        self.assert_fell_back(self.clone(self.image, volume), volume)
        self.assertRaises(solidfire.SolidFireAPIException,
                          self.driver.create_volume, volume)
        self.log.clear()
        self.assertEqual(1, len(self.tenant_volumes()))
        self.request()
        self.assertEqual(1, len(self.images.downloads))
