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

from oslo_config import cfg

from cinder.volume import configuration

template_cache_opts = [
    cfg.BoolOpt(
        'sf_allow_template_caching',
        default=False,
        help='Create bootable volumes by cloning a template volume that '
             'holds the image, instead of downloading and converting the '
             'image each time. The first request for an image fills its '
             'template on the cluster; the following ones are clones and '
             'take seconds. Applies to images that are public or community, '
             'or owned by the project that asks, and whose virtual size is '
             'known to the Image service. Whenever the cache cannot serve a '
             'request, the volume is created the normal way. When False, '
             'the driver behaves exactly as the standard SolidFire driver.'),
    cfg.StrOpt(
        'sf_template_account_name',
        default='openstack-vtemplate',
        max_length=64,
        help='Name of the SolidFire account that owns the template volumes. '
             'The account is created when it is first needed, and '
             'sf_account_prefix applies to it as to every other account, '
             'unless that is "hostname", since templates are for all hosts. '
             'All hosts that serve one cluster must use the same name, or '
             'each keeps templates of its own. Change it only to tell '
             'several clouds on one cluster apart; templates under the '
             'former name then stay behind and have to be deleted by hand.'),
]


def list_opts():
    """Give the options to oslo.config's sample and docs generators."""
    return [(configuration.SHARED_CONF_GROUP, template_cache_opts)]
