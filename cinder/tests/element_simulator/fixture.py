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

"""A fixture that runs a simulated cluster during a test."""

import inspect
import typing

import fixtures

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import faults
from cinder.tests.element_simulator import journal
from cinder.tests.element_simulator import server

_CLUSTER = set(inspect.signature(cluster.Cluster).parameters)
_SERVER = set(inspect.signature(server.Server).parameters)


class ElementSimulator(fixtures.Fixture):
    """Starts a Cluster and its Server, and stops them after the test.

    Takes the arguments of both, by name::

        sim = self.useFixture(fixture.ElementSimulator(clone_seconds=2))
        sim.faults.add(method='CloneVolume', drop=True, when='after')
        requests.post(sim.url + '/json-rpc/12.0', verify=sim.ca_file, ...)
        self.assertEqual(1, sim.calls.count('CloneVolume'))

    :param cluster: a Cluster to serve instead of a new one
    :raises: TypeError for an unknown argument
    :ivar cluster: the Cluster
    :ivar server: the Server
    """

    def __init__(self, cluster: typing.Optional[cluster.Cluster] = None,
                 **arguments: typing.Any) -> None:
        super().__init__()
        unknown = set(arguments) - _CLUSTER - _SERVER
        if unknown:
            raise TypeError(
                f'unknown arguments {", ".join(sorted(unknown))}')
        self._given = cluster
        self._cluster_arguments = {
            key: value for key, value in arguments.items()
            if key in _CLUSTER}
        self._server_arguments = {
            key: value for key, value in arguments.items()
            if key in _SERVER}

    def _setUp(self) -> None:
        if self._given is None:
            self.cluster = cluster.Cluster(**self._cluster_arguments)
            self.addCleanup(self.cluster.close)
        else:
            self.cluster = self._given
        self.server = server.Server(self.cluster, **self._server_arguments)
        self.server.start()
        self.addCleanup(self.server.stop)

    @property
    def faults(self) -> faults.FaultPlan:
        """The fault rules."""
        return self.server.faults

    @property
    def calls(self) -> journal.Journal:
        """The API calls so far."""
        return self.server.calls

    @property
    def url(self) -> str:
        """The address, without a path."""
        return self.server.url

    @property
    def host(self) -> str:
        """The IP address."""
        return self.server.host

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.server.port

    @property
    def ca_file(self) -> str:
        """Path of the CA certificate to verify with."""
        return self.server.ca_file

    @property
    def login(self) -> str:
        """Name of the cluster administrator."""
        return self.server.login

    @property
    def password(self) -> str:
        """Password of the cluster administrator."""
        return self.server.password

    def reset_calls(self) -> None:
        """Forget the calls and connections so far."""
        self.server.reset_calls()
