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

"""A cluster whose templates somebody changes.

A request gets the data of its image or falls back with a warning. Replies
that are wrong are among the tables of :mod:`fault_kinds`.
"""

import copy

from oslo_utils import units

from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache.templates import model

# What somebody does to a template: members of the volume, or, as 'record',
# those of its attribute.
CHANGES = {
    'writable': {'access': 'readWrite'}, 'locked': {'access': 'locked'},
    'extended': {'size': 2 * units.Gi}, 'shrunk': {'size': units.Gi // 2},
    'renamed': {'name': 'renamed'}, 'transferred': {'account_id': 'other'},
    'without attributes': {'attributes': {}},
    'with other attributes': {'attributes': {'a': 1}},
    'deleted': {'status': 'deleted'},
    'being filled': {'record': {'state': 'filling'}},
    'in an unknown state': {'record': {'state': 'x'}},
    'of a later schema': {'record': {'schema': 2}},
    'of another image': {'record': {'image_id': fake.OBJECT_ID}},
    'of little data': {'record': {'virtual_size': 1}},
    'of much data': {'record': {'virtual_size': 2 ** 62}},
    'older': {'record': {'image_updated_at': '2000-01-01T00:00:00+00:00'}},
    'newer': {'record': {'image_updated_at': '9000-01-01T00:00:00+00:00'}},
    'of another hash': {'record': {'image_hash': 'sha512:ab'}},
    'of no hash': {'record': {'image_hash': None}},
    'of invalid times': {'record': {'filled_at': 5, 'last_used': [],
                                    'filled_by': {}}}}

# After these, what the record says is valid, though it is not true.
CONSISTENT = ('extended', 'newer')


class ChangedTemplatesTestCase(scenario.ScenarioTestCase):

    DOWNLOADS = 1

    def prepare(self):
        return self.images.add(self.DATA)

    def check_changed(self, name, restarted):
        image, volume = self.begin()
        self.assert_served(self.clone(image), self.data)
        [template] = self.templates()
        changes = copy.deepcopy(CHANGES[name])
        template.attributes[model.ATTRIBUTE].update(changes.pop('record', ()))
        if 'account_id' in changes:
            changes['account_id'] = self.api(
                'AddAccount', username='other')['accountID']
        self.sim.cluster.volumes.change(template, changes)
        if restarted:
            self.forget(self.driver)
        result = self.clone(image, volume)
        if result[1]:
            self.assert_volume(volume, result[0], self.data)
        else:
            self.check_fallback(image, volume, result)
        if name not in CONSISTENT:
            other = self.other_host()
            self.run_housekeeping(other)
            self.log.clear()
            for _i in range(2):
                self.assert_served(self.clone(image, driver=other),
                                   self.data)

    def test_clone_image_whose_template_was_changed(self):
        self.run_cases([
            ('%s, restarted: %s' % (name, restarted), self.check_changed,
             name, restarted)
            for name in CHANGES for restarted in (False, True)])
