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

"""Operations on a volume that was cloned from a template.

Each operation of Cinder runs on such a volume and, on an equal cluster, on
one of the stock driver: results, calls, the clusters' state and the data
must be the same, and the template unchanged.
"""

import ddt

from cinder import exception
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit import fake_constants as fake

HOSTS = [operations.connector(name) for name in ('one', 'two')]

FAST = {'qos:minIOPS': '500', 'qos:maxIOPS': '1000', 'qos:burstIOPS': '2000',
        'SFAttribute:tier': 'gold'}
SCALED = {'qos:scaledIOPS': 'yes', 'qos:scaleMin': '10',
          'qos:scaleMax': '20', 'qos:scaleBurst': '30'}


@ddt.ddt
class OperationsTestCase(operations.ComparisonTestCase):

    # Bug 1680314: wrong fields were recorded. The options, and whether the
    # volume has a type with QoS; None: its metadata count.
    @ddt.data(
        ({}, False), ({}, True), ({'sf_emulate_512': False}, False),
        ({'sf_svip': '192.0.2.7:3261'}, False),
        ({'sf_svip': '192.0.2.7'}, False),
        ({'sf_volume_prefix': 'cloud-'}, False),
        ({'sf_enable_vag': True}, False),
        ({'sf_allow_tenant_qos': True}, None))
    @ddt.unpack
    def test_create(self, options, is_of_type):
        members = {'volume_metadata': [{'key': 'sf-qos', 'value': 'fast'}]}
        if is_of_type:
            members['volume_type_id'] = self.volume_type('fast', **FAST)['id']
        qos, _fields = self.compare(
            lambda side: (side.sim.cluster.volumes[2].qos, [
                side.volume[name] for name in (
                    'provider_id', 'provider_location', 'provider_auth',
                    'provider_geometry', 'replication_status')]),
            sides=self.sides(**options), **members)
        self.assertEqual(is_of_type is False,
                         qos == self.sim.cluster.default_qos)

    def test_extend_and_delete_twice(self):
        scaled = self.volume_type('scaled', **FAST, **SCALED)

        def operate(side):
            side.driver.extend_volume(side.volume, 5)
            seen = (side.sim.cluster.volumes[2].qos['minIOPS'],
                    side.read(side.volume), side.state())
            for _time in range(2):
                side.driver.delete_volume(side.volume)
            return *seen, sorted(side.sim.cluster.volumes)

        iops, data, _state, left = self.compare(operate,
                                                volume_type_id=scaled['id'])
        self.assertEqual((540, operations.DATA, [operations.TEMPLATE_ID]),
                         (iops, data, left))

    def test_snapshot_and_clones(self):
        def operate(side):
            driver, volume = side.driver, side.volume
            snapshot = self.snapshot_of(volume)
            snapshot.update(driver.create_snapshot(snapshot))
            side.write(volume, b'later')
            seen = [side.state(), side.data()]
            restored, copy = (self.new_volume(id=volume_id, size=3) for
                              volume_id in (fake.VOLUME2_ID, fake.VOLUME3_ID))
            restored.update(driver.create_volume_from_snapshot(restored,
                                                               snapshot))
            changed = side.read(volume) != operations.DATA
            driver.revert_to_snapshot(self.context, volume, snapshot)
            driver.delete_snapshot(snapshot)
            copy.update(driver.create_cloned_volume(copy, volume))
            found = [changed] + [side.read(each) == operations.DATA
                                 for each in (restored, volume, copy)]
            side.write(volume, b'later')
            driver.delete_volume(volume)
            found.append(side.read(copy) == operations.DATA)
            return found, seen, restored.provider_id, copy.provider_id

        self.assertEqual([True] * 5, self.compare(operate)[0])

    @ddt.data({}, {'sf_enable_vag': True})
    def test_attachment(self, options):
        """The volume is attached to two hosts, then to one after the other."""
        def operate(side):
            driver, volume = side.driver, side.volume
            seen = [driver.create_export(self.context, volume, HOSTS[0]),
                    driver.ensure_export(self.context, volume)]
            for host in HOSTS:
                seen.append(driver.initialize_connection(volume, host))
            seen.append(side.state())
            for host in HOSTS:
                driver.terminate_connection(volume, host, force=False)
            for host in HOSTS:
                seen.append(driver.initialize_connection(volume, host))
                driver.terminate_connection(volume, host, force=False)
                seen.append(side.state())
            driver.remove_export(self.context, volume)
            if not options:
                driver.delete_volume(volume)
            return seen

        seen = self.compare(operate, sides=self.sides(**options),
                            multiattach=True)
        self.assertEqual('2', seen[2]['data']['target_iqn'].rpartition(
            '.')[2])
        self.assertEqual([[2], [2]] if options else [], [
            group['volumes'] for group in seen[4][0]['volumeAccessGroups']])

    def test_retype_to_other_limits_and_back(self):
        plain = self.volume_type()
        types = self.volume_type('fast', **FAST), plain
        diff = {'encryption': {'cipher': (None, 'aes-xts-plain64')}}

        def operate(side):
            # What an encrypted type needs is left to migration.
            return [(side.driver.retype(self.context, side.volume, new_type,
                                        each, {'host': side.volume.host}),
                     side.state())
                    for new_type in types for each in ({}, diff)]

        outcomes = self.compare(operate, volume_type_id=plain['id'])
        self.assertEqual([(True, {})] * 4, [done for done, _ in outcomes])

    def test_transfer_to_another_project(self):
        def operate(side):
            driver, volume = side.driver, side.volume
            update = driver.accept_transfer(
                self.context, volume, fake.USER2_ID, fake.PROJECT2_ID)
            volume.update(update)
            driver.create_snapshot(self.snapshot_of(volume))
            return (volume.project_id, update['provider_auth'],
                    driver.initialize_connection(volume, HOSTS[0])[
                        'data']['auth_username'], update)

        sides = self.sides()
        self.assertEqual(
            (fake.PROJECT2_ID, 'CHAP %s SSSSSSSSSSSS' % fake.PROJECT2_ID,
             fake.PROJECT2_ID), self.compare(operate, sides=sides)[:3])
        # The next requests of both projects are served.
        for project in (fake.PROJECT2_ID, fake.PROJECT_ID):
            result = self.clone(self.image,
                                self.new_volume(project_id=project),
                                sides[0].driver)
            self.assert_served(result)
            self.assertEqual(project, result[0]['provider_auth'].split()[1])

    def test_unmanage_and_manage_again(self):
        def operate(side):
            driver = side.driver
            snapshot = self.snapshot_of(side.volume)
            driver.create_snapshot(snapshot)
            reference = {'source-id': side.volume.provider_id.split()[0],
                         'name': side.volume.name}
            side.volume.provider_id = None
            updates = driver.update_provider_info([side.volume], [snapshot])
            driver.delete_snapshot(snapshot)
            driver.unmanage(side.volume)
            between = side.state()
            again = self.new_volume(id=fake.VOLUME2_ID, size=2)
            size = driver.manage_existing_get_size(again, reference)
            again.update(driver.manage_existing(again, reference))
            driver.extend_volume(again, 3)
            return (size, again.provider_id.split()[0], side.read(again),
                    [update['provider_id'].split()[0]
                     for each in updates for update in each], between)

        self.assertEqual(
            (2, '2', operations.DATA, ['2', '1']),
            self.compare(operate,
                         additional=[operations.TEMPLATE_CHECK] * 2)[:4])

    # For a number that is gone the stock driver takes the next volume.
    @ddt.data(operations.TEMPLATE_ID, operations.TEMPLATE_ID - 1)
    def test_manage_of_a_template_is_refused(self, number):
        sides = self.sides()
        driver = sides[0].driver
        reference = {'source-id': str(number)}
        volume = self.new_volume()
        for manage in (driver.manage_existing_get_size,
                       driver.manage_existing):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              manage, volume, reference)
        self.assert_template_untouched(sides[0])
