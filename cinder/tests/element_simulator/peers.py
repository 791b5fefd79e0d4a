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

"""State that clusters share when they can be paired."""

import threading
import typing

if typing.TYPE_CHECKING:
    from cinder.tests.element_simulator import cluster
    from cinder.tests.element_simulator import records


class Peers:
    """The pairing keys of several clusters, and the lock that they share.

    Pass the same instance to each Cluster that is to be paired with another.

    :ivar cluster_keys: started cluster pairings by key
    :ivar volume_keys: started volume pairings by key
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.cluster_keys: dict[
            str, tuple['cluster.Cluster', 'records.ClusterPair']] = {}
        self.volume_keys: dict[
            str, tuple['cluster.Cluster', 'records.Volume', str]] = {}
