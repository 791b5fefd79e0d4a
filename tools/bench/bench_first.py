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

"""The first create of an image, by each way."""

import pytest

from bench import environment

KINDS = (
    ('qcow2', 1, 32),
    pytest.param('raw', 1, 32, marks=pytest.mark.long),
    pytest.param('qcow2', 8, 300, marks=pytest.mark.long),
    pytest.param('raw', 8, 300,
                 marks=[pytest.mark.long, pytest.mark.seconds(90)]))


@pytest.mark.parametrize('way', environment.BACKENDS)
@pytest.mark.parametrize('disk_format,size,data', KINDS)
def bench_first(benchmark, lab, way, disk_format, size, data):
    backend = lab.reset(way)
    # Not the first create of all; and the file of the image has been read.
    backend.create(lab.image())
    lab.images.warm(lab.image(disk_format, size, data))
    lab.count()

    def setup():
        return (lab.image(disk_format, size, data),
                backend.new_volume(size)), {}

    rounds = 1 if lab.quick or size > 1 else 5
    benchmark.pedantic(backend.create, setup=setup, rounds=rounds)
    # Both caches keep a copy, and clone once.
    lab.check(0 if way == 'download' else rounds, rounds)
    benchmark.extra_info.update(
        scenario='first', way=way, image=f'{disk_format}, {size} GiB')
