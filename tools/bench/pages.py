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

"""The tables of the results page, and what a run prints."""

from bench import results
from figures import tables

_WAYS = {'download': 'No cache', 'image-volume': 'Image-volume cache',
         'template': 'This driver'}


def _ms(result):
    return result and f'{result.median * 1000:,.0f} ms'


def _last(result):
    return result and f'{result.value:.1f}'


def _by_way(run, cell, **info):
    return [cell(run.find(way=way, **info)) for way in _WAYS]


def _distinct(run, member, **info):
    return list(dict.fromkeys(each.info[member] for each in run.all(**info)))


def first_rows(run):
    """Return a row for each kind of image."""
    rows = []
    for image in _distinct(run, 'image', scenario='first'):
        found = [run.find(scenario='first', image=image, way=way)
                 for way in _WAYS]
        ratio = None
        if found[0] and found[2]:
            ratio = f'{found[2].median / found[0].median:.2f}'
        rows.append([image, *map(_ms, found), ratio])
    return rows


def hit_rows(run):
    """Return a row for each condition of a hit."""
    rows = []
    for condition in _distinct(run, 'condition', scenario='hit'):
        ours = run.find(scenario='hit', condition=condition, way='template')
        calls = _by_way(run, lambda each: each and f'{each.info["calls"]:.0f}',
                        scenario='hit', condition=condition)
        rows.append([
            condition, *_by_way(run, _ms, scenario='hit',
                                condition=condition),
            ' / '.join(each or '–' for each in calls),
            ours and f'{ours.info["bytes"] / 1000:.1f} kB',
            ours and f'{ours.info["polls"]:.0f}'])
    return rows


def storm_rows(run):
    """Return a row for each size of a storm of one image."""
    rows = []
    for size in sorted(_distinct(run, 'size', scenario='storm')):
        rows.append([
            size,
            _last(run.find(scenario='storm', size=size, way='image-volume')),
            *[_last(run.find(scenario='storm', size=size, way='template',
                             manner=manner)) for manner in ('refuse',
                                                            'queue')],
            results.bound(size)])
    return rows


def process_rows(run):
    """Return a row for each storm over several processes."""
    return [[each.info['processes'], each.info['images'],
             each.info['manner'], _last(each),
             ', '.join(map(str, each.info['last_ends'])),
             f'{results.fairness(each.info["last_ends"]):.2f}']
            for each in run.all(scenario='processes')]


def image_rows(run):
    """Return a row for each storm of 64 creates of other images."""
    return [[f'{each.info["images"]} cached' if each.info['images']
             else '1, not cached', _last(each), each.info['calls']]
            for each in run.all(scenario='storm of images')]


def operation_rows(run):
    """Return a row for each operation that the driver inherits."""
    rows = []
    for name in _distinct(run, 'operation', scenario='operation'):
        stock, ours = [run.find(scenario='operation', operation=name, way=way)
                       for way in ('image-volume', 'template')]
        if stock and ours:
            rows.append([
                name, _ms(stock), _ms(ours),
                f'{ours.median / stock.median:.2f}',
                f'{stock.info["calls"]} / {ours.info["calls"]}',
                f'{stock.info["connections"]} / {ours.info["connections"]}'])
    return rows


def cpu_rows(run):
    """Return a row for the CPU time of a hit."""
    found = run.find(scenario='clone_image')
    if not found:
        return []
    times = [found.info[name] for name in ('cpu', 'cpu_requests',
                                           'cpu_database')]
    times.append(times[0] - times[1] - times[2])
    return [[f'{seconds * 1000:.1f} ms' for seconds in times]]


_TABLES = {
    'storms': (('Creates at once', 'Image-volume cache', 'This driver',
                'This driver, cluster queues', 'Bound'), storm_rows),
    'storms-of-images': (('Images', 'Last end', 'Calls'), image_rows),
    'processes': (('Processes', 'Images', 'At the limit', 'Last end',
                   'Last end of each', 'Ratio'), process_rows),
    'hits': (('Cluster', *_WAYS.values(), 'Calls', 'Bytes', 'Polls'),
             hit_rows),
    'cpu': (('CPU time of a hit', 'In ``requests``', "In Cinder's database",
             "The driver's own"),
            cpu_rows),
    'first': (('Image', *_WAYS.values(), 'Ratio to no cache'), first_rows),
    'operations': (('Operation', 'Stock driver', 'This driver', 'Ratio',
                    'Calls', 'TLS connections'), operation_rows),
}


def write(run, directory):
    """Write the tables of the results page."""
    for name, (header, rows) in _TABLES.items():
        (directory / f'{name}.inc').write_text(
            tables.table(header, rows(run)))
    machine = run.machine
    cpu = f' ({machine["cpu"]})' if machine['cpu'] else ''
    (directory / 'machine.inc').write_text(
        f'Measured on {machine["cpus"]} CPUs{cpu} with Python '
        f'{machine["python"]}.\n')


def _columns(header, rows):
    texts = [['–' if cell is None else str(cell) for cell in row]
             for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip()
            for row in texts]


def summary(run):
    """Return the lines of all tables, as plain text."""
    lines = []
    for name, (header, rows) in _TABLES.items():
        found = rows(run)
        if found:
            lines += ['', f'{name}:', *_columns(header, found)]
    return lines


def comparison(compared):
    """Return the lines of a comparison, see ``results.compare``."""
    return ['', 'Ratios to the stored run:', *_columns(
        ('benchmark', 'now', 'ratio'),
        [(name, f'{value:.3g}', f'{ratio:.2f}')
         for name, value, ratio in compared])]
