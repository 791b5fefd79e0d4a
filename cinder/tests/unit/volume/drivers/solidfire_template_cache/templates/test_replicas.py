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

"""Tests of what replicas mean for the templates."""

import gc

from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.templates import replicas

IMAGE = fixtures.image()


class ReplicasTestCase(base.TemplatesTestCase):

    CONF = {'sf_template_max_replicas': 5, 'sf_emulate_512': False}

    def setUp(self):
        super().setUp()
        self.template = fixtures.template(size=3 * units.Gi)
        self.store.start_replica.return_value = models.StartedClone(
            fixtures.element_volume(id=21), handle=1, clone_id=2)
        self.clones.replicas_coming.return_value = 4
        self.capacity.check_replica.return_value = 0
        self.replicas = self.new_process()

    def new_process(self):
        return replicas.Replicas(self.cluster, self.store, self.capacity,
                                 self.provider, self.clones)

    def source_set(self, *templates, image=IMAGE):
        return self.replicas.source_set(image, templates)

    def start_replica(self):
        """Start a replica; return which process is recorded as its maker."""
        self.source_set(self.template).start_replica(7)
        return self.store.start_replica.call_args.args[1]

    def test_source_set(self):
        found = self.source_set(self.template)
        self.assertEqual((sources.Source(7, 3 * units.Gi),), found.sources)
        self.assertEqual(5, found.max_replicas)
        self.assertIs(self.template, found.template(7))
        replica = fixtures.template(volume_id=8)
        self.provider.find.return_value = self.template, replica
        self.assertEqual([7, 8], [each.id for each in found.refresh()])
        self.provider.find.assert_called_once_with(IMAGE)
        self.assertIs(replica, found.template(8))
        found.forget(8)
        self.provider.forget.assert_called_once_with(replica)

    def test_source_set_has_a_key_for_each_version_of_the_image(self):
        for changes, same in (({}, True), ({'size': 9}, True),
                              ({'id': 'other'}, False),
                              ({'content': None}, False),
                              ({'updated_at': base.T0 + base.SECOND}, False)):
            other = self.source_set(image=fixtures.image(**changes))
            self.assertEqual(same, self.source_set().key == other.key)

    def test_sources_are_known_however_many_others_there_are(self):
        # A clone that is done must not be lost. One request is served by
        # what another one, which may have ended, has found.
        first, other = self.source_set(self.template), self.source_set()
        replica = fixtures.template(volume_id=8)
        self.provider.find.return_value = self.template, replica
        first.refresh()
        del first
        self.mock_object(replicas, '_MAX_SEEN', 2)
        for number in range(3):
            self.source_set(fixtures.template(volume_id=number + 9),
                            image=fixtures.image(id='image-%s' % number))
        self.assertIs(self.template, other.template(7))
        self.assertIs(replica, other.template(8))

    def test_sources_are_known_as_long_as_requests_last(self):
        # Of a template whose record was refreshed, the later one counts.
        found = [self.source_set(self.template)]
        refreshed = fixtures.template(last_used=base.T0 + base.HOUR)
        found.append(self.source_set(refreshed))
        for each in found:
            self.assertIs(refreshed, each.template(7))
        self.assertRaises(KeyError, self.source_set(
            image=fixtures.image(id='other')).template, 7)
        del found[:], each
        gc.collect()
        self.assertRaises(KeyError, self.source_set().template, 7)

    def test_source_set_names_the_makers_of_others(self):
        maker = self.start_replica()
        replica = fixtures.template(replica_maker=maker)
        for expected in (None, maker):
            [source] = self.source_set(replica).sources
            self.assertEqual(expected, source.maker)
            self.replicas = self.new_process()

    def test_start_replica(self):
        maker = self.start_replica()
        self.capacity.check_replica.assert_called_once_with(3 * units.Gi, 4)
        self.store.start_replica.assert_called_once_with(self.template, maker,
                                                         False)
        for call, failure in (
                (self.store.start_replica,
                 base.api_error('xMaxClones', errors.Throttled)),
                (self.capacity.check_replica,
                 exceptions.CapacityLimitReached(gib=1, reason='test'))):
            call.side_effect = failure
            self.assertIs(failure, self.assertRaises(type(failure),
                                                     self.start_replica))
        self.assertEqual(2, self.store.start_replica.call_count)
        self.assertEqual(1, len(self.log.about(
            'Making replica 21 of template volume 7', IMAGE.id)))
        self.assertEqual(1, len(self.log.infos))

    def test_several_replicas_are_checked_at_once(self):
        # Seconds later, the GiB, how many more are allowed, the checks of
        # three replicas.
        for seconds, gib, room, checks in (
                (0, 1, 0, 3), (9, 1, 1, 2), (9, 1, 2, 1), (1.9, 1, 99, 1),
                (1.9, 1, 99, 0), (0.1, 1, 99, 1), (0, 2, 99, 1)):
            self.clock.advance(seconds)
            self.template = fixtures.template(size=gib * units.Gi)
            self.capacity.check_replica.reset_mock()
            self.capacity.check_replica.return_value = room
            for _i in range(3):
                self.start_replica()
            self.assertEqual(checks, self.capacity.check_replica.call_count)


class ReplicaUseTestCase(base.TemplatesTestCase):

    def test_idle(self):
        # Seconds later, what is being cloned then, what is idle of 1 and 2.
        self.usage.unused_seconds.return_value = float('inf')
        use = replicas.ReplicaUse(self.cluster, self.clones, self.usage)
        found = [fixtures.template(volume_id=each) for each in (1, 2)]
        for seconds, busy, expected in (
                (1000, {1}, []), (299, {3}, []), (1, set(), [1, 2]),
                (1, {2}, [1]), (299, {1}, []), (1, set(), [2]),
                (298, set(), [2]), (1, set(), [1, 2])):
            self.clock.advance(seconds)
            self.clones.sources.return_value = busy
            self.assertEqual(expected,
                             [each.volume_id for each in use.idle(found)])
        # The seconds since this process used replica 1, between two runs.
        for seconds, expected in ((299.9, [2]), (300, [1, 2])):
            self.usage.unused_seconds.side_effect = (
                lambda each: seconds if each.volume_id == 1 else 9999)
            self.assertEqual(expected,
                             [each.volume_id for each in use.idle(found)])
        # Without replicas it costs no call.
        self.clones.reset_mock()
        self.assertEqual([], use.idle([]))
        self.assertEqual([], self.clones.mock_calls)
