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

"""What a round of housekeeping clears up, and what it leaves alone."""

import datetime
from unittest import mock

import ddt
from os_brick.initiator import initiator_connector

from cinder.tests.unit.volume.drivers.solidfire_template_cache import house
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import volume_utils

HOUR = datetime.timedelta(hours=1)


@ddt.ddt
class DeadFillTestCase(house.HouseTestCase):
    """Templates that are marked as being filled."""

    def test_run_removes_a_dead_fill_of_this_host(self):
        self.plant_fill()
        self.run_round()
        self.assertEqual([], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_leaves_a_fill_that_is_under_way(self):
        filling = self.plant_fill()
        self.hold_image(filling)
        self.share_locks()
        self.run_round()
        self.assertEqual([filling], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_during_a_fill_of_this_process_leaves_it(self):
        image = self.images.add(house.DATA)
        attach = self.driver._attached
        seen = []

        def attached(*args):
            self.run_round()
            seen.extend(self.left())
            return attach(*args)

        self.driver._attached = attached
        self.assert_served(self.clone(image), house.DATA)
        self.assertEqual(seen, self.left())
        self.assertEqual(1, len(seen))

    @ddt.data(datetime.timedelta(), 5 * HOUR + 58 * house.MINUTE)
    def test_run_leaves_a_young_fill_of_another_host_without_a_common_lock(
            self, age):
        filling = self.plant_fill(filled_by='elsewhere',
                                  filled_at=self.clock.now() - age)
        self.run_round()
        self.assertEqual([filling], self.left())
        self.pop_warning('elsewhere', 'volume %s)' % filling, 'backend_url',
                         self.image_of(filling)['id'])
        # Once is enough.
        self.run_round()
        self.assertEqual([filling], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_removes_an_old_fill_of_another_host(self):
        self.plant_fill(filled_by='elsewhere',
                        filled_at=self.clock.now() - 6 * HOUR)
        self.run_round()
        self.assertEqual([], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_removes_a_fill_of_unknown_age(self):
        self.plant_fill(filled_by='elsewhere', filled_at=None)
        self.run_round()
        self.assertEqual([], self.left())

    def test_run_removes_a_fill_under_locks_in_the_same_place(self):
        self.plant_fill(filled_by='elsewhere', lock_domain=locks.domain())
        self.run_round()
        self.assertEqual([], self.templates())

    def test_run_removes_a_fill_of_another_host_when_locks_are_shared(self):
        self.plant_fill(filled_by='elsewhere')
        self.share_locks()
        self.run_round()
        self.assertEqual([], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_of_a_second_host_leaves_the_fill_of_the_first(self):
        filling = self.plant_fill()
        second = self.new_driver()
        second.host = 'second@solidfire'
        self.run_round(second)
        self.assertEqual([filling], self.left())
        self.pop_warning(self.host)
        self.run_round()
        self.assertEqual([], self.left())

    def test_run_leaves_the_ready_template_beside_a_dead_fill(self):
        image = self.images.add(house.DATA)
        self.plant_fill(image)
        ready = self.plant(image, house.DATA)
        self.run_round()
        self.assertEqual([ready], self.left())

    def test_request_leaves_a_young_fill_of_another_host(self):
        image = self.images.add(house.DATA)
        filling = self.plant_fill(image, filled_by='elsewhere')
        _update, cloned = self.clone(image)
        self.assertTrue(cloned)
        self.pop_warning('elsewhere', 'backend_url')
        self.assertEqual(2, len(self.left()))
        self.assertIn(filling, self.left())


class DetachTestCase(house.HouseTestCase):
    """A dead process may have left its template attached."""

    def setUp(self):
        super().setUp()
        self.events = []
        self.connector = mock.create_autospec(
            initiator_connector.InitiatorConnector, instance=True)
        self.connector.disconnect_volume.side_effect = (
            lambda *args, **kwargs: self.events.append(
                ('detach', args, self.left())))
        self.get_connector = self.mock_object(
            volume_utils, 'brick_get_connector',
            mock.create_autospec(volume_utils.brick_get_connector,
                                 return_value=self.connector))

    def test_run_detaches_a_fill_of_this_host_before_its_removal(self):
        filling = self.plant_fill()
        path = self.sim.cluster.volume_path(filling)
        self.run_round()
        self.assertEqual(('local',), self.get_connector.call_args.args[:1])
        [(_what, args, left)] = self.events
        self.assertEqual(path, args[0]['device_path'])
        self.assertEqual([filling], left)
        self.assertEqual([], self.left())
        self.assertEqual([], self.warnings.messages)

    def test_run_removes_a_fill_though_detaching_fails(self):
        filling = self.plant_fill()
        self.connector.disconnect_volume.side_effect = OSError('stuck')
        self.run_round()
        self.assertEqual(1, self.connector.disconnect_volume.call_count)
        self.assertEqual([], self.left())
        self.assertTrue(all(str(filling) in message
                            for message in self.warnings.messages))

    def test_run_removes_a_fill_though_it_cannot_be_asked_to_detach(self):
        filling = self.plant_fill()
        self.get_connector.side_effect = RuntimeError('no os-brick')
        self.run_round()
        self.assertEqual([], self.left())
        self.pop_warning('volume %s,' % filling, 'may still be attached',
                         'no os-brick')

    def test_request_detaches_what_a_dead_process_left(self):
        image = self.images.add(house.DATA)
        filling = self.plant_fill(image)
        self.mock_object(self.driver, '_connect_device', mock.Mock(
            spec_set=[], side_effect=RuntimeError('of the test')))
        self.clone(image)
        self.assertEqual([[filling]], [left for _, _, left in self.events])

    def test_run_detaches_nothing_of_other_hosts(self):
        self.plant_fill(filled_by='elsewhere')
        self.share_locks()
        self.run_round()
        self.assertEqual([], self.left())
        self.get_connector.assert_not_called()

    def test_run_detaches_nothing_that_was_deleted_already(self):
        filling = self.plant_fill()
        self.api('DeleteVolume', volumeID=filling)
        self.run_round()
        self.assertEqual([], self.left())
        self.get_connector.assert_not_called()

    def test_run_detaches_no_ready_template(self):
        image = self.images.add(house.DATA)
        for _i in range(2):
            self.plant(image, house.DATA, filled_by=self.host)
        self.run_round()
        self.assertEqual(1, len(self.left()))
        self.get_connector.assert_not_called()


class CopiesTestCase(house.HouseTestCase):
    """Several templates of one image."""

    def setUp(self):
        super().setUp()
        self.image = self.images.add(house.DATA)

    def plant_older_and_newer(self):
        older = self.plant(self.image, house.DATA)
        newer = self.plant(self.images.replace(self.image['id'], b'new'),
                           b'new')
        return older, newer

    def test_run_removes_a_superseded_copy(self):
        _older, newer = self.plant_older_and_newer()
        self.run_round()
        self.assertEqual([newer], self.left())

    def test_run_removes_a_superseded_copy_that_has_the_higher_number(self):
        newer = self.plant(self.images.touch(self.image['id'], 60))
        self.plant(self.image, house.DATA)
        self.run_round()
        self.assertEqual([newer], self.left())

    def test_run_keeps_the_duplicate_with_the_lowest_number(self):
        lowest, *_others = [self.plant(self.image, house.DATA)
                            for _i in range(3)]
        self.run_round()
        self.assertEqual([lowest], self.left())

    def test_run_purges_a_deleted_template(self):
        first, second = [self.plant(self.image, house.DATA)
                         for _i in range(2)]
        for volume_id in (first, second):
            self.api('DeleteVolume', volumeID=volume_id)
        self.run_round()
        self.assertNotIn(first, self.sim.cluster.volumes)
        self.assertEqual([], self.left())

    def test_run_leaves_a_copy_that_is_being_cloned_to_a_later_round(self):
        older, newer = self.plant_older_and_newer()
        self.begin_clone(older, seconds=100)
        self.run_round()
        self.assertEqual([older, newer], self.left())
        # It did not wait for the clone.
        self.assertLess(self.clock.monotonic(), 10)
        self.clock.advance(200)
        self.run_round()
        self.assertEqual([newer], self.left())
        [cloned] = self.volumes_named('of-another-host')
        self.assertEqual(house.DATA, self.read_volume(
            cloned.volume_id, len(house.DATA)))

    def test_run_leaves_copies_while_a_newer_one_is_filled(self):
        older, newer = self.plant_older_and_newer()
        lock = self.hold_image(older)
        self.run_round()
        self.assertEqual([older, newer], self.left())
        lock.release()
        self.run_round()
        self.assertEqual([newer], self.left())

    def test_run_leaves_templates_of_images_that_have_one_each(self):
        planted = [self.plant(self.images.add(house.DATA), house.DATA)
                   for _i in range(3)]
        self.run_round()
        self.assertEqual(planted, self.left())
        self.assertEqual(0, self.sim.calls.count('DeleteVolume'))

    def test_run_leaves_what_nobody_may_clone_in_place_of_the_other(self):
        # Somebody has made the newer one writable: the older one serves.
        older = self.plant(self.image, house.DATA)
        newer = self.plant(self.images.touch(self.image['id'], 60),
                           access='readWrite')
        self.run_round()
        self.assertEqual([older, newer], self.left())


@ddt.ddt
class StrangersTestCase(house.HouseTestCase):
    """Volumes in the template account that this driver did not make."""

    def plant_stranger(self, kind, name=None):
        image = self.images.add(house.DATA)
        attributes = {
            'foreign': {},
            'odd': {tpl.ATTRIBUTE: 'text'},
            'none': None,
            # As Kilo to Stein wrote it.
            'old': {'uuid': None, 'is_clone': False,
                    'image_info': {'image_updated_at':
                                   '2018-05-01T10:00:00', 'image_name': 'x',
                                   'image_created_at':
                                   '2018-05-01T09:00:00',
                                   'image_id': image['id']}},
            'newer': {tpl.ATTRIBUTE: {'schema': tpl.SCHEMA + 1,
                                      'state': 'filling'}},
        }[kind]
        return self.plant_volume(name or tpl.name_for(image['id']),
                                 attributes, access='readOnly')

    @ddt.data(('foreign', 'not made by this driver'),
              ('odd', 'not made by this driver'),
              ('none', 'not made by this driver'),
              ('old', 'Kilo to Stein'),
              ('newer', 'another version of this driver'))
    @ddt.unpack
    def test_run_reports_a_stranger_once_and_leaves_it(self, kind, what):
        stranger = self.plant_stranger(kind)
        self.run_round()
        self.pop_warning('Volume %s' % stranger, what,
                         self.sim.cluster.volumes[stranger].name)
        self.run_round()
        self.assertEqual([], self.warnings.messages)
        self.assertEqual([stranger], self.left())
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_run_of_a_new_process_reports_a_stranger_again(self):
        self.plant_stranger('foreign', 'a-volume-made-by-hand')
        for driver in (self.driver, self.new_driver()):
            self.run_round(driver)
            self.pop_warning('a-volume-made-by-hand')

    def test_run_reports_each_stranger(self):
        strangers = [self.plant_stranger(kind) for kind in ('old', 'newer')]
        self.run_round()
        self.assertEqual(2, len(self.warnings.messages))
        self.assertEqual(strangers, self.left())

    def test_run_says_nothing_of_a_deleted_stranger(self):
        stranger = self.plant_stranger('foreign')
        self.api('DeleteVolume', volumeID=stranger)
        self.run_round()
        self.assertEqual([], self.warnings.messages)
        self.assertEqual('deleted',
                         self.sim.cluster.volumes[stranger].status)

    def test_run_clears_the_templates_beside_a_stranger_of_that_image(self):
        image = self.images.add(house.DATA)
        stranger = self.plant_stranger('old', tpl.name_for(image['id']))
        self.plant_fill(image)
        ready = [self.plant(image, house.DATA) for _i in range(2)][0]
        self.run_round()
        self.assertEqual([stranger, ready], self.left())

    def test_run_leaves_volumes_of_other_accounts(self):
        # Whatever their names and attributes are.
        image = self.images.add(house.DATA)
        filling = self.plant_fill(image)
        volume = self.sim.cluster.volumes[filling]
        other = self.plant_volume(volume.name, volume.attributes,
                                  account='tenant')
        self.run_round()
        self.assertEqual([], self.left())
        self.assertIn(other, self.sim.cluster.volumes)
        self.assertEqual([], self.warnings.messages)


class LockedTestCase(house.HouseTestCase):

    def test_run_without_any_template_account(self):
        # Nothing was ever cached.
        self.run_round()
        self.assertEqual([], self.warnings.messages)
        self.assertEqual(0, self.sim.calls.count('AddAccount'))

    def test_run_does_nothing_while_another_host_keeps_house(self):
        filling = self.plant_fill()
        lock = self.hold(locks.for_housekeeping(self.sim.cluster.uuid))
        self.sim.reset_calls()
        self.run_round()
        self.assertEqual([filling], self.left())
        self.assertNotIn('GetAccountByName', self.sim.calls.methods)
        self.assertEqual([], self.warnings.messages)
        lock.release()
        self.run_round()
        self.assertEqual([], self.left())
