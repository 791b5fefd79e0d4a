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

"""The configuration files of the services and of their client."""

import configparser
import dataclasses
import pathlib
import secrets
import socket
import sys

from oslo_privsep import capabilities
import yaml

VENV = pathlib.Path(sys.prefix)
HOST = '127.0.0.1'
REGION = 'RegionOne'
CACHED = 'cached'
PLAIN = 'plain'
# project and user of one name; the first is the cloud's administrator
ADMIN = 'admin'
ALICE = 'alice'
BOB = 'bob'

# No periodic work while steps are counted, and services that do not report
# for so long are still up: all share one process, which is alive or is not.
_SELDOM = 3600
_LONG = 86400


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the configuration files have in common.

    ``ports`` and ``passwords`` are by name of service or user.
    """

    state: pathlib.Path
    ports: dict
    passwords: dict

    def url(self, service):
        """Return the base URL of a service."""
        return f'http://{HOST}:{self.ports[service]}'

    @property
    def auth_url(self):
        """Return Keystone's URL."""
        return self.url('keystone') + '/v3'


def make_settings(state):
    """Choose free ports and passwords for a run.

    :param state: the run's own directory, a ``pathlib.Path``
    """
    services = ('keystone', 'glance', 'cinder')
    users = (ADMIN, ALICE, BOB, 'glance', 'cinder', 'element')
    return Settings(state, dict(zip(services, _free_ports(len(services)))),
                    {user: secrets.token_hex(8) for user in users})


def _free_ports(count):
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _write(path, sections):
    parser = configparser.RawConfigParser(default_section=None)
    parser.read_dict(sections)
    with open(path, 'w') as out:
        parser.write(out)
    return path


def _database(settings, service):
    return {'connection': f'sqlite:///{settings.state}/{service}.sqlite'}


def _auth_token(settings, service):
    return {
        'www_authenticate_uri': settings.auth_url,
        'auth_url': settings.auth_url,
        'auth_type': 'password',
        'user_domain_id': 'default',
        'project_domain_id': 'default',
        'project_name': 'service',
        'username': service,
        'password': settings.passwords[service],
        # The catalogue has public endpoints only.
        'interface': 'public',
        'region_name': REGION,
        'service_token_roles_required': True,
    }


def write_keystone(settings):
    """Write ``keystone.conf`` and return its path."""
    keys = settings.state / 'keystone'
    keys.mkdir()
    return _write(settings.state / 'keystone.conf', {
        'DEFAULT': {'log_dir': '', 'use_stderr': True},
        'database': _database(settings, 'keystone'),
        'fernet_tokens': {'key_repository': keys / 'fernet'},
        'credential': {'key_repository': keys / 'credential'},
        # Passwords that live for a minute need no costly hash.
        'identity': {'password_hash_rounds': 4},
    })


def write_glance(settings):
    """Write Glance's configuration and return the directory it is in."""
    directory = settings.state / 'glance'
    stores = {name: directory / name for name in
              ('local', 'os_glance_staging_store', 'os_glance_tasks_store')}
    for path in stores.values():
        path.mkdir(parents=True)
    sections = {
        'DEFAULT': {
            'use_stderr': True,
            'enabled_backends': 'local:file',
            'worker_self_reference_url': settings.url('glance'),
        },
        'database': _database(settings, 'glance'),
        'glance_store': {'default_backend': 'local'},
        'keystone_authtoken': _auth_token(settings, 'glance'),
        'paste_deploy': {
            'flavor': 'keystone',
            'config_file': VENV / 'etc/glance/glance-api-paste.ini',
        },
        'oslo_concurrency': {'lock_path': directory / 'locks'},
    }
    sections.update({name: {'filesystem_store_datadir': path}
                     for name, path in stores.items()})
    _write(directory / 'glance-api.conf', sections)
    return directory


def _backend(settings, name, simulator_port):
    return {
        # Differs from solidfire_template_cache.SolidFireDriver in how a
        # volume is attached, and in nothing else.
        'volume_driver':
            'cinder.tests.element_simulator.local_attach.SolidFireDriver',
        'volume_backend_name': name,
        'san_ip': HOST,
        'sf_api_port': simulator_port,
        'san_login': 'admin',
        'san_password': settings.passwords['element'],
        'driver_ssl_cert_verify': True,
        'sf_simulator_data_dir': settings.state / 'element',
    }


def _privileged(cinder_conf, wanted):
    """Return the settings of one of Cinder's helpers for privileged work.

    It is started by "sudo" unless told otherwise. The demo is root already,
    and a container has no sudo. (Commands for rootwrap need no setting: root
    runs them as they are.) Nor may root in a container do all that the
    helper by default keeps the right to do.

    :param wanted: the capabilities that it keeps by default
    """
    status = pathlib.Path('/proc/self/status').read_text()
    mask = int(status.partition('CapEff:')[2].split()[0], 16)
    return {
        'helper_command':
            f'{VENV}/bin/privsep-helper --config-file {cinder_conf}',
        'capabilities': ','.join(
            name for name in wanted
            if mask >> capabilities.CAPS_BYNAME[name] & 1),
    }


def write_cinder(settings, simulator_port):
    """Write ``cinder.conf``: two back ends on one cluster.

    They differ in ``sf_allow_template_caching`` alone.

    :param simulator_port: the port of the cluster's API
    :returns: the path of the file
    """
    directory = settings.state / 'cinder'
    directory.mkdir()
    path = settings.state / 'cinder.conf'
    return _write(path, {
        'DEFAULT': {
            'use_stderr': True,
            'transport_url': 'fake://',
            'state_path': directory,
            'auth_strategy': 'keystone',
            'api_paste_config': VENV / 'etc/cinder/api-paste.ini',
            'rootwrap_config': VENV / 'etc/cinder/rootwrap.conf',
            'resource_query_filters_file':
                VENV / 'etc/cinder/resource_filters.json',
            'osapi_volume_listen': HOST,
            'osapi_volume_listen_port': settings.ports['cinder'],
            'glance_api_servers': settings.url('glance'),
            'scheduler_driver_init_wait_time': 1,
            'periodic_interval': _SELDOM,
            'periodic_fuzzy_delay': 0,
            'backend_stats_polling_interval': _SELDOM,
            'service_down_time': _LONG,
            'enabled_backends': f'{CACHED},{PLAIN}',
            'default_volume_type': CACHED,
            'quota_volumes': -1,
        },
        'database': _database(settings, 'cinder'),
        'keystone_authtoken': _auth_token(settings, 'cinder'),
        'oslo_concurrency': {'lock_path': directory / 'locks'},
        'cinder_sys_admin': _privileged(path, (
            'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH',
            'CAP_FOWNER', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN')),
        'privsep_osbrick': _privileged(path, (
            'CAP_DAC_READ_SEARCH', 'CAP_SYS_ADMIN')),
        CACHED: {**_backend(settings, CACHED, simulator_port),
                 'sf_allow_template_caching': True},
        PLAIN: _backend(settings, PLAIN, simulator_port),
    })


def write_clouds(settings):
    """Write the client's ``clouds.yaml``, a cloud for each person.

    :returns: the path of the file
    """
    path = settings.state / 'clouds.yaml'
    path.write_text(yaml.safe_dump({'clouds': {
        person: {
            'auth': {
                'auth_url': settings.auth_url,
                'username': person,
                'password': settings.passwords[person],
                'project_name': person,
                'user_domain_id': 'default',
                'project_domain_id': 'default',
            },
            'region_name': REGION,
            'identity_api_version': 3,
            'volume_api_version': 3,
            'interface': 'public',
        } for person in (ADMIN, ALICE, BOB)}}))
    return path
