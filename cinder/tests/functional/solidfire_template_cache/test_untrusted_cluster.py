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

"""A cluster whose replies are wrong, or whose templates were changed.

A request gets the data of its image or falls back with a warning; nothing
wrong is cached, no foreign volume is used or changed, and the cache works
again as soon as the cluster does.
"""

import copy

from oslo_utils import units

from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.functional.solidfire_template_cache import untrusted
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache.templates import model

READ_MEMBERS = frozenset((
    'account', 'accountID', 'username', 'targetSecret', 'initiatorSecret',
    'volume', 'volumes', '*', 'volumeID', 'name', 'status', 'access',
    'totalSize', 'iqn', 'attributes', 'qos', 'minIOPS', 'maxIOPS',
    'burstIOPS', 'asyncHandle', 'cloneID', 'syncJobs', 'type',
    'srcVolumeID', 'dstVolumeID', 'cloneJobsPerVolumeMax',
    'clusterCapacity', 'usedSpace', 'maxUsedSpace', 'volumeAccessGroups',
    'volumeAccessGroupID', 'initiators', model.ATTRIBUTE))
"""The members of replies that the driver reads."""


class WrongRepliesTestCase(scenario.ScenarioTestCase):
    """Each member of each reply to a hit of a process without a cache."""

    VALUES = (None, {}, -1, 2 ** 70, untrusted.ABSENT)
    EXCLUDED = ()

    def prepare(self):
        image = self.images.add(self.DATA)
        self.clone(image)
        self.forget(self.driver)
        return image

    def places(self):
        """Return the members of the replies: pairs of method and path."""
        replies = []
        image, volume = self.begin()
        with untrusted.altered_replies(lambda method, result: replies.append(
                (method, copy.deepcopy(result)))):
            result = self.clone(image, volume)
        self.check_success(volume, result)
        return list(dict.fromkeys(
            (method, path) for method, reply in replies
            for path in untrusted.paths_in(reply)
            if method not in self.EXCLUDED))

    def check_alteration(self, alteration):
        image, volume = self.begin()
        with untrusted.altered_replies(alteration.apply):
            result = self.clone(image, volume)
        if result[1]:
            self.assert_volume(volume, result[0], self.data)
        else:
            self.check_fallback(image, volume, result)
        for template in self.templates():
            if template.access == 'readOnly':
                self.assertEqual(model.name_for(image['id']), template.name)
                self.assertEqual(self.data, self.read_volume(
                    template.volume_id, len(self.data)))
        self.log.clear()
        # Something wrong may be cached in the first process.
        for driver in (self.driver, self.other_host()):
            self.assert_served(self.clone(image, driver=driver), self.data)
            self.run_housekeeping(driver)
        self.assertEqual([], self.leftovers(None if result[1] else volume))

    def test_clone_image_with_any_value_of_a_member_that_is_read(self):
        self.run_cases([
            (str(alteration), self.check_alteration, alteration)
            for method, path in self.places() if path[-1] in READ_MEMBERS
            for value in self.VALUES
            for alteration in [untrusted.Alteration(method, path, value)]])


class WrongRepliesOfAMissTestCase(WrongRepliesTestCase):

    DOWNLOADS = 1
    VALUES = (None, {}, '', -1, untrusted.ABSENT)
    # These are called by a hit, too.
    EXCLUDED = ('CloneVolume', 'GetAsyncResult', 'GetLimits', 'GetDefaultQoS',
                'ListVolumes')

    def prepare(self):
        return self.images.add(self.DATA)


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
    """Somebody changes a template."""

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
        vars(template).update(changes)
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
