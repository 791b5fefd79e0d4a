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
"""The model's hosts: drivers that can be struck at any of their calls.

A host dies by an exception that is no :class:`Exception`, raised from the
call at which it dies and from each that follows: so no code that cleans up
has an effect on the cluster. Its lock is released on the way, as the
operating system does it for a process.
"""

import collections
import contextlib
import dataclasses
import json
import typing

import requests.adapters

from cinder import coordination
from cinder.tests.functional.solidfire_template_cache import walk

METHODS = (
    'GetAccountByName', 'AddAccount', 'ListVolumes', 'CreateVolume',
    'ModifyVolume', 'CloneVolume', 'GetAsyncResult', 'DeleteVolume',
    'PurgeDeletedVolume', 'ListSyncJobs', 'GetLimits', 'GetDefaultQoS',
    'CancelClone', 'GetClusterCapacity')

GLANCE = ('show', 'download')

OF_THE_CACHE = {'ListVolumes': {'includeVirtualVolumes': False}}
"""Parameters of methods that the stock driver calls without these."""

FAULTS = {**walk.REFUSALS, **walk.LOSSES}


def can_fail(methods):
    """Return the (method, name of a fault, moment) that there are."""
    return [(method, name, when) for method in methods
            for name, fault in FAULTS.items() for when in fault.moments
            if fault.can_strike(method, when)]


class Died(BaseException):
    """The process is no more."""


@dataclasses.dataclass(frozen=True)
class Nothing(object):
    """All goes well."""

    quiet = True

    def begin(self, sim):
        """Prepare the cluster."""

    def strike(self, host, call, number, when):
        """Do what there is to do at one moment of a host's request.

        :param call: one of METHODS or of GLANCE
        :param number: which of them, from 1
        :param when: before or after the call
        """


@dataclasses.dataclass(frozen=True)
class Fault(Nothing):
    """Calls of one method fail.

    :param ours: only those of the cache, and not the stock driver's
    """

    method: str
    name: str
    when: str
    skip: int
    times: typing.Optional[int]
    ours: bool = False

    quiet = False

    def begin(self, sim):
        sim.faults.add(
            method=self.method, when=self.when, skip=self.skip,
            times=self.times, match=OF_THE_CACHE.get(self.method)
            if self.ours else None, **FAULTS[self.name].rule)


@dataclasses.dataclass(frozen=True)
class Faults(Nothing):
    """Several faults at once."""

    each: tuple

    quiet = False

    def begin(self, sim):
        for fault in self.each:
            fault.begin(sim)


@dataclasses.dataclass(frozen=True)
class Crash(Nothing):
    """The process dies at one of its calls."""

    call: str
    number: int
    when: str

    quiet = False

    def strike(self, host, call, number, when):
        if (call, number, when) == (self.call, self.number, self.when):
            host.dead = True
            raise Died()


@dataclasses.dataclass(frozen=True)
class GlanceFails(Nothing):
    """The Image service breaks off from one of its calls on."""

    number: int
    when: str

    quiet = False


@dataclasses.dataclass(frozen=True)
class Meddling(Nothing):
    """Somebody else acts between two calls of a request.

    :param act: what is done; the machine knows
    """

    call: str
    number: int
    when: str
    act: str

    quiet = False

    def strike(self, host, call, number, when):
        if (call, number, when) == (self.call, self.number, self.when):
            host.meddle(self.act)


NOTHING = Nothing()


class Wire(object):
    """Knows which host runs, and stands between it and all that it calls."""

    def __init__(self):
        self._send = requests.adapters.HTTPAdapter.send
        self._running = []

    def send(self, adapter, request, **kwargs):
        """Stand in for the method of that name of requests' adapters."""
        return self.carry(json.loads(request.body)['method'],
                          lambda: self._send(adapter, request, **kwargs))

    def carry(self, name, call):
        """Make a call of the host that runs."""
        host = self._running[-1]
        number = host.begin_call(name)
        reply = call()
        host.end_call(name, number)
        return reply

    @contextlib.contextmanager
    def runs(self, host):
        """Have calls and locks be those of a host."""
        self._running.append(host)
        others = coordination.COORDINATOR
        coordination.COORDINATOR = host.coordinator
        try:
            yield
        finally:
            coordination.COORDINATOR = others
            self._running.pop()


class Glance(object):
    """The Image service as one request sees it."""

    def __init__(self, images, wire, trouble):
        self.temp_images = None
        self._images = images
        self._wire = wire
        self._trouble = trouble
        self._calls = 0

    def show(self, context, image_id):
        return self._call(
            'show', lambda: self._images.show(context, image_id))

    def download(self, context, image_id, data=None):
        self._call('download', lambda: self._images.download(
            context, image_id, data))

    def _call(self, name, call):
        self._calls += 1
        trouble = self._trouble
        fails = (isinstance(trouble, GlanceFails) and
                 self._calls >= trouble.number)
        if fails and trouble.when == 'before':
            raise OSError('the Image service does not answer')
        result = self._wire.carry(name, call)
        if fails:
            raise OSError('the Image service broke off')
        return result


class Host(object):
    """One cinder-volume process, and the next one after it has died.

    :param name: the host's
    :param start: a callable that takes the name and returns a new driver
    :param wire: the :class:`Wire` that all hosts have in common
    :param meddle: takes the name of what somebody else does, and this host
    :ivar coordinator: Cinder's, with whose locks the host keeps others out
    """

    def __init__(self, name, start, wire, meddle):
        self.name = name
        self._start = start
        self._wire = wire
        self._meddle = meddle
        self.coordinator = coordination.COORDINATOR
        self.start()

    def start(self):
        """Start a new process, which knows nothing."""
        self.dead = False
        self._trouble = NOTHING
        self._calls = collections.Counter()
        with self._wire.runs(self):
            self.driver = self._start(self.name)

    def run(self, call, trouble=NOTHING):
        """Let the driver do something.

        :param call: takes the driver
        :raises Died: if the process did
        """
        self._calls.clear()
        self._trouble = trouble
        try:
            with self._wire.runs(self):
                return call(self.driver)
        finally:
            self._trouble = NOTHING

    def begin_call(self, name):
        """Return which one of that name it is."""
        if self.dead:
            raise Died()
        self._calls[name] += 1
        number = self._calls[name]
        self._trouble.strike(self, name, number, 'before')
        return number

    def end_call(self, name, number):
        self._trouble.strike(self, name, number, 'after')

    def meddle(self, act):
        """Let somebody else act, who is not in this trouble."""
        trouble, self._trouble = self._trouble, NOTHING
        try:
            self._meddle(act, self)
        finally:
            self._trouble = trouble
