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


"""Replicas: further copies of a template, for as long as a rush lasts.

Whether a replica is worth it is decided by the clone scheduler; here is what
it means for the templates: what the limits allow, what is recorded, and when
a replica is not needed any more.
"""

import threading
from typing import Iterable
from typing import MutableMapping

import cachetools
from oslo_log import log as logging
from oslo_utils import uuidutils

from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import eviction
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import provider
from cinder.volume.drivers.solidfire_template_cache.templates import store

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 300
"""A replica that was not cloned for so long is not needed any more."""

_MAX_SEEN = 4096

# So many replicas are checked at once, and for so many seconds: other
# processes may make some meanwhile.
_MAX_ROOM, _CHECK_SECONDS = 8, 2.0


class Replicas(object):
    """The replicas on one cluster, as this process makes them.

    :param cluster: the cluster
    :param templates: its templates
    :param capacity: its limits
    :param provided: the templates as requests use them
    :param clones: its clone scheduler
    """

    def __init__(self, cluster: cl.Cluster, templates: store.TemplateStore,
                 capacity: eviction.CapacityManager,
                 provided: provider.TemplateProvider,
                 clones: scheduler.CloneScheduler) -> None:
        self._store = templates
        self._capacity = capacity
        self._provider = provided
        self._clones = clones
        self._conf = cluster.conf
        self._clock = cluster.clock
        # Others tell by it how many processes make replicas.
        self._maker = uuidutils.generate_uuid(dashed=False)[:8]
        # Guards how many replicas of a size the limits allowed lately.
        self._check_lock = threading.Lock()
        self._room = self._checked_size = 0
        self._checked = 0.0
        # By volumeID; requests for one image share their sources.
        self._lock = threading.Lock()
        self._templates: MutableMapping[int, model.Template] = (
            cachetools.LRUCache(_MAX_SEEN))

    def source_set(self, image: metadata.Image,
                   templates: Iterable[model.Template]) -> 'TemplateSources':
        """Return the templates of an image, to be cloned for a request."""
        return TemplateSources(self, image, self._as_sources(templates),
                               self._conf.sf_template_max_replicas)

    def template(self, source_id: int) -> model.Template:
        """Return the template that is a source."""
        with self._lock:
            return self._templates[source_id]

    def find(self, image: metadata.Image) -> list[sources.Source]:
        """Return the sources that the cluster has for an image now.

        :raises element.errors.ElementError: a call failed
        """
        return self._as_sources(self._provider.find(image))

    def forget(self, source_id: int) -> None:
        """Note that a template does not exist any more."""
        self._provider.forget(self.template(source_id))

    def remove_unrecorded(self, image: metadata.Image,
                          volume_id: int) -> bool:
        """Remove a new replica if it has lost its record.

        :returns: whether it was removed
        :raises element.errors.ElementError: a call failed
        """
        return self._store.remove_unrecorded(image.id, volume_id)

    def start(self, source_id: int) -> models.StartedClone:
        """Start to clone a template into a replica.

        :raises exceptions.CapacityLimitReached: the limits do not allow it
        :raises element.errors.Throttled: the cluster has no slot for it
        :raises element.errors.ElementError: a call failed
        """
        template = self.template(source_id)
        self._check_capacity(template.size)
        started = self._store.start_replica(template, self._maker,
                                            self._conf.sf_emulate_512)
        LOG.info('Making replica %(replica)s of template volume %(volume)s '
                 'of image %(image)s, for more clones at the same time.',
                 {'replica': started.volume.id,
                  'volume': template.volume_id,
                  'image': template.image.id})
        return started

    def _check_capacity(self, size: int) -> None:
        """Check the limits, for several replicas of a queue at once.

        :raises exceptions.CapacityLimitReached: the limits do not allow it
        """
        with self._check_lock:
            now = self._clock.monotonic()
            if self._checked_size == size and self._room > 0 and (
                    now < self._checked + _CHECK_SECONDS):
                self._room -= 1
                return
            self._room = 0
            self._room = min(_MAX_ROOM, self._capacity.check_replica(
                size, self._clones.replicas_coming()))
            self._checked, self._checked_size = now, size

    def _as_sources(self, templates: Iterable[model.Template]
                    ) -> list[sources.Source]:
        """Describe templates to the clone scheduler."""
        templates = list(templates)
        with self._lock:
            self._templates.update(
                (each.volume_id, each) for each in templates)
        return [sources.Source(
            each.volume_id, each.size,
            None if each.replica_maker == self._maker
            else each.replica_maker) for each in templates]


class TemplateSources(sources.SourceSet):
    """The templates of one version of an image, as sources of clones."""

    def __init__(self, replicas: Replicas, image: metadata.Image,
                 found: Iterable[sources.Source], max_replicas: int) -> None:
        super().__init__((image.id, image.updated_at, image.content), found,
                         max_replicas)
        self._replicas = replicas
        self._image = image

    def refresh(self) -> list[sources.Source]:
        return self._replicas.find(self._image)

    def forget(self, source_id: int) -> None:
        self._replicas.forget(source_id)

    def remove_unrecorded(self, volume_id: int) -> bool:
        return self._replicas.remove_unrecorded(self._image, volume_id)

    def start_replica(self, source_id: int) -> models.StartedClone:
        return self._replicas.start(source_id)


class ReplicaUse(object):
    """When the replicas on one cluster were last seen in use.

    By the clock of this host: what others use is seen while it is cloned.

    :param cluster: the cluster
    :param clones: its clone scheduler
    """

    def __init__(self, cluster: cl.Cluster,
                 clones: scheduler.CloneScheduler) -> None:
        self._clock = cluster.clock
        self._clones = clones
        self._seen: MutableMapping[int, float] = cachetools.LRUCache(
            _MAX_SEEN)

    def idle(self, replicas: list[model.Template]) -> list[model.Template]:
        """Return the replicas that have not been used for some time.

        :raises element.errors.ElementError: a call failed
        """
        if not replicas:
            return []
        now = self._clock.monotonic()
        busy = self._clones.sources()
        for each in replicas:
            if each.volume_id in busy:
                self._seen[each.volume_id] = now
        return [each for each in replicas
                if now - self._seen.setdefault(each.volume_id, now) >=
                IDLE_SECONDS]
