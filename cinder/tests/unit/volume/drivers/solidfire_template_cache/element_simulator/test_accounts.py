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

"""Tests of accounts."""

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class AccountsTestCase(base.ClusterTestCase):

    def test_add_account_makes_secrets(self):
        account = self.call('AddAccount', username='a_b-1')['account']
        self.assertRegex(account['initiatorSecret'], '^[A-Za-z0-9]{12}$')
        self.assertRegex(account['targetSecret'], '^[A-Za-z0-9]{12}$')
        self.assertNotEqual(account['initiatorSecret'],
                            account['targetSecret'])

    def test_add_account_shape(self):
        reply = self.call('AddAccount', username='a',
                          initiatorSecret='i' * 12, targetSecret='t' * 16,
                          attributes={'k': 'v'}, enableChap='false')
        self.assertEqual(1, reply['accountID'])
        self.assertEqual(
            {'accountID': 1, 'username': 'a', 'status': 'active',
             'volumes': [], 'initiatorSecret': 'i' * 12,
             'targetSecret': 't' * 16, 'attributes': {'k': 'v'},
             'enableChap': False,
             'storageContainerID': '00000000-0000-0000-0000-000000000000'},
            reply['account'])

    def test_add_account_duplicate(self):
        self.make_account('a')
        self.refused('xDuplicateUsername', 'AddAccount', username='a')
        self.make_account('A')

    @ddt.data('', 'x' * 65, 'a b', 'a.b')
    def test_add_account_bad_name(self, username):
        self.refused('xInvalidAPIParameter', 'AddAccount', username=username)

    @ddt.data('short', 'x' * 17)
    def test_add_account_bad_secret(self, secret):
        error = self.refused('xInvalidParameter', 'AddAccount', username='a',
                             initiatorSecret=secret)
        self.assertNotIn(secret, error.message)

    def test_add_account_limit_reached(self):
        self.cluster.limits['accountCountMax'] = 1
        self.make_account('a')
        self.refused('xExceededLimit', 'AddAccount', username='b')

    def test_get_account(self):
        self.make_account('a')
        by_name = self.call('GetAccountByName', username='a')
        self.assertEqual(by_name, self.call('GetAccountByID', accountID=1))
        self.assertEqual('a', by_name['account']['username'])

    def test_get_account_unknown(self):
        self.refused('xUnknownAccount', 'GetAccountByName', username='a')
        self.refused('xUnknownAccount', 'GetAccountByID', accountID=9)

    def test_get_account_lists_deleted_volumes_but_no_clone_under_way(self):
        self.cluster.jobs.seconds = 5
        first = self.make_volume()
        second = self.make_volume()
        self.call('CloneVolume', volumeID=first, name='c')
        self.call('DeleteVolume', volumeID=second)
        account = self.call('GetAccountByID', accountID=1)['account']
        self.assertEqual([first, second], account['volumes'])

    def test_list_accounts(self):
        for username in 'abc':
            self.make_account(username)
        names = [account['username'] for account in
                 self.call('ListAccounts', startAccountID=2,
                           limit=1)['accounts']]
        self.assertEqual(['b'], names)
        self.assertEqual(3, len(self.call('ListAccounts')['accounts']))

    def test_modify_account(self):
        self.make_account('a')
        account = self.call('ModifyAccount', accountID=1, username='b',
                            attributes={'x': 1}, status='locked',
                            enableChap=False, initiatorSecret='n' * 12,
                            )['account']
        self.assertEqual(('b', {'x': 1}, 'locked', False, 'n' * 12),
                         (account['username'], account['attributes'],
                          account['status'], account['enableChap'],
                          account['initiatorSecret']))

    def test_modify_account_changes_nothing_when_refused(self):
        self.make_account('a')
        self.refused('xInvalidParameter', 'ModifyAccount', accountID=1,
                     username='b', targetSecret='short')
        self.assertEqual('a', self.cluster.account(1).username)

    def test_modify_account_name_taken(self):
        self.make_account('a')
        self.make_account('b')
        self.refused('xDuplicateUsername', 'ModifyAccount', accountID=2,
                     username='a')
        self.call('ModifyAccount', accountID=2, username='b')

    def test_modify_account_unknown(self):
        self.refused('xAccountIDDoesNotExist', 'ModifyAccount', accountID=1)

    def test_remove_account_only_without_volumes(self):
        volume_id = self.make_volume()
        self.refused('xInvalidParameter', 'RemoveAccount', accountID=1)
        self.call('DeleteVolume', volumeID=volume_id)
        self.call('PurgeDeletedVolume', volumeID=volume_id)
        self.call('RemoveAccount', accountID=1)
        self.refused('xAccountIDDoesNotExist', 'RemoveAccount', accountID=1)

    def test_account_printed_without_secrets(self):
        self.call('AddAccount', username='a', initiatorSecret='i' * 12,
                  targetSecret='t' * 12)
        self.assertNotIn('iii', repr(self.cluster.account(1)))
        self.assertNotIn('ttt', repr(self.cluster.account(1)))
