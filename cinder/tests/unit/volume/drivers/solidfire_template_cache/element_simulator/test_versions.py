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

"""Tests of the order of API versions."""

from cinder.tests.element_simulator import versions
from cinder.tests.unit import test


class VersionsTestCase(test.TestCase):

    def test_known_is_in_order(self):
        self.assertEqual(sorted(versions.KNOWN, key=versions.key),
                         list(versions.KNOWN))

    def test_supported(self):
        supported = versions.supported('10.0')
        self.assertEqual('10.0', supported[-1])
        self.assertIn('9.6', supported)
        self.assertNotIn('10.1', supported)
