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

"""Bring up the simulated cluster, Keystone, Glance and Cinder."""

import json
import sys

import openstack
import requests

from demo import config

BIN = config.VENV / 'bin'
CA_FILE = 'element-ca.pem'
MEMBER = 'member'


class Simulator:
    """The simulated Element cluster: what it counted, what it holds."""

    def __init__(self, settings, ready, ca_file):
        """Talk to a simulator that runs.

        :param ready: the line it printed when it was ready, decoded
        """
        self.port = ready['port']
        self._url = f'https://{config.HOST}:{self.port}/sim'
        self._session = requests.Session()
        self._session.auth = ('admin', settings.passwords['element'])
        self._ca_file = str(ca_file)

    def _ask(self, method, what):
        reply = self._session.request(method, f'{self._url}/{what}',
                                      verify=self._ca_file, timeout=10)
        reply.raise_for_status()
        return reply.json()

    def forget_calls(self):
        """Count from zero."""
        self._ask('DELETE', 'calls')

    def calls(self):
        """Return the number of API calls since, by method."""
        return self._ask('GET', 'calls')['counts']

    def volumes(self):
        """Return what the cluster holds, deleted but not purged included."""
        return self._ask('GET', 'state')['volumes']


def start_simulator(children, settings, clone_seconds):
    """Start the simulated cluster.

    :param clone_seconds: how long one clone takes
    :returns: a ``Simulator``
    """
    data = settings.state / 'element'
    data.mkdir()
    ca_file = settings.state / CA_FILE
    children.start('simulator', (
        sys.executable, '-m', 'cinder.tests.element_simulator',
        '--host', config.HOST, '--port', 0, '--login', 'admin',
        '--password', settings.passwords['element'], '--data-dir', data,
        '--clone-seconds', clone_seconds, '--ca-file', ca_file))

    def ready():
        for line in children.log_file('simulator').read_text().splitlines():
            if line.startswith('{'):
                return json.loads(line)

    return Simulator(settings, children.wait_ready('simulator', ready),
                     ca_file)


def make_databases(children, settings, simulator_port):
    """Write the configuration files and fill the three databases.

    :returns: where the configuration of each service is
    """
    keystone = config.write_keystone(settings)
    glance = config.write_glance(settings)
    cinder = config.write_cinder(settings, simulator_port)
    manage_keystone = (BIN / 'keystone-manage', '--config-file', keystone)
    children.run(
        (*manage_keystone, 'db_sync'),
        (*manage_keystone, 'fernet_setup', '--keystone-user', 'root',
         '--keystone-group', 'root'),
        manage_glance(settings, 'sync'),
        (BIN / 'cinder-manage', '--config-file', cinder, 'db', 'sync'))
    children.run(
        (*manage_keystone, 'bootstrap', '--bootstrap-username', config.ADMIN,
         '--bootstrap-project-name', config.ADMIN,
         '--bootstrap-region-id', config.REGION,
         '--bootstrap-public-url', settings.auth_url),
        OS_BOOTSTRAP_PASSWORD=settings.passwords[config.ADMIN])
    return keystone, glance, cinder


def manage_glance(settings, *args):
    """Return the command line of ``glance-manage db``."""
    return (BIN / 'glance-manage', '--config-dir', settings.state / 'glance',
            'db', *args)


def start(children, settings, keystone, glance, cinder):
    """Start Keystone, Glance and Cinder, each with its configuration."""
    for name, env in (('keystone', {'OS_KEYSTONE_CONFIG_FILES': keystone}),
                      ('glance', {'OS_GLANCE_CONFIG_DIR': glance})):
        children.start(name, (sys.executable, '-m', 'demo.wsgi_server', name,
                              settings.ports[name]), **env)
    children.start('cinder', (
        sys.executable, '-m', 'demo.cinder_server', '--config-file', cinder),
        # The driver verifies the cluster's certificate.
        REQUESTS_CA_BUNDLE=settings.state / CA_FILE)


def wait_for(children, settings, service):
    """Wait until a service answers requests."""
    url = settings.url(service)

    def answers():
        try:
            # A list of versions comes with status 300.
            return requests.get(url, timeout=10).status_code < 500
        except requests.RequestException:
            return False

    children.wait_ready(service, answers)


def make_identities(settings):
    """Create projects, users, roles, services and endpoints."""
    identity = openstack.connect(cloud=config.ADMIN).identity
    roles = {role.name: role for role in identity.roles()}
    for name, kind, path in (('glance', 'image', ''),
                             ('cinder', 'block-storage', '/v3')):
        service = identity.create_service(name=name, type=kind)
        identity.create_endpoint(
            service_id=service.id, interface='public',
            url=settings.url(name) + path, region_id=config.REGION)
    for name in ('service', config.ALICE, config.BOB):
        identity.create_project(name=name, domain_id='default')
    for user, project, role in (
            ('glance', 'service', 'service'),
            ('cinder', 'service', 'service'),
            (config.ALICE, config.ALICE, MEMBER),
            (config.BOB, config.BOB, MEMBER)):
        user = identity.create_user(
            name=user, domain_id='default',
            password=settings.passwords[user])
        identity.assign_project_role_to_user(
            identity.find_project(project), user, roles[role])


def make_volume_types(children):
    """Wait until the scheduler knows both back ends, and name them."""
    storage = openstack.connect(cloud=config.ADMIN).block_storage
    # Without details: within one process their form is not what the API
    # expects, for fake:// hands objects over as they are.
    children.wait_ready('cinder', lambda: len(storage.get(
        '/scheduler-stats/get_pools').json()['pools']) == 2)
    for name in (config.CACHED, config.PLAIN):
        storage.create_type(
            name=name, extra_specs={'volume_backend_name': name})


def glance_bytes(settings):
    """Return the bytes of image data that Glance has sent since it runs."""
    return requests.get(settings.url('glance') + '/demo/bytes',
                        timeout=10).json()['bytes']
