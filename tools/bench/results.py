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

"""The results of a run: reading, choosing, comparing."""

import dataclasses
import json

from bench import simulator
from figures import rows
from simulation import bounds

DRAWN = {'scenario': 'storm', 'manner': 'refuse', 'size': 64}
"""The storms of which all ends are drawn."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One benchmark.

    :ivar name: the benchmark with its parameters
    :ivar median: seconds
    :ivar info: what it recorded besides the time
    """

    name: str
    median: float
    info: dict

    @property
    def value(self):
        """What is compared: clone times of a storm, else seconds."""
        ends = self.info.get('ends')
        return ends[-1] if ends else self.median


@dataclasses.dataclass(frozen=True)
class Run:
    """All benchmarks of a run, and the machine that they ran on."""

    results: list
    machine: dict

    def find(self, **info):
        """Return the result with these members, or None."""
        return next(iter(self.all(**info)), None)

    def all(self, **info):
        """Return the results with these members."""
        return [each for each in self.results
                if all(each.info.get(key) == value
                       for key, value in info.items())]


def load(path):
    """Return the Run in a JSON file of pytest-benchmark, or a stored one."""
    with open(path) as source:
        document = json.load(source)
    return Run([Result(each['name'], each['stats']['median'],
                       each['extra_info'])
                for each in document['benchmarks'] if each['extra_info']],
               document['machine_info'])


def _short(value):
    """Round what was measured to what can be compared."""
    return float(f'{value:.6g}') if isinstance(value, float) else value


def _is_drawn(info):
    return all(info.get(key) == value for key, value in DRAWN.items())


def store(source, target):
    """Copy what ``load`` reads of a JSON file, with a line for each result.

    Of the ends of a storm that is not drawn, only the last one is kept.
    """
    run = load(source)
    benchmarks = []
    for each in run.results:
        info = {key: _short(value) for key, value in each.info.items()}
        if 'ends' in info and not _is_drawn(info):
            info['ends'] = info['ends'][-1:]
        benchmarks.append({'name': each.name, 'extra_info': info,
                           'stats': {'median': _short(each.median)}})
    with open(target, 'w') as stream:
        stream.write(rows.dumps({'machine_info': run.machine,
                                 'benchmarks': benchmarks}))


def compare(run, stored):
    """Return (name, value, ratio to the stored run) for what both have."""
    before = {each.name: each.value for each in stored.results}
    return [(each.name, each.value, each.value / before[each.name])
            for each in run.results if before.get(each.name)]


def fairness(last_ends):
    """Return how much longer the last of several hosts took than the first.

    :param last_ends: when the last request of each host ended
    """
    return max(last_ends) / min(last_ends)


def bound(size):
    """Return the clone times that a storm of one image takes at best."""
    limits = simulator.BASE['limits']
    return bounds.optimum(
        size, simulator.BASE['nodes'] * limits['cloneJobsPerNodeMax'],
        limits['cloneJobsPerVolumeMax'])
