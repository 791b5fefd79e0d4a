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

"""Points at which a service process is killed.

Each strikes a :class:`crashes.CrashTestCase`, whose host dies in what the
case lets it do.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class AtCall(object):
    """In the n-th call to the cluster, before or after its effect."""

    methods: tuple
    number: int
    when: str

    def __str__(self):
        return '%s, call %d of %d, %s its effect' % (
            self.methods[self.number - 1], self.number, len(self.methods),
            self.when)

    def strike(self, case):
        """Let the process die here; return what it was to answer."""
        rule = case.services.kill_at_call(case.mortal, self.number, self.when)
        reply = case.act()
        case.services.wait_until(
            lambda: rule.hits or reply.done, 'a call by the host')
        case.mortal.kill()
        # The simulator records a call when it has done with it.
        case.services.wait_until(
            lambda: len(case.sim.calls) >= self.number, 'the last call')
        case.sim.faults.clear()
        # Otherwise this was not the point that was meant.
        case.assertEqual(list(self.methods[:self.number]),
                         case.sim.calls.methods)
        return reply


@dataclasses.dataclass(frozen=True)
class AtStage(object):
    """At one of the places of :mod:`stages`."""

    stage: str

    def __str__(self):
        return self.stage

    def strike(self, case):
        """Let the process die here; return what it was to answer."""
        case.mortal.arm(self.stage)
        reply = case.act()
        case.mortal.wait_stage(self.stage)
        case.mortal.kill()
        return reply


def points_of(methods):
    """Return a point for each state in which calls can be cut off.

    What only reads has no effect to be before or after.
    """
    return [AtCall(tuple(methods), number, when)
            for number, method in enumerate(methods, 1)
            for when in ('before', 'after')
            if when == 'before' or not method.startswith(('Get', 'List'))]
