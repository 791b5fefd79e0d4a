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

"""Options and fixtures of the benchmarks, for pytest."""

import os
import platform

import pytest

from bench import lab as lab_module


def pytest_addoption(parser):
    parser.addoption('--quick', action='store_true',
                     help='a short run, with fewer cases and rounds')


def pytest_collection_modifyitems(config, items):
    if config.getoption('--quick'):
        long = [item for item in items if item.get_closest_marker('long')]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    # What takes longest is last, in case that no time is left for it.
    items.sort(key=_seconds)


def _seconds(item):
    marker = item.get_closest_marker('seconds')
    return marker.args[0] if marker else 0


def pytest_configure(config):
    for line in 'long: not in a quick run', 'seconds(n): takes so long':
        config.addinivalue_line('markers', line)


def pytest_benchmark_update_machine_info(config, machine_info):
    """Store what matters for the times, and no names of machines."""
    cpu = machine_info.get('cpu', {}).get('brand_raw', '')
    machine_info.clear()
    machine_info.update(cpu=cpu, cpus=os.cpu_count(),
                        python=platform.python_version())


def pytest_benchmark_update_commit_info(config, commit_info):
    commit_info.clear()


@pytest.fixture(scope='session')
def lab(request):
    with lab_module.Lab(request.config.getoption('--quick')) as made:
        yield made


@pytest.fixture(autouse=True)
def _bounded(request):
    """Skip a benchmark that would not end in time."""
    if 'lab' not in request.fixturenames:
        return
    if not request.getfixturevalue('lab').has_time(_seconds(request.node)):
        pytest.skip('no time left')
