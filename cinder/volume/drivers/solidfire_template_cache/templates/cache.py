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

"""Creates a volume from an image's template, from the request to the end."""

import dataclasses
from typing import Any
from typing import Optional

from oslo_log import log as logging

from cinder.i18n import _
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import provider
from cinder.volume.drivers.solidfire_template_cache.templates import request
from cinder.volume.drivers.solidfire_template_cache.templates import usage

LOG = logging.getLogger(__name__)

# A template or an account may be removed externally, and again while it is
# looked for; after so many clones that failed for it the request falls back.
_MAX_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Created(object):
    """A volume that was created from a template."""

    model_update: dict[str, Any]
    """What Cinder records of the volume."""
    provided: provider.Provided


class TemplateCache(object):
    """Creates volumes on one cluster.

    :param cluster: the cluster
    :param templates: provides templates
    :param clones: clones them
    :param tenants: the accounts that own the clones
    :param backend: what the stock driver does for a volume
    :param uses: when templates were last used
    """

    def __init__(self, cluster: cl.Cluster,
                 templates: provider.TemplateProvider,
                 clones: scheduler.CloneScheduler,
                 tenants: accounts.TenantAccounts,
                 backend: stock.StockBackend,
                 uses: usage.UsageTracker) -> None:
        self._cluster = cluster
        self._provider = templates
        self._clones = clones
        self._accounts = tenants
        self._backend = backend
        self._usage = uses

    def create(self, req: request.Request) -> Created:
        """Create the volume of a request.

        :raises Exception: whatever failed; nothing is left behind that the
            error's notes do not name
        """
        try:
            account, provided, volume = self._clone(req)
            self._usage.note(provided.template)
            model_update = self._backend.finalize(
                req.context, self._cluster.id, req.volume, account, volume,
                provided.template.signature_verified)
            return Created(model_update, provided)
        except Exception as exc:
            self._remove_leftovers(req, exc)
            raise

    def _clone(self, req: request.Request
               ) -> tuple[models.Account, provider.Provided, models.Volume]:
        """Clone the image's template into the project's account."""
        account_name = self._backend.account_name(req.volume['project_id'])
        full: Optional[models.Account] = None
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            account = self._accounts.get(account_name)
            provided = self._provider.get_or_fill(req)
            template = provided.template
            wanted = self._backend.clone_spec(req.volume, account)
            self._check_fits(template, wanted)
            try:
                return account, provided, self._clones.clone(
                    template.volume_id, template.size, wanted)
            except errors.LimitExceeded as exc:
                # Other hosts use the account too; the next one is tried once.
                if exc.method != 'CloneVolume':
                    raise
                if full:
                    # A limit of something else than the account.
                    self._accounts.unmark_full(full)
                    raise
                self._accounts.mark_full(account)
                if attempt == _MAX_ATTEMPTS:
                    raise
                full = account
                self._log_retry(req, exc)
            except (errors.NotFound, exceptions.CloneFailed) as exc:
                if attempt == _MAX_ATTEMPTS or not self._is_gone(template,
                                                                 exc):
                    raise
                self._provider.forget(template)
                self._accounts.forget(account_name)
                self._log_retry(req, exc)
        raise AssertionError('unreachable')

    def _check_fits(self, template: model.Template,
                    wanted: spec.CloneSpec) -> None:
        if not template.fits(wanted.size):
            self._provider.forget(template)
            raise exceptions.TemplateCacheError(
                reason=_('template volume %s does not fit the volume')
                % template.volume_id)

    def _is_gone(self, template: model.Template, exc: Exception) -> bool:
        """Return whether the template or the account of a clone is gone.

        Either may have been removed while the template was being cloned.
        """
        if isinstance(exc, errors.NotFound):
            return exc.method == 'CloneVolume'
        if isinstance(exc, (exceptions.CloneTimeout,
                            exceptions.CloneSuperseded)):
            return False
        try:
            return self._cluster.client.find_volume(
                template.volume_id) is None
        except errors.ElementError:
            return False

    def _remove_leftovers(self, req: request.Request,
                          exc: Exception) -> None:
        """Remove what this attempt, or an earlier one, left of the volume.

        The stock driver refuses to create a volume whose name exists.
        """
        if isinstance(exc, exceptions.CloneSuperseded):
            # The name belongs to a later attempt.
            return
        name = self._backend.volume_name(req.volume)
        # A clone that is still running, of this attempt or of another host,
        # cannot be removed now.
        self._clones.note_fallback(name)
        if isinstance(exc, errors.NotSent):
            # The cluster is unreachable.
            return
        try:
            self._cluster.client.remove_volumes_named(name)
        except errors.ElementError as failure:
            exc.add_note('a volume named %s may be left: %s'
                         % (name, failure))

    @staticmethod
    def _log_retry(req: request.Request, exc: Exception) -> None:
        LOG.info('Retrying the clone for volume %(volume)s: %(error)s',
                 {'volume': req.volume['id'],
                  'error': log_utils.format_error(exc)})
