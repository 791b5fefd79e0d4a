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
"""Image signatures: what is configured, and the record on a volume."""

from unittest import mock

import ddt

from cinder.db import api as db_api
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.image import signatures


@ddt.ddt
class SignaturesTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.LogCapture())
        self.db = mock.Mock(
            spec_set=['volume_glance_metadata_bulk_create'])
        self.db.volume_glance_metadata_bulk_create = mock.create_autospec(
            db_api.volume_glance_metadata_bulk_create)
        self.context = fixtures.new_context()

    def record(self, verified):
        signatures.record(self.db, self.context, fake.VOLUME_ID, verified)

    @ddt.data(('disabled', False), ('enabled', True))
    @ddt.unpack
    def test_wanted(self, value, expected):
        self.override_config('verify_glance_signatures', value)
        self.assertIs(expected, signatures.wanted())

    # Bug 1823445: as the download records it.
    @ddt.data(True, False, None)
    def test_record(self, verified):
        self.override_config('verify_glance_signatures', 'disabled')
        self.record(verified)
        self.db.volume_glance_metadata_bulk_create.assert_not_called()
        self.override_config('verify_glance_signatures', 'enabled')
        self.record(verified)
        self.db.volume_glance_metadata_bulk_create.assert_called_once_with(
            self.context, fake.VOLUME_ID, {'signature_verified': verified})
        self.assertEqual([], self.log.warnings)

    def test_record_that_fails_is_logged(self):
        self.override_config('verify_glance_signatures', 'enabled')
        self.db.volume_glance_metadata_bulk_create.side_effect = OSError(
            'no database')
        self.record(True)
        self.log.assert_no_exception_appended()
        self.log.pop_warning(fake.VOLUME_ID, 'OSError: no database')
