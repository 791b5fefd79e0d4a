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

"""Past faults of finding a template, its account and its version."""

import datetime
from unittest import mock

import ddt

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    base as driver_base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import template as tpl

KILO_TO_STEIN = {
    'image_info': {'image_updated_at': '2026-01-01 00:00:00+00:00',
                   'image_name': 'an image',
                   'image_created_at': '2026-01-01 00:00:00+00:00',
                   'image_id': fake.IMAGE_ID}}

EAST = datetime.timezone(datetime.timedelta(hours=2))


@ddt.ddt
class AccountTestCase(base.HistoryTestCase):

    def usernames(self):
        return sorted(account.username for account in
                      self.sim.cluster.accounts.values())

    def test_bug_1414760_first_use_on_an_empty_cluster_makes_the_accounts(
            self):
        self.assertEqual([], self.usernames())
        self.assert_served(self.clone(self.images.add(base.DATA)))
        self.assertEqual(sorted([fake.PROJECT_ID, base.SHARED_ACCOUNT]),
                         self.usernames())

    def test_bug_1414760_parallel_creator_of_the_accounts_is_no_error(self):
        add_account = element.ElementClient.add_account

        def add_after_another_host(client, name, secret):
            self.api('AddAccount', username=name)
            return add_account(client, name, secret)

        self.mock_object(element.ElementClient, 'add_account',
                         add_after_another_host)
        self.assert_served(self.clone(self.images.add(base.DATA)))
        self.assertEqual(
            ['xDuplicateUsername'] * 2,
            [call.error for call in self.sim.calls
             if call.method == 'AddAccount'])
        self.assertEqual(2, len(self.usernames()))

    def test_bug_1414760_lost_reply_to_the_account_creation_is_no_error(self):
        rule = self.sim.faults.add(method='AddAccount', drop=True,
                                   when='after', times=2)
        self.assert_served(self.clone(self.images.add(base.DATA)))
        self.assertEqual(2, rule.hits)
        self.assertEqual(2, len(self.usernames()))

    @ddt.data('xPermissionDenied', 'xUnknownUsername', 'xDBNoSuchPath',
              'xAssertionFailure', 'xAccountIDDoesNotExist')
    def test_commit_7c6e41833_only_unknown_account_means_absent(self, error):
        self.sim.faults.add(
            method='GetAccountByName', error=error, times=None,
            match={'username': base.SHARED_ACCOUNT})
        self.assert_fails_to_fill(error)
        self.assertNotIn(base.SHARED_ACCOUNT, self.usernames())

    def test_commit_7c6e41833_driver_starts_on_a_fresh_cluster(self):
        driver = self.new_driver(self.new_cluster())
        self.assertTrue(driver.configuration.sf_allow_template_caching)

    def test_bug_1479897_prefix_serves_to_create_and_to_look_up(self):
        image = self.images.add(base.DATA)
        for _i in range(2):
            driver = self.new_driver(sf_account_prefix='cloud1')
            self.assert_served(self.clone(image, driver=driver))
        self.assertEqual(
            sorted(['cloud1-' + fake.PROJECT_ID,
                    'cloud1-' + base.SHARED_ACCOUNT]), self.usernames())
        self.assertEqual([image['id']], self.images.downloads)

    def test_bug_1486744_accounts_are_named_by_their_number(self):
        # The whole reply was once sent in the number's place.
        self.assert_served(self.clone(self.images.add(base.DATA)))
        self.assertEqual([self.account_id()],
                         [params['accountID'] for params in
                          self.params_of('CreateVolume')])
        self.assertEqual([self.account_id(fake.PROJECT_ID)],
                         [params['newAccountID'] for params in
                          self.params_of('CloneVolume')])

    def test_a3_15_start_calls_what_the_stock_driver_calls(self):
        # The account was made at every start, whatever the lookup said.
        self.sim.reset_calls()
        self.stock_driver()
        expected = self.sim.calls.methods
        self.sim.reset_calls()
        self.new_driver()
        self.assertEqual(expected, self.sim.calls.methods)
        self.assertEqual([], self.usernames())

    def test_a3_15_start_survives_a_cluster_that_fails_for_the_account(self):
        self.sim.faults.add(method='*Account*', error='xDBClosing',
                            times=None)
        driver = self.new_driver()
        self.sim.faults.clear()
        self.assert_served(self.clone(self.images.add(base.DATA),
                                      driver=driver))

    def test_a3_17_hostname_prefix_does_not_keep_hosts_apart(self):
        image = self.images.add(base.DATA)
        for host in ('host-a', 'host-b'):
            with mock.patch.object(solidfire.socket, 'gethostname',
                                   autospec=True, return_value=host):
                driver = self.new_driver(sf_account_prefix='hostname')
                self.assert_served(self.clone(image, driver=driver))
        self.assertEqual([image['id']], self.images.downloads)


@ddt.ddt
class CandidateTestCase(base.HistoryTestCase):

    def test_commit_dc7e108be_template_is_found_whatever_the_destination(
            self):
        # It was looked for in the account that was to own the clone.
        image = self.images.add(base.DATA)
        template_id = self.plant(image)
        for project in (fake.PROJECT_ID, fake.PROJECT2_ID, fake.PROJECT3_ID):
            result = self.clone(image, self.new_volume(project_id=project),
                                self.new_driver())
            self.assert_served(result)
            owner = self.account_id(project)
            self.assertEqual(str(owner), result[0]['provider_id'].split()[1])
        self.assertEqual({template_id}, self.sources())
        self.assertEqual([], self.images.downloads)
        self.assertEqual([{'volumeName': tpl.name_for(image['id']),
                           'accounts': [self.account_id()],
                           'includeVirtualVolumes': False}] * 3,
                         [params for params in self.params_of('ListVolumes')
                          if 'accounts' in params])

    @ddt.data(None, {}, [], {'image_info': None}, KILO_TO_STEIN,
              {tpl.ATTRIBUTE: None}, {tpl.ATTRIBUTE: {'schema': 99}})
    def test_bug_1495247_foreign_volume_of_the_name_is_left_alone(
            self, attributes):
        image = self.images.add(base.DATA, id=fake.IMAGE_ID)
        foreign = self.plant_volume(tpl.name_for(image['id']), attributes,
                                    b'foreign')
        self.assert_served(self.clone(image))
        self.assertNotIn(foreign, self.sources())
        self.assertEqual('active', self.sim.cluster.volumes[foreign].status)
        self.assertEqual(b'foreign', self.read_volume(foreign, 7))
        self.assertEqual(attributes,
                         self.sim.cluster.volumes[foreign].attributes)

    def test_bug_1495247_volume_of_the_name_in_another_account_is_no_template(
            self):
        image = self.images.add(base.DATA)
        template_id = self.plant(image, base.OTHER_DATA)
        self.sim.cluster.volumes[template_id].account_id = self.account_id(
            fake.PROJECT2_ID)
        self.assert_served(self.clone(image))
        self.assertNotIn(template_id, self.sources())
        self.assertIn(template_id, self.sim.cluster.volumes)

    def test_bug_1668772_deleted_template_is_not_cloned(self):
        image = self.images.add(base.DATA)
        deleted = self.plant(image)
        self.api('DeleteVolume', volumeID=deleted)
        self.assert_served(self.clone(image))
        self.assertNotIn(deleted, self.sources())

    def test_bug_1668772_deleted_template_is_no_duplicate_of_a_ready_one(
            self):
        image = self.images.add(base.DATA)
        deleted, ready = self.plant(image), self.plant(image)
        self.api('DeleteVolume', volumeID=deleted)
        self.assert_served(self.clone(image))
        self.assertEqual({ready}, self.sources())
        self.assertEqual([], self.images.downloads)

    def test_a3_5_twins_serve_and_become_one(self):
        # Two hosts had made a copy each, and every boot failed after that.
        image = self.images.add(base.DATA)
        first, second = self.plant(image), self.plant(image)
        self.assert_served(self.clone(image))
        self.assertEqual({first}, self.sources())
        self.assertEqual([first],
                         [volume.volume_id for volume in self.templates()])
        self.assertEqual([{'volumeID': second}],
                         self.params_of('PurgeDeletedVolume'))

    def test_a3_27_hit_lists_nothing(self):
        image = self.images.add(base.DATA)
        self.clone(image)
        self.sim.reset_calls()
        self.assert_served(self.clone(image))
        self.assertEqual({'CloneVolume', 'GetAsyncResult'},
                         set(self.sim.calls.methods))
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))

    def test_a3_27_first_request_lists_by_name_only(self):
        self.sim.reset_calls()
        image = self.images.add(base.DATA)
        volume = self.new_volume()
        self.assert_served(self.clone(image, volume))
        lists = [call for call in self.sim.calls
                 if call.method.startswith('List')]
        self.assertEqual({'ListVolumes'}, {call.method for call in lists})
        self.assertEqual({tpl.name_for(image['id']), 'UUID-' + volume['id']},
                         {call.params['volumeName'] for call in lists})

    @ddt.data('%s-copy', 'OpenStackIMG-%s', 'UUID-%s')
    def test_a3_27_name_that_contains_the_image_id_is_no_template(self, name):
        image = self.images.add(base.DATA)
        planted = self.plant(image, base.OTHER_DATA)
        other = self.sim.cluster.volumes[planted]
        other.name = name % other.name
        self.assert_served(self.clone(image))
        self.assertNotIn(planted, self.sources())
        self.assertIn(planted, self.sim.cluster.volumes)

    def test_a3_27_template_whose_attributes_tell_another_image_is_none(self):
        image = self.images.add(base.DATA)
        planted = self.plant(self.images.add(base.DATA))
        self.sim.cluster.volumes[planted].name = tpl.name_for(image['id'])
        self.assert_served(self.clone(image))
        self.assertNotIn(planted, self.sources())
        self.assertIn(planted, self.sim.cluster.volumes)

    def test_commit_4d3e1e7c3_sections_of_one_cluster_share_templates(self):
        image = self.images.add(base.DATA)
        for section in ('gold', 'silver'):
            driver = self.new_driver(volume_backend_name=section)
            volume = self.new_volume(host='%s@%s#%s' % (section, section,
                                                        section))
            self.assert_served(self.clone(image, volume, driver))
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, len(self.sources()))

    def test_commit_4d3e1e7c3_clusters_share_nothing(self):
        image = self.images.add(base.DATA)
        other_cluster = self.new_cluster()
        names = []
        with mock.patch.object(locks, 'held', autospec=True,
                               side_effect=locks.held) as held:
            for sim in (self.sim, other_cluster):
                self.sim = sim
                result = self.clone(image, driver=self.new_driver(sim))
                self.assert_served(result)
                self.assertEqual(sim.cluster.uuid,
                                 result[0]['provider_id'].split()[2])
                names.append(held.call_args.args[0])
        self.assertEqual([image['id']] * 2, self.images.downloads)
        self.assertNotEqual(*names)


@ddt.ddt
class VersionTestCase(base.HistoryTestCase):

    @ddt.data({}, {'os_hash_algo': None, 'os_hash_value': None})
    def test_a3_19_tag_edit_downloads_nothing(self, hashes):
        image = self.images.add(base.DATA, **hashes)
        self.assert_served(self.clone(image))
        edited = self.images.touch(image['id'], tags=['new'], name='renamed')
        for driver in (self.driver, self.new_driver()):
            self.assert_served(self.clone(edited, driver=driver))
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, len(self.templates()))

    @ddt.data('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000000',
              '2026-01-01T00:00:00+00:00', '2026-01-01T02:00:00+02:00',
              datetime.datetime(2026, 1, 1),
              datetime.datetime(2026, 1, 1, 2, tzinfo=EAST))
    def test_a3_19_time_in_another_rendering_is_the_same_time(self, rendered):
        image = self.images.add(base.DATA, **base.NO_HASHES)
        template_id = self.plant(image)
        image['updated_at'] = rendered
        self.assert_served(self.clone(image))
        self.assertEqual({template_id}, self.sources())
        self.assertEqual([], self.images.downloads)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    @ddt.data('updated_at', 'virtual_size', 'visibility', 'status')
    def test_a3_19_needed_member_that_is_missing_is_a_refusal(self, member):
        image = self.images.add(base.DATA)
        self.plant(image)
        del image[member]
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual([], self.warnings.messages)
        self.assertEqual(0, self.sim.calls.count('CloneVolume'))

    @ddt.data('owner', 'name', 'properties', 'os_hash_algo', 'checksum',
              'size', 'disk_format', 'container_format', 'created_at')
    def test_a3_19_other_member_that_is_missing_is_not_missed(self, member):
        image = self.images.add(base.DATA)
        self.plant(image)
        del image[member]
        self.assert_served(self.clone(image))
        self.assertEqual([], self.images.downloads)

    def test_a3_19_time_decides_where_no_hash_is_known(self):
        image = self.images.add(base.DATA, **base.NO_HASHES)
        old = self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA,
                                    **base.NO_HASHES)
        self.assert_served(self.clone(newer), base.OTHER_DATA)
        self.assertNotIn(old, self.sources())
        self.assertEqual([image['id']], self.images.downloads)

    @ddt.data({}, base.NO_HASHES)
    def test_a3_19_request_that_knows_an_older_image_deletes_nothing(
            self, hashes):
        image = self.images.add(base.DATA, **hashes)
        newer = self.images.replace(image['id'], base.OTHER_DATA, **hashes)
        template_id = self.plant(newer, base.OTHER_DATA)
        volume = self.new_volume()
        self.assert_fell_back(self.clone(image, volume), image, volume)
        self.assertEqual([template_id],
                         [found.volume_id for found in self.templates()])
        self.assert_served(self.clone(newer), base.OTHER_DATA)
        self.assertEqual([], self.images.downloads)

    def test_head_cache_same_data_of_a_later_date_is_no_new_version(self):
        # Any change of updated_at counted as a new image.
        image = self.images.add(base.DATA)
        template_id = self.plant(image)
        later = self.images.touch(image['id'], seconds=3600)
        self.assert_served(self.clone(later))
        self.assertEqual({template_id}, self.sources())
        recorded = self.templates()[0].attributes[tpl.ATTRIBUTE]
        self.assertEqual(
            (driver_base.T0 + datetime.timedelta(hours=1)).isoformat(),
            recorded['image_updated_at'])

    def test_head_cache_other_data_is_a_new_version(self):
        image = self.images.add(base.DATA)
        self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA, seconds=1)
        self.assert_served(self.clone(newer), base.OTHER_DATA)
        self.assertEqual(1, len(self.templates()))
