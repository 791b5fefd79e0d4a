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

"""What made fills fail in this process, for those who wait for the next."""

import threading

import cachetools

from cinder import exception
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import telling

_MOST_REMEMBERED = 4096

REFUSAL_SECONDS = 600
"""How long a verdict on an image is kept.

Whoever waits for the failed fill need not download the same again, and an
operator who changes what is allowed need not wait long.
"""

# What made so many fills fail while a request waited for its turn is likely
# to meet its own, too, each time after a download.
_MOST_FAILED = 2

# What the Image service refuses to one project it may give to others.
_OF_THE_PROJECT = (exception.ImageNotAuthorized, exception.ImageNotFound)


class FillFailures(object):
    """Remembers failed fills by their images. Threads may share it."""

    def __init__(self, clock):
        self._lock = threading.Lock()
        self._refused = cachetools.TTLCache(
            _MOST_REMEMBERED, REFUSAL_SECONDS, timer=clock.monotonic)
        # By image id: how many there were, and what the last one met.
        self._failed = cachetools.LRUCache(_MOST_REMEMBERED)

    def note(self, image, exc):
        """Remember that a fill failed.

        :param image: the :class:`image.Image` that was to be filled in
        :param exc: what it failed with
        """
        with self._lock:
            if isinstance(exc, errors.FillRefused):
                self._refused[image] = exc.kwargs['reason']
            elif not isinstance(exc, _OF_THE_PROJECT):
                count, _reason = self._failures(image)
                self._failed[image.id] = (count + 1, telling.tell(exc))

    def begin(self, image):
        """Begin to wait for a fill, or to fill.

        :returns: a callable that raises errors.FillRefused when this version
            of the image is unfit, and errors.FillsFail when too many fills
            have failed since
        """
        with self._lock:
            before, _reason = self._failures(image)

        def check():
            with self._lock:
                refusal = self._refused.get(image)
                count, reason = self._failures(image)
            if refusal:
                raise errors.FillRefused(reason=refusal)
            if count - before >= _MOST_FAILED:
                raise errors.FillsFail(count=count - before, reason=reason)

        return check

    def _failures(self, image):
        return self._failed.get(image.id, (0, None))
