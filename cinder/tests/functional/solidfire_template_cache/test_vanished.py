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

"""Volumes and accounts vanish behind our back, between any two calls.

An operator may delete by hand what belongs to the cache, or to a tenant. The
process that meets this goes on with what it remembers, and must find out.
"""

from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import paths


class Vanishing(object):
    """All that can vanish; a path derives from it."""

    def test_each_call_finds_something_gone(self):
        methods = self.good_run()
        self.run_cases([
            ('%s before call %d of %d, %s' % (
                name, number + 1, len(methods), method),
             self.check_gone, fault, method,
             methods[:number].count(method))
            for name, fault in fault_kinds.GONE.items()
            for number, method in enumerate(methods)
            if fault.can_strike(method, 'before')])

    def check_gone(self, fault, method, skip):
        image, volume = self.begin()
        rule = fault.begin(self, method=method, skip=skip)
        result = self.clone(image, volume)
        self.assertEqual(1, rule.hits)
        self.check_what_is_told(image, volume, result)
        self.assertEqual([], self.debris(None if result[1] else volume))
        self.warnings.messages.clear()
        if not result[1]:
            self.check_normal_path(volume)
        self.purge_by_hand()
        # This very process has to correct what it remembers.
        self.check_next_requests(image)


class FirstRequestVanishingTestCase(Vanishing, paths.FirstRequest):
    pass


class WarmHitVanishingTestCase(Vanishing, paths.WarmHit):
    pass


class ColdHitVanishingTestCase(Vanishing, paths.ColdHit):
    pass


class RefillVanishingTestCase(Vanishing, paths.Refill):
    pass


class TagEditVanishingTestCase(Vanishing, paths.TagEdit):
    pass


class OwnQosVanishingTestCase(Vanishing, paths.OwnQos):
    pass


class CrashLeftoversVanishingTestCase(Vanishing, paths.CrashLeftovers):
    pass


class RescheduledVanishingTestCase(Vanishing, paths.Rescheduled):
    pass
