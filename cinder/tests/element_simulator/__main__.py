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

"""Runs a simulated cluster until it is told to stop.

Writes one line of JSON when it is ready.
"""

import argparse
import json
import logging
import shutil
import signal
import sys
import threading

from cinder.tests.element_simulator import cluster as cluster_module
from cinder.tests.element_simulator import faults as faults_module
from cinder.tests.element_simulator import server as server_module

_DRIVER = 'cinder.volume.drivers.solidfire_template_cache.SolidFireDriver'


def _parser():
    parser = argparse.ArgumentParser(
        prog='python -m cinder.tests.element_simulator',
        description='An Element cluster over HTTPS, to try things on.')
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to listen at (default: %(default)s)')
    parser.add_argument('--port', type=int, default=0,
                        help='TCP port; any free one when 0, the default')
    parser.add_argument('--login', default='admin',
                        help='cluster administrator (default: %(default)s)')
    parser.add_argument('--password', default='solidfire',
                        help='password of it (default: %(default)s)')
    parser.add_argument('--data-dir',
                        help="where the volumes' files lie; a temporary "
                             'directory, removed at the end, by default')
    parser.add_argument('--ca-file',
                        help='write the certificate to verify with here')
    parser.add_argument('--clone-seconds', type=float, default=0.0,
                        help='how long a clone takes (default: %(default)s)')
    parser.add_argument('--delay', type=float, default=0.0,
                        help='seconds that every answer waits '
                             '(default: %(default)s)')
    parser.add_argument('--clones-per-volume', type=int,
                        help='clones of one volume at a time (default: 2)')
    parser.add_argument('--clones-per-node', type=int,
                        help='clones on one node at a time (default: 8)')
    parser.add_argument('--nodes', type=int, default=1,
                        help='number of nodes (default: %(default)s)')
    parser.add_argument('--svip', default='127.0.0.1',
                        help='storage address told to clients '
                             '(default: %(default)s)')
    parser.add_argument('--debug', action='store_true',
                        help='log every call to standard error')
    return parser


def _cluster(args):
    limits = {'cloneJobsPerVolumeMax': args.clones_per_volume,
              'cloneJobsPerNodeMax': args.clones_per_node}
    return cluster_module.Cluster(
        data_dir=args.data_dir, clone_seconds=args.clone_seconds,
        nodes=args.nodes, mvip=args.host, svip=args.svip,
        limits={key: value for key, value in limits.items()
                if value is not None})


def _announcement(server):
    return {
        'url': server.url,
        'port': server.port,
        'login': server.login,
        'ca_file': server.ca_file,
        'cinder_conf': [f'volume_driver = {_DRIVER}',
                        f'san_ip = {server.host}',
                        f'san_login = {server.login}',
                        f'sf_api_port = {server.port}',
                        'sf_allow_template_caching = True'],
    }


def main(argv=None, stopped=None):
    """Serve until SIGTERM or SIGINT.

    :param stopped: a threading.Event that ends it too
    """
    args = _parser().parse_args(argv)
    if args.debug:
        logging.basicConfig(level=logging.DEBUG)
    stopped = stopped or threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *ignored: stopped.set())
    cluster = _cluster(args)
    faults = faults_module.FaultPlan()
    if args.delay:
        faults.add(delay=args.delay, times=None)
    server = server_module.Server(cluster, args.host, args.port, args.login,
                                  args.password, faults)
    try:
        with server:
            announcement = _announcement(server)
            if args.ca_file:
                shutil.copy(server.ca_file, args.ca_file)
                announcement['ca_file'] = args.ca_file
            print(json.dumps(announcement), flush=True)
            stopped.wait()
    finally:
        cluster.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
