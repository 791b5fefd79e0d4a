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

"""Runs the benchmarks, and makes the results page.

Other arguments go to pytest: ``-k storm`` runs the storms only.
"""

import argparse
import os
import pathlib
import signal
import sys

import pytest

from bench import native_threads  # noqa: F401
from bench import pages
from bench import plots
from bench import results

# A run ends by itself before.
SECONDS = 15 * 60
QUICK_SECONDS = 3 * 60
HERE = pathlib.Path(__file__).parent
STORED = HERE.parent.parent / 'doc/source/contributor/benchmarks'


def _parser():
    parser = argparse.ArgumentParser(
        prog='tox -e bench --', description=__doc__.splitlines()[0],
        epilog='Other arguments go to pytest: -k storm runs the storms only.')
    parser.add_argument('--quick', action='store_true',
                        help='fewer cases and rounds, in less than 2 minutes')
    parser.add_argument('--store', action='store_true',
                        help='store the run in the tree, and make its page')
    parser.add_argument('--page', action='store_true',
                        help='only make the page, from the stored run')
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path(
        os.environ.get('TOX_ENV_DIR', '.')) / 'results.json',
        help='file for the results (default: %(default)s)')
    return parser


def _bound_time(quick):
    """Interrupt the run, which then removes all, if it hangs or is ended."""
    for number in signal.SIGTERM, signal.SIGALRM:
        signal.signal(number, signal.default_int_handler)
    signal.alarm(QUICK_SECONDS if quick else SECONDS)


def _run(args, others):
    _bound_time(args.quick)
    return pytest.main([
        '-c', os.devnull, '--rootdir', str(HERE), '-p', 'no:cacheprovider',
        '--import-mode=importlib', '-o', 'python_files=bench_*.py test_*.py',
        '-o', 'python_functions=bench_* test_*', '--benchmark-disable-gc',
        '--benchmark-columns=median,iqr,rounds', '--benchmark-sort=name',
        '-q', '--no-header',
        f'--benchmark-json={args.output}',
        *(['--quick'] if args.quick else []), *others, str(HERE)])


def _write_page(stored):
    run = results.load(stored)
    pages.write(run, STORED)
    plots.write(run, STORED)


def main():
    """Run; return the exit status."""
    args, others = _parser().parse_known_args()
    stored = STORED / 'results.json'
    if args.page:
        _write_page(stored)
        return 0
    status = _run(args, others)
    if status or not args.output.exists():
        return int(status) or 1
    run = results.load(args.output)
    sys.stdout.write('\n'.join(pages.summary(run)) + '\n')
    if stored.exists():
        sys.stdout.write('\n'.join(pages.comparison(
            results.compare(run, results.load(stored)))) + '\n')
    if args.store:
        STORED.mkdir(exist_ok=True)
        results.store(args.output, stored)
        _write_page(stored)
    return 0


if __name__ == '__main__':
    sys.exit(main())
