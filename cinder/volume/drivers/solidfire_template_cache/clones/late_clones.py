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

"""Removes clones of earlier attempts that end after a later one is done.

A host may die while its clone is running. The clone continues, is in no list
of volumes until it ends, and its job does not have its name. When Cinder
creates the volume again meanwhile, the end of that create cannot see it. So
housekeeping looks again, outside of requests, at what was created since its
last run, and watches the clones of other processes that are still running.
The first run of a process knows neither, and looks at all that there is.
"""

import dataclasses
import threading
from typing import Iterable
from typing import MutableMapping
from typing import TypeVar

import cachetools
from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache.clones import monitor
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import models

LOG = logging.getLogger(__name__)

_MAX_NAMES = 4096

_T = TypeVar('_T')


@dataclasses.dataclass(frozen=True)
class _Created(object):
    volume_id: int
    account_id: int


class LateClones(object):
    """The clones of earlier attempts on one cluster.

    :param cluster: the cluster
    :param clone_monitor: knows the running clones of this process
    """

    def __init__(self, cluster: cl.Cluster,
                 clone_monitor: monitor.CloneMonitor) -> None:
        self._client = cluster.client
        self._monitor = clone_monitor
        self._lock = threading.Lock()
        # Volumes that this process created, by name. Whatever else was to
        # have the name has ended, or was given up, after twice the time-out.
        self._created: MutableMapping[str, _Created] = cachetools.TTLCache(
            _MAX_NAMES, 2 * cluster.conf.sf_volume_clone_timeout,
            timer=cluster.clock.monotonic)
        # Of these, the names that no run has looked at.
        self._new: set[str] = set()
        # Names of volumes that the stock driver creates from a download, and
        # whether a run has looked at them.
        self._fallbacks: MutableMapping[str, bool] = cachetools.TTLCache(
            _MAX_NAMES, 2 * cluster.conf.sf_volume_clone_timeout,
            timer=cluster.clock.monotonic)
        # Clones of other processes that were running in the last run.
        self._running: set[int] = set()
        # An id that was in use before the last run that listed volumes; what
        # began later has a higher one, and the rest was listed or is watched.
        # Before the first such run, a late clone may have any id: its source
        # may be older than that of the later attempt, if that is a replica.
        self._last_id = 0

    def note_created(self, volume: models.Volume) -> None:
        """Remember a finished volume, whose name must remain its own."""
        with self._lock:
            self._created[volume.name] = _Created(volume.id,
                                                  volume.account_id)
            self._new.add(volume.name)

    def note_fallback(self, name: str) -> None:
        """Remember a volume that will be created from an image download."""
        with self._lock:
            self._fallbacks[name] = False

    def prune(self) -> None:
        """Remove the clones that have ended too late.

        Makes no call when this process has created nothing lately, else two,
        and one for each fallback and for each clone of another process. Only
        the first listing is of all volumes of the accounts concerned.

        :raises errors.ElementError: a call failed; the next run repeats it
        """
        with self._lock:
            created = _items(self._created)
            fallbacks = _items(self._fallbacks)
            self._new &= created.keys()
            new = [created[name] for name in self._new]
        if not created and not fallbacks:
            return
        running = self._client.list_running_clones()
        ended = self._running - running
        # Even if a call fails: the next run lists only what began later.
        self._running |= self._monitor.foreign(running)
        if new:
            self._prune_new(new, created)
        for name, seen in fallbacks.items():
            if not seen:
                self._prune_fallback(name)
        self._prune_ended(ended, created, fallbacks)

    def _prune_new(self, new: list[_Created],
                   created: dict[str, _Created]) -> None:
        """Look at the names since the last run; older clones were seen."""
        self._remove_earlier(
            self._client.list_volumes_after(
                self._last_id, {each.account_id for each in new}), created)
        self._last_id = max(each.volume_id for each in new)
        with self._lock:
            self._new = {name for name, each in _items(self._created).items()
                         if name in self._new and each not in new}

    def _prune_fallback(self, name: str) -> None:
        """Keep the latest volume of a name only; they are all its own."""
        found = self._client.list_volumes(name)
        active = [volume.id for volume in found if volume.active]
        self._remove_earlier(found, {
            name: _Created(max(active, default=0), 0)})
        with self._lock:
            if name in self._fallbacks:
                self._fallbacks[name] = True

    def _prune_ended(self, ended: Iterable[int],
                     created: dict[str, _Created],
                     fallbacks: dict[str, bool]) -> None:
        for volume_id in ended:
            volume = self._client.find_volume(volume_id)
            if volume and volume.name in fallbacks:
                self._prune_fallback(volume.name)
            elif volume:
                self._remove_earlier([volume], created)
            self._running.discard(volume_id)

    def _remove_earlier(self, volumes: Iterable[models.Volume],
                        created: dict[str, _Created]) -> None:
        for volume in volumes:
            later = created.get(volume.name)
            # Ids only grow, so a lower one is of an earlier attempt.
            if later and volume.id < later.volume_id:
                LOG.info('Removing SolidFire volume %(volume)s, the clone of '
                         'an earlier attempt to create %(name)s, which ended '
                         'after volume %(later)s was created.',
                         {'volume': volume.id, 'name': volume.name,
                          'later': later.volume_id})
                self._client.remove_volume(volume.id)


def _items(cache: MutableMapping[str, _T]) -> dict[str, _T]:
    """Return the items of a cache, which may expire meanwhile."""
    items = ((name, cache.get(name)) for name in list(cache))
    return {name: item for name, item in items if item is not None}
