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


"""The rule that decides how many replicas of a template a queue is worth.

The model has rounds of one clone time each. A source runs a few clones at a
time, all sources together as many as the cluster has slots for. A clone is
either one of the queue or a replica: a further source, from the next round
on. A replica that is made earlier is never worth less, so the best schedule
for a number of replicas makes them first, and only their number has to be
found: the one with the fewest rounds and, of several, the fewest replicas.

Does no I/O.
"""

import dataclasses
import functools
import math

# See Demand.sure_part; found by simulation.
_GAIN = 0.6

_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Demand(object):
    """A queue of clones of one image, and what can serve it."""

    queued: int
    """Clones that wait."""
    free: int
    """Slots for clones in the current round."""
    slots: int
    """Slots of the sources that there are, in a round of their own."""
    coming: int
    """Replicas that are being made; sources from the next round on."""
    per_source: int
    """Clones of one source that may run at the same time."""
    capacity: int
    """Slots of the cluster for clones of this image."""
    margin: int = 0
    """Clones to plan for in addition: some slots are lost between two
    clones. Both queues, with and without them, are to be done soon."""
    sure_part: float = 1.0
    """Part of the capacity up to which a replica adds all of its slots. The
    cluster chooses the node of a replica, and it may choose one whose slots
    are all used already, so a replica beyond this part counts less."""


def rounds(demand: Demand, replicas: int) -> int:
    """Return the rounds until the queue is done with so many replicas."""
    queued, made = demand.queued, replicas
    slots, available = float(demand.slots), demand.free
    coming, count = demand.coming, 0
    while queued > 0:
        making = min(made, available)
        made -= making
        queued -= available - making
        count += 1
        slots = _grow(demand, slots, coming + making)
        coming, available = 0, max(int(slots + _ROUNDING), 1)
        if not made:
            return count + -(-max(queued, 0) // available)
    return count


def _grow(demand: Demand, slots: float, replicas: int) -> float:
    """Return the slots there will be with further replicas."""
    more = demand.per_source * replicas
    sure = min(more, max(demand.sure_part * demand.capacity - slots, 0))
    return min(float(demand.capacity), slots + sure + (more - sure) * _GAIN)


@functools.lru_cache(4096)
def replicas(demand: Demand, max_more: int) -> int:
    """Return how many replicas to make for a queue.

    :param max_more: replicas that may be made at most
    """
    longer = dataclasses.replace(demand, queued=demand.queued + demand.margin)
    best, fewest = 0, rounds(demand, 0) + rounds(longer, 0)
    gain = _GAIN if demand.sure_part < 1 else 1.0
    # More than fill the cluster serve nobody.
    useful = math.ceil((demand.capacity - demand.slots) / (
        demand.per_source * gain)) - demand.coming
    for number in range(1, min(max_more, useful) + 1):
        count = rounds(demand, number) + rounds(longer, number)
        if count < fewest:
            best, fewest = number, count
    return best
