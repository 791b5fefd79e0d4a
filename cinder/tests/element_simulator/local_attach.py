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

"""Drivers for hosts without iSCSI: volumes are attached as local files.

For the demo, the functional tests and the benchmarks. os-brick's local
connector attaches the file in which the simulator keeps the data of a volume.
This is the only difference from the production drivers, whose own part of
attaching (export, CHAP, access groups) is used unchanged.
"""

import contextlib
import os
import typing

from oslo_config import cfg
from oslo_utils import units

from cinder import objects
from cinder.volume.drivers import solidfire
from cinder.volume.drivers import solidfire_template_cache

local_attach_opts = [
    cfg.StrOpt('sf_simulator_data_dir',
               help='Directory in which the Element simulator keeps the data '
                    'of its volumes.'),
]


class LocalAttachMixin(solidfire.SolidFireDriver):
    """Attaches the volumes of a driver as local files."""

    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(local_attach_opts)

    def initialize_connection(self, volume: 'objects.Volume',
                              connector: dict) -> dict:
        connection = super().initialize_connection(volume, connector)
        connection['driver_volume_type'] = 'local'
        connection['data']['device_path'] = self._local_path(volume)
        return connection

    def terminate_connection(self, volume: 'objects.Volume', properties: dict,
                             force: bool) -> typing.Any:
        # qemu-img truncates a file to the size of the image; a block device
        # would keep its size.
        path = self._local_path(volume)
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, max(os.path.getsize(path),
                                  volume['size'] * units.Gi))
        return super().terminate_connection(volume, properties, force)

    def _local_path(self, volume: 'objects.Volume') -> str:
        # The location is "<portal> <IQN> <LUN>", and the IQN ends in the
        # volume's ID.
        iqn = volume['provider_location'].split()[1]
        return os.path.join(self.configuration.sf_simulator_data_dir,
                            'volume-' + iqn.rpartition('.')[2])


class SolidFireDriver(LocalAttachMixin,
                      solidfire_template_cache.SolidFireDriver):
    """The production driver, with volumes attached as local files."""


class StockSolidFireDriver(LocalAttachMixin):
    """Cinder's own driver, with volumes attached as local files."""
