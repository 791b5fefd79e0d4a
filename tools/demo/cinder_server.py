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

"""Run Cinder's API, scheduler and volume services in this one process.

Usage: ``python -m demo.cinder_server --config-file FILE``

The in-memory message bus (``fake://``) reaches only services of one process,
so what Cinder's own commands start each in its own is started here together.
"""

from cinder import monkey_patch
monkey_patch.patch()

import sys  # noqa: E402,I100

import os_brick  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_service import service as oslo_service  # noqa: E402

from cinder.common import config  # noqa: E402
from cinder.common import constants  # noqa: E402
from cinder import coordination  # noqa: E402
from cinder import objects  # noqa: E402
from cinder import rpc  # noqa: E402
from cinder import service  # noqa: E402
from cinder import version  # noqa: E402

CONF = cfg.CONF
LOG = logging.getLogger(__name__)


def _volume_service(backend):
    return service.Service.create(
        host=f'{CONF.host}@{backend}', service_name=backend,
        binary=constants.VOLUME_BINARY, coordination=True)


def main():
    """Start the services and serve until SIGTERM."""
    objects.register_all()
    CONF(sys.argv[1:], project='cinder', version=version.version_string())
    config.set_middleware_defaults()
    logging.setup(CONF, 'cinder')
    os_brick.setup(CONF)
    coordination.COORDINATOR.start()
    rpc.init(CONF)
    launcher = oslo_service.ServiceLauncher(CONF)
    launcher.launch_service(
        service.Service.create(binary=constants.SCHEDULER_BINARY))
    for backend in CONF.enabled_backends:
        launcher.launch_service(_volume_service(backend))
    launcher.launch_service(service.WSGIService('osapi_volume'))
    launcher.wait()


if __name__ == '__main__':
    main()
