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


"""The clone slots of one cluster: those of each source and of each node.

The cluster limits the clones of one volume and of one node that run at the
same time. This process knows its own clones; those of other processes are
counted from the cluster's list of running clones, and a refusal shows that
there are more. Does no I/O, and is not safe for threads.
"""

import dataclasses
import random
from typing import Any
from typing import Hashable
from typing import Iterable
from typing import Mapping
from typing import MutableMapping
from typing import Optional

import cachetools

from cinder.volume.drivers.solidfire_template_cache.element import models

_MAX_NODES = 4096

# Seconds until the nodes of volumes are asked for again.
_NODE_SECONDS = 600.0

# Nodes of a cluster that does not report them: the smallest usual number.
_USUAL_NODES = 4


@dataclasses.dataclass(frozen=True)
class Limits(object):
    """What the cluster says of its clones and nodes."""

    per_volume: int = 2
    """cloneJobsPerVolumeMax of GetLimits."""
    per_node: int = 8
    """cloneJobsPerNodeMax of GetLimits."""
    nodes: Optional[int] = None
    """Number of storage nodes; None when unknown."""

    def with_nodes(self, nodes: Optional[int]) -> 'Limits':
        """Return the same limits with a number of nodes."""
        return dataclasses.replace(self, nodes=nodes)


class SourceSlots(object):
    """The slots of one source: the clones of it that run.

    :ivar own: those of this process
    :ivar foreign: number of those of other processes, as far as known
    :ivar blocked_until: when to try it again at the earliest
    """

    def __init__(self, source_id: int,
                 node: Optional[Hashable] = None) -> None:
        self.id = source_id
        self.node = node
        self.own: set[Any] = set()
        self.foreign = 0
        self.foreign_young = 0
        self.foreign_ids: set[int] = set()
        self.blocked_until = 0.0

    @property
    def busy(self) -> int:
        """Number of running clones, as far as known."""
        return len(self.own) + self.foreign


class SlotTable(object):
    """The sources on one cluster and their slots."""

    def __init__(self) -> None:
        self.limits = Limits()
        # Whether the cluster was seen to queue clones.
        self.queues = False
        # Whether nodes are those of `set_nodes`, not of running clones.
        self._nodes_given = False
        self.sources: dict[int, SourceSlots] = {}
        self._busy_nodes: dict[Hashable, float] = {}
        # Nodes of sources, also of those that were not used for a while, and
        # of the nodes as running clones have them.
        self._nodes: MutableMapping[int, Hashable] = cachetools.LRUCache(
            _MAX_NODES)
        self._names: dict[Hashable, Hashable] = {}
        self._nodes_since = 0.0
        # Running clones of other volumes than the sources, by node.
        self._others: dict[Hashable, int] = {}
        self.others = 0
        """Running clones of other volumes than the sources."""
        self.foreign_ids: set[int] = set()
        """The volumeIDs of all running clones that are not of this process,
        at the last poll."""
        # Slots of a cluster that does not report its nodes; refusals and
        # successes correct it.
        self._assumed = _USUAL_NODES * self.limits.per_node
        self._lowered = float('-inf')

    def add(self, source_id: int) -> None:
        """Add a source, unless it is known."""
        if source_id not in self.sources:
            self.sources[source_id] = SourceSlots(
                source_id, self._nodes.get(source_id))

    def discard(self, source_ids: Iterable[int]) -> None:
        """Forget sources that nothing uses."""
        for source_id in source_ids:
            self.sources.pop(source_id, None)

    def set_limits(self, limits: Limits) -> None:
        """Use what the cluster says."""
        if limits != self.limits:
            self.limits = limits
            self._assumed = _USUAL_NODES * limits.per_node

    def set_nodes(self, nodes: Mapping[int, Hashable]) -> None:
        """Use the nodes that the cluster reports of sources, by their id."""
        for source_id, node in nodes.items():
            self._nodes_given = True
            self._set_node(source_id, node)

    def without_node(self, now: float) -> list[int]:
        """Return the sources of which the node is to be asked for.

        Volumes may move to other nodes.
        """
        if now - self._nodes_since > _NODE_SECONDS:
            self._nodes_since = now
            self._nodes.clear()
            self._names.clear()
        return [source.id for source in self.sources.values()
                if source.id not in self._nodes]

    def forget_others(self) -> None:
        """Do not count the clones of other processes any more.

        Their ids are kept, so that it is noticed when they have ended.
        """
        self._others, self.others = {}, 0
        for source in self.sources.values():
            source.foreign = source.foreign_young = 0

    @property
    def running(self) -> int:
        """Number of clones of all sources that run, as far as known."""
        return sum(source.busy for source in self.sources.values())

    @property
    def foreign(self) -> int:
        """Number of those that are of other processes."""
        return sum(source.foreign for source in self.sources.values())

    def capacity(self) -> int:
        """Return how many clones the cluster runs at a time, about."""
        known = {source.node for source in self.sources.values()} - {None}
        if self.limits.nodes is None:
            return max(self._assumed, len(known) * self.limits.per_node,
                       self.limits.per_volume)
        return self.limits.per_node * max(self.limits.nodes, len(known))

    def slots(self, sources: Iterable[SourceSlots]) -> int:
        """Return how many clones some sources can run at a time."""
        by_node: dict[Optional[Hashable], int] = {}
        for source in sources:
            by_node[source.node] = (by_node.get(source.node, 0) +
                                    self.limits.per_volume)
        count = sum(number if node is None
                    else min(number, self.limits.per_node)
                    for node, number in by_node.items())
        return min(count, self.capacity())

    def choose(self, sources: Iterable[SourceSlots], now: float,
               rng: Optional[random.Random] = None
               ) -> Optional[SourceSlots]:
        """Return the source for the next clone; None when all are busy.

        Sources on nodes with few clones come first, and of these the first
        ones given, so that those beyond the need become idle.

        :param rng: given when other processes choose, too: if all took the
            same one, the cluster would refuse or queue most of them
        """
        load = self._load()
        free = [source for source in sources
                if source.busy < self.limits.per_volume and
                source.blocked_until <= now and
                self._node_is_free(source.node, load, now)]
        if not free:
            return None
        if rng is not None:
            return rng.choice(free)
        return min(free, key=lambda source: (
            load.get(source.node, 0) if source.node is not None else 0))

    def next_unblocked(self, now: float) -> Optional[float]:
        """Return when the next source is to be tried again; None if none."""
        times = [source.blocked_until for source in self.sources.values()]
        times.extend(self._busy_nodes.values())
        return min((time for time in times if time > now), default=None)

    def refused(self, source: SourceSlots, by_node: bool, now: float,
                until: float) -> None:
        """Note that the cluster refused a clone, for others are running.

        :param by_node: whether the node had its maximum, not the source
        :param until: when to try again at the earliest
        """
        self.queues = False
        source.blocked_until = max(source.blocked_until, until)
        if not by_node:
            source.foreign = max(source.foreign, self.limits.per_volume -
                                 len(source.own))
        elif source.node is not None:
            self._busy_nodes[source.node] = until
            # The volume may have moved; it is asked for again.
            self._nodes.pop(source.id, None)
        elif self._lowered < now:
            # The clones that run are not spread evenly, so the cluster may
            # have more slots than these.
            self._assumed = max(self.running, self._assumed // 2,
                                self.limits.per_volume)
            self._lowered = until

    def accepted(self, source: SourceSlots) -> None:
        """Note that the cluster accepted a clone."""
        self._busy_nodes.pop(source.node, None)
        if self.running >= self._assumed and not self.queues:
            self._assumed += self.limits.per_node

    def observe(self, clones: Iterable[models.RunningClone],
                own_ids: set[int], starting: dict[int, int]) -> set[int]:
        """Count the clones of other processes.

        :param clones: all clones that run on the cluster
        :param own_ids: volumeIDs of the clones of this process
        :param starting: by source, the clones of this process whose
            volumeID is not known yet; they may be among those that run
        :returns: the sources of which clones of other processes have ended
        """
        ended = set()
        self._others, self.others = {}, 0
        foreign: dict[int, list[models.RunningClone]] = {}
        listed: dict[int, int] = {}
        for clone in clones:
            source = self.sources.get(clone.source_id)
            self._note_node(clone, source)
            listed[clone.source_id] = listed.get(clone.source_id, 0) + 1
            if clone.volume_id in own_ids:
                continue
            foreign.setdefault(clone.source_id, []).append(clone)
            self.others += source is None
        if any(count > self.limits.per_volume for count in listed.values()):
            self.queues = True
        self.foreign_ids = {clone.volume_id for found in foreign.values()
                            for clone in found}
        for source in self.sources.values():
            found = foreign.get(source.id, [])
            source.foreign = max(
                0, len(found) - starting.get(source.id, 0))
            source.foreign_young = min(
                source.foreign, sum(not clone.half_done for clone in found))
            running = {clone.volume_id for clone in found}
            if source.foreign_ids - running - own_ids:
                ended.add(source.id)
            source.foreign_ids = running
        return ended

    def _note_node(self, clone: models.RunningClone,
                   source: Optional[SourceSlots]) -> None:
        """Learn from a running clone which node serves its source."""
        if clone.node is None:
            return
        if source is not None:
            if not self._nodes_given:
                self._set_node(source.id, clone.node)
            elif source.node is not None:
                self._names[clone.node] = source.node
            return
        node = (self._names.get(clone.node) if self._nodes_given
                else clone.node)
        if node is not None:
            self._others[node] = self._others.get(node, 0) + 1

    def _set_node(self, source_id: int, node: Hashable) -> None:
        self._nodes[source_id] = node
        if source_id in self.sources:
            self.sources[source_id].node = node

    def _load(self) -> dict[Hashable, int]:
        load = dict(self._others)
        for source in self.sources.values():
            if source.node is not None:
                load[source.node] = load.get(source.node, 0) + source.busy
        return load

    def _node_is_free(self, node: Optional[Hashable],
                      load: dict[Hashable, int], now: float) -> bool:
        return node is None or (
            load.get(node, 0) < self.limits.per_node and
            self._busy_nodes.get(node, 0.0) <= now)
