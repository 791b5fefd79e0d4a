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

"""Room for another template: what is removed for it, and when there is none.

All of it through requests for images that have no template yet.
"""

import datetime

import ddt
from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import house
from cinder.volume.drivers.solidfire_template_cache import locks

DAY = house.DAY


class RoomTestCase(house.HouseTestCase):

    def use_driver(self, **options):
        self.driver = self.new_driver(**options)

    def plant_some(self, *sizes):
        """Leave templates of these GiB, the first of which was used last."""
        return [self.plant_used(number * DAY, size)
                for number, size in enumerate(sizes, 1)]

    def new_image(self, gib=1):
        """Register an image whose template takes some GiB."""
        size = gib * units.Gi
        return self.images.add(self.qcow2(house.DATA, size),
                               disk_format='qcow2', virtual_size=size)

    def fill(self, gib=1):
        """Ask for an image that has no template, and get a volume.

        :returns: the volumeID of its template
        """
        image = (self.new_image(gib) if gib > 1 else
                 self.images.add(house.DATA))
        before = self.left()
        self.assert_served(self.clone(image, self.new_volume(size=gib)),
                           house.DATA)
        [made] = set(self.left()) - set(before)
        self.assertEqual(gib * units.Gi, self.sim.cluster.volumes[made].size)
        return made

    def refuse(self, image, *texts, downloads=0):
        """Ask for an image, in vain, and check that nothing has changed."""
        before = self.left()
        volume = self.new_volume(size=4)
        self.sim.reset_calls()
        self.assertEqual((None, False), self.clone(image, volume))
        self.pop_warning(volume.id, image['id'], *texts)
        self.assertEqual(before, self.left())
        self.assertEqual(downloads, self.images.downloads.count(image['id']))
        for method in ('CreateVolume', 'DeleteVolume', 'CloneVolume'):
            self.assertEqual(0, self.sim.calls.count(method), method)
        self.assertEqual([], self.volumes_named('UUID-' + volume.id))
        self.assertEqual([], self.conversion_files())


@ddt.ddt
class MakeRoomTestCase(RoomTestCase):

    @ddt.data(({}, 3), ({'sf_template_max_count': 4}, 3),
              ({'sf_template_max_count': 3}, 2),
              ({'sf_template_max_count': 1}, 0),
              ({'sf_template_max_gib': 7}, 3),
              ({'sf_template_max_gib': 6}, 2),
              ({'sf_template_max_gib': 2}, 1),
              ({'sf_template_max_count': 2, 'sf_template_max_gib': 7}, 1),
              ({'sf_template_max_count': 4, 'sf_template_max_gib': 2}, 1),
              ({'sf_template_max_count': 0, 'sf_template_max_gib': 0}, 3))
    @ddt.unpack
    def test_fill_removes_as_few_as_need_be(self, limits, stay):
        planted = self.plant_some(1, 2, 3)
        self.use_driver(**limits)
        made = self.fill()
        self.assertEqual(planted[:stay] + [made], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_fill_has_removed_before_it_creates(self):
        self.plant_some(1, 1)
        self.use_driver(sf_template_max_count=2)
        self.fill()
        methods = self.sim.calls.methods
        self.assertLess(methods.index('PurgeDeletedVolume'),
                        methods.index('CreateVolume'))

    def test_fill_goes_on_removing_until_there_is_room_in_bytes(self):
        planted = self.plant_some(1, 3, 1)
        self.use_driver(sf_template_max_gib=5)
        made = self.fill(2)
        self.assertEqual(planted[:1] + [made], self.left())

    def test_fill_heeds_the_uses_of_this_process(self):
        planted = self.plant_some(1, 1, 1)
        self.use_driver(sf_template_max_count=3)
        self.assert_served(self.clone(self.image_of(planted[2])), house.DATA)
        made = self.fill()
        self.assertEqual([planted[0], planted[2], made], self.left())

    def test_fill_passes_over_what_is_being_cloned_or_about_to_be(self):
        planted = self.plant_some(1, 1, 1, 1)
        self.use_driver(sf_template_max_count=4)
        self.begin_clone(planted[3])
        with self.waiting_clone(planted[2]):
            made = self.fill()
        self.assertEqual([planted[0], planted[2], planted[3], made],
                         self.left())

    def test_fill_passes_over_an_image_that_is_locked(self):
        planted = self.plant_some(1, 1)
        self.hold_image(planted[1])
        self.use_driver(sf_template_max_count=2)
        made = self.fill()
        self.assertEqual([planted[1], made], self.left())

    def test_fills_of_three_images_stay_within_two(self):
        self.use_driver(sf_template_max_count=2)
        made = []
        for _i in range(3):
            made.append(self.fill())
            self.clock.advance(3600)
        self.assertEqual(made[1:], self.left())

    def test_fills_at_the_same_time_stay_within_two(self):
        self.use_driver(sf_template_max_count=2)
        images = [self.images.add(house.DATA + b'%d' % number)
                  for number in range(3)]
        results = self.run_together(*[lambda image=image: self.clone(image)
                                      for image in images])
        # Who came last may have met two that were in use.
        served = [update for update, cloned in results if cloned]
        self.assertGreaterEqual(len(served), 2)
        self.assertEqual(3 - len(served), len(self.warnings.messages))
        self.assertLessEqual(len(self.left()), 2)

    @ddt.data({'sf_template_max_count': 1}, {'sf_template_max_gib': 1})
    def test_refill_takes_the_place_of_the_old_copy(self, limits):
        self.use_driver(**limits)
        old = self.fill()
        newer = self.images.replace(self.image_of(old)['id'], b'newer')
        self.assert_served(self.clone(newer), b'newer')
        [made] = self.left()
        self.assertNotEqual(old, made)

    def test_refill_with_room_keeps_the_old_copy_until_the_new_one_is_ready(
            self):
        self.use_driver(sf_template_max_count=2)
        old = self.fill()
        newer = self.images.replace(self.image_of(old)['id'], b'newer')
        seen = []
        self.images.on_download = lambda image_id: seen.extend(self.left())
        self.assert_served(self.clone(newer), b'newer')
        self.assertEqual([old], seen)
        methods = self.sim.calls.methods
        self.assertLess(len(methods) - methods[::-1].index('CreateVolume'),
                        methods.index('DeleteVolume'))

    def test_refill_takes_the_old_copy_before_those_of_others(self):
        planted = self.plant_some(1, 1)
        self.use_driver(sf_template_max_count=2)
        image = self.image_of(planted[0])
        newer = self.images.replace(image['id'], b'newer')
        self.assert_served(self.clone(newer), b'newer')
        self.assertIn(planted[1], self.left())
        self.assertEqual(2, len(self.left()))

    def test_fill_counts_no_stranger_and_nothing_deleted(self):
        [planted] = self.plant_some(1)
        stranger = self.plant_volume('made-by-hand', {})
        deleted = self.plant_used(DAY)
        self.api('DeleteVolume', volumeID=deleted)
        self.use_driver(sf_template_max_count=2)
        made = self.fill()
        self.assertLessEqual({planted, stranger, made}, set(self.left()))
        self.assertIn(stranger, self.left())


@ddt.ddt
class NoRoomTestCase(RoomTestCase):

    def test_fill_without_room_falls_back(self):
        [planted] = self.plant_some(1)
        self.begin_clone(planted)
        self.use_driver(sf_template_max_count=1)
        self.refuse(self.images.add(house.DATA),
                    'NoRoom', 'no room', '1 templates',
                    downloads=0)

    def test_fill_whose_room_is_taken_during_the_download_falls_back(self):
        [planted] = self.plant_some(1)
        self.use_driver(sf_template_max_count=1)
        image = self.images.add(house.DATA)
        download = self.images.download

        def use_it_meanwhile(*args, **kwargs):
            self.begin_clone(planted)
            return download(*args, **kwargs)

        self.mock_object(self.images, 'download',
                         side_effect=use_it_meanwhile)
        self.refuse(image, 'NoRoom', downloads=1)
        self.assertEqual([planted], self.left())

    def test_fill_without_room_is_tried_again_by_the_next_request(self):
        [planted] = self.plant_some(1)
        self.begin_clone(planted)
        self.use_driver(sf_template_max_count=1)
        self.refuse(self.images.add(house.DATA),
                    'NoRoom', downloads=0)
        self.clock.advance(200)
        self.assertEqual([self.fill()], self.left())

    def test_fill_evicts_none_when_that_would_not_be_enough(self):
        first, second = self.plant_some(3, 1)
        self.begin_clone(first)
        self.use_driver(sf_template_max_gib=4)
        self.refuse(self.new_image(2), 'NoRoom', downloads=0)
        self.assertEqual([first, second], self.left())

    def test_fill_counts_the_fills_of_others(self):
        filling = self.plant_fill()
        self.hold_image(filling)
        self.use_driver(sf_template_max_count=1)
        self.refuse(self.images.add(house.DATA),
                    'NoRoom', downloads=1)

    @ddt.data((2, 0), (3, 1))
    @ddt.unpack
    def test_fill_that_cannot_count_falls_back(self, skip, downloads):
        self.plant_some(1)
        self.use_driver(sf_template_max_count=2)
        # The first two looks are for templates of this image.
        self.sim.faults.add(method='ListVolumes', error='xNew', times=None,
                            skip=skip,
                            match={'accounts': [self.account_id()]})
        self.refuse(self.images.add(house.DATA),
                    'ListVolumes', 'xNew', downloads=downloads)

    @ddt.data((0, 0), (1, 1))
    @ddt.unpack
    def test_fill_that_cannot_evict_falls_back(self, skip, downloads):
        self.plant_some(1)
        self.use_driver(sf_template_max_count=1)
        self.sim.faults.add(method='ListSyncJobs', error='xNew', times=None,
                            skip=skip)
        self.refuse(self.images.add(house.DATA),
                    'ListSyncJobs', 'xNew', downloads=downloads)

    def test_fill_waits_two_minutes_for_others_that_make_room(self):
        self.use_driver(sf_template_max_count=1)
        self.wait_fast()
        lock = self.hold(locks.for_room(self.sim.cluster.uuid))
        begun = self.clock.monotonic()
        self.refuse(self.images.add(house.DATA),
                    'NoRoom', 'others make room',
                    downloads=1)
        waited = self.clock.monotonic() - begun
        self.assertGreaterEqual(waited, 120)
        self.assertLess(waited, 180)
        lock.release()
        self.fill()

    def test_fill_without_limits_takes_no_lock_for_room(self):
        self.use_driver(sf_template_max_count=0)
        self.hold(locks.for_room(self.sim.cluster.uuid))
        self.fill()

    def test_fill_that_needs_no_room_lists_nothing(self):
        self.use_driver(sf_template_max_count=0,
                        sf_template_min_free_percent=0)
        self.sim.reset_calls()
        self.fill()
        self.assertEqual([], [
            params for params in self.params_of('ListVolumes')
            if 'volumeName' not in params])
        self.assertEqual(0, self.sim.calls.count('GetClusterCapacity'))

    def test_fill_that_is_too_large_is_not_begun(self):
        self.plant_some(1)
        self.use_driver(sf_template_max_gib=2)
        self.refuse(self.new_image(3), 'NoRoom', '3 GiB',
                    'sf_template_max_gib', downloads=0)

    def test_fill_of_just_the_size_that_is_allowed(self):
        self.plant_some(1, 1)
        self.use_driver(sf_template_max_gib=2)
        self.assertEqual([self.fill(2)], self.left())


@ddt.ddt
class FreeSpaceTestCase(RoomTestCase):

    def set_space(self, used, total=1000):
        self.sim.cluster.capacity.update(usedSpace=used, maxUsedSpace=total)

    @ddt.data((900, 10), (1000, 0), (0, 100), (899, 10))
    @ddt.unpack
    def test_fill_with_space_enough(self, used, percent):
        self.use_driver(sf_template_min_free_percent=percent)
        self.set_space(used)
        self.fill()

    @ddt.data((901, 10), (1000, 1), (1, 100), (2000, 10))
    @ddt.unpack
    def test_fill_with_too_little_space_is_not_begun(self, used, percent):
        self.use_driver(sf_template_min_free_percent=percent)
        self.set_space(used * units.Gi, 1000 * units.Gi)
        self.refuse(self.images.add(house.DATA),
                    'NoRoom',
                    '%s of 1000 GiB' % used,
                    'sf_template_min_free_percent is %s' % percent)

    def test_hits_are_served_though_space_is_short(self):
        made = self.fill()
        self.set_space(999)
        image = self.image_of(made)
        for driver in (self.driver, self.new_driver()):
            self.sim.reset_calls()
            self.assert_served(self.clone(image, driver=driver), house.DATA)
            self.assertEqual(0, self.sim.calls.count('GetClusterCapacity'))

    def test_fill_by_default_leaves_ten_percent(self):
        self.set_space(901 * units.Gi, 1000 * units.Gi)
        self.refuse(self.images.add(house.DATA),
                    'NoRoom')
        self.set_space(900)
        self.fill()

    @ddt.data({}, {'usedSpace': 5}, {'usedSpace': None, 'maxUsedSpace': 9},
              {'usedSpace': '9', 'maxUsedSpace': 9},
              {'usedSpace': -1, 'maxUsedSpace': 9},
              {'usedSpace': True, 'maxUsedSpace': 9}, None, [], 'text')
    def test_fill_when_the_cluster_tells_no_space(self, capacity):
        self.sim.faults.add(
            method='GetClusterCapacity', http_status=200, times=None,
            body={'result': {'clusterCapacity': capacity}})
        self.fill()

    def test_fill_when_the_space_cannot_be_asked_for(self):
        self.sim.faults.add(method='GetClusterCapacity', error='xNew',
                            times=None)
        self.refuse(self.images.add(house.DATA),
                    'GetClusterCapacity', 'xNew')

    def test_fill_looks_again_each_time(self):
        self.set_space(950)
        self.refuse(self.images.add(house.DATA),
                    'NoRoom')
        self.set_space(500)
        self.fill()


class TimesTestCase(RoomTestCase):

    def test_fill_evicts_first_what_has_no_readable_times(self):
        planted = self.plant_some(1, 1)
        odd = self.plant(self.images.add(house.DATA), house.DATA,
                         last_used=None, filled_at=None)
        self.use_driver(sf_template_max_count=3)
        made = self.fill()
        self.assertNotIn(odd, self.left())
        self.assertEqual(planted + [made], self.left())

    def test_fill_after_the_date_went_back(self):
        planted = self.plant_some(1, 1)
        self.use_driver(sf_template_max_count=2)
        self.clock.jump = -datetime.timedelta(days=365)
        made = self.fill()
        self.assertEqual(planted[:1] + [made], self.left())
