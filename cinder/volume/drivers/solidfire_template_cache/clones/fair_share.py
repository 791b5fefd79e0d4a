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


"""The share of the clone slots that this process takes, beside others.

Processes that serve one cluster have no coordinator. Each sees what runs on
the cluster, but not what waits elsewhere, nor whose the running clones are.
Where clones of others are seen, a process divides the slots by the number
of processes that it knows of: itself and those that made replicas lately.
Does no I/O.
"""

import math
from typing import Hashable
from typing import Optional

# Clones that other processes have waiting, beyond those that run: a process
# that is refused each time is not seen.
_HIDDEN = 3

# The least share of the slots that is assumed for this process.
_MIN_SHARE = 1 / 8

# A process that has made a replica counts for so many clone times.
_ACTIVE_CLONES = 4

# A process that has started more clones than the others leaves them this part
# of the difference, of which half is forgotten after so many clone times.
_REPAID, _HALF_LIFE = 0.5, 2.0

# How often a slot, of few, is left to others although none was seen: a process
# that has all slots does not see who waits for one.
_UNPROVOKED = 0.25


class FairShare(object):
    """What one process may use of the slots of one cluster."""

    def __init__(self) -> None:
        # Other processes, and when a new replica of theirs was last found.
        self._others: dict[Hashable, float] = {}
        # Slots that this process may use; None for no limit.
        self._allowed: Optional[int] = None
        self._total = 0
        self._saturated = False
        # Clones that were started, the older ones in part; until when.
        self._own_started = 0.0
        self._foreign_started = 0.0
        self._counted_until: Optional[float] = None
        self.outdated = False
        """Whether to list the running clones before the next start."""

    @property
    def contended(self) -> bool:
        """Whether clones of other processes were seen."""
        return self._allowed is not None

    def note_process(self, name: Hashable, now: float) -> None:
        """Note that another process makes replicas."""
        self._others[name] = now

    def note_started(self) -> None:
        """Note that the cluster accepted a clone of this process."""
        self._own_started += 1

    def note_foreign_started(self, count: int) -> None:
        """Note that so many clones of other processes were seen first."""
        self._foreign_started += count

    def update(self, own: int, foreign: int, total: int, queues: bool,
               clone_seconds: float, now: float) -> None:
        """Divide the slots, after a poll of the running clones.

        :param own: running clones of this process
        :param foreign: those of others
        :param total: slots of the sources of which clones wait
        :param queues: whether the cluster queues clones that it has no slot
            for, so that no refusal shows that the slot is taken
        """
        free = total - own - foreign
        was_saturated = self._saturated
        self._total, self._saturated = total, free <= 0
        self._allowed, self.outdated = None, False
        self._others = {
            name: seen for name, seen in self._others.items()
            if now - seen < _ACTIVE_CLONES * clone_seconds}
        self._forget_started(clone_seconds, now)
        if not foreign:
            if not self._saturated:
                self._own_started = self._foreign_started = 0.0
            return
        processes = max(2, 1 + len(self._others))
        if free > 0 and (queues or not was_saturated):
            # Nobody wants what was not taken since the last list.
            self._allowed = own + math.ceil(free / processes)
            return
        excess = self._own_started - self._foreign_started / (processes - 1)
        self._allowed = max(1, math.floor(
            math.ceil(total / processes) -
            _REPAID * min(max(excess, 0), total)))

    def _forget_started(self, clone_seconds: float, now: float) -> None:
        if self._counted_until is not None:
            part = 0.5 ** ((now - self._counted_until) / (
                _HALF_LIFE * max(clone_seconds, 0.001)))
            self._own_started *= part
            self._foreign_started *= part
        self._counted_until = now

    def allows(self, own: int) -> bool:
        """Return whether a process with so many clones may start another."""
        return self._allowed is None or own < self._allowed

    def note_end(self, queues: bool) -> None:
        """Note that a clone of this process has ended.

        :param queues: whether the cluster queues clones that it has no slot
            for
        """
        if queues and self._allowed is not None:
            self._allowed -= 1
            self.outdated = True

    def should_yield(self, chance: float) -> bool:
        """Return whether to leave a slot that became free to others.

        There may be fewer slots than processes, which then take turns. A
        process that has all of many slots leaves one in some clone times.

        :param chance: from 0 to 1, drawn at random
        """
        few = self._total < _HIDDEN + 2
        if self.contended:
            return self._saturated and few
        return self._saturated and chance < (
            _UNPROVOKED if few else _UNPROVOKED / self._total)

    @staticmethod
    def of_queue(own: int, foreign: int) -> float:
        """Return this process's share of all clones that wait, as a guess.

        :param own: running clones of this process
        :param foreign: those of others
        """
        if not foreign:
            return 1.0
        return max((own + 1) / (own + 1 + foreign + _HIDDEN), _MIN_SHARE)
