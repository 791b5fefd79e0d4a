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

"""Laws of the record and of the choice that hold for whatever input."""

import dataclasses
import json

import hypothesis
from hypothesis import strategies as st

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    import strategies
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import model

Match = model.Match
SERVING = (Match.CURRENT, Match.SAME_CONTENT)

templates = st.lists(
    st.builds(dataclasses.replace, strategies.templates,
              replica_maker=st.sampled_from((None, 'maker'))),
    max_size=5, unique_by=lambda each: each.volume_id)


def compare(mine, theirs):
    return fixtures.template(image=mine).compare(theirs)


class RecordTestCase(test.TestCase):

    def from_volume(self, attributes, **members):
        return model.from_volume(fixtures.element_volume(
            attributes=attributes, access='readOnly', **members),
            fake.IMAGE_ID)

    @strategies.settings
    @hypothesis.given(
        strategies.utc_times, st.integers(1, 2 ** 63), st.integers(0, 2 ** 63),
        st.text(st.characters(codec='ascii'), max_size=40),
        st.text(st.characters(codec='ascii'), max_size=260),
        st.text(max_size=70), st.none() | st.booleans(), strategies.utc_times)
    def test_record_of_any_image_is_read_as_it_was_written(
            self, updated_at, virtual_size, size, algorithm, digest, host,
            verified, now):
        image = metadata.from_metadata(
            {'id': fake.IMAGE_ID, 'updated_at': updated_at,
             'virtual_size': virtual_size, 'size': size,
             'os_hash_algo': algorithm, 'os_hash_value': digest})
        new = model.new(image, 'f' * 36, host, verified, now)
        for template in (new, model.published(new, now),
                         model.refreshed(new, image, now),
                         model.used(new, now),
                         model.replica(new, 'f' * 36, host, 'm' * 8, now)):
            text = json.dumps(template.attributes())
            self.assertLess(len(text), 1000)
            self.assertEqual(
                dataclasses.replace(template, volume_id=11, active=True,
                                    size=2 ** 64, read_only=True),
                self.from_volume(json.loads(text), size=2 ** 64))

    @strategies.settings
    @hypothesis.given(st.data())
    def test_record_with_any_damage(self, data):
        record = data.draw(strategies.damaged(
            fixtures.template().attributes()[model.ATTRIBUTE]))
        found = self.from_volume({model.ATTRIBUTE: record})
        if found is not None:
            self.assertEqual(fake.IMAGE_ID, found.image.id)
            self.assertEqual(1, record['schema'])
            # What was read can be written, and is then the same.
            again = json.loads(json.dumps(found.attributes()))
            self.assertEqual(found, self.from_volume(again))


class ChoiceTestCase(test.TestCase):

    @strategies.settings
    @hypothesis.given(strategies.image_versions, strategies.image_versions)
    def test_compare_serves_only_the_same_data(self, mine, theirs):
        match = compare(mine, theirs)
        known = mine.content and theirs.content and (
            mine.content.algorithm == theirs.content.algorithm)
        if known:
            # Both ways, whichever record is the newer one.
            self.assertEqual(mine.content == theirs.content, match in SERVING)
            self.assertEqual(match in SERVING,
                             compare(theirs, mine) in SERVING)
        if match is Match.SAME_CONTENT:
            self.assertTrue(known)
            refreshed = model.refreshed(fixtures.template(image=mine),
                                        theirs, fixtures.T0)
            self.assertIs(Match.CURRENT, refreshed.compare(theirs))
        if match is Match.NEWER:
            self.assertGreater(mine.updated_at, theirs.updated_at)
            self.assertIs(Match.OUTDATED, compare(theirs, mine))

    def choose(self, found, image, signature_wanted):
        try:
            return model.choose(found, image, signature_wanted)
        except exceptions.StaleRequest:
            return 'stale'

    @strategies.settings
    @hypothesis.given(templates, strategies.image_versions, st.booleans(),
                      st.randoms(use_true_random=False))
    def test_choose_is_the_same_on_all_hosts(self, found, image, wanted,
                                             random):
        chosen = self.choose(found, image, wanted)
        newest = model.newest(found, wanted)
        serving = [each for each in found if each.serves(wanted)]
        matching = [each for each in serving
                    if each.compare(image) in SERVING]
        random.shuffle(found)
        self.assertEqual(chosen, self.choose(found, image, wanted))
        self.assertEqual(newest, model.newest(found, wanted))
        if chosen == 'stale' or not chosen:
            self.assertEqual([], matching)
            self.assertEqual(Match.NEWER in [
                each.compare(image) for each in serving], chosen == 'stale')
        else:
            self.assertCountEqual(matching, chosen)

    @strategies.settings
    @hypothesis.given(templates, st.booleans())
    def test_superseded_ones_are_not_needed(self, found, wanted):
        keeper = model.newest(found, wanted)
        if keeper is None:
            self.assertFalse(any(each.serves(wanted) for each in found))
            return
        superseded = model.superseded(found, keeper)
        kept = [each for each in found if each not in superseded]
        self.assertEqual(keeper, model.newest(kept, wanted))
        self.assertEqual([], model.superseded(kept, keeper))
        # Whoever knows the version that the keeper holds is served by it.
        self.assertEqual(keeper, self.choose(kept, keeper.image, wanted)[0])

    @strategies.settings
    @hypothesis.given(templates)
    def test_spare_replicas_are_not_needed(self, found):
        kept = [each for each in found if each not in model.spare(found)]
        keeper = model.newest(found, False)
        self.assertEqual(keeper, model.newest(kept, False))
        for each in model.spare(found):
            self.assertIn(keeper, self.choose(kept, each.image, False))
