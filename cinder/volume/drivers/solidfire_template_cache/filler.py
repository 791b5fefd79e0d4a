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
inspection, signature check and conversion, in the order in which the normal
path does them.
"""

import dataclasses
import os

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import fileutils
from oslo_utils import units
from oslo_utils import uuidutils

from cinder import exception
from cinder.i18n import _
from cinder.image import image_utils
from cinder.volume.drivers.solidfire_template_cache import errors

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Verdicts on the image itself: the same data will meet them again.
_REFUSALS = (exception.ImageUnacceptable, exception.InvalidSignatureImage,
             exception.ImageConversionNotAllowed,
             exception.ImageSignatureVerificationException)


class TemplateFiller(object):
    """Makes ready templates.

    :param store: the cluster's :class:`store.TemplateStore`
    :param attached: a callable(context, account, volume) that gives a
        context manager; within it the volume is attached to this host, and
        it yields the path of its device
    :param blocksize: as ``volume_dd_blocksize``, for copies without qemu
    :param enable_512e: whether volumes show 512-byte blocks
    :param housekeeper: the cluster's :class:`housekeeping.Housekeeper`
    :param host: the name of this host, to tell who fills
    """

    def __init__(self, store, attached, blocksize, enable_512e, housekeeper,
                 host):
        self._store = store
        self._attached = attached
        self._housekeeper = housekeeper
        self._host = host
        self._blocksize = blocksize
        self._enable_512e = enable_512e

    def fill(self, context, image_service, image, recheck, label):
        """Download an image and publish a template of it.

        :param context: the request's, with which Glance is asked
        :param image_service: Cinder's image service
        :param image: the :class:`image.Image` as the request knows it
        :param recheck: a callable that takes the image's metadata as they
            are now and returns an :class:`image.Image`, or raises when the
            image may not be cached any more
        :param label: the name in temporary files by which Cinder, when it
            starts, knows its own
        :returns: a ready :class:`template.Template`
        :raises errors.FillRefused: when this version of the image can never
            be cached
        :raises errors.NoRoom: when the limits allow no further template now
        """
        current = recheck(image_service.show(context, image.id))
        self._housekeeper.check_room(image.id, _volume_bytes(current))
        self._check_space(current)
        try:
            with image_utils.TemporaryImages.fetch(
                    image_service, context, image.id, label) as path:
                _check_whole(current, path)
                verified = self._verify(context, image_service, image, path)
                size = self._measure(current, path)
                after = recheck(image_service.show(context, image.id))
                if not _same_data(current, after):
                    raise errors.TemplateCacheError(
                        reason=_('the image was changed while it was '
                                 'downloaded'))
                planned = self._store.plan(
                    dataclasses.replace(current, virtual_size=size),
                    uuidutils.generate_uuid(), self._host, verified)
                return self._make(context, image_service, planned)
        except exception.CinderException as exc:
            # A failed format inspection is a plain Invalid, and what is
            # wrong is not in its text.
            if type(exc) is exception.Invalid:
                raise errors.FillRefused(
                    reason=exc.kwargs.get('reason', str(exc))) from exc
            if isinstance(exc, _REFUSALS):
                raise errors.FillRefused(reason=str(exc)) from exc
            raise

    @staticmethod
    def _check_space(image):
        directory = CONF.image_conversion_dir
        if directory:
            fileutils.ensure_tree(directory)
        image_utils.check_available_space(directory, image.size, image.id)

    @staticmethod
    def _verify(context, image_service, image, path):
        """Return whether a signature was right; None if not looked at."""
        if CONF.verify_glance_signatures == 'disabled':
            return None
        return image_utils.verify_glance_image_signature(
            context, image_service, image.id, path)

    @staticmethod
    def _measure(image, path):
        """Return the bytes of data that the template has to hold.

        The declared size only lets a request in; what counts is the file.
        """
        try:
            info = image_utils.qemu_img_info(path)
        except processutils.ProcessExecutionError as exc:
            raise errors.FillRefused(
                reason=_('qemu-img does not read it: %s') % exc.stderr)
        size = info.virtual_size
        if info.file_format == 'raw':
            # All of a raw file is copied, whatever it holds inside.
            # qemu-img tells its size in whole sectors.
            size = os.path.getsize(path)
        if not size:
            raise errors.FillRefused(
                reason=_('it is empty, or qemu-img does not tell its size'))
        if size > image.virtual_size:
            raise errors.FillRefused(
                reason=_('its data takes %(size)s bytes, and it declares '
                         '%(declared)s') % {
                    'size': size, 'declared': image.virtual_size})
        return size

    def _make(self, context, image_service, planned):
        image = planned.image
        size = _volume_bytes(image)
        gib = size // units.Gi
        try:
            with self._housekeeper.room(image.id, size):
                template, volume = self._store.create(
                    planned, size, self._enable_512e)
            LOG.debug('Filling template volume %(volume)s of %(gib)s GiB '
                      'with image %(image)s.',
                      {'volume': volume.id, 'gib': gib, 'image': image.id})
            with self._attached(context, self._store.account(),
                                volume) as device:
                image_utils.fetch_to_raw(
                    context, image_service, image.id, device,
                    self._blocksize, size=gib)
            return self._store.publish(template)
        except Exception as exc:
            self._discard(planned, exc)
            raise

    def _discard(self, template, exc):
        """Remove the failed attempt; note on the error what remains."""
        try:
            self._store.discard_fill(template)
        except errors.ElementError as failure:
            exc.add_note('an unfinished template volume of the image may be '
                         'left, to be removed at its next fill: %s' % failure)


def _volume_bytes(image):
    """Return the size of an image's template: Cinder sizes in whole GiB."""
    return -(-image.virtual_size // units.Gi) * units.Gi


def _check_whole(image, path):
    """Refuse a download that ended early; not each of its ways tells."""
    arrived = os.path.getsize(path)
    if image.size and arrived != image.size:
        raise errors.TemplateCacheError(
            reason=_('%(arrived)s bytes were downloaded of %(size)s') % {
                'arrived': arrived, 'size': image.size})


def _same_data(before, after):
    """Tell whether what was downloaded in between is what was announced."""
    if before.content and after.content:
        return before.content == after.content
    return before == after
