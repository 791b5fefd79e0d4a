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
"""Generated input for code that reads data of users and of a cluster."""

import datetime

import hypothesis
from hypothesis import strategies as st

from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import model

# The same examples in each run, and none kept for the next one.
settings = hypothesis.settings(
    derandomize=True, database=None, deadline=None, max_examples=150,
    suppress_health_check=list(hypothesis.HealthCheck))

_leaves = (st.none() | st.booleans() | st.integers() | st.floats() |
           st.text(max_size=20))

json_values = st.recursive(
    _leaves, lambda inner: (st.lists(inner, max_size=3) |
                            st.dictionaries(st.text(max_size=8), inner,
                                            max_size=3)), max_leaves=5)

utc_times = st.datetimes(timezones=st.just(datetime.timezone.utc))

any_values = (json_values | st.binary(max_size=20) | utc_times |
              st.datetimes() | st.dates() | st.integers(2 ** 62, 2 ** 80) |
              st.text(min_size=300, max_size=400) |
              st.tuples(st.text(max_size=5)) | st.sets(st.integers()))
"""Values of any Python type, not only those of JSON."""


def damaged(members):
    """Generate objects like a good one, with any members lost or replaced.

    :param members: a good object
    """
    return st.fixed_dictionaries(
        {}, optional={key: st.just(value) | st.just(value) | json_values
                      for key, value in members.items()})


def nearly(members, replacements=any_values):
    """Generate objects in which at most two members of a good one differ."""
    names = st.sampled_from(sorted(members))
    return st.dictionaries(names, replacements, max_size=2).map(
        lambda changes: dict(members, **changes))


contents = st.none() | st.builds(
    metadata.Content, st.sampled_from(('md5', 'sha512')),
    st.sampled_from(('ab', 'cd')), st.sampled_from((1, 2)))

image_versions = st.builds(
    metadata.Image, st.just(fake.IMAGE_ID),
    # Few times, so that equal ones are frequent.
    st.integers(0, 3).map(lambda seconds: datetime.datetime(
        2026, 1, 1, 0, 0, seconds, tzinfo=datetime.timezone.utc)),
    st.integers(1, 3), st.integers(0, 2), contents)
"""Versions of one image, as Glance and other hosts may know them."""

templates = st.builds(
    model.Template, st.integers(1, 9), st.integers(1, 3), st.booleans(),
    st.booleans(), st.sampled_from(model.State), image_versions,
    st.just('fill'), st.just('host'), st.none() | utc_times,
    st.none() | utc_times, st.none() | st.booleans())
