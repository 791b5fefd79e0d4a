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

"""Makes room for templates within the limits that the operator set."""

import contextlib
import itertools
import sys
from typing import Iterable
from typing import Iterator
from typing import Optional

from oslo_utils import units

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import limits
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import pruning
from cinder.volume.drivers.solidfire_template_cache.templates import store
from cinder.volume.drivers.solidfire_template_cache.templates import usage

# How long a fill waits while others reserve capacity and create volumes.
_RESERVE_SECONDS = 120


class CapacityManager(object):
    """Enforces the limits on the templates of one cluster.

    Its methods raise :class:`element.errors.ElementError` when a call
    failed.

    :param cluster: the cluster
    :param templates: its templates
    :param clones: its clone scheduler
    :param pruner: removes templates
    :param allowed: the limits
    :param uses: when templates were last used
    """

    def __init__(self, cluster: cl.Cluster, templates: store.TemplateStore,
                 clones: scheduler.CloneScheduler,
                 pruner: pruning.TemplatePruner, allowed: limits.Limits,
                 uses: usage.UsageTracker) -> None:
        self._cluster = cluster
        self._store = templates
        self._clones = clones
        self._pruner = pruner
        self._limits = allowed
        self._usage = uses

    # For a fill

    def check_capacity(self, image_id: str, size: int) -> None:
        """Raise if there can be no further template now.

        Called before the download, which is pointless without a template.

        :param size: bytes of the volume
        :raises exceptions.CapacityLimitReached: it is too large, the cluster
            too full, or all templates are in use
        """
        if not self._limits.within_limits([], 1, size):
            raise _limit_reached(size, _('it is larger than '
                                         'sf_template_max_gib allows'))
        self._check_free_space(size)
        if not self._limits.limit_templates:
            return
        # Unfinished ones may have been pruned by the time it is created.
        kept = [each for each in self._store.find_all()[0] if each.ready]
        if (not self._limits.within_limits(kept, 1, size) and
                not self._choose_victims(kept, set(), 1, size, image_id)):
            raise _templates_in_use(size, kept)

    @contextlib.contextmanager
    def reserve_capacity(self, image_id: str, size: int) -> Iterator[None]:
        """Make room for a template; keep it while the block runs.

        Called with the lock of the image held. The volume is to be created
        within the block, for then it counts.

        :param size: bytes of the volume
        :raises exceptions.CapacityLimitReached: all templates are in use
        """
        if not self._limits.limit_templates:
            yield
            return
        try:
            with locks.wait_for_lock(
                    locks.for_capacity(self._cluster.id),
                    self._cluster.clock, _RESERVE_SECONDS,
                    'the capacity lock of the templates'):
                self._evict_for(image_id, size)
                yield
        except locks.LockTimeout:
            raise _limit_reached(size, _('other fills held the capacity lock '
                                         'for %s seconds') % _RESERVE_SECONDS)

    # For a replica

    def check_replica(self, size: int, coming: int) -> int:
        """Raise if there can be no further replica now.

        No template is evicted for one.

        :param size: bytes of the volume
        :param coming: replicas that are being made, this one included
        :returns: how many more there can be beside these
        :raises exceptions.CapacityLimitReached: the limits do not allow it
        """
        self._check_free_space(size)
        if not self._limits.limit_templates:
            return sys.maxsize
        kept = [each for each in self._store.find_all()[0] if each.active]
        remaining = self._limits.remaining(kept, size) - coming
        if remaining < 0:
            raise self._replica_refused(size, kept, coming)
        return remaining

    # For housekeeping

    def shrink(self, kept: list[model.Template], deadline: float) -> None:
        """Come as near to the limits as possible.

        :param kept: the templates; removed ones are taken out of it
        :param deadline: by the clock's ``monotonic``; no eviction begins
            after it
        """
        for template in self._in_order(kept):
            if (self._limits.within_limits(kept) or
                    self._cluster.clock.monotonic() >= deadline):
                return
            if template.ready and self._evict_one(template):
                kept.remove(template)

    # Internals

    def _check_free_space(self, size: int) -> None:
        if not self._limits.min_free_percent:
            return
        used, total = self._store.block_space()
        if not self._limits.has_free_space(used, total):
            raise _limit_reached(
                size, _('%(used)s of %(total)s GiB of block storage are in '
                        'use, and sf_template_min_free_percent is '
                        '%(min)s') % {
                    'used': (used or 0) // units.Gi,
                    'total': (total or 0) // units.Gi,
                    'min': self._limits.min_free_percent})

    def _replica_refused(self, size: int, kept: list[model.Template],
                         coming: int) -> exceptions.CapacityLimitReached:
        return _limit_reached(
            size, _('%(count)s template volumes use %(gib)s GiB and '
                    '%(coming)s replicas are being made; '
                    'sf_template_max_count is %(max_count)s, '
                    'sf_template_max_gib is %(max_gib)s (0: no limit)') % {
                'count': len(kept), 'gib': _gib_of(kept),
                # One of them is refused.
                'coming': coming - 1,
                'max_count': self._limits.max_templates,
                'max_gib': self._limits.max_bytes // units.Gi})

    def _evict_for(self, image_id: str, size: int) -> None:
        kept = [each for each in self._store.find_all()[0] if each.active]
        if not self._limits.within_limits(kept, 1, size):
            kept = self._reap_stale_fills(kept, image_id)
        if not self._evict(kept, 1, size, image_id):
            raise _templates_in_use(size, kept)

    def _reap_stale_fills(self, templates: list[model.Template],
                          own_image: str) -> list[model.Template]:
        """Return the templates without fills that have been abandoned.

        They count, and cannot be evicted as ready ones can.
        """
        left: list[model.Template] = []
        for image_id, group in by_image(templates):
            if image_id != own_image and not all(
                    each.ready for each in group):
                stayed = self._pruner.prune_image(image_id)
                group = group if stayed is None else stayed
            left.extend(group)
        return left

    def _evict(self, kept: list[model.Template], more: int, more_bytes: int,
               own_image: str) -> bool:
        """Remove templates until there is room for so much more.

        None is removed when that would not be enough.

        :param kept: the templates; removed ones are taken out of it
        :param own_image: the image whose lock is held; its templates are
            going to be superseded and are evicted first
        :returns: whether there is room
        """
        stuck: set[int] = set()
        while not self._limits.within_limits(kept, more, more_bytes):
            victims = self._choose_victims(kept, stuck, more, more_bytes,
                                           own_image)
            if not victims:
                return False
            for victim in victims:
                if self._evict_one(victim, own_image):
                    kept.remove(victim)
                else:
                    stuck.add(victim.volume_id)
        return True

    def _choose_victims(self, kept: list[model.Template], stuck: set[int],
                        more: int, more_bytes: int,
                        own_image: str) -> list[model.Template]:
        """Return templates whose removal makes room, or none if that fails.

        :param stuck: ids of volumes that could not be removed
        """
        left = list(kept)
        victims: list[model.Template] = []
        busy = stuck | self._clones.sources()
        for template in self._in_order(kept, own_image):
            if self._limits.within_limits(left, more, more_bytes):
                return victims
            if template.ready and template.volume_id not in busy:
                victims.append(template)
                left.remove(template)
        if self._limits.within_limits(left, more, more_bytes):
            return victims
        return []

    def _in_order(self, kept: list[model.Template],
                  own_image: Optional[str] = None) -> list[model.Template]:
        """Return templates in the order in which they are evicted.

        Those that a fill is going to replace come first, then replicas,
        then what was used least recently.
        """
        spare = {each.volume_id for _image_id, group in by_image(kept)
                 for each in model.spare(group)}
        return sorted(kept, key=lambda each: (
            each.image.id != own_image, each.volume_id not in spare,
            self._usage.last_used(each)))

    def _evict_one(self, template: model.Template,
                   own_image: Optional[str] = None) -> bool:
        reason = _('evicted, capacity limit reached')
        if template.image.id == own_image:
            return self._pruner.remove_idle(template, reason)
        return self._pruner.try_remove(template, reason)


def by_image(templates: Iterable[model.Template]
             ) -> list[tuple[str, list[model.Template]]]:
    """Return pairs of an image's id and its templates."""
    def image_id(template: model.Template) -> str:
        return template.image.id

    return [(key, list(group)) for key, group in itertools.groupby(
        sorted(templates, key=image_id), image_id)]


def _limit_reached(size: int, reason: str
                   ) -> exceptions.CapacityLimitReached:
    return exceptions.CapacityLimitReached(gib=size // units.Gi,
                                           reason=reason)


def _templates_in_use(size: int, templates: list[model.Template]
                      ) -> exceptions.CapacityLimitReached:
    return _limit_reached(
        size, _('%(count)s templates use %(gib)s GiB, and not enough of '
                'them can be evicted now') % {
            'count': len(templates), 'gib': _gib_of(templates)})


def _gib_of(templates: list[model.Template]) -> int:
    return sum(each.size for each in templates) // units.Gi
