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

"""Sparse files that hold what is written to volumes and snapshots."""

import os
import shutil
import tempfile
import weakref

_CHUNK = 8 * 1024 * 1024

# ext4 holds no file of a whole 16 TiB, which a volume may have: the file of
# the largest volume lacks its last MiB.
_LARGEST = 16 * 1024 ** 4 - 1024 ** 2


def _segments(fd, size):
    """Yield (offset, length) of the parts of a file that hold data."""
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


def _copy_range(source, target, offset, length):
    end = offset + length
    while offset < end:
        wanted = min(_CHUNK, end - offset)
        try:
            done = os.copy_file_range(source, target, wanted, offset, offset)
        except OSError:
            # Not every file system offers it, nor between any two.
            done = os.pwrite(target, os.pread(source, wanted, offset), offset)
        if not done:
            return
        offset += done


class DataFiles:
    """One directory of sparse files.

    :param directory: where they lie; a temporary one, removed by close(),
                      when None
    """

    def __init__(self, directory=None):
        self._finalizer = None
        if directory is None:
            directory = tempfile.mkdtemp(prefix='element-simulator-')
            self._finalizer = weakref.finalize(
                self, shutil.rmtree, directory, ignore_errors=True)
        else:
            os.makedirs(directory, exist_ok=True)
        self.directory = os.path.abspath(directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def create(self, name, size):
        """Make an empty file that reads as `size` zero bytes."""
        with open(self.path(name), 'wb') as target:
            target.truncate(min(size, _LARGEST))

    def copy(self, source, target, size):
        """Make `target` what `source` is now, cut or grown to `size` bytes.

        An existing target is rewritten in place, so who has it open sees it
        change, and holes stay holes.
        """
        with open(self.path(source), 'rb') as reader, \
                open(self.path(target), 'wb') as writer:
            writer.truncate(min(size, _LARGEST))
            for offset, length in _segments(reader.fileno(), size):
                _copy_range(reader.fileno(), writer.fileno(), offset, length)

    def resize(self, name, size):
        os.truncate(self.path(name), min(size, _LARGEST))

    def remove(self, name):
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            pass

    def used(self, name):
        """Return how many bytes of the disk a file takes."""
        try:
            return os.stat(self.path(name)).st_blocks * 512
        except FileNotFoundError:
            return 0

    def close(self):
        """Remove the directory if it was made here."""
        if self._finalizer:
            self._finalizer()
