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

"""The SolidFire driver with template caching: what Cinder calls.

Extends the stock driver, and is the only module that knows it: here its
names, accounts, volume settings and connections are handed to the parts of
the cache, which know the cluster and the Image service only.
"""

import contextlib
import functools
import threading

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils
from oslo_utils import units

from cinder import interface
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache import attachable
from cinder.volume.drivers.solidfire_template_cache import cache
from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import clones
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import eligibility
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import facts
from cinder.volume.drivers.solidfire_template_cache import filler
from cinder.volume.drivers.solidfire_template_cache import masking
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import store
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# A create that comes back from the scheduler this many seconds after it was
# first asked for may have left a volume on the cluster. An attempt that
# could not clean up after itself takes longer than that to give up.
_RESCHEDULED_SECONDS = 20


@interface.volumedriver
class SolidFireDriver(solidfire.SolidFireDriver):
    """SolidFire driver that serves images from template volumes.

    With ``sf_allow_template_caching`` unset it is the stock driver.
    """

    def __init__(self, *args, **kwargs):
        # All set before the stock driver's part runs: an attribute that it
        # misses reads as a feature that is not supported.
        self._template_clock = clocks.SystemClock()
        self._template_lock = threading.Lock()
        self._template_caches = {}
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(options.template_cache_opts)

    @classmethod
    def get_driver_options(cls):
        return super().get_driver_options() + options.template_cache_opts

    def clone_image(self, context, volume, image_location, image_meta,
                    image_service):
        if not self.configuration.sf_allow_template_caching:
            return super().clone_image(context, volume, image_location,
                                       image_meta, image_service)
        try:
            return self._clone_image(context, volume, image_meta,
                                     image_service)
        except Exception as exc:
            # The create must not fail for want of a template: Cinder goes
            # the normal way, which reports what is wrong with the image.
            LOG.warning('Volume %(volume)s is created without a template of '
                        'image %(image)s: %(reason)s',
                        {'volume': volume['id'], 'reason': _tell(exc),
                         'image': _id_of(image_meta)})
            return None, False

    def _clone_image(self, context, volume, image_meta, image_service):
        watch = timeutils.StopWatch()
        watch.start()
        verdict = self._check_image(volume, image_meta)
        if verdict.reason:
            LOG.info('Volume %(volume)s is created without a template of '
                     'image %(image)s (%(name)s): %(reason)s.',
                     {'volume': volume['id'], 'image': _id_of(image_meta),
                      'name': verdict.reason.name,
                      'reason': verdict.reason.value})
            return None, False
        parts = self._template_parts()
        result = parts.cache.create(self._describe_request(
            parts, context, volume, verdict.image, image_service))
        model_update = self._adopt(context, parts, volume, result)
        LOG.info('Volume %(volume)s is a clone of template volume '
                 '%(template)s of image %(image)s (%(how)s), made in '
                 '%(seconds).1f s.',
                 {'volume': volume['id'], 'image': verdict.image.id,
                  'template': result.template.volume_id,
                  'how': 'filled for it' if result.filled else 'hit',
                  'seconds': watch.elapsed()})
        return model_update, True

    def _get_sf_account_name(self, project_id):
        """Name the account of a project, or the one of the templates.

        The prefix 'hostname' tells the accounts of hosts apart; templates
        are for all hosts, so it does not apply to theirs.
        """
        conf = self.configuration
        if (conf.sf_account_prefix == 'hostname' and
                project_id == conf.sf_template_account_name):
            return project_id
        return super()._get_sf_account_name(project_id)

    # What the stock driver prints

    def _build_endpoint_info(self, *args, **kwargs):
        return masking.Masked(super()._build_endpoint_info(*args, **kwargs))

    def _build_repl_endpoint_info(self, **kwargs):
        return masking.Masked(super()._build_repl_endpoint_info(**kwargs))

    def _issue_api_request(self, method, params, *args, **kwargs):
        """Call the cluster as the stock driver does, masking what it logs.

        It prints the parameters of calls that it repeats, and accounts.
        """
        response = super()._issue_api_request(
            method, masking.Masked(params or {}), *args, **kwargs)
        return masking.masked(response) if 'Account' in method else response

    # What the cache is told of the stock driver

    def _check_image(self, volume, image_meta):
        return eligibility.check(
            image_meta, volume['project_id'],
            volume.get('encryption_key_id', None),
            volume['size'] * units.Gi, CONF.image_conversion_disable)

    def _recheck_image(self, volume, image_meta):
        """Judge the image as it is now, before and after its download."""
        verdict = self._check_image(volume, image_meta)
        if verdict.reason:
            raise errors.TemplateCacheError(reason=verdict.reason.value)
        return verdict.image

    def _describe_request(self, parts, context, volume, image,
                          image_service):
        return cache.Request(
            volume_id=volume['id'], image=image,
            account_name=self._get_sf_account_name(volume['project_id']),
            name=self.configuration.sf_volume_prefix + volume['id'],
            order=functools.partial(self._order_clone, volume),
            fill=lambda: parts.filler.fill(
                context, image_service, image,
                functools.partial(self._recheck_image, volume),
                volume_utils.extract_host(volume.service_topic_queue) or ''),
            seen_before=_is_rescheduled(volume))

    def _order_clone(self, volume, account):
        params = self._get_default_volume_params(
            volume, account.as_stock(), is_clone=True)
        return clones.Order(
            name=params['name'], account_id=account.id,
            size=params['totalSize'], enable_512e=params['enable512e'],
            attributes=params['attributes'], qos=params['qos'] or {})

    def _adopt(self, context, parts, volume, result):
        """Give the clone all that a volume of the stock driver has."""
        try:
            model_update = self._build_connection_info(
                result.account.as_stock(), result.volume.as_stock())
            model_update.update(self._replicate(volume, result))
            self._stamp_signature(context, volume, result.template)
        except Exception as exc:
            _note_failure(exc, parts.client.remove_volume, result.volume.id)
            raise
        return model_update

    def _replicate(self, volume, result):
        """Pair the clone with a volume on the other cluster, if asked to."""
        if not self.replication_enabled:
            return {}
        settings = self._retrieve_replication_settings(volume)
        if not settings:
            return {}
        account = result.account.as_stock()
        params = self._get_default_volume_params(volume, account)
        # Where the stock driver looks for it.
        volume['volumeID'] = result.volume.id
        try:
            return self._replicate_volume(volume, params, account,
                                          settings) or {}
        except Exception as exc:
            remote = self._new_client(self.cluster_pairs[0]['endpoint'])
            _note_failure(exc, remote.remove_named, result.volume.name)
            raise

    def _stamp_signature(self, context, volume, template):
        """Record on the volume what the download found out."""
        if CONF.verify_glance_signatures == 'disabled':
            return
        try:
            self.db.volume_glance_metadata_bulk_create(
                context, volume['id'],
                {'signature_verified': template.signature_verified})
        except Exception as exc:
            # The volume is whole; only a note about it is missing.
            LOG.warning('signature_verified of volume %(volume)s was not '
                        'recorded: %(error)s',
                        {'volume': volume['id'], 'error': exc})

    # The parts of the cache, for the cluster that is active now

    def _template_parts(self):
        cluster = self.active_cluster
        endpoint = cluster['endpoint']
        key = (cluster['uuid'], endpoint['url'], endpoint['login'],
               endpoint['passwd'])
        with self._template_lock:
            if key not in self._template_caches:
                self._template_caches[key] = _Parts(
                    self, cluster['uuid'], self._new_client(endpoint))
            return self._template_caches[key]

    def _new_client(self, endpoint):
        conf = self.configuration
        verify = self.verify_ssl
        if verify and conf.driver_ssl_cert_path:
            verify = conf.driver_ssl_cert_path
        return element.ElementClient(
            element.Endpoint(
                url=endpoint['url'], login=endpoint['login'],
                password=endpoint['passwd'], verify=verify,
                timeout=conf.sf_api_request_timeout),
            self._template_clock)

    @contextlib.contextmanager
    def _attached(self, context, account, volume):
        """Attach a template volume to this host; yield its device's path."""
        conf = self.configuration
        target = attachable.AttachableVolume(
            volume.name, conf.sf_template_account_name,
            volume.size // units.Gi,
            self._build_connection_info(account.as_stock(),
                                        volume.as_stock()))
        properties = volume_utils.brick_get_connector_properties(
            conf.use_multipath_for_image_xfer,
            conf.enforce_multipath_for_image_xfer)
        attachment, target = self._attach_volume(context, target, properties)
        try:
            yield attachment['device']['path']
        finally:
            self._detach_volume(context, attachment, target, properties,
                                force=True)


class _Parts(object):
    """The cache of one cluster, put together."""

    def __init__(self, driver, cluster_id, client):
        conf = driver.configuration
        clock = driver._template_clock
        templates = store.TemplateStore(
            client,
            driver._get_sf_account_name(conf.sf_template_account_name),
            clock)
        self.client = client
        self.filler = filler.TemplateFiller(
            templates, driver._attached, conf.volume_dd_blocksize,
            conf.sf_emulate_512)
        self.cache = cache.TemplateCache(
            cluster_id, client, templates,
            clones.CloneScheduler(client, facts.ClusterFacts(client, clock),
                                  conf.sf_volume_clone_timeout, clock),
            accounts.TenantAccounts(client, driver.max_volumes_per_account),
            clock)


def _is_rescheduled(volume):
    """Tell whether the scheduler has had this volume before."""
    created = volume.get('created_at', None)
    scheduled = volume.get('scheduled_at', None)
    if not created or not scheduled:
        return False
    return (timeutils.delta_seconds(
        timeutils.normalize_time(created),
        timeutils.normalize_time(scheduled)) >= _RESCHEDULED_SECONDS)


def _note_failure(exc, clean_up, *args):
    """Clean up after an error; note on it what could not be removed."""
    try:
        clean_up(*args)
    except errors.ElementError as failure:
        exc.add_note('a volume may be left: %s' % failure)


def _id_of(image_meta):
    return image_meta.get('id') if isinstance(image_meta, dict) else None


def _tell(exc):
    """Return an error with its causes' notes, in one line."""
    parts = ['%s: %s' % (type(exc).__name__, exc)]
    while exc is not None:
        parts.extend(getattr(exc, '__notes__', ()))
        exc = exc.__cause__
    return ' '.join('; '.join(parts).split())
