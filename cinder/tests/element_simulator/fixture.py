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

"""A running cluster for a test: one useFixture() and it is there."""

import inspect

import fixtures

from cinder.tests.element_simulator import cluster as cluster_module
from cinder.tests.element_simulator import server as server_module

_CLUSTER = set(inspect.signature(cluster_module.Cluster).parameters)
_SERVER = set(inspect.signature(server_module.Server).parameters)


class ElementSimulator(fixtures.Fixture):
    """Starts a Cluster and its Server, and stops them after the test.

    Takes the arguments of both, by name::

        sim = self.useFixture(fixture.ElementSimulator(clone_seconds=2))
        sim.faults.add(method='CloneVolume', drop=True, when='after')
        requests.post(sim.url + '/json-rpc/12.0', verify=sim.ca_file, ...)
        self.assertEqual(1, sim.calls.count('CloneVolume'))

    :param cluster: a Cluster to use instead of one of its own
    :raises: TypeError for an argument that neither has
    """

    def __init__(self, cluster=None, **arguments):
        super().__init__()
        unknown = set(arguments) - _CLUSTER - _SERVER
        if unknown:
            raise TypeError(f'unknown: {", ".join(sorted(unknown))}')
        self._given = cluster
        self._cluster_arguments = {
            key: value for key, value in arguments.items()
            if key in _CLUSTER}
        self._server_arguments = {
            key: value for key, value in arguments.items()
            if key in _SERVER}

    def _setUp(self):
        self.cluster = self._given
        if self.cluster is None:
            self.cluster = cluster_module.Cluster(**self._cluster_arguments)
            self.addCleanup(self.cluster.close)
        self.server = server_module.Server(self.cluster,
                                           **self._server_arguments)
        self.server.start()
        self.addCleanup(self.server.stop)

    @property
    def faults(self):
        return self.server.faults

    @property
    def calls(self):
        return self.server.calls

    @property
    def url(self):
        return self.server.url

    @property
    def host(self):
        return self.server.host

    @property
    def port(self):
        return self.server.port

    @property
    def ca_file(self):
        return self.server.ca_file

    @property
    def login(self):
        return self.server.login

    @property
    def password(self):
        return self.server.password

    def reset_calls(self):
        self.server.reset_calls()
