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

"""The model's hosts: drivers that can be disturbed at any of their calls.

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
from cinder.tests.functional.solidfire_template_cache import fault_kinds

METHODS = (
    'GetAccountByName', 'AddAccount', 'ListVolumes', 'CreateVolume',
    'ModifyVolume', 'CloneVolume', 'GetAsyncResult', 'DeleteVolume',
    'PurgeDeletedVolume', 'ListSyncJobs', 'GetLimits', 'GetDefaultQoS',
    'CancelClone', 'GetClusterCapacity', 'GetClusterVersionInfo',
    'ListVolumeStats')

GLANCE_CALLS = ('show', 'download')

FAULTS = {**fault_kinds.REPEATED, **fault_kinds.LOSSES}


def possible_faults(methods):
    """Return (method, name of a fault, moment) of all possible faults."""
    return [(method, name, when) for method in methods
            for name, fault in FAULTS.items() for when in fault.moments
            if fault.applies_to(method, when)]


class HostDied(BaseException):
    """The process does not exist any more."""


@dataclasses.dataclass(frozen=True)
class Disturbance(object):
    """Nothing goes wrong; the base of what does."""

    def begin(self, sim):
        """Prepare the cluster."""

    def at_call(self, host, *moment):
        """Act at one moment (call, number, when) of a host's request."""


NONE = Disturbance()


@dataclasses.dataclass(frozen=True)
class Fault(Disturbance):
    """Calls of one method fail."""

    method: str
    name: str
    when: str
    skip: int
    times: typing.Optional[int]

    def begin(self, sim):
        sim.faults.add(method=self.method, when=self.when, skip=self.skip,
                       times=self.times, **FAULTS[self.name].rule)


@dataclasses.dataclass(frozen=True)
class Faults(Disturbance):
    """Several faults at once."""

    each: tuple

    def begin(self, sim):
        for fault in self.each:
            fault.begin(sim)


@dataclasses.dataclass(frozen=True)
class Crash(Disturbance):
    """The process dies at one of its calls."""

    moment: tuple

    def at_call(self, host, *moment):
        if moment == self.moment:
            host.dead = True
            raise HostDied()


@dataclasses.dataclass(frozen=True)
class GlanceFailure(Disturbance):
    """The Image service fails from one of its calls on."""

    number: int
    when: str


@dataclasses.dataclass(frozen=True)
class ExternalChange(Disturbance):
    """Somebody else changes something between two calls of a request."""

    moment: tuple
    change: str

    def at_call(self, host, *moment):
        if moment == self.moment:
            host.change(self.change)


class Network(object):
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
        at_call = self._running[-1].begin_call(name)
        at_call('before')
        reply = call()
        at_call('after')
        return reply

    @contextlib.contextmanager
    def runs(self, host):
        """Let calls and locks be those of a host."""
        self._running.append(host)
        previous = coordination.COORDINATOR
        coordination.COORDINATOR = host.coordinator
        try:
            yield
        finally:
            coordination.COORDINATOR = previous
            self._running.pop()


class Glance(object):
    """The Image service as one request sees it."""

    def __init__(self, images, network, disturbance):
        self.temp_images = None
        self._images = images
        self._network = network
        self._disturbance = disturbance
        self._calls = 0

    def show(self, context, image_id):
        return self._call(
            'show', lambda: self._images.show(context, image_id))

    def download(self, context, image_id, data=None):
        self._call('download', lambda: self._images.download(
            context, image_id, data))

    def _call(self, name, call):
        self._calls += 1
        failure = self._disturbance
        fails = (isinstance(failure, GlanceFailure) and
                 self._calls >= failure.number)
        if fails and failure.when == 'before':
            raise OSError('the Image service cannot be reached')
        result = self._network.carry(name, call)
        if fails:
            raise OSError('the Image service broke the connection')
        return result


class Host(object):
    """One cinder-volume process, and its successor after it has died."""

    def __init__(self, name, start, network, change):
        self.name = name
        self._start = start
        self._network = network
        self._change = change
        self.coordinator = coordination.COORDINATOR
        self.start()

    def start(self):
        """Start a new process, which has nothing cached."""
        self.dead = False
        self._disturbance = NONE
        self._calls = collections.Counter()
        with self._network.runs(self):
            self.driver = self._start(self.name)

    def run(self, call, disturbance=NONE):
        """Let the driver do something."""
        self._calls.clear()
        self._disturbance = disturbance
        try:
            with self._network.runs(self):
                return call(self.driver)
        finally:
            self._disturbance = NONE

    def begin_call(self, name):
        """Return what must be called before and after a call."""
        if self.dead:
            raise HostDied()
        self._calls[name] += 1
        number = self._calls[name]
        return lambda when: self._disturbance.at_call(self, name, number,
                                                      when)

    def change(self, name):
        """Let somebody else act, who is not disturbed."""
        disturbance, self._disturbance = self._disturbance, NONE
        try:
            self._change(name, self)
        finally:
            self._disturbance = disturbance
