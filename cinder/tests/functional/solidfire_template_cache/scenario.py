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

"""The base of the fault tests: one scenario, and what must hold in it."""

import contextlib
import datetime
import logging
import shutil
import traceback
from unittest import mock

from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import direct_transport
from cinder.tests.unit.volume.drivers.solidfire_template_cache import (
    fixtures as cache_fixtures)
from cinder import utils
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.clones import slot_queue
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import \
    reachability
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import model


class ScenarioTestCase(base.FunctionalTestCase):
    """A request in a given situation, and what must hold after it."""

    DATA = b'bootable' * 600
    NEW_DATA = b'rebooted' * 700

    MIN_CALLS = 3  # of an undisturbed request, lest nothing be tested
    DOWNLOADS = 0  # by an undisturbed request
    KEEPS_TEMPLATE = True  # No fault may cost another download.
    HIT = {'CloneVolume', 'GetAsyncResult', 'ListVolumes'}
    QOS = None  # of the volume, where it is not the cluster's default
    VOLUME = {'size': 1}
    OPTIONS = {}
    FAULTS = 1  # at a time
    NETWORK = False  # Calls go over a real network, which takes time.

    def setUp(self):
        super().setUp()
        if not self.NETWORK:
            self.sim.server.stop()
            self.transport = self.useFixture(
                direct_transport.DirectTransport(self.sim.server, self.clock))
            self.mock_object(utils, 'execute', _copying(utils.execute))
        # Waiting costs time even by a manual clock.
        self.driver = self.new_driver(sf_volume_clone_timeout=60,
                                      **self.OPTIONS)
        self.mock_object(solidfire.time, 'sleep', autospec=True,
                         side_effect=self.clock.sleep)

    def new_clock(self):
        # There is one thread only.
        return cache_fixtures.ManualClock()

    # The scenario

    def prepare(self):
        """Make the cluster what the scenario begins with."""
        raise NotImplementedError()

    def prepare_volume(self):
        """Return the volume that is requested."""
        return self.new_volume(**self.VOLUME)

    def request(self, image, volume):
        """Do what may be disturbed; return what clone_image returned."""
        return self.clone(image, volume)

    def applies_to(self, method):
        """Return whether faults of the method are tried here."""
        return True

    def survives(self, fault, method):
        """Return whether the request must succeed in spite of a fault."""
        return fault.is_survived(method)

    # Going through it

    def begin(self):
        """Set up the scenario again; return the image and the volume."""
        self.restore()
        if not self.NETWORK:
            self.transport.deleted.clear()
        self.clear_cluster()
        self.images.images.clear()
        self.forget(self.driver)
        self.data = self.DATA
        image = self.prepare()
        volume = self.prepare_volume()
        self.assertEqual([], self.log.warnings)
        self.log.clear()
        self.sim.reset_calls()
        del self.images.downloads[:]
        self.account_is_full = False
        self.stood_before = self.volumes_named('UUID-' + volume.id)
        self.leftovers_before = set()
        self.leftovers_before = set(self.leftovers(volume))
        return image, volume

    def restore(self):
        """Let everything work again."""
        self.sim.faults.clear()
        if not self.NETWORK:
            self.transport.restore()

    def good_run(self):
        """Return the methods that an undisturbed request calls, in order."""
        image, volume = self.begin()
        result = self.request(image, volume)
        methods = self.sim.calls.methods
        self.check_success(volume, result)
        self.check_next_requests(image)
        self.assertEqual(self.DOWNLOADS, len(self.images.downloads))
        self.assertGreaterEqual(len(methods), self.MIN_CALLS, methods)
        return methods

    def run_cases(self, cases):
        """Run all cases; report how many, and all that failed."""
        count, failed = 0, []
        for count, (name, check, *arguments) in enumerate(cases, 1):
            try:
                check(*arguments)
            except Exception:
                failed.append('%s:\n%s' % (name, traceback.format_exc()))
        print('%s: %d cases' % (self.id(), count))  # noqa: C303
        self.assertGreater(count, 0)
        if failed:
            self.fail('%d of %d cases\n%s' % (
                len(failed), count, '\n'.join(failed)))

    # What must hold

    @property
    def warnings(self):
        """The warnings of the log, except that of an outage."""
        return [record.getMessage() for record in self.log.records
                if record.levelno >= logging.WARNING and
                record.name != reachability.__name__]

    def account_names(self, volume):
        names = super().account_names(volume)
        return names + [names[0] + '_'] if self.account_is_full else names

    def check_success(self, volume, result):
        model_update, cloned = result
        self.assertEqual([], self.warnings)
        self.assertIs(True, cloned)
        self.assert_volume(volume, model_update, self.data, self.QOS)
        self.assertEqual([], self.leftovers())

    def check_fallback(self, image, volume, result):
        """Return the one warning, which says why."""
        self.assertEqual((None, False), result)
        warning, = self.warnings
        self.assertLessEqual(len(self.log.warnings) - 1, self.FAULTS)
        self.log.clear()
        self.assertRegex(
            warning, "Volume %s falls back to Cinder's image download, "
            'without a template of image %s: ..' % (volume.id, image['id']))
        return warning

    def check_reported(self, image, volume, result):
        """Check that whatever could not be removed was warned of."""
        text = self.check_either(image, volume, result)
        found = self.leftovers(None if result[1] else volume)
        if found:
            self.assertRegex(text, r'\bleft\b', found)

    def check_either(self, image, volume, result):
        """Check for the right volume, or a fallback; return the warnings."""
        if not result[1]:
            return self.check_fallback(image, volume, result)
        self.assert_volume(volume, result[0], self.data, self.QOS)
        return ' '.join(self.warnings)

    def may_have_left(self, volume, result):
        """Return whether a request may have left what was there before."""
        if result[1]:
            return self.warnings
        return (self.stood_before and self.leftovers(volume) == [] and
                self.volumes_named('UUID-' + volume.id))

    def check_image_download(self, volume):
        """Create the volume the way Cinder does after a fallback."""
        self.assertEqual([], self.volumes_named('UUID-' + volume.id))
        self.driver.create_volume(volume)
        self.assertEqual('active', self.only_volume(volume).status)

    def check_next_requests(self, image):
        """Check two more requests, and housekeeping; the last is a hit."""
        self.check_success_of(image, self.new_volume(**self.VOLUME))
        self.run_housekeeping()
        self.sim.reset_calls()
        self.check_success_of(image, self.new_volume(**self.VOLUME))
        self.assertEqual(self.HIT, set(self.sim.calls.methods))
        self.assert_no_leftovers()
        self.assertEqual(1, len(self.templates()))

    def check_success_of(self, image, volume):
        self.check_success(volume, self.clone(image, volume))

    def check_next_host(self, image, volume, result):
        """Check the next request on another host, once all works again."""
        self.log.clear()
        self.restore()
        self.driver = self.other_host()
        self.recover()
        if not result[1]:
            self.clock.advance(300)
            volume.scheduled_at = (volume.created_at +
                                   datetime.timedelta(minutes=5))
            self.check_success_of(image, volume)
        self.check_next_requests(image)

    def recover(self):
        """Do what must happen before a next request leaves nothing."""

    def leftovers(self, volume=None):
        """Return what a request has left besides complete volumes."""
        cluster = self.sim.cluster
        cluster.advance()
        found = {item.volume_id: item.status
                 for item in cluster.volumes.values()
                 if item.status != 'active' or is_filling(item)}
        versions = set()
        for item in self.templates():
            record = item.attributes.get(model.ATTRIBUTE, {})
            version = record.get('image_updated_at'), record.get('image_hash')
            if item.volume_id not in found and version in versions:
                found[item.volume_id] = 'second template'
            versions.add(version)
        if volume:
            found.update((item.volume_id, 'of the request')
                         for item in self.volumes_named('UUID-' + volume.id))
        if not self.NETWORK:
            for volume_id in self.transport.deleted:
                found.pop(volume_id, None)
        return sorted(found.items() - self.leftovers_before)


def make_replicas(service, image):
    """Let a queue of five requests make replicas, in this thread.

    :param service: the :class:`service.CacheService` of a host
    :returns: an ExitStack, which keeps the template's clone slots in use
        until it is closed, provided that there is a replica
    """
    image, busy = metadata.from_metadata(image), contextlib.ExitStack()
    clones, slots = service.scheduler, []
    queue = clones._queue
    with contextlib.suppress(errors.ElementError), busy, (
            contextlib.ExitStack()) as waiting, mock.patch.object(
                queue, '_make_replica', slots.append):
        source_set = service.replicas.source_set(
            image, service.provider.find(image))
        tickets = [stack.enter_context(queue.ticket(source_set))
                   for stack in [busy] * 2 + [waiting] * 3]
        for ticket in tickets[:2] * 3:
            with contextlib.suppress(slot_queue.QueueTimeout,
                                     slot_queue.SourcesGone):
                queue.wait(ticket, service.cluster.clock.monotonic() + 2)
            while slots:
                clones._make_replica(slots.pop())
        waiting.close()
        while slots:
            clones._make_replica(slots.pop())
        if len(tickets[0].group.source_ids) > 1:
            return busy.pop_all()
    return busy


def is_filling(volume):
    return volume.attributes.get(model.ATTRIBUTE, {}).get('state') == 'filling'


def _copying(execute):
    """Return what runs commands, except copies of raw images."""
    def run(*command, **options):
        if 'convert' in command and command.count('raw') == 2:
            shutil.copyfile(*command[-2:])
            return '', ''
        return execute(*command, **options)

    return run
