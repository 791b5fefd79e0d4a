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

"""Measure how many small faults in the driver package its unit tests find.

Makes one of cosmic-ray's changes (mutants) in each of many random lines, and
runs the unit tests of that module. A mutant is killed when a test fails or
takes too long. The tree stays as it is: for each mutant a process is forked
that imports the changed module from a temporary file.
"""

import argparse
import collections
import importlib.util
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import types

from cosmic_ray import ast
from cosmic_ray import mutating
from cosmic_ray import plugins

PACKAGE = pathlib.Path('cinder/volume/drivers/solidfire_template_cache')
TESTS = pathlib.Path('cinder/tests/unit', *PACKAGE.parts[1:])
# Those that change nothing, need arguments, or fail on names with a period.
UNUSED = {'core/NoOp', 'core/VariableInserter', 'core/VariableReplacer',
          'core/ExceptionReplacer'}
# Imported before the first fork, because this takes seconds.
PRELOADED = ('cinder.tests.unit.test', 'cinder.volume.drivers.solidfire',
             'hypothesis', 'testtools.run', 'werkzeug')


def mutants_by_line(module):
    """Return pairs of operator name and occurrence, by line number."""
    source = (PACKAGE / module).read_text()
    lines, nodes = source.splitlines(), [*ast.ast_nodes(ast.get_ast(source))]
    found = collections.defaultdict(list)
    for name in sorted(set(plugins.operator_names()) - UNUSED):
        operator = plugins.get_operator(name)()
        starts = (start for node in nodes for start, end
                  in operator.mutation_positions(node))
        for occurrence, (line, _column) in enumerate(starts):
            if '@volume_utils.trace' not in lines[line - 1]:  # debug aid
                found[line].append((name, occurrence))
    return found


def tests_of(module):
    """Return the names of the test modules that are about a module."""
    path = TESTS / module
    found = sorted(path.parent.glob('test_%s*.py' % path.stem))
    return ['.'.join(test.with_suffix('').parts) for test in found]


def mutant_finder(module, path):
    """Return what makes Python import a module from another file."""
    wanted = '.'.join((PACKAGE / module).with_suffix('').parts)
    return types.SimpleNamespace(find_spec=lambda name, *ignored: (
        importlib.util.spec_from_file_location(name, path)
        if name == wanted else None))


def tests_pass(names, limit, finder=None):
    """Run test modules in a process of their own, for ``limit`` seconds."""
    pid = os.fork()
    if not pid:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 2)
        if finder:
            sys.meta_path.insert(0, finder)
        try:
            sys.modules['testtools.run'].main(
                ['testtools.run', '--failfast', *names], sys.stdout)
        except SystemExit as exc:
            os._exit(bool(exc.code))
        finally:
            os._exit(1)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        time.sleep(0.05)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return not status
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def measure(module, mutants, path):
    """Try mutants, (line, (operator, occurrence)); return how many died."""
    names, source = tests_of(module), (PACKAGE / module).read_text()
    begin, killed = time.monotonic(), 0
    if names and not tests_pass(names, 600):
        sys.exit(f'Without a mutant, tests of {module} fail: {names}')
    seconds = time.monotonic() - begin
    for line, (name, occurrence) in mutants:
        code = mutating.mutate_code(source, plugins.get_operator(name)(),
                                    occurrence)
        path.write_text(code)
        finder = mutant_finder(module, path)
        if names and not tests_pass(names, 10 + 3 * seconds, finder):
            killed += 1
        else:
            print(f'  survived {name} in {module}:{line}:',
                  code.splitlines()[line - 1].strip())
    print(f'{module}: {killed} of {len(mutants)} killed by {len(names)} files')
    return killed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('module', nargs='*', help='as element/client.py')
    parser.add_argument('--sample', type=int, default=250)
    parser.add_argument('--seed', type=int, default=7)
    args = parser.parse_args()
    sys.dont_write_bytecode = True
    for name in PRELOADED:
        importlib.import_module(name)
    modules = args.module or sorted(str(path.relative_to(PACKAGE))
                                    for path in PACKAGE.rglob('*.py'))
    found = {(module, line): mutants for module in modules
             for line, mutants in sorted(mutants_by_line(module).items())}
    rng, sample = random.Random(args.seed), collections.defaultdict(list)
    count = min(args.sample, len(found))
    for module, line in sorted(rng.sample(list(found), count)):
        sample[module].append((line, rng.choice(found[module, line])))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'mutant.py')
        killed = sum(measure(*item, path) for item in sample.items())
    print(f'{killed} of {count} mutants killed: {killed / count:.1%}')


if __name__ == '__main__':
    main()
