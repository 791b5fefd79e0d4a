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

"""What the benchmarks of one run share."""

import atexit
import contextlib
import pathlib
import shutil
import tempfile
import time

from oslo_utils import units

from bench import backend
from bench import environment
from bench import images
from bench import simulator
from bench import workers

LIMIT = 14 * 60
QUICK_LIMIT = 105
"""Seconds until which all benchmarks must have ended, of a run and of a quick
one: those for which there is no time left are skipped."""


class Lab:
    """A simulated cluster, a host with all backends, and further hosts.

    Use it as a context manager: on leaving, nothing of it is left.

    :param quick: whether the run is a short one
    """

    def __init__(self, quick):
        self.quick = quick
        self._began = time.monotonic()
        self._workers = []
        self._stack = contextlib.ExitStack()
        self._kinds = {}

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='bench-'))
        self._stack.callback(shutil.rmtree, self.directory,
                             ignore_errors=True)
        # An interrupted run may end without __exit__().
        atexit.register(self._stack.close)
        self._start()
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def _start(self):
        self.sim = simulator.Simulator(self.directory)
        self._stack.callback(self.sim.stop)
        self.sim.start()
        environment.set_up(environment.write_config(
            self.directory / 'host', self.sim), self.sim.ca_file)
        self._stack.callback(environment.tear_down)
        self.images = images.Images()
        self.backends = {name: backend.Backend(name, self.images)
                         for name in environment.BACKENDS}

    def has_time(self, seconds):
        """Return whether a benchmark of so many seconds may begin."""
        limit = QUICK_LIMIT if self.quick else LIMIT
        return time.monotonic() - self._began + seconds < limit

    def image(self, disk_format='qcow2', size_gib=1, data_mib=8):
        """Return the metadata of an image that no request has used yet."""
        kind = disk_format, size_gib, data_mib
        if kind not in self._kinds:
            self._kinds[kind] = self._add_image(*kind)
        return self.images.copy_of(self._kinds[kind])

    def _add_image(self, disk_format, size_gib, data_mib):
        name = f'{disk_format}-{size_gib}-{data_mib}'
        path = self.directory / name
        raw = path if disk_format == 'raw' else self.directory / 'raw'
        images.write_raw(raw, data_mib, size_gib)
        if disk_format != 'raw':
            images.to_qcow2(raw, path)
            raw.unlink()
        return self.images.add(path, disk_format, size_gib * units.Gi)

    def reset(self, way, **settings):
        """Empty the cluster; return the backend of a way, as restarted."""
        for each in self.backends.values():
            each.forget()
        self.sim.reset(**settings)
        return self.backends[way]

    def count(self):
        """Begin to count calls and downloads anew."""
        self.sim.reset_calls()
        self.images.downloads.clear()

    def check(self, clones, downloads):
        """Return the calls since count(), if they took the path meant.

        A create that cannot use a cache is a download, and no error.

        :param clones: the least number of clones, or 0 for none
        :param downloads: the number of downloads
        :raises: AssertionError
        """
        calls = self.sim.calls()
        made = calls['counts'].get('CloneVolume', 0)
        done = len(self.images.downloads)
        if done != downloads or made < clones or (made and not clones):
            raise AssertionError(
                f'{made} clones and {done} downloads, instead of {clones} '
                f'and {downloads}')
        return calls

    def workers(self, count):
        """Return so many further hosts, each a process with its own locks."""
        new = [workers.Worker(self.directory / f'worker-{number}', self.sim)
               for number in range(len(self._workers), count)]
        self._workers += new
        for each in new:
            self._stack.callback(each.stop)
        for each in new:
            each.wait_ready()
        return self._workers[:count]
