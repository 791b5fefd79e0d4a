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

"""The scenarios of the page; each returns what JSON can hold."""

import itertools
import random

from simulation import bounds
from simulation import cluster as cl
from simulation import host as host_mod
from simulation import workloads

# A cluster and a volume service as they are, not the ideal ones of storms.
_HOST = host_mod.Settings(latency=0.02, cpu=0.003)

IMAGES, BOOTS, HOUR = 500, 10000, 3600


def _rounded(value):
    return round(value, 2)


def rule(queues, nodes):
    """Compare the rule with the best of all schedules."""
    return [{'nodes': number, 'queues': len(queues), 'least': min(queues),
             'most': max(queues), 'distance': max(
                 bounds.rule(queue, 8 * number)[0] -
                 bounds.optimum(queue, 8 * number) for queue in queues)}
            for number in nodes]


def storms(sizes, nodes, seeds):
    """Storms from one image, in one process."""
    host = host_mod.Settings(max_replicas=1000)
    found = []
    for number in nodes:
        for size in sizes:
            out = [workloads.storm(size, seed=seed, nodes=number, host=host)
                   for seed in range(seeds)]
            found.append({
                'nodes': number, 'size': size,
                'bound': bounds.optimum(size, 8 * number),
                'mean': _rounded(workloads.mean([one.end for one in out])),
                'max': _rounded(max(one.end for one in out)),
                'replicas': max(one.made for one in out)})
    return found


def processes(seeds):
    """Storms of 64 over several processes, on 4 nodes."""
    found = []
    for queues in (False, True):
        for hosts in (1, 2, 4):
            for images, own in ((1, False), (4, False), (4, True)):
                if own and hosts == 1:
                    continue
                out = [workloads.storm(64, hosts, images, own, seed,
                                       queues=queues)
                       for seed in range(seeds)]
                found.append({
                    'queues': queues, 'hosts': hosts, 'images': images,
                    'own': own,
                    'end': _rounded(workloads.mean([o.end for o in out])),
                    'max': _rounded(max(o.end for o in out)),
                    'ratio': _rounded(workloads.mean(
                        [o.unfairness for o in out])),
                    'max_ratio': _rounded(max(o.unfairness for o in out)),
                    'replicas': max(o.made for o in out),
                    'refused': max(o.refused for o in out)})
    return found


def hour(hosts, nodes, clone_seconds, boots=BOOTS, seconds=HOUR,
         max_replicas=32, burst=None, seed=1):
    """Independent requests for many images, with Zipf-like popularity.

    :returns: the results, and samples of the state over time
    """
    settings = cl.Settings(nodes=nodes, seconds=clone_seconds)
    host = host_mod.Settings(latency=_HOST.latency, cpu=_HOST.cpu,
                             max_replicas=max_replicas)
    world = workloads.World(hosts, IMAGES, seed, settings, host)
    asked = workloads.boots(world.rng, boots, seconds, hosts, IMAGES, burst)
    out = world.run(asked, sample_seconds=10)
    best = bounds.ideal([boot[0] for boot in asked], settings)
    rate = out.calls_a_second
    return {
        'hosts': hosts, 'nodes': nodes, 'clone_seconds': clone_seconds,
        'max_replicas': max_replicas, 'boots': len(asked),
        'served': len(out.times), 'failed': out.failed,
        'load': _rounded(len(asked) * clone_seconds / seconds /
                         settings.capacity),
        'throughput': _rounded(len(out.times) / out.end),
        'bound': _rounded(settings.capacity / clone_seconds),
        'times': [_rounded(out.percentile(each)) for each in (50, 95, 99)],
        'ideal': [_rounded(workloads.percentile(best, each))
                  for each in (50, 95, 99)],
        'calls': _rounded(workloads.mean(rate)), 'peak_calls': rate[-1],
        'listings': _rounded(out.calls.get('ListSyncJobs', 0) / out.end),
        'refused': _rounded(out.refused / len(asked)),
        'made': out.made, 'peak_replicas': out.peak_replicas}, out.samples


def _most(samples):
    """Return the minute, and the most of each value in it."""
    return [[minute, *(max(values) for values in list(zip(*group))[1:])]
            for minute, group in itertools.groupby(
                samples, lambda sample: int(sample[0] // 60))]


def hours(hosts, nodes, boots, seconds):
    """The same on clusters of several sizes, from several hosts."""
    return [hour(host, number, 2.0 if number == 1 else 7.0, boots, seconds)[0]
            for number in nodes for host in hosts]


def burst(boots, seconds):
    """A storm of 256 amid other requests, with and without replicas."""
    found = []
    for most in (32, 0):
        results, samples = hour(16, 4, 7.0, boots, seconds, most,
                                (seconds / 2, 256, 0))
        found.append(dict(results, samples=_most(samples)))
    return found


def overload(boots, seconds):
    """More than the cluster can do, for a while: 30 s for each clone."""
    return [hour(hosts, 4, 30.0, boots, seconds)[0] for hosts in (1, 16)]


def misses():
    """How many creates find no template, by sf_template_max_count."""
    images = workloads.zipf(random.Random(1), IMAGES, 2 * BOOTS)
    return [{'kept': kept, 'missed': round(bounds.misses(images, kept), 3)}
            for kept in (50, 100, 200, 300, 400, 500)]
