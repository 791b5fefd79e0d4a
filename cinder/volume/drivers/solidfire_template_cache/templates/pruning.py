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

"""Removes templates that are incomplete or superseded.

Removes nothing that this version of the driver has not created, and no
template while it is being cloned.
"""

import threading
from typing import MutableMapping
from typing import Optional

import cachetools
from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.host import attach
from cinder.volume.drivers.solidfire_template_cache.image import signatures
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import store

LOG = logging.getLogger(__name__)

# A fill by another host that takes longer counts as dead, where the hosts do
# not share a coordination backend, so that no lock shows it. Their clocks
# may differ, so the time is taken from when this host first saw the fill.
_MAX_FILL_SECONDS = 6 * 3600

_MAX_SEEN = 4096


class TemplatePruner(object):
    """Removes what is not needed of the templates of one cluster.

    Its methods raise :class:`element.errors.ElementError` when a call
    failed.

    :param cluster: the cluster
    :param templates: its templates
    :param clones: its clone scheduler
    :param attachments: what this host has attached
    """

    def __init__(self, cluster: cl.Cluster, templates: store.TemplateStore,
                 clones: scheduler.CloneScheduler,
                 attachments: attach.HostAttachments) -> None:
        self._cluster = cluster
        self._store = templates
        self._clones = clones
        self._attachments = attachments
        self._host = model.host_mark(cluster.host)
        # Ids of volumes; adding to a set is atomic.
        self._reported: set[int] = set()
        # Guards the time, by this host's clock, at which an unfinished fill
        # was first seen.
        self._lock = threading.Lock()
        self._first_seen: MutableMapping[int, float] = cachetools.LRUCache(
            _MAX_SEEN)

    def prune_image(self, image_id: str
                    ) -> Optional[list[model.Template]]:
        """Remove what a crash, an update or concurrent fills left.

        :returns: the templates that stay; None when the image's lock is
            held by a fill
        """
        with locks.try_lock(self._lock_name(image_id)) as acquired:
            if not acquired:
                return None
            found = self.prune_unfinished(self._store.find(image_id))
            keeper = model.newest(found, signatures.wanted())
            if keeper:
                self._remove_superseded(found, keeper)
            if not found:
                locks.remove_files(self._lock_name(image_id))
        return found

    def _remove_superseded(self, found: list[model.Template],
                           keeper: model.Template) -> None:
        reason = _('superseded by template volume %s') % keeper.volume_id
        for other in model.superseded(found, keeper):
            if self.remove_idle(other, reason):
                found.remove(other)

    def prune_unfinished(self,
                         found: list[model.Template]) -> list[model.Template]:
        """Remove fills and removals that were not completed.

        Called with the image's lock held: whichever request began them held
        it and so has ended. Where locks end at a host, this does not hold
        for fills by other hosts, which are left alone for some hours.

        :param found: all templates of an image
        :returns: those that stay
        """
        kept = []
        for template in found:
            if template.ready:
                kept.append(template)
            elif template.active and self._may_be_filling(template):
                kept.append(template)
                self._warn_of_locks(template)
            else:
                self._detach_own(template)
                self._store.remove(template, _('its fill or its removal was '
                                               'interrupted'))
        return kept

    def remove_idle(self, template: model.Template, reason: str) -> bool:
        """Remove a ready template unless it is being cloned.

        Called with the image's lock held.

        :param reason: why, for the log
        :returns: whether it was removed
        """
        if self._clones.is_cloning(template.volume_id):
            return False
        self._store.remove(template, reason)
        return True

    def try_remove(self, template: model.Template, reason: str) -> bool:
        """Remove a ready template unless it, or its image's lock, is in use.

        Removes the file of the lock as well, which would stay for ever once
        the image is gone.

        :param reason: why, for the log
        :returns: whether it was removed
        """
        lock_name = self._lock_name(template.image.id)
        with locks.try_lock(lock_name) as acquired:
            if not (acquired and self.remove_idle(template, reason)):
                return False
            locks.remove_files(lock_name)
            return True

    def _lock_name(self, image_id: str) -> str:
        return locks.for_image(self._cluster.id, image_id)

    def _may_be_filling(self, template: model.Template) -> bool:
        if (template.lock_domain == locks.lock_scope_id() or
                self._is_of_this_machine(template)):
            return False
        now = self._cluster.clock.monotonic()
        with self._lock:
            first_seen = self._first_seen.setdefault(template.volume_id, now)
        return now - first_seen < _MAX_FILL_SECONDS

    def _warn_of_locks(self, template: model.Template) -> None:
        if template.volume_id in self._reported:
            return
        self._reported.add(template.volume_id)
        LOG.warning('Host %(host)s is filling a template of image %(image)s '
                    'too (volume %(volume)s), since the hosts do not share a '
                    'coordination backend. Set backend_url in [coordination] '
                    'to a service that all hosts of the SolidFire cluster '
                    'share, such as Redis or etcd.',
                    {'image': template.image.id, 'host': template.filled_by,
                     'volume': template.volume_id})

    def _detach_own(self, template: model.Template) -> None:
        """Detach what a process of this host had attached when it died."""
        if not template.active or not self._is_of_this_machine(template):
            return
        volume = self._store.find_volume(template.volume_id)
        if volume is not None:
            self._attachments.detach_leftover(
                self._cluster, self._store.account(), volume)

    def _is_of_this_machine(self, template: model.Template) -> bool:
        # Hosts with their locks in one directory are on one machine.
        return (template.filled_by == self._host or
                template.lock_domain is not None and
                template.lock_domain == locks.lock_scope_id())
