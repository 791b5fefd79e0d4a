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

from cinder import context as cinder_context
from cinder import exception
from cinder.i18n import _
from cinder import interface
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import attachable
from cinder.volume.drivers.solidfire_template_cache import cache
from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import clones
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import eligibility
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import masking
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import parts
from cinder.volume.drivers.solidfire_template_cache import sessions
from cinder.volume.drivers.solidfire_template_cache import telling
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume.drivers.solidfire_template_cache import transport
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# A create that comes back from the scheduler this many seconds after it was
# first asked for may have left a volume on the cluster. An attempt that
# could not clean up after itself has taken longer to give up (see `element`),
# also when the database keeps whole seconds only.
_RESCHEDULED_SECONDS = 2


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

    def do_setup(self, context):
        super().do_setup(context)
        if (self.configuration.sf_allow_template_caching and
                self.cluster_name and not locks.are_shared()):
            LOG.warning('The hosts of cluster %(cluster)s have no lock in '
                        'common, so that each may make its own template of '
                        'the same image. Set backend_url in [coordination] '
                        'to a service that all of them share, such as Redis '
                        'or etcd; it is of type %(type)s now.',
                        {'cluster': self.cluster_name,
                         'type': CONF.coordination.backend_url.partition(
                             ':')[0]})

    def get_volume_stats(self, refresh=False):
        stats = super().get_volume_stats(refresh)
        # Without a total the cluster has not answered: no time for chores.
        if (refresh and self.configuration.sf_allow_template_caching and
                stats.get('total_capacity_gb')):
            try:
                self._template_parts().housekeeper.run()
            except Exception as exc:
                # The statistics must not fail for it.
                LOG.warning('Housekeeping of the template volumes on '
                            'SolidFire cluster %(cluster)s was not done: '
                            '%(reason)s',
                            {'cluster': self.active_cluster['mvip'],
                             'reason': telling.tell(exc)})
        return stats

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
                        {'volume': volume['id'], 'reason': telling.tell(exc),
                         'image': telling.id_of(image_meta)})
            return None, False

    def manage_existing_get_size(self, volume, external_ref):
        self._refuse_template(external_ref)
        return super().manage_existing_get_size(volume, external_ref)

    def manage_existing(self, volume, external_ref):
        self._refuse_template(external_ref)
        return super().manage_existing(volume, external_ref)

    def _refuse_template(self, external_ref):
        """Keep a template from being given to a tenant.

        The stock driver takes the volume with the number it is given, or
        the next one when there is none.
        """
        if not self.configuration.sf_allow_template_caching:
            return
        try:
            # As the stock driver reads it: ' +7 ' and 7.5 are numbers.
            number = int(external_ref.get('source-id'))
        except (TypeError, ValueError, OverflowError):
            # The stock driver has its own words for it.
            return
        found = self._template_parts().client.next_active_volume(number)
        if found and tpl.ATTRIBUTE in found.attributes:
            raise exception.ManageExistingInvalidReference(
                existing_ref=external_ref,
                reason=_('SolidFire volume %s is an image template')
                % found.id)

    def _clone_image(self, context, volume, image_meta, image_service):
        watch = timeutils.StopWatch()
        watch.start()
        verdict = self._check_image(volume, image_meta)
        if verdict.reason:
            LOG.info('Volume %(volume)s is created without a template of '
                     'image %(image)s (%(name)s): %(reason)s.',
                     {'volume': volume['id'],
                      'image': telling.id_of(image_meta),
                      'name': verdict.reason.name,
                      'reason': verdict.reason.value})
            return None, False
        cluster = self._template_parts()
        result = cluster.cache.create(self._describe_request(
            cluster, context, volume, verdict.image, image_service))
        model_update = self._adopt(context, cluster, volume, result)
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
        """Call the cluster for the stock driver, masking what it prints.

        It prints the parameters of calls that it repeats, and replies.
        """
        return masking.masked(self._pass_on(
            method, masking.Masked(params or {}), *args, **kwargs))

    @solidfire.retry(solidfire.SolidFireDriver.retry_exc_tuple, tries=6)
    def _pass_on(self, method, params, version='1.0', endpoint=None,
                 timeout=None):
        """Make a call by our client that fails as the stock driver's do."""
        sender = transport.Transport(self._endpoint_of(
            endpoint or self.active_cluster['endpoint']))
        reply = sender.pass_on(
            method, params, version,
            timeout or self.configuration.sf_api_request_timeout)
        if 'error' not in reply:
            return reply
        name = reply['error']['name']
        if name in self.retryable_errors:
            LOG.debug('%(method)s will be repeated after %(name)s.',
                      {'method': method, 'name': name})
            raise solidfire.SolidFireRetryableException(message=name)
        if name == 'xInvalidPairingKey':
            raise solidfire.SolidFireReplicationPairingError()
        raise solidfire.SolidFireAPIException(
            _('SolidFire API call %(method)s failed: %(error)s') % {
                'method': method,
                'error': sender.scrub(str(reply['error']), params)})

    # What the cache is told of the stock driver

    def _check_image(self, volume, image_meta):
        return eligibility.check(
            image_meta, volume['project_id'],
            volume.get('encryption_key_id', None),
            volume['size'] * units.Gi, CONF.image_conversion_disable)

    def _recheck_image(self, volume, image_id, image_meta):
        """Judge the image as it is now, before and after its download."""
        verdict = self._check_image(volume, image_meta)
        if verdict.reason:
            raise errors.TemplateCacheError(reason=verdict.reason.value)
        if verdict.image.id != image_id:
            raise errors.TemplateCacheError(
                reason=_('the Image service shows another image'))
        return verdict.image

    def _describe_request(self, cluster, context, volume, image,
                          image_service):
        return cache.Request(
            volume_id=volume['id'], image=image,
            account_name=self._get_sf_account_name(volume['project_id']),
            name=self.configuration.sf_volume_prefix + volume['id'],
            order=functools.partial(self._order_clone, volume),
            fill=lambda: cluster.filler.fill(
                context, image_service, image,
                functools.partial(self._recheck_image, volume, image.id),
                volume_utils.extract_host(volume.service_topic_queue) or ''),
            seen_before=_is_rescheduled(volume))

    def _order_clone(self, volume, account):
        params = self._get_default_volume_params(
            volume, account.as_stock(), is_clone=True)
        return clones.Order(
            name=params['name'], account_id=account.id,
            size=params['totalSize'], enable_512e=params['enable512e'],
            attributes=params['attributes'], qos=params['qos'] or {})

    def _adopt(self, context, cluster, volume, result):
        """Give the clone all that a volume of the stock driver has."""
        try:
            model_update = self._connection_info(
                cluster.id, result.account, result.volume)
            model_update.update(self._replicate(volume, result))
            self._check_active(cluster.id)
            self._stamp_signature(context, volume, result.template)
        except Exception as exc:
            _note_failure(exc, cluster.client.remove_volume, result.volume.id)
            raise
        return model_update

    def _connection_info(self, cluster_id, account, volume):
        """Return where a volume of that cluster is, for Cinder's record.

        The stock driver tells it for the cluster that is active now. After
        a failover this would be another volume, with the same number.
        """
        found = self._build_connection_info(account.as_stock(),
                                            volume.as_stock())
        self._check_active(cluster_id)
        return found

    def _check_active(self, cluster_id):
        if self.active_cluster['uuid'] != cluster_id:
            raise errors.TemplateCacheError(
                reason=_('the backend failed over to another cluster '
                         'meanwhile'))

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
            remote = self._new_client(self._endpoint_of(
                self.cluster_pairs[0]['endpoint']))
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
        endpoint = self._endpoint_of(cluster['endpoint'])
        key = (cluster['uuid'], endpoint)
        with self._template_lock:
            if key not in self._template_caches:
                self._template_caches[key] = self._assemble(
                    cluster, self._new_client(endpoint))
            return self._template_caches[key]

    def _assemble(self, cluster, client):
        conf = self.configuration
        cluster_id = cluster['uuid']
        return parts.Parts(
            conf, cluster_id, client, self._template_clock,
            account_name=self._get_sf_account_name(
                conf.sf_template_account_name),
            volumes_per_account=self.max_volumes_per_account,
            host=volume_utils.extract_host(self.host or CONF.host, 'host'),
            attached=functools.partial(self._attached, cluster_id),
            detach=functools.partial(self._detach_leftover, cluster_id),
            host_sessions=sessions.TemplateSessions(
                cluster.get('uniqueID'), cluster['svip'], conf))

    def _new_client(self, endpoint):
        return element.ElementClient(endpoint, self._template_clock)

    def _endpoint_of(self, endpoint):
        conf = self.configuration
        verify = self.verify_ssl
        if verify and conf.driver_ssl_cert_path:
            verify = conf.driver_ssl_cert_path
        return transport.Endpoint(
            url=endpoint['url'], login=endpoint['login'],
            password=endpoint['passwd'], verify=verify,
            timeout=conf.sf_api_request_timeout)

    @contextlib.contextmanager
    def _attached(self, cluster_id, context, account, volume):
        """Attach a template volume to this host; yield its device's path."""
        target, properties = self._attachable(cluster_id, account, volume)
        attachment, target = self._attach_volume(context, target, properties)
        try:
            yield attachment['device']['path']
        finally:
            self._detach_volume(context, attachment, target, properties,
                                force=True)

    def _detach_leftover(self, cluster_id, account, volume):
        """Detach what a process of this host had attached when it died."""
        conf = self.configuration
        try:
            target, properties = self._attachable(cluster_id, account,
                                                  volume)
            connection = self.initialize_connection(target, properties)
            connector = volume_utils.brick_get_connector(
                connection['driver_volume_type'],
                use_multipath=conf.use_multipath_for_image_xfer,
                device_scan_attempts=conf.num_volume_device_scan_tries,
                conn=connection)
            self._detach_volume(
                cinder_context.get_admin_context(),
                {'connector': connector, 'conn': connection, 'device': {}},
                target, properties, force=True, ignore_errors=True)
        except Exception as exc:
            # The volume goes all the same; a device may stay, without it.
            LOG.warning('SolidFire volume %(volume)s, of a fill that was not '
                        'completed, may still be attached to this host: '
                        '%(reason)s',
                        {'volume': volume.id, 'reason': telling.tell(exc)})

    def _attachable(self, cluster_id, account, volume):
        """Return a volume as Cinder attaches it, and this host's part."""
        conf = self.configuration
        return attachable.AttachableVolume(
            volume.name, conf.sf_template_account_name,
            volume.size // units.Gi,
            self._connection_info(cluster_id, account, volume)
        ), volume_utils.brick_get_connector_properties(
            conf.use_multipath_for_image_xfer,
            conf.enforce_multipath_for_image_xfer)


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
