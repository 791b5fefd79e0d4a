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

"""Who may have a template of which image, and that nobody gets into one.

The tables are products: of what an image says of its owner and of who may
see it, with who asks, and with how that changes between fill and use.
"""

import itertools
import json
import os

from cinder import context
from cinder.tests.functional.solidfire_template_cache import hostile
from cinder.tests.functional.solidfire_template_cache import walk
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache import template as tpl

ACCOUNT = 'openstack-vtemplate'

OURS, THEIRS = fake.PROJECT_ID, fake.PROJECT2_ID

# What an image says of who may see it, and who then may have its data in
# common: everybody, or the project alone that owns it.
ALL, OWNER = 'everybody', 'its owner'
SIGHTS = (
    ({'visibility': 'public'}, ALL), ({'visibility': 'community'}, ALL),
    ({'visibility': 'shared'}, OWNER), ({'visibility': 'private'}, OWNER),
    ({'visibility': None, 'is_public': True}, ALL),
    ({'visibility': None, 'is_public': False}, OWNER),
    ({'visibility': None, 'is_public': 'true'}, OWNER),
    ({'visibility': None, 'is_public': 1}, OWNER),
    ({'visibility': 'private', 'is_public': True}, OWNER),
    ({'visibility': 'PUBLIC'}, OWNER), ({'visibility': ['public']}, OWNER),
    ({'visibility': True}, OWNER))

OWNERS = (OURS, THEIRS, OURS + ' ', OURS.upper(), None, '', 5, [OURS], True,
          hostile.ABSENT)

# The project of the volume, and of an administrator who asks for another.
REQUESTERS = ((OURS, None), (THEIRS, None), (OURS, THEIRS), (THEIRS, OURS))


class TenantsTestCase(walk.Path):

    DATA = b'bootable' * 600

    def setUp(self):
        super().setUp()
        self.attached = self._spy('initialize_connection')

    def _spy(self, method):
        driver_class = type(self.driver)
        return self.mock_object(driver_class, method, autospec=True,
                                side_effect=getattr(driver_class, method))

    def prepare(self):
        return self.images.add(self.DATA, owner=OURS)

    def ask(self, image, project, admin_of=None):
        """Request a volume for a project; return it and what came out."""
        volume = self.new_volume(project_id=project)
        user = context.RequestContext(
            fake.USER_ID, admin_of or project, is_admin=bool(admin_of))
        return volume, self.driver.clone_image(
            user, volume, (None, None), image, self.images)

    def show(self, image, sight, owner):
        """Let an image say so from now on; return it as Cinder gets it."""
        metadata = self.images.images[image['id']][0]
        for name in ('visibility', 'is_public', 'owner'):
            metadata.pop(name, None)
        if owner is not hostile.ABSENT:
            metadata['owner'] = owner
        return self.images.touch(image['id'], **sight)

    # What must be so

    def assert_theirs(self, volume, model_update):
        """Check that a volume is its tenant's own, with its own secret."""
        self.assert_volume(volume, model_update, self.DATA)
        cluster = self.sim.cluster
        owner = cluster.accounts[self.account_id(volume.project_id)]
        kind, name, secret = model_update['provider_auth'].split()
        self.assertEqual(('CHAP', volume.project_id, owner.target_secret),
                         (kind, name, secret))
        self.assertNotEqual(self.template_secret(), secret)
        self.assertNotIn(self.template_secret(), str(model_update))
        # No trace of the tenant for whom the image was brought.
        made = self.only_volume(volume)
        self.assertEqual(volume.id, made.attributes['uuid'])
        self.assertNotIn(tpl.ATTRIBUTE, made.attributes)

    def template_secret(self):
        owner = self.sim.cluster.accounts[self.account_id(ACCOUNT)]
        self.assertEqual(owner.target_secret, owner.initiator_secret)
        return owner.target_secret

    def assert_denied(self, outcome):
        self.assertEqual((None, False), outcome)
        self.assertEqual([], self.sim.calls.methods)
        self.assertEqual([], self.warnings.messages)

    # Who may

    def check_first(self, sight, allowed, owner, project, admin_of):
        image, _volume = self.begin()
        image = self.show(image, sight, owner)
        volume, outcome = self.ask(image, project, admin_of)
        if allowed == ALL or owner == project:
            self.assert_theirs(volume, outcome[0])
            self.assertEqual(1, len(self.templates()))
        else:
            self.assert_denied(outcome)
            self.assertEqual({}, self.sim.cluster.volumes)
            self.assertEqual([], self.images.downloads)

    def test_clone_image_makes_a_template(self):
        self.run_cases([
            ('%s, of %.40r, for %s as %s' % (sight, owner, project, admin_of),
             self.check_first, sight, allowed, owner, project, admin_of)
            for sight, allowed in SIGHTS for owner in OWNERS
            for project, admin_of in REQUESTERS[:2] + (
                REQUESTERS[2:] if owner == OURS else ())])

    def check_use(self, image, sight, allowed, owner, project, admin_of):
        """Let an image change that has a template, and be asked for."""
        image = self.show(image, sight, owner)
        self.sim.reset_calls()
        before = [volume.volume_id for volume in self.templates()]
        volume, outcome = self.ask(image, project, admin_of)
        if allowed == ALL or owner == project:
            self.assert_theirs(volume, outcome[0])
        else:
            self.assert_denied(outcome)
        self.assertEqual(before, [each.volume_id
                                  for each in self.templates()])
        self.assertEqual(1, len(self.images.downloads))

    def test_clone_image_uses_a_template_of_an_image_that_changes(self):
        image, _volume = self.begin()
        self.assertTrue(self.ask(image, OURS)[1][1])
        self.run_cases([
            ('%s, of %s, for %s as %s' % (sight, owner, project, admin_of),
             self.check_use, image, sight, allowed, owner, project, admin_of)
            for (sight, allowed), owner, (project, admin_of)
            in itertools.product(SIGHTS, (OURS, THEIRS, None), REQUESTERS)])
        self.assert_attached_to_fill(1)

    def check_revoked(self, sight, owner, stale):
        """Let the image be taken back while it is downloaded."""
        image, _volume = self.begin()
        image = self.show(image, {'visibility': 'public'}, THEIRS)

        def take_back(_image_id):
            self.images.on_download = lambda _image_id: None
            self.show(image, sight, owner)

        if stale:
            # Before: what Cinder knew when it called the driver is old.
            take_back(None)
        else:
            self.images.on_download = take_back
        volume, outcome = self.ask(image, OURS)
        self.images.on_download = lambda _image_id: None
        warning = self.check_fallback(image, volume, outcome)
        self.assertIn('neither public nor community', warning)
        self.assertEqual([], self.templates())
        self.assertEqual(0 if stale else 1, len(self.images.downloads))

    def test_clone_image_of_image_taken_back_meanwhile(self):
        self.run_cases([
            ('%s, of %s, %s' % (sight, owner,
                                'before' if stale else 'downloading'),
             self.check_revoked, sight, owner, stale)
            for sight, allowed in SIGHTS if allowed == OWNER
            for owner in (THEIRS, None) for stale in (True, False)])

    def test_clone_image_with_membership_given_and_taken(self):
        # Members of a shared image never share its template.
        image, _volume = self.begin()
        image = self.show(image, {'visibility': 'shared'}, THEIRS)
        volume, outcome = self.ask(image, THEIRS)
        self.assert_theirs(volume, outcome[0])
        for members in ([OURS], []):
            self.images.touch(image['id'], members=members)
            self.sim.reset_calls()
            self.assert_denied(self.ask(
                self.images.show(None, image['id']), OURS)[1])

    # Nobody gets into a template

    def assert_attached_to_fill(self, fills):
        """Check that a template was attached once, and to this host."""
        names = [call.args[1]['name'] for call
                 in self.attached.call_args_list]
        self.assertEqual(fills, len([name for name in names if
                                     name.startswith(tpl.NAME_PREFIX)]))
        cluster = self.sim.cluster
        templates = self.templates()
        for template in templates:
            self.assertEqual('readOnly', template.access)
            self.assertEqual([], cluster.groups_of(template.volume_id))
            self.assertEqual(self.account_id(ACCOUNT), template.account_id)
        for volume in self.tenant_volumes():
            self.assertNotEqual(self.account_id(ACCOUNT), volume.account_id)
        return templates

    def check_life(self):
        """Fill, hit, tag, refill and restart, for two tenants."""
        self.attached.reset_mock()
        image, _volume = self.begin()
        for change in (None, {}, {'name': 'tagged'}, 'refill', None):
            if change == 'refill':
                image = self.images.replace(image['id'], self.DATA)
                image = self.images.touch(image['id'], os_hash_value='ab')
            elif change is not None:
                image = self.images.touch(image['id'], **change)
            for project in (OURS, THEIRS):
                volume, outcome = self.ask(image, project)
                self.assert_theirs(volume, outcome[0])
                self.attach_and_detach(volume, outcome[0])
            self.forget(self.driver)
            self.driver.get_volume_stats(refresh=True)
        self.assertEqual([], self.warnings.messages)
        self.assertEqual(1, len(self.assert_attached_to_fill(2)))

    def attach_and_detach(self, volume, model_update):
        """Let a tenant use the volume, as the stock driver lets it."""
        volume.update(model_update)
        connector = {'initiator': 'iqn.2026-01.org.example:' + volume.id,
                     'host': 'compute', 'ip': '127.0.0.1',
                     'multipath': False}
        connection = self.driver.initialize_connection(volume, connector)
        self.assertNotIn(self.template_secret(), str(connection))
        self.driver.terminate_connection(volume, connector, force=False)

    def test_template_is_attached_to_nobody(self):
        self.check_life()

    def test_template_is_attached_to_nobody_with_access_groups(self):
        self.driver = self.new_driver(sf_enable_vag=True)
        self.check_life()
        groups = self.sim.cluster.access_groups.values()
        templates = {volume.volume_id for volume in self.templates()}
        for group in groups:
            self.assertEqual(set(), templates & set(group.volume_ids))

    def test_template_secret_is_nowhere(self):
        self.check_life()
        secret = self.template_secret()
        cluster = self.sim.cluster
        texts = [json.dumps([volume.name, volume.attributes])
                 for volume in cluster.volumes.values()]
        texts += [json.dumps([call.method, call.params])
                  for call in self.sim.calls]
        texts += [str(call) for call in self.driver.db.mock_calls]
        self.assertEqual([], [text for text in texts if secret in text])
        self.assertEqual([], os.listdir(
            os.path.join(self.state, 'conversion')))
