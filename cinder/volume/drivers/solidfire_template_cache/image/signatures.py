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

"""Image signatures: what is configured, and the record on a volume."""

from typing import Any
from typing import Optional

from oslo_config import cfg
from oslo_log import log as logging

from cinder import context as cinder_context
# Registers verify_glance_signatures.
from cinder.image import glance  # noqa: F401
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)

CONF = cfg.CONF


def wanted() -> bool:
    """Return whether downloaded images have their signatures checked."""
    return CONF.verify_glance_signatures != 'disabled'


def record(db: Any, context: cinder_context.RequestContext, volume_id: str,
           verified: Optional[bool]) -> None:
    """Record on a volume what the check of its image's signature found.

    Cinder's image download does the same. Nothing is recorded when
    signatures are not checked. A failure is logged and does not raise: the
    volume is complete, and only a note about it is missing.

    :param db: Cinder's database API
    :param volume_id: the Cinder volume
    :param verified: what :func:`cinder.image.image_utils.
        verify_glance_image_signature` returned for the template's data
    """
    if not wanted():
        return
    try:
        db.volume_glance_metadata_bulk_create(
            context, volume_id, {'signature_verified': verified})
        return
    except Exception as exc:
        failure = exc
    LOG.warning('signature_verified of volume %(volume)s was not recorded: '
                '%(reason)s',
                {'volume': volume_id,
                 'reason': log_utils.format_error(failure)})
