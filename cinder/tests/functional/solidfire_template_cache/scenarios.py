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

"""The situations that a request can meet, and how faults are tried there."""

import datetime
import itertools

from oslo_utils import timeutils

from cinder.tests.functional.solidfire_template_cache import direct_transport
from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume import volume_types


class FirstRequest(scenario.ScenarioTestCase):
    """An empty cluster: accounts are created, a template filled, cloned."""

    MIN_CALLS = 12
    DOWNLOADS = 1
    KEEPS_TEMPLATE = False

    def prepare(self):
        return self.images.add(self.DATA)


class AccessGroup(FirstRequest):
    """The same with volume access groups: what attaching calls then."""

    MIN_CALLS = 18
    OPTIONS = {'sf_enable_vag': True}

    def applies_to(self, method):
        return 'AccessGroup' in method

    def survives(self, fault, method):
        # Attaching is the stock driver's own work, with its own retries.
        return False


class ColdHit(scenario.ScenarioTestCase):
    """The template exists, and this process has just started."""

    MIN_CALLS = 7

    def prepare(self):
        image = self.images.add(self.DATA)
        self.plant(image, self.DATA)
        return image


class WarmHit(ColdHit):
    """The template exists, and this process has it cached."""

    MIN_CALLS = 3

    def prepare(self):
        image = super().prepare()
        self.clone(image)
        return image


class Refill(WarmHit):
    """The image has other data by now: a new template is filled."""

    MIN_CALLS = 7
    DOWNLOADS = 1
    KEEPS_TEMPLATE = False

    def prepare(self):
        self.data = self.NEW_DATA
        return self.images.replace(super().prepare()['id'], self.NEW_DATA)


class TagEdit(WarmHit):
    """Only the image's record changed: the template's is refreshed."""

    MIN_CALLS = 4

    def prepare(self):
        return self.images.touch(super().prepare()['id'])


class OwnQos(WarmHit):
    """A volume with QoS of its own, and larger than the template."""

    MIN_CALLS = 4
    HIT = WarmHit.HIT | {'ModifyVolume'}
    QOS = {'minIOPS': 200, 'maxIOPS': 400, 'burstIOPS': 800}

    def setUp(self):
        super().setUp()
        type_id = volume_types.create(
            self.context.elevated(), 'limited',
            {'qos:' + key: str(value) for key, value in self.QOS.items()}).id
        self.VOLUME = {'size': 2, 'volume_type_id': type_id}


class InterruptedFill(FirstRequest):
    """A host has died while it was filling the first template."""

    def prepare(self):
        image = super().prepare()
        self.plant(image, b'half', access='readWrite',
                   state=model.State.FILLING, fill_id='of a host that died')
        return image

    def applies_to(self, method):
        # The rest is that of a first request.
        return method in ('DeleteVolume', 'PurgeDeletedVolume', 'ListVolumes')


class Housekeeping(ColdHit):
    """Housekeeping removes an unfinished and a second template."""

    MIN_CALLS = 12

    def prepare(self):
        image = super().prepare()
        self.plant(image, self.DATA)
        self.plant(image, b'half', access='readWrite',
                   state=model.State.FILLING, fill_id='of a host that died')
        return image

    def request(self, image, volume):
        self.interrupted = []
        try:
            self.run_housekeeping()
        except errors.ElementError as exc:
            # The templates could not be listed; the runner logs it.
            self.interrupted.append(str(exc))
        self.interrupted += self.warnings
        self.log.clear()
        return super().request(image, volume)

    def may_have_left(self, volume, result):
        return self.interrupted

    def recover(self):
        self.run_housekeeping()

    def check_reported(self, image, volume, result):
        # What housekeeping has left is found by its next run.
        check = (self.check_either if self.interrupted
                 else super().check_reported)
        check(image, volume, result)


class Rescheduled(WarmHit):
    """Another host has tried before, and left a volume behind."""

    MIN_CALLS = 5

    def prepare_volume(self):
        created = timeutils.utcnow()
        volume = self.new_volume(
            created_at=created, **self.VOLUME,
            scheduled_at=created + datetime.timedelta(minutes=5))
        self.driver.create_volume(volume)
        return volume


class VanishedTemplate(WarmHit):
    """The template that this process has cached was removed externally."""

    MIN_CALLS = 10
    DOWNLOADS = 1
    KEEPS_TEMPLATE = False

    def prepare(self):
        image = super().prepare()
        self.sim.cluster.forget_volume(self.templates()[0].volume_id)
        return image


class FaultRunner(object):
    """Makes cases of faults; a scenario class is mixed in."""

    # Generators of cases

    def each_call(self, faults):
        """Let each call fail once, by each fault."""
        methods = self.good_run()
        for name, fault in faults.items():
            for number, method in enumerate(methods):
                if self.applies_to(method):
                    yield from self.cases(
                        name, fault, method,
                        methods[:number].count(method))

    def each_method(self, faults, methods):
        """Let each method fail once, by each fault."""
        called = self.good_run()
        self.assertLessEqual(set(methods), set(called))
        for turn, (name, fault) in enumerate(faults.items()):
            for method in methods:
                yield from self.cases(name, fault, method,
                                      turn % called.count(method))

    def each_fault(self, faults, only=()):
        """Let each fault happen once; the calls take turns."""
        called = self.good_run()
        calls = itertools.cycle([
            (method, called[:number].count(method))
            for number, method in enumerate(called)
            if self.applies_to(method) and (not only or method in only)])
        for name, fault in faults.items():
            for when in fault.moments:
                for method, skip in itertools.islice(calls, len(called)):
                    if fault.applies_to(method, when):
                        yield self.case(name, fault, method, skip, when)
                        break

    def each_method_until_the_end(self, faults):
        """Let each method fail until the request is over."""
        for method in dict.fromkeys(filter(self.applies_to,
                                           self.good_run())):
            for name, fault in faults.items():
                yield from self.cases(name, fault, method, 0,
                                      self.check_until_the_end)

    def each_call_without_something(self, conditions):
        """Remove something before each call."""
        methods = self.good_run()
        for name, fault in conditions.items():
            for number, method in enumerate(methods):
                yield from self.cases(name, fault, method,
                                      methods[:number].count(method),
                                      self.check_gone)

    def each_following_call(self, first, faults):
        """Let a call fail, and then each one that follows fail, too."""
        image, volume = self.begin()
        self.sim.faults.add(when='after', **first)
        result = self.request(image, volume)
        calls = list(self.sim.calls)
        self.check_recovery(image, volume, result)
        methods = [call.method for call in calls]
        failed = [call.method == first['method'] and not call.ok
                  for call in calls].index(True)
        for name, fault in faults.items():
            for number in range(failed + 1, len(methods)):
                yield from self.cases(
                    name, fault, methods[number],
                    methods[:number].count(methods[number]),
                    self.check_after, first)

    def cases(self, name, fault, method, skip, *check):
        for when in fault.moments:
            if fault.applies_to(method, when):
                yield self.case(name, fault, method, skip, when, *check)

    def case(self, name, fault, method, skip, when, check=None, *arguments):
        return ('%s, after %d others, %s its effect: %s' % (
            method, skip, when, name), check or self.check_once, *arguments,
            fault, method, when, skip)

    # Checks

    def check_once(self, fault, method, when, skip):
        """Let one call fail."""
        image, volume = self.begin()
        rule = self.add_fault(fault, method=method, skip=skip, when=when)
        result = self.request(image, volume)
        self.assertEqual(1, rule.hits)
        survived = self.survives(fault, method)
        if fault.may_leave or not survived and self.may_have_left(volume,
                                                                  result):
            self.check_recovery(image, volume, result)
            return
        if result[1] or survived:
            self.check_success(volume, result)
        else:
            warning = self.check_fallback(image, volume, result)
            # That an account exists is no failure, but what follows is.
            if fault.error != 'xDuplicateUsername':
                self.assertIn(fault.error, warning)
            self.assertEqual([], self.leftovers(volume))
            self.check_image_download(volume)
        self.check_next_requests(image)
        lost = not result[1] and not self.KEEPS_TEMPLATE
        self.assertLessEqual(len(self.images.downloads),
                             self.DOWNLOADS + lost)

    def add_fault(self, fault, **call):
        """Put a fault in force; return the rule, which counts its hits."""
        if call['method'] == 'CloneVolume' and (
                fault.lasting or fault.error == 'xExceededLimit'):
            # The clone has to go to the second account of the project.
            self.account_is_full = True
        if fault.act:
            return self.transport.faults.add(
                direct_transport.Rule(act=fault.act, **call))
        return self.sim.faults.add(**call, **fault.rule)

    def check_until_the_end(self, fault, method, when, _skip):
        """Let all calls of a method fail."""
        image, volume = self.begin()
        rule = self.add_fault(fault, method=method, times=None, when=when)
        result = self.request(image, volume)
        self.assertGreaterEqual(rule.hits, 1)
        self.check_recovery(image, volume, result)

    def check_after(self, first, fault, method, when, skip):
        """Let one call fail after the effect of another one was lost."""
        image, volume = self.begin()
        # Ahead of the other one, so that it counts the calls of that, too.
        rule = self.add_fault(fault, method=method, skip=skip, when=when)
        self.sim.faults.add(when='after', **first)
        result = self.request(image, volume)
        self.assertEqual(1, rule.hits)
        self.check_recovery(image, volume, result)

    def check_gone(self, fault, method, when, skip):
        """Remove something that this process has cached."""
        image, volume = self.begin()
        rule = self.add_fault(fault, method=method, skip=skip, when=when)
        result = self.request(image, volume)
        self.assertEqual(1, rule.hits)
        self.check_reported(image, volume, result)
        self.assertEqual([], self.leftovers(None if result[1] else volume))
        self.log.clear()
        if not result[1]:
            self.check_image_download(volume)
        self.check_next_requests(image)

    def check_pair(self, *pair):
        """Let two calls fail; return whether both did."""
        image, volume = self.begin()
        rules = [self.add_fault(fault, **call) for fault, call in pair]
        result = self.request(image, volume)
        self.check_reported(image, volume, result)
        both = all(rule.hits for rule in rules)
        self.check_next_host(image, volume, result)
        return both

    def check_recovery(self, image, volume, result):
        self.check_reported(image, volume, result)
        self.check_next_host(image, volume, result)
