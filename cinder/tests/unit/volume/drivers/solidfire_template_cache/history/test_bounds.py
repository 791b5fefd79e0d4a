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

"""Past faults of what bounds a cache: limits, age, space, the cluster."""

import datetime

import ddt
from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)

DAY = datetime.timedelta(days=1)


class BoundsTestCase(base.HistoryTestCase):

    def plant_used(self, days_ago, gib=1):
        """Leave a template that was used last some days ago."""
        return self.plant(self.images.add(base.DATA), size=gib * units.Gi,
                          last_used=self.clock.now() - days_ago * DAY)

    def left(self):
        return [template.volume_id for template in self.templates()]

    def fill(self, data=base.DATA):
        """Have a template made; return its volumeID."""
        before = self.left()
        self.assert_served(self.clone(self.images.add(data)), data)
        [made] = set(self.left()) - set(before)
        return made


@ddt.ddt
class EvictionTestCase(BoundsTestCase):

    @ddt.data(('count', 3, 0, 2), ('size', 0, 7, 3), ('size', 0, 4, 2),
              ('both', 3, 4, 2), ('both', 4, 4, 2), ('both', 2, 9, 1),
              ('neither', 0, 0, 3))
    @ddt.unpack
    def test_bug_1584882_limits_do_not_interfere(self, _which, count, gib,
                                                 stay):
        # A limit of 0 in one turned off the other, or evicted all.
        planted = [self.plant_used(days, gib)
                   for days, gib in ((1, 1), (2, 2), (3, 3))]
        self.driver = self.new_driver(sf_template_max_count=count,
                                      sf_template_max_gib=gib)
        made = self.fill()
        self.assertEqual(planted[:stay] + [made], self.left())

    def test_bug_1584882_eviction_removes_the_volume(self):
        # It failed on the object that it was given, and later for want of
        # an argument, and the cache stayed full.
        planted = self.plant_used(1)
        self.driver = self.new_driver(sf_template_max_count=1)
        made = self.fill()
        self.assertEqual([{'volumeID': planted}],
                         self.params_of('DeleteVolume'))
        self.assertEqual([{'volumeID': planted}],
                         self.params_of('PurgeDeletedVolume'))
        self.assertEqual([made], self.left())

    def test_bug_1584882_eviction_that_fails_does_not_fail_the_create(self):
        self.plant_used(1)
        self.driver = self.new_driver(sf_template_max_count=1)
        self.sim.faults.add(method='DeleteVolume', error='xAssertionFailure',
                            times=None)
        image, volume = self.images.add(base.DATA), self.new_volume()
        self.assert_fell_back(self.clone(image, volume), image, volume,
                              'xAssertionFailure')

    def test_commit_ee653ad13_templates_are_limited_from_the_first_day(self):
        driver = self.new_driver(sf_template_max_count=2)
        made = []
        for _i in range(4):
            self.driver = driver
            made.append(self.fill())
            self.clock.advance(60)
        self.assertEqual(made[2:], self.left())

    def test_bug_2112403_replaced_template_is_deleted_and_purged(self):
        # What had served its time stayed, and counted.
        image = self.images.add(base.DATA)
        old = self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA)
        self.assert_served(self.clone(newer), base.OTHER_DATA)
        self.assertNotIn(old, self.sim.cluster.volumes)
        self.assertEqual(1, len(self.left()))

    def test_bug_2112403_removed_template_makes_room(self):
        self.driver = self.new_driver(sf_template_max_count=1)
        for _i in range(3):
            self.fill()
            self.assertEqual(1, len(self.left()))


class AgeAndSpaceTestCase(BoundsTestCase):

    def test_a3_20_template_of_a_deleted_image_goes_when_it_is_idle(self):
        image = self.images.add(base.DATA)
        self.assert_served(self.clone(image))
        del self.images.images[image['id']]
        self.clock.jump = 29 * DAY
        self.driver.get_volume_stats(refresh=True)
        self.assertEqual(1, len(self.left()))
        self.clock.jump = 31 * DAY
        self.driver.get_volume_stats(refresh=True)
        self.assertEqual([], self.left())

    def test_a3_20_template_in_use_does_not_age(self):
        image = self.images.add(base.DATA)
        for days in range(0, 100, 20):
            self.clock.jump = days * DAY
            self.assert_served(self.clone(image))
            self.driver.get_volume_stats(refresh=True)
        self.assertEqual([image['id']], self.images.downloads)

    def test_a3_20_full_cluster_gets_no_template(self):
        self.sim.cluster.capacity.update(usedSpace=95 * units.Gi,
                                         maxUsedSpace=100 * units.Gi)
        self.assert_fails_to_fill('95 of 100 GiB')
        self.assertEqual([], self.images.downloads)

    def test_a3_20_account_does_not_come_to_its_limit(self):
        # 2000 volumes to an account, and none beyond that is created.
        self.assertLess(0, self.driver.configuration.sf_template_max_count)
        self.assertGreater(
            2000, self.driver.configuration.sf_template_max_count)

    def test_a3_20_limits_hold_by_count_and_by_size(self):
        planted = [self.plant_used(days, 2) for days in (1, 2, 3)]
        for limits, stay in (({'sf_template_max_count': 2}, 2),
                             ({'sf_template_max_gib': 2}, 1)):
            self.new_driver(**limits).get_volume_stats(refresh=True)
            self.assertEqual(planted[:stay], self.left())


class FailoverTestCase(BoundsTestCase):

    def switch(self, sim):
        """Let the driver work with another cluster, as a failover does."""
        group = self.driver.configuration.config_group
        self.override_config('driver_ssl_cert_path', sim.ca_file,
                             group=group)
        self.override_config('sf_simulator_data_dir',
                             sim.cluster.files.directory, group=group)
        self.driver.active_cluster = self.new_driver(sim).active_cluster
        self.sim = sim

    def test_a3_16_templates_are_those_of_the_cluster_active_now(self):
        # The number of the account was that of the other cluster.
        near, far = self.sim, self.new_cluster()
        for name in ('one', 'two', 'three'):
            self.api('AddAccount', far, username=name)
        image = self.images.add(base.DATA)
        for sim, downloads in ((near, 1), (far, 2), (near, 2), (far, 2)):
            self.switch(sim)
            self.assert_served(self.clone(image))
            self.assertEqual(downloads, len(self.images.downloads))
            self.assertEqual([self.account_id()], [
                template.account_id for template in self.templates()])
            # One for the templates, one for the tenant.
            self.assertEqual(2, self.sim.calls.count('AddAccount'))

    def test_a3_16_housekeeping_is_of_the_cluster_active_now(self):
        near, far = self.sim, self.new_cluster()
        kept = self.plant_used(100)
        self.switch(far)
        self.plant_used(100)
        self.driver.get_volume_stats(refresh=True)
        self.assertEqual([], self.left())
        self.sim = near
        self.assertEqual([kept], self.left())
