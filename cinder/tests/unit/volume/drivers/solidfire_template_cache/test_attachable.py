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

"""The stand-in for a Cinder volume while a template is being filled."""

import copy

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import attachable

CONNECTION = {'provider_location': '10.0.0.1:3260 iqn.x 0',
              'provider_auth': 'CHAP tenant secret',
              'provider_geometry': '4096 4096', 'provider_id': '5 1 u'}


class AttachableVolumeTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.volume = attachable.AttachableVolume(
            'OpenStackIMG-1', 'openstack-vtemplate', 2, CONNECTION)

    def test_members(self):
        self.assertEqual(dict(
            CONNECTION, id='OpenStackIMG-1', name='OpenStackIMG-1',
            project_id='openstack-vtemplate', size=2, multiattach=False,
            encryption_key_id=None, volume_type_id=None), self.volume)

    def test_members_without_geometry(self):
        connection = dict(CONNECTION)
        del connection['provider_geometry']
        volume = attachable.AttachableVolume('n', 'p', 1, connection)
        self.assertIsNone(volume.provider_geometry)

    def test_members_are_attributes_too(self):
        for key, value in self.volume.items():
            self.assertEqual(value, getattr(self.volume, key))

    def test_member_that_is_missing(self):
        self.assertRaises(AttributeError, getattr, self.volume, 'metadata')
        self.assertRaises(KeyError, self.volume.__getitem__, 'metadata')
        self.assertFalse(hasattr(self.volume, 'admin_metadata'))
        self.assertEqual('x', getattr(self.volume, 'metadata', 'x'))

    def test_update_and_save(self):
        # As Cinder's code does with what create_export returns.
        self.volume.update({'provider_auth': 'CHAP other secret'})
        self.assertIsNone(self.volume.save())
        self.assertEqual('CHAP other secret', self.volume['provider_auth'])
        self.assertEqual('CHAP other secret', self.volume.provider_auth)

    def test_connection_is_not_changed(self):
        before = copy.deepcopy(CONNECTION)
        self.volume['provider_id'] = '6'
        self.assertEqual(before, CONNECTION)

    def test_copy(self):
        for duplicate in (copy.copy(self.volume),
                          copy.deepcopy(self.volume)):
            self.assertEqual(self.volume, duplicate)
            self.assertEqual(2, duplicate.size)
