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

"""The cluster that the parts of a cache serve, and what all of them need."""

import dataclasses

from cinder.volume import configuration
from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache.element import client


@dataclasses.dataclass(frozen=True)
class Cluster(object):
    """One storage cluster, as one backend of this host reaches it."""

    id: str
    """The cluster's own UUID; the same for all hosts and backends."""
    client: client.ElementClient
    clock: clock_mod.SystemClock
    host: str
    """Name of this host, without that of a backend."""
    conf: configuration.Configuration
    """Configuration of the backend."""
