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

"""From a ready template to a finished clone.

The cluster runs few clones of one volume at a time. Requests of this
process wait for their turn in the order in which they came; other hosts
compete for the same places, so the cluster may still say that it is busy,
and then the one whose turn it is tries again.
"""

import dataclasses
import functools
import random
import threading

import cachetools
from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import turns

LOG = logging.getLogger(__name__)

# Seconds between two looks at a running clone, growing from the first to
# the last: clones take seconds, and some tens of them on a busy cluster.
_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.1, 2.0, 1.6

# Seconds between two tries for a place that other hosts hold.
_FIRST_TRY, _LAST_TRY = 0.5, 5.0

# Looks at a job that the cluster does not know before it counts as lost: a
# fresh handle may be unknown for a moment.
_UNKNOWN_LOOKS = 5

# Seconds to see a cancelled clone end.
_ABANDON_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Order(object):
    """The clone that is asked for."""

    name: str
    account_id: int
    size: int
    """Bytes."""
    enable_512e: bool
    attributes: dict
    qos: dict
    """What the volume must have; the cluster's default for the rest."""


class CloneScheduler(object):
    """Makes clones on one cluster.

    :param client: an :class:`element.ElementClient`
    :param facts: the cluster's :class:`facts.ClusterFacts`
    :param timeout: seconds to wait for a turn, and then again for the
        clone to end (``sf_volume_clone_timeout``)
    """

    def __init__(self, client, facts, timeout, clock=None):
        self._client = client
        self._facts = facts
        self._timeout = timeout
        self._clock = clock or clocks.SystemClock()
        self._turnstile = turns.Turnstile(facts.clones_per_volume,
                                          self._clock)
        # Ids of volumes that this process is cloning; adding to a set and
        # discarding from it are atomic.
        self._under_way = set()
        # Seconds that the last clone of a template took, as seen from here.
        self._taken = cachetools.LRUCache(1024)
        self._lock = threading.Lock()

    def clone(self, source_id, source_size, order):
        """Make a clone and wait until it is whole.

        What a failed attempt made is removed before the error is raised; an
        error's notes name what could not be removed.

        :param source_id: volumeID of the template
        :param source_size: bytes of the template
        :param order: an :class:`Order`
        :returns: the new volume, a :class:`wire.Volume`
        :raises errors.NotFound: the template, or the account, is gone
        :raises errors.CloneTimedOut: no turn, or no end, in time
        :raises errors.CloneFailed: the cluster gave up
        :raises errors.ElementError: a call failed
        """
        deadline = self._clock.monotonic() + self._timeout
        try:
            with self._turnstile.turn(source_id, deadline) as place:
                started = self._start(place, source_id, source_size, order,
                                      deadline)
                self._under_way.add(started.volume.id)
                place.accepted()
                try:
                    return self._finish(source_id, started, order)
                finally:
                    self._under_way.discard(started.volume.id)
        except turns.TimedOut:
            raise self._timed_out(source_id, _('its turn did not come'))

    def is_cloning(self, source_id):
        """Tell whether a volume is being cloned, or is about to be here.

        :raises errors.ElementError: when the cluster does not tell
        """
        return source_id in self.sources()

    def sources(self):
        """Return the ids of volumes that are cloned, or about to be here.

        :raises errors.ElementError: when the cluster does not tell
        """
        return self._turnstile.keys() | self._client.list_clone_sources()

    def wait_idle(self, source_id):
        """Wait until no clone of a volume is running, on any host.

        :raises errors.ElementError: when that takes longer than a clone may
        """
        for running in self._watch([source_id], self._timeout):
            if not running:
                return

    def outwait_others(self, *source_ids):
        """Wait for the clones that run now and are not of this process.

        A clone in progress is in no list of volumes and its job does not
        tell its name, so any of them may be the one that somebody has lost
        sight of.

        :param source_ids: the volumes of which it may be a clone
        :raises errors.ElementError: when that takes longer than a clone may
        """
        if not source_ids:
            return
        suspects = None
        for running in self._watch(source_ids, self._timeout):
            # A lost one is in the list that is taken first.
            suspects = (running - self._under_way if suspects is None
                        else suspects & running)
            if not suspects:
                return

    # Starting

    def _start(self, place, source_id, source_size, order, deadline):
        """Start the clone as soon as the cluster has room for it."""
        pause = _FIRST_TRY
        while True:
            try:
                return element.repeat_looking(
                    lambda: self._client.clone_volume(
                        source_id, order.name, order.account_id,
                        order.enable_512e, order.attributes,
                        order.size if order.size != source_size else None),
                    lambda exc: self._settle(source_id, order, exc),
                    self._clock)
            except errors.Busy as exc:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise self._timed_out(source_id, exc.reason) from exc
                place.pause(min(left, pause * random.uniform(0.5, 1)))
                pause = min(pause * _GROWTH, _LAST_TRY)

    def _settle(self, source_id, order, cause):
        """Remove what a failed CloneVolume may have started after all.

        Where that cannot be made sure of, the error says so, and is final.
        """
        try:
            try:
                self.outwait_others(source_id)
            finally:
                # Also when nobody tells what runs: it may be done.
                self._client.remove_named(order.name)
        except errors.ElementError as failure:
            cause.add_note('a volume named %s may be left: %s'
                           % (order.name, failure))
            cause.kind = errors.Kind.FINAL

    def _watch(self, source_ids, seconds):
        """Yield the running clones of some volumes, again and again."""
        deadline = self._clock.monotonic() + seconds
        delay = _FIRST_LOOK
        while True:
            yield self._client.list_running_clones(*source_ids)
            if self._clock.monotonic() >= deadline:
                raise errors.ElementError(
                    'ListSyncJobs', 'TimedOut',
                    'clones of %s are still running'
                    % ', '.join(map(str, source_ids)))
            self._clock.sleep(delay)
            delay = min(delay * _GROWTH, _LAST_LOOK)

    # Finishing

    def _finish(self, source_id, started, order):
        try:
            self._check(source_id, started.volume, order)
            self._set_qos(started.volume, order)
            self._await(source_id, started)
            return self._identify(source_id, started.volume, order)
        except Exception as exc:
            self._abandon(source_id, started, order, exc)
            raise

    @staticmethod
    def _check(source_id, volume, order):
        if (volume.name, volume.account_id, volume.size) != (
                order.name, order.account_id, order.size):
            raise errors.CloneFailed(
                template=source_id,
                reason=_('the cluster made volume %(id)s, named %(name)s, '
                         'of %(size)s bytes for account %(account)s') % {
                    'id': volume.id, 'name': volume.name,
                    'size': volume.size, 'account': volume.account_id})

    def _identify(self, source_id, volume, order):
        """Return the volume as it can be told to others.

        Of a reply that contradicts itself nothing is believed; once the
        clone is done the cluster lists it.
        """
        if volume.tells_its_iqn:
            return volume
        found = self._client.find_volume(volume.id)
        if found is None:
            raise errors.CloneFailed(
                template=source_id,
                reason=_('volume %s is not there') % volume.id)
        self._check(source_id, found, order)
        return found

    def _set_qos(self, volume, order):
        """Give the clone its own limits where the template's differ."""
        wanted = dict(self._facts.default_qos(), **order.qos)
        if any(volume.qos.get(key) != value
               for key, value in wanted.items()):
            self._client.modify_volume(volume.id, qos=wanted)

    def _await(self, source_id, started):
        """Wait until the clone's job has ended well."""
        begun = self._clock.monotonic()
        unknown = 0
        for delay in self._looks(source_id):
            self._clock.sleep(delay)
            taken = self._clock.monotonic() - begun
            try:
                job = self._client.get_job(started.handle)
            except errors.NotFound:
                # Read before, in a reply that was lost, or too new.
                if self._client.find_volume(started.volume.id):
                    return
                unknown += 1
                self._check_known(source_id, started, unknown)
            else:
                if job.error:
                    raise errors.CloneFailed(template=source_id,
                                             reason=job.error)
                if job.done:
                    with self._lock:
                        self._taken[source_id] = taken
                    return
            if taken >= self._timeout:
                raise self._timed_out(source_id, _('its job still runs'))

    def _looks(self, source_id):
        """Yield the seconds from one look at a running clone to the next.

        The last clone of the same template tells when this one is likely to
        be done: the first look comes a little before that.
        """
        with self._lock:
            expected = min(self._taken.get(source_id, 0), _LAST_LOOK)
        if expected > _FIRST_LOOK:
            yield 0.9 * expected
        delay = _FIRST_LOOK
        while True:
            yield delay
            delay = min(delay * _GROWTH, _LAST_LOOK)

    def _check_known(self, source_id, started, unknown):
        if unknown >= _UNKNOWN_LOOKS and started.volume.id not in (
                self._client.list_running_clones(source_id)):
            raise errors.CloneFailed(
                template=source_id,
                reason=_('neither job nor volume is there'))

    def _abandon(self, source_id, started, order, cause):
        """Remove a clone whatever has become of it.

        By its name alone when the reply contradicts itself or the order: the
        volume that it told of may be another's.
        """
        sound = (started.volume.name == order.name and
                 started.volume.tells_its_iqn and
                 started.volume.id != source_id)
        volume_id = started.volume.id
        remove = (functools.partial(self._client.remove_volume, volume_id)
                  if sound else
                  functools.partial(self._client.remove_named, order.name))
        try:
            self._cancel(started)
            self._remove_when_done(source_id, volume_id, remove)
        except errors.ElementError as failure:
            cause.add_note('SolidFire volume %s may be left: %s'
                           % (volume_id, failure))

    def _remove_when_done(self, source_id, volume_id, remove):
        looks = self._watch([source_id], _ABANDON_SECONDS)
        while True:
            try:
                running = next(looks)
            except errors.ElementError:
                # Nobody tells whether it runs; it may be done.
                remove()
                raise
            # Looked at before: a volume that is in no job any more is there
            # to be removed, or it never will be.
            remove()
            if volume_id not in running:
                return

    def _cancel(self, started):
        if started.clone_id is None:
            return
        try:
            self._client.cancel_clone(started.clone_id)
        except errors.ElementError as exc:
            LOG.debug('Clone %(clone)s was not cancelled: %(error)s',
                      {'clone': started.clone_id, 'error': exc})

    def _timed_out(self, source_id, reason):
        return errors.CloneTimedOut(template=source_id, reason=reason,
                                    seconds=self._timeout)
