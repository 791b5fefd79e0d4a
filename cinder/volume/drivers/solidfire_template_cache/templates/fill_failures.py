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

"""Negative cache of fills: what made them fail in this process."""

import threading
from typing import Optional

import cachetools

from cinder import exception
from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache import log_utils

_MAX_ENTRIES = 4096

REFUSAL_SECONDS = 600
"""How long the refusal of an image is cached.

Requests that wait for the failed fill do not download the same data again,
and an operator who changes what is allowed does not wait long.
"""

# After so many failed fills a request that has been waiting for them does
# not try again: its own fill would most likely fail too, after a download.
_MAX_FAILURES = 2

# What the Image service refuses to one project it may allow to others.
_PROJECT_ERRORS = (exception.ImageNotAuthorized, exception.ImageNotFound)


class FillFailures(object):
    """Failed fills by image. Threads may share it."""

    def __init__(self, clock: clock_mod.SystemClock) -> None:
        self._lock = threading.Lock()
        self._refused: cachetools.TTLCache = cachetools.TTLCache(
            _MAX_ENTRIES, REFUSAL_SECONDS, timer=clock.monotonic)
        # By image id: how many there were, and the last one's error.
        self._failed: cachetools.LRUCache = cachetools.LRUCache(_MAX_ENTRIES)

    def note(self, image: metadata.Image, exc: Exception) -> None:
        """Remember that a fill failed.

        :param image: the image of the fill, as its request knew it
        :param exc: what it failed with
        """
        with self._lock:
            if isinstance(exc, exceptions.FillRefused):
                self._refused[image] = exc.kwargs['reason']
            elif not isinstance(exc, _PROJECT_ERRORS):
                self._failed[image.id] = (self._count(image) + 1,
                                          log_utils.format_error(exc))

    def watch(self, image: metadata.Image) -> 'FailureWatch':
        """Return a watch for a request that begins to wait for a fill."""
        with self._lock:
            return FailureWatch(self, image, self._count(image))

    def check(self, image: metadata.Image, seen: int) -> None:
        """Raise if a fill of the image is pointless now.

        :param seen: how many failures there were when the request began
        :raises exceptions.FillRefused: this version cannot be cached
        :raises exceptions.RepeatedFillFailure: too many fills failed since
        """
        with self._lock:
            refusal: Optional[str] = self._refused.get(image)
            count, reason = self._failed.get(image.id, (0, None))
        if refusal:
            raise exceptions.FillRefused(reason=refusal)
        if count - seen >= _MAX_FAILURES:
            raise exceptions.RepeatedFillFailure(count=count - seen,
                                                 reason=reason)

    def _count(self, image: metadata.Image) -> int:
        return self._failed.get(image.id, (0, None))[0]


class FailureWatch(object):
    """The failures of an image's fills since a request began to wait."""

    def __init__(self, failures: FillFailures, image: metadata.Image,
                 seen: int) -> None:
        self._failures = failures
        self._image = image
        self._seen = seen

    def check(self) -> None:
        """Raise if a fill is pointless; see :meth:`FillFailures.check`."""
        self._failures.check(self._image, self._seen)
