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

The first has the modules of a package and of its sub-packages, with the first
lines of their docstrings; the path is relative to the root of the repository.
The second has the members of ``eligibility.Reason``. So these tables always
agree with the code.
"""

import ast
import pathlib

from docutils import nodes
from docutils.parsers import rst
from docutils import statemachine

from cinder.volume.drivers.solidfire_template_cache.image import eligibility

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Table(rst.Directive):
    """A table of two columns; subclasses define its content."""

    columns = ()

    def rows(self):
        """Return pairs of strings."""
        raise NotImplementedError()

    def run(self):
        lines = ['.. list-table::', '   :header-rows: 1', '   :widths: 1 3',
                 '']
        for first, second in [self.columns, *self.rows()]:
            lines += ['   * - ' + first, '     - ' + second]
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


def setup(app):
    app.add_directive('module-table', ModuleTable)
    app.add_directive('refusal-table', RefusalTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
