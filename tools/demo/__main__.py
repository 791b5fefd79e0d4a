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

"""The demo's command: everything from the first process to the last.

Exits with 0 if every volume holds its image and every create had the expected
cost; with 1 otherwise; with 128 plus the number of the signal if interrupted.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import openstack
import requests

from demo import client
from demo import config
from demo import images
from demo import process
from demo import report
from demo import services
from demo import steps


def parse_arguments():
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        prog='tools/demo.sh',
        description='Create volumes from images through a real Cinder with '
                    'the template cache, on a simulated SolidFire cluster.')
    parser.add_argument('--keep', action='store_true',
                        help='keep logs, databases and data afterwards')
    parser.add_argument('--table', type=pathlib.Path, metavar='FILE',
                        help='write the table to a file too')
    parser.add_argument('--clone-seconds', type=float, default=1,
                        metavar='SECONDS',
                        help='duration of a clone on the simulated cluster '
                             '(default: %(default)s)')
    return parser.parse_args()


def make_environment(state, clouds):
    """Return the environment of this process and its children.

    It has nothing of the operator's own cloud, proxy or certificates.
    """
    env = {name: value for name, value in os.environ.items()
           if not name.startswith('OS_') and
           not name.lower().endswith(('_proxy', '_ca_bundle')) and
           # Programs that start often should be compiled once.
           name != 'PYTHONDONTWRITEBYTECODE'}
    env.update({
        'PATH': f'{config.VENV}/bin{os.pathsep}{env.get("PATH", "")}',
        'OS_CLIENT_CONFIG_FILE': str(clouds),
        'TMPDIR': str(state),
        'LC_ALL': 'C.UTF-8',
        'TZ': 'UTC',
        # Deprecations are for those who develop the services.
        'PYTHONWARNINGS': 'ignore',
        'PYTHONUNBUFFERED': '1',
    })
    return env


def run(options, state, progress):
    """Bring everything up, go through the steps, take it down.

    :param state: the run's own directory
    :returns: whether everything was as expected
    """
    settings = config.make_settings(state)
    clouds = config.write_clouds(settings)
    env = make_environment(state, clouds)
    os.environ.clear()
    os.environ.update(env)
    say = progress.say
    report.introduce(say, options.clone_seconds)
    with process.Children(state) as children:
        cluster = start_services(children, settings, options, say)
        say('Creating the images')
        disks = images.make_disks(state / 'images')
        walk = steps.Steps(client.Client(children, say), cluster, settings,
                           children, say)
        walk.run(disks)
        problems = walk.clean_up()
        say('Stopping everything')
    show(walk.rows, problems, options, progress)
    return not problems and not any(row.problems for row in walk.rows)


def start_services(children, settings, options, say):
    """Bring up the cluster and the services.

    :returns: the ``services.Simulator``
    """
    say('Starting the simulated cluster')
    cluster = services.start_simulator(children, settings,
                                       options.clone_seconds)
    say('Creating the databases of Keystone, Glance and Cinder')
    keystone, glance, cinder = services.make_databases(children, settings,
                                                       cluster.port)
    say('Starting Keystone, Glance and Cinder')
    services.start(children, settings, keystone, glance, cinder)
    services.wait_for(children, settings, 'keystone')
    say('Keystone is up: creating users, projects and endpoints')
    services.make_identities(settings)
    services.wait_for(children, settings, 'glance')
    say('Glance is up')
    services.wait_for(children, settings, 'cinder')
    say('Cinder is up: creating volume types')
    services.make_volume_types(children)
    return cluster


def show(rows, problems, options, progress):
    """Print the table, and write it to a file if asked to."""
    table = report.make_table(rows, options.clone_seconds)
    print(f'\n{table}\n', flush=True)
    if options.table:
        options.table.write_text(table + '\n')
    for number, row in enumerate(rows, 1):
        problems = problems + [f'{number}. {row.title}: {problem}'
                               for problem in row.problems]
    if problems:
        report.print_error('Not as expected:\n  ' + '\n  '.join(problems))
    else:
        print(f'Everything as expected, in {progress.elapsed():.0f} s.')


def _interrupted(signum, frame):
    report.print_error('Interrupted: stopping everything')
    raise SystemExit(128 + signum)


def main():
    """Run the demo; return the exit status."""
    options = parse_arguments()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupted)
    progress = report.Progress(int(os.environ.get('DEMO_SECONDS', 0)))
    state = pathlib.Path(tempfile.mkdtemp(prefix='template-cache-demo-'))
    try:
        return 0 if run(options, state, progress) else 1
    except process.DemoError as exc:
        report.print_error(exc)
        return 1
    except (openstack.exceptions.SDKException,
            requests.RequestException) as exc:
        for log in sorted(state.glob('*.log')):
            report.print_error(f'{log.name}:\n{process.tail(log)}')
        report.print_error(exc)
        return 1
    finally:
        if options.keep:
            print(f'Logs, databases and data are kept in {state}')
        else:
            shutil.rmtree(state, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
