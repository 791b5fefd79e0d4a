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

"""What the driver says at its start, and what it does not give away."""

import ddt

from cinder import exception
from cinder.tests.unit.volume.drivers.solidfire_template_cache import house


class StartTestCase(house.HouseTestCase):

    def start_driver(self, cluster_name='a-cluster', **options):
        driver = self.new_driver(**options)
        driver.cluster_name = cluster_name
        driver.do_setup(self.context)

    def test_do_setup_of_hosts_without_a_common_lock(self):
        self.start_driver()
        self.pop_warning('a-cluster', 'backend_url', 'type file now')

    def test_do_setup_of_hosts_with_a_common_lock(self):
        self.share_locks()
        self.start_driver()
        self.assertEqual([], self.warnings.messages)

    def test_do_setup_of_one_host(self):
        self.start_driver(cluster_name=None)
        self.assertEqual([], self.warnings.messages)

    def test_do_setup_with_caching_off(self):
        self.start_driver(sf_allow_template_caching=False)
        self.assertEqual([], self.warnings.messages)


@ddt.ddt
class ManageTestCase(house.HouseTestCase):
    """A template is not to become a tenant's volume."""

    METHODS = ('manage_existing', 'manage_existing_get_size')

    def setUp(self):
        super().setUp()
        self.image = self.images.add(house.DATA)
        self.planted = self.plant(self.image, house.DATA)

    def refuse(self, method, number):
        exc = self.assertRaises(
            exception.ManageExistingInvalidReference,
            getattr(self.driver, method), self.new_volume(),
            {'source-id': number})
        self.assertIn('volume %s is an image template' % self.planted,
                      str(exc))

    @ddt.data(*METHODS)
    def test_template_is_not_managed(self, method):
        self.refuse(method, self.planted)
        for form in ('%d', ' %d ', '+%d', '0%d', '0_%d'):
            self.refuse(method, form % self.planted)
        self.refuse(method, self.planted + 0.5)
        self.assert_served(self.clone(self.image), house.DATA)

    @ddt.data(*METHODS)
    def test_number_that_would_give_the_next_volume_is_not_managed(
            self, method):
        # The stock driver takes the next one when there is none.
        gone = self.planted
        image = self.images.add(house.DATA)
        self.planted = self.plant(image, house.DATA)
        self.sim.cluster.forget_volume(gone)
        self.refuse(method, gone)

    def test_fill_is_not_managed(self):
        self.sim.cluster.forget_volume(self.planted)
        self.planted = self.plant_fill()
        self.refuse('manage_existing', self.planted)

    def test_other_volume_is_managed(self):
        foreign = self.plant_volume('made-by-hand', {}, account='tenant')
        reference = {'source-id': foreign}
        volume = self.new_volume()
        self.assertEqual(1, self.driver.manage_existing_get_size(
            volume, reference))
        self.driver.manage_existing(volume, reference)
        self.assertEqual(volume.id, self.sim.cluster.volumes[
            foreign].attributes['uuid'])

    @ddt.data({}, {'source-id': None}, {'source-id': 'a-name'},
              {'source-id': '77'}, {'source-id': float('inf')},
              {'source-id': '4' * 5000})
    def test_odd_reference_fails_as_the_stock_driver_has_it(self, reference):
        outcomes = []
        for driver in (self.driver, self.stock_driver()):
            try:
                outcomes.append(driver.manage_existing_get_size(
                    self.new_volume(), reference))
            except Exception as exc:
                outcomes.append(type(exc))
        self.assertEqual(*outcomes)

    def test_managed_with_caching_off_as_by_the_stock_driver(self):
        driver = self.new_driver(sf_allow_template_caching=False)
        self.sim.reset_calls()
        self.assertEqual(1, driver.manage_existing_get_size(
            self.new_volume(), {'source-id': self.planted}))
        self.assertEqual(1, len(self.sim.calls))
