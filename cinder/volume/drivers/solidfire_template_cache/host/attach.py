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

"""Attaches template volumes to this host with Cinder's own attach code."""

import contextlib
from typing import Any
from typing import Iterator

from oslo_log import log as logging
from oslo_utils import units

from cinder import context as cinder_context
from cinder.volume.drivers.solidfire_template_cache import (
    cluster as cluster_mod)
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)


class AttachableVolume(dict):
    """Stands in for a Cinder volume while a template is being filled.

    Cinder's attach code reads members as items and as attributes, sets some
    and saves the volume. A template has no record in Cinder's database, so
    there is nothing to save to.
    """

    def __init__(self, name: str, project_id: str, size: int,
                 connection: dict[str, Any]) -> None:
        """Describe a volume.

        :param name: the volume's name on the cluster; also serves as its id
        :param project_id: what the stock driver derives the account from
        :param size: GiB
        :param connection: provider_location and the like
        """
        super().__init__(
            {'id': name, 'name': name, 'project_id': project_id,
             'size': size, 'multiattach': False, 'encryption_key_id': None,
             'volume_type_id': None, 'provider_geometry': None},
            **connection)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)

    def save(self) -> None:
        """Do nothing: there is no record of this volume."""


class HostAttachments(object):
    """Template volumes attached to this host.

    :param backend: the stock driver's part in it
    """

    def __init__(self, backend: stock.StockBackend) -> None:
        self._backend = backend

    @contextlib.contextmanager
    def attached(self, cluster: cluster_mod.Cluster,
                 context: cinder_context.RequestContext,
                 account: models.Account,
                 volume: models.Volume) -> Iterator[str]:
        """Attach a template volume while the block runs.

        :param account: the owner of the volume
        :returns: yields the path of the device
        :raises cinder.exception.CinderException: if it cannot be attached or
            detached, like :class:`os_brick.exception.BrickException`. When
            the block itself fails its own error is raised, with a note if
            the volume could not be detached either.
        """
        target, properties = self._describe(cluster, account, volume)
        attach_info, target = self._backend.attach_volume(context, target,
                                                          properties)
        try:
            yield attach_info['device']['path']
        except BaseException as exc:
            try:
                self._backend.detach_volume(context, attach_info, target,
                                            properties, force=True)
            except Exception as failure:
                exc.add_note('SolidFire volume %s may still be attached to '
                             'this host: %s' % (
                                 volume.id, log_utils.format_error(failure)))
            raise
        self._backend.detach_volume(context, attach_info, target, properties,
                                    force=True)

    def detach_leftover(self, cluster: cluster_mod.Cluster,
                        account: models.Account,
                        volume: models.Volume) -> None:
        """Detach what a process of this host had attached when it died.

        A failure is logged and does not raise: the volume is removed
        anyway, and a device without a volume may remain on this host.
        """
        conf = self._backend.conf
        try:
            target, properties = self._describe(cluster, account, volume)
            connection = self._backend.initialize_connection(target,
                                                             properties)
            connector = volume_utils.brick_get_connector(
                connection['driver_volume_type'],
                use_multipath=conf.use_multipath_for_image_xfer,
                device_scan_attempts=conf.num_volume_device_scan_tries,
                conn=connection)
            self._backend.detach_volume(
                cinder_context.get_admin_context(),
                {'connector': connector, 'conn': connection, 'device': {}},
                target, properties, force=True, ignore_errors=True)
            return
        except Exception as exc:
            # Of Cinder, os-brick or what gives it its privileges.
            failure = exc
        LOG.warning('SolidFire volume %(volume)s of an unfinished fill may '
                    'still be attached to this host: %(reason)s',
                    {'volume': volume.id,
                     'reason': log_utils.format_error(failure)})

    def _describe(self, cluster: cluster_mod.Cluster,
                  account: models.Account, volume: models.Volume
                  ) -> tuple[AttachableVolume, dict[str, Any]]:
        """Return a volume as Cinder attaches it, and this host's part."""
        conf = self._backend.conf
        target = AttachableVolume(
            volume.name, self._backend.template_project_id,
            volume.size // units.Gi,
            self._backend.connection_info(cluster.id, account, volume))
        return target, volume_utils.brick_get_connector_properties(
            conf.use_multipath_for_image_xfer,
            conf.enforce_multipath_for_image_xfer)
