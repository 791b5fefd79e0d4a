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

"""Sphinx configuration of the release notes."""

import logging

extensions = [
    'openstackdocstheme',
    'reno.sphinxext',
]

project = 'SolidFire template cache release notes'
copyright = 'its contributors'
master_doc = 'index'
release = ''
version = ''

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
    # unpacked archive; that is no fault of the pages.
    logging.getLogger('sphinx.openstackdocstheme.ext').addFilter(
        lambda record: 'gitsha' not in record.getMessage())
