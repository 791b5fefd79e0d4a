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

"""One warning in the log for each time that a cluster becomes unreachable.

Calls are retried for many seconds, and many requests make calls at the same
time. The operator gets the cause with the first failure, and once.
"""

import threading

import cachetools
from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class Reachability(object):
    """Whether the last attempt to reach a cluster was successful.

    Threads may share it.

    :param url: of the cluster's API
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._failing = False
        self._lock = threading.Lock()

    def failed(self, message: str) -> None:
        """Log a warning, unless the cluster was unreachable already.

        :param message: one line with cause, address and the options to check
        """
        if not self._change(failing=True):
            return
        # NOTE: a caller may be handling an exception, of the call that it
        # cleans up after. oslo.log appends that to a warning, but makes an
        # exception for a few built-in classes, ValueError among them.
        try:
            raise ValueError()
        except ValueError:
            LOG.warning('The SolidFire cluster cannot be used: %(message)s.',
                        {'message': message})

    def succeeded(self) -> None:
        """Log the end of an outage, if there was one."""
        if self._change(failing=False):
            LOG.info('The SolidFire cluster at %(url)s can be used again.',
                     {'url': self._url})

    def _change(self, failing: bool) -> bool:
        """Return whether the state was another before."""
        with self._lock:
            changed = self._failing != failing
            self._failing = failing
            return changed


# A backend has a cluster, and one more with replication.
_known: cachetools.LRUCache = cachetools.LRUCache(16)
_known_lock = threading.Lock()


def for_url(url: str) -> Reachability:
    """Return the object that all users of a URL in this process share.

    The calls of the stock driver and those of the cache thus log an outage
    of their cluster once.
    """
    with _known_lock:
        found = _known.get(url)
        if found is None:
            found = _known[url] = Reachability(url)
        return found
