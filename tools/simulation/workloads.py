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

"""What is asked of the hosts, and what came of it."""

import bisect
import dataclasses
import itertools
import random
import statistics

import simpy

from simulation import cluster as cl
from simulation import host as host_mod
from simulation import housekeeping


@dataclasses.dataclass(frozen=True)
class Outcome(object):
    """What came of a workload; times in seconds."""

    ends: list[float]
    """When the last clone of each host was done."""
    times: list[float]
    """From each arrival to its end, sorted."""
    failed: int
    made: int
    """Replicas."""
    peak_replicas: int
    refused: int
    calls: dict[str, int]
    load: dict[int, int]
    """Calls in each second."""
    samples: list[tuple[float, int, int, int]]
    """Time, replicas, running and waiting clones."""

    @property
    def end(self):
        return max(self.ends)

    @property
    def unfairness(self):
        """How much longer the last host took than the first one."""
        return max(self.ends) / min(self.ends)

    @property
    def calls_a_second(self):
        """Calls in each second, sorted."""
        return sorted(self.load.get(second, 0)
                      for second in range(int(self.end) + 1))

    def percentile(self, percent):
        """Return the time that so many of the clones did not exceed."""
        return percentile(self.times, percent)


def percentile(values, percent):
    """Return a percentile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


class World(object):
    """A cluster, its hosts and a clock.

    :param hosts: number of hosts
    :param images: number of images, each with a template
    :param seed: of all random numbers
    """

    def __init__(self, hosts, images, seed, cluster_settings, host_settings):
        self.env = simpy.Environment()
        self.rng = random.Random(seed)
        self.cluster = cl.Cluster(self.env, cluster_settings,
                                  random.Random(seed + 0.25))
        for image in range(images):
            self.cluster.add_template(image)
        self.hosts = [
            host_mod.Host(self.env, self.cluster, host_settings,
                          random.Random(seed * 1000 + number + 0.5))
            for number in range(hosts)]
        self._samples = []

    def run(self, boots, sample_seconds=None):
        """Run until all boots are served.

        :param boots: time, number of the host and image of each
        """
        served = simpy.events.AllOf(self.env, [
            self.env.process(self._boot(*boot)) for boot in boots])
        if sample_seconds:
            self.env.process(self._sample(sample_seconds))
            for host in self.hosts:
                self.env.process(
                    housekeeping.Housekeeping(host, self.rng).run())
        self.env.run(until=served)
        used = [host for host in self.hosts if host.served]
        return Outcome(
            [max(end for _arrived, end in host.served) for host in used],
            sorted(end - arrived for host in used
                   for arrived, end in host.served),
            sum(host.failed for host in self.hosts),
            self.cluster.made, self.cluster.peak_replicas,
            self.cluster.refused, dict(self.cluster.calls),
            dict(self.cluster.load), self._samples)

    def _boot(self, time, host, image):
        yield self.env.timeout(time)
        yield from self.hosts[host].create(image)

    def _sample(self, seconds):
        while True:
            self._samples.append((
                self.env.now, self.cluster.replicas, self.cluster.running,
                sum(host.waiting() for host in self.hosts)))
            yield self.env.timeout(seconds)


def storm(size, hosts=1, images=1, own_images=False, seed=1, host=None,
          arrival=0.03, unrelated=0, **cluster_settings):
    """Create many volumes at once.

    :param unrelated: long clones of other volumes that run meanwhile
    :param own_images: whether each host has an image of its own, not all of
        them
    :param arrival: clone times in which all of them arrive
    """
    settings = cl.Settings(**cluster_settings)
    world = World(hosts, images, seed, settings,
                  host or host_mod.Settings())
    for _number in range(unrelated):
        world.cluster.clone_other(1000 * settings.seconds)
    return world.run([
        (world.rng.uniform(0, arrival) * settings.seconds, number % hosts,
         (number if own_images else number // hosts) % images)
        for number in range(size)])


def zipf(rng, images, count, exponent=1.0):
    """Draw images; number n is drawn in proportion to 1 / (n + 1)."""
    weights = list(itertools.accumulate(
        1 / (number + 1) ** exponent for number in range(images)))
    return [bisect.bisect(weights, rng.uniform(0, weights[-1]))
            for _number in range(count)]


def boots(rng, count, seconds, hosts, images, burst=None):
    """Draw arrivals, independent of each other, in order of time.

    :param burst: time, number and image of creates at once
    """
    found = [(rng.uniform(0, seconds), rng.randrange(hosts), image)
             for image in zipf(rng, images, count)]
    if burst:
        time, size, image = burst
        found.extend((time + rng.uniform(0, 1), number % hosts, image)
                     for number in range(size))
    return sorted(found)


def mean(values):
    return statistics.fmean(values)
