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


"""Clones of templates: queued, started in order of arrival, and confirmed."""

import threading
from typing import Optional

from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache.clones import cloner
from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.clones import late_clones
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.clones import slot_queue
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache.clones import tickets
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)

# Seconds in the queue after which a request logs that it waits.
_LOG_SECONDS = 10.0

# Listings of a replica that is done before it counts as gone.
_MAX_LISTINGS = 5


class CloneScheduler(object):
    """Makes clones on one cluster.

    ``sf_volume_clone_timeout`` limits the seconds in the queue, and again
    the seconds until the clone is done.
    """

    def __init__(self, cluster: cl.Cluster,
                 info: cluster_info.ClusterInfo) -> None:
        self._client = cluster.client
        self._clock = cluster.clock
        self._timeout = cluster.conf.sf_volume_clone_timeout
        self._monitor = monitor.CloneMonitor(cluster)
        self._cloner = cloner.Cloner(cluster, info, self._monitor)
        self._late = late_clones.LateClones(cluster, self._monitor)
        self._queue = slot_queue.SlotQueue(
            cluster, info, self._monitor, self._start_replica_thread)

    def clone(self, source_set: sources.SourceSet,
              wanted: spec.CloneSpec) -> tuple[models.Volume, int]:
        """Make a clone of whichever source has a slot, and wait for it.

        When it returns, the clone is the only volume of its name. When it
        raises, whatever was made has been removed; the notes of the error
        name what could not be removed.

        :returns: the volume as the cluster lists it, and the volumeID of its
            source
        :raises errors.NotFound: all sources, or the account, are gone
        :raises errors.LimitExceeded: the account is full
        :raises exceptions.CloneTimeout: no slot became free, or the clone
            was not done, in time
        :raises exceptions.CloneSuperseded: a later attempt to create the
            volume has made another clone, which stays
        :raises exceptions.CloneFailed: the clone's job failed, or the clone is
            not what was requested
        :raises errors.ElementError: a call failed
        """
        with self._queue.ticket(source_set) as ticket:
            slot, started = self._start(ticket, wanted)
            source_id = slot.source.id
            done = False
            try:
                with self._monitor.in_flight(started.volume.id):
                    self._queue.accepted(slot, started.volume.id)
                    self._cloner.wait(source_set.image_id, source_id,
                                      started, wanted)
                done = True
            finally:
                # For the next clone.
                self._queue.ended(slot, done)
        if self._cloner.is_consistent(source_id, started, wanted):
            # A late clone may end while this one is confirmed.
            self._late.note_created(started.volume)
        volume = self._cloner.finish(source_id, started, wanted)
        self._late.note_created(volume)
        return volume, source_id

    def note_fallback(self, name: str) -> None:
        """Remember a volume that will be created from an image download."""
        self._late.note_fallback(name)

    def prune_late_clones(self) -> None:
        """Remove clones of earlier attempts that ended after a later one.

        :raises errors.ElementError: a call failed
        """
        self._late.prune()

    def is_cloning(self, source_id: int) -> bool:
        """Return whether a volume is being cloned, or is about to be here.

        :raises errors.ElementError: a call failed
        """
        return source_id in self.sources()

    def sources(self) -> set[int]:
        """Return the ids of volumes being cloned, or about to be here.

        :raises errors.ElementError: a call failed
        """
        return self._queue.source_ids() | self._client.list_clone_sources()

    def replicas_coming(self) -> int:
        """Return how many replicas this process is making."""
        return self._queue.replicas_coming()

    def _start(self, ticket: tickets.Ticket, wanted: spec.CloneSpec
               ) -> tuple[tickets.Slot, models.StartedClone]:
        """Start the clone as soon as there is a slot for it."""
        deadline = self._clock.monotonic() + self._timeout
        refusal: Optional[str] = None
        gone = errors.NotFound('CloneVolume', 'xVolumeIDDoesNotExist',
                               'no template of the image is left')
        log_at = self._clock.monotonic() + _LOG_SECONDS
        while True:
            try:
                slot = self._queue.wait(ticket, min(deadline, log_at))
            except slot_queue.QueueTimeout as exc:
                if log_at < deadline:
                    log_at = deadline
                    self._log_waiting(ticket, wanted)
                    continue
                raise exceptions.CloneTimeout(
                    template=min(ticket.group.source_ids, default=None),
                    seconds=self._timeout,
                    reason=refusal or _('no clone slot became free')
                ) from exc
            except slot_queue.SourcesGone:
                raise gone
            source_id = slot.source.id
            try:
                return slot, self._cloner.start(
                    source_id, ticket.group.sizes[source_id], wanted)
            except errors.Throttled as exc:
                refusal = exc.reason
                self._queue.refused(slot, exc)
            except errors.NotFound as exc:
                if exc.name not in errors.VOLUME_GONE:
                    raise
                gone = exc
                self._queue.source_is_gone(slot)
                ticket.group.source_set.forget(source_id)

    def _log_waiting(self, ticket: tickets.Ticket,
                     wanted: spec.CloneSpec) -> None:
        ahead, running = self._queue.position(ticket)
        LOG.info('Volume %(name)s waits for a clone slot of image %(image)s: '
                 '%(ahead)s requests are ahead of it and %(running)s clones '
                 'of the image are running.',
                 {'name': wanted.name,
                  'image': ticket.group.source_set.image_id,
                  'ahead': ahead, 'running': running})

    # Replicas

    def _start_replica_thread(self, slot: tickets.Slot) -> None:
        threading.Thread(
            target=self._make_replica, args=(slot,), daemon=True,
            name='Replica of SolidFire volume %s' % slot.source.id).start()

    def _make_replica(self, slot: tickets.Slot) -> None:
        """Make a replica, and list it; never raises.

        Nothing has to be undone: a replica that was made although its reply
        was lost is found like any other.
        """
        source_set, source_id = slot.group.source_set, slot.source.id
        temporary = False
        try:
            started = source_set.start_replica(source_id)
        except errors.Throttled as exc:
            self._queue.refused(slot, exc)
            return
        except errors.ElementError as exc:
            if exc.name in errors.VOLUME_GONE:
                LOG.debug('Template volume %(volume)s was not cloned into a '
                          'replica: %(error)s',
                          {'volume': source_id, 'error': exc})
                self._queue.source_is_gone(slot)
                source_set.forget(source_id)
                return
            failure: Exception = exc
            # If the outcome is unknown, there may be one more replica soon.
            temporary = exc.retry_class is errors.RetryClass.TRANSIENT
        except Exception as exc:
            failure = exc
        else:
            self._wait_for_replica(slot, started)
            return
        if self._queue.no_replica(slot, temporary):
            LOG.info('No replica of template volume %(volume)s of image '
                     '%(image)s was made: %(reason)s',
                     {'volume': source_id, 'image': source_set.image_id,
                      'reason': log_utils.format_error(failure)})

    def _wait_for_replica(self, slot: tickets.Slot,
                          started: models.StartedClone) -> None:
        source_set, replica_id = slot.group.source_set, started.volume.id
        begin = self._clock.monotonic()
        done = False
        try:
            with self._monitor.in_flight(replica_id):
                self._queue.accepted(slot, replica_id)
                self._monitor.wait_for_job(source_set.image_id,
                                           slot.source.id, started)
            done = True
        except Exception as exc:
            LOG.info('Replica %(replica)s of template volume %(volume)s of '
                     'image %(image)s was not completed: %(reason)s',
                     {'replica': replica_id, 'volume': slot.source.id,
                      'image': source_set.image_id,
                      'reason': log_utils.format_error(exc)})
        finally:
            self._queue.ended(slot, done)
        if not done:
            return
        LOG.info('Made replica %(replica)s of template volume %(volume)s of '
                 'image %(image)s in %(seconds).1f s.',
                 {'replica': replica_id, 'volume': slot.source.id,
                  'image': source_set.image_id,
                  'seconds': self._clock.monotonic() - begin})
        try:
            self._list_replica(slot, replica_id)
        except Exception as exc:
            LOG.debug('The templates of image %(image)s were not listed: '
                      '%(error)s',
                      {'image': source_set.image_id,
                       'error': log_utils.format_error(exc)})

    def _list_replica(self, slot: tickets.Slot, replica_id: int) -> None:
        """List the sources until a new replica is among them."""
        intervals = self._monitor.poll_intervals()
        for _listing in range(_MAX_LISTINGS):
            if replica_id in self._queue.refresh(slot.group):
                return
            if slot.group.source_set.remove_unrecorded(replica_id):
                break
            self._clock.sleep(next(intervals))
        # It serves no clone, and the next one would not either.
        self._queue.forget_replica(slot.group, replica_id)
        self._queue.no_replica(slot, False)
