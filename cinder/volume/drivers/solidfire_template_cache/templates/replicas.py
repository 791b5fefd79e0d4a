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


"""Replicas: further templates of an image, as long as a boot storm lasts.

The clone scheduler decides how many are made. Here is what that means for the
templates: what the limits allow, what is recorded, and when a replica is not
needed any more.
"""

import threading
from typing import Hashable
from typing import Iterable
from typing import MutableMapping
import weakref

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
from cinder.volume.drivers.solidfire_template_cache.templates import usage

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 300
"""A replica that was not seen in use for so long is not needed any more."""

_MAX_SEEN = 4096

# So many replicas are checked at once, and for so many seconds: other
# processes may make some meanwhile.
_MAX_CHECKED, _CHECK_SECONDS = 8, 2.0


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
        # Other processes count by it those that make replicas.
        self._maker = uuidutils.generate_uuid(dashed=False)[:8]
        # Guards how many replicas of a size the limits allowed lately.
        self._check_lock = threading.Lock()
        self._remaining = self._checked_size = 0
        self._checked = 0.0
        # Guards the templates of the images that are being cloned, by the
        # keys of their sources.
        self._lock = threading.Lock()
        self._known: MutableMapping[Hashable, _KnownTemplates] = (
            weakref.WeakValueDictionary())

    def source_set(self, image: metadata.Image,
                   templates: Iterable[model.Template]) -> 'TemplateSources':
        """Return the templates of an image, to be cloned for a request."""
        return TemplateSources(self, image, templates,
                               self._conf.sf_template_max_replicas)

    def known(self, key: Hashable) -> '_KnownTemplates':
        """Return what all requests with the same sources share.

        It exists for as long as one of them refers to it.
        """
        with self._lock:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = _KnownTemplates()
            return known

    def find(self, image: metadata.Image) -> tuple[model.Template, ...]:
        """Return the templates that the cluster has for an image now.

        :raises element.errors.ElementError: a call failed
        """
        return self._provider.find(image)

    def forget(self, template: model.Template) -> None:
        """Note that a template does not exist any more."""
        self._provider.forget(template)

    def remove_unrecorded(self, image: metadata.Image,
                          volume_id: int) -> bool:
        """Remove a new replica if it has lost its record.

        :returns: whether it was removed
        :raises element.errors.ElementError: a call failed
        """
        return self._store.remove_unrecorded(image.id, volume_id)

    def start(self, template: model.Template) -> models.StartedClone:
        """Start to clone a template into a replica.

        :raises exceptions.CapacityLimitReached: the limits do not allow it
        :raises element.errors.Throttled: the cluster has no slot for it
        :raises element.errors.ElementError: a call failed
        """
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
            if self._checked_size == size and self._remaining > 0 and (
                    now < self._checked + _CHECK_SECONDS):
                self._remaining -= 1
                return
            self._remaining = 0
            self._remaining = min(
                _MAX_CHECKED, self._capacity.check_replica(
                    size, self._clones.replicas_coming()))
            self._checked, self._checked_size = now, size

    def as_source(self, template: model.Template) -> sources.Source:
        """Describe a template to the clone scheduler."""
        maker = template.replica_maker
        return sources.Source(template.volume_id, template.size,
                              None if maker == self._maker else maker)


class _KnownTemplates(object):
    """The templates of one version of an image. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: MutableMapping[int, model.Template] = (
            cachetools.LRUCache(_MAX_SEEN))

    def add(self, templates: Iterable[model.Template]) -> None:
        with self._lock:
            self._found.update((each.volume_id, each) for each in templates)

    def get(self, volume_id: int) -> model.Template:
        with self._lock:
            return self._found[volume_id]


class TemplateSources(sources.SourceSet):
    """The templates of one version of an image, as sources of clones."""

    def __init__(self, replicas: Replicas, image: metadata.Image,
                 templates: Iterable[model.Template],
                 max_replicas: int) -> None:
        key = (image.id, image.updated_at, image.content)
        self._replicas = replicas
        self._image = image
        # A request is served by what other requests with this key have found
        # as well.
        self._known = replicas.known(key)
        super().__init__(key, self._as_sources(templates), max_replicas)

    def template(self, source_id: int) -> model.Template:
        """Return the template that is a source of this set."""
        return self._known.get(source_id)

    def refresh(self) -> list[sources.Source]:
        return self._as_sources(self._replicas.find(self._image))

    def forget(self, source_id: int) -> None:
        self._replicas.forget(self.template(source_id))

    def remove_unrecorded(self, volume_id: int) -> bool:
        return self._replicas.remove_unrecorded(self._image, volume_id)

    def start_replica(self, source_id: int) -> models.StartedClone:
        return self._replicas.start(self.template(source_id))

    def _as_sources(self, templates: Iterable[model.Template]
                    ) -> list[sources.Source]:
        templates = list(templates)
        self._known.add(templates)
        return [self._replicas.as_source(each) for each in templates]


class ReplicaUse(object):
    """When the replicas on one cluster were last seen in use.

    By the clock of this host: what others use is seen while it is cloned,
    and what this process uses is noted.

    :param cluster: the cluster
    :param clones: its clone scheduler
    :param uses: what this process used
    """

    def __init__(self, cluster: cl.Cluster, clones: scheduler.CloneScheduler,
                 uses: usage.UsageTracker) -> None:
        self._clock = cluster.clock
        self._clones = clones
        self._usage = uses
        self._seen: MutableMapping[int, float] = cachetools.LRUCache(
            _MAX_SEEN)

    def idle(self, replicas: list[model.Template]) -> list[model.Template]:
        """Return the replicas that were not seen in use for some time.

        :raises element.errors.ElementError: a call failed
        """
        if not replicas:
            return []
        now = self._clock.monotonic()
        busy = self._clones.sources()
        for each in replicas:
            if each.volume_id in busy:
                self._seen[each.volume_id] = now
        return [each for each in replicas if min(
            now - self._seen.setdefault(each.volume_id, now),
            self._usage.unused_seconds(each)) >= IDLE_SECONDS]
