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

"""Output of the demo: progress while it runs, and the table at its end."""

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
import sys
import textwrap
import time

from oslo_utils import timeutils
import tabulate

from demo import config

WIDTH = 79


@dataclasses.dataclass(frozen=True)
class Row:
    """What one create cost.

    :ivar path: how it was served
    :ivar seconds: from the API's acceptance until the volume was available,
        by Cinder's own times
    :ivar calls: number of Element API calls by method
    :ivar glance_bytes: bytes of image data that Glance sent
    :ivar unexpected: differences from the expected cost, a tuple of words
    :ivar difference: how the volume differs from its image, '' if it does
        not
    """

    title: str
    path: str
    seconds: float
    calls: dict
    glance_bytes: int
    unexpected: tuple
    difference: str

    @property
    def problems(self):
        """All that was not as expected, as a list of words."""
        data = [f'the data differs: {self.difference}']
        return [*self.unexpected, *(data if self.difference else ())]


class Progress:
    """Shows lines with the time since the start."""

    def __init__(self, before):
        """Start the clock.

        :param before: seconds that had passed already
        """
        self._start = time.monotonic() - before

    def say(self, text=''):
        """Show a line."""
        elapsed = time.monotonic() - self._start
        print(f'[{elapsed:6.1f} s] {text}', flush=True)

    def elapsed(self):
        """Return the seconds since the start."""
        return time.monotonic() - self._start


def describe_calls(calls):
    """Return method names and counts in one line, the most called first."""
    ordered = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
    return ', '.join(f'{method} {count}' for method, count in ordered)


def _describe_calls_of(number, row):
    """Return an item of a list, its lines broken after commas only."""
    calls = describe_calls(row.calls).replace(', ', ',\n').replace(' ', '\xa0')
    indent = ' ' * len(f'{number}. ')
    text = textwrap.fill(calls, WIDTH, initial_indent=f'{number}. ',
                         subsequent_indent=indent)
    return text.replace('\xa0', ' ')


def versions():
    """Return a line with the versions of what took part."""
    qemu = subprocess.run(('qemu-img', '--version'), capture_output=True,
                          text=True, check=True).stdout.split()[2]
    packages = ', '.join(
        f'{name} {importlib.metadata.version(name)}'
        for name in ('cinder', 'keystone', 'glance',
                     'python-openstackclient'))
    return (f'{packages}, qemu-img {qemu}, '
            f'Python {platform.python_version()}')


def make_table(rows, clone_seconds):
    """Return the table of costs, with time and place of the measurement.

    It is reStructuredText of at most 79 columns.

    :param rows: ``Row`` objects
    :param clone_seconds: duration of a clone on the simulated cluster
    """
    head = ('No.', 'Volume', 'Path', 'Seconds', 'Calls', 'Glance bytes',
            'Data')
    lines = [
        (number, row.title, row.path, f'{row.seconds:.1f}',
         sum(row.calls.values()), f'{row.glance_bytes:,}',
         'WRONG' if row.difference else 'right')
        for number, row in enumerate(rows, 1)]
    tabulate.MIN_PADDING = 0
    table = tabulate.tabulate(
        lines, head, tablefmt='rst', disable_numparse=True,
        colalign=('right', 'left', 'left', 'right', 'right', 'right', 'left'),
        maxcolwidths=[None, 22, None, None, None, None, None])
    calls = (_describe_calls_of(number, row)
             for number, row in enumerate(rows, 1))
    now = timeutils.utcnow()
    made = (f'{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs; a clone takes '
            f'{clone_seconds:g} s on the simulated cluster; {versions()}.')
    return '\n'.join((table, '', 'Element API calls of each:', '', *calls, '',
                      textwrap.fill(made, WIDTH)))


def introduce(say, clone_seconds):
    """Describe what follows.

    :param say: callable that shows a line
    """
    for line in (
            'This demo runs, on this machine and only on its loopback:',
            '  a simulated SolidFire (Element) cluster, over HTTPS',
            '  a real Keystone and a real Glance, with sqlite and files',
            '  a real Cinder: API, scheduler, and one volume service with '
            'sf_allow_template_caching',
            f'  set (back end "{config.CACHED}") and one without it '
            f'("{config.PLAIN}").',
            'It creates volumes from images with the OpenStack client, '
            'counts what each costs, compares',
            'every byte of each volume with its image, and removes everything '
            'again.',
            f'A clone takes {clone_seconds:g} s. {versions()}.'):
        say(line)


def print_error(text):
    """Show an error."""
    print(f'\n{text}', file=sys.stderr, flush=True)
