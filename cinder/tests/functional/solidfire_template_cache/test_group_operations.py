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

"""Groups of volumes that came from a template.

Next to the stock driver's result, as in :mod:`test_operations`.
"""

import ddt

from cinder import context
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit import fake_constants as fake
from cinder.volume import group_types

CONSISTENT = {'consistent_group_snapshot_enabled': '<is> True'}


@ddt.ddt
class GroupsTestCase(operations.TwinsTestCase):
    """The driver's part in what Cinder does with groups."""

    def setUp(self):
        super().setUp()
        admin = context.get_admin_context()
        self.types = {
            name: group_types.create(admin, name, specs).id
            for name, specs in (('consistent', CONSISTENT), ('generic', {}))}

    def group(self, of_type='consistent', **members):
        """Return a group, or a group snapshot."""
        return dict({'id': fake.GROUP_ID,
                     'group_type_id': self.types[of_type]}, **members)

    def snapshots_of(self, side):
        return [self.snapshot_of(volume, id=snapshot_id,
                                 group_snapshot_id=fake.GROUP_SNAPSHOT_ID)
                for volume, snapshot_id in zip(
                    side.volumes, (fake.SNAPSHOT_ID, fake.SNAPSHOT2_ID))]

    def new_members(self, side):
        """Return volumes about to be made of the volumes of a group."""
        return [self.new_volume(id=volume_id, size=2, source_volid=source.id)
                for volume_id, source in zip(
                    (fake.VOLUME2_ID, fake.VOLUME3_ID), side.volumes)]

    def write_each(self, side):
        for number, volume in enumerate(side.volumes):
            side.write(volume, b'%d' % number)

    def first_bytes(self, side, volumes, updates):
        """Adopt what the driver returned; return each volume's first."""
        for volume, update in zip(volumes, updates):
            volume.update(update)
        return [side.read(volume)[:1] for volume in volumes]

    def test_consistency_group_made_changed_and_deleted(self):
        def live(side):
            group = self.group()
            driver = side.driver
            return [
                driver.create_group(self.context, group),
                driver.update_group(self.context, group,
                                    add_volumes=side.volumes),
                driver.update_group(self.context, group,
                                    remove_volumes=side.volumes[:1]),
                driver.delete_group(self.context, group, side.volumes[1:]),
                sorted(side.sim.cluster.volumes)]

        # The one that was removed from the group stays.
        self.assertEqual([operations.TEMPLATE_ID, 2],
                         self.compare(live, count=2)[-1])

    def test_group_snapshot_and_its_deletion(self):
        def snapshot(side):
            taken = self.group(id=fake.GROUP_SNAPSHOT_ID)
            snapshots = self.snapshots_of(side)
            seen = [side.driver.create_group_snapshot(self.context, taken,
                                                      snapshots),
                    side.state(), side.data()]
            seen.append(side.driver.delete_group_snapshot(
                self.context, taken, snapshots))
            return seen

        state, = self.compare(snapshot, count=2)[1]
        group, = state['groupSnapshots']
        # Not the template, which lies beside them in no group.
        self.assertEqual([2, 3], [member['volumeID']
                                  for member in group['members']])

    def test_group_from_group_snapshot(self):
        def restore(side):
            self.write_each(side)
            taken = self.group(id=fake.GROUP_SNAPSHOT_ID)
            snapshots = self.snapshots_of(side)
            side.driver.create_group_snapshot(self.context, taken, snapshots)
            for volume in side.volumes:
                side.write(volume, b'x')
            volumes = self.new_members(side)
            status, updates = side.driver.create_group_from_src(
                self.context, self.group(id=fake.GROUP2_ID), volumes,
                group_snapshots=taken, snapshots=snapshots)
            single = self.new_volume(id=fake.VOLUME4_ID, size=2)
            update = side.driver.create_volume_from_snapshot(single,
                                                             snapshots[1])
            return [status, updates, update, self.first_bytes(
                side, volumes + [single], updates + [update])]

        self.assertEqual([b'0', b'1', b'1'],
                         self.compare(restore, count=2)[-1])

    def test_group_from_group(self):
        def copy(side):
            self.write_each(side)
            volumes = self.new_members(side)
            status, updates = side.driver.create_group_from_src(
                self.context, self.group(id=fake.GROUP2_ID),
                volumes, source_group=self.group(),
                source_vols=side.volumes)
            return [status, updates, self.first_bytes(side, volumes,
                                                      updates)]

        self.assertEqual([b'0', b'1'], self.compare(copy, count=2)[-1])

    @ddt.data('create_group', 'update_group', 'delete_group',
              'create_group_snapshot', 'delete_group_snapshot',
              'create_group_from_src')
    def test_generic_group_is_left_to_the_manager(self, method):
        arguments = {'create_group': 0, 'update_group': 0}.get(method, 1)

        def attempt(side):
            group = self.group('generic')
            getattr(side.driver, method)(self.context, group,
                                         *[side.volumes] * arguments)

        self.compare(attempt, count=2, fails=NotImplementedError)
