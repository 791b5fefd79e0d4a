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

"""What clusters that can be paired have in common."""

import threading


class Peers:
    """Stands for the network between clusters, and their pairing keys.

    Give one to each Cluster that is to be paired with another.
    """

    def __init__(self):
        self.lock = threading.RLock()
        self.cluster_keys = {}
        self.volume_keys = {}
