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

"""What the driver inherits, beside the stock driver itself."""

import pytest

from bench import environment
from cinder import objects

_OPERATIONS = ('create', 'delete', 'snapshot', 'clone', 'extend',
               'statistics')


def _created(backend):
    volume = backend.new_volume()
    volume.update(backend.driver.create_volume(volume))
    volume.save()
    return volume


def _snapshot(volume):
    snapshot = objects.Snapshot(
        context=environment.user_context().elevated(), volume_id=volume.id,
        volume_size=volume.size, user_id=environment.PROJECT,
        project_id=environment.PROJECT, status='creating',
        volume_type_id=volume.volume_type_id)
    snapshot.create()
    return snapshot


def _operation(backend, name):
    """Return the operation, and what prepares the arguments of a round."""
    driver = backend.driver
    if name == 'create':
        return driver.create_volume, lambda: (backend.new_volume(),)
    if name == 'clone':
        source = _created(backend)
        return driver.create_cloned_volume, lambda: (backend.new_volume(),
                                                     source)
    if name == 'statistics':
        return driver.get_volume_stats, lambda: (True,)
    return {
        'delete': (driver.delete_volume, lambda: (_created(backend),)),
        'snapshot': (driver.create_snapshot,
                     lambda: (_snapshot(_created(backend)),)),
        'extend': (driver.extend_volume, lambda: (_created(backend), 2)),
    }[name]


@pytest.mark.parametrize('way', ('image-volume', 'template'))
@pytest.mark.parametrize('name', _OPERATIONS)
def bench_operation(benchmark, lab, name, way):
    backend = lab.reset(way)
    _created(backend)
    operation, arguments = _operation(backend, name)
    counts = []

    def setup():
        prepared = arguments()
        lab.sim.reset_calls()
        return prepared, {}

    def run(*args):
        operation(*args)

    def teardown(*_args):
        counts.append(lab.sim.calls())

    benchmark.pedantic(run, setup=setup, teardown=teardown,
                       rounds=3 if lab.quick else 11)
    benchmark.extra_info.update(
        scenario='operation', way=way, operation=name,
        calls=counts[-1]['total'], connections=counts[-1]['connections'])
