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

"""Templates of one cluster: find, create, publish, refresh, retire.

Everything that changes an image's templates is called with the image's lock
held (see :mod:`locks`), but for the records: :meth:`TemplateStore.refresh`
and :meth:`TemplateStore.record_use`. If these meet, a record is written anew
at the next request.
"""

import threading

from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import template as tpl

LOG = logging.getLogger(__name__)


class TemplateStore(object):
    """The template account of one cluster and the volumes in it.

    :param client: an :class:`element.ElementClient`
    :param account_name: name of the shared account, prefix included
    """

    def __init__(self, client, account_name, clock=None):
        self._client = client
        self._clock = clock or clocks.SystemClock()
        self._account_name = account_name
        self._lock = threading.Lock()
        self._account = None

    def account(self):
        """Return the template account, made when missing.

        :rtype: wire.Account
        """
        with self._lock:
            if self._account is None:
                self._account = accounts.get_or_create(
                    self._client, self._account_name)
            return self._account

    def find(self, image_id):
        """Return all templates of an image, lowest volumeID first.

        Deleted ones are among them until they are purged.

        Costs one call, or two while the account is not known.
        """
        account = self._known_account()
        if account is None:
            return []
        found = []
        for volume in self._list(image_id, account):
            template = tpl.from_volume(volume, image_id)
            if template is None:
                LOG.info('Volume %(volume)s in SolidFire account %(account)s '
                         'has the name of a template of image %(image)s but '
                         'is not one of this driver; it is left alone.',
                         {'volume': volume.id, 'account': account.name,
                          'image': image_id})
            else:
                found.append(template)
        return sorted(found, key=lambda item: item.volume_id)

    def find_all(self):
        """Return all templates, and the other volumes in their account.

        Costs one call, or two while the account is not known.

        :returns: a list of :class:`template.Template`, deleted ones among
            them, and one of :class:`wire.Volume`
        """
        account = self._known_account()
        if account is None:
            return [], []
        volumes = self._unless_account_is_gone(
            self._client.list_account_volumes, account.id)
        templates, strangers = [], []
        for volume in volumes:
            template = tpl.from_volume(volume, tpl.image_id_of(volume))
            if template is None:
                strangers.append(volume)
            else:
                templates.append(template)
        return templates, strangers

    def find_volume(self, volume_id):
        """Return a :class:`wire.Volume`; None when absent or deleted."""
        return self._client.find_volume(volume_id)

    def block_space(self):
        """Return the cluster's bytes of block storage, used and in all."""
        return self._client.get_block_space()

    def plan(self, image, fill_id, filled_by, signature_verified):
        """Return a template that is about to be filled, for `create`."""
        return tpl.new(image, fill_id, filled_by, signature_verified,
                       self._clock.now(), locks.domain())

    def create(self, template, size, enable_512e):
        """Create the volume of a template that is about to be filled.

        :param template: from :meth:`plan`
        :param size: bytes
        :returns: the template with its volume, and the volume
        """
        try:
            volume = self._create(template, size, enable_512e)
        except errors.NotFound:
            # The account that we remember is gone.
            self._forget_account()
            volume = self._create(template, size, enable_512e)
        created = tpl.from_volume(volume, template.image.id)
        if created is None or created.fill_id != template.fill_id:
            raise errors.TemplateCacheError(
                reason=_('volume %s did not take its attributes') % volume.id)
        return created, volume

    def publish(self, template):
        """Make a filled template ready, in one call.

        :returns: the template as the cluster has it now
        """
        return self._record(tpl.published(template, self._clock.now()),
                            access='readOnly')

    def refresh(self, template, image):
        """Note that a template holds a newer version of its image too."""
        return self._record(
            tpl.refreshed(template, image, self._clock.now()))

    def record_use(self, template, when):
        """Record the time of a template's last use.

        :returns: the template as the cluster has it now; as it was, when it
            is gone
        """
        try:
            return self._record(tpl.used(template, when))
        except errors.NotFound:
            return template

    def retire(self, template):
        """Delete and purge a template.

        :raises errors.ElementError: with a note that it may be left
        """
        try:
            self._client.remove_volume(template.volume_id)
        except errors.ElementError as exc:
            exc.add_note('template volume %s may be left'
                         % template.volume_id)
            raise
        LOG.info('Removed template volume %(volume)s of image %(image)s '
                 '(%(state)s, of %(updated_at)s).',
                 {'volume': template.volume_id, 'image': template.image.id,
                  'state': template.state.value,
                  'updated_at': template.image.updated_at.isoformat()})

    def discard_fill(self, template):
        """Remove whatever one attempt to fill has made.

        Looks by the attempt's own mark, since a call that failed may have
        been carried out all the same.
        """
        for found in self.find(template.image.id):
            if found.fill_id == template.fill_id:
                self.retire(found)

    def _known_account(self):
        """Return the template account, or None while there is none."""
        with self._lock:
            if self._account is None:
                self._account = self._client.get_account(self._account_name)
            return self._account

    def _forget_account(self):
        with self._lock:
            self._account = None

    def _list(self, image_id, account):
        return self._unless_account_is_gone(
            self._client.list_volumes, tpl.name_for(image_id), account.id)

    def _unless_account_is_gone(self, list_volumes, *args):
        try:
            return list_volumes(*args)
        except errors.NotFound as exc:
            if exc.name not in errors.ACCOUNT_GONE:
                raise
            # Without its account a template cannot exist.
            self._forget_account()
            return []

    def _create(self, template, size, enable_512e):
        account = self.account()

        def look(error):
            LOG.debug('%s; looking whether it was carried out.', error)
            return self._find_by_fill(template)

        return element.repeat_looking(
            lambda: self._client.create_volume(
                tpl.name_for(template.image.id), account.id, size,
                enable_512e, template.attributes()),
            look, self._clock)

    def _find_by_fill(self, template):
        for volume in self._list(template.image.id, self.account()):
            found = tpl.from_volume(volume, template.image.id)
            if volume.active and found and (
                    found.fill_id == template.fill_id):
                return volume
        return None

    def _record(self, template, **changes):
        volume = self._client.modify_volume(
            template.volume_id, attributes=template.attributes(), **changes)
        recorded = tpl.from_volume(volume, template.image.id)
        if recorded is None or recorded.attributes() != (
                template.attributes()) or not recorded.usable:
            raise errors.TemplateCacheError(
                reason=_('volume %s did not take its new attributes')
                % template.volume_id)
        return recorded
