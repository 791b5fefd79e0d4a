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

from cinder import coordination


@contextlib.contextmanager
def held(name, blocking=True):
    """Hold a lock while the block runs.

    The decorator that Cinder offers goes on when it did not get the lock,
    so the lock is taken from the coordinator itself.

    :param name: the lock's name, the same on every host
    :param blocking: False to give up at once when it is taken
    :returns: yields whether the lock is held
    """
    lock = coordination.COORDINATOR.get_lock(name)
    acquired = bool(lock.acquire(blocking=blocking))
    try:
        yield acquired
    finally:
        if acquired:
            lock.release()


def for_image(cluster_id, image_id):
    """Name the lock under which an image's templates change.

    Scoped by the storage cluster, since hosts and backend sections that
    serve one cluster share its templates.
    """
    return 'solidfire-template-%s-%s' % (cluster_id, image_id)
