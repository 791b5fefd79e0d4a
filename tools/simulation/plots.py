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

"""The plots of the page."""

from figures import plots


def write(found, directory):
    """Draw all plots into a directory."""
    plots.write({'storms': _storms, 'times': _times, 'calls': _calls,
                 'burst': _burst}, found, directory)


def _by(rows, name):
    """Group rows by a member, with a colour for each group."""
    values = sorted({row[name] for row in rows})
    return [(value, plots.COLOURS[place % len(plots.COLOURS)],
             [row for row in rows if row[name] == value])
            for place, value in enumerate(values)]


def _storms(found, figure):
    axes = figure.subplots()
    for nodes, colour, rows in _by(found['storms'], 'nodes'):
        sizes = [row['size'] for row in rows]
        axes.loglog(sizes, [row['max'] for row in rows], 'o-', color=colour,
                    label=f'{nodes} nodes' if nodes > 1 else '1 node')
        axes.loglog(sizes, [row['bound'] for row in rows], '--',
                    color=colour)
    axes.loglog(sizes, [-(-size // 2) for size in sizes], ':',
                color=plots.GREY, label='one template alone')
    axes.set(xlabel='creates at once',
             ylabel='last end, in clone times\n(dashed: the bound)')


def _times(found, figure):
    axes = figure.subplots()
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


def _calls(found, figure):
    axes = figure.subplots()
    for nodes, colour, rows in _by(found['hours'], 'nodes'):
        hosts = [row['hosts'] for row in rows]
        axes.semilogx(hosts, [row['calls'] for row in rows], 'o-',
                      color=colour, label=f'{nodes} nodes' if nodes > 1
                      else '1 node')
        axes.semilogx(hosts, [row['listings'] for row in rows], 'o--',
                      color=colour)
    axes.set(xlabel='hosts', ylim=(0, None),
             ylabel='calls a second\n(dashed: ListSyncJobs)')


def _burst(found, figure):
    figure.set_figheight(6)
    above, below = figure.subplots(2, sharex=True)
    for colour, run in zip(plots.COLOURS, found['burst']):
        minutes, replicas, running, waiting = zip(*run['samples'])
        above.plot(minutes, waiting, color=colour,
                   label='with replicas' if run['max_replicas']
                   else 'without replicas')
        if run['max_replicas']:
            below.plot(minutes, running, color=plots.COLOURS[2],
                       label='running clones')
            below.plot(minutes, replicas, color=colour, label='replicas')
    above.set(ylabel='waiting creates\n(the most in a minute)')
    below.set(xlabel='minutes', ylabel='volumes\n(the most in a minute)')
