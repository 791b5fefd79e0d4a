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

"""Which projects may use a template, and that templates stay internal.

The cases are products of who owns an image, who may see it, who requests a
volume, and of how that changes between fill and use.
"""

import itertools
import json

from cinder import context
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.functional.solidfire_template_cache import untrusted
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache.templates import model

ACCOUNT = base.TEMPLATE_ACCOUNT

OURS, THEIRS = fake.PROJECT_ID, fake.PROJECT2_ID

# What an image's record says of its visibility, and whether templates of it
# are for all projects or only for the one that owns the image.
ALL, OWNER = 'all projects', 'the owner'
VISIBILITIES = (
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
          untrusted.ABSENT)

# The project of the volume, and that of an administrator who requests it.
REQUESTERS = ((OURS, None), (THEIRS, None), (OURS, THEIRS), (THEIRS, OURS))


class TenantsTestCase(scenario.ScenarioTestCase):

    DOWNLOADS = 1

    def setUp(self):
        super().setUp()
        driver_class = type(self.driver)
        self.attached = self.mock_object(
            driver_class, 'initialize_connection', autospec=True,
            side_effect=driver_class.initialize_connection)

    def prepare(self):
        return self.images.add(self.DATA, owner=OURS)

    def request_for(self, image, project, admin_of=None):
        """Request a volume for a project; return it and the result."""
        volume = self.new_volume(project_id=project)
        user = context.RequestContext(
            fake.USER_ID, admin_of or project, is_admin=bool(admin_of))
        return volume, self.driver.clone_image(
            user, volume, (None, None), image, self.images)

    def change(self, image, visibility, owner):
        """Change an image's record; return it as Cinder gets it."""
        record = self.images.images[image['id']][0]
        for name in ('visibility', 'is_public', 'owner'):
            record.pop(name, None)
        if owner is not untrusted.ABSENT:
            record['owner'] = owner
        return self.images.touch(image['id'], **visibility)

    def template_secret(self):
        owner = self.sim.cluster.accounts[self.account_id(ACCOUNT)]
        self.assertEqual(owner.target_secret, owner.initiator_secret)
        return owner.target_secret

    # Checks

    def check_request(self, image, visibility, allowed, owner, project,
                      admin_of):
        """Check a request after a change of the image's record."""
        image = self.change(image, visibility, owner)
        self.sim.reset_calls()
        volume, result = self.request_for(image, project, admin_of)
        if allowed == ALL or owner == project:
            self.assert_owned(volume, result[0])
        else:
            self.assertEqual(((None, False), [], []), (
                result, self.sim.calls.methods, self.log.warnings))

    def assert_owned(self, volume, model_update):
        """Check that a volume has the project's own account and secret."""
        self.assert_volume(volume, model_update, self.DATA)
        owner = self.sim.cluster.accounts[self.account_id(volume.project_id)]
        self.assertEqual(
            'CHAP %s %s' % (volume.project_id, owner.target_secret),
            model_update['provider_auth'])
        self.assertNotEqual(self.template_secret(), owner.target_secret)
        self.assertNotIn(self.template_secret(), str(model_update))
        # Nothing of the project for which the template was filled.
        made = self.only_volume(volume)
        self.assertEqual(volume.id, made.attributes['uuid'])
        self.assertNotIn(model.ATTRIBUTE, made.attributes)

    def assert_attached(self, fills):
        """Check that templates were attached to this host for fills."""
        names = [call.args[1]['name'] for call in
                 self.attached.call_args_list]
        self.assertEqual(fills, len([name for name in names if
                                     name.startswith(model.NAME_PREFIX)]))
        for template in self.templates():
            self.assertEqual(
                ('readOnly', [], self.account_id(ACCOUNT)),
                (template.access,
                 self.sim.cluster.groups_of(template.volume_id),
                 template.account_id))
        for volume in self.tenant_volumes():
            self.assertNotEqual(self.account_id(ACCOUNT), volume.account_id)

    # Who may use it

    def check_first(self, visibility, allowed, owner, project, admin_of):
        image, _volume = self.begin()
        self.check_request(image, visibility, allowed, owner, project,
                           admin_of)
        expected = int(allowed == ALL or owner == project)
        self.assertEqual((expected, expected), (
            len(self.templates()), len(self.images.downloads)))

    def test_clone_image_without_a_template(self):
        self.run_cases([
            (str(case), self.check_first, *case) for case in (
                (visibility, allowed, owner, *requester)
                for visibility, allowed in VISIBILITIES for owner in OWNERS
                for requester in REQUESTERS[:2] + (
                    REQUESTERS[2:] if owner == OURS else ()))])

    def test_clone_image_with_a_template(self):
        image, _volume = self.begin()
        self.assertTrue(self.request_for(image, OURS)[1][1])
        before = self.templates()
        self.run_cases([
            (str((visible, owner, requester)), self.check_request, image,
             *visible, owner, *requester)
            for visible, owner, requester in itertools.product(
                VISIBILITIES, (OURS, THEIRS, None), REQUESTERS)])
        self.assertEqual(before, self.templates())
        self.assertEqual(1, len(self.images.downloads))
        self.assert_attached(1)

    def check_revoked(self, visibility, owner, when):
        """Let the owner revoke the access to an image."""
        image, _volume = self.begin()
        image = self.change(image, {'visibility': 'public'}, THEIRS)

        def revoke(_image_id):
            self.images.on_download = lambda _image_id: None
            self.change(image, visibility, owner)

        if when == 'before the request':
            # The manager had read the record before.
            revoke(None)
        else:
            self.images.on_download = revoke
        volume, result = self.request_for(image, OURS)
        warning = self.check_fallback(image, volume, result)
        self.assertIn('neither public nor community', warning)
        self.assertEqual([], self.templates())
        self.assertEqual(int(when == 'during the download'),
                         len(self.images.downloads))

    def test_clone_image_whose_access_is_revoked(self):
        self.run_cases([
            ('%s, of %s, %s' % (visibility, owner, when),
             self.check_revoked, visibility, owner, when)
            for visibility, allowed in VISIBILITIES if allowed == OWNER
            for owner in (THEIRS, None)
            for when in ('before the request', 'during the download')])

    # Templates stay internal

    def attach_and_detach(self, volume, model_update):
        volume.update(model_update)
        connector = dict(base.CONNECTOR, initiator='iqn.x:' + volume.id,
                         host='compute')
        connection = self.driver.initialize_connection(volume, connector)
        self.assertNotIn(self.template_secret(), str(connection))
        self.driver.terminate_connection(volume, connector, force=False)

    def test_template_is_attached_for_fills_only(self):
        for options in ({}, {'sf_enable_vag': True}):
            self.driver = self.new_driver(**options)
            self.attached.reset_mock()
            image, _volume = self.begin()
            # Fill, hit, edit, refill and restart, for two projects.
            for change in ({}, {'name': 'edited'}, {'os_hash_value': 'ab'},
                           {}):
                if 'os_hash_value' in change:
                    image = self.images.replace(image['id'], self.DATA)
                image = self.images.touch(image['id'], **change)
                for project in (OURS, THEIRS):
                    volume, result = self.request_for(image, project)
                    self.assert_owned(volume, result[0])
                    self.attach_and_detach(volume, result[0])
                self.forget(self.driver)
                self.run_housekeeping()
            self.assertEqual([], self.log.warnings)
            self.assertEqual(1, len(self.templates()))
            self.assert_attached(2)
        # The account's secret is in nothing that was stored or sent.
        texts = [json.dumps([volume.name, volume.attributes])
                 for volume in self.sim.cluster.volumes.values()]
        texts += [json.dumps([call.method, call.params])
                  for call in self.sim.calls]
        texts += [str(call) for call in self.driver.db.mock_calls]
        self.assertEqual([], [text for text in texts
                              if self.template_secret() in text])
        self.assertEqual([], self.conversion_files())
