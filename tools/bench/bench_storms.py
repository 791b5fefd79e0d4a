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

"""Storms: many creates of cached images at the same time."""

import time

import pytest

from bench import storm

CLONE = 1.0
"""Seconds that a clone takes, which is also the unit of the results."""


def _storm_cases():
    for manner in 'refuse', 'queue':
        for size in 1, 8, 64, 256:
            yield pytest.param('template', manner, size, marks=[
                pytest.mark.seconds(size // 4),
                *([] if (manner, size) in (('refuse', 8), ('refuse', 64))
                  else [pytest.mark.long])])
    for size, seconds in (1, 0), (8, 12), (64, 100), (256, 400):
        yield pytest.param('image-volume', 'refuse', size, marks=[
            pytest.mark.seconds(seconds),
            *([pytest.mark.long] if size > 8 else [])])


def _primed(lab, way, manner, images):
    backend = lab.reset(way, clone_limit_behavior=manner)
    for image in images:
        backend.create(image)
    lab.sim.set(clone_seconds=CLONE)
    lab.count()
    return backend


def _record(benchmark, lab, clones, ends, downloads=0, **info):
    calls = lab.check(clones, downloads)
    benchmark.extra_info.update(
        ends=[round(end / CLONE, 2) for end in ends], calls=calls['total'],
        **info)


@pytest.mark.parametrize('way,manner,size', _storm_cases())
def bench_storm(benchmark, lab, way, manner, size):
    image = lab.image()
    backend = _primed(lab, way, manner, [image])
    # Cinder's own cache is not in the driver but in the volume manager.
    request = backend.clone if way == 'template' else backend.create
    volumes = [backend.new_volume() for _ in range(size)]
    ends = benchmark.pedantic(storm.run, rounds=1, args=([
        lambda volume=volume: request(image, volume)
        for volume in volumes],))
    _record(benchmark, lab, size, ends, scenario='storm', way=way,
            manner=manner, size=size)


@pytest.mark.parametrize('images', [
    4, pytest.param(0, marks=pytest.mark.long)])
def bench_storm_of(benchmark, lab, images):
    """64 creates: of four cached images, and of one not cached yet."""
    wanted = [lab.image() for _ in range(images or 1)]
    backend = _primed(lab, 'template', 'refuse', wanted if images else [])
    volumes = [backend.new_volume() for _ in range(64)]
    ends = benchmark.pedantic(storm.run, rounds=1, args=([
        lambda volume=volume, image=wanted[number % len(wanted)]:
            backend.clone(image, volume)
        for number, volume in enumerate(volumes)],))
    _record(benchmark, lab, 64, ends, downloads=0 if images else 1,
            scenario='storm of images', way='template', images=images)


def _process_cases():
    for manner in 'refuse', 'queue':
        for processes in 2, 4:
            for images in 1, 4:
                yield pytest.param(
                    manner, processes, images, marks=[
                        pytest.mark.seconds(40),
                        *([] if (manner, processes, images) == (
                            'refuse', 4, 1) else [pytest.mark.long])])


@pytest.mark.parametrize('manner,processes,images', _process_cases())
def bench_processes(benchmark, lab, manner, processes, images):
    """64 creates in several processes that have no lock in common."""
    wanted = [lab.image() for _ in range(images)]
    _primed(lab, 'template', manner, wanted)
    hosts = lab.workers(processes)
    # Their first cluster lookups are part of it, as after a restart.
    paths = [lab.images.path(image) for image in wanted]

    def run():
        start = time.monotonic() + 1.0
        for host in hosts:
            host.begin(wanted, paths, 64 // processes, start)
        return [host.ends() for host in hosts]

    each = benchmark.pedantic(run, rounds=1)
    _record(benchmark, lab, 64, sorted(sum(each, [])), scenario='processes',
            way='template', manner=manner, processes=processes, images=images,
            last_ends=sorted(round(ends[-1] / CLONE, 2) for ends in each))
