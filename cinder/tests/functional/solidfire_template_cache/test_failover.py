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

They are looked for on the cluster that is active now, and are not
replicated themselves.
"""

import datetime
import functools
import os
from unittest import mock

import ddt
import fixtures

from cinder import exception
from cinder.tests.element_simulator import local_attach
from cinder.tests.functional.solidfire_template_cache import (
    base as functional_base)
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder import utils
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import template as tpl


class Driver(local_attach.SolidFireDriver):
    """Attaches the volumes of several clusters.

    :cvar directories: of the volumes' data, by the unique ids of clusters
    """

    directories = {}

    def _local_path(self, volume):
        target = volume['provider_location'].split()[1]
        unique_id, _name, number = target.partition(':')[2].split('.')
        return os.path.join(self.directories[unique_id], 'volume-' + number)


class FailoverTestCase(base.HistoryTestCase):
    """A driver that replicates from one cluster to another."""

    authorities = operations.TwinsTestCase.authorities
    volume_type = operations.TwinsTestCase.volume_type

    def setUp(self):
        super().setUp()
        self.mock_object(
            utils, 'execute',
            functional_base.CheapImageTools(utils.execute).execute)
        # The stock driver waits half a minute for a cluster that is away.
        self.mock_object(solidfire, 'time', mock.Mock(spec_set=['sleep']))
        self._volume_types = {}
        self.near = self.sim
        self.far = self.new_cluster(
            peers=self.near.cluster.peers, unique_id='far1',
            mvip='localhost', svip='127.0.0.2')
        self.useFixture(fixtures.MockPatchObject(Driver, 'directories', {
            sim.cluster.unique_id: sim.cluster.files.directory
            for sim in (self.near, self.far)}))
        self.both = self.authorities(self.near, self.far)
        self.driver = self.start_driver()
        self.image = self.images.add(base.DATA)
        self.plain = self.volume_type()['id']
        self.replicated = self.volume_type('replicated', **{
            'replication_enabled': '<is> True'})['id']

    def new_cluster(self, **arguments):
        return super().new_cluster(**dict({'clone_seconds': 0}, **arguments))

    def start_driver(self, **arguments):
        """Start a driver, as the volume service does."""
        return self.new_driver(
            self.near, driver_class=functools.partial(Driver, **arguments),
            driver_ssl_cert_path=self.both,
            **operations.TwinsTestCase.replication([self.far]))

    def new_volume(self, *args, **members):
        members.setdefault('volume_type_id', self.plain)
        return super().new_volume(*args, **members)

    def fail_over(self):
        """Switch to the other cluster; the first one is away by then."""
        self.near.server.stop()
        self.driver.failover_host(self.context, [])
        self._begin_with(self.far)

    def fail_back(self):
        self.near.server.start()
        self.driver.failover_host(self.context, [], 'default')
        self._begin_with(self.near)

    def _begin_with(self, sim):
        self.sim = sim
        for each in (self.near, self.far):
            each.reset_calls()

    def request(self, image=None, driver=None, data=base.DATA, **members):
        """Ask for a volume, and check that the active cluster made it."""
        volume = self.new_volume(**members)
        update, cloned = self.clone(image or self.image, volume, driver)
        self.assert_served((update, cloned), data)
        self.assertEqual(self.sim.cluster.uuid,
                         update['provider_id'].split()[2])
        self.assertEqual(self.sim.cluster.svip + ':3260',
                         update['provider_location'].split()[0])
        volume.update(update)
        volume.status = 'available'
        return volume

    def templates_on(self, sim):
        return [volume for volume in sim.cluster.volumes.values()
                if volume.name.startswith(tpl.NAME_PREFIX)]

    def volumes_on(self, sim):
        return [volume for volume in sim.cluster.volumes.values()
                if volume.name.startswith('UUID-')]

    def assert_not_called(self, sim):
        self.assertEqual([], sim.calls.methods)


class ActiveClusterTestCase(FailoverTestCase):

    def test_first_request_after_failover_fills_one_there(self):
        self.request()
        self.fail_over()
        self.request()
        self.request()
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([1, 1], [len(self.templates_on(sim))
                                  for sim in (self.near, self.far)])
        self.assert_not_called(self.near)

    def test_template_that_is_there_already_serves_after_failover(self):
        self.request()
        self.sim = self.far
        planted = self.plant(self.image)
        self.fail_over()
        self.request()
        self.assertEqual({planted}, self.sources())
        self.assertEqual(1, len(self.images.downloads))
        self.assert_not_called(self.near)

    def test_template_serves_again_after_failback(self):
        self.request()
        source, = self.sources()
        self.fail_over()
        self.request()
        self.fail_back()
        self.request()
        self.assertEqual({source}, self.sources())
        self.assertEqual(2, len(self.images.downloads))
        self.assert_not_called(self.far)

    def test_template_gone_meanwhile_is_made_anew_after_failback(self):
        self.request()
        old, = self.templates_on(self.near)
        self.fail_over()
        self.near.cluster.forget_volume(old.volume_id)
        self.fail_back()
        self.request()
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual(1, len(self.templates_on(self.near)))

    def test_template_outdated_meanwhile_is_replaced_after_failback(self):
        self.request()
        old, = self.templates_on(self.near)
        self.fail_over()
        newer = self.images.replace(self.image['id'], base.OTHER_DATA)
        self.request(newer, data=base.OTHER_DATA)
        self.fail_back()
        self.request(newer, data=base.OTHER_DATA)
        self.assertEqual(3, len(self.images.downloads))
        made, = self.templates_on(self.near)
        self.assertNotEqual(old.volume_id, made.volume_id)

    def test_driver_that_starts_while_failed_over(self):
        self.fail_over()
        self.request()
        driver = self.start_driver(active_backend_id='far')
        self.request(driver=driver)
        self.assertEqual(1, len(self.images.downloads))
        self.assert_not_called(self.near)

    def test_active_active_hosts_change_over_one_by_one(self):
        other = self.start_driver()
        self.request()
        self.request(driver=other)
        backend, _volumes, _groups = self.driver.failover(self.context, [])
        # Not yet.
        self.request()
        self.driver.failover_completed(self.context, backend)
        self._begin_with(self.near)
        self.request(driver=other)
        self.assert_not_called(self.far)
        other.failover_completed(self.context, backend)
        self._begin_with(self.far)
        self.request()
        self.request(driver=other)
        self.assert_not_called(self.near)
        self.assertEqual(2, len(self.images.downloads))
        backend, _volumes, _groups = self.driver.failover(self.context, [],
                                                          'default')
        for driver in (self.driver, other):
            driver.failover_completed(self.context, backend)
        self._begin_with(self.near)
        self.request()
        self.request(driver=other)
        self.assertEqual(2, len(self.images.downloads))

    def test_housekeeping_looks_after_the_active_cluster_only(self):
        self.request()
        self.fail_over()
        long_ago = self.clock.now() - datetime.timedelta(days=2)
        self.plant(self.images.add(base.DATA), state=tpl.State.FILLING,
                   access='readWrite', filled_at=long_ago)
        self.assertEqual('localhost', self.driver.get_volume_stats(
            refresh=True)['active_cluster_mvip'])
        self.assertEqual([], self.warnings.messages)
        self.assertEqual(([], 1), (self.templates_on(self.far),
                                   len(self.templates_on(self.near))))
        self.assert_not_called(self.near)


@ddt.ddt
class MeanwhileTestCase(FailoverTestCase):
    """The failover comes while a request is being served."""

    def _switch(self, *_args):
        self.driver.failover_completed(self.context, 'far')
        self.images.on_download = lambda image_id: None

    def _switch_at(self, method):
        """Switch when the first cluster is asked for something."""
        strike = self.near.faults.strike

        def watch(name, params, when):
            if (name, when) == (method, 'after') and (
                    not self.driver.failed_over):
                self._switch()
            return strike(name, params, when)

        self.mock_object(self.near.faults, 'strike', watch)

    def _assert_harmless(self, asked):
        """Check that no volume was left, or told wrongly; and go on."""
        volume, (update, cloned) = asked
        self.sim = self.far
        self.assertEqual([], [each for each in self.templates_on(self.near)
                              if not self._is_ready(each)])
        self.assertEqual([], self.volumes_on(self.near))
        if cloned:
            self.assertEqual(self.far.cluster.uuid,
                             update['provider_id'].split()[2])
            self.assert_holds(update, base.DATA)
        else:
            self.assertEqual([], self.volumes_named('UUID-' + volume.id))
        self.warnings.messages.clear()
        self.request()

    def _ask(self):
        volume = self.new_volume()
        return volume, self.clone(self.image, volume)

    def test_failover_during_the_download(self):
        self.images.on_download = self._switch
        self._assert_harmless(self._ask())

    @ddt.data('CreateVolume', 'ModifyVolume', 'CloneVolume',
              'GetAsyncResult')
    def test_failover_during_a_first_request(self, method):
        self._switch_at(method)
        self._assert_harmless(self._ask())
        self.assertTrue(self.driver.failed_over)

    @ddt.data('CloneVolume', 'GetAsyncResult')
    def test_failover_during_a_hit(self, method):
        self.request()
        self.near.cluster.forget_volume(self.volumes_on(
            self.near)[0].volume_id)
        self._switch_at(method)
        self._assert_harmless(self._ask())
        self.assertTrue(self.driver.failed_over)

    def test_failover_for_a_cluster_that_is_lost_during_the_fill(self):
        def lose(image_id):
            self.near.server.stop()
            self._switch()

        self.images.on_download = lose
        volume, result = self._ask()
        self.assertEqual((None, False), result)
        self.assertEqual([], self.volumes_on(self.far))
        self.warnings.messages.clear()
        self.sim = self.far
        self.request()
        # What was left there is removed by who comes back.
        self.fail_back()
        self.request()
        self.assertEqual(1, len(self.templates_on(self.near)))


class ReplicatedTestCase(FailoverTestCase):

    def test_replicated_clone_fails_over_but_its_template_does_not(self):
        volume = self.request(volume_type_id=self.replicated)
        self.assertEqual('enabled', volume.replication_status)
        copy, = self.far.cluster.volumes.values()
        self.assertEqual('UUID-' + volume.id, copy.name)
        # With volumes the stock driver needs the first cluster for this.
        _backend, (update,), _groups = self.driver.failover_host(
            self.context, [volume])
        self._begin_with(self.far)
        self.assertEqual('failed-over',
                         update['updates']['replication_status'])
        self.assertEqual('readWrite', copy.access)
        self.request()
        self.assert_not_called(self.near)
        self.assertEqual(2, len(self.images.downloads))

    def test_replicated_request_while_failed_over_is_as_the_stock_driver(
            self):
        self.fail_over()
        self.request()
        volume = self.new_volume(volume_type_id=self.replicated)
        self.assert_fell_back(self.clone(self.image, volume), self.image,
                              volume)
        # There is nowhere to replicate to: the normal path fails, too.
        self.assertRaises(solidfire.SolidFireDuplicateVolumeNames,
                          self.driver.create_volume, volume)
        self.assert_not_called(self.near)

    def test_replicated_request_after_failback(self):
        self.fail_over()
        self.fail_back()
        volume = self.request(volume_type_id=self.replicated)
        pair = self.near.cluster.volumes[
            int(volume.provider_id.split()[0])].pair
        self.assertEqual('UUID-' + volume.id, pair.remote_name)


class SecondaryUnreachableTestCase(FailoverTestCase):

    def setUp(self):
        super().setUp()
        self.far.server.stop()

    def test_request_of_a_plain_type_does_not_need_it(self):
        self.request()
        self.request()
        self.assertEqual(1, len(self.images.downloads))

    def test_request_of_a_replicated_type_falls_back(self):
        volume = self.new_volume(volume_type_id=self.replicated)
        self.assert_fell_back(self.clone(self.image, volume), self.image,
                              volume)
        # As the normal path does; it then leaves nothing either.
        self.assertRaises(solidfire.SolidFireAPIException,
                          self.driver.create_volume, volume)
        self.assertEqual([], self.volumes_on(self.near))
        self.request()

    def test_failed_failover_changes_nothing(self):
        self.request()
        for method in (self.driver.failover_host, self.driver.failover):
            self.assertRaises(solidfire.SolidFireAPIException, method,
                              self.context, [])
        # What the manager then calls; the stock driver raises here, too.
        self.assertRaises(solidfire.SolidFireAPIException,
                          self.driver.failover_completed, self.context, '')
        self.request()
        self.assertEqual(1, len(self.images.downloads))

    def test_failover_to_an_unknown_target_changes_nothing(self):
        self.request()
        self.assertRaises(exception.InvalidReplicationTarget,
                          self.driver.failover_host, self.context, [],
                          'elsewhere')
        self.request()
        self.assertEqual(1, len(self.images.downloads))
