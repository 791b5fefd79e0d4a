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

"""Malicious image files, and values that are no metadata."""

import gzip
import io
import os
import struct
import subprocess
import tarfile
import tempfile

from oslo_utils import units

SECRET = b'root:what-only-this-host-may-read:0:0::/root:/bin/sh\n'

VALUES = (None, [], {}, '', 'x', -1, 1.5, True, 2 ** 70)
"""A value of every JSON type, and numbers that no quantity has."""

ABSENT = object()

TEXTS = ('\u202e\u05d0\u05d1\u05d2', 'a\x00b', '\U0001f600' * 20, 'x' * 65536,
         '../../etc/passwd', '%s%n%(id)s{0}', '"}],\\u0000\'', '\ud800',
         '<b>\r\n\x1b[2J WARNING forged', '\u0000\uffff')
"""Texts that are known to break parsers, terminals and formatters."""

# Image files that qemu-img converts from the data: format and settings.
_CONVERTED = {
    'qcow2': ('qcow2', ''),
    'qcow2_with_wide_refcounts': ('qcow2', 'refcount_bits=64'),
    'vmdk': ('vmdk', 'subformat=streamOptimized'),
    'vmdk_sparse': ('vmdk', 'subformat=monolithicSparse'),
    'vhd': ('vpc', ''), 'vhdx': ('vhdx', ''), 'vdi': ('vdi', ''),
    'qed': ('qed', '')}

# Those that qemu-img creates without data: arguments and size.
_CREATED = {
    'qcow2_with_absolute_backing_file': (
        ['-u', '-F', 'raw', '-b', '%(secret)s'], units.Mi),
    # Relative to the directory into which Cinder downloads images.
    'qcow2_with_relative_backing_file': (
        ['-u', '-F', 'raw', '-b', '../%(secret_name)s'], units.Mi),
    'qcow2_with_backing_protocol': (
        ['-u', '-F', 'raw', '-b', 'json:{"driver": "raw", "file": '
         '{"driver": "file", "filename": "%(secret)s"}}'], units.Mi),
    'qcow2_with_data_file': (
        ['-o', 'data_file=%(secret)s,data_file_raw=on'], units.Mi),
    'qcow2_of_terabyte': ([], units.Ti)}

# A qcow2 file with one field of its header changed: offset and bytes.
_PATCHED = {
    'qcow2_of_unknown_version': (4, struct.pack('>I', 99)),
    'qcow2_of_size_zero': (24, struct.pack('>Q', 0)),
    'qcow2_of_impossible_size': (24, struct.pack('>Q', 2 ** 64 - 1)),
    'qcow2_with_huge_refcount_table': (56, struct.pack('>I', 0x7fffffff)),
    'qcow2_with_unknown_feature': (72, b'\x80')}

_VMDK_DESCRIPTOR = (
    '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
    'createType="%s"\n\n# Extent description\nRW 2 FLAT "%s" 0\n\n'
    '# The Disk Data Base\n#DDB\nddb.virtualHWVersion = "4"\n')


class ImageFactory(object):
    """Makes image files, good and malicious ones, of the same data.

    :param data: bytes of the disk
    :param secret: path of a file that malicious images refer to; it must
        not exist while they are made, for qemu-img may write to it
    """

    def __init__(self, data, secret):
        self.data = data
        self.secret = secret

    def make(self, kind):
        """Return the bytes of an image file.

        :param kind: a key of the tables above, or a method of this class
        """
        if kind in _CONVERTED:
            return self._convert(*_CONVERTED[kind])
        if kind in _CREATED:
            return self._create(*_CREATED[kind])
        if kind in _PATCHED:
            offset, patch = _PATCHED[kind]
            image = self.make('qcow2')
            return image[:offset] + patch + image[offset + len(patch):]
        return getattr(self, kind)()

    def _convert(self, disk_format, settings):
        words = ['-o', settings] if settings else []
        return self._qemu_img(
            ['convert', '-f', 'raw', '-O', disk_format, *words, 'source',
             'target'], self.data)

    def _create(self, words, size):
        names = {'secret': self.secret,
                 'secret_name': os.path.basename(self.secret)}
        return self._qemu_img(
            ['create', '-f', 'qcow2', *(word % names for word in words),
             'target', str(size)])

    @staticmethod
    def _qemu_img(words, source=b'', result='target'):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, 'source'), 'wb') as target:
                target.write(source)
            subprocess.run(['qemu-img', *words], check=True,
                           capture_output=True, cwd=directory)
            with open(os.path.join(directory, result), 'rb') as image:
                return image.read()

    def raw(self):
        return self.data

    def empty(self):
        return b''

    def qcow2_truncated(self):
        return self.make('qcow2')[:100]

    def qcow2_with_snapshot(self):
        return self._qemu_img(['snapshot', '-c', 'before', 'source'],
                              self.make('qcow2'), result='source')

    def vmdk_flat(self):
        """Return a descriptor alone, whose data is in another file."""
        return (_VMDK_DESCRIPTOR % ('monolithicFlat', self.secret)).encode()

    def vmdk_sparse_with_flat_descriptor(self):
        return self._with_descriptor(self.vmdk_flat())

    def vmdk_with_foreign_extent(self):
        """Return an image of an accepted type with a foreign extent."""
        return self._with_descriptor((_VMDK_DESCRIPTOR % (
            'streamOptimized', self.secret)).encode())

    def _with_descriptor(self, descriptor):
        image = bytearray(self.make('vmdk_sparse'))
        start, sectors = struct.unpack('<QQ', image[28:44])
        length = sectors * 512
        image[start * 512:start * 512 + length] = descriptor.ljust(
            length, b'\0')
        # Without a capacity only the descriptor counts.
        image[12:20] = bytes(8)
        return bytes(image)

    def gzip(self):
        return gzip.compress(self.data, mtime=0)

    def tar(self):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode='w') as archive:
            for name, data in (('../../escaped', b'escaped'),
                               ('0.vhd', self.make('vhd'))):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return stream.getvalue()
