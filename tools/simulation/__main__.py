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

"""Runs the simulation, and makes the tables and plots of its page."""

import argparse
import json
import os
import pathlib
import sys
import time

from figures import rows
from simulation import pages
from simulation import plots
from simulation import scenarios

STORED = pathlib.Path(__file__).parent.parent.parent / (
    'doc/source/contributor/simulation')

_QUICK = {
    'rule': lambda: scenarios.rule((1, 8, 64, 256), (1, 4, 10)),
    'storms': lambda: scenarios.storms((1, 8, 64, 256), (1, 4), 3),
    'processes': lambda: scenarios.processes(3),
    'hours': lambda: scenarios.hours((1, 16), (4, 10), 1000, 360),
    'burst': lambda: scenarios.burst(1000, 360),
    'overload': lambda: scenarios.overload(200, 120),
    'misses': scenarios.misses,
}
_FULL = {
    'rule': lambda: scenarios.rule(
        (*range(1, 33), *range(40, 256, 24), *range(256, 1001, 93)),
        (1, 2, 3, 4, 6, 10, 20, 40)),
    'storms': lambda: scenarios.storms(
        (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000), (1, 4, 10, 40), 5),
    'processes': lambda: scenarios.processes(12),
    'hours': lambda: scenarios.hours(
        (1, 4, 16, 64), (1, 4, 10, 40), scenarios.BOOTS, scenarios.HOUR),
    'burst': lambda: scenarios.burst(scenarios.BOOTS, scenarios.HOUR),
    'overload': lambda: scenarios.overload(500, 300),
    'misses': scenarios.misses,
}


def _parser():
    parser = argparse.ArgumentParser(
        prog='tox -e simulation --', description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true',
                        help='fewer and shorter cases, in a minute')
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path(
        os.environ.get('TOX_ENV_DIR', '.')) / 'results',
        help='folder for the results (default: %(default)s)')
    parser.add_argument('--store', action='store_true',
                        help='put the results into the documentation')
    parser.add_argument('--page', action='store_true',
                        help='only make the page, from the stored results')
    return parser


def _run(scenarios_by_name):
    found = {}
    for name, scenario in scenarios_by_name.items():
        begin = time.monotonic()
        found[name] = scenario()
        sys.stderr.write('%s: %.0f s\n' % (name, time.monotonic() - begin))
    return found


def main():
    """Run; return the exit status."""
    args = _parser().parse_args()
    folder = STORED if args.store or args.page else args.output
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / 'results.json'
    if args.page:
        found = json.loads(results.read_text())
    else:
        found = _run(_QUICK if args.quick else _FULL)
        results.write_text(rows.dumps(found))
    for name, text in pages.by_name(found).items():
        (folder / f'{name}.inc').write_text(text)
        sys.stdout.write(f'{name}\n\n{text}\n')
    plots.write(found, folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
