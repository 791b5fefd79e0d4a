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

"""The driver for machines without iSCSI: simulated volumes are local files.

For the demo and the functional tests. It attaches a volume through os-brick's
local connector, as the file in which the simulator keeps the volume's data.
That is its only difference from the driver in production, whose own part of
attaching (export, CHAP, access groups) runs here too.
"""

import contextlib
import os

from oslo_config import cfg
from oslo_utils import units

from cinder.volume.drivers import solidfire_template_cache

local_attach_opts = [
    cfg.StrOpt('sf_simulator_data_dir',
               help='Directory in which the Element simulator keeps the data '
                    'of its volumes.'),
]


class SolidFireDriver(solidfire_template_cache.SolidFireDriver):
    """The driver in production, with volumes attached as local files."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(local_attach_opts)

    def initialize_connection(self, volume, connector):
        connection = super().initialize_connection(volume, connector)
        connection['driver_volume_type'] = 'local'
        connection['data']['device_path'] = self._local_path(volume)
        return connection

    def terminate_connection(self, volume, properties, force):
        # qemu-img makes a file as short as the image; a device keeps its
        # size, and so shall the file.
        path = self._local_path(volume)
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, max(os.path.getsize(path),
                                  volume['size'] * units.Gi))
        return super().terminate_connection(volume, properties, force)

    def _local_path(self, volume):
        # "<portal> <target> <lun>"; a target's name ends in the volume's
        # number on the cluster.
        target = volume['provider_location'].split()[1]
        return os.path.join(self.configuration.sf_simulator_data_dir,
                            'volume-' + target.rpartition('.')[2])
