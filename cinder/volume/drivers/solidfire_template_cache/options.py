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

"""Configuration options of the template cache."""

import re
from typing import Optional

from oslo_config import cfg

from cinder import exception
from cinder.i18n import _
from cinder.volume import configuration

template_cache_opts = [
    cfg.BoolOpt(
        'sf_allow_template_caching',
        default=False,
        help='Create bootable volumes by cloning a template volume that '
             'holds the image, instead of downloading and converting the '
             'image for each volume. The first request for an image fills '
             'its template volume on the cluster; later requests clone it, '
             'which takes seconds. Applies to images that are public or '
             'community, or owned by the project of the volume, and whose '
             'virtual size is known to the Image service. Whenever the '
             'cache cannot serve a request, the volume is created from '
             'Cinder\'s image download. When False, the driver behaves '
             'exactly as the standard SolidFire driver.'),
    cfg.StrOpt(
        'sf_template_account_name',
        default='openstack-vtemplate',
        max_length=64,
        help='Name of the SolidFire account that owns the template volumes. '
             'The driver creates the account when it is first needed. '
             'sf_account_prefix applies to it as to every other account, '
             'except for the value "hostname", because all hosts share the '
             'template volumes. The name with its prefix has 1 to 64 '
             'letters, digits, hyphens, underscores and periods. All hosts '
             'that serve one cluster must use the same name; otherwise each '
             'fills its own template volumes. Change it only to separate '
             'several clouds on one cluster. Template volumes of the '
             'previous account are not removed and have to be deleted '
             'manually.'),
    cfg.IntOpt(
        'sf_template_wait_timeout',
        default=1800,
        min=0,
        help='Time in seconds that a request waits while another request '
             'fills the template volume of the same image. After that time '
             'the request falls back to Cinder\'s image download, and a '
             'warning is logged. Set it to more than the largest image '
             'takes to download and convert. Set to 0 to disable waiting.'),
    cfg.IntOpt(
        'sf_template_max_count',
        default=200,
        min=0,
        help='Maximum number of template volumes on the cluster, replicas '
             'included. When it is reached, the least recently used template '
             'volume that is not being cloned is evicted, replicas first. If '
             'none can be evicted, the request falls back to Cinder\'s image '
             'download. Set to 0 for no limit; the cluster itself allows '
             '2000 volumes in one account. At the limit no replica is made, '
             'so set it to at least the number of images that are in use, '
             'plus sf_template_max_replicas for each image of which boot '
             'storms are expected at the same time.'),
    cfg.IntOpt(
        'sf_template_max_replicas',
        default=32,
        min=0,
        help='Maximum number of replicas of one template volume. The cluster '
             'runs few clones of one volume at a time, 2 by default. When '
             'more volumes are requested from an image at a time, the driver '
             'clones its template volume into replicas, which are cloned '
             'too, if the requests are then served sooner. Replicas count '
             'for sf_template_max_count and sf_template_max_gib but do not '
             'cause an eviction; they are evicted first, and removed when '
             'they have not been cloned for 5 minutes. All hosts that serve '
             'one cluster should use the same value. Set to 0 to make no '
             'replicas.'),
    cfg.IntOpt(
        'sf_template_max_gib',
        default=0,
        min=0,
        help='Maximum total size of all template volumes, replicas '
             'included, in GiB. Their provisioned sizes count; they use less '
             'space on the cluster, which does not store zeros and '
             'deduplicates. Template volumes '
             'are evicted as for sf_template_max_count, and both limits '
             'apply if both are set. Set to 0 for no limit.'),
    cfg.IntOpt(
        'sf_template_idle_days',
        default=30,
        min=0,
        help='Time in days after which housekeeping removes a template '
             'volume that was not used. Set to 0 to keep unused template '
             'volumes until another limit evicts them.'),
    cfg.IntOpt(
        'sf_template_min_free_percent',
        default=10,
        min=0,
        max=100,
        help='Minimum percentage of the cluster\'s block storage that must '
             'be free before a template volume or a replica is created. With '
             'less free space, images that have a template volume are still '
             'cloned; '
             'requests for other images fall back to Cinder\'s image '
             'download. Set to 0 to disable the check.'),
]

# GetLimits has accountNameLengthMin and Max of 1 and 64. That letters,
# digits, '-' and '_' are valid is what CloudStack's SolidFire plugin relies
# on. The period occurs in names with a host's name in them, which the
# standard driver makes for "hostname".
_ACCOUNT_NAME = re.compile(r'[A-Za-z0-9._-]{1,64}\Z')


def check_account_name(name: str, full_name: Optional[str] = None) -> None:
    """Check that the cluster accepts the name of the template account.

    :param name: the value of ``sf_template_account_name``
    :param full_name: the name with the prefix that applies to it
    :raises exception.InvalidConfigurationValue: if it does not
    """
    if full_name is None:
        full_name = name
    if name and _ACCOUNT_NAME.match(full_name):
        return
    raise exception.InvalidConfigurationValue(
        _('Value "%(value)s" is not valid for configuration option '
          '"%(option)s": with sf_account_prefix the account name is '
          '"%(full_name)s"; it must have 1 to 64 letters, digits, hyphens, '
          'underscores or periods, and not be empty without the prefix.') % {
              'value': name, 'option': 'sf_template_account_name',
              'full_name': full_name})


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options for oslo.config's sample and docs generators."""
    return [(configuration.SHARED_CONF_GROUP, template_cache_opts)]
