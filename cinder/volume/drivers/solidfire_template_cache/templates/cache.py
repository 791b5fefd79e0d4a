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
from cinder.volume.drivers.solidfire_template_cache.templates import replicas
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
    template: model.Template
    """What it is a clone of."""
    outcome: provider.Outcome


@dataclasses.dataclass(frozen=True)
class _Cloned(object):
    account: models.Account
    provided: provider.Provided
    source: model.Template
    volume: models.Volume


class TemplateCache(object):
    """Creates volumes on one cluster.

    :param cluster: the cluster
    :param templates: provides templates
    :param clones: clones them
    :param copies: replicas of them
    :param tenants: the accounts that own the clones
    :param backend: what the stock driver does for a volume
    :param uses: when templates were last used
    """

    def __init__(self, cluster: cl.Cluster,
                 templates: provider.TemplateProvider,
                 clones: scheduler.CloneScheduler,
                 copies: replicas.Replicas,
                 tenants: accounts.TenantAccounts,
                 backend: stock.StockBackend,
                 uses: usage.UsageTracker) -> None:
        self._cluster = cluster
        self._provider = templates
        self._clones = clones
        self._replicas = copies
        self._accounts = tenants
        self._backend = backend
        self._usage = uses

    def create(self, req: request.Request) -> Created:
        """Create the volume of a request.

        :raises Exception: whatever failed; nothing is left behind that the
            error's notes do not name
        """
        try:
            cloned = self._clone(req)
            for template in {cloned.provided.template, cloned.source}:
                self._usage.note(template)
            model_update = self._backend.finalize(
                req.context, self._cluster.id, req.volume, cloned.account,
                cloned.volume, cloned.source.signature_verified)
            return Created(model_update, cloned.source,
                           cloned.provided.outcome)
        except Exception as exc:
            self._remove_leftovers(req, exc)
            raise

    def _clone(self, req: request.Request) -> '_Cloned':
        """Clone the image's template into the project's account."""
        account_name = self._backend.account_name(req.volume['project_id'])
        full: Optional[models.Account] = None
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            account = self._accounts.get(account_name)
            provided = self._provider.get_or_fill(req)
            template = provided.template
            wanted = self._backend.clone_spec(req.volume, account)
            self._check_fits(template, wanted)
            source_set = self._replicas.source_set(req.image, [
                each for each in provided.templates
                if each.fits(wanted.size)])
            try:
                volume, source_id = self._clones.clone(source_set, wanted)
                return _Cloned(account, provided,
                               source_set.template(source_id), volume)
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
                gone = self._find_gone(provided, source_set, exc)
                if attempt == _MAX_ATTEMPTS or not gone:
                    raise
                for each in gone:
                    self._provider.forget(each)
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

    def _find_gone(self, provided: provider.Provided,
                   source_set: replicas.TemplateSources,
                   exc: Exception) -> list[model.Template]:
        """Return the templates that a failed clone shows to be gone.

        They, or the account of the clone, may have been removed meanwhile.
        """
        if isinstance(exc, errors.NotFound):
            return (list(provided.templates)
                    if exc.method == 'CloneVolume' else [])
        if isinstance(exc, (exceptions.CloneTimeout,
                            exceptions.CloneSuperseded)):
            return []
        source_id = exc.kwargs['template']  # type: ignore[attr-defined]
        try:
            if self._cluster.client.find_volume(source_id) is None:
                return [source_set.template(source_id)]
        except errors.ElementError as failure:
            LOG.debug('It is unknown whether template volume %(volume)s '
                      'exists: %(error)s',
                      {'volume': source_id, 'error': failure})
        return []

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
