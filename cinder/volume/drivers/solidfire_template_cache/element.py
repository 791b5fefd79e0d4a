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

"""A client of the Element JSON-RPC API: one method a call, typed errors.

Wire names and API versions stand here and nowhere else in the package.
Protocol facts are those of NetApp's Element software API guide, release 12,
unless a comment names another source.
"""

import dataclasses
import math

from oslo_log import log as logging
import tenacity

from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import transport
from cinder.volume.drivers.solidfire_template_cache import wire

LOG = logging.getLogger(__name__)

RETRY_SECONDS = 30
"""How long a failing call is repeated: as long as the stock driver does."""

# Jitter, so that a crowd does not come back in step.
_WAIT = (tenacity.wait_exponential(multiplier=0.5, max=8) +
         tenacity.wait_random(0, 0.5))


@dataclasses.dataclass(frozen=True)
class _Method(object):
    version: str
    """The lowest API version that offers the method as it is used here."""
    repeatable: bool = True
    """Whether a repeat is harmless when the first try was carried out."""
    final_attempts: int = 1
    """Tries in the face of an error that says repeating is of no use."""


# What looks for leftovers and removes them insists a little, since what it
# gives up on stays behind. With the pauses between, four tries take more than
# 3.5 seconds: that a volume was left can be told by the time of a retry.
_INSIST = 4

_METHODS = {
    'AddAccount': _Method('1.0'),  # names are unique: a repeat is refused
    'CancelClone': _Method('9.0'),
    'CloneVolume': _Method('6.0', repeatable=False),
    'CreateVolume': _Method('1.0', repeatable=False),
    'DeleteVolume': _Method('1.0', final_attempts=_INSIST),
    'GetAccountByName': _Method('1.0'),
    'GetAsyncResult': _Method('1.0'),
    'GetClusterCapacity': _Method('1.0'),
    'GetDefaultQoS': _Method('1.0'),
    'GetLimits': _Method('1.0'),
    'ListSyncJobs': _Method('1.0', final_attempts=_INSIST),
    'ListVolumes': _Method('8.0', final_attempts=_INSIST),
    'ModifyVolume': _Method('1.0'),
    'PurgeDeletedVolume': _Method('1.0', final_attempts=_INSIST),
}


class ElementClient(object):
    """Calls one cluster. Threads may share a client.

    Nothing is sent before the first call. Every method raises
    :class:`errors.ElementError` (see there for the kinds) when the call
    failed and repeating it did not help, or could have done harm.

    :param endpoint: a :class:`transport.Endpoint`
    """

    def __init__(self, endpoint, clock=None):
        self._clock = clock or clocks.SystemClock()
        self._transport = transport.Transport(endpoint, self._clock)

    def close(self):
        """Close the connections; a call opens them again."""
        self._transport.close()

    # Accounts

    def get_account(self, name):
        """Return the account of that name, or None.

        :rtype: wire.Account
        """
        try:
            return self._call('GetAccountByName', {'username': name},
                              lambda reply: wire.Account.read(
                                  reply['account']))
        except errors.NotFound as exc:
            if exc.name != 'xUnknownAccount':
                raise
            return None

    def add_account(self, name, secret):
        """Create an account whose two CHAP secrets are the same.

        The stock driver expects them to be equal.

        :raises errors.AlreadyExists: when the name is taken
        """
        self._call('AddAccount', {
            'username': name, 'initiatorSecret': secret,
            'targetSecret': secret, 'attributes': {}})

    # Volumes

    def create_volume(self, name, account_id, size, enable_512e,
                      attributes):
        """Create a volume of ``size`` bytes; see :func:`repeat_looking`.

        :rtype: wire.Volume
        """
        return self._call('CreateVolume', {
            'name': name, 'accountID': account_id, 'totalSize': size,
            'enable512e': enable_512e, 'attributes': attributes},
            _read_volume)

    def list_volumes(self, name, account_id=None):
        """Return the volumes of that name, deleted ones among them.

        :param account_id: only those of this account
        :rtype: list of wire.Volume
        """
        params = {'volumeName': name, 'includeVirtualVolumes': False}
        if account_id is not None:
            params['accounts'] = [account_id]
        return [volume for volume in self._list_volumes(params)
                if volume.name == name and
                account_id in (None, volume.account_id)]

    def list_account_volumes(self, account_id):
        """Return all volumes of an account, deleted ones among them.

        :rtype: list of wire.Volume
        """
        params = {'accounts': [account_id], 'includeVirtualVolumes': False}
        return [volume for volume in self._list_volumes(params)
                if volume.account_id == account_id]

    def find_volume(self, volume_id):
        """Return the volume with this id unless absent or deleted."""
        try:
            found = self._list_volumes({'volumeIDs': [volume_id]})
        except errors.NotFound as exc:
            # Nobody has documented whether unknown ids are left out.
            if exc.name not in errors.VOLUME_GONE:
                raise
            return None
        for volume in found:
            if volume.id == volume_id and volume.active:
                return volume
        return None

    def next_active_volume(self, volume_id):
        """Return the volume with this id or the next one; None if none."""
        found = self._list_volumes({'startVolumeID': volume_id, 'limit': 1,
                                    'volumeStatus': 'active'})
        return found[0] if found else None

    def modify_volume(self, volume_id, **changes):
        """Change what is named, keep the rest.

        :param changes: ``attributes`` (the whole set), ``access``, ``qos``
        :rtype: wire.Volume
        """
        return self._call('ModifyVolume', dict(changes, volumeID=volume_id),
                          _read_volume)

    def remove_volume(self, volume_id):
        """Delete and purge a volume; one that is gone already is fine."""
        for method in ('DeleteVolume', 'PurgeDeletedVolume'):
            try:
                self._call(method, {'volumeID': volume_id})
            except errors.NotFound as exc:
                if exc.name not in errors.VOLUME_GONE:
                    raise
                # After a first try whose reply was lost, or another host.
                LOG.debug('%(method)s: volume %(volume)s is gone: %(error)s',
                          {'method': method, 'volume': volume_id,
                           'error': exc})

    def remove_named(self, name):
        """Remove every volume of that name, the deleted ones for good.

        The stock driver creates no volume whose name exists, and a deleted
        volume keeps its name until it is purged.
        """
        for volume in self.list_volumes(name):
            LOG.info('Removing SolidFire volume %(volume)s, a leftover of '
                     'the name %(name)s.',
                     {'volume': volume.id, 'name': name})
            self.remove_volume(volume.id)

    # Clones

    def clone_volume(self, source_id, name, account_id, enable_512e,
                     attributes, new_size=None):
        """Start a clone; see :func:`repeat_looking`.

        :param new_size: bytes, or None to keep the source's size
        :raises errors.Busy: when the cluster has no room for it now
        :rtype: wire.StartedClone
        """
        params = {'volumeID': source_id, 'name': name,
                  'newAccountID': account_id, 'access': 'readWrite',
                  'enable512e': enable_512e, 'attributes': attributes}
        if new_size is not None:
            params['newSize'] = new_size
        return self._call('CloneVolume', params, wire.StartedClone.read)

    def get_job(self, handle):
        """Return the state of an asynchronous job.

        The cluster forgets a finished job once its state was read.

        :raises errors.NotFound: read before, or too new to be known
        :rtype: wire.Job
        """
        return self._call('GetAsyncResult', {'asyncHandle': handle},
                          wire.Job.read)

    def cancel_clone(self, clone_id):
        """Stop a running clone."""
        self._call('CancelClone', {'cloneID': clone_id})

    def list_running_clones(self, *source_ids):
        """Return the ids of the volumes that running clones will make.

        A clone in progress is in no list of volumes.

        :param source_ids: of these volumes
        :rtype: set of int
        """
        return self._list_clones(
            'dstVolumeID', lambda job: job.get('srcVolumeID') in source_ids)

    def list_clone_sources(self):
        """Return the ids of the volumes that are being cloned.

        :rtype: set of int
        """
        return self._list_clones('srcVolumeID', lambda job: True)

    def _list_clones(self, member, wanted):
        """Return one member of each running clone that is wanted."""
        return self._call('ListSyncJobs', {}, lambda reply: {
            job.get(member) for job in wire.read_list(reply['syncJobs'])
            if isinstance(job, dict) and job.get('type') == 'clone' and
            wanted(job)})

    def get_clones_per_volume(self):
        """Return how many clones of one volume may run at a time."""
        return self._call('GetLimits', {}, lambda reply: wire.read_limit(
            reply['cloneJobsPerVolumeMax']))

    def get_default_qos(self):
        """Return the limits that volumes get which are given none."""
        return self._call('GetDefaultQoS', {}, lambda reply: {
            key: reply[key] for key in ('minIOPS', 'maxIOPS', 'burstIOPS')
            if wire.is_iops(reply.get(key))})

    def get_block_space(self):
        """Return the bytes of block storage in use, and those there are.

        None for both when the cluster's answer does not have them.
        """
        def read(reply):
            capacity = reply['clusterCapacity']
            try:
                return (wire.read_count(capacity['usedSpace']),
                        wire.read_count(capacity['maxUsedSpace']))
            except (KeyError, TypeError, ValueError) as exc:
                LOG.info('GetClusterCapacity does not tell the block '
                         'storage in use: %s', exc)
                return None, None

        return self._call('GetClusterCapacity', {}, read)

    # Below: repeats

    def _list_volumes(self, params):
        return self._call('ListVolumes', params, lambda reply: [
            wire.Volume.read(item)
            for item in wire.read_list(reply['volumes'])])

    def _call(self, method, params, read=None):
        """Call a method, repeat it where that helps, return what it says.

        :param read: makes a value of the reply's ``result``, and raises
            KeyError, TypeError or ValueError when it cannot
        """
        deadline = self._clock.monotonic() + RETRY_SECONDS
        retrying = tenacity.Retrying(
            retry=lambda state: self._may_repeat(method, state),
            stop=lambda state: self._clock.monotonic() >= deadline,
            wait=_WAIT,
            sleep=self._clock.sleep,
            before_sleep=self._log_repeat,
            reraise=True)
        return retrying(self._attempt, method, params, read)

    def _attempt(self, method, params, read):
        result = self._transport.call(method, _METHODS[method].version,
                                      params)
        try:
            return read(result) if read else None
        except (KeyError, TypeError, ValueError) as exc:
            raise transport.bad_reply(
                method, '%s: %s' % (type(exc).__name__, exc))

    @staticmethod
    def _may_repeat(method, state):
        error = state.outcome.exception()
        if not isinstance(error, errors.ElementError):
            return False
        attempts = 0
        if error.kind in (errors.Kind.TRANSIENT, errors.Kind.LOST):
            # Of a create or a clone, the caller looks before a repeat.
            if _METHODS[method].repeatable or isinstance(
                    error, errors.NotSent):
                attempts = errors.FEW_ATTEMPTS.get(error.name, math.inf)
        elif error.kind is errors.Kind.FINAL and not isinstance(
                error, errors.NotFound):
            attempts = _METHODS[method].final_attempts
        return state.attempt_number < attempts

    @staticmethod
    def _log_repeat(state):
        LOG.debug('Attempt %(count)s: %(error)s; will try again.',
                  {'count': state.attempt_number,
                   'error': state.outcome.exception()})


def repeat_looking(call, look, clock):
    """Make a call that must not be repeated blindly.

    :param call: the call
    :param look: takes the error; makes sure that nothing was carried out,
        or returns what was
    :param clock: as for :class:`ElementClient`
    :returns: what the call or the look returned
    :raises errors.ElementError: the last error, when repeating is of no use
    """
    deadline = clock.monotonic() + RETRY_SECONDS

    def attempt():
        try:
            return call()
        except (errors.Busy, errors.NotSent):
            raise
        except errors.ElementError as exc:
            found = look(exc)
            if found is None:
                raise
            return found

    retrying = tenacity.Retrying(
        retry=lambda state: (
            isinstance(state.outcome.exception(), errors.ElementError) and
            state.attempt_number < errors.most_attempts(
                state.outcome.exception())),
        stop=lambda state: clock.monotonic() >= deadline,
        wait=_WAIT, sleep=clock.sleep, reraise=True)
    return retrying(attempt)


def _read_volume(reply):
    return wire.Volume.read(reply['volume'])
