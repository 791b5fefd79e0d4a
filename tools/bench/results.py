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
    """Return the Run in a JSON file of pytest-benchmark."""
    with open(path) as source:
        document = json.load(source)
    return Run([Result(each['name'], each['stats']['median'],
                       each['extra_info'])
                for each in document['benchmarks'] if each['extra_info']],
               document['machine_info'])


def store(source, target):
    """Copy a JSON file, without the times of single rounds."""
    with open(source) as stream:
        document = json.load(stream)
    for each in document['benchmarks']:
        each['stats'].pop('data', None)
        each.pop('fullname', None)
    with open(target, 'w') as stream:
        json.dump(document, stream, indent=1, sort_keys=True)
        stream.write('\n')


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


def bound(size, nodes=4, of_volume=2, of_node=8, most=1000):
    """Return the clone times that a storm of one image takes at best.

    In each of them, every copy of the image can be cloned ``of_volume``
    times, and a node carries out ``of_node`` clones. The best number of
    them is spent on making copies first, and nothing is lost to waiting.
    """
    best = most
    copies = 1
    for rounds in range(most):
        slots = min(copies * of_volume, nodes * of_node)
        best = min(best, rounds + -(-size // slots))
        if slots == nodes * of_node or rounds >= best:
            break
        copies += slots
    return best
