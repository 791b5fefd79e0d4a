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

"""All tests as one suite, so that stestr runs them at once.

stestr starts from a single package, and the tests of Cinder's tree have none
in common that is part of this repository.
"""

import unittest

# Folders of tests, each with the one that their names begin in.
_FOLDERS = (
    ('cinder/tests/unit/volume/drivers/solidfire_template_cache', '.'),
    ('cinder/tests/functional/solidfire_template_cache', '.'),
    # After the others, which choose the kind of threads on import.
    ('tools/bench', 'tools'), ('tools/figures', 'tools'),
    ('tools/simulation', 'tools'))


def load_tests(loader, standard_tests, pattern):
    """Return all tests, by the load_tests protocol of unittest."""
    return unittest.TestSuite(loader.discover(folder, top_level_dir=top)
                              for folder, top in _FOLDERS)
