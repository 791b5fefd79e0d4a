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


"""What the rule for replicas is asked: a queue, and what can serve it.

Does no I/O.
"""

import math
from typing import Optional

from cinder.volume.drivers.solidfire_template_cache.clones import planning
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.clones import tickets

# See planning.Demand; found by simulation, with replicas placed at random and
# in turn.
_SURE_PART = 0.75

# One in so many clones is planned for in addition: some slots are lost
# between two clones.
_MARGIN = 16


def estimate(table: slots.SlotTable, group: tickets.Group, share: float,
             groups: int, duration: Optional[float],
             now: float) -> planning.Demand:
    """Return the queue of an image and what can serve it.

    :param table: the sources and their slots
    :param group: the clones of the image
    :param share: the part of all waiting clones that is of this process
    :param groups: number of images of which clones wait or run here
    :param duration: seconds that a clone takes; None when unknown
    """
    making = sum(slot.ticket is None for slot in group.used)
    queued = math.ceil(len(group.waiting) / share)
    sources = [table.sources[each] for each in group.source_ids]
    available = table.slots(sources)
    # Slots that will not be free soon.
    young = sum(source.foreign_young for source in sources) + sum(
        duration is None or slot.started is None or
        now - slot.started < duration / 2 for slot in group.used)
    # What other queues will leave is a guess.
    alone = share == 1 and groups == 1
    return planning.Demand(
        queued=queued,
        margin=queued // _MARGIN if alone else math.ceil(queued / _MARGIN),
        free=max(available - young, 1),
        slots=available, coming=round(making / share),
        per_source=table.limits.per_volume,
        capacity=max(available, _capacity(table, group, groups)),
        sure_part=_SURE_PART)


def _capacity(table: slots.SlotTable, group: tickets.Group,
              groups: int) -> int:
    """Return the slots of the cluster for the clones of one image."""
    used = sum(source.busy for source in table.sources.values()
               if source.id not in group.source_ids)
    capacity = table.capacity()
    return max(capacity - used, capacity // groups)
