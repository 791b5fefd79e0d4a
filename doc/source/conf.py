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

"""Sphinx configuration of the documentation."""

import logging
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'sphinx.ext.graphviz',
    'ext.drawings',
    'ext.tables',
]

project = 'SolidFire template cache'
copyright = 'its contributors'
master_doc = 'index'
exclude_patterns = []

graphviz_output_format = 'svg'

html_theme = 'openstackdocs'
html_theme_options = {
    'display_badge': False,
    'show_other_versions': False,
}
pygments_style = 'native'

openstackdocs_repo_name = 'cinder-solidfire-template-cache'
openstackdocs_auto_name = False
openstackdocs_auto_version = False


def setup(app):
    # The theme shows the commit and warns where there is none, as in an
    # unpacked archive; the pages do not need it.
    logging.getLogger('sphinx.openstackdocstheme.ext').addFilter(
        lambda record: 'gitsha' not in record.getMessage())
