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

"""A host: the driver's dispatcher with simulated threads around it.

What the threads of the slot queue and of the clone scheduler do is done by
processes of the simulation; what starts when, and where, is decided by the
driver's own code.
"""

import dataclasses
import math
import uuid

from cinder.volume.drivers.solidfire_template_cache.clones import dispatch
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from simulation import cluster as cl
from simulation import polling

_SIZE = 1


@dataclasses.dataclass(frozen=True)
class Settings(object):
    """What a host is like; times in seconds."""

    latency: float = 0.005
    """Of an API call."""
    cpu: float = 0.001
    """Own time for a call, one call at a time."""
    max_replicas: int = 32
    timeout: float = 600.0
    housekeeping: float = 60.0


class Sources(sources.SourceSet):
    """The sources of an image as a host knows them; its calls take no time.

    The host waits for the call, before and after.
    """

    def __init__(self, host, image):
        super().__init__((image,), host.known_sources(image),
                         host.settings.max_replicas)
        self._host = host

    def refresh(self):
        self._host.known[self.image_id] = list(
            self._host.cluster.templates[self.image_id])
        return self._host.known_sources(self.image_id)

    def forget(self, source_id):
        if source_id in self._host.known[self.image_id]:
            self._host.known[self.image_id].remove(source_id)

    def start_replica(self, source_id):
        self._host.cluster.check_replica(
            self._host.dispatcher.replicas_coming())
        return self._host.cluster.clone(source_id, self.image_id,
                                        self._host.name)

    def remove_unrecorded(self, volume_id):
        return False


class Host(object):
    """One volume service.

    :ivar known: by image, the volumeIDs of the templates that it has cached
    :ivar served: arrival and end of each clone that was made
    :ivar failed: number of those that did not get a slot in time
    """

    def __init__(self, env, cluster, settings, rng):
        self.env = env
        self.cluster = cluster
        self.settings = settings
        self.name = uuid.UUID(int=rng.getrandbits(128)).hex[:8]
        self.dispatcher = dispatch.Dispatcher(rng)
        self.known = {}
        self.served = []
        self.failed = 0
        self._rng = rng
        self._monitor = polling.Monitor(self)
        self._cpu_free = 0.0
        self._nodes = None
        self._assigned = {}
        self._polling = False
        self._wake = None
        self._poller = None
        self._wakes_at = self._last_poll = 0.0
        self._spread = 1.0

    def call(self, method, action):
        """Make a call; a process."""
        self._cpu_free = (max(self._cpu_free, self.env.now) +
                          self.settings.cpu)
        way = self.settings.latency * self._rng.uniform(0.35, 0.65)
        yield self.env.timeout(self._cpu_free - self.env.now + way)
        self.cluster.count(method)
        try:
            return action()
        finally:
            yield self.env.timeout(way)

    def known_sources(self, image):
        """Return the sources of an image that are cached."""
        makers = self.cluster.makers
        return [sources.Source(each, _SIZE, None if makers.get(
            each, self.name) == self.name else makers[each])
            for each in self.known[image]]

    def waiting(self):
        """Return the number of clones without a slot."""
        return len(self._assigned)

    # Clones

    def create(self, image):
        """Clone an image; a process."""
        arrived = self.env.now
        if image not in self.known:
            self.known[image] = yield from self.call(
                'ListVolumes', lambda: list(self.cluster.templates[image]))
        table = self.dispatcher.table
        table.set_limits(self.cluster.settings.limits.with_nodes(
            table.limits.nodes))
        ticket = self.dispatcher.arrive(Sources(self, image), self.env.now)
        slot, job = yield from self._start(ticket)
        if job is not None:
            self.dispatcher.accepted(slot, job.volume_id, self.env.now)
            yield from self._monitor.wait(image, job)
            self.dispatcher.ended(slot, self.env.now)
            self._assign()
        self.dispatcher.leave(ticket)
        self._assign()
        if job is None:
            self.failed += 1
            return
        yield from self.call('ListVolumes', lambda: None)
        self.served.append((arrived, self.env.now))

    def _start(self, ticket):
        while True:
            assigned = self._assigned[ticket] = self.env.event()
            self._assign()
            slot = yield assigned
            if slot is None:
                return None, None
            job = yield from self._try(slot, 'CloneVolume', lambda: (
                self.cluster.clone(slot.source.id)))
            if job is not None:
                return slot, job

    def _try(self, slot, method, start):
        """Start a clone; return None when it has to wait again."""
        try:
            return (yield from self.call(method, start))
        except cl.Refused as exc:
            self.dispatcher.refused(slot, exc.by_node, self.env.now)
        except cl.Gone:
            slot.group.source_set.forget(slot.source.id)
            self.dispatcher.source_is_gone(slot)
        if slot.ticket is None:
            self._assign()
        return None

    # Replicas

    def _make_replica(self, slot):
        source_set = slot.group.source_set
        if self.cluster.settings.max_templates:
            yield from self.call('ListVolumes', lambda: None)
        try:
            yield from self.call('GetClusterCapacity', lambda: None)
            job = yield from self._try(slot, 'CloneVolume', lambda: (
                source_set.start_replica(slot.source.id)))
        except cl.Full:
            self.dispatcher.no_replica(slot, self.env.now, False)
            self._assign()
            return
        if job is None:
            return
        self.dispatcher.accepted(slot, job.volume_id, self.env.now)
        yield from self._monitor.wait(source_set.key, job)
        self.dispatcher.ended(slot, self.env.now)
        self._assign()
        yield from self._refresh(slot.group)

    def _refresh(self, group):
        found = yield from self.call('ListVolumes',
                                     group.source_set.refresh)
        self.dispatcher.set_sources(group, found, self.env.now)
        self._assign()

    # The queue

    def _assign(self):
        for slot in self.dispatcher.assign(self.env.now):
            if slot.ticket is None:
                self.env.process(self._make_replica(slot))
            else:
                self._assigned.pop(slot.ticket).succeed(slot)
        first = self.dispatcher.first_waiting()
        if first is None:
            return
        if not self._polling:
            self._polling = True
            self.env.process(self._poll_while_waiting())
        elif self._wake is not None and not self._wake.triggered and (
                first is not self._poller or
                self._next_time(first) < self._wakes_at):
            self._wake.succeed()

    def _next_poll(self, first):
        return max(self._last_poll, first.arrived) + (
            self.dispatcher.poll_delay(self._spread, self.env.now))

    def _next_time(self, first):
        changes = self.dispatcher.next_time(self.env.now)
        return min(self._next_poll(first),
                   math.inf if changes is None else changes)

    def _poll_while_waiting(self):
        """Do what the thread does that waits longest."""
        while True:
            self._give_up()
            first = self.dispatcher.first_waiting()
            if first is None:
                self._polling = False
                return
            if self.env.now >= self._next_poll(first):
                yield from self._poll()
            else:
                self._poller = first
                self._wakes_at = max(self._next_time(first),
                                     self.env.now + 0.001)
                self._wake = self.env.event()
                yield self._wake | self.env.timeout(
                    self._wakes_at - self.env.now)
                self._wake = None
            self._assign()

    def _give_up(self):
        """Drop the clones that have waited too long, the first ones."""
        while True:
            first = self.dispatcher.first_waiting()
            if first is None or (self.env.now - first.arrived <
                                 self.settings.timeout):
                return
            self.dispatcher.leave(first)
            self._assigned.pop(first).succeed(None)

    def _poll(self):
        table = self.dispatcher.table
        clones = yield from self.call('ListSyncJobs',
                                      self.cluster.running_clones)
        self._monitor.note_running(clones)
        unknown, nodes = table.without_node(self.env.now), {}
        if self.cluster.settings.tells_nodes:
            if self._nodes is None:
                self._nodes = yield from self.call(
                    'ListActiveNodes', lambda: self.cluster.settings.nodes)
            if unknown:
                nodes = yield from self.call(
                    'ListVolumeStats', lambda: self.cluster.nodes_of(unknown))
        table.set_nodes(nodes)
        # As the driver does: a shorter list of nodes is not complete.
        table.set_limits(table.limits.with_nodes(
            self._nodes if self._nodes and self._nodes >= 3 else None))
        for group in self.dispatcher.observe(clones, self.env.now):
            yield from self._refresh(group)
        self.dispatcher.divide(self.env.now)
        self._last_poll = self.env.now
        self._spread = self._rng.random()
