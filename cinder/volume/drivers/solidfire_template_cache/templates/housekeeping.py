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

"""Periodic maintenance of the templates of a cluster.

A run removes what crashes, updates and concurrent fills left, expires what is
not used, records uses and enforces the limits. It is bounded in time; the
next run continues.
"""

import bisect
import functools
from typing import Callable
from typing import Iterable
from typing import Optional
from typing import TypeVar

from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.host import iscsi_sessions
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume.drivers.solidfire_template_cache.templates import eviction
from cinder.volume.drivers.solidfire_template_cache.templates import limits
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import pruning
from cinder.volume.drivers.solidfire_template_cache.templates import replicas
from cinder.volume.drivers.solidfire_template_cache.templates import store
from cinder.volume.drivers.solidfire_template_cache.templates import usage

LOG = logging.getLogger(__name__)

_T = TypeVar('_T')

RUN_SECONDS = 60
"""A run begins nothing new after this many seconds."""


class Housekeeper(object):
    """Runs housekeeping on one cluster.

    :param cluster: the cluster
    :param templates: its templates
    :param clones: its clone scheduler
    :param pruner: removes templates
    :param capacity: enforces the limits
    :param allowed: the limits
    :param uses: when templates were last used
    :param sessions: this host's iSCSI sessions to templates
    """

    def __init__(self, cluster: cl.Cluster, templates: store.TemplateStore,
                 clones: scheduler.CloneScheduler,
                 pruner: pruning.TemplatePruner,
                 capacity: eviction.CapacityManager, allowed: limits.Limits,
                 uses: usage.UsageTracker,
                 sessions: iscsi_sessions.TemplateSessions) -> None:
        self._cluster = cluster
        self._store = templates
        self._clones = clones
        self._pruner = pruner
        self._capacity = capacity
        self._limits = allowed
        self._usage = uses
        self._sessions = sessions
        self._replica_use = replicas.ReplicaUse(cluster, clones, uses)
        # The image that the last run ended with.
        self._last_image = ''
        # Ids of foreign volumes that were reported and still exist.
        self._reported: set[int] = set()

    def run(self) -> None:
        """Run once; what is not of this host, unless another host does so.

        :raises element.errors.ElementError: the cluster could not be asked
        """
        self._attempt('iSCSI sessions', self._logout_stale)
        self._attempt('clones of earlier attempts',
                      self._clones.prune_late_clones)
        with locks.try_lock(
                locks.for_housekeeping(self._cluster.id)) as acquired:
            if acquired:
                self._run(self._cluster.clock.monotonic() + RUN_SECONDS)

    def _logout_stale(self) -> None:
        self._sessions.logout_stale(
            lambda volume_id: self._store.find_volume(volume_id) is not None)

    def _run(self, deadline: float) -> None:
        templates, foreign = self._store.find_all()
        self._report_foreign(foreign)
        groups = dict(eviction.by_image(templates))
        for image_id in locks.images_with_files(self._cluster.id):
            # Its fill failed, or another host removed its template.
            groups.setdefault(image_id, [])
        kept: list[model.Template] = []
        for image_id in self._in_turn(groups):
            group = groups[image_id]
            left = None
            if self._cluster.clock.monotonic() < deadline:
                self._last_image = image_id
                left = self._attempt(
                    'image %s' % image_id, functools.partial(
                        self._prune_and_expire, image_id, group))
            kept.extend(each for each in (group if left is None else left)
                        if each.active)
        with locks.try_lock(
                locks.for_capacity(self._cluster.id)) as acquired:
            if acquired:
                self._capacity.shrink(kept, deadline)

    def _in_turn(self, image_ids: Iterable[str]) -> list[str]:
        """Return images in an order that begins where the last run ended."""
        ordered = sorted(image_ids)
        start = bisect.bisect(ordered, self._last_image)
        return ordered[start:] + ordered[:start]

    @staticmethod
    def _attempt(subject: str, job: Callable[[], _T]) -> Optional[_T]:
        """Do a part of the run whose failure must not end the run."""
        try:
            return job()
        except Exception as exc:
            # Of the cluster, the coordination backend or this host.
            failure = exc
        LOG.warning('Skipping housekeeping of %(subject)s: %(reason)s',
                    {'subject': subject,
                     'reason': log_utils.format_error(failure)})
        return None

    def _prune_and_expire(self, image_id: str, group: list[model.Template]
                          ) -> list[model.Template]:
        """Do what is due for the templates of one image; return the rest."""
        if len(group) != 1 or not group[0].ready:
            left = self._pruner.prune_image(image_id)
            group = group if left is None else left
            group = self._prune_replicas(group)
        kept = []
        for template in group:
            if not (self._has_expired(template) and self._expire(template)):
                kept.append(self._record_use(template))
        return kept

    def _prune_replicas(self, group: list[model.Template]
                        ) -> list[model.Template]:
        """Remove replicas that are not needed; return the rest."""
        # Those of an older record are chosen last, and so removed first.
        spare = sorted(model.spare(group),
                       key=lambda each: each.image.updated_at)
        removed = self._try_remove(
            self._replica_use.idle(spare),
            _('replica, not seen in use for %s seconds')
            % replicas.IDLE_SECONDS)
        removed += self._remove_excess(
            [each for each in spare if each not in removed])
        return [each for each in group if each not in removed]

    def _remove_excess(self, spare: list[model.Template]
                       ) -> list[model.Template]:
        """Remove replicas of an image that are too many; return them.

        Several processes may have made some at the same time, and the
        operator may have lowered the limit. Those that are being cloned stay
        until a later run.

        :param spare: the replicas, the least preferred one first
        """
        limit = self._cluster.conf.sf_template_max_replicas
        excess = len(spare) - limit
        if excess <= 0:
            return []
        busy = self._clones.sources()
        return self._try_remove(
            [each for each in spare if each.volume_id not in busy][:excess],
            _('replica, sf_template_max_replicas is %s') % limit)

    def _try_remove(self, unneeded: list[model.Template],
                    reason: str) -> list[model.Template]:
        """Remove ready templates; return those that could be removed."""
        return [each for each in unneeded
                if self._pruner.try_remove(each, reason)]

    def _has_expired(self, template: model.Template) -> bool:
        return template.ready and self._limits.has_expired(
            self._usage.last_used(template), self._cluster.clock.now())

    def _expire(self, template: model.Template) -> bool:
        return self._pruner.try_remove(
            template, _('expired, not used for %s days')
            % self._limits.idle.days)

    def _record_use(self, template: model.Template) -> model.Template:
        if template.ready and self._usage.needs_recording(template):
            return self._store.record_use(template,
                                          self._usage.last_used(template))
        return template

    def _report_foreign(self, foreign: list[models.Volume]) -> None:
        """Warn once of each volume that is not a template of ours."""
        active = {volume.id: volume for volume in foreign if volume.active}
        for volume_id in active.keys() - self._reported:
            volume = active[volume_id]
            LOG.warning('Volume %(volume)s, named %(name)s, in the SolidFire '
                        'account of the template volumes is left alone: it '
                        'is %(what)s.',
                        {'volume': volume.id,
                         'name': log_utils.printable(volume.name, 64),
                         'what': model.describe_foreign(volume)})
        self._reported = set(active)
