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

"""What is printed of dictionaries with secrets."""

import json

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache.element import redaction

DATA = {'accounts': [{'targetSecret': 'hidden', 'initiatorSecret': 'hidden',
                      'username': 'shown'}],
        'endpoint': {'passwd': 'hidden', 'password': 'hidden', 'url': 'shown'},
        'clusterPairingKey': 'hidden', 'volumePairingKey': 'hidden'}


class RedactionTestCase(test.TestCase):

    def test_redact_hides_secrets_at_any_depth_when_printed(self):
        redacted = redaction.redact(DATA)
        for text in (repr(redacted), str(redacted), '%s' % ([redacted],)):
            self.assertNotIn('hidden', text)
            self.assertEqual(2, text.count('shown'))
            self.assertEqual(6, text.count("'***'"))

    def test_redact_keeps_the_data(self):
        for value in (DATA, None, 5, 'text', []):
            self.assertEqual(value, redaction.redact(value))
            self.assertEqual(json.dumps(value),
                             json.dumps(redaction.redact(value)))
