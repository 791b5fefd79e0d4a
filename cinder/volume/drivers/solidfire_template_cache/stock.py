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

"""All uses of what is private to the stock SolidFire driver."""

import dataclasses
import threading
from typing import Any
from typing import MutableMapping
from typing import Optional

import cachetools
import requests

from cinder import context as cinder_context
from cinder.i18n import _
from cinder.objects import volume as volume_obj
from cinder.volume import configuration
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import clock as clock_mod
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.element import redaction
from cinder.volume.drivers.solidfire_template_cache.element import retry
from cinder.volume.drivers.solidfire_template_cache.element import transport
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import signatures


# A backend has a cluster and, with replication, one that it fails over to.
_MAX_ENDPOINTS = 4


@dataclasses.dataclass(frozen=True)
class ActiveCluster(object):
    """A storage cluster as the stock driver knows it."""

    id: str
    """Its UUID."""
    mark: Optional[str]
    """Its short id, which its iqns contain."""
    portal: str
    """Storage address and port."""
    endpoint: transport.Endpoint


class StockBackend(object):
    """What the cache uses of the stock driver, by named methods.

    :param driver: the driver, a subclass of the stock one; nothing of it is
        used before it is constructed
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._clock = clock_mod.SystemClock()
        self._lock = threading.Lock()
        # By endpoint, so that connections are kept.
        self._transports: MutableMapping[
            transport.Endpoint, transport.Transport] = cachetools.LRUCache(
                _MAX_ENDPOINTS)

    # The backend and its cluster

    @property
    def conf(self) -> configuration.Configuration:
        """The configuration of the backend."""
        return self._driver.configuration

    @property
    def host(self) -> Optional[str]:
        """The service's host, with the name of the backend."""
        return self._driver.host

    @property
    def cluster_name(self) -> Optional[str]:
        """Name of the active/active cluster of services; None without."""
        return self._driver.cluster_name

    @property
    def max_volumes_per_account(self) -> int:
        """How many volumes the driver puts into one account of a project."""
        return self._driver.max_volumes_per_account

    def active_cluster(self) -> 'ActiveCluster':
        """Return the storage cluster that is active now."""
        # Read once: a failover replaces it.
        cluster = self._driver.active_cluster
        return ActiveCluster(
            id=cluster['uuid'], mark=cluster.get('uniqueID'),
            portal=cluster['svip'],
            endpoint=self._read_endpoint(cluster['endpoint']))

    def check_active(self, cluster_id: str) -> None:
        """Raise if the backend failed over from a cluster.

        :raises exceptions.TemplateCacheError: another cluster is active now
        """
        if self._driver.active_cluster['uuid'] != cluster_id:
            raise exceptions.TemplateCacheError(
                reason=_('the backend failed over to another cluster '
                         'meanwhile'))

    # Names and accounts

    @property
    def template_project_id(self) -> str:
        """What the stock driver takes for the project of templates."""
        return self.conf.sf_template_account_name

    def template_account_name(self) -> str:
        """Return the name of the account that owns templates."""
        return self.account_name(self.template_project_id)

    def account_name(self, project_id: str) -> str:
        """Return the name of the account of a project."""
        return self._driver._get_sf_account_name(project_id)

    def is_shared_account(self, project_id: str) -> bool:
        """Return whether an account is shared by hosts that share no others.

        The prefix 'hostname' distinguishes the accounts of hosts. Templates
        are for all hosts, so it does not apply to theirs.
        """
        return (self.conf.sf_account_prefix == 'hostname' and
                project_id == self.template_project_id)

    def volume_name(self, volume: volume_obj.Volume) -> str:
        """Return the name of a volume on the cluster."""
        return self.conf.sf_volume_prefix + volume['id']

    # A volume that is cloned

    def clone_spec(self, volume: volume_obj.Volume,
                   account: models.Account) -> spec.CloneSpec:
        """Return what the clone has to be, as the stock driver creates it."""
        params = self._driver._get_default_volume_params(
            volume, account.to_stock(), is_clone=True)
        return spec.CloneSpec(
            name=params['name'], account_id=account.id,
            size=params['totalSize'], enable_512e=params['enable512e'],
            attributes=params['attributes'], qos=params['qos'] or {})

    def finalize(self, context: cinder_context.RequestContext,
                 cluster_id: str, volume: volume_obj.Volume,
                 account: models.Account, clone: models.Volume,
                 signature_verified: Optional[bool]) -> dict[str, Any]:
        """Give a clone what a volume of the stock driver has.

        :returns: what Cinder records of the volume
        :raises exceptions.TemplateCacheError: the backend failed over
        :raises Exception: whatever the stock driver raises; it may have left
            nothing but the clone
        """
        model_update = self.connection_info(cluster_id, account, clone)
        model_update.update(self._replicate(volume, account, clone))
        self.check_active(cluster_id)
        signatures.record(self._driver.db, context, volume['id'],
                          signature_verified)
        return model_update

    def connection_info(self, cluster_id: str, account: models.Account,
                        volume: models.Volume) -> dict[str, Any]:
        """Return how to connect to a volume of a cluster.

        The stock driver returns it for the cluster that is active now,
        which after a failover has another volume of the same number.

        :raises exceptions.TemplateCacheError: another cluster is active now
        """
        found = self._driver._build_connection_info(account.to_stock(),
                                                    volume.to_stock())
        self.check_active(cluster_id)
        return found

    def _replicate(self, volume: volume_obj.Volume, account: models.Account,
                   clone: models.Volume) -> dict[str, Any]:
        """Pair the clone with a volume on the other cluster, if wanted."""
        driver = self._driver
        if not driver.replication_enabled:
            return {}
        settings = driver._retrieve_replication_settings(volume)
        if not settings:
            return {}
        stock_account = account.to_stock()
        params = driver._get_default_volume_params(volume, stock_account)
        # Where the stock driver reads it.
        volume['volumeID'] = clone.id
        try:
            return driver._replicate_volume(volume, params, stock_account,
                                            settings) or {}
        except Exception as exc:
            self._remove_remote(clone.name, exc)
            raise

    def _remove_remote(self, name: str, exc: Exception) -> None:
        """Remove the volume of a failed pairing from the other cluster."""
        remote = self.new_client(
            self._read_endpoint(self._driver.cluster_pairs[0]['endpoint']),
            self._clock)
        try:
            remote.remove_volumes_named(name)
        except errors.ElementError as failure:
            exc.add_note('a volume named %s may be left on the replication '
                         'target: %s' % (name, failure))
        finally:
            remote.close()

    # Attaching; volumes and properties are those of Cinder's base driver

    def attach_volume(self, context: cinder_context.RequestContext,
                      volume: Any, properties: dict[str, Any]
                      ) -> tuple[dict[str, Any], Any]:
        """Attach a volume to this host, see the base driver."""
        return self._driver._attach_volume(context, volume, properties)

    def detach_volume(self, context: cinder_context.RequestContext,
                      attach_info: dict[str, Any], volume: Any,
                      properties: dict[str, Any], force: bool = False,
                      ignore_errors: bool = False) -> None:
        """Detach a volume from this host, see the base driver."""
        self._driver._detach_volume(
            context, attach_info, volume, properties, force=force,
            ignore_errors=ignore_errors)

    def initialize_connection(self, volume: Any, properties: dict[str, Any]
                              ) -> dict[str, Any]:
        """Return how this host connects to a volume."""
        return self._driver.initialize_connection(volume, properties)

    # Calls

    def new_client(self, endpoint: transport.Endpoint,
                   clock: clock_mod.SystemClock) -> client.ElementClient:
        """Return a client of a cluster; it makes no call yet."""
        return client.ElementClient(endpoint, clock)

    def _read_endpoint(self, endpoint: dict[str, Any]) -> transport.Endpoint:
        conf = self.conf
        verify = self._driver.verify_ssl
        if verify and conf.driver_ssl_cert_path:
            verify = conf.driver_ssl_cert_path
        options = {}
        if endpoint['mvip'] != conf.san_ip:
            options = {'address_options': 'mvip, port of replication_device',
                       'login_options': 'login, password of '
                                        'replication_device'}
        return transport.Endpoint(
            url=endpoint['url'], login=endpoint['login'],
            password=endpoint['passwd'], verify=verify,
            timeout=conf.sf_api_request_timeout, **options)

    def call_api(self, method: str, params: Optional[dict[str, Any]],
                 version: str = '1.0',
                 endpoint: Optional[dict[str, Any]] = None,
                 timeout: Optional[float] = None) -> dict[str, Any]:
        """Make a call for the stock driver, redacting what it logs.

        :returns: the reply
        :raises: what the stock driver's own method raises, since that is
            caught in places; with the cause in the text
        """
        target = self._read_endpoint(
            endpoint or self._driver.active_cluster['endpoint'])
        sender = self._transport(target)
        # The stock driver logs the parameters of calls that it retries.
        params = redaction.redact(params or {})

        def attempt() -> dict[str, Any]:
            reply = sender.call_raw(method, params, version, timeout)
            if 'error' in reply:
                raise errors.from_reply(method, reply['error'], str)
            return reply

        try:
            return retry.stock_call(attempt, self._is_retryable, self._clock)
        except errors.ElementError as exc:
            raise _stock_error(exc) from exc

    def close(self) -> None:
        """Close the connections; a call opens them again."""
        with self._lock:
            for each in self._transports.values():
                each.close()
            self._transports.clear()

    def _transport(self, endpoint: transport.Endpoint) -> transport.Transport:
        with self._lock:
            found = self._transports.get(endpoint)
            if found is None:
                found = self._transports[endpoint] = transport.Transport(
                    endpoint, self._clock)
            return found

    def _is_retryable(self, error: BaseException) -> bool:
        return (isinstance(error, errors.ApiError) and
                error.name in self._driver.retryable_errors)


def _stock_error(exc: errors.ElementError) -> Exception:
    """Return the exception by which the stock driver fails in this case."""
    if exc.name == 'xInvalidPairingKey':
        return solidfire.SolidFireReplicationPairingError()
    if exc.name == errors.READ_TIMEOUT:
        # It then looks for the volume that was to be created.
        return requests.exceptions.ReadTimeout(str(exc))
    if isinstance(exc, errors.ApiError) or exc.name in (
            errors.CONNECTION_ERROR, errors.CONNECT_TIMEOUT,
            errors.TLS_ERROR):
        return solidfire.SolidFireAPIException(str(exc))
    # A page in place of a reply, such as after a refused login. The last
    # statistics then stay, where an API error reports no capacity.
    return requests.exceptions.InvalidJSONError(str(exc))
