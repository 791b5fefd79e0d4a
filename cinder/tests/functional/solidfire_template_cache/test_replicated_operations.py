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

"""What becomes of a volume that came from a template: replicated.

Replication and failover, next to the stock driver's result, as
in :mod:`test_operations`.
"""

from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers import solidfire

SYNC = {'replication_enabled': '<is> True',
        'solidfire:replication_mode': 'Sync'}


def on_far(side):
    """Return the second cluster's volumes: access, and number of the pair."""
    return [(volume.access, volume.pair and volume.pair.remote_volume_id)
            for volume in side.sims[1].cluster.volumes.values()]


class ReplicationTestCase(operations.TwinsTestCase):

    FAR = True

    def setUp(self):
        super().setUp()
        self.type_id = self.volume_type('replicated', **SYNC)['id']

    def compare(self, operation, **members):
        return super().compare(operation, **dict(
            {'volume_type_id': self.type_id}, **members))

    def test_extend_and_delete(self):
        def extend_and_delete(side):
            seen = [on_far(side)]
            side.driver.extend_volume(side.volume, 5)
            seen.append(side.state())
            side.driver.delete_volume(side.volume)
            return seen + [on_far(side)]

        before, _state, after = self.compare(extend_and_delete)
        self.assertEqual(([('replicationTarget', 2)], []),
                         (before, after))

    def test_snapshot_clone_and_revert(self):
        def snapshot(side):
            snapshot = self.snapshot_of(side.volume)
            seen = [side.driver.create_snapshot(snapshot), side.state()]
            side.driver.revert_to_snapshot(self.context, side.volume,
                                           snapshot)
            for create, volume_id, source in (
                    (side.driver.create_volume_from_snapshot,
                     fake.VOLUME2_ID, snapshot),
                    (side.driver.create_cloned_volume, fake.VOLUME3_ID,
                     side.volume)):
                volume = self.new_volume(id=volume_id, size=2,
                                         volume_type_id=self.type_id)
                seen.append(create(volume, source))
            return seen + [on_far(side)]

        seen = self.compare(snapshot)
        state, _far = seen[1]
        self.assertIs(True, state['snapshots'][0][
            'enableRemoteReplication'])
        self.assertEqual(3, len(seen[-1]))

    def test_retype_to_a_type_without_replication(self):
        plain = self.volume_type()

        def retype(side):
            return [side.driver.retype(self.context, side.volume, plain, {},
                                       None), on_far(side)]

        (done, update), left = self.compare(retype)
        self.assertEqual((True, 'disabled', []), (
            done, update['replication_status'], left))

    def test_retype_to_a_replicated_type(self):
        replicated = self.volume_type('replicated')

        def retype(side):
            # The stock driver pairs by the settings of the old type, and
            # fails for want of them. What it left on the other cluster is
            # the same here.
            return side.driver.retype(self.context, side.volume, replicated,
                                      {}, None)

        self.compare(retype, fails=KeyError,
                     volume_type_id=self.volume_type()['id'])

    def test_transfer_to_another_project(self):
        def transfer(side):
            return side.driver.accept_transfer(
                self.context, side.volume, fake.USER2_ID, fake.PROJECT2_ID)

        self.assertEqual(fake.PROJECT2_ID, self.compare(
            transfer)['provider_auth'].split()[1])

    def test_unmanage_and_manage_again(self):
        def manage(side):
            side.driver.unmanage(side.volume)
            again = self.new_volume(id=fake.VOLUME2_ID, size=2,
                                    volume_type_id=self.type_id)
            return side.driver.manage_existing(again, {
                'source-id': side.volume.provider_id.split()[0]})

        self.compare(manage, fails=solidfire.SolidFireDriverException,
                     ours=[operations.LOOK_FOR_TEMPLATE])

    def test_failover_and_failback(self):
        def there_and_back(side):
            seen = []
            for target in (None, 'default'):
                seen.append(side.driver.failover_host(
                    self.context, side.volumes, target))
                seen.append(side.state())
            return seen

        over, _state, back, _state = self.compare(there_and_back, count=2)
        self.assertEqual(
            [('far', ['failed-over'] * 2), ('', ['enabled'] * 2)],
            [(backend, [update['updates']['replication_status']
                        for update in updates])
             for backend, updates, _groups in (over, back)])

    def test_failover_in_active_active(self):
        def there_and_back(side):
            seen = []
            for target in ('far', 'default'):
                seen.append(side.driver.failover(self.context, side.volumes,
                                                 target))
                side.driver.failover_completed(self.context, seen[-1][0])
                seen.append(side.driver.active_cluster['mvip'])
            return seen

        seen = self.compare(there_and_back)
        self.assertEqual(['localhost', '127.0.0.1'], seen[1::2])

    def test_operations_on_a_volume_that_failed_over(self):
        def go_on(side):
            _backend, updates, _groups = side.driver.failover_host(
                self.context, side.volumes)
            side.volume.update(updates[0]['updates'])
            connection = side.driver.initialize_connection(
                side.volume, operations.connector('one'))
            snapshot = self.snapshot_of(side.volume)
            made = side.driver.create_snapshot(snapshot)
            side.driver.delete_snapshot(snapshot)
            side.driver.failover_host(self.context, side.volumes, 'default')
            return connection, made

        connection, _made = self.compare(go_on)
        self.assertEqual('127.0.0.2:3260',
                         connection['data']['target_portal'])
