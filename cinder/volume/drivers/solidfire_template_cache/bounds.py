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

"""The limits that the operator sets to templates.

Decides only; does no I/O.
"""

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True)
class Bounds(object):
    """What the templates of one cluster may come to; 0 is no limit."""

    most_templates: int
    most_bytes: int
    """Of their sizes as volumes."""
    idle: datetime.timedelta
    """Without a use for that long, a template goes."""
    least_free_percent: int
    """Of the cluster's block storage, for another template to be made."""

    @property
    def limit_templates(self):
        """Whether number or size of templates is limited at all."""
        return bool(self.most_templates or self.most_bytes)

    def hold(self, templates, more=0, more_bytes=0):
        """Tell whether these templates, and so many more, are allowed.

        :param templates: :class:`template.Template` objects
        """
        count = len(templates) + more
        size = sum(each.size for each in templates) + more_bytes
        return ((not self.most_templates or count <= self.most_templates) and
                (not self.most_bytes or size <= self.most_bytes))

    def has_expired(self, last_used, now):
        """Tell whether a template was last used too long ago.

        :param last_used: an aware datetime, or None when nobody knows
        """
        return bool(self.idle) and (
            last_used is None or now - last_used > self.idle)

    def leave_free(self, used, total):
        """Tell whether enough of the cluster's storage is free.

        :param used: bytes of block storage in use; None when unknown, and
            then nothing speaks against a template
        :param total: bytes that there are
        """
        if used is None or total is None:
            return True
        return (total - used) * 100 >= self.least_free_percent * total
