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

"""Facts of a cluster that rarely change, asked for once in a while."""

import threading

import cachetools
from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import errors

LOG = logging.getLogger(__name__)

# An operator who changes the cluster's default quality of service, or
# upgrades it, sees the change in new clones after so many seconds.
_KEEP_SECONDS = 600

# Of Element 12. Where a cluster allows fewer, it says that it is busy.
_CLONES_PER_VOLUME = 2


class ClusterFacts(object):
    """Remembers what one cluster said of itself.

    A cluster that does not answer is not asked again for a while either;
    what then holds does no harm.

    :param client: an :class:`element.ElementClient`
    """

    def __init__(self, client, clock=None):
        self._client = client
        self._lock = threading.Lock()
        self._known = cachetools.TTLCache(
            8, _KEEP_SECONDS,
            timer=(clock or clocks.SystemClock()).monotonic)

    def clones_per_volume(self):
        """Return how many clones of one volume may run at a time."""
        return self._remember('clones per volume',
                              self._client.get_clones_per_volume,
                              _CLONES_PER_VOLUME)

    def default_qos(self):
        """Return the limits that a new volume has unless it is given some.

        :returns: minIOPS and the like; empty when the cluster does not tell
        """
        return self._remember('default quality of service',
                              self._client.get_default_qos, {})

    def _remember(self, name, ask, otherwise):
        # The lock is held while asking, so that a crowd asks once.
        with self._lock:
            try:
                return self._known[name]
            except KeyError:
                LOG.debug('Asking the cluster for its %s.', name)
            try:
                value = ask()
            except errors.ElementError as exc:
                LOG.debug('Assuming %(value)s for %(name)s: %(error)s',
                          {'value': otherwise, 'name': name, 'error': exc})
                value = otherwise
            self._known[name] = value
            return value
