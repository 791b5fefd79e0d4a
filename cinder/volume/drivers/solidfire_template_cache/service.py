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

"""The cache of one cluster: its parts, wired together, and its entry."""

import threading
from typing import Any
from typing import Optional

import cachetools
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils

from cinder import context as cinder_context
from cinder import exception
from cinder.i18n import _
from cinder.objects import volume as volume_obj
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache import background
from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.host import attach
from cinder.volume.drivers.solidfire_template_cache.host import iscsi_sessions
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume.drivers.solidfire_template_cache.templates import cache
from cinder.volume.drivers.solidfire_template_cache.templates import eviction
from cinder.volume.drivers.solidfire_template_cache.templates import filler
from cinder.volume.drivers.solidfire_template_cache.templates import \
    housekeeping
from cinder.volume.drivers.solidfire_template_cache.templates import limits
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import provider
from cinder.volume.drivers.solidfire_template_cache.templates import pruning
from cinder.volume.drivers.solidfire_template_cache.templates import replicas
from cinder.volume.drivers.solidfire_template_cache.templates import request
from cinder.volume.drivers.solidfire_template_cache.templates import store
from cinder.volume.drivers.solidfire_template_cache.templates import usage
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

VERSION = '1.2.0'
"""Of the template cache; the stock driver has a version of its own."""

# A backend has a cluster and, with replication, one that it fails over to.
_MAX_CLUSTERS = 4


class CacheService(object):
    """The template cache of one cluster. Makes no call when constructed.

    :param cluster: the cluster
    :param backend: the stock driver
    :param sessions: this host's iSCSI sessions to templates
    """

    def __init__(self, cluster: cl.Cluster, backend: stock.StockBackend,
                 sessions: iscsi_sessions.TemplateSessions) -> None:
        self.cluster = cluster
        self._client = cluster.client
        allowed = limits.Limits.from_conf(cluster.conf)
        uses = usage.UsageTracker(cluster.clock)
        attachments = attach.HostAttachments(backend)
        self.store = store.TemplateStore(cluster,
                                         backend.template_account_name())
        self.scheduler = scheduler.CloneScheduler(
            cluster, cluster_info.ClusterInfo(cluster.client, cluster.clock))
        pruner = pruning.TemplatePruner(cluster, self.store, self.scheduler,
                                        attachments)
        capacity = eviction.CapacityManager(
            cluster, self.store, self.scheduler, pruner, allowed, uses)
        self.filler = filler.TemplateFiller(cluster, self.store, capacity,
                                            attachments)
        self.provider = provider.TemplateProvider(cluster, self.store,
                                                  self.filler, pruner)
        self.replicas = replicas.Replicas(
            cluster, self.store, capacity, self.provider, self.scheduler)
        self.accounts = accounts.TenantAccounts(
            cluster.client, backend.max_volumes_per_account, cluster.clock)
        self.cache = cache.TemplateCache(
            cluster, self.provider, self.scheduler, self.replicas,
            self.accounts, backend, uses)
        self.housekeeper = housekeeping.Housekeeper(
            cluster, self.store, self.scheduler, pruner, capacity, allowed,
            uses, sessions)
        self.housekeeping_runner = background.BackgroundRunner(
            'Housekeeping of the template volumes on SolidFire cluster %s'
            % cluster.id, self.housekeeper.run, cluster.clock)

    def clone_image(self, context: cinder_context.RequestContext,
                    volume: volume_obj.Volume, image_meta: dict[str, Any],
                    image_service: Any
                    ) -> tuple[Optional[dict[str, Any]], bool]:
        """Create a volume from its image's template, if it may have one.

        :returns: as ``clone_image`` of a driver: what to record of the
            volume, and whether it was created
        :raises Exception: whatever failed, see
            :meth:`templates.cache.TemplateCache.create`
        """
        watch = timeutils.StopWatch()
        watch.start()
        verdict = request.check(volume, image_meta)
        if verdict.image is None:
            LOG.info('Creating volume %(volume)s without a template of image '
                     '%(image)s (%(name)s): %(reason)s.',
                     {'volume': volume['id'],
                      'image': log_utils.image_id(image_meta),
                      'name': verdict.reason and verdict.reason.name,
                      'reason': verdict.explanation})
            return None, False
        created = self.cache.create(request.Request(
            context, volume, verdict.image, image_service))
        LOG.info('Created volume %(volume)s as a clone of template volume '
                 '%(template)s of image %(image)s (%(outcome)s), completed '
                 'in %(seconds).1f s.',
                 {'volume': volume['id'], 'image': verdict.image.id,
                  'template': created.template.volume_id,
                  'outcome': created.outcome.value,
                  'seconds': watch.elapsed()})
        return created.model_update, True

    def refuse_template(self, existing_ref: dict[str, Any]) -> None:
        """Prevent that a template becomes the volume of a project.

        The stock driver manages the volume with the number it is given, or
        the next one when there is none.

        :raises exception.ManageExistingInvalidReference: it is a template
        """
        try:
            # As the stock driver reads it: ' +7 ' and 7.5 are numbers.
            number = int(existing_ref.get('source-id'))  # type: ignore
        except (TypeError, ValueError, OverflowError):
            # The stock driver has an error of its own for it.
            return
        found = self._client.next_active_volume(number)
        if found and model.ATTRIBUTE in found.attributes:
            raise exception.ManageExistingInvalidReference(
                existing_ref=existing_ref,
                reason=_('SolidFire volume %s is an image template')
                % found.id)


class CacheServices(object):
    """The cache services of one backend: one for each cluster it uses.

    :param backend: the stock driver
    """

    def __init__(self, backend: stock.StockBackend) -> None:
        self.clock = clock_mod.SystemClock()
        self._backend = backend
        self._lock = threading.Lock()
        self._services: cachetools.LRUCache = cachetools.LRUCache(
            _MAX_CLUSTERS)

    def active(self) -> CacheService:
        """Return the service of the cluster that is active now."""
        active = self._backend.active_cluster()
        key = (active.id, active.endpoint)
        with self._lock:
            if key not in self._services:
                self._services[key] = self._new_service(active)
            return self._services[key]

    def _new_service(self, active: stock.ActiveCluster) -> CacheService:
        backend = self._backend
        cluster = cl.Cluster(
            id=active.id, clock=self.clock,
            client=backend.new_client(active.endpoint, self.clock),
            host=volume_utils.extract_host(backend.host or CONF.host, 'host'),
            conf=backend.conf)
        return CacheService(cluster, backend, iscsi_sessions.TemplateSessions(
            model.NAME_PREFIX, active.mark, active.portal, backend.conf))

    def clear(self) -> None:
        """Close the connections and drop all that is cached."""
        with self._lock:
            for service in self._services.values():
                service.cluster.client.close()
            self._services.clear()
        self._backend.close()

    def check_setup(self) -> None:
        """Check the configuration, and log it in one line.

        :raises exception.InvalidConfigurationValue: the template account
            cannot exist
        """
        conf = self._backend.conf
        account_name = self._backend.template_account_name()
        options.check_account_name(conf.sf_template_account_name,
                                   account_name)
        LOG.info('SolidFire template cache %(version)s is on: cluster '
                 '%(cluster)s, template account %(account)s, at most '
                 '%(count)s templates and %(gib)s GiB (0 is no limit), '
                 'at most %(replicas)s replicas of each, '
                 'expiry after %(days)s days, %(free)s percent of free '
                 'space, waits of %(wait)s s, coordination backend '
                 '%(locks)s.',
                 {'version': VERSION,
                  'cluster': self._backend.active_cluster().id,
                  'account': account_name,
                  'count': conf.sf_template_max_count,
                  'gib': conf.sf_template_max_gib,
                  'replicas': conf.sf_template_max_replicas,
                  'days': conf.sf_template_idle_days,
                  'free': conf.sf_template_min_free_percent,
                  'wait': conf.sf_template_wait_timeout,
                  'locks': locks.backend_scheme()})
        if self._backend.cluster_name and not locks.are_shared():
            LOG.warning('The hosts of cluster %(cluster)s do not share a '
                        'coordination backend, so each may fill its own '
                        'template of the same image. Set backend_url in '
                        '[coordination] to a service that all of them share, '
                        'such as Redis or etcd; it is of type %(type)s now.',
                        {'cluster': self._backend.cluster_name,
                         'type': locks.backend_scheme()})


def log_off() -> None:
    """Log that the cache is not used."""
    LOG.info('SolidFire template cache %(version)s is off '
             '(sf_allow_template_caching).', {'version': VERSION})
