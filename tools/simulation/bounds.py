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

"""What the limits of a cluster allow at best."""

import bisect
import collections

from cinder.volume.drivers.solidfire_template_cache.clones import planning


def optimum(queue, capacity, per_source=2):
    """Return the fewest rounds for a queue, of all schedules.

    In each round, each slot makes a clone of the queue or a replica, which is
    a source from the next round on; the first round has the template alone.
    """
    start = min(per_source, capacity)
    served = [0] * (capacity + 1)
    rounds = 0
    while served[start] < queue:
        rounds += 1
        served = [max(
            slots - made + served[min(capacity, slots + per_source * made)]
            for made in range(slots + 1)) for slots in range(capacity + 1)]
    return rounds


def rule(queue, capacity, per_source=2, max_replicas=1000):
    """Return the rounds of the driver's rule, and its replicas."""
    start = min(per_source, capacity)
    demand = planning.Demand(queue, start, start, 0, per_source, capacity)
    made = planning.replicas(demand, max_replicas)
    return planning.rounds(demand, made), made


def ideal(arrivals, settings):
    """Return the times if any slot could serve any image, without calls.

    :param arrivals: times of arrival, in order
    """
    free = [0.0] * settings.capacity
    times = []
    for arrived in arrivals:
        end = max(arrived, free.pop(0)) + settings.seconds
        bisect.insort(free, end)
        times.append(end - arrived)
    return sorted(times)


def misses(images, kept):
    """Return the part of creates whose image has no template.

    :param images: the image of each create, in order
    :param kept: number of templates; the least recently used one is evicted
    """
    templates = collections.OrderedDict()
    missed = 0
    for image in images:
        missed += image not in templates
        templates[image] = None
        templates.move_to_end(image)
        if len(templates) > kept:
            templates.popitem(last=False)
    return missed / len(images)
