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

"""Tests of the method table, the API versions and parameter checks."""

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import versions
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class ApiTestCase(base.ClusterTestCase):

    def test_call_unknown_method_and_of_later_version(self):
        error = self.assert_refused('xUnknownAPIMethod', 'MakeCoffee')
        self.assertIn('method=MakeCoffee', error.message)
        # As text, 10.0 would be before 8.0.
        for method, before, since in (
                ('ListVolumes', '7.4', '8.0'), ('ListVolumes', '7.4', '10.0'),
                ('ListVolumeAccessGroups', '4.0', '5.0'),
                ('ListSnapshots', '5.1', '6.0'),
                ('ListGroupSnapshots', '6.0', '7.0'),
                ('ListAsyncResults', '8.7', '9.0')):
            self.assert_refused('xUnknownAPIMethod', method, version=before)
            self.call(method, version=since)
            self.assertNotIn(method, api.names(before))
            self.assertIn(method, api.names(since))
        self.assertEqual(sorted(versions.KNOWN, key=versions.key),
                         list(versions.KNOWN))
        self.assertEqual(['9.6', '10.0'], versions.supported('10.0')[-2:])

    def test_call_missing_parameter(self):
        for params in {}, {'username': None}:
            error = self.assert_refused('xMissingParameter', 'AddAccount',
                                        **params)
            self.assertEqual('Missing member=[username]', error.message)
        for params in ([1], 'x', 3):
            self.assertRaisesRegex(
                Exception, 'xInvalidAPIParameter', api.call, self.cluster,
                'ListAccounts', params)
        self.assertEqual({'accounts': []},
                         api.call(self.cluster, 'ListAccounts').result)

    def test_call_unused_parameter(self):
        reply = api.call(self.cluster, 'AddAccount',
                         {'username': 'a', 'UserName': 'b', 'bogus': [1]})
        self.assertEqual('a', reply.result['account']['username'])
        self.assertEqual({'UserName': 'b', 'bogus': [1]}, reply.unused)
        # A parameter that was added in a later version than its method.
        volume_id = self.make_volume(attributes={'a': 1})
        reply = api.call(self.cluster, 'CloneVolume',
                         {'volumeID': volume_id, 'name': 'c',
                          'attributes': {'b': 2}}, version='5.1')
        self.assertEqual({'attributes': {'b': 2}}, reply.unused)
        self.assertEqual({'a': 1}, reply.result['volume']['attributes'])

    def test_call_parameter_types(self):
        for start in '3', 3, 3.0, ' 3 ':
            self.call('ListVolumes', startVolumeID=start, limit=1)
        volume_id = self.make_volume(size=str(17592186044416))
        self.assertEqual(17592186044416,
                         self.cluster.volumes[volume_id].size)
        for given, expected in ((True, True), ('true', True),
                                ('False', False), (False, False)):
            volume_id = self.make_volume(enable512e=given)
            self.assertIs(expected,
                          self.cluster.volumes[volume_id].enable_512e)
        volume = {'name': 'v', 'accountID': 1, 'totalSize': base.GIB}
        self.assert_calls(
            *(('ListVolumes', {'startVolumeID': start},
               'xInvalidParameterType')
              for start in ('three', '3.5', 3.5, True, [3], {}, 1e999)),
            *(('CreateVolume', {**volume, 'enable512e': given},
               'xInvalidParameterType') for given in ('yes', 1, 0.0, [])),
            ('AddAccount', {'username': 7}, 'xInvalidParameterType'),
            ('ListVolumes', {'volumeIDs': 7}, 'xInvalidParameterType'),
            ('ListVolumes', {'volumeIDs': ['x']}, 'xInvalidParameterType'),
            ('ListVolumes', {'volumeStatus': 'happy'},
             'xUnrecognizedEnumString'))
