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

"""Every API call of every path fails, in every way there is.

A class is a path. Each test makes a good run of its path, and then goes the
path again for each call of that run and lets this one call fail: before the
cluster has carried it out, and after it. Whatever the call and the way to
fail, nobody sees an exception, nothing is left behind, and the next request
works. The tests named "for good" let a method fail every time until the
request is over; then a warning names what may be left, and the next host
removes it. The last classes begin where a call has failed already, and let
each of those fail that set this right.
"""

from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import paths


class Walk(object):
    """One way to fail of each class; a path derives from it.

    All other ways are in the matrix, which strikes each method once.
    """

    LOST = {'dropped connection': fault_kinds.LOSSES['dropped connection']}

    def test_each_call_refused_once(self):
        self.walk_once(fault_kinds.REFUSALS)

    def test_each_call_lost_once(self):
        self.walk_once(self.LOST)

    def test_each_method_refused_for_good(self):
        self.walk_for_good(fault_kinds.REFUSALS)

    def test_each_method_lost_for_good(self):
        self.walk_for_good(self.LOST)


class CleanUp(object):
    """A path on which one call has failed: the next one fails, too."""

    FIRST_FAULT = {}
    """What the simulator is told; strikes after the call's effect."""

    def clone_with_fault(self, image, volume):
        self.sim.faults.add(when='after', **self.FIRST_FAULT)
        return self.clone(image, volume)

    def test_each_call_that_follows_fails_once(self):
        image, volume = self.begin()
        result = self.clone_with_fault(image, volume)
        calls = list(self.sim.calls)
        self.check_what_is_told(image, volume, result)
        self.check_next_host(image, volume, result)
        methods = [call.method for call in calls]
        first = [call.method == self.FIRST_FAULT['method'] and not call.ok
                 for call in calls].index(True)
        self.run_cases([
            ('%s, call %d of %d, %s its effect: %s' % (
                methods[number], number + 1, len(methods), when, name),
             self.check_follower, fault, methods[number], when,
             methods[:number].count(methods[number]))
            for name, fault in {**fault_kinds.REFUSALS, **Walk.LOST}.items()
            for number in range(first + 1, len(methods))
            for when in fault.moments
            if fault.can_strike(methods[number], when)])

    def check_follower(self, fault, method, when, skip):
        image, volume = self.begin()
        # Ahead of the other, so that it counts what that one strikes.
        rule = fault.begin(self, method=method, skip=skip, when=when)
        result = self.clone_with_fault(image, volume)
        self.assertEqual(1, rule.hits)
        self.check_what_is_told(image, volume, result)
        self.check_next_host(image, volume, result)


class FirstRequestTestCase(Walk, paths.FirstRequest):
    pass


class AccessGroupTestCase(Walk, paths.AccessGroup):
    pass


class WarmHitTestCase(Walk, paths.WarmHit):
    pass


class ColdHitTestCase(Walk, paths.ColdHit):
    pass


class RefillTestCase(Walk, paths.Refill):
    pass


class TagEditTestCase(Walk, paths.TagEdit):
    pass


class OwnQosTestCase(Walk, paths.OwnQos):
    pass


class CrashLeftoversTestCase(Walk, paths.CrashLeftovers):
    pass


class RescheduledTestCase(Walk, paths.Rescheduled):
    pass


class VanishedTemplateTestCase(Walk, paths.VanishedTemplate):
    pass


class LostCreateTestCase(CleanUp, paths.FirstRequest):
    """The reply that told of the new template's volume was lost."""

    FIRST_FAULT = {'method': 'CreateVolume', 'drop': True}


class FailedFillTestCase(CleanUp, paths.FirstRequest):
    """The template was made ready, and the cluster says that it was not."""

    FIRST_FAULT = {'method': 'ModifyVolume', 'error': fault_kinds.UNHEARD_OF}


class LostCloneTestCase(CleanUp, paths.WarmHit):
    """The reply that told of the clone was lost."""

    FIRST_FAULT = {'method': 'CloneVolume', 'drop': True}


class AbandonedCloneTestCase(CleanUp, paths.WarmHit):
    """The clone has been started, and nothing is heard of it."""

    FIRST_FAULT = {'method': 'GetAsyncResult', 'error': fault_kinds.UNHEARD_OF}
