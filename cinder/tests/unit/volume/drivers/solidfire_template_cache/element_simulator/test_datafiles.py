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

"""Tests of the sparse files behind volumes."""

import os
import tempfile
from unittest import mock

from cinder.tests.element_simulator import datafiles
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base

# Data at the start, after a hole, and at the very end.
_PARTS = {0: b'first' * 1000, 700 * base.MIB + 123: b'middle',
          base.GIB - 4: b'last'}


class DataFilesTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.files = datafiles.DataFiles()
        self.addCleanup(self.files.close)
        self.files.create('a', base.GIB)
        with open(self.files.path('a'), 'r+b') as target:
            for offset, data in _PARTS.items():
                target.seek(offset)
                target.write(data)

    def assert_data(self, name, size):
        self.assertEqual(size, os.path.getsize(self.files.path(name)))
        with open(self.files.path(name), 'rb') as source:
            for offset, data in _PARTS.items():
                source.seek(offset)
                if offset < size:
                    expected = data + b'\0' * 9
                    self.assertEqual(expected[:size - offset],
                                     source.read(len(expected)))
        self.assertLess(self.files.used(name), base.MIB)

    def test_copy_resize_and_remove(self):
        for size in base.GIB, 2 * base.GIB, 800 * base.MIB, 3:
            self.files.copy('a', 'b', size)
            self.assert_data('b', size)
        self.files.resize('a', 2 * base.GIB)
        self.assert_data('a', 2 * base.GIB)
        for _ in range(2):
            self.files.remove('a')
            self.assertEqual(0, self.files.used('a'))

    def test_copy_without_copy_file_range_over_open_file(self):
        self.files.create('b', base.GIB)
        with open(self.files.path('b'), 'r+b') as target:
            target.seek(base.MIB)
            target.write(b'old')
            target.flush()
            with mock.patch.object(os, 'copy_file_range', autospec=True,
                                   side_effect=OSError):
                self.files.copy('a', 'b', base.GIB)
            target.seek(base.MIB)
            self.assertEqual(b'\0\0\0', target.read(3))
        self.assert_data('b', base.GIB)

    def test_close_with_temporary_and_given_directory(self):
        self.files.close()
        self.assertFalse(os.path.exists(self.files.directory))
        directory = os.path.join(tempfile.mkdtemp(), 'made')
        files = datafiles.DataFiles(directory)
        files.create('a', 10)
        files.close()
        self.assertEqual(['a'], os.listdir(directory))
