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

import os

from oslo_config import cfg

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
        # A target's name ends in the volume's number on the cluster.
        number = connection['data']['target_iqn'].rpartition('.')[2]
        connection['driver_volume_type'] = 'local'
        connection['data']['device_path'] = os.path.join(
            self.configuration.sf_simulator_data_dir, f'volume-{number}')
        return connection
