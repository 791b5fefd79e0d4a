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

"""Accounts: looked up, created, cached, full."""

from concurrent import futures
import logging as std_logging
import threading
from unittest import mock

from cinder import exception
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions


class AccountsTestCase(test.TestCase):
    """A client of a cluster that holds accounts by their name."""

    def setUp(self):
        super().setUp()
        self.accounts = {}
        self.client = mock.create_autospec(client.ElementClient,
                                           instance=True)
        self.client.get_account.side_effect = self.accounts.get
        self.client.add_account.side_effect = self._add

    def _add(self, name, secret):
        if name in self.accounts:
            raise errors.AlreadyExists('AddAccount', 'xDuplicateUsername',
                                       'reason')
        self.set_account(name, target_secret=secret, initiator_secret=secret)

    def set_account(self, name, volume_count=0, **members):
        self.accounts[name] = fixtures.account(
            name=name, id=len(self.accounts) + 1, volume_count=volume_count,
            **members)
        return self.accounts[name]

    def calls(self):
        return [call[0] for call in self.client.method_calls]


class GetOrCreateTestCase(AccountsTestCase):

    def get_or_create(self, name='tenant'):
        return accounts.get_or_create(self.client, name)

    def test_get_or_create_exists(self):
        account = self.set_account('tenant')
        self.assertIs(account, self.get_or_create())
        self.assertEqual(['get_account'], self.calls())

    def test_get_or_create_does_not_exist(self):
        # Launchpad bug 1414760: the first use creates the account.
        log = self.useFixture(fixtures.LogCapture())
        account = self.get_or_create()
        self.assertIs(self.accounts['tenant'], account)
        self.assertEqual(['Created SolidFire account tenant.'],
                         log.at(std_logging.INFO))
        # As the stock driver creates them; never logged.
        self.assertEqual(account.target_secret, account.initiator_secret)
        self.assertRegex(account.target_secret, r'\A[A-Z0-9]{12}\Z')
        self.assertNotIn(account.target_secret, log.text)
        self.assertNotEqual(account.target_secret,
                            self.get_or_create('other').target_secret)

    def test_get_or_create_another_host_is_first(self):
        # Launchpad bug 1414760; also what a lost reply looks like.
        self.client.get_account.side_effect = [
            None, self.set_account('tenant')]
        self.assertIs(self.accounts['tenant'], self.get_or_create())
        self.assertEqual(1, len(self.accounts))

    def test_get_or_create_lookup_fails(self):
        # Change 7c6e41833: only xUnknownAccount means that there is none.
        self.client.get_account.side_effect = errors.ApiError(
            'GetAccountByName', 'xPermissionDenied', 'reason')
        self.assertRaises(errors.ApiError, self.get_or_create)
        self.client.add_account.assert_not_called()

    def test_get_or_create_fails(self):
        refused = errors.LimitExceeded('AddAccount', 'xExceededLimit', '')
        for effect, error_class in (
                (refused, errors.LimitExceeded),
                # It is gone again when it is looked up.
                (None, exception.VolumeBackendAPIException)):
            self.client.add_account.side_effect = effect
            self.assertRaises(error_class, self.get_or_create)


class TenantAccountsTestCase(AccountsTestCase):

    MAX_VOLUMES = 3

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.tenants = accounts.TenantAccounts(self.client, self.MAX_VOLUMES,
                                               self.clock)

    def assert_get(self, *names, name='tenant'):
        """Check which accounts own the next volumes of a project."""
        self.assertEqual(list(names),
                         [self.tenants.get(name).name for _i in names])

    def test_get_is_cached_until_the_account_is_full(self):
        self.set_account('tenant', 1)
        self.assert_get('tenant', 'tenant')
        self.assertEqual(['get_account'], self.calls())
        # Its room is used up, so it is looked up again.
        self.set_account('tenant', 2)
        self.assert_get('tenant')
        self.assertEqual(['get_account'] * 2, self.calls())

    def test_get_first_account_full(self):
        self.set_account('tenant', self.MAX_VOLUMES)
        self.assert_get('tenant_', 'tenant_')
        self.assertEqual(1, self.client.add_account.call_count)
        self.assertEqual(['get_account'] * 2, self.calls()[:2])

    def test_get_second_account_has_one_place(self):
        self.set_account('tenant', self.MAX_VOLUMES)
        self.set_account('tenant_', self.MAX_VOLUMES - 1)
        self.assert_get('tenant_')
        # That was the last one; a place in the first is used again.
        self.set_account('tenant', self.MAX_VOLUMES - 1)
        self.assert_get('tenant')

    def test_get_both_accounts_full(self):
        self.set_account('tenant', self.MAX_VOLUMES)
        self.set_account('tenant_', self.MAX_VOLUMES + 1)
        exc = self.assertRaises(exceptions.AccountsFull, self.tenants.get,
                                'tenant')
        self.assertIn('tenant', str(exc))

    def _get_together(self, error=None):
        """Have threads ask for one account during the first look-up.

        :param error: of the first look-up, if it fails
        :returns: what each thread got
        """
        arrived = threading.Semaphore(0)

        class Cached(dict):
            def pop(self, *args):
                # Each looks into the cache first.
                arrived.release()
                return super().pop(*args)

        def get_account(name):
            if self.calls() == ['get_account']:
                for _i in range(8):
                    self.assertTrue(arrived.acquire(timeout=60))
                if error:
                    raise error
            return self.accounts[name]

        self.tenants._cached = Cached()
        self.client.get_account.side_effect = get_account
        with futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(self.tenants.get, 'tenant')
                     for _i in range(8)]
        return [each.exception() or each.result().name for each in asked]

    def test_get_together(self):
        self.set_account('tenant')
        self.tenants._max_volumes = 9
        self.assertEqual(['tenant'] * 8, self._get_together())
        self.assertEqual(['get_account'], self.calls())
        # Each took a place: there is one left.
        self.assert_get('tenant')
        self.assertEqual(['get_account'], self.calls())
        self.assert_get('tenant')
        self.assertEqual(['get_account'] * 2, self.calls())

    def test_get_together_first_look_up_fails(self):
        self.set_account('tenant')
        self.tenants._max_volumes = 9
        error = errors.NotSent('GetAccountByName', 'ConnectionError', '')
        found = self._get_together(error)
        self.assertEqual([error], [each for each in found
                                   if each != 'tenant'])
        self.assertLess(1, len(self.calls()))

    def test_mark_full(self):
        # Other hosts filled the account, which this one had looked up.
        first = self.tenants.get('tenant')
        self.tenants.mark_full(first)
        self.assert_get('tenant_', 'tenant_')
        self.assert_get('other', name='other')

    def test_unmark_full(self):
        first = self.tenants.get('tenant')
        self.tenants.mark_full(first)
        self.tenants.unmark_full(first)
        self.assertEqual(first, self.tenants.get('tenant'))

    def test_mark_full_both_accounts(self):
        for _i in range(2):
            self.tenants.mark_full(self.tenants.get('tenant'))
        for seconds in (0, 599):
            self.clock.advance(seconds)
            self.assertRaises(exceptions.AccountsFull, self.tenants.get,
                              'tenant')
        # Volumes may have been deleted meanwhile.
        self.clock.advance(1)
        self.assert_get('tenant')

    def test_forget(self):
        self.assert_get('tenant')
        self.assert_get('other', name='other')
        self.tenants.forget('tenant')
        self.tenants.forget('never looked up')
        self.client.reset_mock()
        self.assert_get('other', name='other')
        self.assertEqual([], self.calls())
        self.assert_get('tenant')
        self.assertEqual(['get_account'], self.calls())

    def test_get_cache_is_bounded(self):
        # The least recently used account goes.
        self.client.get_account.side_effect = lambda name: fixtures.account(
            name=name)
        for number in [*range(4096), 0, 4096]:
            self.tenants.get('tenant%s' % number)
        self.client.reset_mock()
        self.tenants.get('tenant0')
        self.assertEqual([], self.calls())
        self.tenants.get('tenant1')
        self.assertEqual(['get_account'], self.calls())

    def test_mark_full_is_bounded(self):
        first = self.tenants.get('tenant')
        self.tenants.mark_full(first)
        for number in range(4096):
            self.tenants.mark_full(fixtures.account(id=number + 1000))
        self.assert_get('tenant')
