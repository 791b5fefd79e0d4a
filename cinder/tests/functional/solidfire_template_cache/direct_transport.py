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

"""API calls without a network, which can fail as a network does.

Thousands of fault cases would spend their time in sockets and TLS. Here a
request goes straight to the simulator's application, and what a network does
to it is raised as ``requests`` raises it, by the test's own clock.
"""

import dataclasses
import fnmatch
import io
import json
import typing

import fixtures
import requests
import urllib3
from werkzeug import test as werkzeug_test

from cinder.tests.element_simulator import application
from cinder.tests.element_simulator import faults


@dataclasses.dataclass(eq=False)
class Rule(faults.Rule):
    """A fault of the network, or something that happens before a call.

    :param act: takes the :class:`Exchange`, and raises or returns the
        response, or None to let the request go on
    """

    act: typing.Optional[typing.Callable] = None

    @property
    def fails(self):
        return True


@dataclasses.dataclass
class Exchange(object):
    """A request and its reply."""

    transport: typing.Any
    request: typing.Any
    method: str
    timeout: float
    reply: typing.Any = None

    @property
    def cluster(self):
        return self.transport.cluster

    def respond(self, body, status=200):
        """Return a response that the client reads as from a socket."""
        if isinstance(body, bytes):
            body = io.BytesIO(body)
        return requests.adapters.HTTPAdapter().build_response(
            self.request, urllib3.HTTPResponse(
                body=body, status=status, preload_content=False,
                headers={'Content-Type': 'application/json'}))

    def refuse(self):
        raise requests.exceptions.ConnectionError(
            urllib3.exceptions.MaxRetryError(
                None, self.request.url,
                urllib3.exceptions.NewConnectionError(
                    None, '[Errno 111] ECONNREFUSED')),
            request=self.request)

    def reset(self):
        cause = ConnectionResetError(104, 'Connection reset by peer')
        raise requests.exceptions.ConnectionError(
            urllib3.exceptions.ProtocolError('Connection aborted.', cause),
            request=self.request)

    def time_out(self, kind=requests.exceptions.ReadTimeout):
        self.transport.clock.advance(self.timeout)
        raise kind('timed out after %s s' % self.timeout,
                   request=self.request)


class DirectTransport(fixtures.Fixture):
    """Passes every request of this process straight to one simulator."""

    def __init__(self, server, clock):
        super().__init__()
        self.clock = clock
        self.cluster = server.cluster
        self.faults = faults.FaultPlan()
        self.deleted = set()
        self._limits = dict(server.cluster.limits)
        self._client = werkzeug_test.Client(application.Application(server))
        self._url = server.url
        self._down_until = 0
        self._denied = ()
        # Delays by fault rules advance the clock, too.
        server.sleep = clock.sleep

    def _setUp(self):
        self.useFixture(fixtures.MonkeyPatch(
            'requests.adapters.HTTPAdapter.send',
            lambda _adapter, request, timeout=None, **_options:
                self._send(request, timeout)))
        # To look for proxies costs as much as all the rest.
        self.useFixture(fixtures.MonkeyPatch(
            'requests.sessions.get_environ_proxies',
            lambda *_args, **_options: {}))

    def restore(self):
        """End all faults, of the network and of the cluster's condition."""
        self.faults.clear()
        self._down_until = 0
        self._denied = ()
        self.cluster.set_fullness(1)
        self.cluster.limits.clear()
        self.cluster.limits.update(self._limits)

    def go_down(self, seconds):
        """Refuse every connection for a while."""
        self._down_until = self.clock.monotonic() + seconds

    def deny(self, *patterns):
        """Refuse the cluster administrator these methods."""
        self._denied = patterns

    def _send(self, request, timeout):
        if not request.url.startswith(self._url):
            raise AssertionError('a request to %s' % request.url)
        call = json.loads(request.body)
        # requests takes the read timeout alone or in a pair.
        seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        exchange = Exchange(self, request, call['method'], seconds)
        return (self._apply_faults(exchange, call, 'before') or
                self._perform(exchange) or
                self._apply_faults(exchange, call, 'after') or
                exchange.respond(exchange.reply.data,
                                 exchange.reply.status_code))

    def _apply_faults(self, exchange, call, when):
        rule = self.faults.strike(
            call['method'], call.get('params'), when).rule
        return rule.act(exchange) if rule else None

    def _perform(self, exchange):
        if self.clock.monotonic() < self._down_until:
            exchange.refuse()
        if any(fnmatch.fnmatchcase(exchange.method, pattern)
               for pattern in self._denied):
            name = 'xPermissionDenied'
            return exchange.respond(json.dumps({'id': 1, 'error': {
                'code': 500, 'name': name, 'message': name}}).encode())
        request = exchange.request
        begun = self.clock.monotonic()
        try:
            exchange.reply = self._client.open(
                request.path_url, method='POST', data=request.body,
                headers=dict(request.headers))
        except application.Dropped:
            exchange.reset()
        if self.clock.monotonic() - begun > exchange.timeout:
            exchange.time_out()
        return None
