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

"""Rounds of housekeeping: idle templates, records, and what goes wrong."""

import datetime

import ddt

from cinder import coordination
from cinder.tests.unit.volume.drivers.solidfire_template_cache import house
from cinder.volume.drivers.solidfire_template_cache import template as tpl

DAY, MINUTE = house.DAY, house.MINUTE


@ddt.ddt
class IdleTestCase(house.HouseTestCase):
    """Templates that nobody has used for long."""

    def setUp(self):
        super().setUp()
        self.driver = self.new_driver(sf_template_idle_days=7)

    @ddt.data((7 * DAY + MINUTE, False), (7 * DAY - MINUTE, True),
              (70 * DAY, False), (datetime.timedelta(), True))
    @ddt.unpack
    def test_run_removes_an_idle_template_and_no_other(self, ago, stays):
        planted = self.plant_used(ago)
        self.run_round()
        self.assertEqual([planted] if stays else [], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_removes_no_idle_template_when_that_is_off(self):
        planted = self.plant_used(10000 * DAY)
        self.run_round(self.new_driver(sf_template_idle_days=0))
        self.assertEqual([planted], self.left())

    def test_run_with_the_default_removes_after_thirty_days(self):
        planted = [self.plant_used(days * DAY) for days in (29, 31)]
        self.run_round(self.new_driver())
        self.assertEqual(planted[:1], self.left())

    @ddt.data((6, True), (8, False), (None, False))
    @ddt.unpack
    def test_run_goes_by_the_fill_when_the_last_use_cannot_be_read(
            self, days, stays):
        filled_at = self.clock.now() - days * DAY if days else None
        planted = self.plant(self.images.add(house.DATA), house.DATA,
                             last_used=None, filled_at=filled_at)
        self.run_round()
        self.assertEqual([planted] if stays else [], self.left())

    def test_run_keeps_an_idle_template_that_this_process_has_used(self):
        image = self.images.add(house.DATA)
        planted = self.plant_used(8 * DAY, image=image)
        self.assert_served(self.clone(image), house.DATA)
        self.run_round()
        self.assertEqual([planted], self.left())

    def test_run_keeps_an_idle_template_that_is_being_cloned(self):
        planted = self.plant_used(8 * DAY)
        self.begin_clone(planted)
        self.run_round()
        self.assertEqual([planted], self.left())
        self.clock.advance(200)
        self.run_round()
        self.assertEqual([], self.left())

    def test_run_keeps_an_idle_template_for_which_a_clone_waits_here(self):
        planted = self.plant_used(8 * DAY)
        with self.waiting_clone(planted):
            self.run_round()
            self.assertEqual([planted], self.left())
        self.run_round()
        self.assertEqual([], self.left())

    def test_run_keeps_an_idle_template_while_its_image_is_locked(self):
        planted = self.plant_used(8 * DAY)
        self.hold_image(planted)
        self.run_round()
        self.assertEqual([planted], self.left())

    def test_run_keeps_an_idle_fill(self):
        # Of whatever age: dead or not is another question.
        filling = self.plant_fill(last_used=self.clock.now() - 8 * DAY)
        self.hold_image(filling)
        self.run_round()
        self.assertEqual([filling], self.left())

    def test_run_removes_one_idle_copy_and_its_image_is_filled_anew(self):
        image = self.images.add(house.DATA)
        self.plant_used(8 * DAY, image=image)
        self.run_round()
        self.assert_served(self.clone(image), house.DATA)
        self.assertEqual([image['id']], self.images.downloads)

    def test_request_survives_that_its_template_was_removed(self):
        # This process remembers it, another one keeps house.
        image = self.images.add(house.DATA)
        self.plant_used(datetime.timedelta(), image=image)
        self.assert_served(self.clone(image), house.DATA)
        other = self.new_driver(sf_template_idle_days=7)
        self.clock.jump = 8 * DAY
        self.run_round(other)
        self.assertEqual([], self.left())
        self.assert_served(self.clone(image), house.DATA)
        self.assertEqual([image['id']], self.images.downloads)

    def test_run_after_the_date_went_back_keeps_templates(self):
        image = self.images.add(house.DATA)
        planted = self.plant_used(datetime.timedelta(), image=image)
        self.clock.jump = -100 * DAY
        self.assert_served(self.clone(image), house.DATA)
        self.run_round()
        self.assertEqual([planted], self.left())
        # The record is of a later time, and stays so.
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))
        self.clock.jump = 7 * DAY - MINUTE
        self.run_round()
        self.assertEqual([planted], self.left())

    def test_run_after_the_date_went_ahead_keeps_what_is_used_then(self):
        image = self.images.add(house.DATA)
        planted = self.plant_used(datetime.timedelta(), image=image)
        self.plant_used(datetime.timedelta())
        self.clock.jump = 3650 * DAY
        self.assert_served(self.clone(image), house.DATA)
        self.run_round()
        self.assertEqual([planted], self.left())
        # And back again: what was recorded lies ahead, and harms nothing.
        self.clock.jump = datetime.timedelta()
        self.run_round()
        self.assertEqual([planted], self.left())


class RecordTestCase(house.HouseTestCase):
    """The last use of a template, on the cluster."""

    def setUp(self):
        super().setUp()
        self.image = self.images.add(house.DATA)

    def recorded(self):
        """Return what the one template's record says."""
        [volume] = self.templates()
        return volume.attributes[tpl.ATTRIBUTE]['last_used']

    def use(self):
        self.assert_served(self.clone(self.image), house.DATA)

    def test_use_costs_no_call_and_a_round_records_it(self):
        self.use()
        filled = self.recorded()
        self.clock.advance(700)
        self.sim.reset_calls()
        used = self.clock.now().replace(microsecond=0)
        self.use()
        # What is known of the cluster is asked for from time to time.
        self.assertEqual({'CloneVolume', 'GetAsyncResult'},
                         set(self.sim.calls.methods) -
                         {'GetLimits', 'GetDefaultQoS'})
        self.assertEqual(filled, self.recorded())
        self.run_round()
        self.assertGreaterEqual(self.recorded(), used.isoformat())
        self.assertEqual(1, self.sim.calls.count('ModifyVolume'))

    def test_run_without_a_new_use_records_nothing(self):
        self.use()
        self.clock.advance(3600)
        self.use()
        for _i in range(3):
            self.run_round()
            self.clock.advance(3600)
        # The one that published it is the other.
        self.assertEqual(2, self.sim.calls.count('ModifyVolume'))

    def test_run_records_a_use_ten_minutes_after_the_last_record(self):
        for minutes, calls in ((9, 0), (2, 1), (9, 0), (2, 1)):
            if not self.templates():
                self.plant_used(datetime.timedelta(), image=self.image)
            self.clock.advance(minutes * 60)
            self.sim.reset_calls()
            self.use()
            self.run_round()
            self.assertEqual(calls, self.sim.calls.count('ModifyVolume'))

    def test_record_keeps_all_else_of_the_template(self):
        planted = self.plant_used(DAY, image=self.image)
        volume = self.sim.cluster.volumes[planted]
        before = dict(volume.attributes[tpl.ATTRIBUTE])
        self.use()
        self.run_round()
        after = dict(volume.attributes[tpl.ATTRIBUTE])
        self.assertNotEqual(before.pop('last_used'), after.pop('last_used'))
        self.assertEqual(before, after)
        self.assertEqual('readOnly', volume.access)

    def test_record_survives_a_restart(self):
        planted = self.plant_used(6 * DAY, image=self.image)
        self.use()
        self.run_round()
        restarted = self.new_driver(sf_template_idle_days=7)
        self.clock.jump = 7 * DAY - 10 * MINUTE
        self.run_round(restarted)
        self.assertEqual([planted], self.left())
        self.clock.jump = 7 * DAY + 10 * MINUTE
        self.run_round(restarted)
        self.assertEqual([], self.left())

    def test_restart_before_a_round_forgets_ten_minutes_at_the_most(self):
        # Rounds come every minute; each records what is that much newer.
        planted = self.plant_used(datetime.timedelta(), image=self.image)
        for _minute in range(25):
            self.clock.advance(60)
            self.use()
            self.run_round()
        last = self.clock.now()
        self.assertEqual([planted], self.left())
        recorded = datetime.datetime.fromisoformat(self.recorded())
        self.assertLess(last - recorded, 10 * MINUTE)
        self.assertEqual(2, self.sim.calls.count('ModifyVolume'))

    def test_record_of_a_template_that_is_gone_is_no_error(self):
        planted = self.plant_used(DAY, image=self.image)
        self.use()
        self.sim.faults.add(
            method='ModifyVolume', action=lambda: (
                self.sim.cluster.forget_volume(planted)))
        self.run_round()
        self.assertEqual([], self.warnings.messages)
        self.assertEqual([], self.left())

    def test_record_that_fails_is_told_and_done_by_the_next_round(self):
        self.plant_used(DAY, image=self.image)
        self.use()
        before = self.recorded()
        self.sim.faults.add(method='ModifyVolume', error='xNew')
        self.run_round()
        self.pop_warning(self.image['id'], 'xNew')
        self.assertEqual(before, self.recorded())
        self.run_round()
        self.assertLess(before, self.recorded())

    def test_uses_of_two_processes_leave_the_later_record(self):
        self.plant_used(DAY, image=self.image)
        second = self.new_driver()
        self.use()
        self.clock.advance(3600)
        self.assert_served(self.clone(self.image, driver=second), house.DATA)
        self.run_round(second)
        later = self.recorded()
        self.run_round()
        self.assertEqual(later, self.recorded())


@ddt.ddt
class FailureTestCase(house.HouseTestCase):
    """Whatever goes wrong, the statistics are returned."""

    def stats(self):
        stats = self.run_round()
        self.assertGreater(stats['total_capacity_gb'], 0)
        self.assertEqual('solidfire', stats['volume_backend_name'])

    def plant_dead(self):
        return sorted((self.plant_fill() for _i in range(3)),
                      key=lambda each: self.image_of(each)['id'])

    @ddt.data({'error': 'xNew'}, {'http_status': 200, 'body': '{"result":{}}'},
              {'http_status': 401, 'body': ''})
    def test_run_when_the_templates_are_not_told(self, fault):
        self.plant_fill()
        self.sim.faults.add(
            method='ListVolumes', times=None,
            match={'accounts': [self.account_id()]}, **fault)
        self.stats()
        self.pop_warning('was not done', '127.0.0.1')

    def test_run_when_one_removal_fails_goes_on_with_the_others(self):
        planted = self.plant_dead()
        self.sim.faults.add(method='DeleteVolume', error='xNew', times=None,
                            match={'volumeID': planted[1]})
        image = self.image_of(planted[1])
        self.stats()
        self.assertEqual([planted[1]], self.left())
        self.pop_warning(image['id'], 'xNew')

    def test_run_when_one_cannot_be_told_to_be_idle_goes_on(self):
        planted = sorted((self.plant_used(40 * DAY) for _i in range(3)),
                         key=lambda each: self.image_of(each)['id'])
        image = self.image_of(planted[0])
        # Four tries are made of this.
        self.sim.faults.add(method='ListSyncJobs', error='xNew', times=4)
        self.stats()
        self.assertEqual(planted[:1], self.left())
        self.pop_warning(image['id'], 'xNew')

    def test_run_when_the_coordinator_fails(self):
        self.plant_fill()

        def fail(coordinator, name):
            raise coordination.coordination.ToozConnectionError('of the test')

        self.mock_object(coordination.Coordinator, 'get_lock', fail)
        self.stats()
        self.pop_warning('was not done', 'of the test')

    def test_run_when_the_account_vanishes(self):
        self.plant_fill()
        self.run_round()
        del self.sim.cluster.accounts[self.account_id()]
        self.stats()
        self.stats()
        self.assertEqual([], self.warnings.messages)

    def test_run_is_left_out_while_the_cluster_does_not_answer(self):
        filling = self.plant_fill()
        self.sim.faults.add(method='GetClusterCapacity', error='xNew',
                            times=None)
        self.run_round()
        self.assertEqual([filling], self.left())
        self.assertEqual([], self.warnings.messages)
        self.sim.faults.clear()
        self.run_round()
        self.assertEqual([], self.left())

    def test_run_begins_nothing_new_after_a_minute(self):
        planted = self.plant_dead()
        self.sim.faults.add(method='PurgeDeletedVolume', times=None,
                            action=lambda: self.clock.advance(61))
        for gone in (1, 2, 3):
            self.stats()
            self.assertEqual(sorted(planted[gone:]), self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_evicts_nothing_after_a_minute(self):
        self.driver = self.new_driver(sf_template_max_count=1)
        planted = [self.plant_used(days * DAY) for days in (1, 2)]
        self.plant_fill()
        self.sim.faults.add(method='PurgeDeletedVolume',
                            action=lambda: self.clock.advance(61))
        self.stats()
        self.assertEqual(planted, self.left())
        self.stats()
        self.assertEqual(planted[:1], self.left())


class StockTestCase(house.HouseTestCase):

    def calls_of(self, driver, refresh=True):
        self.sim.reset_calls()
        driver.get_volume_stats(refresh=refresh)
        return self.sim.calls.methods

    def test_run_is_left_out_with_caching_off(self):
        filling = self.plant_fill()
        stock = self.calls_of(self.stock_driver())
        self.assertEqual(stock, self.calls_of(
            self.new_driver(sf_allow_template_caching=False)))
        self.assertEqual([filling], self.left())

    def test_run_is_left_out_when_no_new_statistics_are_asked_for(self):
        filling = self.plant_fill()
        self.assertEqual([], self.calls_of(self.driver, refresh=False))
        self.assertEqual([filling], self.left())

    def test_run_costs_one_call_while_nothing_is_to_do(self):
        for _i in range(3):
            self.plant_used(DAY)
        stock = self.calls_of(self.stock_driver())
        self.calls_of(self.driver)
        self.assertEqual(stock + ['ListVolumes'],
                         self.calls_of(self.driver))

    def test_statistics_are_those_of_the_stock_driver(self):
        self.plant_fill()
        self.assertEqual(
            self.stock_driver().get_volume_stats(refresh=True),
            self.run_round())
