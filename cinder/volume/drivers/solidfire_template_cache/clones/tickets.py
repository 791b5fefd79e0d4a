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


"""The clones that wait or run, and the slots that they use."""

from typing import Optional

from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.clones import sources


class Ticket(object):
    """The place of one clone in the queue of its image.

    :ivar slot: what it was assigned; None while it waits
    """

    def __init__(self, group: 'Group', number: int, now: float) -> None:
        self.group = group
        self.number = number
        self.arrived = now
        self.slot: Optional['Slot'] = None


class Slot(object):
    """A slot of a source, in use from its assignment to its release.

    :ivar ticket: the clone that uses it; None for a replica
    :ivar started: when the cluster accepted the clone; None before
    :ivar volume_id: of the clone; None before
    """

    def __init__(self, group: 'Group', source: slots.SourceSlots,
                 ticket: Optional[Ticket]) -> None:
        self.group = group
        self.source = source
        self.ticket = ticket
        self.started: Optional[float] = None
        self.volume_id: Optional[int] = None


class Group(object):
    """The clones of one version of an image that wait or run."""

    def __init__(self, source_set: sources.SourceSet) -> None:
        self.source_set = source_set
        self.max_replicas = source_set.max_replicas
        self.source_ids: list[int] = []
        self.sizes: dict[int, int] = {}
        """Bytes of each source."""
        # Sources with higher ids were made since the group began.
        self.newest_id = max((each.id for each in source_set.sources),
                             default=0)
        # No replica is tried before.
        self.no_replica_until = 0.0
        # Whether the sources are to be listed again.
        self.outdated = False
        self.waiting: list[Ticket] = []
        self.used: set[Slot] = set()
        self.gathering_since = 0.0
        self.gather_until = 0.0
        # Replicas that were made and not listed yet.
        self.unlisted: set[int] = set()
        # Whether the running clones were listed since it was idle.
        self.observed = False

    @property
    def idle(self) -> bool:
        """Whether no clone waits or runs."""
        return not self.waiting and not self.used
