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

"""What can be changed while a cluster is in use."""

import typing

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import jobs
from cinder.tests.element_simulator import placement


def read(cluster: cluster.Cluster) -> dict:
    """Return the settings; a callable is shown as None."""
    return {
        'clone_seconds': (None if callable(cluster.jobs.seconds)
                          else cluster.jobs.seconds),
        'clone_limit_behavior': cluster.jobs.limit_manner,
        'nodes': cluster.nodes,
        'hide_nodes': cluster.hide_nodes,
        'placement': (None if callable(cluster.placement)
                      else cluster.placement),
        'limits': dict(cluster.limits),
    }


def change(cluster: cluster.Cluster, changes: dict) -> None:
    """Change settings; ``limits`` are added to those that are in force.

    :raises: ValueError for unknown settings or values; nothing is changed
    """
    unknown = set(changes) - set(_CHECKS)
    if unknown:
        raise ValueError(f'unknown settings {", ".join(sorted(unknown))}')
    checked = {name: _CHECKS[name](value) for name, value in changes.items()}
    with cluster.lock:
        cluster.limits.update(checked.pop('limits', {}))
        if 'clone_seconds' in checked:
            cluster.jobs.seconds = checked.pop('clone_seconds')
        if 'clone_limit_behavior' in checked:
            cluster.jobs.limit_manner = checked.pop('clone_limit_behavior')
        for name, value in checked.items():
            setattr(cluster, name, value)


def _nodes(value: typing.Any) -> int:
    if int(value) < 1:
        raise ValueError('a cluster has at least one node')
    return int(value)


def _seconds(value: typing.Any) -> float:
    if float(value) < 0:
        raise ValueError('a clone takes no negative time')
    return float(value)


_CHECKS: dict[str, typing.Callable] = {
    'clone_seconds': _seconds, 'clone_limit_behavior': jobs.check_manner,
    'nodes': _nodes, 'hide_nodes': bool, 'placement': placement.check,
    'limits': dict}
