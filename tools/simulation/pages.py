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

"""The tables of the page."""

from figures import tables


def _rule(found):
    return tables.table(
        ['Nodes', 'Queues', 'Greatest distance, in rounds'],
        [[row['nodes'], f'{row["least"]:,} to {row["most"]:,} '
          f'({row["queues"]} of them)', row['distance']]
         for row in found['rule']])


def _storms(found):
    return tables.table(
        ['Creates', 'Bound', 'Mean', 'Latest', 'Replicas'],
        [[row['size'], row['bound'], row['mean'], row['max'],
          row['replicas']]
         for row in found['storms'] if row['nodes'] == 4])


def _processes(found):
    return tables.table(
        ['Cluster', 'Processes', 'Images', 'Last end', 'Latest', 'Ratio',
         'Greatest', 'Replicas', 'Refused'],
        [['queues' if row['queues'] else 'refuses', row['hosts'],
          '%s, one each' % row['images'] if row['own'] else row['images'],
          row['end'], row['max'], row['ratio'], row['max_ratio'],
          row['replicas'], row['refused']] for row in found['processes']])


def _seconds(times):
    return ' / '.join(f'{time:.1f}' for time in times)


def _loads(rows):
    return tables.table(
        ['Nodes', 'Hosts', 'Load', 'Created a second', 'At most',
         'Seconds', 'At best', 'Calls a second', 'Peak',
         '``ListSyncJobs`` a second', 'Refusals a create', 'Gave up',
         'Replicas', 'Made'],
        [[row['nodes'], row['hosts'], f'{row["load"]:.0%}',
          row['throughput'], row['bound'], _seconds(row['times']),
          _seconds(row['ideal']), row['calls'], row['peak_calls'],
          row['listings'], row['refused'], row['failed'],
          row['peak_replicas'], row['made']] for row in rows])


def _misses(found):
    return tables.table(
        ['``sf_template_max_count``', 'Creates without a template'],
        [[row['kept'], f'{row["missed"]:.1%}'] for row in found['misses']])


def by_name(found):
    """Return the tables by name."""
    return {'rule': _rule(found), 'storms': _storms(found),
            'processes': _processes(found), 'hours': _loads(found['hours']),
            'bursts': _loads(found['burst']),
            'overload': _loads(found['overload']),
            'misses': _misses(found)}
