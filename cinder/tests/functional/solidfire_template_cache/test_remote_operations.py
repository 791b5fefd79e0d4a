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

"""Replication and groups of volumes that were cloned from a template.

Compared with the stock driver, as in :mod:`operations`. The stock driver's
own tests, which run with our class too, say what each operation does.
"""

from cinder import context
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit import fake_constants as fake
from cinder.volume import group_types

SYNC = {'replication_enabled': '<is> True',
        'solidfire:replication_mode': 'Sync'}


def on_target(side):
    """Return access and pair of the volumes on the second cluster."""
    return [(volume.access, volume.pair and volume.pair.remote_volume_id)
            for volume in side.sims[1].cluster.volumes.values()]


class ReplicationTestCase(operations.ComparisonTestCase):

    REPLICATED = True

    def setUp(self):
        super().setUp()
        self.type_id = self.volume_type('replicated', **SYNC)['id']

    def test_extend_snapshot_clone_and_delete(self):
        def operate(side):
            driver = side.driver
            seen = [on_target(side)]
            driver.extend_volume(side.volume, 5)
            snapshot = self.snapshot_of(side.volume)
            driver.create_snapshot(snapshot)
            seen.append(side.state())
            driver.revert_to_snapshot(self.context, side.volume, snapshot)
            for create, volume_id, source in (
                    (driver.create_volume_from_snapshot, fake.VOLUME2_ID,
                     snapshot),
                    (driver.create_cloned_volume, fake.VOLUME3_ID,
                     side.volume)):
                seen.append(create(self.new_volume(
                    id=volume_id, size=5, volume_type_id=self.type_id),
                    source))
            driver.delete_snapshot(snapshot)
            driver.delete_volume(side.volume)
            return seen + [on_target(side)]

        before, state, *_updates, after = self.compare(
            operate, volume_type_id=self.type_id)
        self.assertEqual(([('replicationTarget', 2)], 2),
                         (before, len(after)))
        self.assertIs(True, state[0]['snapshots'][0][
            'enableRemoteReplication'])

    def test_failover_failback_and_retype(self):
        plain = self.volume_type()

        def operate(side):
            seen = []
            for target in (None, 'default'):
                backend, updates, _groups = side.driver.failover_host(
                    self.context, side.volumes, target)
                for volume, update in zip(side.volumes, updates):
                    volume.update(update['updates'])
                connection = side.driver.initialize_connection(
                    side.volume, operations.connector('one'))
                seen.append((backend, connection['data']['target_portal'],
                             [volume.replication_status
                              for volume in side.volumes], side.state()))
            return seen, side.driver.retype(
                self.context, side.volume, plain, {}, None), on_target(side)

        moves, (retyped, update), left = self.compare(
            operate, count=2, volume_type_id=self.type_id)
        self.assertEqual(
            [('far', '127.0.0.2:3260', ['failed-over'] * 2),
             ('', '127.0.0.1:3260', ['enabled'] * 2)],
            [move[:3] for move in moves])
        self.assertEqual((True, 'disabled', 1), (
            retyped, update['replication_status'], len(left)))


class GroupsTestCase(operations.ComparisonTestCase):

    def setUp(self):
        super().setUp()
        self.group_type_id = group_types.create(
            context.get_admin_context(), 'consistent',
            {'consistent_group_snapshot_enabled': '<is> True'}).id

    def group(self, group_id=fake.GROUP_ID):
        """Return a group, or a group snapshot."""
        return {'id': group_id, 'group_type_id': self.group_type_id}

    def test_group_snapshot_and_a_group_of_it(self):
        def operate(side):
            driver, group = side.driver, self.group()
            driver.create_group(self.context, group)
            driver.update_group(self.context, group,
                                add_volumes=side.volumes)
            for number, volume in enumerate(side.volumes):
                side.write(volume, b'%d' % number)
            taken = self.group(fake.GROUP_SNAPSHOT_ID)
            snapshots = [
                self.snapshot_of(volume, id=snapshot_id,
                                 group_snapshot_id=fake.GROUP_SNAPSHOT_ID)
                for volume, snapshot_id in zip(
                    side.volumes, (fake.SNAPSHOT_ID, fake.SNAPSHOT2_ID))]
            driver.create_group_snapshot(self.context, taken, snapshots)
            for volume in side.volumes:
                side.write(volume, b'x')
            state = side.state()
            volumes = [
                self.new_volume(id=volume_id, size=2, source_volid=volume.id)
                for volume_id, volume in zip(
                    (fake.VOLUME2_ID, fake.VOLUME3_ID), side.volumes)]
            _status, updates = driver.create_group_from_src(
                self.context, self.group(fake.GROUP2_ID), volumes,
                group_snapshots=taken, snapshots=snapshots)
            for volume, update in zip(volumes, updates):
                volume.update(update)
            driver.delete_group_snapshot(self.context, taken, snapshots)
            driver.delete_group(self.context, group, side.volumes[1:])
            return [side.read(volume)[:1] for volume in volumes], state

        created, (state,) = self.compare(operate, count=2)
        group, = state['groupSnapshots']
        # The template is not in it.
        self.assertEqual([2, 3], [member['volumeID']
                                  for member in group['members']])
        self.assertEqual([b'0', b'1'], created)
