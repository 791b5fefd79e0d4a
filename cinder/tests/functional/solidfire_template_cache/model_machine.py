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

"""The model's state machine: the steps that may follow one another."""

import contextlib
import copy
import datetime
import functools
import re

from hypothesis import stateful
from hypothesis import strategies

from cinder import context
from cinder.tests.functional.solidfire_template_cache import model
from cinder.tests.functional.solidfire_template_cache import model_hosts
from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.templates import replicas

COUNTED = ('runs', 'steps', 'creates', 'clones', 'fallbacks', 'refusals',
           'crashes', 'deletes', 'rounds', 'changes', 'replicas')

# What a warning says when something may be left behind.
_LEFT = re.compile(r'\bleft\b(?! alone)')

# Seconds until Cinder's scheduler has a request tried again, or a user
# gives up on a volume; more than any clone takes here.
_RETRY_SECONDS = 30

CHANGES = ('request on other host', 'restart other host',
           'housekeeping on other host', *model.CHANGES)

# What has most effects fails most often.
_EFFECTS = ('CreateVolume', 'ModifyVolume', 'CloneVolume', 'GetAsyncResult',
            'DeleteVolume')
_calls = strategies.sampled_from(
    model_hosts.METHODS + 2 * model_hosts.GLANCE_CALLS + 2 * _EFFECTS)
_numbers = strategies.sampled_from((1, 1, 1, 2, 3))
_moments = strategies.sampled_from(('before', 'after'))
_none = strategies.just(model_hosts.NONE)
_moment = strategies.tuples(_calls, _numbers, _moments)
_crash = strategies.builds(model_hosts.Crash, _moment)
_fault = strategies.builds(
    lambda what, *how: model_hosts.Fault(*what, *how),
    strategies.sampled_from(model_hosts.possible_faults(
        model_hosts.METHODS + 2 * _EFFECTS)),
    strategies.sampled_from((0, 0, 0, 1, 2)),
    strategies.sampled_from((1, 1, 2, 4, None)))
_change = strategies.builds(model_hosts.ExternalChange, _moment,
                            strategies.sampled_from(CHANGES))
_disturbance = strategies.one_of(
    _fault, _change, _change,
    strategies.builds(model_hosts.Faults, strategies.lists(
        _fault, min_size=2, max_size=3).map(tuple)),
    strategies.builds(model_hosts.GlanceFailure, strategies.integers(1, 4),
                      _moments))
_host = strategies.integers(0, 1)
_slot = strategies.integers(0, len(model.KINDS) - 1)


class Machine(stateful.RuleBasedStateMachine):
    """Two hosts, one cluster; tenants, operators and the Image service."""

    test = None

    def __init__(self):
        super().__init__()
        self.test.clear_cluster()
        for name in 'sim', 'clock', 'images', 'rules', 'counts', 'network':
            setattr(self, name, getattr(self.test, name))
        self.images.begin()
        self.rules.begin()
        self.counts['runs'] += 1
        self.hosts = [
            model_hosts.Host('host%d' % number, self.test.start_host,
                             self.network, self._change)
            for number in range(2)]
        self.environment = model.Environment(self.test)
        self.requests = []
        self.requested = 0
        self.idle_since = {}
        self.slot = 0

    @stateful.initialize(shared=strategies.booleans(),
                         clone_seconds=strategies.sampled_from((0.2, 8)))
    def begin(self, shared, clone_seconds):
        """Give the hosts common locks or not, and a fast cluster or not."""
        self.sim.cluster.jobs.seconds = clone_seconds
        self.rules.shared = shared
        self.test.share_locks(self.hosts, shared)

    # Tenants

    @stateful.rule(host=_host, slot=_slot,
                   project=strategies.sampled_from((0, 0, 1)),
                   size=strategies.sampled_from((1, 1, 2)),
                   age=strategies.sampled_from((0, 0, 0, 1, 2)),
                   encrypted=strategies.sampled_from((False,) * 9 + (True,)),
                   download=strategies.booleans())
    def create(self, host, slot, project, size, age, encrypted, download):
        """Request a volume of an image, maybe of an old version of it."""
        self.slot = slot
        self._serve(self.hosts[host], self._request(
            host, self.images.version(slot, age), project=project, size=size,
            encrypted=encrypted), model_hosts.NONE, download)

    @stateful.rule(host=_host, slot=_slot, updated=strategies.booleans(),
                   download=strategies.booleans(), disturbance=_disturbance)
    def create_disturbed(self, host, slot, updated, download, disturbance):
        """Request a volume, maybe the first of a version of an image."""
        self.slot = slot
        if updated:
            self.images.change(slot, model.SIZES[0])
        self._serve(self.hosts[host], self._request(
            host, self.images.version(slot, 0)), disturbance, download)

    @stateful.rule(host=_host, slot=_slot, updated=strategies.booleans(),
                   crash=_crash)
    def create_and_die(self, host, slot, updated, crash):
        self.create_disturbed(host, slot, updated, False, crash)

    @stateful.precondition(lambda self: any(
        self._is_open(request) for request in self.requests))
    @stateful.rule(host=_host, which=strategies.integers(0, 3),
                   download=strategies.booleans(),
                   disturbance=strategies.one_of(
                       _none, _none, _crash, _disturbance))
    def retry(self, host, which, download, disturbance):
        """Let the scheduler try a host with what did not succeed."""
        waiting = [request for request in self.requests
                   if self._is_open(request)]
        request = waiting[which % len(waiting)]
        self.clock.advance(_RETRY_SECONDS)
        volume = request.volume
        volume.host = self.hosts[host].name + '@solidfire#solidfire'
        volume.scheduled_at = (volume.created_at +
                               datetime.timedelta(seconds=_RETRY_SECONDS))
        self._serve(self.hosts[host], request, disturbance, download)

    @stateful.precondition(lambda self: self.requests)
    @stateful.rule(host=_host, which=strategies.integers(0, 9),
                   disturbance=strategies.one_of(_none, _none, _crash))
    def delete(self, host, which, disturbance):
        """Delete a volume, complete or not."""
        request = self.requests[which % len(self.requests)]
        self.clock.advance(_RETRY_SECONDS)
        request.done, request.can_retry = None, False
        self.counts['deletes'] += 1
        if self._run(self.hosts[host], disturbance,
                     lambda driver: driver.delete_volume(request.volume)):
            self.test.assertEqual([], [
                volume for volume in self.test.volumes_named(request.name)
                if volume.status == 'active'])
            self.requests.remove(request)

    @stateful.rule(host=_host, slot=_slot,
                   change=strategies.sampled_from(CHANGES))
    def change(self, host, slot, change):
        """Change something between two requests."""
        self.slot = slot
        self._change(change, self.hosts[host])

    @stateful.rule(host=_host, slot=_slot, disturbance=strategies.one_of(
        _none, _none, _crash, _disturbance))
    def make_replicas(self, host, slot, disturbance):
        """Let a queue of requests make replicas of a template."""
        self.create(host, slot, 0, 1, 0, False, False)
        if self.sim.cluster.jobs.running():
            # A host that died may have been making one.
            return
        image = self.images.version(slot, 0)
        before = len(self.test.copies())
        with self._disturbed(disturbance):
            self._run(self.hosts[host], disturbance,
                      lambda driver: scenario.make_replicas(
                          self.test.service(driver), image).close())
        self.counts['replicas'] += max(0, len(self.test.copies()) - before)

    @stateful.rule(host=_host, disturbance=strategies.one_of(
        _none, _none, _crash, _disturbance))
    def run_housekeeping(self, host, disturbance):
        self._run_housekeeping(self.hosts[host], disturbance)

    @stateful.invariant()
    def rules_hold(self):
        self.counts['steps'] += 1
        self.rules.check(self.requests)

    # How a request goes

    def _request(self, host, metadata, project=0, size=1, encrypted=False):
        """Note a new request, and return it."""
        self.requested += 1
        self.counts['creates'] += 1
        request = model.Request(
            self.test.new_volume(
                size=size,
                id='%08d-2222-4000-8000-000000000000' % self.requested,
                project_id=model.PROJECTS[project],
                encryption_key_id=fake.ENCRYPTION_KEY_ID if encrypted
                else None,
                host=self.hosts[host].name + '@solidfire#solidfire'),
            metadata, self.images.raw_of(metadata))
        self.requests.append(request)
        if request.eligible:
            self.rules.requested.add((metadata['id'],
                                      request.volume.project_id))
        return request

    @staticmethod
    def _is_open(request):
        return request.done is None and request.can_retry

    def _serve(self, host, request, disturbance, download=True, alone=True):
        """Let a host serve a request, and check the result."""
        before = self.rules.leftovers(self.requests)
        must_succeed = (disturbance is model_hosts.NONE and alone and
                        request.eligible and
                        self.images.is_current(request.metadata) and
                        self.rules.has_room(request.metadata['id']))
        result, warnings = self._clone(host, request, disturbance)
        if result is None:
            return
        new = self.rules.new_leftovers(self.requests, before)
        if result[1]:
            self.test.assertTrue(request.eligible)
            self.counts['clones'] += 1
            request.finish(result[0], request.raw)
            new.discard((request.number, 'a volume of no request'))
        else:
            self.test.assertEqual((None, False), result)
            self.test.assertFalse(must_succeed, warnings)
        self._check_warnings(request, result[1], warnings)
        if not _LEFT.search(' '.join(warnings)):
            self.test.assertEqual(set(), new)
        if not result[1] and download:
            self._download_image(host, request, warnings)

    def _clone(self, host, request, disturbance):
        """Return result and warnings; the result is None if the host died."""
        glance = model_hosts.Glance(self.images, self.network, disturbance)
        project = request.volume.project_id
        results = []
        with self._disturbed(disturbance) as warnings:
            self._run(host, disturbance, lambda driver: results.append(
                driver.clone_image(
                    context.RequestContext(fake.USER_ID, project),
                    request.volume, (None, None),
                    copy.deepcopy(request.metadata), glance)))
        return results[0] if results else None, warnings

    def _check_warnings(self, request, cloned, warnings):
        """Check that one warning says why a request fell back."""
        reasons = [text for text in warnings if 'falls back' in text]
        if cloned or not request.eligible:
            self.test.assertEqual([], reasons)
        else:
            self.counts['fallbacks'] += 1
            self.test.assertEqual(1, len(reasons), warnings)
            self.test.assertIn(request.volume.id, reasons[0])
        if not request.eligible:
            self.counts['refusals'] += 1
            self.test.assertEqual([], warnings)

    def _download_image(self, host, request, warnings):
        try:
            model_update = host.run(functools.partial(
                solidfire.SolidFireDriver.create_volume,
                volume=request.volume))
        except solidfire.SolidFireDuplicateVolumeNames:
            # Only what could not be removed, and was reported.
            self.test.assertRegex(' '.join(warnings), _LEFT)
        else:
            request.finish(model_update, b'')

    def _run_housekeeping(self, host, disturbance, alone=True):
        self.counts['rounds'] += 1
        before = self.rules.leftovers(self.requests)
        failures = []

        def run(driver):
            try:
                self.test.run_housekeeping(driver)
            except errors.ElementError as exc:
                # The runner logs it.
                failures.append(str(exc))

        with self._disturbed(disturbance) as warnings:
            alive = self._run(host, disturbance, run)
        if alive and not warnings + failures:
            self.test.assertLessEqual(self.rules.leftovers(self.requests),
                                      before)
        if disturbance is model_hosts.NONE and alone:
            self.rules.check_housekeeping(warnings + failures)
            self._check_replicas(host.driver)

    def _check_replicas(self, driver):
        """Check that a host has removed what it has seen idle before."""
        if self.sim.cluster.jobs.running():
            self.idle_since.clear()
            return
        now = self.clock.monotonic()
        for volume in self.test.copies():
            if volume.volume_id not in self.rules.altered:
                self.test.assertLess(now - self.idle_since.setdefault(
                    (driver, volume.volume_id), now), replicas.IDLE_SECONDS)

    @contextlib.contextmanager
    def _disturbed(self, disturbance):
        """Yield a list; then put the warnings into it that were logged."""
        begin = len(self.test.log.warnings)
        found = []
        disturbance.begin(self.sim)
        try:
            yield found
        finally:
            found.extend(self.test.log.warnings[begin:])
            if disturbance is not model_hosts.NONE:
                self.sim.faults.clear()

    def _run(self, host, disturbance, call):
        """Return whether the host has survived."""
        try:
            host.run(call, disturbance)
        except model_hosts.HostDied:
            self.counts['crashes'] += 1
            host.start()
            return False
        return True

    # What happens at any moment

    def _change(self, change, host):
        """Change the image of the step, or let the other host do something."""
        self.counts['changes'] += 1
        other = self.hosts[host is self.hosts[0]]
        if change == 'request on other host':
            self._serve(other, self._request(
                self.hosts.index(other), self.images.version(self.slot, 0)),
                model_hosts.NONE, alone=False)
        elif change == 'restart other host':
            other.start()
        elif change == 'housekeeping on other host':
            self._run_housekeeping(other, model_hosts.NONE, alone=False)
        else:
            getattr(self.environment, change)(self.slot)
