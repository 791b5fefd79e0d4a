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

"""Templates of one cluster: find, create, publish, refresh, remove.

Whatever changes the templates of an image is called with the image's lock
held (see :mod:`locks`). Exceptions are the records of
:meth:`TemplateStore.refresh` and :meth:`TemplateStore.record_use`: when two
of these overlap, the next request repeats the one that was lost.
"""

import datetime
from typing import Any
from typing import Callable
from typing import NoReturn
from typing import Optional

from oslo_log import log as logging
from oslo_utils import uuidutils

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.element import retry
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache.templates import model

LOG = logging.getLogger(__name__)


class TemplateStore(object):
    """The template account of one cluster and the volumes in it.

    Any method raises :class:`element.errors.ElementError` when a call
    failed.

    :param cluster: the cluster
    :param account_name: name of the shared account, prefix included
    """

    def __init__(self, cluster: cl.Cluster, account_name: str) -> None:
        self._client = cluster.client
        self._clock = cluster.clock
        self._host = cluster.host
        self._account_name = account_name
        # Several threads may ask for it at a time, with the same result.
        self._account: Optional[models.Account] = None

    def account(self) -> models.Account:
        """Return the template account; it is created when missing."""
        account = self._account
        if account is None:
            account = self._account = accounts.get_or_create(
                self._client, self._account_name)
        return account

    # Finding

    def find(self, image_id: str) -> list[model.Template]:
        """Return all templates of an image, lowest volumeID first.

        Deleted ones are included until they are purged. Costs one call, or
        two while the account is not cached.
        """
        account = self._cached_account()
        if account is None:
            return []
        found = []
        for volume in self._list(image_id, account):
            template = model.from_volume(volume, image_id)
            if template is None:
                LOG.info('Volume %(volume)s in SolidFire account %(account)s '
                         'has the name of a template of image %(image)s but '
                         'is %(what)s. It is left alone.',
                         {'volume': volume.id, 'account': account.name,
                          'image': image_id,
                          'what': model.describe_foreign(volume)})
            else:
                found.append(template)
        return sorted(found, key=lambda each: each.volume_id)

    def find_all(self) -> tuple[list[model.Template], list[models.Volume]]:
        """Return all templates, and foreign volumes in their account.

        Deleted ones are included until they are purged. Costs one call, or
        two while the account is not cached.
        """
        account = self._cached_account()
        if account is None:
            return [], []
        templates: list[model.Template] = []
        foreign: list[models.Volume] = []
        for volume in self._unless_account_is_gone(
                self._client.list_account_volumes, account.id):
            template = model.from_volume(volume, model.image_id_of(volume))
            if template is None:
                foreign.append(volume)
            else:
                templates.append(template)
        return templates, foreign

    def find_volume(self, volume_id: int) -> Optional[models.Volume]:
        """Return a volume; None when it is absent or deleted."""
        return self._client.find_volume(volume_id)

    def block_space(self) -> tuple[Optional[int], Optional[int]]:
        """Return the cluster's bytes of block storage, used and in all."""
        return self._client.get_block_space()

    # Filling

    def plan(self, image: metadata.Image, fill_id: str,
             signature_verified: Optional[bool]) -> model.Template:
        """Return a template that is about to be filled, for `create`."""
        return model.new(image, fill_id, self._host, signature_verified,
                         self._clock.now(), locks.lock_scope_id())

    def create(self, planned: model.Template, size: int, enable_512e: bool
               ) -> tuple[model.Template, models.Volume]:
        """Create the volume of a template that is about to be filled.

        :param planned: from :meth:`plan`
        :param size: bytes
        :raises exceptions.TemplateCacheError: the cluster did not store the
            record; the volume is removed
        """
        try:
            volume = self._create(planned, size, enable_512e)
        except errors.NotFound:
            # The cached account is gone.
            self._forget_account()
            volume = self._create(planned, size, enable_512e)
        created = model.from_volume(volume, planned.image.id)
        if created is None or created.fill_id != planned.fill_id:
            self._remove_unrecorded(planned, volume)
        return created, volume

    def publish(self, template: model.Template) -> model.Template:
        """Make a filled template ready and read-only, in one call.

        :returns: the template as the cluster has it now
        """
        return self._record(model.published(template, self._clock.now()),
                            access='readOnly')

    def start_replica(self, template: model.Template, maker: str,
                      enable_512e: bool) -> models.StartedClone:
        """Start to clone a template into a further one.

        It appears, ready and read-only, when the clone is done.

        :param maker: identifies this process
        :raises errors.Throttled: too many clones are running
        """
        planned = model.replica(template, uuidutils.generate_uuid(),
                                self._host, maker, self._clock.now())
        return self._client.clone_volume(
            template.volume_id, model.name_for(template.image.id),
            self.account().id, enable_512e, planned.attributes(),
            access='readOnly')

    def remove_unrecorded(self, image_id: str, volume_id: int) -> bool:
        """Remove a new replica that has lost its record.

        Without it, no one would find it. A volume with another name or owner
        is not a replica: the reply that named it was wrong.

        :returns: whether it was removed
        """
        volume = self._client.find_volume(volume_id)
        if volume is None or volume.name != model.name_for(image_id) or (
                volume.account_id != self.account().id or
                model.from_volume(volume, image_id) is not None):
            return False
        LOG.info('Removing SolidFire volume %(volume)s: it was to be a '
                 'replica of a template of image %(image)s, and the cluster '
                 'did not store its attributes.',
                 {'volume': volume_id, 'image': image_id})
        self._client.remove_volume(volume_id)
        return True

    def discard_fill(self, planned: model.Template,
                     volume: Optional[models.Volume]) -> None:
        """Remove whatever one attempt to fill has created.

        Looks for the fill id, since a call that failed may have been carried
        out.

        :param volume: the volume of the attempt as far as it is known; it
            is removed even when it has lost its attributes
        """
        if volume is not None:
            self._client.remove_volume(volume.id)
        for found in self.find(planned.image.id):
            if found.fill_id == planned.fill_id:
                self.remove(found, _('its fill failed'))

    # Records of ready templates

    def refresh(self, template: model.Template,
                image: metadata.Image) -> model.Template:
        """Record that a template holds a newer version of its image too."""
        return self._record(
            model.refreshed(template, image, self._clock.now()))

    def record_use(self, template: model.Template,
                   when: datetime.datetime) -> model.Template:
        """Record the time of a template's last use.

        :returns: the template as the cluster has it now; unchanged when it
            does not exist any more
        """
        try:
            return self._record(model.used(template, when))
        except errors.NotFound:
            return template

    def remove(self, template: model.Template, reason: str) -> None:
        """Delete and purge a template.

        :param reason: why, for the log
        :raises errors.ElementError: with a note that it may be left
        """
        try:
            self._client.remove_volume(template.volume_id)
        except errors.ElementError as exc:
            exc.add_note('template volume %s may be left'
                         % template.volume_id)
            raise
        LOG.info('Removed template volume %(volume)s of image %(image)s '
                 '(%(state)s, image updated at %(updated_at)s): %(reason)s.',
                 {'volume': template.volume_id, 'image': template.image.id,
                  'state': template.state.value,
                  'updated_at': template.image.updated_at.isoformat(),
                  'reason': reason})

    # Internals

    def _cached_account(self) -> Optional[models.Account]:
        """Return the template account, or None if it does not exist."""
        account = self._account
        if account is None:
            account = self._account = self._client.get_account(
                self._account_name)
        return account

    def _forget_account(self) -> None:
        self._account = None

    def _list(self, image_id: str,
              account: models.Account) -> list[models.Volume]:
        return self._unless_account_is_gone(
            self._client.list_volumes, model.name_for(image_id), account.id)

    def _unless_account_is_gone(
            self, list_volumes: Callable[..., list[models.Volume]],
            *args: Any) -> list[models.Volume]:
        try:
            return list_volumes(*args)
        except errors.NotFound as exc:
            if exc.name not in errors.ACCOUNT_GONE:
                raise
            # Without its account a template cannot exist.
            self._forget_account()
            return []

    def _create(self, planned: model.Template, size: int,
                enable_512e: bool) -> models.Volume:
        account = self.account()

        def find_created(error: errors.ElementError
                         ) -> Optional[models.Volume]:
            LOG.debug('Checking whether CreateVolume was carried out: %s',
                      error)
            return self._find_by_fill(planned)

        return retry.retry_unless_done(
            lambda: self._client.create_volume(
                model.name_for(planned.image.id), account.id, size,
                enable_512e, planned.attributes()),
            find_created, self._clock)

    def _find_by_fill(self, planned: model.Template
                      ) -> Optional[models.Volume]:
        for volume in self._list(planned.image.id, self.account()):
            found = model.from_volume(volume, planned.image.id)
            if volume.active and found and (
                    found.fill_id == planned.fill_id):
                return volume
        return None

    def _remove_unrecorded(self, planned: model.Template,
                           volume: models.Volume) -> NoReturn:
        """Remove a new volume without its record, which no one would find.

        :raises exceptions.TemplateCacheError: always
        """
        failed = exceptions.TemplateCacheError(
            reason=_('SolidFire volume %s did not store its attributes')
            % volume.id)
        # Of a reply that contradicts the request the id is not trusted.
        if (volume.name != model.name_for(planned.image.id) or
                volume.account_id != self.account().id or
                not volume.iqn_matches_id):
            failed.add_note('it is left, since the reply was for another '
                            'volume: %s' % volume.name)
            raise failed
        try:
            self._client.remove_volume(volume.id)
        except errors.ElementError as exc:
            failed.add_note('it may be left: %s' % exc)
        raise failed

    def _record(self, template: model.Template,
                **changes: Any) -> model.Template:
        volume = self._client.modify_volume(
            template.volume_id, attributes=template.attributes(), **changes)
        recorded = model.from_volume(volume, template.image.id)
        if recorded is None or recorded.attributes() != (
                template.attributes()) or not recorded.usable:
            raise exceptions.TemplateCacheError(
                reason=_('SolidFire volume %s did not store its new '
                         'attributes') % template.volume_id)
        return recorded
