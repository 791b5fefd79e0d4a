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

"""Which node holds a volume."""

import random
import typing

Placement = typing.Union[str, typing.Callable[[int], int]]
"""A name from NAMES, or a callable that returns the node for a volume's id."""

NAMES = ('round-robin', 'random')


def check(placement: Placement) -> Placement:
    """Return the placement.

    :raises: ValueError for an unknown name
    """
    if isinstance(placement, str) and placement not in NAMES:
        raise ValueError(f'placement is one of {", ".join(NAMES)}, or a '
                         f'callable, not {placement}')
    return placement


def node_of(volume_id: int, nodes: int, placement: Placement,
            seed: int = 0) -> int:
    """Return the number of the node that holds a volume, from 1 on.

    It is the same whenever it is asked for.

    :param nodes: number of nodes
    :param seed: of the random placement
    """
    if callable(placement):
        return placement(volume_id)
    if placement == 'random':
        # Not for secrets; equal seeds give equal placements.
        return random.Random(f'{seed} {volume_id}').randint(1, nodes)
    return volume_id % nodes + 1
