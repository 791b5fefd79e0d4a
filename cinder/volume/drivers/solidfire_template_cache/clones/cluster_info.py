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

"""Properties of a cluster that rarely change, cached for some minutes."""

import threading
from typing import Any
from typing import Callable
from typing import Hashable
from typing import MutableMapping
from typing import Optional

import cachetools
from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors

LOG = logging.getLogger(__name__)

# New clones follow a change of the cluster's default QoS, or an upgrade of
# the cluster, after this many seconds.
_CACHE_SECONDS = 600

# A shorter list of nodes is not complete (nodesPerClusterCountMin).
_MIN_NODES = 3


class ClusterInfo(object):
    """Asks a cluster for its properties and caches the answers.

    When a call fails, its default value is cached as well, so that each
    request does not wait for the same failure.
    """

    def __init__(self, element_client: client.ElementClient,
                 clock: clock_mod.SystemClock) -> None:
        self._client = element_client
        self._lock = threading.Lock()
        # Whether the cluster has ever reported the node of a volume.
        self._lists_nodes = False
        self._cached: MutableMapping[str, Any] = cachetools.TTLCache(
            8, _CACHE_SECONDS, timer=clock.monotonic)

    def clone_limits(self) -> slots.Limits:
        """Return how many clones may run, without the number of nodes.

        A cluster that allows fewer than the defaults refuses the surplus
        with a retryable error.
        """
        default = slots.Limits()

        def fetch() -> slots.Limits:
            per_volume, per_node = self._client.get_clone_limits()
            return slots.Limits(per_volume, per_node or default.per_node)

        return self._get('clone limits', fetch, default)

    def nodes(self) -> Optional[int]:
        """Return the number of storage nodes; None when unknown."""
        count = self._get('number of nodes', self._client.count_nodes, 0)
        return count if count >= _MIN_NODES else None

    def volume_nodes(self, volume_ids: list[int]
                     ) -> Optional[dict[int, Hashable]]:
        """Return the nodes of some volumes; None if they are not known."""
        with self._lock:
            if self._cached.get('no volume nodes'):
                return None
        try:
            found = self._client.list_volume_nodes(volume_ids)
            # A new volume may have no statistics yet.
            unsupported = not (found or self._lists_nodes)
        except errors.ElementError as exc:
            LOG.debug('The nodes of volumes were not listed: %s', exc)
            found = None
            unsupported = (exc.retry_class is errors.RetryClass.FINAL and
                           not isinstance(exc, errors.NotFound))
        with self._lock:
            self._lists_nodes |= bool(found)
            if unsupported:
                self._cached['no volume nodes'] = True
        return found

    def default_qos(self) -> dict[str, int]:
        """Return the QoS of volumes that are created without any.

        :returns: minIOPS, maxIOPS and burstIOPS; empty when unknown
        """
        return self._get('default QoS', self._client.get_default_qos, {})

    def _get(self, name: str, fetch: Callable[[], Any], default: Any) -> Any:
        # The lock is held during the call, so that concurrent requests
        # make it once.
        with self._lock:
            try:
                return self._cached[name]
            except KeyError:
                LOG.debug('Asking the cluster for its %s.', name)
            try:
                value = fetch()
            except errors.ElementError as exc:
                LOG.debug('Assuming %(value)s as %(name)s of the cluster: '
                          '%(error)s',
                          {'value': default, 'name': name, 'error': exc})
                value = default
            self._cached[name] = value
            return value
