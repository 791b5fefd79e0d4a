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

"""Tests of how a request comes by a template."""

from concurrent import futures
import dataclasses
import itertools
import threading
from unittest import mock

import ddt

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import single_flight
from cinder.volume.drivers.solidfire_template_cache.templates import (
    fill_failures)
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import provider

HIT, MISS, WAITED = provider.Outcome
REFUSAL = exceptions.FillRefused(reason='of the test')
LATER = base.T0 + base.HOUR
OTHER_CONTENT = metadata.Content('sha512', 'ef' * 64, 9)

IMAGE = fixtures.image()
# The record was edited; the data is the same.
EDITED = fixtures.image(updated_at=LATER)
NEWER = fixtures.image(updated_at=LATER, content=OTHER_CONTENT)
LOCK = locks.for_image(base.CLUSTER_ID, IMAGE.id)


def template(volume_id=7, image=IMAGE, **changes):
    return fixtures.template(volume_id=volume_id, image=image, **changes)


class ProviderTestCase(base.TemplatesTestCase):

    def setUp(self):
        super().setUp()
        self.failures = self.mock_object(
            fill_failures, 'FillFailures', autospec=True).return_value
        self.watch = self.failures.watch.return_value = mock.create_autospec(
            fill_failures.FailureWatch, instance=True)
        self.found = []
        self.store.find.side_effect = lambda image_id: list(self.found)
        self.store.refresh.side_effect = (
            lambda found, image: model.refreshed(found, image, base.T0))
        self.filler.fill.side_effect = self.fill
        self.provider = self.new_provider()

    def new_provider(self):
        return provider.TemplateProvider(self.cluster, self.store,
                                         self.filler, self.pruner)

    def fill(self, req):
        """Fill a template as the filler does, with the lock held."""
        self.assertIn(LOCK, self.locks.held)
        self.found.append(template(21, req.image))
        return self.found[-1]

    def get(self, image=IMAGE):
        self.request = self.new_request(image)
        return self.provider.get_or_fill(self.request)

    def assert_gets(self, volume_id, outcome, image=IMAGE, finds=None):
        """Check what a request gets and how often templates are listed."""
        self.store.find.reset_mock()
        provided = self.get(image)
        self.assertEqual((volume_id, outcome),
                         (provided.template.volume_id, provided.outcome))
        if finds is not None:
            self.assertEqual([mock.call(IMAGE.id)] * finds,
                             self.store.find.mock_calls)
        return provided.template

    def assert_fails(self, error_class, image=IMAGE):
        return self.assertRaises(error_class, self.get, image)


@ddt.ddt
class GetTestCase(ProviderTestCase):

    def tearDown(self):
        # No lock, no fill, no removal of superseded or unfinished ones.
        self.assertEqual([], self.locks.taken + self.locks.waits)
        self.assertEqual([], self.pruner.mock_calls + self.filler.mock_calls)
        super().tearDown()

    def test_hit_lists_once_and_takes_no_lock(self):
        # Bug 1758414.
        self.found = [template(1, state=model.State.FILLING),
                      template(2, active=False), template(3, IMAGE),
                      template(4, EDITED), template(5, EDITED)]
        self.assert_gets(4, HIT, finds=1)
        self.assert_gets(4, HIT, finds=0)
        self.locks.held.add(LOCK)
        self.assert_gets(4, HIT, finds=0)

    def test_hit_with_edited_record(self):
        # A later record is stored once; an earlier one changes nothing.
        self.found = [template()]
        for image, refreshes in ((IMAGE, 0), (EDITED, 1), (EDITED, 1),
                                 (IMAGE, 1)):
            found = self.assert_gets(7, HIT, image)
            self.assertEqual(refreshes, self.store.refresh.call_count)
        self.store.refresh.assert_called_once_with(template(), EDITED)
        self.assertEqual(LATER, found.image.updated_at)

    @ddt.data((base.api_error(), 1),
              (exceptions.TemplateCacheError(reason='of the test'), 1),
              (base.api_error('xGone', errors.NotFound), 0))
    @ddt.unpack
    def test_hit_whose_record_cannot_be_refreshed(self, failure, lines):
        # The data is right; the next request tries again.
        self.found = [template()]
        self.store.refresh.side_effect = failure
        for count in (1, 2):
            self.assertEqual(IMAGE, self.assert_gets(7, HIT, EDITED).image)
            self.assertEqual(count, self.store.refresh.call_count)
            self.assertEqual(lines * count,
                             len(self.log.about('not refreshed', 'volume 7')))

    def test_request_with_older_data_is_stale(self):
        # It removes nothing, and costs one listing.
        self.found = [template(7, NEWER)]
        for finds in (1, 1):
            self.assert_fails(exceptions.StaleRequest)
            self.assertEqual(finds, self.store.find.call_count)
            self.store.find.reset_mock()
        self.assert_gets(7, HIT, NEWER)
        self.store.find.reset_mock()
        # What is cached shows it too.
        self.assert_fails(exceptions.StaleRequest)
        self.store.find.assert_not_called()

    def test_forget(self):
        self.found = [template()]
        found = self.assert_gets(7, HIT)
        self.provider.forget(dataclasses.replace(found, volume_id=6))
        self.assert_gets(7, HIT, finds=0)
        self.provider.forget(found)
        self.found = [template(8)]
        self.assert_gets(8, HIT, finds=1)
        self.provider.forget(template(9, fixtures.image(id='other')))

    def test_replicas_are_provided_with_their_template(self):
        self.found = [template(volume_id) for volume_id in (7, 8, 9)]
        self.assertEqual(tuple(self.found), self.get().templates)
        # Only the record of the template is refreshed.
        self.assertEqual([EDITED, IMAGE, IMAGE], [
            each.image for each in self.get(EDITED).templates])
        for gone, left in ((8, [7, 9]), (7, [9])):
            self.provider.forget(template(gone))
            self.assertEqual(left, [each.volume_id
                                    for each in self.get().templates])
        self.assertEqual(1, self.store.find.call_count)

    def test_find(self):
        # What was made since the last time is listed, and cached.
        for found, image, expected in (
                ([template(7)], IMAGE, [7]),
                ([template(7), template(8)], IMAGE, [7, 8]),
                ([template(9, NEWER)], IMAGE, []),
                ([template(9, NEWER)], NEWER, [9])):
            self.found = found
            self.assertEqual(expected, [
                each.volume_id for each in self.provider.find(image)])
        self.assert_gets(9, HIT, NEWER, finds=0)

    def get_together(self, find):
        """Let eight requests look up at the same time.

        :param find: looks up in place of the store, given the number of the
            call; the first call comes when all requests have begun
        :returns: the HIT or the error of each, and the number of look-ups
        """
        arrived, numbers = threading.Semaphore(0), itertools.count(1)

        def wanted():
            # Each looks into the cache first.
            arrived.release()
            return False

        def find_numbered(image_id):
            number = next(numbers)
            for _i in range(8 if number == 1 else 0):
                self.assertTrue(arrived.acquire(timeout=60))
            return find(number)

        self.signatures_wanted.side_effect = wanted
        self.store.find.side_effect = find_numbered
        with futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(self.provider.get_or_fill,
                                 self.new_request()) for _i in range(8)]
        return ([each.exception() or each.result().outcome
                 for each in asked], next(numbers) - 1)

    def test_requests_at_the_same_time_look_up_once(self):
        outcomes, finds = self.get_together(lambda number: [template()])
        self.assertEqual([HIT] * 8, outcomes)
        self.assertEqual(1, finds)

    def test_requests_at_the_same_time_do_not_fail_one_after_the_other(self):
        # Each may take as long as the retries of a call.
        failure, others = base.api_error(), threading.Barrier(7)

        def find(number):
            if number > 1:
                others.wait(timeout=5)
            raise failure

        outcomes, finds = self.get_together(find)
        self.assertEqual([failure] * 8, outcomes)
        self.assertEqual(8, finds)

    def test_requests_after_another_look_up_that_failed(self):
        # An error of another request is not one of theirs.
        failure = base.api_error()

        def find(number):
            if number == 1:
                raise failure
            return [template()]

        outcomes, _finds = self.get_together(find)
        self.assertEqual(1, outcomes.count(failure))
        self.assertEqual(7, outcomes.count(HIT))

    def test_number_of_cached_templates_is_bounded(self):
        self.mock_object(provider, '_MAX_CACHED', 1)
        self.provider = self.new_provider()
        self.found = [template()]
        self.assert_gets(7, HIT, finds=1)
        other = fixtures.image(id=fake.OBJECT_ID)
        self.found = [template(8, other)]
        self.get(other)
        self.found = [template()]
        self.assert_gets(7, HIT, finds=1)

    def test_cached_template_that_no_longer_serves(self):
        # Bug 1823445: signatures count now.
        self.found = [template()]
        self.assert_gets(7, HIT)
        self.signatures_wanted.return_value = True
        self.found = [template(8, signature_verified=False)]
        self.assert_gets(8, HIT, finds=1)

    def test_templates_that_cannot_be_listed(self):
        failure = base.api_error()
        self.store.find.side_effect = failure
        self.assertIs(failure, self.assert_fails(errors.ApiError))


@ddt.ddt
class FillTestCase(ProviderTestCase):

    def test_miss(self):
        # Looked for again under the lock, and once more after the fill.
        unfinished = template(1, state=model.State.FILLING)
        superseded = template(2, fixtures.image(
            updated_at=base.T0 - base.SECOND, content=OTHER_CONTENT))
        self.found = [unfinished, superseded]
        self.pruner.prune_unfinished.side_effect = (
            lambda found: self.assertIn(LOCK, self.locks.held))
        self.assert_gets(21, MISS, finds=3)
        self.filler.fill.assert_called_once_with(self.request)
        # The superseded one is left to housekeeping.
        self.assertEqual(
            [mock.call.prune_unfinished([unfinished, superseded])],
            self.pruner.mock_calls)
        # One lock for a cluster and image (bug 1705442, 4d3e1e7c3).
        [(name, seconds, purpose)] = self.locks.waits
        self.assertEqual((LOCK, 100), (name, seconds))
        self.assertIn(IMAGE.id, purpose)
        self.assertIn(self.request.volume.id, purpose)
        self.assertEqual([LOCK], self.locks.taken)
        self.assertEqual(set(), self.locks.held)
        self.failures.watch.assert_called_once_with(IMAGE)
        self.assert_gets(21, HIT, finds=0)

    # What is listed after the fill, or its error; what is cloned: all hosts
    # agree on one (fd495d010), else what was filled serves.
    @ddt.data(([template(20), template(21)], 20), ([template(22)], 21),
              ([], 21), ([template(20, NEWER)], 21), (base.api_error(), 21))
    @ddt.unpack
    def test_miss_and_listing_after_it(self, listed, expected):
        self.filler.fill.side_effect = None
        self.filler.fill.return_value = template(21)
        self.store.find.side_effect = [[], [], listed]
        self.assert_gets(expected, MISS)

    def test_miss_that_downloads_an_edited_image(self):
        # It was edited after the request was made.
        self.filler.fill.side_effect = None
        self.filler.fill.return_value = template(21, EDITED)
        self.assert_gets(21, MISS)
        self.store.refresh.assert_not_called()
        # The next requests with the older record do not download it again.
        for _i in range(2):
            self.assert_gets(21, HIT)

    def test_miss_that_downloads_newer_data(self):
        for content in (OTHER_CONTENT, None):
            newer = dataclasses.replace(NEWER, content=content)
            self.provider = self.new_provider()
            self.filler.fill.side_effect = lambda req: template(21, newer)
            exc = self.assert_fails(exceptions.StaleRequest)
            self.assertIn(LATER.isoformat(), str(exc))

    def test_miss_after_another_look_up(self):
        # Of the same version of the image; it found none. Looked for again
        # under the lock, and after the fill.
        lookups = self.mock_object(single_flight, 'SingleFlight',
                                   autospec=True).return_value
        lookups.run.return_value = None
        self.provider = self.new_provider()
        self.assert_gets(21, MISS, NEWER, finds=2)
        lookups.run.assert_called_once_with(NEWER, mock.ANY, mock.ANY)

    def test_fill_that_fails(self):
        failure = OSError('of the test')
        self.filler.fill.side_effect = failure
        self.assertIs(failure, self.assert_fails(OSError))
        self.failures.note.assert_called_once_with(IMAGE, failure)
        self.assertEqual(set(), self.locks.held)
        self.filler.fill.side_effect = self.fill
        self.assert_gets(21, MISS)

    def test_fill_after_leftovers_that_cannot_be_removed(self):
        # Otherwise one more would be left by each request.
        failure = base.api_error()
        self.pruner.prune_unfinished.side_effect = failure
        self.assertIs(failure, self.assert_fails(errors.ApiError))
        self.filler.fill.assert_not_called()
        self.failures.note.assert_not_called()

    # Failures of others: before the wait, during it, with the lock held.
    @ddt.data((1, [], 1, 0), (2, [LOCK], 1, 1), (2, [], 2, 1))
    @ddt.unpack
    def test_fill_that_is_pointless(self, check, held, finds, waits):
        # Bug 1605027.
        self.locks.held.update(held)
        self.watch.check.side_effect = [None] * (check - 1) + [REFUSAL]
        self.assertIs(REFUSAL, self.assert_fails(exceptions.FillRefused))
        self.assertEqual(finds, self.store.find.call_count)
        self.assertEqual(waits, len(self.locks.waits))
        self.assertEqual([], self.filler.mock_calls + self.pruner.mock_calls)


class WaitTestCase(ProviderTestCase):
    """Another request holds the lock of the image."""

    def setUp(self):
        super().setUp()
        self.locks.held.add(LOCK)

    def cache(self, found):
        """Let another request of this process find a template."""
        held, self.locks.held = self.locks.held, set()
        self.found = [found]
        self.provider.get_or_fill(self.new_request(found.image))
        self.found = []
        self.locks.held = held

    def release(self, *found):
        self.found = list(found)
        self.locks.held.remove(LOCK)

    def test_wait_that_times_out(self):
        # It costs no call but the first one.
        for seconds in (100, 0):
            self.set_conf(sf_template_wait_timeout=seconds)
            self.store.find.reset_mock()
            self.locks.meanwhile = [lambda: None] * 5
            exc = self.assert_fails(exceptions.FillWaitTimeout)
            self.assertIn('%s seconds' % seconds, str(exc))
            self.assertEqual(seconds, self.locks.waits[-1][1])
            self.assertEqual(1, self.store.find.call_count)
        self.filler.fill.assert_not_called()
        self.release()
        self.assert_gets(21, MISS)

    def test_wait_ends_when_this_process_knows_a_template(self):
        # Who waits does not take the lock in turn.
        self.locks.meanwhile = [lambda: None,
                                lambda: self.cache(template(8, EDITED))]
        self.assert_gets(8, WAITED)
        self.assertEqual([], self.locks.taken)

    def test_wait_ends_when_the_lock_is_free(self):
        # Bug 1758414: looked for again, first in the cache.
        self.locks.meanwhile = [lambda: self.release(template(8))]
        self.assert_gets(8, WAITED, finds=2)
        self.locks.held.add(LOCK)
        other = template(9, NEWER)
        self.locks.meanwhile = [lambda: (self.cache(other), self.release())]
        self.assert_gets(9, WAITED, NEWER, finds=2)
        self.filler.fill.assert_not_called()

    def test_wait_ends_when_the_other_fill_has_failed(self):
        self.locks.meanwhile = [self.release]
        self.assert_gets(21, MISS)

    def test_wait_for_a_newer_version(self):
        # The older one, though it is cached, does not end it.
        self.cache(template())
        self.locks.meanwhile = [lambda: None,
                                lambda: self.cache(template(8, NEWER))]
        self.assert_gets(8, WAITED, NEWER)

    def test_wait_ends_when_newer_data_is_there(self):
        self.locks.meanwhile = [lambda: self.cache(template(8, NEWER))]
        self.assert_fails(exceptions.StaleRequest)

    def test_waiting_requests_are_notified(self):
        # Of a new template and a failed fill, and not of hits.
        self.release()
        notified = []

        class Condition(threading.Condition):
            def notify_all(condition):
                notified.append(condition)
                super().notify_all()

        with mock.patch.object(threading, 'Condition', Condition):
            self.provider = self.new_provider()
        for action, count in ((self.get, 1), (self.get, 1),
                              (lambda: self.get(EDITED), 1),
                              (self.fail_to_fill, 2)):
            action()
            self.assertEqual([self.locks.changed] * count, notified)

    def fail_to_fill(self):
        self.filler.fill.side_effect = OSError('of the test')
        self.assert_fails(OSError, NEWER)
