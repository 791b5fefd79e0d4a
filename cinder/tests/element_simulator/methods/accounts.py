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

"""Accounts, which own volumes and hold their CHAP secrets."""

import secrets
import string
import typing

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import checks
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import records
from cinder.tests.element_simulator import wire


def _random_secret(cluster: cluster.Cluster) -> str:
    return ''.join(secrets.choice(string.ascii_letters + string.digits)
                   for _ in range(cluster.limit('secretLengthMin')))


def _check_username(cluster: cluster.Cluster, username: str,
                    account_id: typing.Optional[int] = None) -> None:
    checks.name(cluster, username, 'account', allow_underscore=True)
    for other in cluster.accounts.values():
        if other.username == username and other.account_id != account_id:
            raise errors.ApiError('xDuplicateUsername',
                                  f'Account {username} exists already')


def _secret(cluster: cluster.Cluster, args: dict, member: str) -> str:
    if member not in args:
        return _random_secret(cluster)
    return checks.secret(cluster, member, args[member])


@api.method('AddAccount', required={'username': str},
            optional={'initiatorSecret': str, 'targetSecret': str,
                      'attributes': dict, 'enableChap': bool})
def add_account(cluster: cluster.Cluster, args: dict) -> dict:
    _check_username(cluster, args['username'])
    if len(cluster.accounts) >= cluster.limit('accountCountMax'):
        raise errors.ApiError('xExceededLimit',
                              'The cluster has its maximum of accounts')
    account = records.Account(
        account_id=cluster.next_id('account'), username=args['username'],
        initiator_secret=_secret(cluster, args, 'initiatorSecret'),
        target_secret=_secret(cluster, args, 'targetSecret'),
        attributes=checks.attributes(args.get('attributes', {})),
        enable_chap=args.get('enableChap', True))
    cluster.accounts[account.account_id] = account
    return {'accountID': account.account_id,
            'account': wire.account(cluster, account)}


@api.method('GetAccountByName', required={'username': str})
def get_account_by_name(cluster: cluster.Cluster, args: dict) -> dict:
    for account in cluster.accounts.values():
        if account.username == args['username']:
            return {'account': wire.account(cluster, account)}
    raise errors.ApiError('xUnknownAccount',
                          f'Unknown account {args["username"]}')


@api.method('GetAccountByID', required={'accountID': int})
def get_account_by_id(cluster: cluster.Cluster, args: dict) -> dict:
    account = cluster.accounts.get(args['accountID'])
    if account is None:
        raise errors.ApiError('xUnknownAccount',
                              f'Unknown account {args["accountID"]}')
    return {'account': wire.account(cluster, account)}


@api.method('ListAccounts',
            optional={'startAccountID': int, 'limit': int,
                      'includeStorageContainers': bool})
def list_accounts(cluster: cluster.Cluster, args: dict) -> dict:
    accounts = [wire.account(cluster, account)
                for number, account in sorted(cluster.accounts.items())
                if number >= args.get('startAccountID', 0)]
    return {'accounts': accounts[:args.get('limit') or None]}


@api.method('ModifyAccount', required={'accountID': int},
            optional={'username': str, 'status': ('active', 'locked'),
                      'initiatorSecret': str, 'targetSecret': str,
                      'attributes': dict, 'enableChap': bool})
def modify_account(cluster: cluster.Cluster, args: dict) -> dict:
    account = cluster.account(args['accountID'])
    changes: dict[str, typing.Any] = {}
    if 'username' in args:
        _check_username(cluster, args['username'], account.account_id)
        changes['username'] = args['username']
    for member, field in (('initiatorSecret', 'initiator_secret'),
                          ('targetSecret', 'target_secret')):
        if member in args:
            changes[field] = checks.secret(cluster, member, args[member])
    if 'attributes' in args:
        changes['attributes'] = checks.attributes(args['attributes'])
    if 'status' in args:
        changes['status'] = args['status']
    if 'enableChap' in args:
        changes['enable_chap'] = args['enableChap']
    for field, value in changes.items():
        setattr(account, field, value)
    return {'account': wire.account(cluster, account)}


@api.method('RemoveAccount', required={'accountID': int})
def remove_account(cluster: cluster.Cluster, args: dict) -> dict:
    account = cluster.account(args['accountID'])
    if cluster.volumes_of(account.account_id):
        raise errors.ApiError(
            'xInvalidParameter',
            f'Account {account.account_id} still has volumes')
    del cluster.accounts[account.account_id]
    return {}
