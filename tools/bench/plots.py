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

"""The plots of the results page: SVG for light and dark pages."""

import matplotlib
from matplotlib import pyplot

from bench import results

# Readable on white and on black.
_GREY = '#888888'
_COLOURS = {'download': '#c2703d', 'image-volume': '#8f7fd0',
            'template': '#2f9e77', 'bound': _GREY}
_LABELS = {'download': 'no cache', 'image-volume': 'image-volume cache',
           'template': 'this driver'}
_STYLE = {
    'svg.hashsalt': 'bench', 'savefig.transparent': True,
    'text.color': _GREY, 'axes.labelcolor': _GREY, 'axes.edgecolor': _GREY,
    'xtick.color': _GREY, 'ytick.color': _GREY, 'grid.color': _GREY,
    'grid.alpha': 0.3, 'axes.grid': True, 'legend.frameon': False}


def write(run, directory):
    """Draw all plots into a directory."""
    matplotlib.use('svg')
    with pyplot.rc_context(_STYLE):
        for name, draw in (('storms', _storms), ('ends', _ends),
                           ('delays', _delays), ('first', _first)):
            figure, axes = pyplot.subplots(figsize=(7, 4))
            draw(run, axes)
            if axes.get_legend_handles_labels()[0]:
                axes.legend()
            figure.tight_layout()
            # Without a date, equal results give equal files.
            figure.savefig(directory / f'{name}.svg',
                           metadata={'Date': None, 'Creator': None})
            pyplot.close(figure)


def _storms(run, axes):
    for way in ('image-volume', 'template'):
        found = sorted((each.info['size'], each.value) for each in run.all(
            scenario='storm', way=way, manner='refuse'))
        if found:
            axes.loglog(*zip(*found), 'o-', color=_COLOURS[way],
                        label=_LABELS[way])
    sizes = range(1, 257)
    axes.loglog(sizes, [results.bound(size) for size in sizes], '--',
                color=_GREY, label='bound')
    axes.set(xlabel='creates at once', ylabel='last end, in clone times')


def _ends(run, axes):
    for way in ('image-volume', 'template'):
        found = run.find(scenario='storm', way=way, manner='refuse', size=64)
        if found:
            ends = found.info['ends']
            axes.step(ends, range(1, len(ends) + 1), where='post',
                      color=_COLOURS[way], label=_LABELS[way])
    axes.set(xscale='log', xlabel='clone times',
             ylabel='creates that are done, of 64')


def _delays(run, axes):
    delays = {'empty': 0, 'delay 2 ms': 2, 'delay 20 ms': 20}
    for way in _LABELS:
        found = [(delay, each.median * 1000) for name, delay in delays.items()
                 for each in run.all(scenario='hit', way=way, condition=name)]
        if found:
            axes.plot(*zip(*found), 'o-', color=_COLOURS[way],
                      label=_LABELS[way])
    axes.set(yscale='log', xlabel='delay of each API reply, in ms',
             ylabel='create of a cached image, in ms')


def _first(run, axes):
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
