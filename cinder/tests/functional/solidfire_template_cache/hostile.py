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

"""Image files made to harm, and replies of a cluster that lies."""

import contextlib
import copy
import gzip
import io
import os
import struct
import subprocess
import tarfile
import tempfile
from unittest import mock

from oslo_utils import units

from cinder.tests.element_simulator import application

SECRET = b'root:what-only-this-host-may-read:0:0::/root:/bin/sh\n'

JUNK = (None, [], {}, '', 'x', -1, 1.5, True, 2 ** 70)
"""A value of every other type, and numbers that nothing has."""

ABSENT = object()

TEXTS = ('\u202e\u05d0\u05d1\u05d2', 'a\x00b', '\U0001f600' * 20, 'x' * 65536,
         '../../etc/passwd', '%s%n%(id)s{0}', '"}],\\u0000\'', '\ud800',
         '<b>\r\n\x1b[2J WARNING forged', '\u0000\uffff')
"""Texts that have broken other people's programs."""


# Image files

class Workshop(object):
    """Makes image files out of the same data.

    :param data: bytes of the disk
    :param secret: path of a file that images refer to; it comes to be after
        them, since the tool that makes them may write to it
    """

    def __init__(self, data, secret):
        self.data = data
        self.secret = secret

    def make(self, kind, settings='', size=None):
        """Return a good image file, of a disk of ``size`` bytes."""
        with self._directory() as (source, target):
            with open(source, 'wb') as plain:
                plain.write(self.data)
                plain.truncate(size or len(self.data))
            words = ['convert', '-f', 'raw', '-O', kind]
            self._qemu_img(*words, *self._set(settings), source, target)
            return self._read(target)

    def raw(self):
        return self.data

    def qcow2(self):
        return self.make('qcow2')

    def vmdk(self):
        return self.make('vmdk', 'subformat=streamOptimized')

    def vhd(self):
        return self.make('vpc')

    def vhdx(self):
        return self.make('vhdx')

    def vdi(self):
        return self.make('vdi')

    def qed(self):
        return self.make('qed')

    # qcow2

    def qcow2_backed(self, reference):
        """Return an image that says to read the rest elsewhere."""
        with self._directory() as (_source, target):
            self._qemu_img('create', '-u', '-f', 'qcow2', '-F', 'raw',
                           '-b', reference, target, '1M')
            return self._read(target)

    def qcow2_backed_absolutely(self):
        return self.qcow2_backed(self.secret)

    def qcow2_backed_relatively(self):
        # From the directory in which Cinder keeps what it downloads.
        return self.qcow2_backed('../' + os.path.basename(self.secret))

    def qcow2_backed_by_protocol(self):
        return self.qcow2_backed(
            'json:{"driver": "raw", "file": {"driver": "file", '
            '"filename": "%s"}}' % self.secret)

    def qcow2_with_data_file(self):
        with self._directory() as (_source, target):
            self._qemu_img(
                'create', '-f', 'qcow2', '-o',
                'data_file=%s,data_file_raw=on' % self.secret, target, '1M')
            return self._read(target)

    def qcow2_with_snapshot(self):
        with self._directory() as (source, target):
            with open(source, 'wb') as image:
                image.write(self.qcow2())
            self._qemu_img('snapshot', '-c', 'before', source)
            return self._read(source)

    def qcow2_with_wide_refcounts(self):
        return self.make('qcow2', 'refcount_bits=64')

    def qcow2_with_endless_refcounts(self):
        return self._patched(56, struct.pack('>I', 0x7fffffff))

    def qcow2_with_unknown_feature(self):
        return self._patched(72, b'\x80')

    def qcow2_of_another_version(self):
        return self._patched(4, struct.pack('>I', 99))

    def qcow2_of_no_size(self):
        return self._patched(24, struct.pack('>Q', 0))

    def qcow2_of_any_size(self):
        return self._patched(24, struct.pack('>Q', 2 ** 64 - 1))

    def qcow2_of_terabyte(self):
        # Written from nothing: 1 TiB of zeros takes long to convert.
        with self._directory() as (_source, target):
            self._qemu_img('create', '-f', 'qcow2', target,
                           str(units.Ti))
            return self._read(target)

    def qcow2_cut(self):
        return self.qcow2()[:100]

    def _patched(self, offset, data):
        image = bytearray(self.qcow2())
        image[offset:offset + len(data)] = data
        return bytes(image)

    # VMDK

    def vmdk_flat(self):
        """Return a descriptor alone, whose data is another file."""
        return ('# Disk DescriptorFile\nversion=1\nCID=fffffffe\n'
                'parentCID=ffffffff\ncreateType="monolithicFlat"\n\n'
                '# Extent description\nRW 2 FLAT "%s" 0\n\n'
                '# The Disk Data Base\n#DDB\nddb.virtualHWVersion = "4"\n'
                % self.secret).encode()

    def vmdk_flat_within(self):
        """Return a sparse image whose descriptor is that of a flat one."""
        return self._described(self.vmdk_flat())

    def vmdk_foreign_extent(self):
        """Return an image of an allowed kind with a foreign extent."""
        return self._described(self.vmdk_flat().replace(
            b'monolithicFlat', b'streamOptimized'))

    def _described(self, descriptor):
        image = bytearray(self.make('vmdk', 'subformat=monolithicSparse'))
        start, sectors = struct.unpack('<QQ', image[28:44])
        length = sectors * 512
        image[start * 512:start * 512 + length] = descriptor.ljust(
            length, b'\0')
        # No capacity: all that counts is in the descriptor.
        image[12:20] = bytes(8)
        return bytes(image)

    # What stands for something else

    def luks(self):
        # By hand, as the LUKS1 on-disk format says: qemu-img would time its
        # key derivation first, and give up where the machine is busy.
        payload = 2 * units.Mi
        header = struct.pack(
            '>6sH32s32s32sII20s32sI40s', b'LUKS\xba\xbe', 1, b'aes',
            b'xts-plain64', b'sha256', payload // 512, 64, b'digest', b'salt',
            1000, b'3f3bd95c-1c1f-4f3f-8f6c-2f3d2f1b1c1d')
        header += b''.join(
            struct.pack('>II32sII', 0x0000dead, 0, b'', 8 + 504 * slot, 4000)
            for slot in range(8))
        return header.ljust(payload, b'\0') + self.data

    def iso(self):
        header = b'\x01CD001\x01'.ljust(80, b'\0')
        header += struct.pack('<I', 17) + struct.pack('>I', 17)
        header = header.ljust(128, b'\0') + struct.pack('<H', 2048)
        return b'\0' * 32768 + header.ljust(2048, b'\0')

    def gpt(self):
        entry = b'\0\0\x02\0\xee\xff\xff\xff' + struct.pack('<II', 1, 64)
        sector = b'\0' * 446 + entry.ljust(64, b'\0') + b'\x55\xaa'
        return sector + b'EFI PART'.ljust(512, b'\0') + self.data

    def gzipped(self):
        return gzip.compress(self.data, mtime=0)

    def tar(self):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode='w') as archive:
            for name, data in (('../../escaped', b'escaped'),
                               ('0.vhd', self.vhd())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return stream.getvalue()

    def empty(self):
        return b''

    # Tools

    @staticmethod
    @contextlib.contextmanager
    def _directory():
        with tempfile.TemporaryDirectory() as directory:
            yield (os.path.join(directory, 'source'),
                   os.path.join(directory, 'target'))

    @staticmethod
    def _set(settings):
        return ['-o', settings] if settings else []

    @staticmethod
    def _qemu_img(*words):
        subprocess.run(['qemu-img', *words], check=True, capture_output=True)

    @staticmethod
    def _read(path):
        with open(path, 'rb') as image:
            return image.read()


# Replies

@contextlib.contextmanager
def altered(change):
    """Alter what a simulated cluster answers, once it has acted.

    :param change: a callable(method, result) that alters the result
    """
    honest = application.Exchange._perform

    def perform(exchange, job_error):
        # A copy, for parts of it are the cluster's own.
        document = copy.deepcopy(honest(exchange, job_error))
        change(exchange.method, document['result'])
        return document

    with mock.patch.object(application.Exchange, '_perform', autospec=True,
                           side_effect=perform):
        yield


class Lie(object):
    """Puts a value at one place into the answers of one method.

    :param method: name of the API method
    :param path: keys from the outside in; ``*`` is every item of a list
    :param value: what to put there, or ABSENT
    """

    def __init__(self, method, path, value):
        self.method = method
        self.path = path
        self.value = value
        self.told = 0

    def __str__(self):
        value = 'absent' if self.value is ABSENT else repr(self.value)
        return '%s %s: %.40s' % (self.method, '.'.join(self.path), value)

    def tell(self, method, result):
        if method != self.method:
            return
        places = [result]
        for key in self.path[:-1]:
            places = [inner for place in places for inner in (
                place if key == '*' else
                [place[key]] if key in place else [])]
        for place in places:
            self._put(place, self.path[-1])

    def _put(self, place, key):
        if key == '*':
            place[:] = [] if self.value is ABSENT else [self.value] * (
                len(place))
            self.told += len(place)
        elif key in place:
            self.told += 1
            del place[key]
            if self.value is not ABSENT:
                place[key] = self.value


def places_in(value, path=()):
    """Return the paths of all that is inside a value, for :class:`Lie`."""
    found = []
    if isinstance(value, list):
        value = {'*': value[0]} if value else {}
    if isinstance(value, dict):
        for key, inner in value.items():
            found.append(path + (key,))
            found.extend(places_in(inner, path + (key,)))
    return found
