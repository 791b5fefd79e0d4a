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

"""Clones of which nobody knows whether they were begun."""

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache import cloning
from cinder.volume.drivers.solidfire_template_cache import errors


@ddt.ddt
class LostReplyTestCase(cloning.CloneTestCase):
    """Nobody knows whether the clone was begun: there must be one."""

    @ddt.data({'drop': True, 'when': 'before'},
              {'drop': True, 'when': 'after'},
              {'http_status': 502, 'body': '<html>', 'when': 'before'},
              {'http_status': 502, 'body': '<html>', 'when': 'after'},
              {'http_status': 200, 'body': '{"id":', 'when': 'after'},
              {'error': 'xRpcTimeout', 'when': 'before'},
              {'error': 'xRpcTimeout', 'when': 'after'})
    def test_clone_whose_reply_is_lost(self, fault):
        self.sim.faults.add(method='CloneVolume', **fault)
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual([self.template.id, volume.id], self.on_cluster())
        self.assertEqual(2, self.sim.calls.count('CloneVolume'))

    @ddt.data('before', 'after')
    def test_clone_whose_reply_is_lost_twice(self, when):
        self.sim.faults.add(method='CloneVolume', times=2, drop=True,
                            when=when)
        exc = self.assert_fails(errors.ReplyLost, self.clone)
        self.assert_nothing_left(exc)
        self.assertEqual(2, self.sim.calls.count('CloneVolume'))

    def test_clone_whose_reply_cannot_be_read(self):
        self.sim.faults.add(method='CloneVolume', http_status=200,
                            body={'result': {'cloneID': 1}}, when='after')
        exc = self.assert_fails(errors.UnexpectedReply, self.clone)
        self.assert_nothing_left(exc)

    def test_clone_whose_reply_is_lost_while_other_hosts_clone(self):
        other = self.clone_elsewhere('UUID-9')
        self.sim.faults.add(method='CloneVolume', drop=True, when='after')
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual(
            sorted([self.template.id, other.volume.id, volume.id]),
            self.on_cluster())

    def test_clone_whose_reply_is_lost_waits_for_no_later_clone(self):
        # A clone that another host begins after the first look is none of
        # ours.
        first = self.clone_elsewhere('UUID-91')
        self.sim.faults.add(method='CloneVolume', drop=True, when='before')
        sleep = self.clock.sleep
        later = []

        def begin_another(seconds):
            if not later:
                self.sim.cluster.jobs.seconds = 10 ** 6
                later.append(self.clone_elsewhere('UUID-92'))
                self.sim.cluster.jobs.seconds = self.CLONE_SECONDS
            sleep(seconds)

        self.mock_object(self.clock, 'sleep', begin_another)
        volume = self.clone()
        self.sim.cluster.advance()
        self.assertEqual(
            ['active', 'init', 'active'],
            [self.sim.cluster.volumes[number].status for number in (
                first.volume.id, later[0].volume.id, volume.id)])

    def test_clone_whose_reply_and_leftover_are_lost(self):
        self.sim.faults.add(method='CloneVolume', drop=True, when='after')
        self.sim.faults.add(method='DeleteVolume', error='xNew', times=None)
        exc = self.assert_fails(errors.ReplyLost, self.clone)
        [note] = exc.__notes__
        self.assertIn('UUID-1', note)
        self.assertIn('xNew', note)
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))

    def test_clone_whose_reply_is_lost_while_clones_never_end(self):
        self.sim.cluster.jobs.seconds = 10 ** 6
        self.sim.faults.add(method='CloneVolume', drop=True, when='after')
        exc = self.assert_fails(errors.ReplyLost, self.clone)
        # It cannot be told whose the clone is, so it is named, and cloned
        # again by nobody.
        [note] = exc.__notes__
        self.assertIn('UUID-1', note)
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))
