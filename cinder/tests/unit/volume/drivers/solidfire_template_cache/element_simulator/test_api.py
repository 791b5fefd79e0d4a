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

"""Tests of finding methods and checking parameters."""

import ddt

from cinder.tests.element_simulator import api
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class ApiTestCase(base.ClusterTestCase):

    def test_call_unknown_method(self):
        error = self.refused('xUnknownAPIMethod', 'MakeCoffee')
        self.assertIn('method=MakeCoffee', error.message)

    @ddt.data(('ListVolumes', '7.4', '8.0', {}),
              ('ListVolumeAccessGroups', '4.0', '5.0', {}),
              ('ListSnapshots', '5.1', '6.0', {}),
              ('ListGroupSnapshots', '6.0', '7.0', {}),
              ('ListAsyncResults', '8.7', '9.0', {}))
    @ddt.unpack
    def test_call_method_since(self, method, before, since, params):
        self.refused('xUnknownAPIMethod', method, version=before, **params)
        self.call(method, version=since, **params)

    def test_call_version_order_is_numeric(self):
        # As text, 10.0 would come before 8.0.
        self.call('ListVolumes', version='10.0')

    def test_call_missing_parameter(self):
        error = self.refused('xMissingParameter', 'AddAccount')
        self.assertEqual('Missing member=[username]', error.message)

    def test_call_null_is_missing(self):
        self.refused('xMissingParameter', 'AddAccount', username=None)

    def test_call_params_not_an_object(self):
        for params in ([1], 'x', 3):
            self.assertRaisesRegex(
                Exception, 'xInvalidAPIParameter', api.call, self.cluster,
                'ListAccounts', params)

    def test_call_params_left_out(self):
        self.assertEqual({'accounts': []},
                         api.call(self.cluster, 'ListAccounts').result)

    def test_call_unknown_parameter_is_ignored_and_told(self):
        reply = api.call(self.cluster, 'AddAccount',
                         {'username': 'a', 'UserName': 'b', 'bogus': [1]})
        self.assertEqual('a', reply.result['account']['username'])
        self.assertEqual({'UserName': 'b', 'bogus': [1]}, reply.unused)

    def test_call_parameter_unknown_to_old_version(self):
        volume_id = self.make_volume(attributes={'a': 1})
        reply = api.call(self.cluster, 'CloneVolume',
                         {'volumeID': volume_id, 'name': 'c',
                          'attributes': {'b': 2}}, version='5.1')
        self.assertEqual({'attributes': {'b': 2}}, reply.unused)
        self.assertEqual({'a': 1}, reply.result['volume']['attributes'])

    @ddt.data('3', 3, 3.0, ' 3 ')
    def test_call_integer_forms(self, start):
        self.call('ListVolumes', startVolumeID=start, limit=1)

    @ddt.data('three', '3.5', 3.5, True, [3], {}, float('inf'))
    def test_call_integer_wrong(self, start):
        self.refused('xInvalidParameterType', 'ListVolumes',
                     startVolumeID=start)

    def test_call_large_integer_as_string(self):
        volume_id = self.make_volume(size=str(17592186044416))
        self.assertEqual(17592186044416,
                         self.cluster.volumes[volume_id].size)

    @ddt.data((True, True), ('true', True), ('False', False), (False, False))
    @ddt.unpack
    def test_call_boolean_forms(self, given, expected):
        volume_id = self.make_volume(enable512e=given)
        self.assertIs(expected, self.cluster.volumes[volume_id].enable_512e)

    @ddt.data('yes', 1, 0.0, [])
    def test_call_boolean_wrong(self, given):
        self.make_account()
        self.refused('xInvalidParameterType', 'CreateVolume', name='v',
                     accountID=1, totalSize=base.GIB, enable512e=given)

    def test_call_string_wrong(self):
        self.refused('xInvalidParameterType', 'AddAccount', username=7)

    def test_call_list_wrong(self):
        self.refused('xInvalidParameterType', 'ListVolumes', volumeIDs=7)
        self.refused('xInvalidParameterType', 'ListVolumes',
                     volumeIDs=['x'])

    def test_call_unknown_word(self):
        self.refused('xUnrecognizedEnumString', 'ListVolumes',
                     volumeStatus='happy')

    def test_names_of_version(self):
        self.assertNotIn('ListVolumes', api.names('7.4'))
        self.assertIn('ListVolumes', api.names('8.0'))
