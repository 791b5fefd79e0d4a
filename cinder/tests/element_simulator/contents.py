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

"""Clearing and filling a whole cluster, as benchmarks do between runs."""

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import limits
from cinder.tests.element_simulator import records

_SECRET = 'x' * limits.DEFAULTS['secretLengthMin']


def clear(cluster: cluster.Cluster) -> None:
    """Remove volumes, snapshots, groups, accounts and results of jobs."""
    with cluster.lock:
        for volume_id in list(cluster.volumes):
            cluster.forget_volume(volume_id)
        cluster.accounts.clear()
        cluster.access_groups.clear()
        cluster.jobs.by_handle.clear()


def populate(cluster: cluster.Cluster, volumes: int, accounts: int = 1,
             prefix: str = 'other') -> None:
    """Add volumes without data, distributed evenly to new accounts.

    Limits of the numbers of volumes and accounts do not apply.

    :param prefix: of the names of accounts and volumes
    """
    with cluster.lock:
        first = len(cluster.accounts)
        owners = [_add_account(cluster, f'{prefix}-{first + number}')
                  for number in range(accounts if volumes else 0)]
        for number in range(volumes):
            owner = owners[number % accounts]
            volume = cluster.insert_volume(
                name=f'{prefix}-{owner.account_id}-{number}',
                account_id=owner.account_id, size=limits.GIB,
                qos=dict(cluster.default_qos))
            cluster.files.create(f'volume-{volume.volume_id}', volume.size)


def _add_account(cluster: cluster.Cluster, name: str) -> records.Account:
    account = records.Account(
        account_id=cluster.next_id('account'), username=name,
        initiator_secret=_SECRET, target_secret=_SECRET)
    cluster.accounts[account.account_id] = account
    return account
