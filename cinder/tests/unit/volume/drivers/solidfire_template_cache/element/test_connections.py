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

"""Connections: when one is kept, opened anew, or used again."""

from concurrent import futures
import gc
import threading
from unittest import mock

import ddt
import fixtures as base_fixtures
import requests

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import connections
from cinder.volume.drivers.solidfire_template_cache.element import errors

URL = 'https://cluster.test:443'
ENDPOINT = (URL, 'admin', 'password', '/ca.pem')

READ, WRITE = 'GetLimits', 'CreateVolume'


def lost(name=errors.CONNECTION_ERROR):
    return errors.ReplyLost('method', name, 'reason')


class PoolTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.pool = connections.ConnectionPool(*ENDPOINT, self.clock)
        self.closed = []
        self.mock_object(requests.Session, 'close', autospec=True,
                         side_effect=self.closed.append)
        self.used = []
        # What the next exchanges do, if anything.
        self.effects = []

    def exchange(self, session):
        self.used.append(session)
        effect = self.effects.pop(0) if self.effects else None
        if isinstance(effect, Exception):
            raise effect
        return effect() if effect else 'reply'

    def use(self, method=READ, seconds=0):
        return self.pool.use(method, self.exchange, seconds)

    def use_at_once(self, count):
        """Use some connections, all before the first one is returned."""
        self.effects = [self.use] * (count - 1)
        self.use()

    def assert_opened(self, count):
        """Check how many connections the exchanges so far have needed."""
        self.assertEqual(count, len(set(self.used)) + len(self.closed))


@ddt.ddt
class KeptConnectionTestCase(PoolTestCase):

    # Method, seconds for which the connection was idle, whether it is kept.
    @ddt.data(*[(method, seconds, seconds <= 60)
                for method in ('GetLimits', 'ListVolumes', 'CancelClone',
                               'ModifyVolume', 'DeleteVolume',
                               'PurgeDeletedVolume') for seconds in (60, 61)],
              *[(method, seconds, seconds <= 2)
                for method in ('CreateVolume', 'CloneVolume', 'AddAccount',
                               'CreateSnapshot', 'StartVolumePairing',
                               'RollbackToSnapshot') for seconds in (2, 3)])
    @ddt.unpack
    def test_use_after(self, method, seconds, kept):
        self.use()
        self.clock.advance(seconds)
        self.assertEqual('reply', self.use(method))
        self.assert_opened(1 if kept else 2)

    # Method, error of the call on a kept connection, number of exchanges.
    @ddt.data((READ, lost(), 2), (READ, lost(errors.TLS_ERROR), 2),
              ('ModifyVolume', lost(), 2),
              # The call may still run, or the reply had begun.
              (READ, lost(errors.READ_TIMEOUT), 1),
              (READ, lost('ProtocolError'), 1),
              (READ, errors.NotSent('method', 'ConnectionError', ''), 1),
              (WRITE, lost(), 1), ('CloneVolume', lost(), 1))
    @ddt.unpack
    def test_use_broken(self, method, error, expected):
        self.use()
        self.effects = [error]
        if expected == 1:
            self.assertIs(error, self.assertRaises(errors.ElementError,
                                                   self.use, method))
        else:
            self.assertEqual('reply', self.use(method))
        self.assertEqual(expected, len(self.used) - 1)
        # Closed before it was used again, or in any case.
        self.assertEqual(1, len(self.closed))

    # Method of the call that finds a connection broken, exchanges until then.
    @ddt.data((READ, 2), (WRITE, 1))
    @ddt.unpack
    def test_use_broken_of_several(self, method, exchanges):
        self.use_at_once(3)
        broken = set(self.used)
        del self.used[:]
        self.effects = [lost(), lost()][:exchanges]
        # The next one is new, which an outage breaks as well.
        self.assertRaises(errors.ReplyLost, self.use, method)
        self.assertEqual(exchanges, len(self.used))
        self.assertEqual(broken, set(self.closed))
        # No call, as the one that repairs, meets another one of them.
        del self.used[:], self.closed[:]
        for _i in range(2):
            self.assertEqual('reply', self.use(WRITE))
        self.assertEqual(set(), broken & set(self.used))
        self.assert_opened(1)

    def test_use_broken_while_others_are_in_use(self):
        self.use_at_once(2)
        del self.used[:]

        def use_and_break():
            self.effects = [lost()]
            self.use()

        self.effects = [use_and_break]
        self.use()
        # They show themselves whether they are broken.
        self.assertNotIn(self.used[0], self.closed)

    # What says nothing of the other connections.
    @ddt.data(lost(errors.READ_TIMEOUT), lost('ProtocolError'),
              errors.AccessDenied('method', 'HTTP401', ''))
    def test_use_that_fails_keeps_the_others(self, error):
        self.use_at_once(3)
        self.effects = [error]
        self.assertRaises(errors.ElementError, self.use)
        self.assertEqual(1, len(self.closed))

    def test_use_new_one_broken_keeps_the_others(self):
        self.use_at_once(2)
        self.clock.advance(3)
        self.effects = [lost()]
        self.assertRaises(errors.ReplyLost, self.use, WRITE)
        self.assertEqual({self.used[0]}, set(self.closed))

    def test_use_broken_again(self):
        self.use()
        self.effects = [lost(), lost()]
        self.assertRaises(errors.ReplyLost, self.use)
        self.assertEqual(3, len(self.used))

    def test_use_new_one_broken(self):
        # It is not for having been idle.
        self.effects = [lost()]
        self.assertRaises(errors.ReplyLost, self.use)
        self.assertEqual(1, len(self.used))

    @ddt.data(errors.AccessDenied('method', 'HTTP401', ''), KeyError())
    def test_use_closes_after_any_error(self, error):
        self.effects = [error]
        self.assertRaises(type(error), self.use)
        self.assertEqual(self.used, self.closed)
        self.use()
        self.assertNotIn(self.used[-1], self.closed)

    def test_use_last_used_first(self):
        self.use_at_once(3)
        # Nested, so that the first one was returned last.
        first = self.used[0]
        for _i in range(3):
            self.use()
            self.assertIs(first, self.used[-1])
        self.assert_opened(3)
        # The other two are not kept for ever.
        self.clock.advance(60)
        self.use()
        self.assertEqual([], self.closed)
        self.clock.advance(1)
        self.use()
        self.assertEqual(set(self.used) - {first}, set(self.closed))

    def test_close_while_in_use(self):
        self.use_at_once(2)
        self.effects = [self.pool.close]
        self.use()
        # The idle one at once, the other one when it was returned.
        self.assertEqual(set(self.used), set(self.closed))
        self.assertEqual('reply', self.use())
        self.assertNotIn(self.used[-1], self.closed)


class SharedPoolTestCase(PoolTestCase):

    def test_use_none_free(self):
        self.mock_object(connections, '_MAX_CONNECTIONS', 2)
        self.pool = connections.ConnectionPool(*ENDPOINT, self.clock)
        self.assertRaises(connections.NoneFree, self.use_at_once, 3)
        self.effects.clear()
        # Each was returned, whatever happened.
        self.use_at_once(2)

    def test_use_by_a_burst_of_threads(self):
        everyone = threading.Barrier(32, timeout=60)
        self.effects = [everyone.wait] * 32
        with futures.ThreadPoolExecutor(64) as pool:
            list(pool.map(lambda _i: self.use(seconds=60), range(64)))
        self.assertEqual(64, len(self.used))
        self.assert_opened(32)

    def test_for_endpoint(self):
        found = connections.for_endpoint(*ENDPOINT)
        self.assertIs(found, connections.for_endpoint(*ENDPOINT))
        for index in range(4):
            other = list(ENDPOINT)
            other[index] += 'x'
            self.assertIsNot(found, connections.for_endpoint(*other))
        # Connections of what is not used any more are not kept.
        del found
        gc.collect()
        self.assertEqual({}, dict(connections._pools))

    def setUp(self):
        super().setUp()
        self.mock_object(connections, '_pools',
                         type(connections._pools)())


@ddt.ddt
class SessionTestCase(PoolTestCase):

    # As each request read the environment before.
    @ddt.data((True, '/environment.pem'), ('/ca.pem', '/ca.pem'),
              (False, False))
    @ddt.unpack
    def test_session(self, verify, expected):
        for name, value in (('https_proxy', 'http://proxy.test:3128'),
                            ('no_proxy', 'other.test'),
                            ('REQUESTS_CA_BUNDLE', '/environment.pem')):
            self.useFixture(base_fixtures.EnvironmentVariable(name, value))
        self.pool = connections.ConnectionPool(URL, 'admin', 'password',
                                               verify, self.clock)
        send = self.mock_object(requests.adapters.HTTPAdapter, 'send',
                                autospec=True)
        send.return_value = requests.Response()
        send.return_value.raw = mock.Mock(spec=['_original_response'],
                                          _original_response=None)
        self.pool.use(READ, lambda session: session.post(URL, stream=True), 0)
        (_adapter, request), sent = send.call_args
        self.assertEqual((expected, 'http://proxy.test:3128'),
                         (sent['verify'], sent['proxies']['https']))
        self.assertEqual('Basic YWRtaW46cGFzc3dvcmQ=',
                         request.headers['Authorization'])

    def test_session_without_a_proxy_for_the_cluster(self):
        for name, value in (('https_proxy', 'http://proxy.test:3128'),
                            ('no_proxy', 'cluster.test')):
            self.useFixture(base_fixtures.EnvironmentVariable(name, value))
        self.use()
        self.assertNotIn('https', self.used[0].proxies)
        self.assertEqual(0, self.used[0].get_adapter(URL).max_retries.total)
