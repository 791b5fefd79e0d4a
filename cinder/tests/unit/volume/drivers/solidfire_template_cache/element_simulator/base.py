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

"""Base classes of the simulator's tests."""

import os

import requests

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import clock
from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import fixture
from cinder.tests.element_simulator import methods  # noqa: F401
from cinder.tests.unit import test

GIB = 1024 ** 3
MIB = 1024 ** 2


class ClusterTestCase(test.TestCase):
    """A cluster without a server, on a manual clock."""

    def setUp(self):
        super().setUp()
        self.clock = clock.ManualClock()
        self.cluster = self.make_cluster()

    def make_cluster(self, **arguments):
        arguments.setdefault('clock', self.clock)
        made = cluster.Cluster(**arguments)
        self.addCleanup(made.close)
        return made

    def call(self, method, /, version='12.0', **params):
        """Return the result of an API method."""
        return api.call(self.cluster, method, params, version).result

    def assert_refused(self, error_name, method, /, version='12.0', **params):
        """Assert that the API method fails with an error of this name."""
        error = self.assertRaises(errors.ApiError, api.call, self.cluster,
                                  method, params, version)
        self.assertEqual(error_name, error.name, (method, params))
        return error

    def assert_calls(self, *calls):
        """Check calls: method, parameters, error name or result or None."""
        for method, params, expected in calls:
            if isinstance(expected, str):
                self.assert_refused(expected, method, **params)
                continue
            result = self.call(method, **params)
            if expected is not None:
                self.assert_contains(expected, result)

    def assert_contains(self, expected, actual):
        """Compare, but allow for more members in dicts that are not empty."""
        if isinstance(expected, dict) and expected:
            for key, value in expected.items():
                self.assertIn(key, actual)
                self.assert_contains(value, actual[key])
        elif isinstance(expected, list):
            self.assertEqual(len(expected), len(actual), actual)
            for item, found in zip(expected, actual):
                self.assert_contains(item, found)
        else:
            self.assertEqual(expected, actual)

    def make_account(self, username='tenant'):
        return self.call('AddAccount', username=username)['accountID']

    def make_volume(self, account_id=None, name='v', size=GIB, **params):
        if account_id is None:
            account_id = (min(self.cluster.accounts, default=None)
                          or self.make_account())
        return self.call('CreateVolume', name=name, accountID=account_id,
                         totalSize=size, **params)['volumeID']

    def write(self, volume_id, offset, data):
        with open(self.cluster.volume_path(volume_id), 'r+b') as target:
            target.seek(offset)
            target.write(data)

    def read(self, volume_id, offset, length):
        with open(self.cluster.volume_path(volume_id), 'rb') as source:
            source.seek(offset)
            return source.read(length)

    def file_size(self, volume_id):
        return os.path.getsize(self.cluster.volume_path(volume_id))

    def disk_bytes(self, volume_id):
        return self.cluster.files.used(f'volume-{volume_id}')

    def listed(self, method='ListVolumes', /, **params):
        """Return the IDs of the volumes in a list."""
        return [volume['volumeID'] for volume in
                self.call(method, **params)['volumes']]


class CloneTestCase(ClusterTestCase):
    """A cluster whose clones take ten seconds, and a volume to clone."""

    def setUp(self):
        super().setUp()
        self.cluster = self.make_cluster(clone_seconds=10)
        self.source = self.make_volume(
            attributes={'a': 1}, qos={'minIOPS': 123}, enable512e=False)

    def clone(self, name='c', volume_id=None, **params):
        return self.call('CloneVolume', volumeID=volume_id or self.source,
                         name=name, **params)

    def assert_clone_refused(self, error_name, **params):
        return self.assert_refused(
            error_name, 'CloneVolume',
            **{'volumeID': self.source, 'name': 'c', **params})

    def poll(self, reply, **params):
        return self.call('GetAsyncResult', asyncHandle=reply['asyncHandle'],
                         **params)


class ServerTestCase(test.TestCase):
    """A cluster behind HTTPS and a session that verifies its certificate."""

    def start_simulator(self, **arguments):
        self.sim = self.useFixture(fixture.ElementSimulator(**arguments))
        self.session = self.new_session()

    def new_session(self):
        session = requests.Session()
        # Otherwise REQUESTS_CA_BUNDLE overrides the setting of the session.
        session.trust_env = False
        session.verify = self.sim.ca_file
        session.auth = (self.sim.login, self.sim.password)
        self.addCleanup(session.close)
        return session

    def request(self, path='json-rpc/12.0', body=None, verb='POST',
                session=None, **arguments):
        """Return the HTTP response; a body other than text is sent as JSON."""
        if body is not None:
            arguments['data' if isinstance(body, str) else 'json'] = body
        return (session or self.session).request(
            verb, f'{self.sim.url}/{path}', timeout=60, **arguments)

    def call(self, method, /, session=None, **params):
        """Return the whole JSON reply of an API method."""
        return self.request(body={'method': method, 'params': params, 'id': 1},
                            session=session).json()

    def result(self, method, /, **params):
        reply = self.call(method, **params)
        self.assertNotIn('error', reply)
        return reply['result']

    def error(self, method, /, **params):
        return self.call(method, **params)['error']['name']

    def make_volume(self, name='v'):
        """Return the ID of a new volume of the first account."""
        if not self.sim.cluster.accounts:
            self.result('AddAccount', username='tenant')
        return self.result('CreateVolume', name=name, accountID=1,
                           totalSize=GIB)['volumeID']
