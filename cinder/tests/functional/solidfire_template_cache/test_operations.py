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

"""What becomes of a volume that came from a template: one cluster.

Each operation of Cinder runs on such a volume and, on a cluster alike, on
one of the stock driver: replies, calls, the clusters' state and the data
must be the same, and the template as it was.
"""

import ddt

from cinder import exception
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit import fake_constants as fake

HOSTS = [operations.connector(name) for name in ('one', 'two')]

FAST = {'qos:minIOPS': '500', 'qos:maxIOPS': '1000', 'qos:burstIOPS': '2000',
        'SFAttribute:tier': 'gold'}


@ddt.ddt
class OperationsTestCase(operations.TwinsTestCase):

    def test_extend(self):
        def extend(side):
            side.driver.extend_volume(side.volume, 5)
            return side.read(side.volume) == operations.DATA

        self.assertIs(True, self.compare(extend))

    def test_extend_of_a_type_whose_limits_grow_with_the_size(self):
        scaled = self.volume_type('scaled', **dict(
            FAST, **{'qos:scaledIOPS': 'yes', 'qos:scaleMin': '10',
                     'qos:scaleMax': '20', 'qos:scaleBurst': '30'}))

        def extend(side):
            side.driver.extend_volume(side.volume, 5)
            return side.sim.cluster.volumes[2].qos['minIOPS']

        self.assertEqual(540, self.compare(extend,
                                           volume_type_id=scaled['id']))

    def test_delete(self):
        def delete(side):
            side.driver.delete_volume(side.volume)
            return sorted(side.sim.cluster.volumes)

        self.assertEqual([operations.TEMPLATE_ID], self.compare(delete))

    def test_delete_twice(self):
        def delete(side):
            side.driver.delete_volume(side.volume)
            side.driver.delete_volume(side.volume)

        self.assertIsNone(self.compare(delete))

    # Snapshots and clones

    def test_snapshot_and_its_deletion(self):
        def snapshot(side):
            snapshot = self.snapshot_of(side.volume)
            snapshot.update(side.driver.create_snapshot(snapshot))
            taken = side.state(), side.data()
            side.driver.delete_snapshot(snapshot)
            return snapshot.provider_id.split()[:2], taken

        self.assertEqual(['1', '2'], self.compare(snapshot)[0])

    def test_volume_from_snapshot(self):
        def restore(side):
            snapshot = self.snapshot_of(side.volume)
            side.driver.create_snapshot(snapshot)
            side.write(side.volume, b'later')
            restored = self.new_volume(id=fake.VOLUME2_ID, size=3)
            update = side.driver.create_volume_from_snapshot(restored,
                                                             snapshot)
            restored.update(update)
            return update, side.read(restored) == operations.DATA

        self.assertIs(True, self.compare(restore)[1])

    def test_revert_to_snapshot(self):
        def revert(side):
            snapshot = self.snapshot_of(side.volume)
            side.driver.create_snapshot(snapshot)
            side.write(side.volume, b'later')
            changed = side.read(side.volume) != operations.DATA
            side.driver.revert_to_snapshot(self.context, side.volume,
                                           snapshot)
            return changed, side.read(side.volume) == operations.DATA

        self.assertEqual((True, True), self.compare(revert))

    def test_clone_of_the_volume(self):
        def clone(side):
            other = self.new_volume(id=fake.VOLUME2_ID, size=3)
            update = side.driver.create_cloned_volume(other, side.volume)
            other.update(update)
            side.write(side.volume, b'later')
            side.driver.delete_volume(side.volume)
            return update, side.read(other) == operations.DATA

        self.assertIs(True, self.compare(clone)[1])

    # Attachment

    @ddt.data({}, {'sf_enable_vag': True})
    def test_attachment_to_two_hosts(self, options):
        def attach(side):
            driver, volume = side.driver, side.volume
            seen = [driver.create_export(self.context, volume, HOSTS[0]),
                    driver.ensure_export(self.context, volume)]
            for host in HOSTS:
                seen.append(driver.initialize_connection(volume, host))
            seen.append(side.state())
            for host in HOSTS:
                driver.terminate_connection(volume, host, force=False)
            driver.remove_export(self.context, volume)
            if not options:
                driver.delete_volume(volume)
            return seen

        seen = self.compare(attach, sides=self.twins(**options),
                            multiattach=True)
        groups = seen[4][0]['volumeAccessGroups']
        self.assertEqual([[2], [2]] if options else [],
                         [group['volumes'] for group in groups])

    def test_delete_while_in_access_groups(self):
        def delete(side):
            side.driver.initialize_connection(side.volume, HOSTS[0])
            # The stock driver takes the numbers of the groups that
            # GetVolumeStats tells for objects.
            side.driver.delete_volume(side.volume)

        self.compare(delete, sides=self.twins(sf_enable_vag=True),
                     fails=TypeError, multiattach=True)

    @ddt.data({}, {'sf_enable_vag': True})
    def test_attachment_to_one_host_after_the_other(self, options):
        def attach(side):
            seen = []
            for host in HOSTS:
                seen.append(side.driver.initialize_connection(side.volume,
                                                              host))
                side.driver.terminate_connection(side.volume, host,
                                                 force=False)
                seen.append(side.state())
            return seen

        seen = self.compare(attach, sides=self.twins(**options))
        self.assertEqual('2', seen[0]['data']['target_iqn'].rpartition(
            '.')[2])

    # Retype and transfer

    def test_retype_to_other_limits_and_back(self):
        plain = self.volume_type()
        fast = self.volume_type('fast', **FAST)

        def retype(side):
            return [(side.driver.retype(self.context, side.volume, new_type,
                                        {}, {'host': side.volume.host}),
                     side.state()) for new_type in (fast, plain)]

        outcomes = self.compare(retype, volume_type_id=plain['id'])
        self.assertEqual([(True, {})] * 2, [done for done, _ in outcomes])

    def test_retype_to_an_encrypted_type_is_left_to_migration(self):
        secret = self.volume_type('secret')
        diff = {'encryption': {'cipher': (None, 'aes-xts-plain64')}}

        def retype(side):
            moved = side.driver.retype(self.context, side.volume, secret,
                                       diff, {'host': side.volume.host})
            # What the manager does instead: a new volume, then a copy.
            copy = self.new_volume(id=fake.VOLUME2_ID, size=2,
                                   encryption_key_id=fake.ENCRYPTION_KEY_ID,
                                   volume_type_id=secret['id'])
            update = side.driver.create_volume(copy)
            side.driver.delete_volume(side.volume)
            return moved, update

        self.assertEqual((True, {}), self.compare(
            retype, volume_type_id=self.volume_type()['id'])[0])

    def test_transfer_to_another_project(self):
        def transfer(side):
            update = side.driver.accept_transfer(
                self.context, side.volume, fake.USER2_ID, fake.PROJECT2_ID)
            side.volume.update(update)
            snapshot = self.snapshot_of(side.volume)
            side.driver.create_snapshot(snapshot)
            connection = side.driver.initialize_connection(side.volume,
                                                           HOSTS[0])
            return update, connection, side.volume.project_id

        update, connection, project = self.compare(transfer)
        self.assertEqual(
            (fake.PROJECT2_ID, 'CHAP %s SSSSSSSSSSSS' % fake.PROJECT2_ID,
             fake.PROJECT2_ID),
            (project, update['provider_auth'],
             connection['data']['auth_username']))

    def test_next_requests_of_both_projects_after_a_transfer(self):
        sides = self.twins()
        self.compare(lambda side: side.driver.accept_transfer(
            self.context, side.volume, fake.USER2_ID, fake.PROJECT2_ID),
            sides=sides)
        self.sim = sides[0].sim
        for project in (fake.PROJECT2_ID, fake.PROJECT_ID):
            volume = self.new_volume(project_id=project)
            result = self.clone(self.image, volume, sides[0].driver)
            self.assert_served(result)
            self.assertEqual(project, result[0]['provider_auth'].split()[1])

    # Manage and unmanage

    def test_unmanage_and_manage_again(self):
        def manage(side):
            driver = side.driver
            driver.unmanage(side.volume)
            between = side.state()
            reference = {'source-id': side.volume.provider_id.split()[0],
                         'name': side.volume.name}
            again = self.new_volume(id=fake.VOLUME2_ID, size=2)
            size = driver.manage_existing_get_size(again, reference)
            update = driver.manage_existing(again, reference)
            again.update(update)
            driver.extend_volume(again, 3)
            return size, update, between, side.read(again)

        size, update, _between, data = self.compare(
            manage, ours=[operations.LOOK_FOR_TEMPLATE] * 2)
        self.assertEqual((2, '2', operations.DATA),
                         (size, update['provider_id'].split()[0], data))

    # For a number that is gone the stock driver takes the next volume.
    @ddt.data(operations.TEMPLATE_ID, operations.TEMPLATE_ID - 1)
    def test_manage_of_a_template_is_refused(self, number):
        sides = self.twins()
        driver = sides[0].driver
        reference = {'source-id': str(number)}
        volume = self.new_volume()
        for manage in (driver.manage_existing_get_size,
                       driver.manage_existing):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              manage, volume, reference)
        self.assert_template_untouched(sides[0])

    def test_update_provider_info(self):
        def update(side):
            snapshot = self.snapshot_of(side.volume)
            side.driver.create_snapshot(snapshot)
            side.volume.provider_id = None
            return side.driver.update_provider_info([side.volume],
                                                    [snapshot])

        volumes, snapshots = self.compare(update)
        self.assertEqual(('2', '1'), (
            volumes[0]['provider_id'].split()[0],
            snapshots[0]['provider_id'].split()[0]))
