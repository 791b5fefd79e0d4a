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

"""This host's iSCSI sessions to templates that are no more.

A process that dies while it fills a template leaves a session. It is ended
before this host removes the template; when another host was first, the
kernel would try to renew the session for good.
"""

import glob
import os
import re

from oslo_log import log as logging

from cinder.volume.drivers.solidfire_template_cache import telling
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

DIRECTORY = '/sys/class/iscsi_session'
"""Where Linux tells of its sessions, to any user."""

# As the storage concepts of NetApp's user guide have it: the cluster's
# uniqueID, the volume's name in lower case, the volumeID.
_IQN = re.compile(r'iqn\.2010-01\.com\.solidfire:([^.]+)\.%s[^.]*\.([0-9]+)'
                  % tpl.NAME_PREFIX.lower())


class TemplateSessions(object):
    """Sessions to the templates of one cluster.

    :param cluster_mark: the cluster's uniqueID, which its iqns contain
    :param portal: its storage address and port
    :param conf: the backend's configuration
    """

    def __init__(self, cluster_mark, portal, conf):
        self._cluster_mark = cluster_mark
        self._portal = portal
        self._conf = conf
        self._reported = set()

    def end_dead(self, is_there):
        """Log out of volumes that were removed.

        What does not succeed is told once in a warning and tried again the
        next time.

        :param is_there: a callable that takes a volumeID and tells whether
            the cluster has this volume; asked only where there is a session
        """
        for iqn, volume_id in self._find().items():
            if not is_there(volume_id):
                self._end(iqn, volume_id)

    def _find(self):
        """Return the volumeIDs by iqn; several paths share one."""
        found = {}
        for path in glob.glob(os.path.join(DIRECTORY, '*', 'targetname')):
            try:
                with open(path, encoding='utf-8') as name:
                    iqn = name.read().strip()
            except OSError:
                # It ended meanwhile.
                continue
            match = _IQN.fullmatch(iqn)
            if match and match[1] == self._cluster_mark:
                found[iqn] = int(match[2])
        return found

    def _end(self, iqn, volume_id):
        conf = self._conf
        connection = {'target_discovered': False, 'target_lun': 0,
                      'target_portal': self._portal, 'target_iqn': iqn}
        reason = 'the session did not end'
        try:
            volume_utils.brick_get_connector(
                'iscsi', use_multipath=conf.use_multipath_for_image_xfer,
                device_scan_attempts=conf.num_volume_device_scan_tries,
                conn={'driver_volume_type': 'iscsi', 'data': connection}
            ).disconnect_volume(connection, {}, force=True,
                                ignore_errors=True)
        except Exception as exc:
            # Of os-brick, or of what gives it its rights; the round goes on.
            reason = telling.tell(exc)
        if iqn not in self._find():
            LOG.info('Logged out of removed template volume %(volume)s: '
                     'another host had taken over its fill.',
                     {'volume': volume_id})
        elif iqn not in self._reported:
            self._reported.add(iqn)
            LOG.warning('SolidFire volume %(volume)s, of a fill that was not '
                        'completed, may still be attached to this host, '
                        'under the name %(iqn)s: %(reason)s',
                        {'volume': volume_id, 'iqn': iqn, 'reason': reason})
