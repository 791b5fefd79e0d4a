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

"""Further hosts of the benchmark, each in a process of its own."""

import json
import pathlib
import subprocess
import sys

from bench import backend
from bench import environment
from bench import images as bench_images
from bench import simulator
from bench import storm

_WAY = 'template'
_TIMEOUT = 30


class Worker:
    """One host without locks in common with others.

    :param directory: for its files, a ``pathlib.Path``
    :param sim: the ``simulator.Simulator``
    """

    def __init__(self, directory, sim):
        config_file = environment.write_config(directory, sim)
        with open(directory / 'log', 'w') as log:
            self._process = subprocess.Popen(
                [*simulator.DIE_WITH_PARENT, sys.executable, '-W', 'ignore',
                 '-m', 'bench.workers', str(config_file), str(sim.ca_file)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True)

    def wait_ready(self):
        """Wait until it has started."""
        self._process.stdout.readline()

    def stop(self):
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def begin(self, images, paths, count, start):
        """Begin a storm.

        :param images: metadata of the images
        :param paths: the path of each image's file
        :param count: number of requests, distributed evenly to the images
        :param start: reading of ``time.monotonic()``, which processes share
        """
        self._process.stdin.write(json.dumps({
            'images': images, 'paths': [str(path) for path in paths],
            'count': count, 'start': start}, default=str) + '\n')
        self._process.stdin.flush()

    def ends(self):
        """Return when the requests ended, in seconds from the start."""
        reply = json.loads(self._process.stdout.readline())
        if 'error' in reply:
            raise storm.StormError(reply['error'])
        return reply['ends']


def _serve(config_file, ca_file):
    environment.set_up(config_file, ca_file)
    images = bench_images.Images()
    host = backend.Backend(_WAY, images)
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    for line in sys.stdin:
        try:
            reply = {'ends': _storm(host, images, json.loads(line))}
        except Exception as exc:
            reply = {'error': str(exc)}
        sys.stdout.write(json.dumps(reply) + '\n')
        sys.stdout.flush()
    environment.tear_down()


def _storm(host, images, command):
    host.forget()
    wanted = [images.take_over(metadata, pathlib.Path(path))
              for metadata, path in zip(command['images'], command['paths'])]
    volumes = [host.new_volume() for _ in range(command['count'])]
    return storm.run(
        [lambda volume=volume, image=wanted[number % len(wanted)]:
         host.clone(image, volume) for number, volume in enumerate(volumes)],
        command['start'])


if __name__ == '__main__':
    _serve(*sys.argv[1:])
