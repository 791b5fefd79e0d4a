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

"""Rounds of housekeeping when there are more templates than allowed."""

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache import house

DAY = house.DAY

# Names of limits, and how many of templates of 1, 2, 3 and 4 GiB, the first
# of which was used last, they leave.
LIMITS = (({'sf_template_max_count': 0, 'sf_template_max_gib': 0}, 4),
          ({'sf_template_max_count': 3, 'sf_template_max_gib': 0}, 3),
          ({'sf_template_max_count': 1, 'sf_template_max_gib': 0}, 1),
          ({'sf_template_max_count': 0, 'sf_template_max_gib': 10}, 4),
          ({'sf_template_max_count': 0, 'sf_template_max_gib': 9}, 3),
          ({'sf_template_max_count': 0, 'sf_template_max_gib': 3}, 2),
          ({'sf_template_max_count': 3, 'sf_template_max_gib': 3}, 2),
          ({'sf_template_max_count': 1, 'sf_template_max_gib': 9}, 1),
          ({'sf_template_max_count': 4, 'sf_template_max_gib': 10}, 4))


@ddt.ddt
class LimitsTestCase(house.HouseTestCase):
    """More templates than the operator allows now."""

    def plant_some(self, count=4):
        return [self.plant_used(number * DAY, number)
                for number in range(1, count + 1)]

    @ddt.data(*LIMITS)
    @ddt.unpack
    def test_run_removes_what_was_used_longest_ago(self, limits, stay):
        planted = self.plant_some()
        self.run_round(self.new_driver(**limits))
        self.assertEqual(planted[:stay], self.left())
        self.assertEqual(4 - stay, self.sim.calls.count('DeleteVolume'))
        self.assertEqual([], self.warnings.messages)

    def test_run_heeds_the_uses_of_this_process(self):
        driver = self.new_driver(sf_template_max_count=1)
        planted = self.plant_some(3)
        self.assert_served(self.clone(self.image_of(planted[2]),
                                      self.new_volume(size=3), driver),
                           house.DATA)
        self.run_round(driver)
        self.assertEqual([planted[2]], self.left())

    def test_run_evicts_none_that_is_being_cloned(self):
        self.driver = self.new_driver(sf_template_max_count=1)
        planted = self.plant_some(4)
        self.begin_clone(planted[3])
        with self.waiting_clone(planted[2]):
            self.run_round()
        self.assertEqual(planted[2:], self.left())

    def test_run_evicts_none_whose_image_is_locked(self):
        planted = self.plant_some(3)
        self.hold_image(planted[2])
        self.run_round(self.new_driver(sf_template_max_count=2))
        self.assertEqual([planted[0], planted[2]], self.left())

    def test_run_counts_fills_but_evicts_none(self):
        planted = self.plant_some(2)
        filling = self.plant_fill(last_used=self.clock.now() - 100 * DAY)
        self.hold_image(filling)
        self.run_round(self.new_driver(sf_template_max_count=2))
        self.assertEqual([planted[0], filling], self.left())

    def test_run_counts_no_stranger_and_nothing_deleted(self):
        planted = self.plant_some(2)
        stranger = self.plant_volume('made-by-hand', {})
        deleted = self.plant_used(DAY)
        self.api('DeleteVolume', volumeID=deleted)
        self.run_round(self.new_driver(sf_template_max_count=2))
        self.assertEqual(planted + [stranger], self.left())

    def test_run_counts_after_it_has_cleared_up(self):
        # Nothing that serves goes for what goes anyway.
        planted = self.plant_some(2)
        self.plant_used(DAY, image=self.image_of(planted[0]))
        self.plant_used(31 * DAY)
        self.plant_fill()
        self.run_round(self.new_driver(sf_template_max_count=2))
        self.assertEqual(planted, self.left())
