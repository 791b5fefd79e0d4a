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

"""What can befall a cluster between two calls of a request.

Each act is one of :class:`transport.Rule`: it happens right before the call
that it strikes, which then goes on.
"""

from cinder.volume.drivers.solidfire_template_cache import template as tpl

CHANGING = ('AddAccount', 'Add*Group', 'CancelClone', 'CloneVolume',
            'Create*', 'DeleteVolume', 'Modify*', 'PurgeDeletedVolume',
            'Remove*Group')
"""Patterns of the methods that only an administrator who may write calls."""


def fill_up(stage):
    def act(exchange):
        exchange.way.cluster.set_fullness(stage)
    return act


def reach_volume_count(exchange):
    cluster = exchange.way.cluster
    cluster.limits['volumeCountMax'] = len(cluster.volumes)


def reach_account_limits(exchange):
    """Let no account take one more volume, nor the cluster an account."""
    cluster = exchange.way.cluster
    cluster.limits.update(volumesPerAccountCountMax=0,
                          accountCountMax=len(cluster.accounts))


def lose_write_access(exchange):
    """Leave the administrator the role that only reads."""
    exchange.way.deny(*CHANGING)


def _remove_volumes(cluster, *prefixes):
    """Delete and purge, as an operator would by hand."""
    with cluster.lock:
        for volume in list(cluster.volumes.values()):
            if volume.name.startswith(prefixes):
                cluster.delete_volume(volume)
                cluster.forget_volume(volume.volume_id)


def remove_templates(exchange):
    _remove_volumes(exchange.way.cluster, tpl.NAME_PREFIX)


def delete_templates(exchange):
    """Delete them, without a purge."""
    cluster = exchange.way.cluster
    with cluster.lock:
        for volume in list(cluster.volumes.values()):
            if volume.name.startswith(tpl.NAME_PREFIX):
                cluster.delete_volume(volume)
                exchange.way.deleted_by_hand.add(volume.volume_id)


def _is_too_late(exchange):
    """Tell whether the clone is whole: then nobody would notice."""
    cluster = exchange.way.cluster
    cluster.advance()
    return exchange.method != 'CloneVolume' and not cluster.jobs.running()


def remove_clones(exchange):
    if not _is_too_late(exchange):
        _remove_volumes(exchange.way.cluster, 'UUID-')


def _remove_accounts(cluster, wanted):
    with cluster.lock:
        for account in list(cluster.accounts.values()):
            if wanted(account.username):
                for volume in cluster.volumes_of(account.account_id):
                    cluster.delete_volume(volume)
                    cluster.forget_volume(volume.volume_id)
                del cluster.accounts[account.account_id]


def remove_template_account(exchange):
    _remove_accounts(exchange.way.cluster, lambda name: 'template' in name)


def remove_tenant_accounts(exchange):
    if not _is_too_late(exchange):
        _remove_accounts(exchange.way.cluster,
                         lambda name: 'template' not in name)


_BEFORE_IT_IS_DONE = ('ModifyVolume', 'GetAsyncResult', 'CloneVolume')

# Each by its name: the act, and the methods before which it can happen, or
# None for all.
FULL = {
    'full, stage 4': (fill_up(4), None),
    'full, stage 5': (fill_up(5), None),
    'volumeCountMax': (reach_volume_count, None),
    'account limits': (reach_account_limits, None),
    'read-only': (lose_write_access, None),
}

GONE = {
    'templates gone': (remove_templates, None),
    'templates deleted, not purged': (delete_templates, None),
    'clone gone': (remove_clones, _BEFORE_IT_IS_DONE),
    'template account gone': (remove_template_account, None),
    'tenant account gone': (remove_tenant_accounts, _BEFORE_IT_IS_DONE),
}
