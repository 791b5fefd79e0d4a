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
from typing import Iterable
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
from cinder.volume.drivers.solidfire_template_cache import single_flight
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
    """The templates that hold the image as the request knows it."""

    templates: tuple[model.Template, ...]
    """The template, and its replicas as far as they are known."""
    outcome: Outcome

    @property
    def template(self) -> model.Template:
        """The template itself."""
        return self.templates[0]


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
        # Requests for one version of an image that begin at the same time
        # look it up once.
        self._lookups: single_flight.SingleFlight[
            tuple[model.Template, ...]] = single_flight.SingleFlight()

    def get_or_fill(self, req: request.Request) -> Provided:
        """Return the ready templates of the request's image.

        :raises exceptions.TemplateCacheError: there is none, and none can be
            filled for this request
        :raises element.errors.ElementError: a call failed
        :raises Exception: whatever Cinder's image download raises
        """
        provided = self._get(req.image) or self._fill_single_flight(req)
        refreshed = self._refresh(provided.template, req.image)
        return dataclasses.replace(
            provided, templates=(refreshed,) + provided.templates[1:])

    def find(self, image: metadata.Image) -> tuple[model.Template, ...]:
        """Return what the cluster has for an image, and cache it.

        :returns: none if the image has newer data by now
        :raises element.errors.ElementError: a call failed
        """
        try:
            return self._look_up(image)
        except exceptions.StaleRequest:
            return ()

    def forget(self, template: model.Template) -> None:
        """Drop a template from the cache: its clone failed."""
        image_id = template.image.id
        with self._changed:
            left = tuple(each for each in self._cached.get(image_id, ())
                         if each.volume_id != template.volume_id)
            if left:
                self._cached[image_id] = left
            else:
                self._cached.pop(image_id, None)

    # Getting

    def _get(self, image: metadata.Image) -> Optional[Provided]:
        # If another request has just found none, the one that fills the
        # template looks again.
        templates = self._lookups.run(
            image, lambda: self._get_cached(image) or None,
            lambda: self._look_up(image))
        return Provided(templates, Outcome.HIT) if templates else None

    def _get_cached(self, image: metadata.Image
                    ) -> tuple[model.Template, ...]:
        with self._changed:
            templates = self._cached.get(image.id, ())
        return self._choose(templates, image)

    def _look_up(self, image: metadata.Image) -> tuple[model.Template, ...]:
        return self._choose(self._store.find(image.id), image)

    def _choose(self, found: Iterable[model.Template],
                image: metadata.Image) -> tuple[model.Template, ...]:
        """Choose the templates to clone, and cache them.

        :raises exceptions.StaleRequest: the image has newer data by now
        """
        templates = tuple(model.choose(found, image, signatures.wanted()))
        if templates:
            self._cache(templates)
        return templates

    def _cache(self, templates: tuple[model.Template, ...]) -> None:
        image_id = templates[0].image.id
        with self._changed:
            # Hits come here too; requests that wait for a fill need not be
            # woken by them.
            if self._cached.get(image_id) != templates:
                self._cached[image_id] = templates
                self._changed.notify_all()

    # Filling

    def _fill_single_flight(self, req: request.Request) -> Provided:
        """Fill a template, unless another request does so meanwhile."""
        image = req.image
        watch = self._failures.watch(image)
        watch.check()

        def filled_elsewhere() -> tuple[model.Template, ...]:
            watch.check()
            return self._get_cached(image)

        try:
            with locks.wait_for_lock(
                    locks.for_image(self._cluster.id, image.id),
                    self._cluster.clock,
                    self._cluster.conf.sf_template_wait_timeout,
                    'a template of image %s for volume %s' % (
                        image.id, req.volume['id']),
                    filled_elsewhere, self._changed) as templates:
                if templates:
                    return Provided(templates, Outcome.WAITED)
                return self._fill_locked(req, watch)
        except locks.LockTimeout:
            raise exceptions.FillWaitTimeout(
                seconds=self._cluster.conf.sf_template_wait_timeout)

    def _fill_locked(self, req: request.Request,
                     watch: fill_failures.FailureWatch) -> Provided:
        """Look again and fill, with the lock of the image held."""
        image = req.image
        templates = self._get_cached(image)
        if not templates:
            found = self._store.find(image.id)
            templates = self._choose(found, image)
        if templates:
            return Provided(templates, Outcome.WAITED)
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
               image: metadata.Image) -> tuple[model.Template, ...]:
        """Return the templates to clone now that one was filled.

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
        templates = self._choose(found, image)
        if not templates:
            raise exceptions.StaleRequest(
                known=image.updated_at.isoformat(),
                template=filled.image.updated_at.isoformat())
        return templates

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
        with self._changed:
            self._cached[image.id] = tuple(
                refreshed if each.volume_id == refreshed.volume_id else each
                for each in self._cached.get(image.id, (refreshed,)))
        return refreshed
