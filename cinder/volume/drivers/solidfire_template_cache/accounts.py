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

"""Accounts on the cluster: found or created, and remembered."""

import string
import threading

from oslo_log import log as logging

from cinder import exception
from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

# As the stock driver has them, since both make the same tenants' accounts.
_SECRET_LENGTH = 12
_SECRET_SYMBOLS = (string.ascii_uppercase + string.digits,)


def get_or_create(client, name):
    """Return the account of that name, made when it is missing.

    :param client: an :class:`element.ElementClient`
    :rtype: wire.Account
    :raises errors.ElementError: when the cluster fails
    """
    account = client.get_account(name)
    if account:
        return account
    try:
        client.add_account(name, volume_utils.generate_password(
            length=_SECRET_LENGTH, symbolgroups=_SECRET_SYMBOLS))
        LOG.info('Created SolidFire account %s.', name)
    except errors.AlreadyExists:
        # Another host was first, or the reply to our own was lost.
        LOG.debug('SolidFire account %s was made meanwhile.', name)
    account = client.get_account(name)
    if account is None:
        raise exception.VolumeBackendAPIException(
            data=_('SolidFire account %s is gone right after it was made')
            % name)
    return account


class TenantAccounts(object):
    """The accounts that own tenants' volumes.

    What is remembered is a hint: :meth:`forget` drops it when a call that
    relied on it fails. CHAP secrets that an operator changes meanwhile do
    no harm, for the stock driver reads them anew at every attachment.

    :param client: an :class:`element.ElementClient`
    :param most_volumes: volumes to put into one account at the most
    """

    def __init__(self, client, most_volumes):
        self._client = client
        self._most_volumes = most_volumes
        self._lock = threading.Lock()
        self._known = {}

    def recall(self, name):
        """Return the remembered account with room for a volume, or None."""
        with self._lock:
            account, room = self._known.get(name, (None, 0))
            if room < 1:
                return None
            self._known[name] = (account, room - 1)
            return account

    def find(self, name):
        """Ask the cluster for the account to put a new volume into.

        When the tenant's account is full a second one serves, named like
        the first with an underscore behind, as in the stock driver.

        :raises errors.ElementError: when the cluster fails
        """
        account = get_or_create(self._client, name)
        if account.volume_count >= self._most_volumes:
            account = get_or_create(self._client, name + '_')
        room = self._most_volumes - account.volume_count
        if room < 1:
            raise errors.TemplateCacheError(
                reason=_('the SolidFire accounts %s and its second are full')
                % name)
        with self._lock:
            self._known[name] = (account, room - 1)
        return account

    def forget(self, name):
        """Drop what is remembered of an account."""
        with self._lock:
            self._known.pop(name, None)
