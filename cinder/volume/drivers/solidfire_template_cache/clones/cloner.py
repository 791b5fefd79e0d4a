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


"""Makes one clone that becomes a volume, and makes sure of it.

When a method fails, whatever was made has been removed; the notes of the
error name what could not be removed.
"""

import contextlib
import functools
from typing import Callable
from typing import Hashable

from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.element import retry
from cinder.volume.drivers.solidfire_template_cache import exceptions

LOG = logging.getLogger(__name__)

# Seconds to wait for the end of a cancelled clone.
_ABANDON_SECONDS = 60


class Cloner(object):
    """Makes clones on one cluster, without regard to its limits.

    :param cluster: the cluster
    :param info: what it says of itself
    :param clone_monitor: waits for clones
    """

    def __init__(self, cluster: cl.Cluster, info: cluster_info.ClusterInfo,
                 clone_monitor: monitor.CloneMonitor) -> None:
        self._client = cluster.client
        self._clock = cluster.clock
        self._info = info
        self._monitor = clone_monitor

    def start(self, source_id: int, source_size: int,
              wanted: spec.CloneSpec) -> models.StartedClone:
        """Start a clone.

        :param source_id: volumeID of the template
        :param source_size: bytes of the template
        :raises errors.Throttled: the cluster has no slot for it now
        :raises errors.NotFound: the template, or the account, is gone
        :raises errors.LimitExceeded: the account is full
        :raises errors.ElementError: a call failed
        """
        return retry.retry_unless_done(
            functools.partial(
                self._client.clone_volume, source_id, wanted.name,
                wanted.account_id, wanted.enable_512e, wanted.attributes,
                wanted.size if wanted.size != source_size else None),
            lambda error: self._reconcile(source_id, wanted, error),
            self._clock)

    def wait(self, key: Hashable, source_id: int,
             started: models.StartedClone, wanted: spec.CloneSpec) -> None:
        """Wait until the job of a clone is done.

        :param key: identifies the version of the image
        :raises exceptions.CloneTimeout: it is not done in time
        :raises exceptions.CloneFailed: the job failed
        :raises errors.ElementError: a call failed
        """
        try:
            self._monitor.wait_for_job(key, source_id, started)
        except Exception as exc:
            self._abandon(source_id, started, wanted, exc)
            raise

    def finish(self, source_id: int, started: models.StartedClone,
               wanted: spec.CloneSpec) -> models.Volume:
        """Make a clone whose job is done the volume that was requested.

        :returns: the volume as the cluster lists it, the only one of its
            name
        :raises exceptions.CloneSuperseded: a later attempt to create the
            volume has made another clone, which stays
        :raises exceptions.CloneFailed: it is not what was requested
        :raises errors.ElementError: a call failed
        """
        try:
            volume = self._confirm(source_id, started, wanted)
            self._set_qos(volume, wanted)
        except exceptions.CloneSuperseded:
            raise
        except Exception as exc:
            self._abandon(source_id, started, wanted, exc)
            raise
        return volume

    @staticmethod
    def is_consistent(source_id: int, started: models.StartedClone,
                      wanted: spec.CloneSpec) -> bool:
        """Return whether the volumeID in a CloneVolume reply can be right."""
        volume = started.volume
        return (volume.name == wanted.name and volume.iqn_matches_id and
                volume.id != source_id)

    def _reconcile(self, source_id: int, wanted: spec.CloneSpec,
                   error: errors.ElementError) -> None:
        """Remove what a failed CloneVolume may have started."""
        try:
            # No other request waits longer for a definite refusal.
            if not isinstance(error, (errors.NotFound,
                                      errors.LimitExceeded)):
                self._monitor.wait_for_foreign_clones(source_id)
        finally:
            # Even if it is unknown what runs: the clone may be done.
            self._client.remove_volumes_named(wanted.name)

    def _confirm(self, source_id: int, started: models.StartedClone,
                 wanted: spec.CloneSpec) -> models.Volume:
        """Make sure that the clone is whole and alone has its name.

        Other volumes of the name are of attempts to create the same volume,
        on any host. Volume ids only grow, so the one with the highest id is
        of the latest attempt, and all attempts agree on which one stays.
        """
        volume_id = started.volume.id
        found = self._monitor.wait_until_listed(wanted.name, volume_id)
        later = [volume.id for volume in found
                 if volume.id > volume_id and volume.status != 'deleted']
        listed = any(volume.id == volume_id for volume in found)
        if later and (listed or self.is_consistent(source_id, started,
                                                   wanted)):
            error = exceptions.CloneSuperseded(template=source_id,
                                               other=max(later))
            if listed:
                self._remove_superseded(volume_id, error)
            raise error
        clone = self._check(source_id, volume_id, wanted, found)
        for volume in found:
            if volume.id != volume_id:
                LOG.info('Removing SolidFire volume %(volume)s, which an '
                         'earlier attempt to create %(name)s has left.',
                         {'volume': volume.id, 'name': wanted.name})
                self._client.remove_volume(volume.id)
        return clone

    def _remove_superseded(self, volume_id: int,
                           error: exceptions.CloneSuperseded) -> None:
        """Remove the clone by its id alone; the other one must stay."""
        try:
            self._client.remove_volume(volume_id)
        except errors.ElementError as failure:
            error.add_note('SolidFire volume %s may be left: %s'
                           % (volume_id, failure))

    @staticmethod
    def _check(source_id: int, volume_id: int, wanted: spec.CloneSpec,
               found: list[models.Volume]) -> models.Volume:
        """Return the clone out of a listing if it is what was requested."""
        for volume in found:
            if volume.id == volume_id:
                break
        else:
            raise exceptions.CloneFailed(
                template=source_id,
                reason=_('volume %s was not found') % volume_id)
        if not volume.active or (
                volume.account_id, volume.size, volume.access) != (
                wanted.account_id, wanted.size, 'readWrite'):
            raise exceptions.CloneFailed(
                template=source_id,
                reason=_('volume %(id)s is %(status)s and %(access)s, has '
                         '%(size)s bytes and is owned by account '
                         '%(account)s') % {
                    'id': volume.id, 'status': volume.status,
                    'access': volume.access, 'size': volume.size,
                    'account': volume.account_id})
        return volume

    def _set_qos(self, volume: models.Volume, wanted: spec.CloneSpec) -> None:
        """Change the QoS, inherited from the template, where it differs."""
        qos = dict(self._info.default_qos(), **wanted.qos)
        if any(volume.qos.get(key) != value for key, value in qos.items()):
            self._client.modify_volume(volume.id, qos=qos)

    def _abandon(self, source_id: int, started: models.StartedClone,
                 wanted: spec.CloneSpec, cause: Exception) -> None:
        """Remove a clone, running or done, after an error."""
        try:
            self._cancel(started)
            self._remove_when_done(
                source_id, started.volume.id,
                functools.partial(self._remove, source_id, started, wanted))
        except errors.ElementError as failure:
            cause.add_note('SolidFire volume %s, named %s, may be left: %s'
                           % (started.volume.id, wanted.name, failure))

    def _cancel(self, started: models.StartedClone) -> None:
        if started.clone_id is None:
            return
        try:
            self._client.cancel_clone(started.clone_id)
        except errors.ElementError as exc:
            LOG.debug('Clone %(clone)s was not cancelled: %(error)s',
                      {'clone': started.clone_id, 'error': exc})

    def _remove_when_done(self, source_id: int, volume_id: int,
                          remove: Callable[[], None]) -> None:
        polls = self._monitor.running_clones([source_id], _ABANDON_SECONDS)
        while True:
            try:
                running = next(polls)
            except errors.ElementError:
                # It is unknown whether the clone is running; it may be done.
                remove()
                raise
            if volume_id not in running:
                # It can be removed now, or it will never exist.
                remove()
                return
            with contextlib.suppress(errors.ElementError):
                # Clusters may refuse to delete a clone in progress.
                remove()

    def _remove(self, source_id: int, started: models.StartedClone,
                wanted: spec.CloneSpec) -> None:
        """Remove the volume that a CloneVolume reply has named.

        A reply that contradicts itself or the request may have the id of
        another volume; then the name shows which volumes to remove.
        """
        volume_id = started.volume.id
        if self.is_consistent(source_id, started, wanted) or volume_id in [
                found.id for found in self._client.list_volumes(wanted.name)]:
            self._client.remove_volume(volume_id)
        else:
            self._client.remove_volumes_named(wanted.name)
