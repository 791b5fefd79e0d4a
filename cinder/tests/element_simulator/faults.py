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

"""Fault injection: rules for errors, dropped connections and delays."""

import dataclasses
import fnmatch
import random
import threading
import typing

_ABSENT = object()


@dataclasses.dataclass(eq=False)
class Rule:
    """One fault, the calls that it applies to, and how often.

    A rule with none of ``error``, ``drop``, ``http_status``, ``job_error``
    and ``ignore`` only delays the reply and runs its ``action``.

    :param method: name of the API method, or a pattern as for file names
    :param match: parameters that must have these values; a dot in a key
                  looks inside an object, as in ``attributes.state``
    :param skip: number of matching calls that pass first
    :param times: number of calls that fail; None for all
    :param error: name of the API error to reply with
    :param message: text of that error
    :param drop: close the connection without a reply
    :param http_status: reply with this status and ``body``
    :param body: text, or a value to encode as JSON
    :param delay: seconds to wait before the reply
    :param when: ``before`` or ``after`` the call takes effect
    :param probability: chance that the rule strikes a call, 0.0 to 1.0
    :param job_error: name of the error that the clone started by the call
                      fails with
    :param ignore: names of parameters that the cluster ignores without a
                   warning, such as ``attributes``
    :param action: callable without arguments, run with no lock held in each
                   call that the rule strikes; it is not part of the JSON
    :ivar seen: number of matching calls so far
    :ivar hits: number of calls that the rule struck
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
    ignore: typing.Sequence[str] = ()
    action: typing.Optional[typing.Callable[[], None]] = None
    seen: int = dataclasses.field(default=0, init=False)
    hits: int = dataclasses.field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.when not in ('before', 'after'):
            raise ValueError(f'when is before or after, not {self.when}')
        if self.when == 'after' and (self.job_error or self.ignore):
            raise ValueError('job_error and ignore need when="before"')

    @classmethod
    def from_dict(cls, members: dict) -> 'Rule':
        """Return the rule that to_dict() was called on.

        :raises: ValueError for unknown members
        """
        settable = {field.name for field in dataclasses.fields(cls)
                    if field.init} - {'action'}
        unknown = set(members) - settable - {'seen', 'hits'}
        if unknown:
            raise ValueError(f'unknown members {", ".join(sorted(unknown))}')
        return cls(**{key: value for key, value in members.items()
                      if key in settable})

    def to_dict(self) -> dict:
        """Return the members as they are written in JSON."""
        return {field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
                if field.name != 'action'}

    @property
    def fails(self) -> bool:
        """Whether the rule replaces the normal reply."""
        return bool(self.error or self.drop or self.http_status)

    def matches(self, method: str, params: typing.Any) -> bool:
        """Return whether the rule applies to a call."""
        return (fnmatch.fnmatchcase(method, self.method)
                and all(_look_up(params, key) == value
                        for key, value in (self.match or {}).items()))


def _look_up(params: typing.Any, key: str) -> typing.Any:
    value = params
    for part in key.split('.'):
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


@dataclasses.dataclass(frozen=True)
class Strike:
    """The effect of the rules on one call, before or after it is carried out.

    :param delay: seconds to wait
    :param rule: the Rule that replaces the reply, or None
    :param job_error: name of the error of the clone that is started, or None
    :param ignored: names of parameters to ignore
    """

    delay: float = 0.0
    rule: typing.Optional[Rule] = None
    job_error: typing.Optional[str] = None
    ignored: frozenset[str] = frozenset()


class FaultPlan:
    """The active rules, in the order in which they were added.

    The delays of all rules that strike a call add up. The first rule that
    replaces the reply wins; the rules behind it do not count the call.

    :param seed: of the random numbers for ``probability``
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.clear()

    def add(self, rule: typing.Optional[Rule] = None,
            **members: typing.Any) -> Rule:
        """Append a rule, either a Rule or its members."""
        rule = rule or Rule(**members)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules and restart the random numbers."""
        with self._lock:
            self._rules: list[Rule] = []
            self._random = random.Random(self._seed)

    def list(self) -> typing.List[Rule]:
        """Return the rules."""
        with self._lock:
            return [*self._rules]

    def strike(self, method: str, params: typing.Any, when: str) -> Strike:
        """Apply the rules to a call, and count it.

        The actions of the rules that strike are run first.

        :param when: ``before`` or ``after`` the call takes effect
        """
        struck = self._find(method, params, when)
        for rule in struck:
            if rule.action:
                rule.action()
        return Strike(
            delay=sum(rule.delay for rule in struck),
            rule=next((rule for rule in struck if rule.fails), None),
            job_error=next((rule.job_error for rule in struck
                            if rule.job_error), None),
            ignored=frozenset(name for rule in struck
                              for name in rule.ignore))

    def _find(self, method: str, params: typing.Any,
              when: str) -> typing.List[Rule]:
        struck: typing.List[Rule] = []
        with self._lock:
            for rule in self._rules:
                if rule.when != when or not rule.matches(method, params):
                    continue
                rule.seen += 1
                if self._strikes(rule):
                    rule.hits += 1
                    struck.append(rule)
                    if rule.fails:
                        break
        return struck

    def _strikes(self, rule: Rule) -> bool:
        if rule.seen <= rule.skip:
            return False
        if rule.times is not None and rule.hits >= rule.times:
            return False
        return (rule.probability >= 1.0
                or self._random.random() < rule.probability)
