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

"""The way to the simulated cluster without a network, which can fail.

Thousands of cases take their time in sockets and TLS. Here a request goes
straight to the simulator's application, and what a network does to it is
raised as ``requests`` raises it, by the test's own clock.
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
    """One thing that goes wrong on the way.

    :param act: a callable that takes the :class:`Exchange`, and raises, or
        returns the response, or None to let the request go on
    """

    act: typing.Optional[typing.Callable] = None

    @property
    def fails(self):
        return True


@dataclasses.dataclass
class Exchange(object):
    """A request under way.

    :param way: the :class:`DirectWay`
    :param request: what requests has prepared
    :param method: the API method
    :param timeout: seconds that the client waits
    :param reply: what the cluster says; None as long as it was not asked
    """

    way: typing.Any
    request: typing.Any
    method: str
    timeout: float
    reply: typing.Any = None

    def answer(self, body, status=200):
        """Return a response that the client reads as from a socket.

        :param body: bytes, or what has read()
        """
        if isinstance(body, bytes):
            body = io.BytesIO(body)
        return requests.adapters.HTTPAdapter().build_response(
            self.request, urllib3.HTTPResponse(
                body=body, status=status, preload_content=False,
                headers={'Content-Type': 'application/json'}))

    def answer_error(self, name):
        """Return an error of the cluster's."""
        return self.answer(json.dumps({'id': 1, 'error': {
            'code': 500, 'name': name, 'message': name}}).encode())

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
        self.way.clock.advance(self.timeout)
        raise kind('timed out after %s s' % self.timeout,
                   request=self.request)


class DirectWay(fixtures.Fixture):
    """Lets every request of this process go straight to one simulator.

    :param server: the simulator's :class:`server.Server`
    :param clock: what moves while a request waits, by hand
    :ivar faults: what goes wrong on the way, a plan of :class:`Rule`; the
        cluster's own faults are the simulator's
    :ivar deleted_by_hand: ids of volumes that somebody has deleted
    """

    def __init__(self, server, clock, deleted_by_hand=None):
        super().__init__()
        self.clock = clock
        self.cluster = server.cluster
        self.faults = faults.FaultPlan()
        self._limits = dict(server.cluster.limits)
        self._client = werkzeug_test.Client(application.Application(server))
        self._url = server.url
        self.deleted_by_hand = (
            set() if deleted_by_hand is None else deleted_by_hand)
        self._down_until = 0
        self._denied = ()
        # Delays by fault rules pass like all other time.
        server.sleep = clock.sleep

    def _setUp(self):
        self.useFixture(fixtures.MonkeyPatch(
            'requests.adapters.HTTPAdapter.send',
            lambda _adapter, request, timeout=None, **_options:
                self._send(request, timeout)))
        # To look for them costs as much as all the rest.
        self.useFixture(fixtures.MonkeyPatch(
            'requests.sessions.get_environ_proxies',
            lambda *_args, **_options: {}))

    def restore(self):
        """Let all work again, on the way and in the cluster."""
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
        """Refuse our administrator these methods."""
        self._denied = patterns

    def _send(self, request, timeout):
        if not request.url.startswith(self._url):
            raise AssertionError('a request to %s' % request.url)
        call = json.loads(request.body)
        exchange = Exchange(self, request, call['method'], timeout)
        return (self._strike(exchange, call, 'before') or
                self._perform(exchange) or
                self._strike(exchange, call, 'after') or
                exchange.answer(exchange.reply.data,
                                exchange.reply.status_code))

    def _perform(self, exchange):
        if self.clock.monotonic() < self._down_until:
            exchange.refuse()
        if any(fnmatch.fnmatchcase(exchange.method, pattern)
               for pattern in self._denied):
            return exchange.answer_error('xPermissionDenied')
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

    def _strike(self, exchange, call, when):
        rule = self.faults.strike(
            call['method'], call.get('params'), when).rule
        return rule.act(exchange) if rule else None
