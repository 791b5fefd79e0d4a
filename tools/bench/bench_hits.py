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

"""A create of an image that is cached, by each way."""

import functools
import time
from unittest import mock

from oslo_utils import timeutils
from oslo_utils import uuidutils
import pytest
import requests

from bench import environment
from cinder.db import api as db_api
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import model

_GIB = 1024 ** 3

# What differs from an empty cluster that replies and clones at once.
CONDITIONS = {
    'empty': {},
    'delay 2 ms': {'delay': 0.002},
    'delay 20 ms': {'delay': 0.02},
    'clone 1 s': {'clone': 1.0},
    '1,000 volumes': {'volumes': 1000},
    '10,000 volumes': {'volumes': 10000, 'accounts': 10},
    '1,000 accounts': {'volumes': 1000, 'accounts': 1000},
    '1,000 templates': {'templates': 1000},
    'clone 8 s': {'clone': 8.0},
}
_LONG = ('delay 2 ms', '1,000 volumes', '1,000 accounts', '1,000 templates',
         'clone 8 s')


def _plant_templates(sim, count):
    """Make templates of other images, as other hosts would."""
    account = sim.call(
        'GetAccountByName', username='openstack-vtemplate')['account']
    now = timeutils.utcnow(with_timezone=True)
    for _ in range(count):
        image = metadata.from_metadata({
            'id': uuidutils.generate_uuid(), 'updated_at': now, 'size': 1,
            'virtual_size': 1, 'disk_format': 'raw', 'status': 'active',
            'visibility': 'public', 'container_format': 'bare', 'min_disk': 0,
            'owner': environment.PROJECT, 'properties': {},
            'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 64})
        template = model.new(image, uuidutils.generate_uuid(), 'other', False,
                             now)
        sim.call('CreateVolume', name=model.name_for(image.id),
                 accountID=account['accountID'], totalSize=_GIB,
                 attributes=template.attributes())


def _rounds(quick, way, condition):
    if condition.get('clone', 0) > 1:
        return 1
    if 'clone' in condition or way == 'download' or quick:
        return 3
    return 20


def _cases():
    for name in CONDITIONS:
        for way in environment.BACKENDS:
            if name in ('clone 8 s', '1,000 templates') and way != 'template':
                continue
            yield pytest.param(way, name, marks=pytest.mark.long
                               if name in _LONG else ())


@pytest.mark.parametrize('way,name', _cases())
def bench_hit(benchmark, lab, way, name):
    condition = CONDITIONS[name]
    backend = lab.reset(way, clone_seconds=0.0)
    image = lab.image()
    lab.sim.populate(condition.get('volumes', 0),
                     condition.get('accounts', 1))
    # The entry in the cache is made before, and the connection too.
    for _ in range(2):
        backend.create(image)
    if 'templates' in condition:
        _plant_templates(lab.sim, condition['templates'])
    lab.sim.set(clone_seconds=condition.get('clone', 0.0))
    lab.sim.set_delay(condition.get('delay', 0.0))
    rounds = _rounds(lab.quick, way, condition)
    volumes = [backend.new_volume() for _ in range(rounds)]
    lab.count()
    benchmark.pedantic(backend.create, rounds=rounds,
                       setup=lambda: ((image, volumes.pop()), {}))
    cached = way != 'download'
    calls = lab.check(rounds if cached else 0, 0 if cached else rounds)
    benchmark.extra_info.update(
        scenario='hit', way=way, condition=name,
        calls=calls['total'] / rounds,
        polls=calls['counts'].get('GetAsyncResult', 0) / rounds,
        bytes=(calls['bytesIn'] + calls['bytesOut']) / rounds)


class _Timer:
    """Adds up the CPU time of this thread in some functions.

    :ivar seconds: in all of them; one that is called by another counts once
    """

    def __init__(self):
        self.seconds = 0.0
        self._inside = False

    def wrap(self, target, name):
        """Return a patch, a context manager, for a function."""
        function = getattr(target, name)

        @functools.wraps(function)
        def timed(*args, **kwargs):
            if self._inside:
                return function(*args, **kwargs)
            self._inside = True
            begin = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - begin
                self._inside = False

        return mock.patch.object(target, name, timed)


def bench_clone_image(benchmark, lab):
    """The driver's own part of a hit, without the volume manager's."""
    backend = lab.reset('template')
    image = lab.image()
    for _ in range(5):
        backend.clone(image)
    lab.count()
    rounds = 20 if lab.quick else 200
    volumes = [backend.new_volume() for _ in range(rounds)]
    sent, database = _Timer(), _Timer()
    with sent.wrap(requests.Session, 'post'), database.wrap(
            db_api, 'volume_type_get'), database.wrap(
            db_api, 'volume_glance_metadata_bulk_create'):
        cpu = time.thread_time()
        benchmark.pedantic(backend.clone, rounds=rounds,
                           setup=lambda: ((image, volumes.pop()), {}))
        cpu = time.thread_time() - cpu
    lab.check(rounds, 0)
    benchmark.extra_info.update(
        scenario='clone_image', way='template', cpu=cpu / rounds,
        cpu_requests=sent.seconds / rounds,
        cpu_database=database.seconds / rounds)
