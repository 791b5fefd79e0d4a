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

"""Writes a raw image to a device while it is downloaded.

Nothing is converted, so that no temporary file is needed. The device ends up
with the bytes that a conversion of a file would write.
"""

import os
from typing import Any
from typing import Iterator

from oslo_utils import units

from cinder import context as cinder_context
from cinder.i18n import _
from cinder.image import format_inspector
from cinder import utils
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.image import signatures
from cinder.volume import throttling

# Formats of images whose bytes are those of the disk.
_RAW_FORMATS = ('raw', 'iso')

# A volume stores its data in blocks of this size, and a whole block of zeros
# is not written.
_BLOCK = 4096
_ZERO_BLOCK = bytes(_BLOCK)

# The Image service delivers parts of this size.
_ZEROS = bytes(64 * units.Ki)

# Cinder's inspection reads a file in steps of so many bytes; its result may
# depend on them.
_INSPECTION_STEP = 512

# After so many bytes the kernel is asked to begin writing them to the device.
_WRITEBACK = 16 * units.Mi


def is_possible(image_meta: dict[str, Any]) -> bool:
    """Return whether an image can be written while it is downloaded.

    A signature is checked on a file before anything is written, a limit on
    the rate of copies applies to commands only, and without the size of the
    image it is not known whether all of it has arrived.

    :param image_meta: the metadata of an eligible image
    """
    return (image_meta.get('disk_format') in _RAW_FORMATS and
            bool(metadata.read_count(image_meta.get('size'))) and
            not (signatures.wanted() and _is_signed(image_meta)) and
            type(throttling.Throttle.get_default()) is throttling.Throttle)


def _is_signed(image_meta: dict[str, Any]) -> bool:
    """Return whether there may be a signature, be it incomplete."""
    properties = image_meta.get('properties', {})
    return not isinstance(properties, dict) or any(
        str(name).startswith('img_signature') for name in properties)


def download(context: cinder_context.RequestContext, image_service: Any,
             image: metadata.Image, device: str) -> None:
    """Download a raw image to a device that reads as zeros.

    :param image_service: Cinder's client of the Image service, which checks
        the hash of what it downloads
    :param device: path of the device; it is not created if it is missing
    :raises exceptions.FillRefused: the data has another format
    :raises exceptions.TemplateCacheError: more or less data arrives than the
        image has
    :raises OSError: the device cannot be written
    :raises Exception: whatever Cinder's client of the Image service raises
    """
    with utils.temporary_chown(device):
        # It blocks on the device, which must not stop other greenthreads.
        target = utils.tpool_wrap(RawImageWriter(device, image.size))
        target.open()
        try:
            image_service.download(context, image.id, target)
            target.finish()
        finally:
            target.close()


def check_complete(received: int, size: int) -> None:
    """Refuse a download that ended early, which not every client reports.

    :param received: bytes
    :param size: bytes that the image has
    :raises exceptions.TemplateCacheError: if they differ
    """
    if received != size:
        raise exceptions.TemplateCacheError(
            reason=_('%(received)s of %(size)s bytes were downloaded') % {
                'received': received, 'size': size})


class FormatCheck(object):
    """Refuses data in which Cinder would find another format than raw.

    Takes the decision of :func:`format_inspector.detect_file_format`, which
    reads files, about a stream. Most often the first 256 KiB suffice.
    """

    def __init__(self) -> None:
        self._rest = b''
        self._candidates = [
            inspector() for name, inspector in
            format_inspector.ALL_FORMATS.items() if name != 'raw']

    def check(self, data: bytes) -> None:
        """Inspect the next part of the data.

        :raises exceptions.FillRefused: it has another format
        """
        if not self._candidates:
            return
        data = self._rest + data
        end = len(data) - len(data) % _INSPECTION_STEP
        for start in range(0, end, _INSPECTION_STEP):
            self._inspect(data[start:start + _INSPECTION_STEP])
            if not self._candidates:
                return
        self._rest = data[end:]

    def finish(self) -> None:
        """Inspect what is left at the end of the data.

        :raises exceptions.FillRefused: it has another format
        """
        if self._candidates and self._rest:
            self._inspect(self._rest)

    def _inspect(self, step: bytes) -> None:
        for inspector in list(self._candidates):
            try:
                inspector.eat_chunk(step)
            except format_inspector.ImageFormatError:
                self._candidates.remove(inspector)
                continue
            if inspector.format_match and inspector.complete:
                raise exceptions.FillRefused(
                    reason=_('it is declared raw, and its data has the '
                             'format %s') % inspector)
        if all(inspector.complete for inspector in self._candidates):
            del self._candidates[:]


class RawImageWriter(object):
    """The file to which the Image service writes a download.

    Memory is constant: blocks that were written are given to the device
    early, and then dropped from the page cache of this host.

    :param device: path of the device, which each other method may wait for
    :param size: bytes of the image
    """

    def __init__(self, device: str, size: int) -> None:
        self._device = device
        self._fd = -1
        self._size = size
        self._format = FormatCheck()
        self._received = 0
        # What does not fill a block yet, and where it belongs.
        self._rest = b''
        self._offset = 0
        # Up to here the kernel was asked to write.
        self._begun = 0

    def open(self) -> None:
        """Open the device, once, before anything else.

        :raises OSError: the device cannot be opened
        """
        self._fd = os.open(self._device, os.O_WRONLY)

    def write(self, data: bytes) -> int:
        """Write the next part of the image.

        :raises exceptions.FillRefused: it has another format than raw
        :raises exceptions.TemplateCacheError: the image is longer than known
        :raises OSError: the device cannot be written
        """
        self._received += len(data)
        if self._received > self._size:
            check_complete(self._received, self._size)
        self._format.check(data)
        blocks = self._rest + data if self._rest else data
        end = len(blocks) - len(blocks) % _BLOCK
        self._rest = blocks[end:]
        self._write_blocks(blocks[:end])
        return len(data)

    def finish(self) -> None:
        """Write what is left, and wait until the device has everything.

        :raises exceptions.FillRefused: the image has another format than raw
        :raises exceptions.TemplateCacheError: the image is not complete
        :raises OSError: the device could not be written
        """
        check_complete(self._received, self._size)
        self._format.finish()
        if self._rest:
            self._write_blocks(self._rest.ljust(_BLOCK, b'\0'))
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the device; what was written may not have reached it.

        The last one to close a device waits until the kernel has written
        what is left.

        :raises OSError: the device could not be written
        """
        os.close(self._fd)

    def _write_blocks(self, blocks: bytes) -> None:
        """Write whole blocks, without those that are zero."""
        begin = self._offset
        with memoryview(blocks) as view:
            for start, end in _data_runs(blocks):
                done = start
                while done < end:
                    done += os.pwrite(self._fd, view[done:end], begin + done)
        self._offset += len(blocks)
        if self._offset - self._begun >= _WRITEBACK:
            # On Linux this also begins to write pages that are dirty, and
            # the clean ones before them are dropped.
            start = max(0, self._begun - _WRITEBACK)
            os.posix_fadvise(self._fd, start, self._offset - start,
                             os.POSIX_FADV_DONTNEED)
            self._begun = self._offset


def _data_runs(blocks: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of blocks that are not zero."""
    if blocks == _ZEROS[:len(blocks)]:
        return
    run = None
    for start in range(0, len(blocks), _BLOCK):
        if blocks[start:start + _BLOCK] == _ZERO_BLOCK:
            if run is not None:
                yield run, start
            run = None
        elif run is None:
            run = start
    if run is not None:
        yield run, len(blocks)
