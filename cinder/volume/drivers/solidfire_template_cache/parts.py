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

"""The parts of the cache of one cluster, put together."""

import datetime

from oslo_utils import units

from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache import bounds
from cinder.volume.drivers.solidfire_template_cache import cache
from cinder.volume.drivers.solidfire_template_cache import clones
from cinder.volume.drivers.solidfire_template_cache import facts
from cinder.volume.drivers.solidfire_template_cache import filler
from cinder.volume.drivers.solidfire_template_cache import housekeeping
from cinder.volume.drivers.solidfire_template_cache import store
from cinder.volume.drivers.solidfire_template_cache import uses


class Parts(object):
    """What serves the requests for one cluster; asks it nothing yet.

    :param conf: the backend's configuration
    :param cluster_id: the cluster's own UUID
    :param client: its :class:`element.ElementClient`
    :param account_name: name of the template account, prefix included
    :param volumes_per_account: most volumes in one account of a tenant
    :param host: the name of this host, without that of a backend
    :param attached: as for :class:`filler.TemplateFiller`
    :param detach: as for :class:`housekeeping.Housekeeper`
    :param host_sessions: as for :class:`housekeeping.Housekeeper`
    """

    def __init__(self, conf, cluster_id, client, clock, account_name,
                 volumes_per_account, host, attached, detach, host_sessions):
        templates = store.TemplateStore(client, account_name, clock)
        scheduler = clones.CloneScheduler(
            client, facts.ClusterFacts(client, clock),
            conf.sf_volume_clone_timeout, clock)
        last_uses = uses.Uses(clock)
        self.id = cluster_id
        self.client = client
        self.housekeeper = housekeeping.Housekeeper(
            cluster_id, templates, scheduler, _read_bounds(conf), last_uses,
            host, detach, host_sessions, clock)
        self.filler = filler.TemplateFiller(
            templates, attached, conf.volume_dd_blocksize,
            conf.sf_emulate_512, self.housekeeper, host)
        self.cache = cache.TemplateCache(
            cluster_id, client, templates, scheduler,
            accounts.TenantAccounts(client, volumes_per_account),
            self.housekeeper, last_uses, conf.sf_template_wait_timeout,
            clock)


def _read_bounds(conf):
    return bounds.Bounds(
        most_templates=conf.sf_template_max_count,
        most_bytes=conf.sf_template_max_gib * units.Gi,
        idle=datetime.timedelta(days=conf.sf_template_idle_days),
        least_free_percent=conf.sf_template_min_free_percent)
