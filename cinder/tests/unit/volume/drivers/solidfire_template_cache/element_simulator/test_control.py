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

"""Tests of the control of the simulator over HTTP."""

import os

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class ControlTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.start_simulator(clone_polls=1)

    def control(self, verb, path, status=200, body=None):
        reply = self.request(f'sim/{path}', body, verb)
        self.assertEqual(status, reply.status_code, reply.text)
        return reply.json()

    def test_control_refused(self):
        for verb, path, status in (
                ('GET', 'volumes/99/path', 404),
                ('GET', 'volumes/x/path', 404), ('GET', 'nothing', 404),
                ('GET', 'faults/1', 404), ('GET', '', 404),
                ('POST', 'state', 405), ('PUT', 'faults', 405),
                ('POST', 'calls', 405)):
            self.assertIn('error', self.control(verb, path, status))
        self.session.auth = ('admin', 'wrong')
        for path in 'faults', 'calls', 'state', 'volumes/1/path':
            self.assertEqual(401, self.request(f'sim/{path}', None,
                                               'GET').status_code)

    def test_faults(self):
        self.assertEqual([], self.control('GET', 'faults')['rules'])
        self.control('POST', 'faults', body=[
            {'error': 'xA'}, {'method': 'Nope', 'drop': True}])
        # The request for the rules is not an API call.
        self.assertEqual('xA', self.error('GetLimits'))
        first, second = self.control('GET', 'faults')['rules']
        self.assertEqual(
            ('xA', 1, 1, True, 0, 0),
            (first['error'], first['seen'], first['hits'], second['drop'],
             second['seen'], second['hits']))
        # A listed rule is accepted again.
        self.control('POST', 'faults', body=first)
        self.assertEqual(3, len(self.sim.faults.list()))
        self.control('DELETE', 'faults')
        for body in ('{', '3', '{"colour": "red"}', '{"when": "never"}',
                     '[{"error": "xA"}, {"colour": "red"}]'):
            reply = self.control('POST', 'faults', 400, body)
            self.assertIn('not a rule', reply['error'])
        self.assertEqual([], self.sim.faults.list())

    def test_calls(self):
        self.result('GetLimits')
        self.result('AddAccount', username='a', targetSecret='t' * 12)
        counts = {'counts': {'GetLimits': 1, 'AddAccount': 1}, 'total': 2,
                  'connections': 1, 'bytesIn': self.sim.calls.bytes_in,
                  'bytesOut': self.sim.calls.bytes_out}
        self.assertEqual(counts, self.control('GET', 'calls'))
        calls = self.control('GET', 'calls?full=1')['calls']
        self.assertEqual(
            [('GetLimits', {}),
             ('AddAccount', {'username': 'a', 'targetSecret': '***'})],
            [(call['method'], call['params']) for call in calls])
        self.assertEqual(0, self.control('DELETE', 'calls')['total'])
        self.assertEqual(0, self.sim.calls.count())

    def test_settings(self):
        given = {'clone_seconds': 2.5, 'clone_limit_behavior': 'queue',
                 'nodes': 3, 'hide_nodes': True, 'placement': 'random',
                 'limits': {'volumeCountMax': 9000}}
        before = self.control('GET', 'settings')
        self.assertEqual(set(given), set(before))
        after = self.control('POST', 'settings', body=given)
        self.assertEqual(
            {**given, 'limits': {**before['limits'], **given['limits']}},
            after)
        for body in ('3', '{', '{"colour": 1}', '{"nodes": 0}',
                     '{"clone_seconds": -1}', '{"placement": "far"}',
                     '{"nodes": 1, "clone_limit_behavior": "wait"}'):
            reply = self.control('POST', 'settings', 400, body)
            self.assertIn('not settings', reply['error'])
        self.assertEqual(after, self.control('GET', 'settings'))

    def test_contents(self):
        self.sim.cluster.limits['volumeCountMax'] = 3
        reply = self.control('POST', 'volumes',
                             body={'count': 7, 'accounts': 2})
        self.assertEqual(7, reply['volumes'])
        self.assertEqual([4, 3], [
            len(self.result('ListVolumesForAccount',
                            accountID=number)['volumes'])
            for number in (1, 2)])
        self.assertEqual('xExceededLimit', self.error(
            'CreateVolume', name='v', accountID=1, totalSize=10 ** 9))
        for body in '{', '{}', '3', '{"count": "many"}':
            self.control('POST', 'volumes', 400, body)
        state = self.control('DELETE', 'state')
        self.assertEqual(([], []), (state['volumes'], state['accounts']))
        self.assertEqual([], os.listdir(self.sim.cluster.files.directory))

    def test_state(self):
        volume_id = self.make_volume()
        self.result('CreateSnapshot', volumeID=volume_id, name='s')
        self.result('CreateVolumeAccessGroup', name='g')
        clone = self.result('CloneVolume', volumeID=volume_id, name='c')
        state = self.control('GET', 'state')
        self.assertNotIn('Secret', str(state))
        self.assertEqual('tenant', state['accounts'][0]['username'])
        self.assertEqual(
            (['v', 'c'], ['s'], ['g']),
            tuple([each['name'] for each in state[kind]] for kind in
                  ('volumes', 'snapshots', 'volumeAccessGroups')))
        self.assertEqual(
            ('stage1Happy', [{
                'asyncHandle': clone['asyncHandle'], 'srcVolumeID': volume_id,
                'cloneID': clone['cloneID'],
                'dstVolumeID': clone['volumeID']}]),
            (state['fullness'], state['runningClones']))
        self.assertEqual({'path': self.sim.cluster.volume_path(volume_id)},
                         self.control('GET', f'volumes/{volume_id}/path'))
