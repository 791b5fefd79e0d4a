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

A raw image is written while it is downloaded. Otherwise the work on the data
is Cinder's own: its download with checksums, format inspection, signature
check and conversion, in the order in which Cinder's image download does them.
"""

import dataclasses
import os
from typing import Any
from typing import Callable
from typing import Optional

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import fileutils
from oslo_utils import imageutils
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
from cinder.volume.drivers.solidfire_template_cache.image import stream
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
        image_meta = req.image_service.show(req.context, image.id)
        current = req.recheck(image_meta)
        # Both before the download, which is pointless without them.
        self._store.account()
        self._capacity.check_capacity(image.id, _volume_bytes(current))
        if stream.is_possible(image_meta):
            fill = self._stream
        else:
            _check_conversion_space(current)
            fill = self._download_and_convert
        LOG.info('Filling a template of image %(image)s for volume '
                 '%(volume)s: downloading %(bytes)d bytes.',
                 {'image': image.id, 'volume': req.volume['id'],
                  'bytes': current.size})
        try:
            template = fill(req, current)
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

    def _stream(self, req: request.Request,
                current: metadata.Image) -> model.Template:
        """Fill from a raw image, which is written as it is downloaded."""
        size = _check_size(current, current.size)

        def write(device: str, template: model.Template) -> model.Template:
            stream.download(req.context, req.image_service, current, device)
            after, image_meta = _recheck(req, current)
            if not stream.is_possible(image_meta):
                raise _changed()
            return dataclasses.replace(template, image=dataclasses.replace(
                after, virtual_size=size))

        # There is no signature, as is checked again after the download.
        verified = False if signatures.wanted() else None
        return self._write(req, self._plan(current, size, verified), write)

    def _download_and_convert(self, req: request.Request,
                              current: metadata.Image) -> model.Template:
        """Fill from an image in a temporary file."""
        # The label in a temporary file's name is what Cinder looks for when
        # it removes its own files at its start.
        label = volume_utils.extract_host(
            req.volume.service_topic_queue) or ''
        with image_utils.TemporaryImages.fetch(
                req.image_service, req.context, current.id, label) as path:
            if current.size:
                stream.check_complete(os.path.getsize(path), current.size)
            verified = _verify_signature(req, path)
            info = _inspect(path)
            size = _check_size(current, _data_size(info, path))
            after, image_meta = _recheck(req, current)
            # Without a format, qemu-img would look for one itself.
            source_format = image_utils.fixup_disk_format(
                image_meta['disk_format']) or info.file_format

            def write(device: str, template: model.Template
                      ) -> model.Template:
                # This also checks that the format is the declared one.
                image_utils.convert_image(
                    path, device, 'raw', src_format=source_format,
                    image_id=current.id, data=info)
                return template

            return self._write(req, self._plan(after, size, verified), write)

    def _plan(self, image: metadata.Image, size: int,
              verified: Optional[bool]) -> model.Template:
        return self._store.plan(
            dataclasses.replace(image, virtual_size=size),
            uuidutils.generate_uuid(), verified)

    def _write(self, req: request.Request, planned: model.Template,
               write: Callable[[str, model.Template], model.Template]
               ) -> model.Template:
        """Create the template's volume, write the data, publish it.

        :param write: writes the data to a device, and returns the template
            that is to be published
        """
        size = _volume_bytes(planned.image)
        volume = None
        try:
            with self._capacity.reserve_capacity(planned.image.id, size):
                template, volume = self._store.create(
                    planned, size, self._cluster.conf.sf_emulate_512)
            with self._attachments.attached(
                    self._cluster, req.context, self._store.account(),
                    volume) as device:
                template = write(device, template)
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


def _recheck(req: request.Request, before: metadata.Image
             ) -> tuple[metadata.Image, dict[str, Any]]:
    """Return the image and its metadata as they are after its download.

    :param before: the image before it
    :raises exceptions.TemplateCacheError: it was changed meanwhile
    """
    image_meta = req.image_service.show(req.context, before.id)
    after = req.recheck(image_meta)
    if not _same_data(before, after):
        raise _changed()
    return after, image_meta


def _changed() -> exceptions.TemplateCacheError:
    return exceptions.TemplateCacheError(
        reason=_('the image was changed while it was downloaded'))


def _verify_signature(req: request.Request, path: str) -> Optional[bool]:
    """Return whether a signature was right; None if it was not checked."""
    if not signatures.wanted():
        return None
    return image_utils.verify_glance_image_signature(
        req.context, req.image_service, req.image.id, path)


def _inspect(path: str) -> imageutils.QemuImgInfo:
    """Return what Cinder's inspection finds in a downloaded image."""
    try:
        info = image_utils.qemu_img_info(path)
    except processutils.ProcessExecutionError as exc:
        raise exceptions.FillRefused(
            reason=_('qemu-img cannot read it: %s')
            % six.ensure_text(exc.stderr or '', errors='replace'))
    # The download checks this, too. A conversion would read the other file.
    if info.backing_file is not None:
        raise exceptions.FillRefused(reason=_('it has a backing file'))
    return info


def _data_size(info: imageutils.QemuImgInfo, path: str) -> int:
    """Return the bytes of data that the template has to hold."""
    size = info.virtual_size
    if info.file_format == 'raw':
        # All of a raw file is copied, whatever it contains; qemu-img reports
        # its size in whole sectors.
        size = os.path.getsize(path)
    if not size:
        raise exceptions.FillRefused(
            reason=_('it is empty, or qemu-img does not report its size'))
    return size


def _check_size(image: metadata.Image, size: int) -> int:
    """Return the size of the data, which is not more than declared.

    The declared size only decides whether a request is eligible.
    """
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
