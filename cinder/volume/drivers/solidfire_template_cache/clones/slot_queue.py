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


"""The queue for clone slots that the threads of this process wait in.

The decisions are :class:`dispatch.Dispatcher`'s. Whichever thread has waited
longest polls the clones that run on the cluster, for all of them.
"""

import contextlib
import math
import random
import threading
from typing import Callable
from typing import Iterator
from typing import Optional

from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.clones import dispatch
from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from cinder.volume.drivers.solidfire_template_cache.clones import tickets
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)


class QueueTimeout(Exception):
    """The deadline passed before a slot was assigned."""


class SourcesGone(Exception):
    """There is no volume left to be cloned."""


class SlotQueue(object):
    """Assigns the clone slots of one cluster to threads.

    :param cluster: the cluster
    :param info: what it says of itself
    :param clone_monitor: gets the clones that run
    :param make_replica: called with each slot that is to make a replica; it
        must not block
    """

    def __init__(self, cluster: cl.Cluster, info: cluster_info.ClusterInfo,
                 clone_monitor: monitor.CloneMonitor,
                 make_replica: Callable[[tickets.Slot], None]) -> None:
        self._client = cluster.client
        self._clock = cluster.clock
        self._info = info
        self._monitor = clone_monitor
        self._make_replica = make_replica
        self._lock = threading.Lock()
        # What follows is guarded by the lock.
        self._dispatcher = dispatch.Dispatcher()
        self._conditions: dict[tickets.Ticket, threading.Condition] = {}
        self._polling = False
        # The ticket whose thread polls, and until when it waits.
        self._poller: Optional[tickets.Ticket] = None
        self._wakes_at = 0.0
        self._last_poll = 0.0
        self._spread = 1.0

    @contextlib.contextmanager
    def ticket(self, source_set: sources.SourceSet
               ) -> Iterator[tickets.Ticket]:
        """Queue a clone; its place is given up at the end of the block."""
        limits = self._info.clone_limits()
        with self._lock:
            table = self._dispatcher.table
            table.set_limits(limits.with_nodes(table.limits.nodes))
            ticket = self._dispatcher.arrive(source_set,
                                             self._clock.monotonic())
            self._conditions[ticket] = threading.Condition(self._lock)
        try:
            yield ticket
        finally:
            with self._lock:
                self._dispatcher.leave(ticket)
                del self._conditions[ticket]
                self._assign()

    def wait(self, ticket: tickets.Ticket,
             deadline: float) -> tickets.Slot:
        """Wait until a slot is assigned.

        :param deadline: by the clock's ``monotonic``, in seconds
        :raises QueueTimeout: the deadline passed first
        :raises SourcesGone: there is nothing left to be cloned
        """
        while True:
            with self._lock:
                self._assign()
                while not (ticket.slot or self._is_due(ticket)):
                    now = self._clock.monotonic()
                    if not ticket.group.source_ids:
                        raise SourcesGone()
                    if now >= deadline:
                        raise QueueTimeout()
                    self._wait(ticket, self._seconds(ticket, deadline, now))
                    self._assign()
                if ticket.slot:
                    return ticket.slot
                self._polling, self._poller = True, ticket
            self._poll(ticket)

    # What becomes of a slot

    def accepted(self, slot: tickets.Slot, volume_id: int) -> None:
        """Note that the cluster runs the clone of a slot."""
        with self._lock:
            self._dispatcher.accepted(slot, volume_id,
                                      self._clock.monotonic())

    def refused(self, slot: tickets.Slot, error: errors.Throttled) -> None:
        """Note that the cluster had no slot; the clone waits again."""
        with self._lock:
            self._dispatcher.refused(
                slot, error.name in errors.NODE_BUSY,
                self._clock.monotonic())
            self._assign()

    def source_is_gone(self, slot: tickets.Slot) -> None:
        """Note that the source of a slot is gone; the clone waits again."""
        with self._lock:
            self._dispatcher.source_is_gone(slot)
            self._notify_all()

    def ended(self, slot: tickets.Slot, done: bool) -> None:
        """Note that a clone has ended.

        :param done: whether it is complete
        """
        with self._lock:
            self._dispatcher.ended(slot, self._clock.monotonic(), done)
            self._assign()

    def no_replica(self, slot: tickets.Slot, temporary: bool) -> bool:
        """Note that no replica can be made for the queue of a slot now.

        :param temporary: whether that may be different soon
        :returns: whether that was not known
        """
        with self._lock:
            is_news = self._dispatcher.no_replica(
                slot, self._clock.monotonic(), temporary)
            self._assign()
            return is_news

    def refresh(self, group: tickets.Group) -> set[int]:
        """List the sources of an image, such as new replicas.

        :returns: their ids
        :raises errors.ElementError: a call failed
        """
        found = group.source_set.refresh()
        with self._lock:
            self._dispatcher.set_sources(group, found,
                                         self._clock.monotonic())
            self._assign()
            if not group.source_ids:
                self._notify_all()
        return {source.id for source in found}

    def forget_replica(self, group: tickets.Group, replica_id: int) -> None:
        """Do not expect any more that a replica is listed."""
        with self._lock:
            group.unlisted.discard(replica_id)

    # Queries

    def position(self, ticket: tickets.Ticket) -> tuple[int, int]:
        """Return how many clones of an image wait before one, and run."""
        with self._lock:
            group = ticket.group
            return (sum(each.number < ticket.number
                        for each in group.waiting), len(group.used))

    def source_ids(self) -> set[int]:
        """Return the sources of the clones that wait or run."""
        with self._lock:
            return self._dispatcher.source_ids()

    def replicas_coming(self) -> int:
        """Return how many replicas this process is making."""
        with self._lock:
            return self._dispatcher.replicas_coming()

    # Internals; with the lock held, but for _poll

    def _assign(self) -> None:
        failed = True
        while failed:
            failed = False
            found = self._dispatcher.assign(self._clock.monotonic())
            for slot in found:
                if self._polling and slot.ticket is self._poller:
                    # Its thread would leave the slot idle meanwhile.
                    self._dispatcher.hand_over(slot)
                if slot.ticket is not None:
                    self._conditions[slot.ticket].notify()
            for slot in found:
                if slot.ticket is None and not self._begin_replica(slot):
                    failed = True
        first = self._dispatcher.first_waiting()
        if first is None:
            return
        now = self._clock.monotonic()
        if first is not self._poller or (
                now + self._seconds(first, math.inf, now) < self._wakes_at):
            self._conditions[first].notify()

    def _begin_replica(self, slot: tickets.Slot) -> bool:
        try:
            self._make_replica(slot)
            return True
        except RuntimeError as exc:
            # There can be no further thread in this process.
            LOG.warning('No replica of template volume %(volume)s is made: '
                        '%(reason)s',
                        {'volume': slot.source.id,
                         'reason': log_utils.format_error(exc)})
            self._dispatcher.no_replica(slot, self._clock.monotonic(), False)
            return False

    def _wait(self, ticket: tickets.Ticket, seconds: float) -> None:
        if self._dispatcher.first_waiting() is ticket:
            self._poller = ticket
            self._wakes_at = self._clock.monotonic() + seconds
        self._clock.wait(self._conditions[ticket], seconds)

    def _notify_all(self) -> None:
        for condition in self._conditions.values():
            condition.notify()

    def _is_due(self, ticket: tickets.Ticket) -> bool:
        """Return whether the thread of a ticket is to poll now."""
        if self._polling or self._dispatcher.first_waiting() is not ticket:
            return False
        now = self._clock.monotonic()
        return now >= self._next_poll(ticket, now)

    def _next_poll(self, ticket: tickets.Ticket, now: float) -> float:
        delay = self._dispatcher.poll_delay(self._spread, now)
        return max(self._last_poll, ticket.arrived) + delay

    def _seconds(self, ticket: tickets.Ticket, deadline: float,
                 now: float) -> float:
        """Return how long the thread of a ticket waits at most."""
        if self._dispatcher.first_waiting() is not ticket:
            return deadline - now
        times = [deadline]
        if not self._polling:
            times.append(self._next_poll(ticket, now))
        changes = self._dispatcher.next_time(now)
        if changes is not None:
            times.append(changes)
        return max(min(times) - now, 0.001)

    def _poll(self, ticket: tickets.Ticket) -> None:
        """List the clones that run on the cluster, of all processes.

        :param ticket: of the thread that polls
        """
        try:
            clones = self._client.list_clones()
            self._monitor.note_running(clones)
            self._find_nodes()
            with self._lock:
                outdated = self._dispatcher.observe(clones,
                                                    self._clock.monotonic())
            self._refresh_all(outdated, ticket)
            with self._lock:
                self._dispatcher.divide(self._clock.monotonic())
        except errors.ElementError as exc:
            # The clones of this process continue; the next poll may succeed.
            LOG.debug('The running clones were not counted: %s',
                      log_utils.format_error(exc))
            with self._lock:
                self._dispatcher.observe_none()
        finally:
            with self._lock:
                self._polling = False
                self._last_poll = self._clock.monotonic()
                self._spread = random.random()

    def _refresh_all(self, groups: list[tickets.Group],
                     ticket: tickets.Ticket) -> None:
        """List the sources of some images, as long as a thread has time."""
        for group in groups:
            if ticket.slot and group is not ticket.group:
                continue  # at the next poll
            try:
                self.refresh(group)
            except errors.ElementError as exc:
                LOG.debug('The templates of image %(image)s were not listed: '
                          '%(error)s',
                          {'image': group.source_set.image_id,
                           'error': log_utils.format_error(exc)})

    def _find_nodes(self) -> None:
        """Ask for the nodes, which only several sources need."""
        with self._lock:
            unknown = self._dispatcher.table.without_node(
                self._clock.monotonic())
            limits = self._dispatcher.table.limits
        nodes = self._info.volume_nodes(unknown) if unknown else None
        count = self._info.nodes()
        with self._lock:
            self._dispatcher.table.set_nodes(nodes or {})
            self._dispatcher.table.set_limits(limits.with_nodes(count))
