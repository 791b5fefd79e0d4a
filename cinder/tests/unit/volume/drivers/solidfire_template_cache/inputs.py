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

"""What generated tests feed to code that reads other people's data."""

import hypothesis
from hypothesis import strategies as st

# The same examples each run, and none kept for the next one.
settings = hypothesis.settings(
    derandomize=True, database=None, deadline=None, max_examples=150,
    suppress_health_check=list(hypothesis.HealthCheck))

_leaves = (st.none() | st.booleans() | st.integers() | st.floats() |
           st.text(max_size=20))

json_values = st.recursive(
    _leaves, lambda inner: (st.lists(inner, max_size=3) |
                            st.dictionaries(st.text(max_size=8), inner,
                                            max_size=3)), max_leaves=5)


def damaged(members):
    """Generate objects like a good one, with any members lost or replaced.

    :param members: a good object
    """
    return st.fixed_dictionaries(
        {}, optional={key: st.just(value) | st.just(value) | json_values
                      for key, value in members.items()})
