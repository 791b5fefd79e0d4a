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

"""Errors of the cache itself; those of API calls are in element.errors.

::

    TemplateCacheError          the cache cannot serve the request
     +- FillRefused             this version of the image cannot be cached
     +- StaleRequest            the request knows an older image
     +- FillWaitTimeout         another request is still filling the template
     +- RepeatedFillFailure     fills of others failed while this one waited
     +- CapacityLimitReached    the limits allow no further template now
     +- AccountsFull            the project's accounts take no more volumes
     +- CloneFailed             a clone did not become the volume
         +- CloneTimeout        no free slot, or no end, within the time
         +- CloneSuperseded     a later attempt has created the volume

Whichever it is, the volume is then created from Cinder's image download.
"""

from cinder import exception
from cinder.i18n import _


class TemplateCacheError(exception.VolumeDriverException):
    message = _('The image template cannot be used: %(reason)s')


class FillRefused(TemplateCacheError):
    message = _('The image cannot be cached: %(reason)s')


class StaleRequest(TemplateCacheError):
    message = _('The request was made for the image as of %(known)s, and its '
                'template holds the image as of %(template)s')


class FillWaitTimeout(TemplateCacheError):
    message = _('Another request is still filling the template after '
                '%(seconds)s seconds (sf_template_wait_timeout)')


class RepeatedFillFailure(TemplateCacheError):
    message = _('%(count)s other requests failed to fill the template while '
                'this one waited, the last one with: %(reason)s')


class CapacityLimitReached(TemplateCacheError):
    message = _('A template of %(gib)s GiB cannot be created: %(reason)s')


class AccountsFull(TemplateCacheError):
    message = _('SolidFire account %(name)s and its second account cannot '
                'hold more volumes')


class CloneFailed(TemplateCacheError):
    message = _('Clone of template volume %(template)s failed: %(reason)s')


class CloneTimeout(CloneFailed):
    message = _('Clone of template volume %(template)s did not complete '
                'within %(seconds)s seconds: %(reason)s')


class CloneSuperseded(CloneFailed):
    message = _('Clone of template volume %(template)s was removed: a later '
                'attempt to create the volume has made SolidFire volume '
                '%(other)s')
