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

"""A Sphinx directive that draws the modules of a package from its imports.

::

    .. package-graph:: path/of/a/package

       upper
       lower another

Each line has the names of one layer, from top to bottom: sub-packages, and
modules that are drawn on their own. Imports have to lead to a lower layer, or
to the right in the same line; one that does not is a warning, and with ``-W``
an error. Arrows are drawn for imports, but not where a longer way leads to
the same place, and not to the last layer, which all others may use.
"""

import ast
import pathlib

from docutils.parsers.rst import directives
from sphinx.ext import graphviz
from sphinx.util import docutils
from sphinx.util import logging

LOG = logging.getLogger(__name__)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_STYLE = '''
  rankdir=TB; splines=true; nodesep=0.35; ranksep=0.5;
  node [shape=box, style="rounded,filled", fillcolor="#f4f7fa",
        color="#5b7083", fontname="sans-serif", fontsize=11];
  edge [color="#5b7083", arrowsize=0.7];
'''


class PackageGraph(docutils.SphinxDirective):

    required_arguments = 1
    has_content = True
    option_spec = {'alt': directives.unchanged}

    def run(self):
        layers = [line.split() for line in self.content if line.strip()]
        order = [name for layer in layers for name in layer]
        modules, arrows = self._read(order)
        for source, target, module in sorted(arrows):
            if order.index(source) > order.index(target):
                LOG.warning('%s imports from %s, which is above it', module,
                            target, location=self.get_location())
        node = graphviz.graphviz()
        node['code'] = _draw(layers, modules, {arrow[:2] for arrow in arrows})
        node['alt'] = self.options.get('alt', 'Modules and their imports')
        node['options'] = {'docname': self.env.docname}
        return [node]

    def _read(self, order):
        """Return the modules by name in the drawing, and the arrows.

        An arrow is a triple of the names that it joins and the module.
        """
        folder = ROOT / self.arguments[0]
        package = self.arguments[0].replace('/', '.')
        modules, arrows = {name: [] for name in order}, set()
        for path in sorted(folder.rglob('*.py')):
            self.env.note_dependency(str(path))
            module = path.relative_to(folder).with_suffix('').as_posix()
            if path.name == '__init__.py':
                continue
            name = _name_of(module, order)
            if name is None:
                LOG.warning('%s is in no layer', module,
                            location=self.get_location())
                continue
            modules[name].append(module.rpartition('/')[2])
            for imported in _imports(path, package):
                target = _name_of(imported, order)
                if target not in (None, name):
                    arrows.add((name, target, module))
        return modules, arrows


def _name_of(module, order):
    """Return under which name a module is drawn: its own or its package's."""
    for name in (module, module.partition('/')[0]):
        if name in order:
            return name
    return None


def _imports(path, package):
    """Yield the modules of the package that a module imports."""
    for statement in ast.walk(ast.parse(path.read_text())):
        if isinstance(statement, ast.ImportFrom) and (
                statement.module or '').startswith(package):
            parent = statement.module[len(package) + 1:].replace('.', '/')
            for alias in statement.names:
                yield '/'.join(filter(None, (parent, alias.name)))


def _draw(layers, modules, arrows):
    """Return the drawing in the language of graphviz."""
    base = set(layers[-1])
    shown = {(source, target) for source, target in arrows
             if target not in base}
    lines = ['digraph modules {', _STYLE]
    for layer in layers:
        for name in layer:
            lines.append('  "%s" [label=<%s>];' % (
                name, _label(name, modules[name])))
        lines.append('  {rank=same; %s}' % ' '.join(
            '"%s"' % name for name in layer))
    for upper, lower in zip(layers, layers[1:]):
        lines.append('  "%s" -> "%s" [style=invis];' % (upper[0], lower[0]))
    for source, target in sorted(shown):
        if not _has_longer_way(source, target, shown):
            lines.append('  "%s" -> "%s";' % (source, target))
    return '\n'.join([*lines, '}'])


def _label(name, members):
    if [name.rpartition('/')[2]] == members:
        return '<b>%s</b>' % name
    rows = [' &nbsp;'.join(members[start:start + 4])
            for start in range(0, len(members), 4)]
    return '<b>%s/</b><br/>%s' % (name, '<br/>'.join(rows))


def _has_longer_way(source, target, arrows):
    seen = set()
    left = [end for start, end in arrows if start == source and end != target]
    while left:
        name = left.pop()
        if name == target:
            return True
        if name not in seen:
            seen.add(name)
            left.extend(end for start, end in arrows if start == name)
    return False


def setup(app):
    app.add_directive('package-graph', PackageGraph)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
