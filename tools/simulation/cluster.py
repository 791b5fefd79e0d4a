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

"""A cluster as clone scheduling sees it: slots, limits and running clones."""

import collections
import dataclasses
from typing import Optional

from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.element import models

_VOLUME_BUSY, _NODE_BUSY = 'volume', 'node'


class Refused(Exception):
    """There is no slot for a clone.

    :ivar by_node: whether the node had its maximum, not the volume
    """

    def __init__(self, by_node):
        super().__init__()
        self.by_node = by_node


class Gone(Exception):
    """There is no such volume."""


class Full(Exception):
    """The limits of the templates do not allow a further replica."""


@dataclasses.dataclass(frozen=True)
class Settings(object):
    """What a cluster is like."""

    nodes: int = 4
    per_volume: int = 2
    per_node: int = 8
    seconds: float = 1.0
    """Duration of a clone."""
    spread: float = 0.0
    """Durations differ by up to this part of it, either way."""
    queues: bool = False
    """Whether clones beyond the limits wait, and are not refused."""
    random_placement: bool = False
    """Whether new volumes are on random nodes, not on one after the other."""
    tells_nodes: bool = True
    max_templates: int = 0
    """sf_template_max_count; 0 for no limit."""

    @property
    def capacity(self):
        """Number of clones that run at the same time at most."""
        return self.nodes * self.per_node

    @property
    def limits(self):
        return slots.Limits(self.per_volume, self.per_node)


class Job(object):
    """A clone from its start to its end.

    :ivar begun: when it got its slot; None while the cluster queues it
    :ivar seconds: that it takes from then on
    """

    def __init__(self, source_id, volume_id, seconds, replica_of, maker):
        self.source_id = source_id
        self.volume_id = volume_id
        self.seconds = seconds
        self.replica_of = replica_of
        self.maker = maker
        self.begun: Optional[float] = None
        self.done = False

    def elapsed(self, now):
        return 0.0 if self.begun is None else now - self.begun


class Cluster(object):
    """The cluster.

    :ivar templates: by image, the volumeIDs of the template and its
        replicas, in the order in which a host tries them
    :ivar makers: who made a replica, by its volumeID
    :ivar calls: number of calls by method
    :ivar load: number of calls by second
    """

    def __init__(self, env, settings, rng):
        self.env = env
        self.settings = settings
        self.templates = {}
        self.makers = {}
        self.calls = collections.Counter()
        self.load = collections.Counter()
        self.replicas = self.peak_replicas = self.made = self.refused = 0
        self._rng = rng
        self._next_id = 1
        self._nodes = {}
        self._jobs = {}
        self._pending = []
        self._of_volume = collections.Counter()
        self._of_node = collections.Counter()

    def count(self, method):
        """Note a call."""
        self.calls[method] += 1
        self.load[int(self.env.now)] += 1

    def add_template(self, image):
        """Add the template of an image."""
        self.templates[image] = [self._new_volume()]

    @property
    def running(self):
        """Number of clones that have a slot."""
        return len(self._jobs) - len(self._pending)

    # What hosts call

    def clone(self, source_id, replica_of=None, maker=None):
        """Start a clone."""
        if source_id not in self._nodes:
            raise Gone()
        busy = self._busy(source_id)
        if busy and not self.settings.queues:
            self.refused += 1
            raise Refused(busy == _NODE_BUSY)
        seconds = self.settings.seconds * (1 + self.settings.spread *
                                           self._rng.uniform(-1, 1))
        job = Job(source_id, self._new_volume(), seconds, replica_of, maker)
        self._jobs[job.volume_id] = job
        if busy:
            self._pending.append(job)
        else:
            self.env.process(self._run(job))
        return job

    def clone_other(self, seconds):
        """Clone a volume that is no template."""
        job = Job(self._new_volume(), self._new_volume(), seconds, None, None)
        self._jobs[job.volume_id] = job
        self.env.process(self._run(job))

    def check_replica(self, coming):
        """Raise unless the limits allow so many replicas more."""
        most = self.settings.max_templates
        if most and len(self.templates) + self.replicas + coming > most:
            raise Full()

    def running_clones(self):
        """Return what ListSyncJobs tells."""
        now = self.env.now
        return [models.RunningClone(
            job.source_id, job.volume_id,
            self._nodes.get(job.source_id) if self.settings.tells_nodes
            else None, job.seconds - job.elapsed(now) or None,
            job.elapsed(now) >= job.seconds / 2)
            for job in self._jobs.values()]

    def nodes_of(self, volume_ids):
        return {each: self._nodes[each] for each in volume_ids
                if each in self._nodes}

    def busy_sources(self):
        return {job.source_id for job in self._jobs.values()}

    def remove_replica(self, image, volume_id):
        """Remove a replica that is not being cloned."""
        if volume_id in self.makers and volume_id not in self.busy_sources():
            self.templates[image].remove(volume_id)
            del self.makers[volume_id], self._nodes[volume_id]
            self.replicas -= 1

    # Internals

    def _new_volume(self):
        volume_id = self._next_id
        self._next_id += 1
        self._nodes[volume_id] = (
            self._rng.randrange(self.settings.nodes)
            if self.settings.random_placement
            else volume_id % self.settings.nodes)
        return volume_id

    def _busy(self, source_id):
        """Return what has its maximum of clones; None if nothing has."""
        if self._of_volume[source_id] >= self.settings.per_volume:
            return _VOLUME_BUSY
        if self._of_node[self._nodes[source_id]] >= self.settings.per_node:
            return _NODE_BUSY
        return None

    def _run(self, job):
        node = self._nodes[job.source_id]
        self._of_volume[job.source_id] += 1
        self._of_node[node] += 1
        job.begun = self.env.now
        yield self.env.timeout(job.seconds)
        job.done = True
        self._of_volume[job.source_id] -= 1
        self._of_node[node] -= 1
        del self._jobs[job.volume_id]
        if job.replica_of is None:
            # Nobody clones it.
            del self._nodes[job.volume_id]
        else:
            self._add_replica(job)
        for pending in list(self._pending):
            if not self._busy(pending.source_id):
                self._pending.remove(pending)
                self.env.process(self._run(pending))
                # The slot is taken as soon as the process runs.
                yield self.env.timeout(0)

    def _add_replica(self, job):
        self.templates[job.replica_of].append(job.volume_id)
        self.makers[job.volume_id] = job.maker
        self.made += 1
        self.replicas += 1
        self.peak_replicas = max(self.peak_replicas, self.replicas)
