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

"""Locks across threads, processes and hosts, by Cinder's coordination."""

import contextlib
import glob
import hashlib
import os
import random
import socket
import threading
from typing import Callable
from typing import Iterator
from typing import Optional
from typing import TypeVar
import urllib.parse

from oslo_config import cfg
from oslo_log import log as logging
from tooz import locking

from cinder import coordination
from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

T = TypeVar('T')

# Backends of tooz whose locks are limited to this machine.
_LOCAL_SCHEMES = ('file', 'ipc')

# Seconds between two attempts to take a lock, growing from min to max.
_MIN_PAUSE, _MAX_PAUSE, _PAUSE_FACTOR = 0.05, 1.0, 1.5


class LockTimeout(Exception):
    """The lock was held by others all the time."""


@contextlib.contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Hold a lock while the block runs, if it is free now.

    Cinder's decorator runs the function even if a non-blocking lock was not
    acquired, so the lock is taken from the coordinator itself.

    :param name: the lock's name, the same on every host
    :returns: yields whether the lock is held
    :raises Exception: of the coordination backend, if it cannot tell whether
        the lock is free. A failure to release the lock is only logged.
    """
    # A new object each time: a file lock of tooz that was refused cannot be
    # used again.
    lock = coordination.COORDINATOR.get_lock(name)
    acquired = bool(lock.acquire(blocking=False))
    try:
        yield acquired
    except BaseException as exc:
        failure = _release(lock) if acquired else None
        if failure:
            # A warning logged here would have this error appended.
            exc.add_note('lock %s could not be released: %s' % (
                name, log_utils.format_error(failure)))
        raise
    failure = _release(lock) if acquired else None
    if failure:
        # What was done under the lock stands.
        LOG.warning('Lock %(name)s could not be released and may stay held '
                    'until the coordination backend expires it: %(reason)s',
                    {'name': name,
                     'reason': log_utils.format_error(failure)})


def _release(lock: locking.Lock) -> Optional[Exception]:
    """Release a lock; return the error if that fails."""
    try:
        lock.release()
    except Exception as exc:
        # The errors of tooz, and of the client libraries that it does not
        # translate.
        return exc
    return None


@contextlib.contextmanager
def wait_for_lock(name: str, clock: clock_mod.SystemClock, seconds: float,
                  purpose: str,
                  until: Optional[Callable[[], Optional[T]]] = None,
                  changed: Optional[threading.Condition] = None
                  ) -> Iterator[Optional[T]]:
    """Hold a lock while the block runs, as soon as it is free.

    :param name: the lock's name, the same on every host
    :param seconds: the time to wait at most; 0 makes a single attempt
    :param purpose: what is waited for, to complete a line of the log
    :param until: called after each attempt that failed; if it returns
        something true, the block runs without the lock
    :param changed: a condition that is notified when ``until`` may have
        something to return
    :returns: yields None with the lock held, else what ``until`` returned
    :raises LockTimeout: if the lock was not free in time
    :raises Exception: as :func:`try_lock`
    """
    changed = changed or threading.Condition()
    deadline = clock.monotonic() + seconds
    pause = 0.0
    while True:
        with try_lock(name) as acquired:
            found = until() if until and not acquired else None
            if acquired or found:
                yield found
                return
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            raise LockTimeout()
        if not pause:
            LOG.info('Waiting up to %(seconds)d s for %(purpose)s.',
                     {'seconds': seconds, 'purpose': purpose})
        pause = min(pause * _PAUSE_FACTOR or _MIN_PAUSE, _MAX_PAUSE)
        with changed:
            clock.wait(changed, min(remaining,
                                    pause * random.uniform(0.5, 1)))


def remove_files(name: str) -> None:
    """Remove the file of a lock that will not be needed again.

    Only the file backend of tooz keeps something after a release; Cinder
    removes the files of its own locks in the same way. The caller holds the
    lock, or knows that no other process uses it. Does not fail.
    """
    coordination.synchronized_remove(glob.escape(name))


def images_with_files(cluster_id: str) -> list[str]:
    """Return the images whose locks have a file on this host.

    :returns: image ids; none if the locks are not files
    """
    if backend_scheme() != 'file':
        return []
    # As Cinder names the files of its coordinator.
    start = os.path.join(
        urllib.parse.urlsplit(CONF.coordination.backend_url).path,
        coordination.COORDINATOR.prefix + for_image(cluster_id, ''))
    return [path[len(start):] for path in glob.glob(
        glob.escape(start) + '*')]


def backend_scheme() -> str:
    """Return the type of the coordination backend, such as 'etcd3+http'."""
    # The rest of the URL may contain a password.
    return CONF.coordination.backend_url.partition(':')[0].lower()


def are_shared() -> bool:
    """Return whether locks hold across hosts, as far as is known.

    Files may be on a file system that hosts share, but Cinder does not
    support that.
    """
    return backend_scheme() not in _LOCAL_SCHEMES


def lock_scope_id() -> Optional[str]:
    """Identify the place of the locks: services with one id share them.

    :returns: 16 hexadecimal digits, or None for locks that all hosts share
    """
    if are_shared():
        return None
    path = urllib.parse.urlsplit(CONF.coordination.backend_url).path
    place = [socket.gethostname(), os.path.realpath(path)]
    try:
        status = os.stat(path)
    except OSError:
        # Not a file, or it does not exist yet.
        pass
    else:
        # Two containers may have the same names for different places.
        place += [str(status.st_dev), str(status.st_ino)]
    return hashlib.sha256(' '.join(place).encode()).hexdigest()[:16]


def for_image(cluster_id: str, image_id: str) -> str:
    """Name the lock under which the templates of an image change.

    Scoped by the storage cluster, because all hosts and backend sections
    that serve one cluster share its templates.
    """
    return 'solidfire-template-%s-%s' % (cluster_id, image_id)


def for_capacity(cluster_id: str) -> str:
    """Name the lock under which templates are counted and created.

    Hosts that run another version of the driver use the same name.
    """
    return 'solidfire-template-room-%s' % cluster_id


def for_housekeeping(cluster_id: str) -> str:
    """Name the lock that lets one host at a time run housekeeping."""
    return 'solidfire-template-housekeeping-%s' % cluster_id
