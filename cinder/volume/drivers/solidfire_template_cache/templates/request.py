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

"""One request of Cinder to create a volume from an image."""

import dataclasses
from typing import Any

from oslo_config import cfg
from oslo_utils import units

from cinder import context as cinder_context
from cinder.i18n import _
from cinder.objects import volume as volume_obj
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import eligibility
from cinder.volume.drivers.solidfire_template_cache.image import metadata

CONF = cfg.CONF


@dataclasses.dataclass(frozen=True)
class Request(object):
    """An eligible request."""

    context: cinder_context.RequestContext
    """With which the Image service is asked."""
    volume: volume_obj.Volume
    """Cinder's volume; the stock driver adds members when it replicates."""
    image: metadata.Image
    """The image as the request knows it."""
    image_service: Any
    """Cinder's client of the Image service."""

    def recheck(self, image_meta: dict[str, Any]) -> metadata.Image:
        """Check the image as it is now, before and after its download.

        :param image_meta: the image's current metadata
        :returns: the image as it is now
        :raises exceptions.TemplateCacheError: it is not eligible any more
        """
        verdict = check(self.volume, image_meta)
        if verdict.image is None:
            raise exceptions.TemplateCacheError(reason=verdict.explanation)
        if verdict.image.id != self.image.id:
            raise exceptions.TemplateCacheError(
                reason=_('the Image service returned another image'))
        return verdict.image


def check(volume: volume_obj.Volume,
          image_meta: dict[str, Any]) -> eligibility.Verdict:
    """Decide whether a volume may be created from a template."""
    return eligibility.check(
        image_meta, volume['project_id'],
        volume.get('encryption_key_id', None),
        volume['size'] * units.Gi, CONF.image_conversion_disable)
