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

"""Tests of what one request carries."""

import ddt
from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import eligibility
from cinder.volume.drivers.solidfire_template_cache.templates import request


@ddt.ddt
class RequestTestCase(test.TestCase):

    # How volume and configuration become arguments of eligibility.check.
    @ddt.data(({}, {'size': 3}, False, fake.PROJECT_ID, None, 3 * units.Gi),
              ({'name': 'x'}, {'size': 1, 'project_id': fake.PROJECT2_ID},
               True, fake.PROJECT2_ID, None, units.Gi),
              ({}, {'size': 1, 'encryption_key_id': fake.ENCRYPTION_KEY_ID},
               False, fake.PROJECT_ID, fake.ENCRYPTION_KEY_ID, units.Gi))
    @ddt.unpack
    def test_check(self, members, volume, disabled, project_id, key, size):
        # Bugs 1764125 and 1970115.
        self.override_config('image_conversion_disable', disabled)
        check = self.mock_object(eligibility, 'check', autospec=True)
        image_meta = fixtures.image_metadata(**members)
        self.assertIs(check.return_value, request.check(
            fixtures.new_volume(**volume), image_meta))
        check.assert_called_once_with(image_meta, project_id, key, size,
                                      disabled)

    # The image of the request as it is now, and the error.
    @ddt.data(({}, None), ({'updated_at': '2026-03-01T00:00:00Z'}, None),
              ({'visibility': 'private'}, 'public'),
              ({'status': 'deactivated'}, 'not active'),
              ({'virtual_size': units.Gi + 1}, 'does not fit'),
              ({'id': fake.OBJECT_ID}, 'another image'))
    @ddt.unpack
    def test_recheck(self, members, error):
        req = request.Request(fixtures.new_context(), fixtures.new_volume(),
                              fixtures.image(), None)
        image_meta = fixtures.image_metadata(**members)
        if error is None:
            self.assertEqual(fixtures.metadata.from_metadata(image_meta),
                             req.recheck(image_meta))
        else:
            self.assertIn(error, str(self.assertRaises(
                exceptions.TemplateCacheError, req.recheck, image_meta)))
