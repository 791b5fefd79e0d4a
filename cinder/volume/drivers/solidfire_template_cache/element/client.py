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

"""A client of the Element API: a method for each call, with typed errors.

The names of methods and parameters, and the API versions, stand here and in
:mod:`models` only. Source: NetApp's Element software API guide, release 12,
unless a docstring names another.
"""

from typing import Any
from typing import Callable
from typing import Dict
from typing import Hashable
from typing import Iterable
from typing import List
from typing import Optional
from typing import Set
from typing import Tuple

from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.element import retry
from cinder.volume.drivers.solidfire_template_cache.element import transport
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)

# The lowest API version that offers a method with the parameters used here
# (solidfire-sdk-python).
_VERSIONS = {
    'AddAccount': '1.0',
    'CancelClone': '9.0',
    'CloneVolume': '6.0',
    'CreateVolume': '1.0',
    'DeleteVolume': '1.0',
    'GetAccountByName': '1.0',
    'GetAsyncResult': '1.0',
    'GetClusterCapacity': '1.0',
    'GetClusterVersionInfo': '1.0',
    'GetDefaultQoS': '1.0',
    'GetLimits': '1.0',
    'ListSyncJobs': '1.0',
    'ListVolumeStats': '7.0',
    'ListVolumes': '8.0',
    'ModifyVolume': '1.0',
    'PurgeDeletedVolume': '1.0',
}

# Makes a value of a reply's result. Raises KeyError, TypeError or ValueError
# when it cannot.
_Reader = Callable[[Dict[str, Any]], Any]


class ElementClient(object):
    """Calls one cluster. Threads may share a client.

    Nothing is sent before the first call. Every method raises
    :class:`errors.ElementError`, or the subclass that its docstring names,
    when the call failed and :mod:`retry` allows no further attempt.
    """

    def __init__(self, endpoint: transport.Endpoint,
                 clock: clock.SystemClock) -> None:
        self._clock = clock
        self._transport = transport.Transport(endpoint, clock)

    def close(self) -> None:
        """Close the connections; a call opens them again."""
        self._transport.close()

    # Accounts

    def get_account(self, name: str) -> Optional[models.Account]:
        """Return the account of that name, or None."""
        try:
            return self._call('GetAccountByName', {'username': name},
                              lambda reply: models.Account.read(
                                  reply['account']))
        except errors.NotFound as exc:
            if exc.name != 'xUnknownAccount':
                raise
            return None

    def add_account(self, name: str, secret: str) -> None:
        """Create an account with one secret for both CHAP directions.

        The stock driver creates its accounts so, and expects it.

        :param secret: 12 to 16 characters
        :raises errors.AlreadyExists: when the name is taken
        """
        self._call('AddAccount', {
            'username': name, 'initiatorSecret': secret,
            'targetSecret': secret, 'attributes': {}})

    # Volumes

    def create_volume(self, name: str, account_id: int, size: int,
                      enable_512e: bool,
                      attributes: Dict[str, Any]) -> models.Volume:
        """Create a volume; see :func:`retry.retry_unless_done`.

        :param size: bytes
        :raises errors.NotFound: the account does not exist
        """
        return self._call('CreateVolume', {
            'name': name, 'accountID': account_id, 'totalSize': size,
            'enable512e': enable_512e, 'attributes': attributes},
            _read_volume)

    def list_volumes(self, name: str,
                     account_id: Optional[int] = None) -> List[models.Volume]:
        """Return the volumes of that name, deleted ones included.

        :param account_id: only those of this account
        """
        params: Dict[str, Any] = {'volumeName': name,
                                  'includeVirtualVolumes': False}
        if account_id is not None:
            params['accounts'] = [account_id]
        # A cluster that does not know a filter ignores it.
        return [volume for volume in self._list_volumes(params)
                if volume.name == name and
                account_id in (None, volume.account_id)]

    def list_account_volumes(self, account_id: int) -> List[models.Volume]:
        """Return all volumes of an account, deleted ones included."""
        params = {'accounts': [account_id], 'includeVirtualVolumes': False}
        return [volume for volume in self._list_volumes(params)
                if volume.account_id == account_id]

    def list_volumes_after(self, volume_id: int,
                           account_ids: Iterable[int]
                           ) -> List[models.Volume]:
        """Return the volumes of some accounts with an id above another one.

        Deleted ones are included.
        """
        return self._list_volumes({
            'accounts': sorted(account_ids), 'startVolumeID': volume_id + 1,
            'includeVirtualVolumes': False})

    def find_volume(self, volume_id: int) -> Optional[models.Volume]:
        """Return the volume with this id, unless it is absent or deleted."""
        try:
            found = self._list_volumes({'volumeIDs': [volume_id]})
        except errors.NotFound as exc:
            # It is not documented that unknown ids are left out.
            if exc.name not in errors.VOLUME_GONE:
                raise
            return None
        for volume in found:
            if volume.id == volume_id and volume.active:
                return volume
        return None

    def next_active_volume(self, volume_id: int) -> Optional[models.Volume]:
        """Return the volume with this id or, if there is none, the next."""
        found = self._list_volumes({'startVolumeID': volume_id, 'limit': 1,
                                    'volumeStatus': 'active'})
        return found[0] if found else None

    def modify_volume(self, volume_id: int, **changes: Any) -> models.Volume:
        """Change some members of a volume, and return it.

        :param changes: ``attributes`` (replaces all), ``access``, ``qos``
        :raises errors.NotFound: the volume does not exist
        """
        return self._call('ModifyVolume', dict(changes, volumeID=volume_id),
                          _read_volume)

    def remove_volume(self, volume_id: int) -> None:
        """Delete and purge a volume, unless it is gone already.

        A volume that is only deleted keeps its name for 8 hours.
        """
        for method in ('DeleteVolume', 'PurgeDeletedVolume'):
            try:
                self._call(method, {'volumeID': volume_id})
            except errors.NotFound as exc:
                if exc.name not in errors.VOLUME_GONE:
                    raise
                # Another host was first, or a reply was lost.
                LOG.debug('%(method)s: volume %(volume)s is gone: %(error)s',
                          {'method': method, 'volume': volume_id,
                           'error': log_utils.format_error(exc)})

    def remove_volumes_named(self, name: str) -> None:
        """Delete and purge all volumes of that name, deleted ones included.

        The stock driver creates no volume of a name that is in use.
        """
        for volume in self.list_volumes(name):
            LOG.info('Removing SolidFire volume %(volume)s, which an earlier '
                     'attempt has left with the name %(name)s.',
                     {'volume': volume.id, 'name': name})
            self.remove_volume(volume.id)

    # Clones

    def clone_volume(self, source_id: int, name: str, account_id: int,
                     enable_512e: bool, attributes: Dict[str, Any],
                     new_size: Optional[int] = None,
                     access: str = 'readWrite') -> models.StartedClone:
        """Start a clone; see :func:`retry.retry_unless_done`.

        :param new_size: bytes, or None for the size of the source
        :param access: ``readWrite`` or ``readOnly``
        :raises errors.Throttled: too many clones are running
        :raises errors.LimitExceeded: the account is full
        :raises errors.NotFound: the source or the account does not exist
        """
        params = {'volumeID': source_id, 'name': name,
                  'newAccountID': account_id, 'access': access,
                  'enable512e': enable_512e, 'attributes': attributes}
        if new_size is not None:
            params['newSize'] = new_size
        return self._call('CloneVolume', params, models.StartedClone.read)

    def get_job(self, handle: int) -> models.Job:
        """Return the state of an asynchronous job.

        The cluster forgets a job that is done once its state was read.

        :raises errors.NotFound: read before, or not known yet (the latter:
            solidfire-csi)
        """
        return self._call('GetAsyncResult', {'asyncHandle': handle},
                          models.Job.read)

    def cancel_clone(self, clone_id: int) -> None:
        """Stop a running clone."""
        self._call('CancelClone', {'cloneID': clone_id})

    def list_clones(self) -> List[models.RunningClone]:
        """Return all clones that run on the cluster.

        ListVolumes does not list what they will become as long as they run
        (NetApp Trident, issue 1008).
        """
        def read(reply: Dict[str, Any]) -> List[models.RunningClone]:
            clones = [models.RunningClone.read(job)
                      for job in models.read_list(reply['syncJobs'])
                      if isinstance(job, dict) and job.get('type') == 'clone']
            return [clone for clone in clones if clone is not None]

        return self._call('ListSyncJobs', {}, read)

    def list_running_clones(self, *source_ids: int) -> Set[int]:
        """Return the ids of the volumes that running clones will become.

        :param source_ids: only the clones of these volumes; without any,
            all clones
        """
        return {clone.volume_id for clone in self.list_clones()
                if not source_ids or clone.source_id in source_ids}

    def list_clone_sources(self) -> Set[int]:
        """Return the ids of the volumes that are being cloned."""
        return {clone.source_id for clone in self.list_clones()}

    def list_volume_nodes(self, volume_ids: Iterable[int]
                          ) -> Dict[int, Hashable]:
        """Return which service holds the metadata of some volumes.

        There is about one on each node.

        :returns: by volumeID; without the volumes of which the cluster does
            not report it
        """
        return self._call(
            'ListVolumeStats', {'volumeIDs': sorted(volume_ids)},
            lambda reply: models.read_primaries(reply['volumeStats']))

    # The cluster

    def get_clone_limits(self) -> Tuple[int, Optional[int]]:
        """Return how many clones of one volume, and on one node, may run.

        The latter is None on clusters that do not report it.
        """
        return self._call('GetLimits', {}, lambda reply: (
            models.read_limit(reply['cloneJobsPerVolumeMax']),
            models.read_limit(reply['cloneJobsPerNodeMax'])
            if reply.get('cloneJobsPerNodeMax') is not None else None))

    def count_nodes(self) -> int:
        """Return the number of storage nodes."""
        return self._call(
            'GetClusterVersionInfo', {},
            lambda reply: len(models.read_list(reply['clusterVersionInfo'])))

    def get_default_qos(self) -> Dict[str, int]:
        """Return the limits of volumes that are created without their own.

        :returns: ``minIOPS``, ``maxIOPS`` and ``burstIOPS``, as far as the
            cluster gives them
        """
        return self._call('GetDefaultQoS', {}, lambda reply: {
            key: reply[key] for key in ('minIOPS', 'maxIOPS', 'burstIOPS')
            if models.is_iops(reply.get(key))})

    def get_block_space(self) -> Tuple[Optional[int], Optional[int]]:
        """Return the bytes of block storage in use, and those in all.

        Both are None when the reply of the cluster lacks them.
        """
        return self._call('GetClusterCapacity', {}, _read_block_space)

    # Calls

    def _list_volumes(self, params: Dict[str, Any]) -> List[models.Volume]:
        return self._call('ListVolumes', params, lambda reply: [
            models.Volume.read(item)
            for item in models.read_list(reply['volumes'])])

    def _call(self, method: str, params: Dict[str, Any],
              read: Optional[_Reader] = None) -> Any:
        return retry.call(method,
                          lambda: self._attempt(method, params, read),
                          self._clock)

    def _attempt(self, method: str, params: Dict[str, Any],
                 read: Optional[_Reader]) -> Any:
        result = self._transport.call(method, _VERSIONS[method], params)
        try:
            return read(result) if read else None
        except (KeyError, TypeError, ValueError) as exc:
            raise errors.UnexpectedReply(
                method, 'BadReply',
                '%s: %s' % (type(exc).__name__, exc)) from exc


def _read_volume(reply: Dict[str, Any]) -> models.Volume:
    return models.Volume.read(reply['volume'])


def _read_block_space(
        reply: Dict[str, Any]) -> Tuple[Optional[int], Optional[int]]:
    capacity = reply['clusterCapacity']
    try:
        return (models.read_count(capacity['usedSpace']),
                models.read_count(capacity['maxUsedSpace']))
    except (KeyError, TypeError, ValueError) as exc:
        LOG.info('The reply to GetClusterCapacity lacks the block storage in '
                 'use: %(error)s.', {'error': log_utils.format_error(exc)})
        return None, None
