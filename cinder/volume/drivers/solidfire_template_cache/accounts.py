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

"""Accounts on the cluster: looked up or created, and cached."""

import string
import threading
from typing import MutableMapping
from typing import Optional

import cachetools
from oslo_log import log as logging

from cinder import exception
from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import single_flight
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

# As in the stock driver, since both create the accounts of projects.
_SECRET_LENGTH = 12
_SECRET_SYMBOLS = (string.ascii_uppercase + string.digits,)

_MAX_CACHED = 4096

# Seconds for which an account that refused a volume counts as full: volumes
# that are deleted meanwhile make it usable again.
_FULL_SECONDS = 600


def get_or_create(element_client: client.ElementClient,
                  name: str) -> models.Account:
    """Return the account of a name, which is created if it does not exist.

    :raises errors.ElementError: a call failed
    """
    account = element_client.get_account(name)
    if account:
        return account
    try:
        element_client.add_account(name, volume_utils.generate_password(
            length=_SECRET_LENGTH, symbolgroups=_SECRET_SYMBOLS))
        LOG.info('Created SolidFire account %s.', name)
    except errors.AlreadyExists:
        # Another host was first, or the reply to this request was lost.
        LOG.debug('SolidFire account %s already exists.', name)
    account = element_client.get_account(name)
    if account is None:
        raise exception.VolumeBackendAPIException(
            data=_('SolidFire account %s does not exist after it was '
                   'created') % name)
    return account


class TenantAccounts(object):
    """The accounts that own the volumes of projects.

    What is cached is a hint: :meth:`forget` and :meth:`mark_full` correct it
    when a call that relied on it fails. CHAP secrets that an operator
    changes meanwhile do no harm, for the stock driver reads them again at
    every attachment.

    :param max_volumes: number of volumes that one account can hold
    """

    def __init__(self, element_client: client.ElementClient, max_volumes: int,
                 clock: clock_mod.SystemClock) -> None:
        self._client = element_client
        self._max_volumes = max_volumes
        self._lock = threading.Lock()
        # Guarded by the lock: by name, an account and the number of volumes
        # that it can still take; the ids of accounts that are full.
        self._cached: MutableMapping[str, tuple[models.Account, int]] = (
            cachetools.LRUCache(_MAX_CACHED))
        self._full: MutableMapping[int, bool] = cachetools.TTLCache(
            _MAX_CACHED, _FULL_SECONDS, timer=clock.monotonic)
        self._lookups: single_flight.SingleFlight[models.Account] = (
            single_flight.SingleFlight())

    def get(self, name: str) -> models.Account:
        """Return the account that is to own a new volume.

        When the account of the name is full, a second account is used, with
        an underscore appended to its name, as in the stock driver. Requests
        that need the same account at the same time look it up once.

        :param name: name of the project's account
        :raises exceptions.AccountsFull: both accounts are full
        :raises errors.ElementError: a call failed
        """
        account = self._lookups.run(
            name, lambda: self._take_cached(name),
            lambda: self._look_up(name))
        # Other requests may have taken all the places that one has found.
        return account or self._look_up(name)

    def mark_full(self, account: models.Account) -> None:
        """Record that the cluster refused another volume in an account.

        Other hosts put volumes into the same account, so that it can be full
        before this process has counted as many.
        """
        with self._lock:
            self._full[account.id] = True

    def unmark_full(self, account: models.Account) -> None:
        """Take back :meth:`mark_full`: the refusal had another cause."""
        with self._lock:
            self._full.pop(account.id, None)

    def forget(self, name: str) -> None:
        """Remove an account from the cache."""
        with self._lock:
            self._cached.pop(name, None)

    def _look_up(self, name: str) -> models.Account:
        for account_name in (name, name + '_'):
            account = get_or_create(self._client, account_name)
            left = self._max_volumes - account.volume_count
            with self._lock:
                if left >= 1 and account.id not in self._full:
                    self._cached[name] = (account, left - 1)
                    return account
        raise exceptions.AccountsFull(name=name)

    def _take_cached(self, name: str) -> Optional[models.Account]:
        """Take a place in the cached account."""
        with self._lock:
            account, left = self._cached.pop(name, (None, 0))
            if account is None or left < 1 or account.id in self._full:
                return None
            self._cached[name] = (account, left - 1)
            return account
