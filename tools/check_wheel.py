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

"""Check which files the wheel adds to an installed Cinder, and removes again.

Builds the source distribution and from it the wheel, installs the wheel into
the environment that runs this script and uninstalls it again. Cinder must be
installed there, and this project must not be.

A sub-package that setup.cfg does not list is reported as missing in the wheel.
"""

import argparse
import configparser
import hashlib
import pathlib
import subprocess
import sys
import sysconfig
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def read_setup():
    """Return the distribution's name and its packages as paths."""
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    packages = config['options']['packages'].split()
    return (config['metadata']['name'].replace('-', '_'),
            [package.replace('.', '/') + '/' for package in packages])


def list_sources(packages):
    """Return the paths of all files of ours below the package folders."""
    return {path.relative_to(ROOT).as_posix()
            for package in packages
            for path in (ROOT / package).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts}


def list_installed():
    """Return a digest of every file of the environment, by its path."""
    prefix = pathlib.Path(sys.prefix)
    folders = {sysconfig.get_path(key) for key in ('purelib', 'platlib',
                                                   'scripts', 'data')}
    found = {}
    for folder in folders:
        for path in pathlib.Path(folder).rglob('*'):
            if path.is_file() and '__pycache__' not in path.parts:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[path.relative_to(prefix).as_posix()] = digest
    return found


def build(work_dir):
    """Build both distributions and return the path of the wheel."""
    done = subprocess.run([sys.executable, '-m', 'build', '--no-isolation',
                           '--outdir', str(work_dir), str(ROOT)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode:
        sys.exit(done.stdout)
    wheel, = work_dir.glob('*.whl')
    return wheel


def pip(*arguments):
    subprocess.run([sys.executable, '-m', 'pip', *arguments, '--quiet'],
                   check=True)


def check_content(wheel, name, packages):
    """Compare the wheel's list of files with the source tree.

    :returns: a list of faults as text
    """
    with zipfile.ZipFile(wheel) as archive:
        files = {entry for entry in archive.namelist()
                 if not entry.startswith(name + '-')}
    sources = list_sources(packages)
    return ([f'not in the wheel: {path}' for path in sorted(sources - files)] +
            [f'not ours: {path}' for path in sorted(files - sources)])


def check_installation(wheel, name, packages):
    """Install and uninstall the wheel.

    :returns: a list of faults as text
    """
    before = list_installed()
    if not any(path.endswith('/cinder/version.py') for path in before):
        return ['Cinder is not installed in this environment']
    site = pathlib.Path(sysconfig.get_path('purelib'))
    ours = tuple((site / path).relative_to(sys.prefix).as_posix()
                 for path in [*packages, name + '-'])
    pip('install', '--no-deps', str(wheel))
    during = list_installed()
    pip('uninstall', '--yes', name)
    after = list_installed()
    touched = {path for path in before.keys() | during.keys()
               if before.get(path) != during.get(path)}
    outside = sorted(path for path in touched if not path.startswith(ours))
    left = sorted(path for path in before.keys() | after.keys()
                  if before.get(path) != after.get(path))
    return ([f'installing touches: {path}' for path in outside] +
            [f'uninstalling leaves: {path}' for path in left])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--work-dir', required=True, type=pathlib.Path,
                        help='where the distributions are built')
    work_dir = parser.parse_args().work_dir
    name, packages = read_setup()
    wheel = build(work_dir)
    faults = (check_content(wheel, name, packages) +
              check_installation(wheel, name, packages))
    for fault in faults:
        print(fault)
    print('%s: %d files, %s' % (wheel.name, len(list_sources(packages)),
                                'faulty' if faults else 'good'))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
