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

"""Cinder in this process: configuration, database, locks, privileges.

What is replaced is the machine around Cinder: iSCSI (volumes are attached as
files), the message bus (in memory), the probe of this host's connector.
"""

import configparser
import os

import os_brick
import os_brick.privileged
from oslo_config import cfg
import sqlalchemy

from bench import native_threads  # noqa: F401
from bench import simulator
from cinder import context
from cinder import coordination
from cinder.db import migration
from cinder import privsep
from cinder import rpc
from cinder import version
from cinder.volume import volume_utils

CONF = cfg.CONF
PROJECT = 'b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0'
_INTERNAL_PROJECT = 'c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1'
_INTERNAL_USER = 'c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2'
CONNECTOR = {'initiator': 'iqn.2026-01.org.example:bench', 'host': 'bench',
             'ip': '127.0.0.1', 'platform': 'x86_64', 'os_type': 'linux',
             'multipath': False, 'enforce_multipath': False}

_ATTACH = 'cinder.tests.element_simulator.local_attach'
STOCK = f'{_ATTACH}.StockSolidFireDriver'
OURS = f'{_ATTACH}.SolidFireDriver'

BACKENDS = {
    'download': {'volume_driver': STOCK},
    'image-volume': {'volume_driver': STOCK,
                     'image_volume_cache_enabled': 'True'},
    'template': {'volume_driver': OURS, 'sf_allow_template_caching': 'True'},
}
"""The ways to create a volume: options of one backend each."""


def write_config(directory, sim, locks=None):
    """Write a configuration file; return its path.

    :param directory: for all files of one process, a ``pathlib.Path``
    :param sim: a ``simulator.Simulator``
    :param locks: directory of the locks; below ``directory`` when None
    """
    locks = locks or directory / 'locks'
    locks.mkdir(parents=True, exist_ok=True)
    parser = configparser.ConfigParser(interpolation=None)
    parser['DEFAULT'] = {
        'state_path': directory, 'transport_url': 'fake:/',
        'image_conversion_dir': directory / 'conversion',
        # Else the image-volume cache ends with the tenth image, unnoticed:
        # its volumes count for the quota of the internal project.
        'quota_volumes': -1, 'quota_gigabytes': -1,
        'enabled_backends': ','.join(BACKENDS), 'osapi_volume_workers': 1,
        'cinder_internal_tenant_project_id': _INTERNAL_PROJECT,
        'cinder_internal_tenant_user_id': _INTERNAL_USER}
    # A transaction that waits for another one must not be refused.
    parser['database'] = {
        'connection': f'sqlite:///{directory}/cinder.sqlite?timeout=120',
        'sqlite_synchronous': False, 'max_pool_size': 300,
        'max_overflow': -1}
    parser['coordination'] = {'backend_url': f'file://{locks}'}
    parser['oslo_concurrency'] = {'lock_path': locks}
    parser['oslo_messaging_notifications'] = {'driver': 'noop'}
    for name, options in BACKENDS.items():
        parser[name] = {
            'san_ip': '127.0.0.1', 'sf_api_port': sim.port,
            'san_login': sim.login, 'san_password': simulator.PASSWORD,
            'driver_ssl_cert_verify': True,
            'driver_ssl_cert_path': sim.ca_file,
            'volume_backend_name': name,
            'sf_simulator_data_dir': sim.data_dir, **options}
    path = directory / 'cinder.conf'
    with open(path, 'w') as target:
        parser.write(target)
    return path


def _begin_at_once(connection):
    """Take SQLite's lock for writing when a transaction begins."""
    if 'in_transaction' not in connection.info:
        connection.exec_driver_sql('BEGIN IMMEDIATE')
        connection.info['in_transaction'] = True


def _ended(connection):
    connection.info.pop('in_transaction', None)


def _no_connector_probe(*_args, **_kwargs):
    """Look for no properties of this host, which takes six commands."""
    return dict(CONNECTOR)


def set_up(config_file, ca_file):
    """Be a process of Cinder.

    :param ca_file: with the certificate of the cluster
    """
    # The stock driver trusts what the environment names.
    os.environ['REQUESTS_CA_BUNDLE'] = str(ca_file)
    CONF(['--config-file', str(config_file)], project='cinder',
         version=version.version_string())
    os_brick.setup(CONF)
    rpc.init(CONF)
    # Root runs what privsep guards in this very process.
    for privileged in privsep.sys_admin_pctxt, os_brick.privileged.default:
        privileged.set_client_mode(False)
    volume_utils.brick_get_connector_properties = _no_connector_probe
    migration.db_sync()
    for event, listener in (('begin', _begin_at_once), ('commit', _ended),
                            ('rollback', _ended)):
        sqlalchemy.event.listen(sqlalchemy.Engine, event, listener)
    coordination.COORDINATOR.start()


def tear_down():
    """End what set_up() has started."""
    coordination.COORDINATOR.stop()
    rpc.cleanup()


def user_context():
    """Return the context of a user's request."""
    return context.RequestContext(PROJECT, PROJECT, is_admin=False)
