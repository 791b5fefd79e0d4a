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
import hashlib
import os
import random
import socket
import threading
import urllib.parse

from oslo_config import cfg

from cinder import coordination

CONF = cfg.CONF

# Backends of tooz whose locks end at this machine.
_LOCAL_SCHEMES = ('file', 'ipc')

# Seconds between two tries for a lock, growing from the first to the last.
_FIRST_PAUSE, _LAST_PAUSE, _GROWTH = 0.05, 1.0, 1.5


class TimedOut(Exception):
    """The lock was not free in time."""


@contextlib.contextmanager
def held(name):
    """Hold a lock while the block runs, if it is free now.

    The decorator that Cinder offers goes on when it did not get the lock,
    so the lock is taken from the coordinator itself.

    :param name: the lock's name, the same on every host
    :returns: yields whether the lock is held
    """
    # A new object each time: one of tooz's for files is of no more use once
    # it was refused.
    lock = coordination.COORDINATOR.get_lock(name)
    acquired = bool(lock.acquire(blocking=False))
    try:
        yield acquired
    finally:
        if acquired:
            lock.release()


@contextlib.contextmanager
def awaited(name, clock, seconds, needless=lambda: False, changed=None):
    """Hold a lock while the block runs, as soon as it is free.

    :param name: the lock's name, the same on every host
    :param clock: tells the time, and waits
    :param seconds: how long to wait at the most
    :param needless: asked after each try; ends the wait when true
    :param changed: a condition that is notified when it may be needless
    :returns: yields whether the lock is held; if not, it is needless
    :raises TimedOut: others held it all the time
    """
    changed = changed or threading.Condition()
    deadline = clock.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        with held(name) as acquired:
            if acquired or needless():
                yield acquired
                return
        left = deadline - clock.monotonic()
        if left <= 0:
            raise TimedOut()
        with changed:
            clock.wait(changed, min(
                left, pause * random.uniform(0.5, 1)))
        pause = min(pause * _GROWTH, _LAST_PAUSE)


def are_shared():
    """Tell whether locks hold across hosts, as far as one can tell.

    Files may be on a file system that hosts share, but Cinder does not
    support that.
    """
    scheme = urllib.parse.urlsplit(CONF.coordination.backend_url).scheme
    return scheme not in _LOCAL_SCHEMES


def domain():
    """Name the place where locks are; who has the same one has them in common.

    :returns: 16 letters and digits, or None for locks that all hosts share
    """
    if are_shared():
        return None
    path = urllib.parse.urlsplit(CONF.coordination.backend_url).path
    place = [socket.gethostname(), os.path.realpath(path)]
    try:
        status = os.stat(path)
    except OSError:
        # Not a file, or not there yet.
        pass
    else:
        # Two containers may have the same names for different places.
        place += [str(status.st_dev), str(status.st_ino)]
    return hashlib.sha256(' '.join(place).encode()).hexdigest()[:16]


def for_image(cluster_id, image_id):
    """Name the lock under which an image's templates change.

    Scoped by the storage cluster, since hosts and backend sections that
    serve one cluster share its templates.
    """
    return 'solidfire-template-%s-%s' % (cluster_id, image_id)


def for_room(cluster_id):
    """Name the lock under which templates are counted and one is made."""
    return 'solidfire-template-room-%s' % cluster_id


def for_housekeeping(cluster_id):
    """Name the lock that lets one host at a time keep house."""
    return 'solidfire-template-housekeeping-%s' % cluster_id
