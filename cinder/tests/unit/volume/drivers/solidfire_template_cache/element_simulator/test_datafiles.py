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

    def check(self, name, size):
        self.assertEqual(size, os.path.getsize(self.files.path(name)))
        with open(self.files.path(name), 'rb') as source:
            for offset, data in _PARTS.items():
                source.seek(offset)
                if offset < size:
                    self.assertEqual(data, source.read(len(data)))
                    self.assertEqual(b'\0' * 9 if offset + len(data) < size
                                     else b'', source.read(9))
        self.assertLess(self.files.used(name), base.MIB)

    def test_copy_is_equal_and_sparse(self):
        self.files.copy('a', 'b', base.GIB)
        self.check('b', base.GIB)

    def test_copy_without_copy_file_range(self):
        with mock.patch.object(os, 'copy_file_range', autospec=True,
                               side_effect=OSError):
            self.files.copy('a', 'b', base.GIB)
        self.check('b', base.GIB)

    def test_copy_larger(self):
        self.files.copy('a', 'b', 2 * base.GIB)
        self.check('b', 2 * base.GIB)

    def test_copy_smaller(self):
        self.files.copy('a', 'b', 800 * base.MIB)
        self.check('b', 800 * base.MIB)

    def test_copy_cuts_within_data(self):
        self.files.copy('a', 'b', 3)
        with open(self.files.path('b'), 'rb') as source:
            self.assertEqual(b'fir', source.read())

    def test_copy_over_an_open_file(self):
        self.files.create('b', base.GIB)
        with open(self.files.path('b'), 'r+b') as target:
            target.seek(base.MIB)
            target.write(b'old')
            target.flush()
            self.files.copy('a', 'b', base.GIB)
            target.seek(base.MIB)
            self.assertEqual(b'\0\0\0', target.read(3))
        self.check('b', base.GIB)

    def test_resize(self):
        self.files.resize('a', 2 * base.GIB)
        self.check('a', 2 * base.GIB)

    def test_remove_twice(self):
        self.files.remove('a')
        self.files.remove('a')
        self.assertEqual(0, self.files.used('a'))

    def test_close_removes_the_directory_it_made(self):
        self.files.close()
        self.assertFalse(os.path.exists(self.files.directory))

    def test_close_keeps_the_directory_it_was_given(self):
        directory = os.path.join(tempfile.mkdtemp(), 'made')
        files = datafiles.DataFiles(directory)
        files.create('a', 10)
        files.close()
        self.assertEqual(['a'], os.listdir(directory))
