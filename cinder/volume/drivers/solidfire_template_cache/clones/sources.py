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


"""What the clones of an image are made from, as the templates provide it."""

import abc
import dataclasses
from typing import Hashable
from typing import Iterable
from typing import Optional

from cinder.volume.drivers.solidfire_template_cache.element import models


@dataclasses.dataclass(frozen=True)
class Source(object):
    """A volume that can be cloned."""

    id: int
    size: int
    """Bytes."""
    maker: Optional[str] = None
    """The process that made it, if it is a replica of another process."""


class SourceSet(abc.ABC):
    """The template of one version of an image, and its replicas.

    :ivar key: the ID of the image and what identifies this version of it; the
        same for all sets of the version
    :ivar sources: those that were known when the set was made
    :ivar max_replicas: how many replicas the image may have
    """

    def __init__(self, key: tuple[Hashable, ...], sources: Iterable[Source],
                 max_replicas: int) -> None:
        self.key = key
        self.sources = tuple(sources)
        self.max_replicas = max_replicas

    @property
    def image_id(self) -> Hashable:
        """The ID of the image."""
        return self.key[0]

    @abc.abstractmethod
    def refresh(self) -> list[Source]:
        """Ask the cluster for the sources that there are now.

        :raises element.errors.ElementError: a call failed
        """

    @abc.abstractmethod
    def forget(self, source_id: int) -> None:
        """Note that a source does not exist any more."""

    @abc.abstractmethod
    def remove_unrecorded(self, volume_id: int) -> bool:
        """Remove a new replica if it has lost its record.

        :returns: whether it was removed
        :raises element.errors.ElementError: a call failed
        """

    @abc.abstractmethod
    def start_replica(self, source_id: int) -> models.StartedClone:
        """Start to clone a source into a further one.

        :raises exceptions.CapacityLimitReached: the limits do not allow it
        :raises element.errors.Throttled: the cluster has no slot for it
        :raises element.errors.ElementError: a call failed
        """
