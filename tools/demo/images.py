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

"""The images of the demo: made from a bootable one of Debian's, compared."""

import dataclasses
import pathlib
import shutil
import subprocess

RESCUE_ISO = pathlib.Path('/usr/lib/grub-rescue/grub-rescue-cdrom.iso')
RESCUE_FLOPPY = pathlib.Path('/usr/lib/grub-rescue/grub-rescue-floppy.img')
GIB = 1024 ** 3
# Where the large disk holds the ISO's bytes again: data far from its start.
SECOND_COPY = 768 * 1024 ** 2


@dataclasses.dataclass(frozen=True)
class Disk:
    """An image file.

    :ivar path: a ``pathlib.Path``
    :ivar disk_format: as Glance is told
    """

    path: pathlib.Path
    disk_format: str

    @property
    def qemu_format(self):
        """The format as qemu-img is told."""
        return 'qcow2' if self.disk_format == 'qcow2' else 'raw'

    @property
    def file_size(self):
        """Bytes of the file, which are what a download costs."""
        return self.path.stat().st_size


@dataclasses.dataclass(frozen=True)
class Disks:
    """The image files.

    :ivar iso: a bootable hybrid ISO, raw bytes
    :ivar qcow2: the same as qcow2
    :ivar large: a disk of 1 GiB virtual size that starts with it, qcow2
    :ivar newer: another release of ``qcow2``, with other data
    """

    iso: Disk
    qcow2: Disk
    large: Disk
    newer: Disk


def make_disks(directory):
    """Make the image files.

    Glance 33 refuses the ISO under the format ``raw``, for it finds in it
    a partition table and a file system at once, as a hybrid ISO has. As
    ``iso`` it takes it, and to Cinder ``iso`` is ``raw``.

    :param directory: where to, a ``pathlib.Path``
    """
    directory.mkdir()
    raw = directory / 'work.raw'
    shutil.copyfile(RESCUE_ISO, raw)
    iso_bytes = RESCUE_ISO.read_bytes()
    qcow2 = _convert(raw, directory / 'rescue.qcow2')
    with open(raw, 'r+b') as disk:
        disk.seek(0, 2)
        disk.write(RESCUE_FLOPPY.read_bytes())
    newer = _convert(raw, directory / 'rescue-newer.qcow2')
    with open(raw, 'r+b') as disk:
        disk.truncate(len(iso_bytes))
        disk.truncate(GIB)
        disk.seek(SECOND_COPY)
        disk.write(iso_bytes)
    large = _convert(raw, directory / 'large.qcow2')
    raw.unlink()
    return Disks(Disk(RESCUE_ISO, 'iso'), qcow2, large, newer)


def _convert(raw, target):
    subprocess.run(('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                    raw, target), check=True)
    return Disk(target, 'qcow2')


def difference(volume, size, disk):
    """Compare a volume with the image that it was made from.

    Every byte of the image must be in its place, and every byte behind it
    must be zero, for nothing else was ever written there.

    :param volume: the file with the volume's data
    :param size: bytes that the volume must have
    :param disk: a ``Disk``
    :returns: what differs, '' when nothing does
    """
    actual = volume.stat().st_size
    if actual != size:
        return f'has {actual} bytes instead of {size}'
    # Without -s, "compare" takes the shorter one for zeroes at its end.
    compared = subprocess.run(
        ('qemu-img', 'compare', '-f', 'raw', '-F', disk.qemu_format,
         volume, disk.path), capture_output=True, text=True)
    if compared.returncode:
        return (compared.stdout + compared.stderr).strip()
    return ''
