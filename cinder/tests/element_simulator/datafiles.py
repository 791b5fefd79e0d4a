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

"""Sparse files that hold the data of volumes and snapshots."""

import os
import shutil
import tempfile
import typing
import weakref

_CHUNK = 8 * 1024 * 1024

# A volume may be 16 TiB large, a file on ext4 slightly less: the file of the
# largest volume lacks its last MiB.
_MAX_FILE_SIZE = 16 * 1024 ** 4 - 1024 ** 2


def _data_segments(fd: int, size: int) -> typing.Iterator[tuple[int, int]]:
    """Yield (offset, length) of each part of a file that is not a hole."""
    offset = 0
    while offset < size:
        try:
            start = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError:
            # No data from here to the end of the file.
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= end:
            return
        yield start, end - start
        offset = end


def _copy_range(source: int, target: int, offset: int, length: int) -> None:
    end = offset + length
    while offset < end:
        wanted = min(_CHUNK, end - offset)
        try:
            done = os.copy_file_range(source, target, wanted, offset, offset)
        except OSError:
            # Not every file system supports it.
            done = os.pwrite(target, os.pread(source, wanted, offset), offset)
        if not done:
            return
        offset += done


class DataFiles:
    """A directory of sparse files.

    :param directory: its path; when None, a temporary directory that close()
                      removes
    """

    def __init__(self, directory: typing.Optional[str] = None) -> None:
        self._finalizer = None
        if directory is None:
            directory = tempfile.mkdtemp(prefix='element-simulator-')
            self._finalizer = weakref.finalize(
                self, shutil.rmtree, directory, ignore_errors=True)
        else:
            os.makedirs(directory, exist_ok=True)
        self.directory = os.path.abspath(directory)

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return os.path.join(self.directory, name)

    def create(self, name: str, size: int) -> None:
        """Create an empty file that reads as ``size`` zero bytes."""
        with open(self.path(name), 'wb') as target:
            target.truncate(min(size, _MAX_FILE_SIZE))

    def copy(self, source: str, target: str, size: int) -> None:
        """Copy a file, cut or extended to ``size`` bytes.

        An existing target is rewritten in place, so that processes that have
        it open see the new data. Holes remain holes.
        """
        with open(self.path(source), 'rb') as reader, \
                open(self.path(target), 'wb') as writer:
            writer.truncate(min(size, _MAX_FILE_SIZE))
            for offset, length in _data_segments(reader.fileno(), size):
                _copy_range(reader.fileno(), writer.fileno(), offset, length)

    def resize(self, name: str, size: int) -> None:
        """Cut or extend a file to ``size`` bytes."""
        os.truncate(self.path(name), min(size, _MAX_FILE_SIZE))

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            pass

    def used(self, name: str) -> int:
        """Return how many bytes a file occupies on disk."""
        try:
            return os.stat(self.path(name)).st_blocks * 512
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Remove the directory if it is a temporary one."""
        if self._finalizer:
            self._finalizer()
