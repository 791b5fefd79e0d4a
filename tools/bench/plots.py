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

"""The plots of the results page."""

from bench import results
from figures import plots

_COLOURS = {'template': plots.COLOURS[0], 'download': plots.COLOURS[1],
            'image-volume': plots.COLOURS[2]}
_LABELS = {'download': 'no cache', 'image-volume': 'image-volume cache',
           'template': 'this driver'}


def write(run, directory):
    """Draw all plots into a directory."""
    plots.write({'storms': _storms, 'ends': _ends, 'delays': _delays,
                 'first': _first}, run, directory)


def _storms(run, figure):
    axes = figure.subplots()
    for way in ('image-volume', 'template'):
        found = sorted((each.info['size'], each.value) for each in run.all(
            scenario='storm', way=way, manner='refuse'))
        if found:
            axes.plot(*zip(*found), 'o-', color=_COLOURS[way],
                      label=_LABELS[way])
    # The least storm of each bound, and the end of the line.
    sizes = {}
    for size in range(1, 257):
        sizes.setdefault(results.bound(size), size)
    axes.step([*sizes.values(), 256], [*sizes, max(sizes)], '--',
              where='post', color=plots.GREY, label='bound')
    axes.set(xscale='log', yscale='log', xlabel='creates at once',
             ylabel='last end, in clone times')


def _ends(run, figure):
    axes = figure.subplots()
    for way in ('image-volume', 'template'):
        found = run.find(way=way, **results.DRAWN)
        if found:
            ends = found.info['ends']
            axes.step(ends, range(1, len(ends) + 1), where='post',
                      color=_COLOURS[way], label=_LABELS[way])
    axes.set(xscale='log', xlabel='clone times',
             ylabel='creates that are done, of 64')


def _delays(run, figure):
    axes = figure.subplots()
    delays = {'empty': 0, 'delay 2 ms': 2, 'delay 20 ms': 20}
    for way in _LABELS:
        found = [(delay, each.median * 1000) for name, delay in delays.items()
                 for each in run.all(scenario='hit', way=way, condition=name)]
        if found:
            axes.plot(*zip(*found), 'o-', color=_COLOURS[way],
                      label=_LABELS[way])
    axes.set(yscale='log', xlabel='delay of each API reply, in ms',
             ylabel='create of a cached image, in ms')


def _first(run, figure):
    axes = figure.subplots()
    images = list(dict.fromkeys(each.info['image']
                                for each in run.all(scenario='first')))
    for number, way in enumerate(_LABELS):
        found = [(place + 0.27 * (number - 1), each.median)
                 for place, image in enumerate(images)
                 for each in run.all(scenario='first', way=way, image=image)]
        if found:
            axes.bar(*zip(*found), width=0.25, color=_COLOURS[way],
                     label=_LABELS[way])
    axes.set_xticks(range(len(images)), images)
    axes.set(ylabel='first create of an image, in s')
