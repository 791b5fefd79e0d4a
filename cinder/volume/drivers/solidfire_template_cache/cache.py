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

"""One request: from an eligible image to a volume, through its template.

Ties the parts together for one cluster. What it remembers of templates and
accounts saves calls and is corrected by the calls that fail.
"""

import dataclasses
import functools
import threading
import typing

import cachetools
from oslo_log import log as logging
import tooz

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import failures
from cinder.volume.drivers.solidfire_template_cache import housekeeping
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import template as tpl

LOG = logging.getLogger(__name__)

# A template or an account may vanish behind our back, and again while we
# look; more than this is not bad luck.
_ATTEMPTS = 3

_MOST_REMEMBERED = 4096


@dataclasses.dataclass(frozen=True)
class Request(object):
    """What a volume needs, in terms of the cluster.

    :ivar volume_id: Cinder's volume id, for the log
    :ivar image: the image as the request knows it
    :ivar account_name: the account that is to own the volume
    :ivar name: the name of the volume on the cluster
    :ivar order: a callable that takes the :class:`wire.Account` and returns
        the :class:`clones.Order`
    :ivar fill: a callable that returns a ready template of the image
    :ivar seen_before: whether an earlier attempt may have left a volume
    """

    volume_id: str
    image: images.Image
    account_name: str
    name: str
    order: typing.Callable
    fill: typing.Callable
    seen_before: bool


@dataclasses.dataclass(frozen=True)
class Result(object):
    """A finished volume.

    :ivar volume: the :class:`wire.Volume`
    :ivar account: the :class:`wire.Account` that owns it
    :ivar template: what it was cloned from
    :ivar filled: whether the template was made for this request
    """

    volume: typing.Any
    account: typing.Any
    template: tpl.Template
    filled: bool


class TemplateCache(object):
    """The templates of one cluster, in use.

    :param cluster_id: the cluster's own UUID
    :param client: its :class:`element.ElementClient`
    :param store: its :class:`store.TemplateStore`
    :param scheduler: its :class:`clones.CloneScheduler`
    :param tenants: its :class:`accounts.TenantAccounts`
    :param housekeeper: its :class:`housekeeping.Housekeeper`
    :param uses: its :class:`uses.Uses`
    :param wait_seconds: how long to wait while others fill a template
    """

    def __init__(self, cluster_id, client, store, scheduler, tenants,
                 housekeeper, uses, wait_seconds, clock=None):
        self._cluster_id = cluster_id
        self._client = client
        self._store = store
        self._scheduler = scheduler
        self._tenants = tenants
        self._housekeeper = housekeeper
        self._uses = uses
        self._wait_seconds = wait_seconds
        self._clock = clock or clocks.SystemClock()
        # Of what is remembered; guards it, too.
        self._changed = threading.Condition()
        self._remembered = cachetools.LRUCache(_MOST_REMEMBERED)
        self._failures = failures.FillFailures(self._clock)

    def create(self, request):
        """Make the volume.

        :param request: a :class:`Request`
        :returns: a :class:`Result`
        :raises Exception: whatever went wrong; nothing is left behind that
            the error's notes do not name
        """
        later = []
        try:
            return self._create(request, later)
        finally:
            # Only now, so that this clone is not kept waiting for others.
            self._clean_up(request.image, later)

    def _create(self, request, later):
        for attempt in range(1, _ATTEMPTS + 1):
            account = self._account(request)
            template, filled = self._obtain(request, later)
            order = request.order(account)
            if not template.fits(order.size):
                self._forget(template)
                raise errors.TemplateCacheError(
                    reason=_('template volume %s does not fit the volume')
                    % template.volume_id)
            try:
                volume = self._scheduler.clone(template.volume_id,
                                               template.size, order)
            except (errors.NotFound, errors.CloneFailed) as exc:
                if attempt == _ATTEMPTS or not self._is_gone(template, exc):
                    raise
                self._forget(template)
                self._tenants.forget(request.account_name)
                LOG.info('%(error)s; looking again for volume %(volume)s.',
                         {'error': exc, 'volume': request.volume_id})
            else:
                self._uses.note(template)
                return Result(volume, account, template, filled)

    def _is_gone(self, template, exc):
        """Tell whether a clone failed since what it needs is not there.

        The template may have been removed while it was being cloned, and
        the account, too.
        """
        if isinstance(exc, errors.CloneFailed):
            try:
                return (not isinstance(exc, errors.CloneTimedOut) and
                        self._client.find_volume(
                            template.volume_id) is None)
            except errors.ElementError:
                return False
        return True

    def _account(self, request):
        """Return the account to own the volume; clear the volume's name.

        An attempt on another host, or before a restart, may have left a
        volume of the same name, and a name must not stand twice. To look
        for one costs a call, which the steady case does without: an attempt
        that failed here has cleaned up after itself.
        """
        account = self._tenants.recall(request.account_name)
        looked = account is None
        if looked:
            account = self._tenants.find(request.account_name)
        if request.seen_before:
            # It may be under way still, and is in no list until it is done.
            self._scheduler.outwait_others(*(
                template.volume_id
                for template in self._store.find(request.image.id)))
        if looked or request.seen_before:
            self._client.remove_named(request.name)
        return account

    # Templates

    def _obtain(self, request, later):
        """Return a template to clone, and whether it was filled for this."""
        image = request.image
        filled = False
        template = self._recall(image)
        if template is None:
            found = self._store.find(image.id)
            template = self._pick(found, image)
            if template is None:
                template, filled = self._make(request, later)
            elif len(found) > 1:
                later.append(self._tidying(image))
        return self._refresh(template, image), filled

    def _make(self, request, later):
        """Fill a template, unless somebody else does it meanwhile."""
        image = request.image
        made_by_others = []
        check = self._failures.begin(image)

        def needless():
            check()
            made_by_others.append(self._recall(image))
            return made_by_others[-1]

        check()
        try:
            with locks.awaited(
                    locks.for_image(self._cluster_id, image.id), self._clock,
                    self._wait_seconds, needless,
                    self._changed) as acquired:
                if not acquired:
                    return made_by_others[-1], False
                template, filled = self._make_alone(request, later, check)
        except locks.TimedOut:
            raise errors.FillAwaitedTooLong(seconds=self._wait_seconds)
        # Glance may have told the filler of a newer image than the
        # request's.
        chosen = self._pick([template], image)
        if chosen is None:
            raise errors.TemplateCacheError(
                reason=_('the image that was downloaded is not the one that '
                         'the request knows'))
        return chosen, filled

    def _make_alone(self, request, later, check):
        """With the lock of the image held.

        :param check: raises when a fill would be of no use
        """
        image = request.image
        template = self._recall(image)
        if template is None:
            found = self._store.find(image.id)
            template = self._pick(found, image)
        if template:
            return template, False
        check()
        self._housekeeper.remove_unfinished(found)
        made = self._fill(request)
        return self._settle(made, later), True

    def _settle(self, made, later):
        """Return the template to clone now that one was made.

        Two hosts without a common lock may both have filled: all settle on
        the same one.
        """
        try:
            found = self._store.find(made.image.id)
            template = self._pick(found, made.image)
        except errors.ElementError:
            template = None
        if template is None:
            # What was made is as good, and if it is gone again its clone
            # will tell. What it replaces is looked for later.
            self._remember(made)
            later.append(self._tidying(made.image))
            return made
        later.extend(functools.partial(self._housekeeper.retire, other)
                     for other in tpl.needless(found, template))
        return template

    def _tidying(self, image):
        return functools.partial(self._housekeeper.tidy, image.id,
                                 patient=True)

    def _fill(self, request):
        try:
            return request.fill()
        except Exception as exc:
            self._failures.note(request.image, exc)
            with self._changed:
                self._changed.notify_all()
            raise

    def _pick(self, found, image):
        """Choose among an image's templates; None when one must be made.

        :raises errors.RequestOutdated: when the template is newer than what
            the request knows; the request is the stale one
        """
        chosen = _choose(found, image, tpl.Match.CURRENT,
                         tpl.Match.SAME_CONTENT)
        if chosen:
            self._remember(chosen)
            return chosen
        newer = _choose(found, image, tpl.Match.NEWER)
        if newer:
            raise errors.RequestOutdated(
                known=image.updated_at.isoformat(),
                template=newer.image.updated_at.isoformat())
        return None

    def _refresh(self, template, image):
        """Record that the template holds a newer version of the image."""
        if template.compare(image) is not tpl.Match.SAME_CONTENT:
            return template
        try:
            template = self._store.refresh(template, image)
        except errors.NotFound:
            # Cloning it will tell, and lead to a new look.
            return template
        except (errors.ElementError, errors.TemplateCacheError) as exc:
            # The data is right all the same; the next request tries again.
            LOG.info('The record of template volume %(volume)s was not '
                     'refreshed: %(error)s',
                     {'volume': template.volume_id, 'error': exc})
            return template
        self._remember(template)
        return template

    # Cleaning up

    def _clean_up(self, image, later):
        """Do what can wait; none of it can make a request fail."""
        for clean_up in later:
            try:
                clean_up()
            except (errors.ElementError, tooz.ToozError) as exc:
                LOG.warning('A template volume of image %(image)s that is '
                            'not needed any more stays until a later '
                            'request: %(error)s',
                            {'image': image.id, 'error': exc})

    # Memory

    def _recall(self, image):
        with self._changed:
            template = self._remembered.get(image.id)
        return self._pick([template], image) if template else None

    def _remember(self, template):
        with self._changed:
            # Each hit comes here; those who wait for a template, and try
            # its lock when woken, need not know of hits.
            if self._remembered.get(template.image.id) != template:
                self._remembered[template.image.id] = template
                self._changed.notify_all()

    def _forget(self, template):
        with self._changed:
            if self._remembered.get(template.image.id) == template:
                del self._remembered[template.image.id]


def _choose(found, image, *matches):
    """Return the first template to clone that compares as wanted.

    They are in the order of their volumeID, so that all hosts agree.
    """
    wanted = housekeeping.signature_wanted()
    for template in found:
        if template.serves(wanted) and template.compare(image) in matches:
            return template
    return None
