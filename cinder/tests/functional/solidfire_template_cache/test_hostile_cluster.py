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

"""A cluster on which others have a hand, and one whose answers are wrong.

Whatever is found there, a request gets the bytes of its image or goes the
normal way with a warning; nothing wrong is cached, nothing of others is
touched, and once the cluster is right again so is the cache.
"""

import copy

from oslo_utils import units

from cinder.tests.functional.solidfire_template_cache import hostile
from cinder.tests.functional.solidfire_template_cache import walk
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache import template as tpl

ACCOUNT = 'openstack-vtemplate'

READ = frozenset((
    'account', 'accountID', 'username', 'targetSecret', 'initiatorSecret',
    'volume', 'volumes', '*', 'volumeID', 'name', 'status', 'access',
    'totalSize', 'iqn', 'attributes', 'qos', 'minIOPS', 'maxIOPS',
    'burstIOPS', 'asyncHandle', 'cloneID', 'syncJobs', 'type',
    'srcVolumeID', 'dstVolumeID', 'cloneJobsPerVolumeMax',
    'clusterCapacity', 'usedSpace', 'maxUsedSpace', 'volumeAccessGroups',
    'volumeAccessGroupID', 'initiators', tpl.ATTRIBUTE))
"""Members of replies that the driver looks at; see the tests of others."""

VALUES = (None, {}, '', -1, True, 2 ** 70, hostile.ABSENT)


class LyingCluster(object):
    """Each member of each reply of a path is another than it ought to be.

    What the request has become is what counts: whole bytes, or a warning.
    """

    VALUES = VALUES

    def prepare(self):
        return self.images.add(self.DATA)

    def good_replies(self):
        """Return what is answered on the path: methods and results."""
        replies = {}

        def record(method, result):
            replies.setdefault(method, []).append(copy.deepcopy(result))

        image, volume = self.begin()
        with hostile.altered(record):
            result = self.clone(image, volume)
        self.check_success(volume, result)
        return replies

    def places(self):
        """Return the places in the good replies: (method, path)."""
        return list(dict.fromkeys(
            (method, path) for method, results in self.good_replies().items()
            for result in results for path in hostile.places_in(result)))

    def check_lie(self, lie):
        image, volume = self.begin()
        with hostile.altered(lie.tell):
            result = self.clone(image, volume)
        if lie.told:
            self.check_result(image, volume, result)
        self.check_cached(image)
        self.warnings.messages.clear()
        # The same process, which may have learned what is wrong.
        self.check_serves(image)
        self.driver = self.other_host()
        self.check_serves(image)
        self.driver.get_volume_stats(refresh=True)
        self.assertEqual([], self.debris(None if result[1] else volume))

    def check_result(self, image, volume, result):
        if result[1]:
            self.assert_volume(volume, result[0], self.data)
        else:
            self.check_fallback(image, volume, result)

    def check_cached(self, image):
        """Check that whatever may be cloned holds the image."""
        for template in self.templates():
            if template.access == 'readOnly':
                self.assertEqual('OpenStackIMG-' + image['id'],
                                 template.name)
                self.assertEqual(self.data, self.read_volume(
                    template.volume_id, len(self.data)))

    def check_serves(self, image):
        volume = self.new_volume(**self.VOLUME)
        model_update, cloned = self.clone(image, volume)
        self.assertTrue(cloned, self.warnings.messages)
        self.assert_volume(volume, model_update, self.data)

    def test_member_that_is_read_is_anything(self):
        self.run_cases([
            (str(lie), self.check_lie, lie)
            for method, path in self.places() if path[-1] in READ
            for value in self.VALUES
            for lie in [hostile.Lie(method, path, value)]])

    def test_members_that_are_not_read_count_for_nothing(self):
        # What is in a template's attributes is altered further below.
        idle = [(method, path) for method, path in self.places()
                if path[-1] not in READ and tpl.ATTRIBUTE not in path]
        self.assertNotEqual([], idle)
        for value in VALUES:
            lies = [hostile.Lie(method, path, value)
                    for method, path in reversed(idle)]

            def tell(method, result):
                for lie in lies:
                    lie.tell(method, result)

            image, volume = self.begin()
            with hostile.altered(tell):
                result = self.clone(image, volume)
            self.check_success(volume, result)


class LyingFillTestCase(LyingCluster, walk.Path):
    """The path on which a template is made."""

    VALUES = (None, {}, '', -1, hostile.ABSENT)

    def places(self):
        # The rest is on the other path too.
        return [place for place in super().places() if place[0] not in (
            'CloneVolume', 'GetAsyncResult', 'GetLimits', 'GetDefaultQoS',
            'ListVolumes')]


class LyingHitTestCase(LyingCluster, walk.Path):
    """The path of a process that has just started, to a template."""

    def prepare(self):
        image = super().prepare()
        self.clone(image)
        self.forget(self.driver)
        return image


GOOD = object()

# Attributes of volumes that others have made: what the mark of a template
# is, or the members in which it differs from a good one.
FOREIGN = (
    None, 'ready', 1, [], [GOOD], {}, {'schema': True}, {'schema': '1'},
    {'schema': 2}, {'schema': None}, {'schema': 1.5}, {'schema': [1]},
    {'state': 'READY'}, {'state': None}, {'state': ['ready']}, {'state': 1},
    {'image_id': fake.OBJECT_ID}, {'image_id': None}, {'image_id': ['x']},
    {'virtual_size': None}, {'virtual_size': -1}, {'virtual_size': 'x'},
    {'virtual_size': 0},
    {'image_updated_at': None}, {'image_updated_at': 'x'},
    {'image_updated_at': '0001-01-01T00:00:00+23:00'}, {'fill_id': None},
    {'fill_id': 5})

# What somebody does to a template of ours.
ALTERED = {
    'writable': {'access': 'readWrite'}, 'locked': {'access': 'locked'},
    'grown': {'size': 2 * units.Gi}, 'shrunk': {'size': units.Gi // 2},
    'renamed': {'name': 'renamed'}, 'taken over': {'account_id': 'other'},
    'emptied': {'attributes': {}}, 'unmarked': {'attributes': {'a': 1}},
    'deleted': {'status': 'deleted'},
    'unfinished': {'mark': {'state': 'filling'}},
    'of no state': {'mark': {'state': 'x'}},
    'of a later driver': {'mark': {'schema': 2}},
    'of another image': {'mark': {'image_id': fake.OBJECT_ID}},
    'of little data': {'mark': {'virtual_size': 1}},
    'of much data': {'mark': {'virtual_size': 2 ** 62}},
    'older': {'mark': {'image_updated_at': '2000-01-01T00:00:00+00:00'}},
    'newer': {'mark': {'image_updated_at': '9000-01-01T00:00:00+00:00'}},
    'of another hash': {'mark': {'image_hash': 'sha512:ab'}},
    'of no hash': {'mark': {'image_hash': None}},
    'of odd times': {'mark': {'filled_at': 5, 'last_used': [],
                              'filled_by': {}}},
}


class AlteredClusterTestCase(walk.Path):

    FOREIGN_DATA = b'not ours' * 600

    def prepare(self):
        return self.images.add(self.DATA)

    def add_volume(self, image, account_id, attributes):
        """Make the volume of somebody else, that looks like a template."""
        cluster = self.sim.cluster
        volume = cluster.add_volume(
            name='OpenStackIMG-' + image['id'], account_id=account_id,
            size=units.Gi, qos=dict(cluster.default_qos), access='readOnly',
            attributes=attributes)
        cluster.files.create('volume-%d' % volume.volume_id, volume.size)
        with open(cluster.volume_path(volume.volume_id), 'r+b') as data:
            data.write(self.FOREIGN_DATA)
        return volume

    def attributes_of(self, image, foreign):
        """Return what a good template has, or what differs from it."""
        self.clone(image)
        [template] = self.templates()
        attributes = template.attributes
        self.sim.cluster.forget_volume(template.volume_id)
        self.forget(self.driver)
        good = attributes[tpl.ATTRIBUTE]
        if isinstance(foreign, list):
            foreign = [good for _item in foreign]
        elif isinstance(foreign, dict):
            foreign = dict(good, **foreign) if foreign else {}
        return {tpl.ATTRIBUTE: foreign}

    def assert_untouched(self, volume, before):
        self.assertEqual(before, vars(volume))
        self.assertIs(volume, self.sim.cluster.volumes.get(volume.volume_id))
        self.assertEqual(self.FOREIGN_DATA, self.read_volume(
            volume.volume_id, len(self.FOREIGN_DATA)))

    def assert_serves(self, image):
        volume = self.new_volume(**self.VOLUME)
        model_update, cloned = self.clone(image, volume)
        self.assertTrue(cloned, self.warnings.messages)
        self.assert_volume(volume, model_update, self.DATA)

    # What others have made

    def check_foreign(self, foreign, owner=ACCOUNT):
        image, _volume = self.begin()
        attributes = self.attributes_of(image, foreign)
        volume = self.add_volume(image, self.account_id(owner), attributes)
        before = copy.deepcopy(vars(volume))
        for _i in range(2):
            self.assert_serves(image)
            self.assertEqual([], self.warnings.messages)
        self.driver.get_volume_stats(refresh=True)
        told = ' '.join(self.warnings.messages)
        self.assertEqual(owner == ACCOUNT, str(volume.volume_id) in told,
                         told)
        self.warnings.messages.clear()
        self.forget(self.driver)
        self.assert_serves(image)
        self.assert_untouched(volume, before)

    def test_volume_of_others_named_as_a_template(self):
        self.run_cases([('%.60r' % (foreign,), self.check_foreign, foreign)
                        for foreign in FOREIGN])

    def test_volume_of_others_in_another_account(self):
        self.run_cases([
            ('good', self.check_foreign, {'state': 'ready'}, fake.PROJECT_ID),
            ('bad', self.check_foreign, None, fake.PROJECT_ID)])

    def test_template_account_of_others(self):
        image, volume = self.begin()
        client = self.driver._template_parts().client
        client.add_account(ACCOUNT, 'SECRETBYHAND')
        self.check_success(volume, self.clone(image, volume))
        owner = self.sim.cluster.accounts[self.account_id(ACCOUNT)]
        self.assertEqual('SECRETBYHAND', owner.target_secret)
        self.check_next_requests(image)

    # What others have done to ours

    def alter(self, template, changes):
        changes = copy.deepcopy(changes)
        template.attributes[tpl.ATTRIBUTE].update(changes.pop('mark', {}))
        if changes.get('account_id'):
            client = self.driver._template_parts().client
            client.add_account('other', 'OTHERSSECRET')
            changes['account_id'] = self.account_id('other')
        vars(template).update(changes)

    def check_altered(self, changes, restarted):
        image, volume = self.begin()
        self.assert_serves(image)
        [template] = self.templates()
        self.alter(template, changes)
        if restarted:
            self.forget(self.driver)
        result = self.clone(image, volume)
        if result[1]:
            self.assert_volume(volume, result[0], self.DATA)
        else:
            self.check_fallback(image, volume, result)
        # What claims to be newer is believed, and what was made larger still
        # serves larger volumes.
        if changes not in (ALTERED['newer'], ALTERED['grown']):
            self.warnings.messages.clear()
            self.driver = self.other_host()
            self.driver.get_volume_stats(refresh=True)
            self.assert_serves(image)
            self.assert_serves(image)

    def test_template_of_ours_is_altered(self):
        self.run_cases([
            ('%s, %s' % (name, 'restarted' if restarted else 'known'),
             self.check_altered, changes, restarted)
            for name, changes in ALTERED.items()
            for restarted in (False, True)])

    # What the cluster makes of a clone

    def check_other_clone(self, **members):
        """Let the reply tell of a volume that is not the one asked for."""
        image, volume = self.begin()
        self.assert_serves(image)
        [template] = self.templates()
        foreign = self.add_volume(image, self.account_id(), {})
        before = copy.deepcopy(vars(foreign))
        ids = {'template': template.volume_id, 'foreign': foreign.volume_id}

        def tell(method, result):
            if method != 'CloneVolume':
                return
            result['volume'].update(members)
            if 'volumeID' in members:
                result['volumeID'] = ids[members['volumeID']]
                result['volume']['volumeID'] = result['volumeID']

        with hostile.altered(tell):
            result = self.clone(image, volume)
        self.check_fallback(image, volume, result)
        self.assert_untouched(foreign, before)
        self.assertIs(template,
                      self.sim.cluster.volumes.get(template.volume_id))
        self.assert_serves(image)

    def test_clone_is_not_the_one_asked_for(self):
        self.run_cases([
            (str(members), lambda members=members: self.check_other_clone(
                **members))
            for other in ({'name': 'UUID-' + fake.VOLUME_ID},
                          {'accountID': 1}, {'totalSize': units.Gi // 2},
                          {'totalSize': units.Ti}, {})
            for whose in (None, 'template', 'foreign')
            for members in [dict(other, volumeID=whose) if whose else other]
            if members])
