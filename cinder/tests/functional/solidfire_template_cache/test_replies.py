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

"""Replies without an end, and what only a real network can do.

All other cases of failing calls go without a network; these tell that it
makes no difference.
"""

import io
import socket

from oslo_utils import units

from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import paths
from cinder.tests.functional.solidfire_template_cache import transport
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import transport as real

LONGEST = 64 * units.Mi
"""Bytes of one reply that the driver may read at most."""

LONGEST_SECONDS = 60
"""Seconds that it may take to read one reply."""


class Endless(io.RawIOBase):
    """A reply that goes on and on.

    :param clock: moved on by each read
    :param most: bytes that one read gives at most
    :param seconds: that one read takes
    """

    # Lest a driver that reads on does so for ever.
    READS = 4000

    def __init__(self, clock, most=units.Mi, seconds=0):
        super().__init__()
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self.bytes = self.reads = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.bytes > 2 * LONGEST or self.reads > self.READS:
            return 0
        self.reads += 1
        self._clock.advance(self._seconds)
        size = min(len(buffer), self._most)
        buffer[:size] = b'[' * size
        self.bytes += size
        return size


class EndlessReplyTestCase(paths.ColdHit):
    """The driver gives up such a reply, and then goes on as after others."""

    def test_each_method_gets_an_endless_reply(self):
        self.walk_endless(survived=True)

    def test_each_method_gets_a_reply_byte_by_byte(self):
        self.walk_endless(survived=False, most=1, seconds=10)

    def walk_endless(self, survived, **body):
        methods = self.good_run()
        self.run_cases(
            ('%s, %s' % (method, when), self.check_endless, method, when,
             survived, body)
            for method in dict.fromkeys(methods)
            for when in ('before', 'after'))

    def check_endless(self, method, when, survived, body):
        sent = []

        def answer(exchange):
            sent.append(Endless(self.clock, **body))
            # As a socket is read.
            return exchange.answer(io.BufferedReader(sent[-1]))

        fault = fault_kinds.Fault(survived, lasting=not survived, way=answer)
        self.check_once(fault, method, when, 0)
        self.assertLess(sent[0].bytes, LONGEST)
        self.assertLess(sent[0].reads * body.get('seconds', 0),
                        LONGEST_SECONDS)


class NetworkTestCase(paths.ColdHit):

    NETWORK = True

    def test_path_by_each_reply_in_turn(self):
        self.walk_in_turn({**fault_kinds.LOSSES, **fault_kinds.REPLIES})

    def test_refused_connection_is_as_without_a_network(self):
        with socket.create_server(('127.0.0.1', 0)) as closed_at_once:
            port = closed_at_once.getsockname()[1]
        failure = self.failure(element.ElementClient(
            real.Endpoint('https://127.0.0.1:%d' % port, 'a', 'b'),
            self.clock))
        self.assert_alike(failure, transport.Exchange.refuse)

    def test_reset_connection_is_as_without_a_network(self):
        self.sim.faults.add(method='CreateVolume', drop=True)
        failure = self.failure()
        self.sim.faults.clear()
        self.assert_alike(failure, transport.Exchange.reset)

    def assert_alike(self, failure, act):
        way = self.useFixture(transport.DirectWay(self.sim.server,
                                                  self.clock))
        way.faults.add(transport.Rule(times=None, act=act))
        self.assertEqual(failure, self.failure())

    def failure(self, client=None):
        """Return what becomes of a call."""
        client = client or self.driver._template_parts().client
        error = self.assertRaises(
            errors.ElementError, client.create_volume, 'a-name', 1,
            units.Gi, True, {})
        return type(error), error.name
