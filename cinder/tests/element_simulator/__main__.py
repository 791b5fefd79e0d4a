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

"""Runs a simulated cluster until it is stopped by a signal.

Prints one line of JSON when the cluster is ready.
"""

import argparse
import json
import logging
import shutil
import signal
import sys
import threading
import typing

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import contents
from cinder.tests.element_simulator import placement
from cinder.tests.element_simulator import server

_VOLUMES_PER_ACCOUNT = 1000
_DRIVER = 'cinder.volume.drivers.solidfire_template_cache.SolidFireDriver'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m cinder.tests.element_simulator',
        description='A simulated Element cluster, served over HTTPS.')
    add = parser.add_argument
    add('--host', default='127.0.0.1',
        help='address to listen on (default: %(default)s)')
    add('--port', type=int, default=0,
        help='TCP port to listen on; set to 0, the default, for any free port')
    add('--login', default='admin',
        help='name of the cluster administrator (default: %(default)s)')
    add('--password', default='solidfire',
        help='password of the cluster administrator (default: %(default)s)')
    add('--data-dir',
        help='directory for the data of the volumes; the default is a '
             'temporary directory that is removed at the end')
    add('--ca-file',
        help='file to write the CA certificate to, for clients to verify with')
    add('--clone-seconds', type=float, default=0.0,
        help='seconds that a clone takes (default: %(default)s)')
    add('--delay', type=float, default=0.0,
        help='seconds that every reply is delayed (default: %(default)s)')
    add('--clones-per-volume', type=int,
        help='maximum number of concurrent clones of a volume (default: 2)')
    add('--clones-per-node', type=int,
        help='maximum number of concurrent clones on a node (default: 8)')
    add('--nodes', type=int, default=1,
        help='number of nodes (default: %(default)s)')
    add('--queue-clones', action='store_true',
        help='queue clones beyond these limits; without it they are refused')
    add('--placement', choices=placement.NAMES, default=placement.NAMES[0],
        help='which node holds a new volume (default: %(default)s)')
    add('--hide-nodes', action='store_true',
        help='tell clients nothing of nodes')
    add('--volumes', type=int, default=0,
        help='number of volumes to start with (default: %(default)s)')
    add('--svip', default='127.0.0.1',
        help='storage address reported to clients (default: %(default)s)')
    add('--debug', action='store_true',
        help='log every API call to standard error')
    return parser


def _cluster(args: argparse.Namespace) -> cluster.Cluster:
    limits = {'cloneJobsPerVolumeMax': args.clones_per_volume,
              'cloneJobsPerNodeMax': args.clones_per_node}
    if args.volumes:
        # For as many again, whatever their accounts.
        limits.update(volumeCountMax=2 * args.volumes + 4000)
    made = cluster.Cluster(
        data_dir=args.data_dir, clone_seconds=args.clone_seconds,
        nodes=args.nodes, mvip=args.host, svip=args.svip,
        clone_limit_behavior='queue' if args.queue_clones else 'refuse',
        placement=args.placement, hide_nodes=args.hide_nodes,
        limits={key: value for key, value in limits.items()
                if value is not None})
    contents.populate(made, args.volumes,
                      -(-args.volumes // _VOLUMES_PER_ACCOUNT))
    return made


def _announcement(running: server.Server,
                  ca_file: typing.Optional[str]) -> dict:
    """Return what is printed when the server is ready; no password."""
    return {
        'url': running.url,
        'port': running.port,
        'login': running.login,
        'ca_file': ca_file,
        'cinder_conf': [f'volume_driver = {_DRIVER}',
                        f'san_ip = {running.host}',
                        f'san_login = {running.login}',
                        f'sf_api_port = {running.port}',
                        'sf_allow_template_caching = True'],
    }


def main(argv: typing.Optional[typing.Sequence[str]] = None,
         stopped: typing.Optional[threading.Event] = None) -> int:
    """Serve until SIGTERM or SIGINT.

    :param argv: command line arguments; those of the process when None
    :param stopped: event that stops the server, too
    :returns: the exit status of the process
    """
    args = _parser().parse_args(argv)
    if args.debug:
        logging.basicConfig(level=logging.DEBUG)
    stop = stopped or threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: stop.set())
    simulated = _cluster(args)
    try:
        https = server.Server(simulated, args.host, args.port, args.login,
                              args.password)
        if args.delay:
            https.faults.add(delay=args.delay, times=None)
        with https:
            if args.ca_file:
                shutil.copy(https.ca_file, args.ca_file)
            sys.stdout.write(json.dumps(_announcement(
                https, args.ca_file or https.ca_file)) + '\n')
            sys.stdout.flush()
            stop.wait()
    finally:
        simulated.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
