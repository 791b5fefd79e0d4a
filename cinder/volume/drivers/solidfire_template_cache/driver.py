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

Each method is the stock driver's own while ``sf_allow_template_caching`` is
not set.
"""

from typing import Any
from typing import Optional

from oslo_log import log as logging

from cinder import context as cinder_context
from cinder import interface
from cinder.objects import volume as volume_obj
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.element import redaction
from cinder.volume.drivers.solidfire_template_cache import log_utils
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import service
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)


@interface.volumedriver
class SolidFireDriver(solidfire.SolidFireDriver):
    """SolidFire driver that serves images from template volumes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the stock driver's part, which calls the cluster already and
        # takes a missing attribute for an unsupported feature.
        kwargs['configuration'].append_config_values(
            options.template_cache_opts)
        self._stock_backend = stock.StockBackend(self)
        self._template_services = service.CacheServices(self._stock_backend)
        super().__init__(*args, **kwargs)

    def _is_caching(self) -> bool:
        return self.configuration.sf_allow_template_caching

    @classmethod
    def get_driver_options(cls) -> list:
        return super().get_driver_options() + options.template_cache_opts

    @volume_utils.trace
    def do_setup(self, context: cinder_context.RequestContext) -> None:
        super().do_setup(context)
        if self._is_caching():
            self._template_services.check_setup()
        else:
            service.log_off()

    @volume_utils.trace
    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        stats = super().get_volume_stats(refresh)
        # Without a total the cluster did not answer, and will not now.
        if (refresh and self._is_caching() and
                stats.get('total_capacity_gb')):
            self._trigger_housekeeping()
        return stats

    def _trigger_housekeeping(self) -> None:
        try:
            self._template_services.active().housekeeping_runner.trigger()
            return
        except Exception as exc:
            # The statistics must not fail for it.
            failure = exc
        LOG.warning('Housekeeping of the template volumes was not started: '
                    '%(reason)s',
                    {'reason': log_utils.format_error(failure)})

    # Not traced, like what follows: results hold the project's CHAP secret.
    def clone_image(self, context: cinder_context.RequestContext,
                    volume: volume_obj.Volume, image_location: Any,
                    image_meta: dict[str, Any], image_service: Any
                    ) -> tuple[Optional[dict[str, Any]], bool]:
        if not self._is_caching():
            return super().clone_image(context, volume, image_location,
                                       image_meta, image_service)
        failure: Optional[Exception] = None
        try:
            return self._template_services.active().clone_image(
                context, volume, image_meta, image_service)
        except Exception as exc:
            # A create that succeeds without the cache must not fail with it.
            failure = exc
        LOG.warning('Volume %(volume)s falls back to Cinder\'s image '
                    'download, without a template of image %(image)s: '
                    '%(reason)s',
                    {'volume': volume['id'],
                     'image': log_utils.image_id(image_meta),
                     'reason': log_utils.format_error(failure)})
        return None, False

    def manage_existing_get_size(self, volume: volume_obj.Volume,
                                 external_ref: dict[str, Any]) -> int:
        if self._is_caching():
            self._template_services.active().refuse_template(external_ref)
        return super().manage_existing_get_size(volume, external_ref)

    def manage_existing(self, volume: volume_obj.Volume,
                        external_ref: dict[str, Any]) -> dict[str, Any]:
        if self._is_caching():
            self._template_services.active().refuse_template(external_ref)
        return super().manage_existing(volume, external_ref)

    # Methods of the stock driver that it calls itself

    def _get_sf_account_name(self, project_id: str) -> str:
        if (self._is_caching() and
                self._stock_backend.is_shared_account(project_id)):
            return project_id
        return super()._get_sf_account_name(project_id)

    def _build_endpoint_info(self, *args: Any,
                             **kwargs: Any) -> dict[str, Any]:
        endpoint = super()._build_endpoint_info(*args, **kwargs)
        # The stock driver logs it.
        return redaction.redact(endpoint) if self._is_caching() else endpoint

    def _build_repl_endpoint_info(self, **kwargs: Any) -> dict[str, Any]:
        endpoint = super()._build_repl_endpoint_info(**kwargs)
        return redaction.redact(endpoint) if self._is_caching() else endpoint

    def _issue_api_request(self, method: str,
                           params: Optional[dict[str, Any]], *args: Any,
                           **kwargs: Any) -> dict[str, Any]:
        if not self._is_caching():
            return super()._issue_api_request(method, params, *args, **kwargs)
        return self._stock_backend.call_api(method, params, *args, **kwargs)
