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


"""Decides which clone starts next, from which source, and when.

Clones of one version of an image wait in one queue, in order of arrival, for
a slot of any of its sources: the template and its replicas. Several images
share the slots of the cluster, and so do other processes. When a queue is
worth it (:mod:`planning`), a slot makes a further replica first.

Time and random numbers are handed in, so that the same code runs in a
simulation. Does no I/O, and is not safe for threads.
"""

import bisect
import itertools
import random
from typing import Hashable
from typing import Iterable
from typing import MutableMapping
from typing import Optional

import cachetools

from cinder.volume.drivers.solidfire_template_cache.clones import demand
from cinder.volume.drivers.solidfire_template_cache.clones import fair_share
from cinder.volume.drivers.solidfire_template_cache.clones import planning
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from cinder.volume.drivers.solidfire_template_cache.clones import tickets
from cinder.volume.drivers.solidfire_template_cache.element import models

# Seconds for which the first clone of an image waits for others to arrive: a
# boot storm whose size is known at its start ends a clone time sooner.
_GATHER_SECONDS, _MAX_GATHER_SECONDS = 0.015, 0.05

# Seconds that clones wait at most for the first list of the running ones.
_MAX_PROBE_SECONDS = 1.0

# Seconds between two polls of the running clones, relative to the duration
# of a clone or, as long as that is unknown, to the time waited.
_MIN_POLL, _MAX_POLL, _RELATIVE_POLL = 0.1, 2.0, 0.1

# Seconds for which what was seen of other processes is used.
_MAX_AGE = 2 * _MAX_POLL

# Seconds until a replica is tried again, after one was not possible.
_NO_REPLICA_SECONDS = 60.0

_MAX_DURATIONS = 1024


class Dispatcher(object):
    """The queues and the slots of one cluster, for one process.

    :param rng: random numbers, which keep processes from doing the same at
        the same time
    """

    def __init__(self, rng: Optional[random.Random] = None) -> None:
        self.table = slots.SlotTable()
        self._rng = rng or random.Random()
        self._share = fair_share.FairShare()
        self._groups: dict[Hashable, tickets.Group] = {}
        self._numbers = itertools.count()
        # When the running clones were last listed, or the first clone came.
        self._observed = 0.0
        self._durations: MutableMapping[Hashable, float] = (
            cachetools.LRUCache(_MAX_DURATIONS))

    # What happens

    def arrive(self, source_set: sources.SourceSet,
               now: float) -> tickets.Ticket:
        """Queue a clone."""
        if not self._groups:
            # Nothing is known of others, and nothing of it is too old.
            self._observed = now
        group = self._groups.setdefault(source_set.key,
                                        tickets.Group(source_set))
        self._add(group, source_set.sources)
        if group.idle:
            group.gathering_since = now
        if group.idle or now <= group.gather_until:
            group.gather_until = min(
                now + _GATHER_SECONDS,
                group.gathering_since + _MAX_GATHER_SECONDS)
        ticket = tickets.Ticket(group, next(self._numbers), now)
        group.waiting.append(ticket)
        return ticket

    def set_sources(self, group: tickets.Group,
                    found: Iterable[sources.Source], now: float) -> None:
        """Use those sources that the cluster has listed."""
        if self._groups.get(group.source_set.key) is not group:
            return  # its last clone has ended meanwhile
        found = list(found)
        group.outdated = False
        for source in self._add(group, found):
            if source.maker is not None and source.id > group.newest_id:
                self._share.note_process(source.maker, now)
        listed = {source.id for source in found}
        group.unlisted -= listed
        for source_id in list(group.source_ids):
            if source_id not in listed and not (
                    self.table.sources[source_id].own):
                group.source_ids.remove(source_id)
        self._discard_unused()

    def leave(self, ticket: tickets.Ticket) -> None:
        """Give up a place, whether it has a slot or not."""
        if ticket in ticket.group.waiting:
            ticket.group.waiting.remove(ticket)
        if ticket.slot is not None:
            self._release(ticket.slot)
        self._drop_if_idle(ticket.group)

    def accepted(self, slot: tickets.Slot, volume_id: int, now: float) -> None:
        """Note that the cluster runs the clone of a slot."""
        slot.started, slot.volume_id = now, volume_id
        self._share.note_started()
        self.table.accepted(slot.source)

    def refused(self, slot: tickets.Slot, by_node: bool, now: float) -> None:
        """Note that the cluster had no slot for a clone.

        :param by_node: whether the node had its maximum of clones
        """
        pause = self._poll_interval(slot.group, now)
        self.table.refused(slot.source, by_node, now,
                           now + pause * self._rng.uniform(0.5, 1))
        self._take_back(slot)
        self._drop_if_idle(slot.group)

    def source_is_gone(self, slot: tickets.Slot) -> None:
        """Note that the source of a slot does not exist any more."""
        self._take_back(slot)
        for group in self._groups.values():
            if slot.source.id in group.source_ids:
                group.source_ids.remove(slot.source.id)
        self._discard_unused()
        self._drop_if_idle(slot.group)

    def ended(self, slot: tickets.Slot, now: float,
              done: bool = True) -> None:
        """Note that a clone has ended.

        :param done: whether it is complete
        """
        group = slot.group
        if slot.started is not None and done:
            self._durations[group.source_set.key] = now - slot.started
        if self._share.should_yield(self._rng.random()):
            slot.source.blocked_until = max(
                slot.source.blocked_until, now + self._rng.uniform(1, 2) *
                self._poll_interval(group, now))
        if slot.ticket is None and not done:
            group.no_replica_until = now + _NO_REPLICA_SECONDS
        elif slot.ticket is None and slot.volume_id is not None:
            group.unlisted.add(slot.volume_id)
        self._release(slot)
        self._share.note_end(self.table.queues)
        self._drop_if_idle(group)

    def no_replica(self, slot: tickets.Slot, now: float,
                   temporary: bool) -> bool:
        """Note that no replica can be made for this queue now.

        :param temporary: whether that may be different soon
        :returns: whether that was not known
        """
        is_news = slot.group.no_replica_until <= now
        slot.group.no_replica_until = max(
            slot.group.no_replica_until,
            now + (self._duration(slot.group) if temporary
                   else _NO_REPLICA_SECONDS))
        self._release(slot)
        self._drop_if_idle(slot.group)
        return is_news

    def observe(self, clones: Iterable[models.RunningClone],
                now: float) -> list[tickets.Group]:
        """Take note of all clones that run on the cluster.

        :returns: the groups of which the sources are to be listed again: a
            clone of another process has ended, which may have been a replica
        """
        own: set[int] = set()
        starting: dict[int, int] = {}
        for slot in self._used():
            if slot.volume_id is None:
                starting[slot.source.id] = (
                    starting.get(slot.source.id, 0) + 1)
            else:
                own.add(slot.volume_id)
        known = self.table.foreign_ids
        ended = self.table.observe(clones, own, starting)
        # Those that are starting have no known volumeID yet.
        self._share.note_foreign_started(max(0, len(
            self.table.foreign_ids - known) - sum(starting.values())))
        self._observed = now
        for group in self._groups.values():
            group.observed = True
            group.outdated |= bool(group.unlisted) or (
                not ended.isdisjoint(group.source_ids))
        return [group for group in self._groups.values() if group.outdated]

    def divide(self, now: float) -> None:
        """Divide the slots among the processes.

        Called after a poll of the running clones, when the sources that have
        become known by it are set.
        """
        longest = max((self._duration(group)
                       for group in self._groups.values()), default=1.0)
        foreign, total = self.table.foreign, self._total()
        if not foreign and self.table.others > self.table.limits.per_volume:
            # Those of other images take slots of the same nodes.
            foreign = self.table.others
            total = min(total + foreign, self.table.capacity())
        self._share.update(len(self._used()), foreign, total,
                           self.table.queues, longest, now)

    def observe_none(self) -> None:
        """Note that the running clones cannot be listed at the moment."""
        for group in self._groups.values():
            group.observed = True

    # What follows

    def assign(self, now: float) -> list[tickets.Slot]:
        """Return the slots that are to be used now."""
        found: list[tickets.Slot] = []
        if now - self._observed > _MAX_AGE:
            self._forget_others()
        while True:
            slot = self._assign_one(now)
            if slot is None:
                return found
            found.append(slot)

    def hand_over(self, slot: tickets.Slot) -> None:
        """Give a slot to the next clone in the queue, if there is one.

        The clone that had it waits again.
        """
        first, group = slot.ticket, slot.group
        if first is None or not group.waiting:
            return
        slot.ticket = group.waiting.pop(0)
        slot.ticket.slot, first.slot = slot, None
        group.waiting.insert(0, first)

    def next_time(self, now: float) -> Optional[float]:
        """Return when `assign` may return more although nothing happens."""
        times = [group.gather_until for group in self._groups.values()
                 if group.waiting and group.gather_until > now]
        unblocked = self.table.next_unblocked(now)
        if unblocked is not None:
            times.append(unblocked)
        return min(times, default=None)

    def poll_delay(self, spread: float, now: float) -> float:
        """Return the seconds between two polls of the running clones.

        :param spread: from 0 to 1, drawn at random for each poll, so that
            the processes do not all poll at the same time
        """
        first = self.first_waiting()
        if first is None:
            return _MAX_POLL
        if any(self._is_probing(group, now)
               for group in self._groups.values()):
            return 0.0
        interval = self._poll_interval(first.group, now)
        return spread * interval if self._share.outdated else interval

    # Queries

    def first_waiting(self) -> Optional[tickets.Ticket]:
        """Return the clone that has waited longest."""
        return min((group.waiting[0] for group in self._groups.values()
                    if group.waiting), default=None,
                   key=lambda ticket: ticket.number)

    def source_ids(self) -> set[int]:
        """Return the sources of the clones that wait or run."""
        return {source_id for group in self._groups.values()
                for source_id in group.source_ids}

    def replicas_coming(self) -> int:
        """Return how many replicas this process is making."""
        return sum(slot.ticket is None for slot in self._used())

    # Internals

    def _assign_one(self, now: float) -> Optional[tickets.Slot]:
        """Assign a slot to the image with the fewest running clones."""
        if not self._share.allows(len(self._used())):
            return None
        for group in sorted(
                (group for group in self._groups.values()
                 if group.waiting and group.gather_until <= now),
                key=lambda group: (len(group.used),
                                   group.waiting[0].number)):
            if self._is_probing(group, now):
                continue
            source = self.table.choose(
                self._sources(group), now,
                self._rng if self._share.contended else None)
            if source is not None:
                return self._use(group, source, now)
        return None

    def _use(self, group: tickets.Group, source: slots.SourceSlots,
             now: float) -> tickets.Slot:
        ticket = None
        if not self._wants_replica(group, now):
            ticket = group.waiting.pop(0)
        slot = tickets.Slot(group, source, ticket)
        if ticket is not None:
            ticket.slot = slot
        source.own.add(slot)
        group.used.add(slot)
        return slot

    def _is_probing(self, group: tickets.Group, now: float) -> bool:
        """Return whether the running clones have to be listed first.

        A cluster may queue clones instead of refusing them, so that those of
        several processes would wait for one source while others are idle. And
        the first process to arrive would take the slots of all images.
        """
        if group.observed or not group.waiting or (
                now > group.gathering_since + _MAX_PROBE_SECONDS):
            return False
        several = sum(bool(each.waiting)
                      for each in self._groups.values()) > 1
        per_volume = self.table.limits.per_volume
        return (bool(group.used) and len(group.waiting) >= per_volume or
                several and len(self._used()) >= per_volume)

    def _wants_replica(self, group: tickets.Group, now: float) -> bool:
        """Return whether the next slot is to make a replica."""
        making = sum(slot.ticket is None for slot in group.used)
        max_more = group.max_replicas + 1 - making - len(group.unlisted) - len(
            group.source_ids)
        # A lone clone is never worth one, whatever other processes do.
        waiting = len(group.waiting)
        if max_more <= 0 or waiting < 2 or now < group.no_replica_until:
            return False
        wanted = demand.estimate(
            self.table, group,
            self._share.of_queue(len(self._used()), self.table.foreign),
            len(self._groups), self._durations.get(group.source_set.key), now)
        return planning.replicas(wanted, max_more) > 0

    def _total(self) -> int:
        """Return the slots of the sources of which clones wait."""
        return min(self.table.capacity(), sum(
            self.table.slots(self._sources(group))
            for group in self._groups.values() if group.waiting))

    def _duration(self, group: tickets.Group) -> float:
        return self._durations.get(group.source_set.key, 1.0)

    def _poll_interval(self, group: tickets.Group, now: float) -> float:
        seconds = self._durations.get(group.source_set.key)
        if seconds is None:
            seconds = now - group.gathering_since
        return min(max(_RELATIVE_POLL * seconds, _MIN_POLL), _MAX_POLL)

    def _sources(self, group: tickets.Group) -> list[slots.SourceSlots]:
        return [self.table.sources[source_id]
                for source_id in group.source_ids]

    def _used(self) -> list[tickets.Slot]:
        return [slot for group in self._groups.values()
                for slot in group.used]

    def _add(self, group: tickets.Group, found: Iterable[sources.Source]
             ) -> list[sources.Source]:
        """Add sources to a group; return those that are new to it."""
        new = []
        for source in found:
            self.table.add(source.id)
            group.sizes[source.id] = source.size
            if source.id not in group.source_ids:
                group.source_ids.append(source.id)
                new.append(source)
        return new

    def _take_back(self, slot: tickets.Slot) -> None:
        """Release a slot that was not used; its clone waits again."""
        ticket = slot.ticket
        self._release(slot)
        if ticket is not None:
            bisect.insort(slot.group.waiting, ticket,
                          key=lambda each: each.number)

    def _release(self, slot: tickets.Slot) -> None:
        slot.source.own.discard(slot)
        slot.group.used.discard(slot)
        if slot.ticket is not None:
            slot.ticket.slot = None

    def _drop_if_idle(self, group: tickets.Group) -> None:
        if group.idle and self._groups.get(group.source_set.key) is group:
            del self._groups[group.source_set.key]
            self._discard_unused()
            if not self._groups:
                self._forget_others()

    def _forget_others(self) -> None:
        """Forget what was seen of other processes."""
        self.table.forget_others()
        self._share = fair_share.FairShare()

    def _discard_unused(self) -> None:
        self.table.discard(set(self.table.sources) - self.source_ids())
