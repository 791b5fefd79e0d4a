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

"""The plots of the page: SVG for light and dark pages."""

import matplotlib
from matplotlib import pyplot

# Readable on white and on black.
_GREY = '#888888'
_COLOURS = ('#2f9e77', '#c2703d', '#8f7fd0', '#3f8fc4')
_STYLE = {
    'svg.hashsalt': 'simulation', 'savefig.transparent': True,
    'text.color': _GREY, 'axes.labelcolor': _GREY, 'axes.edgecolor': _GREY,
    'xtick.color': _GREY, 'ytick.color': _GREY, 'grid.color': _GREY,
    'grid.alpha': 0.3, 'axes.grid': True, 'legend.frameon': False}


def write(found, directory):
    """Draw all plots into a directory."""
    matplotlib.use('svg')
    with pyplot.rc_context(_STYLE):
        for name, draw, rows in (
                ('storms', _storms, 1), ('times', _times, 1),
                ('calls', _calls, 1), ('burst', _burst, 2)):
            figure, axes = pyplot.subplots(
                rows, figsize=(7, 3 + 1.5 * rows), sharex=True)
            draw(found, axes)
            figure.tight_layout()
            # Without a date, equal results give equal files.
            figure.savefig(directory / f'{name}.svg',
                           metadata={'Date': None, 'Creator': None})
            pyplot.close(figure)


def _by(rows, name):
    """Group rows by a member, with a colour for each group."""
    values = sorted({row[name] for row in rows})
    return [(value, _COLOURS[place % len(_COLOURS)],
             [row for row in rows if row[name] == value])
            for place, value in enumerate(values)]


def _storms(found, axes):
    for nodes, colour, rows in _by(found['storms'], 'nodes'):
        sizes = [row['size'] for row in rows]
        axes.loglog(sizes, [row['max'] for row in rows], 'o-', color=colour,
                    label=f'{nodes} nodes' if nodes > 1 else '1 node')
        axes.loglog(sizes, [row['bound'] for row in rows], '--',
                    color=colour)
    axes.loglog(sizes, [-(-size // 2) for size in sizes], ':', color=_GREY,
                label='one template alone')
    axes.set(xlabel='creates at once',
             ylabel='last end, in clone times\n(dashed: the bound)')
    axes.legend()


def _times(found, axes):
    for nodes, colour, rows in _by(found['hours'], 'nodes'):
        hosts = [row['hosts'] for row in rows]
        for place, style in ((1, 'o--'), (2, 'o-')):
            axes.semilogx(
                hosts, [row['times'][place] / row['clone_seconds']
                        for row in rows], style, color=colour,
                label=f'{nodes} node{"s" * (nodes > 1)}, load '
                f'{rows[0]["load"]:.0%}' if place == 2 else None)
    axes.set(xlabel='hosts', ylabel='clone times until served\n'
             '(99 %, dashed: 95 %)', ylim=(0, None))
    axes.legend()


def _calls(found, axes):
    for nodes, colour, rows in _by(found['hours'], 'nodes'):
        hosts = [row['hosts'] for row in rows]
        axes.semilogx(hosts, [row['calls'] for row in rows], 'o-',
                      color=colour, label=f'{nodes} nodes' if nodes > 1
                      else '1 node')
        axes.semilogx(hosts, [row['listings'] for row in rows], 'o--',
                      color=colour)
    axes.set(xlabel='hosts', ylim=(0, None),
             ylabel='calls a second\n(dashed: ListSyncJobs)')
    axes.legend()


def _burst(found, axes):
    for colour, run in zip(_COLOURS, found['burst']):
        name = 'with replicas' if run['max_replicas'] else 'without replicas'
        minutes = [sample[0] / 60 for sample in run['samples']]
        axes[0].plot(minutes, [sample[3] for sample in run['samples']],
                     color=colour, label=name)
        if run['max_replicas']:
            axes[1].plot(minutes, [sample[1] for sample in run['samples']],
                         color=colour, label='replicas')
            axes[1].plot(minutes, [sample[2] for sample in run['samples']],
                         color=_COLOURS[2], linewidth=0.7,
                         label='running clones')
    axes[0].set(ylabel='waiting creates')
    axes[1].set(xlabel='minutes', ylabel='volumes')
    for each in axes:
        each.legend()
