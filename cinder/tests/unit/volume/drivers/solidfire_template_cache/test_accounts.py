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

"""Accounts: found, made, remembered, forgotten."""

import logging as std_logging

import ddt

from cinder import exception
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache import errors


@ddt.ddt
class GetOrCreateTestCase(clients.ClientTestCase):

    def get_or_create(self, name='tenant'):
        return accounts.get_or_create(self.client, name)

    def test_get_or_create_on_an_empty_cluster(self):
        log = clients.Log(self)
        account = self.get_or_create()
        self.assertEqual(['GetAccountByName', 'AddAccount',
                          'GetAccountByName'], self.sim.calls.methods)
        [made] = self.sim.cluster.accounts.values()
        self.assertEqual((made.account_id, 'tenant', 0), (
            account.id, account.name, account.volume_count))
        self.assertEqual(['Created SolidFire account tenant.'],
                         log.at(std_logging.INFO))
        self.assertNotIn(made.target_secret, log.text)

    def test_get_or_create_makes_secrets_as_the_stock_driver(self):
        account = self.get_or_create()
        self.assertEqual(account.target_secret, account.initiator_secret)
        self.assertRegex(account.target_secret, r'\A[A-Z0-9]{12}\Z')
        self.assertNotEqual(account.target_secret,
                            self.get_or_create('other').target_secret)

    def test_get_or_create_when_there(self):
        made = self.make_account()
        self.sim.reset_calls()
        self.assertEqual(made, self.get_or_create())
        self.assertEqual(['GetAccountByName'], self.sim.calls.methods)

    def test_get_or_create_when_another_host_is_first(self):
        def be_first(*args):
            self.mock_object(self.client, 'add_account', add_account)
            self.make_account()
            add_account(*args)

        add_account = self.client.add_account
        self.mock_object(self.client, 'add_account', be_first)
        account = self.get_or_create()
        self.assertEqual(clients.SECRET, account.target_secret)
        self.assertEqual(1, len(self.sim.cluster.accounts))

    @ddt.data('before', 'after')
    def test_get_or_create_whose_reply_is_lost(self, when):
        self.sim.faults.add(method='AddAccount', drop=True, when=when)
        self.assertEqual('tenant', self.get_or_create().name)
        self.assertEqual(1, len(self.sim.cluster.accounts))

    @ddt.data('xPermissionDenied', 'xNew', 'xDBConnectionLoss')
    def test_get_or_create_makes_none_when_it_cannot_look(self, name):
        # Only "unknown account" means that there is none.
        self.sim.faults.add(method='GetAccountByName', error=name,
                            times=None)
        exc = self.assert_fails(errors.ApiError, self.get_or_create)
        self.assertEqual(name, exc.name)
        self.assertEqual({}, self.sim.cluster.accounts)

    def test_get_or_create_that_is_refused(self):
        self.sim.faults.add(method='AddAccount', error='xExceededLimit')
        self.assert_fails(errors.ApiError, self.get_or_create)

    def test_get_or_create_of_one_that_vanishes(self):
        self.sim.faults.add(method='GetAccountByName', times=2,
                            error='xUnknownAccount')
        self.assert_fails(exception.VolumeBackendAPIException,
                          self.get_or_create)


class TenantAccountsTestCase(clients.ClientTestCase):

    MOST = 3

    def setUp(self):
        super().setUp()
        self.tenants = accounts.TenantAccounts(self.client, self.MOST)

    def _fill(self, account, count):
        for _i in range(count):
            self.make_volume('v', account)
        self.sim.reset_calls()

    def test_recall_what_was_never_found(self):
        self.assertIsNone(self.tenants.recall('tenant'))
        self.assertEqual([], self.sim.calls.methods)

    def test_recall_what_was_found(self):
        account = self.tenants.find('tenant')
        self.sim.reset_calls()
        self.assertIs(account, self.tenants.recall('tenant'))
        self.assertEqual([], self.sim.calls.methods)
        self.assertIsNone(self.tenants.recall('other'))

    def test_recall_until_the_account_is_full(self):
        account = self.make_account()
        self._fill(account, 1)
        found = self.tenants.find('tenant')
        self.assertEqual(1, found.volume_count)
        # One place is taken, one was given by find, one is left.
        self.assertEqual(found, self.tenants.recall('tenant'))
        self.assertIsNone(self.tenants.recall('tenant'))
        self.assertIsNone(self.tenants.recall('tenant'))

    def test_find_asks_each_time(self):
        for _i in range(self.MOST):
            self.tenants.find('tenant')
        self.assertEqual(self.MOST,
                         self.sim.calls.count('GetAccountByName') - 1)
        self.assertEqual(1, self.sim.calls.count('AddAccount'))

    def test_find_when_the_first_account_is_full(self):
        self._fill(self.make_account(), self.MOST)
        account = self.tenants.find('tenant')
        self.assertEqual('tenant_', account.name)
        self.assertIs(account, self.tenants.recall('tenant'))

    def test_find_when_the_second_account_is_there(self):
        self._fill(self.make_account(), self.MOST)
        second = self.make_account('tenant_')
        self._fill(second, self.MOST - 1)
        found = self.tenants.find('tenant')
        self.assertEqual(second.id, found.id)
        # That was its last place.
        self.assertIsNone(self.tenants.recall('tenant'))
        self.assertEqual(['GetAccountByName'] * 2, self.sim.calls.methods)

    def test_find_when_both_accounts_are_full(self):
        self._fill(self.make_account(), self.MOST)
        self._fill(self.make_account('tenant_'), self.MOST)
        exc = self.assert_fails(errors.TemplateCacheError,
                                self.tenants.find, 'tenant')
        self.assertIn('tenant', str(exc))
        self.assertIsNone(self.tenants.recall('tenant'))

    def test_find_when_room_is_back_in_the_first_account(self):
        self._fill(self.make_account(), self.MOST)
        self.tenants.find('tenant')
        self.client.remove_volume(self.on_cluster()[0])
        self.assertEqual('tenant', self.tenants.find('tenant').name)

    def test_forget(self):
        self.tenants.find('tenant')
        self.tenants.find('other')
        self.tenants.forget('tenant')
        self.tenants.forget('never found')
        self.assertIsNone(self.tenants.recall('tenant'))
        self.assertEqual('other', self.tenants.recall('other').name)
