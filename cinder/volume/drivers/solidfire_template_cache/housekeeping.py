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

"""Keeps the templates of a cluster within bounds, and clears what is left.

Runs with the periodic statistics of the volume service. Before a fill it
makes room. Removes nothing that this version of the driver has not made.
"""

import contextlib
import datetime
import itertools

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import units

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import template as tpl

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Seconds to wait while other fills make room and create their volumes.
_ROOM_SECONDS = 120

# Seconds after which a round begins nothing new: the volume service waits
# for it. The next round goes on.
_ROUND_SECONDS = 60

# A fill of another host that takes longer has died, where no lock tells.
_LONGEST_FILL = datetime.timedelta(hours=6)


class Housekeeper(object):
    """Keeps house on one cluster.

    :param cluster_id: the cluster's own UUID
    :param store: its :class:`store.TemplateStore`
    :param scheduler: its :class:`clones.CloneScheduler`
    :param bounds: a :class:`bounds.Bounds`
    :param uses: its :class:`uses.Uses`
    :param host: the name of this host, as templates tell who filled them
    :param detach: a callable(account, volume) that makes an end of what a
        process of this host, which died, has attached
    :param sessions: this host's :class:`sessions.TemplateSessions`
    """

    def __init__(self, cluster_id, store, scheduler, bounds, uses, host,
                 detach, sessions, clock):
        self._cluster_id = cluster_id
        self._store = store
        self._scheduler = scheduler
        self._bounds = bounds
        self._uses = uses
        self._host = tpl.host_mark(host)
        self._detach = detach
        self._sessions = sessions
        self._clock = clock
        # Ids of volumes; adding to a set is atomic.
        self._reported = set()

    # Room for a fill

    def check_room(self, image_id, size):
        """Tell, before a download, that there can be no template now.

        :param size: bytes of the volume
        :raises errors.NoRoom: it is too large, the cluster too full, or all
            templates are in use
        :raises errors.ElementError: the cluster does not tell
        """
        if not self._bounds.hold([], 1, size):
            raise _no_room(size, _('it is more than sf_template_max_gib'))
        if self._bounds.least_free_percent:
            used, total = self._store.block_space()
            if not self._bounds.leave_free(used, total):
                raise _no_room(
                    size, _('%(used)s of %(total)s GiB of block storage are '
                            'in use, and sf_template_min_free_percent is '
                            '%(least)s') % {
                        'used': used // units.Gi, 'total': total // units.Gi,
                        'least': self._bounds.least_free_percent})
        if self._bounds.limit_templates:
            # Unfinished ones may have gone when the room is made.
            kept = [each for each in self._store.find_all()[0]
                    if each.active and each.ready]
            if (not self._bounds.hold(kept, 1, size) and
                    not self._choose_victims(kept, set(), 1, size, image_id)):
                raise _not_enough_room(size, kept)

    @contextlib.contextmanager
    def room(self, image_id, size):
        """Make room for a template; keep it while the block runs.

        Called with the lock of the image held. The volume is to be created
        within the block, for then it counts.

        :param size: bytes of the volume
        :raises errors.NoRoom: all others are in use
        :raises errors.ElementError: a call failed
        """
        if not self._bounds.limit_templates:
            yield
            return
        try:
            with locks.awaited(locks.for_room(self._cluster_id), self._clock,
                               _ROOM_SECONDS):
                self._make_room(image_id, size)
                yield
        except locks.TimedOut:
            raise _no_room(size, _('others make room all the time'))

    def _make_room(self, image_id, size):
        templates, _strangers = self._store.find_all()
        kept = [each for each in templates if each.active]
        if not self._bounds.hold(kept, 1, size):
            kept = self._drop_dead_fills(kept, image_id)
        if not self._evict(kept, 1, size, image_id):
            raise _not_enough_room(size, kept)

    def _drop_dead_fills(self, templates, own_image):
        """Return those that are left without fills that nobody goes on with.

        They count, and cannot be evicted as whole ones can.
        """
        left = []
        for image_id, group in _by_image(templates):
            if image_id != own_image and not all(
                    each.ready for each in group):
                stayed = self.tidy(image_id)
                group = group if stayed is None else stayed
            left.extend(group)
        return left

    def _evict(self, kept, more, more_bytes, own_image):
        """Remove templates until there is room for so much more.

        None goes when that would not be enough.

        :param kept: the templates that there are; the removed ones are
            taken out of it
        :param own_image: the image whose lock is held; its templates are
            going to be replaced and go first
        :returns: whether there is room
        """
        stuck = set()
        while not self._bounds.hold(kept, more, more_bytes):
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

    def _choose_victims(self, kept, stuck, more, more_bytes, own_image):
        """Return templates that would make room, or none if that cannot be.

        :param stuck: ids of volumes that could not be removed
        """
        left, victims = list(kept), []
        busy = stuck | self._scheduler.sources()
        for template in sorted(kept, key=lambda each: (
                each.image.id != own_image, self._uses.last(each))):
            if self._bounds.hold(left, more, more_bytes):
                return victims
            if template.ready and template.volume_id not in busy:
                victims.append(template)
                left.remove(template)
        return victims if self._bounds.hold(left, more, more_bytes) else []

    def _evict_one(self, template, own_image=None):
        why = 'room for others'
        if template.image.id == own_image:
            return self._retire_idle(template, why)
        with locks.held(self._lock_of(template.image.id)) as acquired:
            return acquired and self._retire_idle(template, why)

    # A round

    def run(self):
        """Clear up once, unless another host is doing so.

        :raises errors.ElementError: the cluster does not tell what there is
        """
        self._sessions.end_dead(
            lambda volume_id: self._store.find_volume(volume_id) is not None)
        with locks.held(locks.for_housekeeping(self._cluster_id)) as acquired:
            if acquired:
                self._run(self._clock.monotonic() + _ROUND_SECONDS)

    def _run(self, deadline):
        templates, strangers = self._store.find_all()
        for volume in strangers:
            self._report(volume)
        kept = []
        for image_id, group in _by_image(templates):
            if self._clock.monotonic() < deadline:
                group = self._try_to_clear(image_id, group)
            kept.extend(each for each in group if each.active)
        with locks.held(locks.for_room(self._cluster_id)) as acquired:
            if acquired and self._clock.monotonic() < deadline:
                self._shrink(kept)

    def _shrink(self, kept):
        """Come as near to the limits as can be."""
        for template in sorted(kept, key=self._uses.last):
            if self._bounds.hold(kept):
                return
            if template.ready and self._evict_one(template):
                kept.remove(template)

    def _try_to_clear(self, image_id, group):
        try:
            return self._clear_group(image_id, group)
        except (errors.ElementError, errors.TemplateCacheError) as exc:
            LOG.warning('Housekeeping goes on without the templates of image '
                        '%(image)s: %(error)s',
                        {'image': image_id, 'error': exc})
            return group

    def _clear_group(self, image_id, group):
        """Do what is due for the templates of one image; return the rest."""
        if len(group) > 1 or not group[0].ready:
            left = self.tidy(image_id)
            group = group if left is None else left
        kept = []
        for template in group:
            if not (self._has_expired(template) and
                    self._expire(template)):
                kept.append(self._record_use(template))
        return kept

    def _has_expired(self, template):
        return template.ready and self._bounds.has_expired(
            self._uses.last(template), self._clock.now())

    def _expire(self, template):
        with locks.held(self._lock_of(template.image.id)) as acquired:
            return acquired and self._retire_idle(
                template, 'not used for long')

    def _record_use(self, template):
        if template.ready and self._uses.is_worth_recording(template):
            return self._store.record_use(template,
                                          self._uses.last(template))
        return template

    def _report(self, volume):
        """Tell the operator once of a volume that is not ours."""
        if volume.active and volume.id not in self._reported:
            self._reported.add(volume.id)
            LOG.warning('Volume %(volume)s, named %(name)s, in the SolidFire '
                        'account of the template volumes is left alone: it '
                        'is %(what)s.',
                        {'volume': volume.id, 'name': volume.name,
                         'what': tpl.describe_stranger(volume)})

    # Leftovers of one image

    def tidy(self, image_id, patient=False):
        """Remove what a crash or a second filler has left of an image.

        :param patient: wait for clones of it to end, else leave it if there
            are some
        :returns: the templates that stay; None when somebody fills one
        """
        with locks.held(self._lock_of(image_id)) as acquired:
            if not acquired:
                # Whoever fills a newer one clears up when done.
                return None
            found = self.remove_unfinished(self._store.find(image_id))
        chosen = tpl.choose(found, signature_wanted=signature_wanted())
        for other in tpl.needless(found, chosen) if chosen else ():
            if patient:
                self.retire(other)
            elif not self._retire_idle(other, 'another one serves'):
                continue
            found.remove(other)
        return found

    def remove_unfinished(self, found):
        """Remove fills and removals that were not completed.

        Called with the image's lock held: whoever began them held it, so it
        died or gave up. Where locks end at a host this is not known of
        other hosts; theirs are left alone for some hours.

        :param found: all templates of an image
        :returns: those that stay
        """
        kept = []
        for template in found:
            if template.ready:
                kept.append(template)
            elif template.active and self._may_be_alive(template):
                kept.append(template)
                self._warn_of_locks(template)
            else:
                self._detach_own(template)
                self._store.retire(template)
        return kept

    def retire(self, template):
        """Remove a ready template, once nothing clones it."""
        self._scheduler.wait_idle(template.volume_id)
        self._store.retire(template)

    def _may_be_alive(self, template):
        if (template.lock_domain == locks.domain() or
                self._is_of_this_machine(template)):
            return False
        return (template.filled_at is not None and
                self._clock.now() - template.filled_at < _LONGEST_FILL)

    def _warn_of_locks(self, template):
        if template.volume_id in self._reported:
            return
        self._reported.add(template.volume_id)
        LOG.warning('Image %(image)s is being made a template by host '
                    '%(host)s too (volume %(volume)s), for the hosts have '
                    'no lock in common. Set backend_url in [coordination] '
                    'to a service that all hosts of the SolidFire cluster '
                    'share, such as Redis or etcd.',
                    {'image': template.image.id, 'host': template.filled_by,
                     'volume': template.volume_id})

    def _detach_own(self, template):
        """Make an end of an attachment that a dead process has left."""
        if not template.active or not self._is_of_this_machine(template):
            return
        volume = self._store.find_volume(template.volume_id)
        if volume is not None:
            self._detach(self._store.account(), volume)

    def _is_of_this_machine(self, template):
        # Hosts with their locks in one directory are on one machine.
        return (template.filled_by == self._host or
                template.lock_domain is not None and
                template.lock_domain == locks.domain())

    def _retire_idle(self, template, why):
        """Remove a template unless it is in use; tell whether it was."""
        if self._scheduler.is_cloning(template.volume_id):
            return False
        LOG.info('Template volume %(volume)s of image %(image)s goes: '
                 '%(why)s.', {'volume': template.volume_id,
                              'image': template.image.id, 'why': why})
        self._store.retire(template)
        return True

    def _lock_of(self, image_id):
        return locks.for_image(self._cluster_id, image_id)


def signature_wanted():
    """Tell whether Cinder is to verify the signatures of images."""
    return CONF.verify_glance_signatures != 'disabled'


def _by_image(templates):
    """Return pairs of an image's id and its templates."""
    def image_id(template):
        return template.image.id

    return [(key, list(group)) for key, group in itertools.groupby(
        sorted(templates, key=image_id), image_id)]


def _no_room(size, reason):
    return errors.NoRoom(gib=size // units.Gi, reason=reason)


def _not_enough_room(size, templates):
    return _no_room(
        size, _('%(count)s templates have %(gib)s GiB, and not enough of '
                'them can be removed now') % {
            'count': len(templates),
            'gib': sum(each.size for each in templates) // units.Gi})
