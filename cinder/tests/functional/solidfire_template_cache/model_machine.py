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
from cinder.tests.functional.solidfire_template_cache import model_others
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers import solidfire

COUNTED = ('runs', 'steps', 'creates', 'clones', 'fallbacks', 'refusals',
           'crashes', 'deletes', 'rounds', 'meddlings')

# What a warning says that something may be left behind.
_TELLS = re.compile(' left(?! alone)| stays')

# Seconds until Cinder's scheduler has a request tried again, or a user
# gives up on a volume; more than any clone takes here.
_LATER = 30

ACTS = ('ask other host', 'restart other host', 'other host keeps house',
        *model_others.ACTS)

# Where most is at stake, strike most.
_STAKES = ('CreateVolume', 'ModifyVolume', 'CloneVolume', 'GetAsyncResult',
           'DeleteVolume')
_calls = strategies.sampled_from(
    model_hosts.METHODS + 2 * model_hosts.GLANCE + 2 * _STAKES)
_numbers = strategies.sampled_from((1, 1, 1, 2, 3))
_moments = strategies.sampled_from(('before', 'after'))
_nothing = strategies.just(model_hosts.NOTHING)
_crash = strategies.builds(model_hosts.Crash, _calls, _numbers,
                           _moments)


def _mishaps(methods, ours):
    """Return a strategy for what may befall a host at its work."""
    faults = strategies.builds(
        lambda what, *how: model_hosts.Fault(*what, *how, ours),
        strategies.sampled_from(model_hosts.can_fail(methods + 2 * _STAKES)),
        strategies.sampled_from((0, 0, 0, 1, 2)),
        strategies.sampled_from((1, 1, 2, 4, None)))
    meddling = strategies.builds(model_hosts.Meddling, _calls, _numbers,
                                 _moments, strategies.sampled_from(ACTS))
    return strategies.one_of(
        faults, meddling, meddling,
        strategies.builds(model_hosts.Faults, strategies.lists(
            faults, min_size=2, max_size=3).map(tuple)),
        strategies.builds(model_hosts.GlanceFails, strategies.integers(1, 4),
                          _moments))


_mishap = _mishaps(model_hosts.METHODS, False)
# Of what fails where the stock driver collects the statistics the cache
# knows nothing.
_mishap_in_house = _mishaps(tuple(
    method for method in model_hosts.METHODS
    if method != 'GetClusterCapacity'), True)
_host = strategies.integers(0, 1)
_slot = strategies.integers(0, len(model.KINDS) - 1)


class Machine(stateful.RuleBasedStateMachine):
    """Two hosts, one cluster; tenants, operators and the Image service.

    :cvar test: the test case; a derived class has it
    """

    test = None

    def __init__(self):
        super().__init__()
        self.test.clear_cluster()
        self.sim = self.test.sim
        self.clock = self.test.clock
        self.images = self.test.images
        self.images.begin()
        self.rules = self.test.rules
        self.rules.begin()
        self.counts = self.test.counts
        self.counts['runs'] += 1
        self.wire = self.test.wire
        self.hosts = [
            model_hosts.Host('host%d' % number, self.test.start_driver,
                             self.wire, self._meddle)
            for number in range(2)]
        self.others = model_others.Others(self.test)
        # Image ids that a host has met since it was started.
        self.met = {host: set() for host in self.hosts}
        self.requests = []
        self.asked = 0
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
                   normal=strategies.booleans())
    def create(self, host, slot, project, size, age, encrypted, normal):
        """Ask for a volume of an image, maybe with old knowledge of it."""
        self.slot = slot
        self._serve(self.hosts[host], self._request(
            host, self.images.known(slot, age), project=project, size=size,
            encrypted=encrypted), model_hosts.NOTHING, normal)

    @stateful.rule(host=_host, slot=_slot, updated=strategies.booleans(),
                   normal=strategies.booleans(), trouble=_mishap)
    def create_in_trouble(self, host, slot, updated, normal, trouble):
        """Ask for a volume, maybe the first of a version of an image."""
        self._create_in_trouble(host, slot, updated, normal, trouble)

    @stateful.rule(host=_host, slot=_slot, updated=strategies.booleans(),
                   crash=_crash)
    def create_and_die(self, host, slot, updated, crash):
        self._create_in_trouble(host, slot, updated, False, crash)

    @stateful.precondition(lambda self: any(
        self._is_open(request) for request in self.requests))
    @stateful.rule(host=_host, which=strategies.integers(0, 3),
                   normal=strategies.booleans(), trouble=strategies.one_of(
                       _nothing, _nothing, _crash, _mishap))
    def retry(self, host, which, normal, trouble):
        """Have the scheduler try a host with what did not succeed."""
        waiting = [request for request in self.requests
                   if self._is_open(request)]
        request = waiting[which % len(waiting)]
        self.clock.advance(_LATER)
        volume = request.volume
        volume.host = self.hosts[host].name + '@solidfire#solidfire'
        volume.scheduled_at = (volume.created_at +
                               datetime.timedelta(seconds=_LATER))
        self._serve(self.hosts[host], request, trouble, normal)

    @stateful.precondition(lambda self: self.requests)
    @stateful.rule(host=_host, which=strategies.integers(0, 9),
                   trouble=strategies.one_of(_nothing, _nothing, _crash))
    def delete(self, host, which, trouble):
        """Delete a volume, be it whole or not."""
        request = self.requests[which % len(self.requests)]
        self.clock.advance(_LATER)
        request.done, request.retriable = None, False
        self.counts['deletes'] += 1
        if self._run(self.hosts[host], trouble,
                     lambda driver: driver.delete_volume(request.volume)):
            self.test.assertEqual([], [
                volume for volume in self.test.volumes_named(request.name)
                if volume.status == 'active'])
            self.requests.remove(request)

    @stateful.rule(host=_host, slot=_slot, act=strategies.sampled_from(ACTS))
    def act(self, host, slot, act):
        """Let one of the others act between two requests."""
        self.slot = slot
        self._meddle(act, self.hosts[host])

    @stateful.rule(host=_host, trouble=strategies.one_of(
        _nothing, _nothing, _crash, _mishap_in_house))
    def keep_house(self, host, trouble):
        """Collect a host's statistics, as its service does every minute."""
        self._keep_house(self.hosts[host], trouble)

    @stateful.invariant()
    def rules_hold(self):
        self.counts['steps'] += 1
        self.rules.check(self.requests)

    # How a request goes

    def _create_in_trouble(self, host, slot, updated, normal, trouble):
        self.slot = slot
        if updated:
            self.images.change(slot, model.SIZES[0])
        self._serve(self.hosts[host], self._request(
            host, self.images.known(slot, 0)), trouble, normal)

    def _request(self, host, metadata, project=0, size=1, encrypted=False):
        """Note a new request, and return it."""
        self.asked += 1
        self.counts['creates'] += 1
        request = model.Request(
            self.test.new_volume(
                size=size, id='%08d-2222-4000-8000-000000000000' % self.asked,
                project_id=model.PROJECTS[project],
                encryption_key_id=fake.ENCRYPTION_KEY_ID if encrypted
                else None,
                host=self.hosts[host].name + '@solidfire#solidfire'),
            metadata, self.images.raw_of(metadata))
        self.requests.append(request)
        if request.eligible:
            self.rules.asked.add((metadata['id'],
                                  request.volume.project_id))
        return request

    @staticmethod
    def _is_open(request):
        return request.done is None and request.retriable

    def _serve(self, host, request, trouble, normal=True, alone=True):
        """Have a host serve a request, and check what comes of it.

        :param normal: whether Cinder then takes its normal path; else the
            create fails for a reason that is not ours
        :param alone: whether nobody else's request is under way
        """
        before = self.rules.debris(self.requests)
        sure = (trouble.quiet and alone and request.eligible and
                self.images.is_current(request.metadata) and
                self.rules.has_room(request.metadata['id']))
        result, told = self._clone(host, request, trouble)
        if result is None:
            return
        new = self.rules.new_debris(self.requests, before)
        if result[1]:
            self.test.assertTrue(request.eligible)
            self.counts['clones'] += 1
            request.finish(result[0], request.raw)
            new.discard((request.number, 'a volume of no request'))
        else:
            self.test.assertEqual((None, False), result)
            self.test.assertFalse(sure, told)
        self._check_told(request, result[1], told)
        if not _TELLS.search(' '.join(told)):
            self.test.assertEqual(set(), new)
        if sure and request.metadata['id'] not in self.met[host]:
            # It has looked, and so it has tidied up.
            self.test.assertEqual(
                [], self.rules.debris_of(request.metadata['id']))
        self.met[host].add(request.metadata['id'])
        if not result[1] and normal:
            self._go_normal_path(host, request, told)

    def _clone(self, host, request, trouble):
        """Return the result and the warnings; nothing if the host died."""
        glance = model_hosts.Glance(self.images, self.wire, trouble)
        project = request.volume.project_id
        results = []
        with self._hearing() as told, self._in(trouble):
            self._run(host, trouble, lambda driver: results.append(
                driver.clone_image(
                    context.RequestContext(fake.USER_ID, project),
                    request.volume, (None, None),
                    copy.deepcopy(request.metadata), glance)))
        return results[0] if results else None, told

    def _check_told(self, request, cloned, told):
        """Check that one warning says why a request was not served."""
        reasons = [text for text in told
                   if 'is created without a template' in text]
        if cloned or not request.eligible:
            self.test.assertEqual([], reasons)
        else:
            self.counts['fallbacks'] += 1
            self.test.assertEqual(1, len(reasons), told)
            self.test.assertIn(request.volume.id, reasons[0])
        if not request.eligible:
            self.counts['refusals'] += 1
            self.test.assertEqual([], told)

    def _go_normal_path(self, host, request, told):
        try:
            model_update = host.run(functools.partial(
                solidfire.SolidFireDriver.create_volume,
                volume=request.volume))
        except solidfire.SolidFireDuplicateVolumeNames:
            # Only what could not be removed, and was told of.
            self.test.assertRegex(' '.join(told), _TELLS)
        else:
            request.finish(model_update, b'')

    def _keep_house(self, host, trouble, alone=True):
        self.counts['rounds'] += 1
        before = self.rules.debris(self.requests)
        with self._hearing() as told, self._in(trouble):
            alive = self._run(host, trouble, lambda driver:
                              driver.get_volume_stats(refresh=True))
        if alive and not told:
            self.test.assertLessEqual(self.rules.debris(self.requests),
                                      before)
        if trouble.quiet and alone:
            self.rules.check_round(told)

    @contextlib.contextmanager
    def _hearing(self):
        """Yield a list of the warnings that are given meanwhile."""
        heard, self.test.warnings.messages = self.test.warnings.messages, []
        try:
            yield self.test.warnings.messages
        finally:
            self.test.warnings.messages = heard

    @contextlib.contextmanager
    def _in(self, trouble):
        trouble.begin(self.sim)
        try:
            yield
        finally:
            if not trouble.quiet:
                self.sim.faults.clear()

    def _run(self, host, trouble, call):
        """Return whether the host has survived its work."""
        try:
            host.run(call, trouble)
        except model_hosts.Died:
            self.counts['crashes'] += 1
            self._restart(host)
            return False
        return True

    def _restart(self, host):
        host.start()
        self.met[host].clear()

    # What happens at any moment

    def _meddle(self, act, host):
        """Have somebody act on the image of the step, or another host."""
        self.counts['meddlings'] += 1
        other = self.hosts[host is self.hosts[0]]
        if act == 'ask other host':
            self._serve(other, self._request(
                self.hosts.index(other), self.images.known(self.slot, 0)),
                model_hosts.NOTHING, alone=False)
        elif act == 'restart other host':
            self._restart(other)
        elif act == 'other host keeps house':
            self._keep_house(other, model_hosts.NOTHING, alone=False)
        else:
            model_others.ACTS[act](self.others, self.slot)
