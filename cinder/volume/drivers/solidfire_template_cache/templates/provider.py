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

"""Provides a ready template of an image: finds it, or fills it once.

What this process knows of templates is cached, which saves calls; a call
that fails because of it corrects it.
"""

import dataclasses
import enum
import threading
from typing import Optional

import cachetools
from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.image import signatures
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume.drivers.solidfire_template_cache.templates import \
    fill_failures
from cinder.volume.drivers.solidfire_template_cache.templates import filler
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import pruning
from cinder.volume.drivers.solidfire_template_cache.templates import request
from cinder.volume.drivers.solidfire_template_cache.templates import store

LOG = logging.getLogger(__name__)

_MAX_CACHED = 4096


class Outcome(enum.Enum):
    """How a request came by its template; the value is logged."""

    HIT = 'hit'
    MISS = 'miss'
    WAITED = 'waited'


@dataclasses.dataclass(frozen=True)
class Provided(object):
    """A template that holds the image as the request knows it."""

    template: model.Template
    outcome: Outcome


class TemplateProvider(object):
    """The templates of one cluster, as requests use them.

    :param cluster: the cluster
    :param templates: its templates
    :param fills: fills them
    :param pruner: removes incomplete ones
    """

    def __init__(self, cluster: cl.Cluster, templates: store.TemplateStore,
                 fills: filler.TemplateFiller,
                 pruner: pruning.TemplatePruner) -> None:
        self._cluster = cluster
        self._store = templates
        self._filler = fills
        self._pruner = pruner
        self._failures = fill_failures.FillFailures(cluster.clock)
        # Guards the cache, and is notified when a wait for a fill may end.
        self._changed = threading.Condition()
        self._cached: cachetools.LRUCache = cachetools.LRUCache(_MAX_CACHED)

    def get_or_fill(self, req: request.Request) -> Provided:
        """Return a ready template of the request's image.

        :raises exceptions.TemplateCacheError: there is none, and none can be
            filled for this request
        :raises element.errors.ElementError: a call failed
        :raises Exception: whatever Cinder's image download raises
        """
        provided = self._get(req.image) or self._fill_single_flight(req)
        return dataclasses.replace(
            provided, template=self._refresh(provided.template, req.image))

    def forget(self, template: model.Template) -> None:
        """Drop a template from the cache: its clone failed."""
        with self._changed:
            if self._cached.get(template.image.id) == template:
                del self._cached[template.image.id]

    # Getting

    def _get(self, image: metadata.Image) -> Optional[Provided]:
        template = self._get_cached(image) or self._choose(
            self._store.find(image.id), image)
        return Provided(template, Outcome.HIT) if template else None

    def _get_cached(self, image: metadata.Image) -> Optional[model.Template]:
        with self._changed:
            template = self._cached.get(image.id)
        return self._choose([template], image) if template else None

    def _choose(self, found: list[model.Template],
                image: metadata.Image) -> Optional[model.Template]:
        """Choose the template to clone, and cache it.

        :raises exceptions.StaleRequest: the image has newer data by now
        """
        template = model.choose(found, image, signatures.wanted())
        if template:
            self._cache(template)
        return template

    def _cache(self, template: model.Template) -> None:
        with self._changed:
            # Hits come here too; requests that wait for a fill need not be
            # woken by them.
            if self._cached.get(template.image.id) != template:
                self._cached[template.image.id] = template
                self._changed.notify_all()

    # Filling

    def _fill_single_flight(self, req: request.Request) -> Provided:
        """Fill a template, unless another request does so meanwhile."""
        image = req.image
        watch = self._failures.watch(image)
        watch.check()

        def filled_elsewhere() -> Optional[model.Template]:
            watch.check()
            return self._get_cached(image)

        try:
            with locks.wait_for_lock(
                    locks.for_image(self._cluster.id, image.id),
                    self._cluster.clock,
                    self._cluster.conf.sf_template_wait_timeout,
                    'a template of image %s for volume %s' % (
                        image.id, req.volume['id']),
                    filled_elsewhere, self._changed) as template:
                if template:
                    return Provided(template, Outcome.WAITED)
                return self._fill_locked(req, watch)
        except locks.LockTimeout:
            raise exceptions.FillWaitTimeout(
                seconds=self._cluster.conf.sf_template_wait_timeout)

    def _fill_locked(self, req: request.Request,
                     watch: fill_failures.FailureWatch) -> Provided:
        """Look again and fill, with the lock of the image held."""
        image = req.image
        template = self._get_cached(image)
        if template is None:
            found = self._store.find(image.id)
            template = self._choose(found, image)
        if template:
            return Provided(template, Outcome.WAITED)
        watch.check()
        self._pruner.prune_unfinished(found)
        filled = self._fill(req)
        return Provided(self._agree(filled, image), Outcome.MISS)

    def _fill(self, req: request.Request) -> model.Template:
        try:
            return self._filler.fill(req)
        except Exception as exc:
            self._failures.note(req.image, exc)
            with self._changed:
                self._changed.notify_all()
            raise

    def _agree(self, filled: model.Template,
               image: metadata.Image) -> model.Template:
        """Return the template to clone now that one was filled.

        Two hosts that do not share a coordination backend may both have
        filled one: all of them agree on the same.

        :raises exceptions.StaleRequest: the image was updated after the
            request was made, and so was what was downloaded
        """
        try:
            found = self._store.find(image.id)
        except errors.ElementError as exc:
            LOG.debug('Templates of image %(image)s were not listed again: '
                      '%(error)s', {'image': image.id, 'error': exc})
            found = []
        if filled.volume_id not in [each.volume_id for each in found]:
            # What was filled serves as well, and if it is gone again its
            # clone will fail and lead to another lookup.
            found.append(filled)
        template = self._choose(found, image)
        if template is None:
            raise exceptions.StaleRequest(
                known=image.updated_at.isoformat(),
                template=filled.image.updated_at.isoformat())
        return template

    def _refresh(self, template: model.Template,
                 image: metadata.Image) -> model.Template:
        """Record that the template holds a newer version of the image."""
        if template.compare(image) is not model.Match.SAME_CONTENT:
            return template
        try:
            refreshed = self._store.refresh(template, image)
        except errors.NotFound:
            # Its clone will fail and lead to another lookup.
            return template
        except (errors.ElementError, exceptions.TemplateCacheError) as exc:
            # The data is right nevertheless; the next request tries again.
            LOG.info('The record of template volume %(volume)s was not '
                     'refreshed: %(error)s',
                     {'volume': template.volume_id,
                      'error': log_utils.format_error(exc)})
            return template
        self._cache(refreshed)
        return refreshed
