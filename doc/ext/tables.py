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

"""Sphinx directives that make tables from the code.

::

    .. module-table:: path/of/a/package
    .. refusal-table::
    .. rounds-table::

The first has the modules of a package and of its sub-packages, with the first
lines of their docstrings; the path is relative to the root of the repository.
The second has the members of ``eligibility.Reason``. The third has what
``clones.planning`` makes of queues. So these tables always agree with the
code.
"""

import ast
import pathlib

from docutils import nodes
from docutils.parsers import rst
from docutils import statemachine

from cinder.volume.drivers.solidfire_template_cache.clones import planning
from cinder.volume.drivers.solidfire_template_cache.image import eligibility

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Table(rst.Directive):
    """A table; subclasses define its content."""

    columns = ()
    widths = '1 3'

    def rows(self):
        """Return tuples of strings, one for each column."""
        raise NotImplementedError()

    def run(self):
        lines = ['.. list-table::', '   :header-rows: 1',
                 '   :widths: ' + self.widths, '']
        for first, *others in [self.columns, *self.rows()]:
            lines += ['   * - ' + first] + ['     - ' + each
                                            for each in others]
        node = nodes.Element()
        self.state.nested_parse(
            statemachine.StringList(lines, source=self.name),
            self.content_offset, node)
        return node.children


class ModuleTable(Table):

    required_arguments = 1
    columns = ('Module', 'Purpose')

    def rows(self):
        folder = ROOT / self.arguments[0]
        # The modules of the package itself come first.
        for path in sorted(folder.rglob('*.py'), key=lambda each: (
                each.parent != folder, each.with_suffix(''))):
            docstring = ast.get_docstring(ast.parse(path.read_text()))
            name = path.relative_to(folder).with_suffix('').as_posix()
            if docstring and name != '__init__':
                yield ('``%s``' % name.replace('__init__', ''),
                       docstring.splitlines()[0])


class RefusalTable(Table):

    columns = ('Name', 'In the log')

    def rows(self):
        for reason in eligibility.Reason:
            yield '``%s``' % reason.name, reason.value


class RoundsTable(Table):

    queues = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    nodes = (1, 2, 4, 8, 16, 40)
    columns = ('Queue', 'Without', '1 node',
               *('%s nodes' % number for number in nodes[1:]))
    widths = ' '.join('1' * len(columns))

    def rows(self):
        for queued in self.queues:
            yield (str(queued), str(-(-queued // 2)),
                   *('%s (%s)' % self.plan(queued, number)
                     for number in self.nodes))

    @staticmethod
    def plan(queued, nodes):
        """Return the rounds, and how many replicas are made for them."""
        demand = planning.Demand(queued=queued, free=2, slots=2, coming=0,
                                 per_source=2, capacity=8 * nodes)
        made = planning.replicas(demand, max_more=demand.capacity)
        return planning.rounds(demand, made), made


def setup(app):
    app.add_directive('module-table', ModuleTable)
    app.add_directive('refusal-table', RefusalTable)
    app.add_directive('rounds-table', RoundsTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
