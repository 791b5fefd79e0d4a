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

"""This host's iSCSI sessions to template volumes that were removed.

A process that dies while it fills a template leaves a session. This host
ends it before it removes the template. If another host removed the template
first, the kernel of this host tries to restore the session for ever.
"""

import glob
import os
import re
from typing import Callable
from typing import Optional

from oslo_log import log as logging

from cinder.volume import configuration
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

DIRECTORY = '/sys/class/iscsi_session'
"""Where Linux lists its sessions, readable for any user."""

# "Storage concepts" of NetApp's Element user guide: the cluster's uniqueID,
# the volume's name in lower case, the volumeID.
_IQN = r'iqn\.2010-01\.com\.solidfire:%s\.%s[^.]*\.([0-9]+)'


class TemplateSessions(object):
    """Sessions of this host to the templates of one cluster.

    :param name_prefix: with which the names of templates begin
    :param cluster_mark: the cluster's uniqueID, which its iqns contain
    :param portal: its storage address and port
    :param conf: the backend's configuration
    """

    def __init__(self, name_prefix: str, cluster_mark: Optional[str],
                 portal: str, conf: configuration.Configuration) -> None:
        self._iqn = re.compile(_IQN % (re.escape(cluster_mark or ''),
                                       re.escape(name_prefix.lower())))
        self._portal = portal
        self._conf = conf
        self._reported: set[str] = set()

    def logout_stale(self, is_there: Callable[[int], bool]) -> None:
        """Log out of template volumes that do not exist any more.

        A failure is logged once per session and does not raise; the next
        call tries again.

        :param is_there: takes a volumeID and returns whether the cluster has
            this volume; only called if there is a session to it
        """
        found = self._find()
        self._reported.intersection_update(found)
        for iqn, volume_id in found.items():
            if not is_there(volume_id):
                self._logout(iqn, volume_id)

    def _find(self) -> dict[str, int]:
        """Return the volumeIDs by iqn; several paths share one."""
        found = {}
        for path in glob.glob(os.path.join(DIRECTORY, '*', 'targetname')):
            try:
                with open(path, encoding='utf-8') as name:
                    iqn = name.read().strip()
            except OSError:
                # The session has ended since.
                continue
            match = self._iqn.fullmatch(iqn)
            if match:
                found[iqn] = int(match[1])
        return found

    def _logout(self, iqn: str, volume_id: int) -> None:
        reason = self._disconnect(iqn)
        if iqn not in self._find():
            LOG.info('Logged out of removed template volume %(volume)s, '
                     'whose fill another host had taken over.',
                     {'volume': volume_id})
        elif iqn not in self._reported:
            self._reported.add(iqn)
            LOG.warning('SolidFire volume %(volume)s of an unfinished fill '
                        'may still be attached to this host as %(iqn)s: '
                        '%(reason)s',
                        {'volume': volume_id, 'iqn': iqn, 'reason': reason})

    def _disconnect(self, iqn: str) -> str:
        """Have os-brick end a session; return why it may not have ended."""
        conf = self._conf
        connection = {'target_discovered': False, 'target_lun': 0,
                      'target_portal': self._portal, 'target_iqn': iqn}
        try:
            volume_utils.brick_get_connector(
                'iscsi', use_multipath=conf.use_multipath_for_image_xfer,
                device_scan_attempts=conf.num_volume_device_scan_tries,
                conn={'driver_volume_type': 'iscsi', 'data': connection}
            ).disconnect_volume(connection, {}, force=True,
                                ignore_errors=True)
        except Exception as exc:
            # Of os-brick, or of what gives it its privileges.
            return log_utils.format_error(exc)
        return 'the session did not end'
