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

"""The limits that the operator sets for templates.

Decides only; does no I/O.
"""

import dataclasses
import datetime
import sys
from typing import Collection
from typing import Optional

from oslo_utils import units

from cinder.volume import configuration
from cinder.volume.drivers.solidfire_template_cache.templates import model


@dataclasses.dataclass(frozen=True)
class Limits(object):
    """Limits on the templates of one cluster; 0 disables a limit."""

    max_templates: int
    max_bytes: int
    """Of the templates' sizes as volumes."""
    idle: datetime.timedelta
    """A template that was not used for longer expires."""
    min_free_percent: int
    """Of the cluster's block storage, for a template to be created."""

    @classmethod
    def from_conf(cls, conf: configuration.Configuration) -> 'Limits':
        """Read the limits from the configuration of a backend."""
        return cls(
            max_templates=conf.sf_template_max_count,
            max_bytes=conf.sf_template_max_gib * units.Gi,
            idle=datetime.timedelta(days=conf.sf_template_idle_days),
            min_free_percent=conf.sf_template_min_free_percent)

    @property
    def limit_templates(self) -> bool:
        """Whether number or size of templates is limited at all."""
        return bool(self.max_templates or self.max_bytes)

    def within_limits(self, templates: Collection[model.Template],
                      more: int = 0, more_bytes: int = 0) -> bool:
        """Return whether these templates, and so many more, are allowed."""
        count = len(templates) + more
        size = sum(each.size for each in templates) + more_bytes
        return ((not self.max_templates or count <= self.max_templates) and
                (not self.max_bytes or size <= self.max_bytes))

    def remaining(self, templates: Collection[model.Template],
                  size: int) -> int:
        """Return how many more templates of a size are allowed.

        :param size: bytes of each as a volume
        :returns: 0 if there are too many already
        """
        count = sys.maxsize
        if self.max_templates:
            count = self.max_templates - len(templates)
        if self.max_bytes:
            used = sum(each.size for each in templates)
            count = min(count, (self.max_bytes - used) // size)
        return max(count, 0)

    def has_expired(self, last_used: Optional[datetime.datetime],
                    now: datetime.datetime) -> bool:
        """Return whether a template was last used too long ago.

        :param last_used: an aware datetime, or None when unknown
        :param now: an aware datetime
        """
        return bool(self.idle) and (
            last_used is None or now - last_used > self.idle)

    def has_free_space(self, used: Optional[int],
                       total: Optional[int]) -> bool:
        """Return whether enough of the cluster's block storage is free.

        :param used: bytes in use; None when the cluster does not report it,
            which does not prevent a template
        :param total: bytes of block storage
        """
        if used is None or total is None:
            return True
        return (total - used) * 100 >= self.min_free_percent * total
