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

"""Faults and delays as data: what shall go wrong, when, how often."""

import dataclasses
import fnmatch
import random
import threading
import typing

_ABSENT = object()


@dataclasses.dataclass(eq=False)
class Rule:
    """One thing that goes wrong.

    A rule with none of `error`, `drop`, `http_status` and `job_error` only
    delays, and runs its `action`.

    :param method: API method it is for; wildcards as in file names
    :param match: parameters that must have these values; a dot in a key
                  looks inside an object, as in `attributes.state`
    :param skip: how many fitting calls it lets pass first
    :param times: how many calls it strikes; None for all
    :param error: name of the API error that is answered
    :param message: the text of that error
    :param drop: close the connection without an answer
    :param http_status: answer with this status and `body`
    :param body: text, or what is to be written as JSON
    :param delay: seconds the answer waits
    :param when: before the call takes effect, or after it
    :param probability: chance that it strikes a call it could strike
    :param job_error: name of the error that the clone begun by this call
                      ends with
    :param action: a callable without arguments, run in each call that it
                   strikes, with no lock held; for tests in one process with
                   the simulator, so it is not written as JSON
    """

    method: str = '*'
    match: typing.Optional[dict] = None
    skip: int = 0
    times: typing.Optional[int] = 1
    error: typing.Optional[str] = None
    message: str = ''
    drop: bool = False
    http_status: typing.Optional[int] = None
    body: typing.Any = None
    delay: float = 0.0
    when: str = 'before'
    probability: float = 1.0
    job_error: typing.Optional[str] = None
    action: typing.Optional[typing.Callable[[], None]] = None
    seen: int = dataclasses.field(default=0, init=False)
    hits: int = dataclasses.field(default=0, init=False)

    def __post_init__(self):
        if self.when not in ('before', 'after'):
            raise ValueError(f'when is before or after, not {self.when}')
        if self.job_error and self.when == 'after':
            raise ValueError('job_error needs when="before"')

    @classmethod
    def from_dict(cls, members):
        """Make a rule of what to_dict() gives.

        :raises: ValueError for members it does not have
        """
        settable = {field.name for field in dataclasses.fields(cls)
                    if field.init} - {'action'}
        unknown = set(members) - settable - {'seen', 'hits'}
        if unknown:
            raise ValueError(f'a rule has no {", ".join(sorted(unknown))}')
        return cls(**{key: value for key, value in members.items()
                      if key in settable})

    def to_dict(self):
        return {field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
                if field.name != 'action'}

    @property
    def fails(self):
        """Whether it takes the place of the normal answer."""
        return bool(self.error or self.drop or self.http_status)

    def fits(self, method, params):
        return (fnmatch.fnmatchcase(method, self.method)
                and all(_look_up(params, key) == value
                        for key, value in (self.match or {}).items()))


def _look_up(params, key):
    value = params
    for part in key.split('.'):
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


@dataclasses.dataclass(frozen=True)
class Strike:
    """What the rules do to one call at one moment.

    :param delay: seconds to wait
    :param rule: the Rule whose failure is the answer, or None
    :param job_error: name of the error of the clone begun, or None
    """

    delay: float = 0.0
    rule: typing.Optional[Rule] = None
    job_error: typing.Optional[str] = None


class FaultPlan:
    """The rules in force, in the order in which they were added.

    Delays of all rules that strike add up; the first failure wins, and the
    rules after it neither see the call nor count it.

    :param seed: for the chances; the same seed gives the same run
    """

    def __init__(self, seed=0):
        self._seed = seed
        self._lock = threading.Lock()
        self.clear()

    def add(self, rule=None, **members):
        """Put a rule at the end: a Rule, or the arguments of one."""
        rule = rule or Rule(**members)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self):
        """Remove all rules and begin the chances anew."""
        with self._lock:
            self._rules = []
            self._random = random.Random(self._seed)

    def list(self):
        with self._lock:
            return list(self._rules)

    def strike(self, method, params, when):
        """Tell what happens to a call, and count it.

        The actions of the rules that strike are run before it returns.

        :param when: before or after
        :returns: Strike
        """
        strike, actions = self._find(method, params, when)
        for action in actions:
            action()
        return strike

    def _find(self, method, params, when):
        delay, job_error, actions = 0.0, None, []
        with self._lock:
            for rule in self._rules:
                if rule.when != when or not rule.fits(method, params):
                    continue
                rule.seen += 1
                if not self._strikes(rule):
                    continue
                rule.hits += 1
                delay += rule.delay
                job_error = job_error or rule.job_error
                if rule.action:
                    actions.append(rule.action)
                if rule.fails:
                    return Strike(delay, rule, job_error), actions
        return Strike(delay, None, job_error), actions

    def _strikes(self, rule):
        if rule.seen <= rule.skip:
            return False
        if rule.times is not None and rule.hits >= rule.times:
            return False
        return (rule.probability >= 1.0
                or self._random.random() < rule.probability)
