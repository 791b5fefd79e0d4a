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
    cfg.IntOpt(
        'sf_template_wait_timeout',
        default=1800,
        min=0,
        help='Seconds that a request waits for the template of its image '
             'while another request fills it. A request that waits longer '
             'is served the normal way, with a warning in the log: it '
             'downloads the image itself. Set it to more than the largest '
             'image takes. With 0 nobody waits.'),
    cfg.IntOpt(
        'sf_template_max_count',
        default=200,
        min=0,
        help='Most template volumes to keep on the cluster. To make room '
             'for another one the least recently used goes, but none that '
             'is being cloned. A fill that gets no room is left out, and '
             'the volume is created the normal way. 0 is no limit of ours; '
             'the cluster has 2000 volumes in one account as its own.'),
    cfg.IntOpt(
        'sf_template_max_gib',
        default=0,
        min=0,
        help='Most GiB that all template volumes together may have, by '
             'their sizes as volumes; what they take up on the cluster is '
             'less, for it stores no zeros and nothing twice. Room is made '
             'as for sf_template_max_count, and both limits hold when both '
             'are set. 0 is no limit.'),
    cfg.IntOpt(
        'sf_template_idle_days',
        default=30,
        min=0,
        help='Days without a use after which a template volume is removed, '
             'with the periodic statistics of the volume service. 0 keeps '
             'them until other limits ask for their room.'),
    cfg.IntOpt(
        'sf_template_min_free_percent',
        default=10,
        min=0,
        max=100,
        help='Percentage of the cluster\'s block storage that must be free '
             'for a template volume to be made. With less, images that have '
             'a template are cloned as ever, and volumes of others are '
             'created the normal way. 0 does not look.'),
]


def list_opts():
    """Give the options to oslo.config's sample and docs generators."""
    return [(configuration.SHARED_CONF_GROUP, template_cache_opts)]
