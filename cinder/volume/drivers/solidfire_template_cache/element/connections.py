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

"""Kept connections to the API of a cluster, and when one may be used again.

A connection that was idle may be broken without a sign of it: the cluster
drops idle ones, and moves its address to another node. What is sent then is
lost, or carried out without a reply. Hence two rules. A call whose repetition
does no harm may use an idle connection, and is repeated at once on a new one
if the idle one was broken. Any other call uses a connection that was in use a
moment ago, or a new one. And what broke one connection has most likely broken
the others: they are not used any more.
"""

import collections
import contextlib
import threading
from typing import Callable
from typing import Deque
from typing import Iterator
from typing import MutableMapping
from typing import Optional
from typing import Tuple
from typing import TypeVar
from typing import Union
import weakref

from oslo_log import log as logging
import requests

from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache.element import errors

LOG = logging.getLogger(__name__)

_T = TypeVar('_T')

Verify = Union[bool, str]
"""As in requests: a flag, or the file of the authority to trust."""

# A burst of requests must not open a connection each. A call takes some
# milliseconds, so that these serve hundreds of requests at the same time.
_MAX_CONNECTIONS = 32

# Seconds after which an idle connection is not used any more: firewalls drop
# idle connections after some minutes.
_MAX_IDLE = 60

# The same for calls that must not be repeated: less than the shortest
# keep-alive time-out that is usual for servers (5 s of Apache).
_MAX_IDLE_UNREPEATABLE = 2

# Calls that change something, and that do no harm when they are carried out
# twice: what they set or remove is named by an id, and cannot be set or
# removed once more. All that only read do no harm either, with one exception:
# the first GetAsyncResult of a finished job consumes it, with its error. If
# that reply was lost, the result is gone, repeated or not: the next call says
# that there is no such job, and CloneMonitor then looks for the volume.
_REPEATABLE = frozenset(('CancelClone', 'DeleteVolume', 'ModifyVolume',
                         'PurgeDeletedVolume'))
_READING = ('Get', 'List')


class NoneFree(Exception):
    """All connections were in use for too long; nothing was sent."""


class _Connection(object):
    """A session that keeps at most one connection.

    :ivar last_used: monotonic time; None without a connection
    """

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self.last_used: Optional[float] = None

    def close(self) -> None:
        """Close the connection; the next use opens another one."""
        self.session.close()
        self.last_used = None


class ConnectionPool(object):
    """The connections to one URL with one login. Threads may share it.

    Nothing is sent before the first use. What the environment says of
    proxies and authorities is read once for each session.

    :param url: ``https://host:port``, without a path
    """

    def __init__(self, url: str, login: str, password: str, verify: Verify,
                 clock: clock.SystemClock) -> None:
        self._url = url
        self._auth = (login, password)
        self._verify = verify
        self._clock = clock
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._lock = threading.Lock()
        # Guarded by the lock: the connections that nobody uses, the one used
        # last at the end; how often close() was called.
        self._idle: Deque[_Connection] = collections.deque()
        self._closings = 0

    def use(self, method: str, exchange: Callable[[requests.Session], _T],
            seconds: float) -> _T:
        """Make one attempt of an API call on a connection.

        Whenever it fails, the connection is closed. If it was kept and is
        broken, all that are idle are closed.

        :param method: name of the API method
        :param exchange: sends the request by a session, reads the reply to
            its end, and returns it; is called again if a kept connection
            broke and ``method`` may be repeated
        :param seconds: to wait for a connection, while all are in use
        :raises NoneFree: all were in use for so long
        :raises errors.ElementError: whatever ``exchange`` raises
        """
        repeatable = _may_be_repeated(method)
        with self._borrow(seconds) as connection:
            kept = self._prepare(connection, repeatable)
            try:
                return exchange(connection.session)
            except errors.ReplyLost as exc:
                if not (kept and _is_broken(exc)):
                    raise
                # The call that repairs or repeats this one gets a new one.
                # Those in use will show whether they are broken, too.
                self._close_idle()
                if not repeatable:
                    raise
            LOG.debug('%s is sent again: the connection that was kept is '
                      'broken.', method)
            connection.close()
            return exchange(connection.session)

    def close(self) -> None:
        """Close all connections; those in use, as soon as they are not."""
        with self._lock:
            self._closings += 1
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _borrow(self, seconds: float) -> Iterator[_Connection]:
        """Lend the connection that was used last, or a new one."""
        if not self._free.acquire(timeout=seconds):
            raise NoneFree()
        try:
            with self._lock:
                closings = self._closings
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = _Connection(self._new_session())
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection, closings)
        finally:
            self._free.release()

    def _prepare(self, connection: _Connection, repeatable: bool) -> bool:
        """Close a connection that is too old; return whether it was kept."""
        if connection.last_used is None:
            return False
        idle = self._clock.monotonic() - connection.last_used
        if idle <= (_MAX_IDLE if repeatable else _MAX_IDLE_UNREPEATABLE):
            return True
        connection.close()
        return False

    def _give_back(self, connection: _Connection, closings: int) -> None:
        connection.last_used = now = self._clock.monotonic()
        unused = []
        with self._lock:
            if closings == self._closings:
                self._idle.append(connection)
            else:
                unused.append(connection)
            # What a burst has opened is not kept for ever.
            while self._idle and now - (self._idle[0].last_used or
                                        0) > _MAX_IDLE:
                unused.append(self._idle.popleft())
        for each in unused:
            each.close()

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.auth = self._auth
        # Retries are decided here, and in the module retry.
        session.mount('https://', requests.adapters.HTTPAdapter(
            pool_connections=1, pool_maxsize=1, max_retries=0))
        # As each request would read them; a file or False is not overridden.
        settings = session.merge_environment_settings(
            self._url, {}, None, self._verify, None)
        session.proxies = settings['proxies']
        session.verify = settings['verify']
        session.trust_env = False
        return session


def _may_be_repeated(method: str) -> bool:
    return method in _REPEATABLE or method.startswith(_READING)


def _is_broken(error: errors.ReplyLost) -> bool:
    """Return whether a connection ended before any byte of the reply."""
    return error.name in (errors.CONNECTION_ERROR, errors.TLS_ERROR)


_Key = Tuple[str, str, str, Verify]

# Those in use; a pool that nobody uses any more is closed with its sessions.
_pools: MutableMapping[_Key, ConnectionPool] = weakref.WeakValueDictionary()
_pools_lock = threading.Lock()


def for_endpoint(url: str, login: str, password: str,
                 verify: Verify) -> ConnectionPool:
    """Return the pool that all users of an endpoint in this process share.

    The calls of the stock driver and those of the cache thus use the same
    connections.
    """
    key = (url, login, password, verify)
    with _pools_lock:
        found = _pools.get(key)
        if found is None:
            found = _pools[key] = ConnectionPool(*key, clock.SystemClock())
        return found
