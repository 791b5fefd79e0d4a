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

"""Brings an image's data into a new template volume.

The work on the data is Cinder's own: its download with checksums, format
inspection, signature check and conversion, in the order in which Cinder's
image download does them.
"""

import dataclasses
import os
from typing import Optional

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import fileutils
from oslo_utils import timeutils
from oslo_utils import units
from oslo_utils import uuidutils
import six

from cinder import exception
from cinder.i18n import _
from cinder.image import image_utils
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.host import attach
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.image import signatures
from cinder.volume.drivers.solidfire_template_cache.templates import eviction
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import request
from cinder.volume.drivers.solidfire_template_cache.templates import store
from cinder.volume import volume_utils

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Errors of the image itself: its data would be refused again.
_REFUSALS = (exception.ImageUnacceptable, exception.InvalidSignatureImage,
             exception.ImageConversionNotAllowed,
             exception.ImageSignatureVerificationException)


class TemplateFiller(object):
    """Creates ready templates on one cluster.

    :param cluster: the cluster
    :param templates: its templates
    :param capacity: its limits, and what enforces them
    :param attachments: attaches volumes to this host
    """

    def __init__(self, cluster: cl.Cluster, templates: store.TemplateStore,
                 capacity: eviction.CapacityManager,
                 attachments: attach.HostAttachments) -> None:
        self._cluster = cluster
        self._store = templates
        self._capacity = capacity
        self._attachments = attachments

    def fill(self, req: request.Request) -> model.Template:
        """Download an image and publish a template of it.

        Called with the lock of the image held.

        :raises exceptions.FillRefused: this version of the image can never
            be cached
        :raises exceptions.CapacityLimitReached: the limits allow no further
            template now
        :raises exceptions.TemplateCacheError: the image changed meanwhile
        :raises Exception: whatever Cinder's image download raises; nothing
            is left behind that the error's notes do not name
        """
        watch = timeutils.StopWatch()
        watch.start()
        image = req.image
        current = req.recheck(req.image_service.show(req.context, image.id))
        # Both before the download, which is pointless without them.
        self._store.account()
        self._capacity.check_capacity(image.id, _volume_bytes(current))
        _check_conversion_space(current)
        LOG.info('Filling a template of image %(image)s for volume '
                 '%(volume)s: downloading %(bytes)d bytes.',
                 {'image': image.id, 'volume': req.volume['id'],
                  'bytes': current.size})
        try:
            template = self._download_and_write(req, current)
        except exception.CinderException as exc:
            refused = _refusal(exc)
            if refused is None:
                raise
            raise refused from exc
        LOG.info('Filled template volume %(template)s of image %(image)s: '
                 '%(bytes)d bytes of data in %(seconds).1f s.',
                 {'template': template.volume_id, 'image': image.id,
                  'bytes': template.image.virtual_size,
                  'seconds': watch.elapsed()})
        return template

    def _download_and_write(self, req: request.Request,
                            current: metadata.Image) -> model.Template:
        # The label in a temporary file's name is what Cinder looks for when
        # it removes its own files at its start.
        label = volume_utils.extract_host(
            req.volume.service_topic_queue) or ''
        with image_utils.TemporaryImages.fetch(
                req.image_service, req.context, current.id, label) as path:
            _check_complete(current, path)
            verified = _verify_signature(req, path)
            size = _measure(current, path)
            after = req.recheck(req.image_service.show(req.context,
                                                       current.id))
            if not _same_data(current, after):
                raise exceptions.TemplateCacheError(
                    reason=_('the image was changed while it was '
                             'downloaded'))
            planned = self._store.plan(
                dataclasses.replace(after, virtual_size=size),
                uuidutils.generate_uuid(), verified)
            return self._write(req, planned)

    def _write(self, req: request.Request,
               planned: model.Template) -> model.Template:
        """Create the template's volume, write the data, publish it."""
        image = planned.image
        size = _volume_bytes(image)
        conf = self._cluster.conf
        volume = None
        try:
            with self._capacity.reserve_capacity(image.id, size):
                template, volume = self._store.create(
                    planned, size, conf.sf_emulate_512)
            with self._attachments.attached(
                    self._cluster, req.context, self._store.account(),
                    volume) as device:
                image_utils.fetch_to_raw(
                    req.context, req.image_service, image.id, device,
                    conf.volume_dd_blocksize, size=size // units.Gi)
            return self._store.publish(template)
        except Exception as exc:
            self._discard(planned, volume, exc)
            raise

    def _discard(self, planned: model.Template,
                 volume: Optional[models.Volume], exc: Exception) -> None:
        """Remove the failed attempt; note on the error what remains."""
        try:
            self._store.discard_fill(planned, volume)
        except errors.ElementError as failure:
            exc.add_note('an unfinished template volume of the image may be '
                         'left, to be removed at its next fill: %s' % failure)


def _check_conversion_space(image: metadata.Image) -> None:
    directory = CONF.image_conversion_dir
    if directory:
        fileutils.ensure_tree(directory)
    image_utils.check_available_space(directory, image.size, image.id)


def _check_complete(image: metadata.Image, path: str) -> None:
    """Refuse a download that ended early, which not every client reports."""
    received = os.path.getsize(path)
    if image.size and received != image.size:
        raise exceptions.TemplateCacheError(
            reason=_('%(received)s of %(size)s bytes were downloaded') % {
                'received': received, 'size': image.size})


def _verify_signature(req: request.Request, path: str) -> Optional[bool]:
    """Return whether a signature was right; None if it was not checked."""
    if not signatures.wanted():
        return None
    return image_utils.verify_glance_image_signature(
        req.context, req.image_service, req.image.id, path)


def _measure(image: metadata.Image, path: str) -> int:
    """Return the bytes of data that the template has to hold.

    The declared size only decides whether a request is eligible.
    """
    try:
        info = image_utils.qemu_img_info(path)
    except processutils.ProcessExecutionError as exc:
        raise exceptions.FillRefused(
            reason=_('qemu-img cannot read it: %s')
            % six.ensure_text(exc.stderr or '', errors='replace'))
    size = info.virtual_size
    if info.file_format == 'raw':
        # All of a raw file is copied, whatever it contains; qemu-img reports
        # its size in whole sectors.
        size = os.path.getsize(path)
    if not size:
        raise exceptions.FillRefused(
            reason=_('it is empty, or qemu-img does not report its size'))
    if size > image.virtual_size:
        raise exceptions.FillRefused(
            reason=_('its data takes %(size)s bytes, and it declares '
                     '%(declared)s') % {
                'size': size, 'declared': image.virtual_size})
    return size


def _volume_bytes(image: metadata.Image) -> int:
    """Return the size of an image's template: Cinder sizes in whole GiB."""
    return -(-image.virtual_size // units.Gi) * units.Gi


def _same_data(before: metadata.Image, after: metadata.Image) -> bool:
    """Return whether the data that was downloaded in between is known."""
    if before.content and after.content:
        return before.content == after.content
    return before == after


def _refusal(exc: exception.CinderException
             ) -> Optional[exceptions.FillRefused]:
    """Return a lasting refusal of the image as one, or None."""
    # A failed format inspection is a plain Invalid, whose text does not hold
    # what is wrong.
    if type(exc) is exception.Invalid:
        return exceptions.FillRefused(
            reason=exc.kwargs.get('reason', str(exc)))
    if isinstance(exc, _REFUSALS):
        return exceptions.FillRefused(reason=str(exc))
    return None
