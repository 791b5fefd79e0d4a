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

"""Tests of control over HTTP."""

import ddt

from cinder.tests.element_simulator import faults
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class ControlTestCase(base.ServerTestCase):

    def setUp(self):
        super().setUp()
        self.start_simulator(clone_polls=1)

    def sim_request(self, verb, path, status=200, **arguments):
        reply = self.session.request(verb, f'{self.sim.url}/sim/{path}',
                                     timeout=60, **arguments)
        self.assertEqual(status, reply.status_code, reply.text)
        return reply.json()

    @ddt.data('faults', 'calls', 'state', 'volumes/1/path')
    def test_control_needs_credentials(self, path):
        self.session.auth = ('admin', 'wrong')
        reply = self.session.get(f'{self.sim.url}/sim/{path}', timeout=60)
        self.assertEqual(401, reply.status_code)

    @ddt.data(
        {'method': 'GetLimits', 'error': 'xDBClosing', 'message': 'm'},
        {'method': 'GetLimits', 'error': 'xDBClosing', 'skip': 1,
         'times': None, 'when': 'after'},
        {'http_status': 503, 'body': 'away', 'times': 2},
        {'match': {'a.b': 1}, 'error': 'xDBClosing'})
    def test_faults_equal_those_in_process(self, members):
        def run():
            return [self.post({'method': 'GetLimits',
                               'params': {'a': {'b': 1}}}).text
                    for _ in range(4)]

        self.sim.faults.add(faults.Rule(**members))
        in_process = run()
        self.sim.faults.clear()
        self.sim_request('POST', 'faults', json=members)
        self.assertEqual(in_process, run())
        self.assertNotEqual(1, len(set(in_process)))

    def test_faults_list_and_clear(self):
        self.assertEqual([], self.sim_request('GET', 'faults')['rules'])
        self.sim_request('POST', 'faults', json=[
            {'error': 'xA'}, {'method': 'Nope', 'drop': True}])
        self.call('GetLimits')
        first, second = self.sim_request('GET', 'faults')['rules']
        self.assertEqual(('xA', 1, 1), (first['error'], first['seen'],
                                        first['hits']))
        self.assertEqual((True, 0), (second['drop'], second['hits']))
        # What was listed can be sent back.
        self.sim_request('POST', 'faults', json=[first])
        self.assertEqual(3, len(self.sim.faults.list()))
        self.sim_request('DELETE', 'faults')
        self.assertEqual([], self.sim.faults.list())

    @ddt.data('{', '3', '{"colour": "red"}', '{"when": "never"}',
              '[{"error": "xA"}, {"colour": "red"}]')
    def test_faults_malformed(self, body):
        answer = self.sim_request('POST', 'faults', 400, data=body)
        self.assertIn('not a rule', answer['error'])
        self.assertEqual([], self.sim.faults.list())

    def test_calls(self):
        self.result('GetLimits')
        self.result('GetLimits')
        self.result('AddAccount', username='a', targetSecret='t' * 12)
        calls = self.sim_request('GET', 'calls')
        self.assertEqual({'GetLimits': 2, 'AddAccount': 1}, calls['counts'])
        self.assertEqual(
            (3, 1, self.sim.calls.bytes_in, self.sim.calls.bytes_out),
            (calls['total'], calls['connections'], calls['bytesIn'],
             calls['bytesOut']))
        self.assertNotIn('calls', calls)
        full = self.sim_request('GET', 'calls?full=1')['calls']
        self.assertEqual(['GetLimits', 'GetLimits', 'AddAccount'],
                         [call['method'] for call in full])
        self.assertEqual({'username': 'a', 'targetSecret': '***'},
                         full[2]['params'])
        self.assertEqual(0, self.sim_request('DELETE', 'calls')['total'])
        self.assertEqual(0, self.sim.calls.count())

    def test_state(self):
        volume_id = self.make_volume()
        self.result('CreateSnapshot', volumeID=volume_id, name='s')
        self.result('CreateVolumeAccessGroup', name='g')
        clone = self.result('CloneVolume', volumeID=volume_id, name='c')
        state = self.sim_request('GET', 'state')
        self.assertEqual(['tenant'], [account['username'] for account in
                                      state['accounts']])
        self.assertNotIn('Secret', str(state))
        self.assertEqual([('v', 'active'), ('c', 'init')],
                         [(volume['name'], volume['status'])
                          for volume in state['volumes']])
        self.assertEqual(
            [{'asyncHandle': clone['asyncHandle'],
              'cloneID': clone['cloneID'], 'srcVolumeID': volume_id,
              'dstVolumeID': clone['volumeID']}], state['runningClones'])
        self.assertEqual((1, 1, 'stage1Happy'),
                         (len(state['snapshots']),
                          len(state['volumeAccessGroups']),
                          state['fullness']))

    def test_volume_path(self):
        volume_id = self.make_volume()
        answer = self.sim_request('GET', f'volumes/{volume_id}/path')
        self.assertEqual(self.sim.cluster.volume_path(volume_id),
                         answer['path'])

    @ddt.data('volumes/99/path', 'volumes/x/path', 'nothing', 'faults/1', '')
    def test_path_unknown(self, path):
        self.assertIn('error', self.sim_request('GET', path, 404))

    @ddt.data(('POST', 'state'), ('PUT', 'faults'), ('POST', 'calls'))
    @ddt.unpack
    def test_verb_unknown(self, verb, path):
        self.assertIn('error', self.sim_request(verb, path, 405))

    def test_control_is_no_api_call(self):
        self.sim.faults.add(error='xA')
        self.sim_request('GET', 'state')
        self.assertEqual(0, self.sim.calls.count())
        self.assertEqual('xA', self.error('GetLimits'))
