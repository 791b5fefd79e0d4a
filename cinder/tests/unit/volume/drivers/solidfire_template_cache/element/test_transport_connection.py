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

"""TLS, authentication and connections, against a server."""

from concurrent import futures
import threading

import ddt
import fixtures as base_fixtures
import trustme

from cinder.tests.element_simulator import fixture as simulator
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import transport

PASSWORD = 'pass-of-the-admin'


@ddt.ddt
class ConnectionTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.sim = self.useFixture(simulator.ElementSimulator(
            clock=self.clock, password=PASSWORD))
        self.log = self.useFixture(fixtures.LogCapture())
        self.other_ca = self.useFixture(base_fixtures.TempDir()).join('ca')
        trustme.CA().cert_pem.write_to_path(self.other_ca)

    def new_transport(self, **changes):
        return transport.Transport(transport.Endpoint(**dict(
            {'url': self.sim.url, 'login': self.sim.login,
             'password': PASSWORD, 'verify': self.sim.ca_file}, **changes)),
            self.clock)

    def call(self, **changes):
        return self.new_transport(**changes).call('GetLimits', '1.0', {})

    TLS = 'no TLS connection to %s: '
    TLS_OPTIONS = '; check driver_ssl_cert_verify, driver_ssl_cert_path'
    UNTRUSTED = (TLS + 'unable to get local issuer certificate' +
                 TLS_OPTIONS + ', san_ip, sf_api_port')

    # Changes of the endpoint; name and reason of the error.
    @ddt.data(
        ({'verify': True}, 'TLSError', UNTRUSTED),
        ({'verify': 'other_ca'}, 'TLSError', UNTRUSTED),
        ({'verify': '/no.pem'}, 'TLSError',
         TLS + 'Could not find a suitable TLS CA certificate bundle, invalid '
         'path: /no.pem' + TLS_OPTIONS),
        ({'password': 'wrong'}, 'HTTP401', '%s refused the login admin with '
         'HTTP status 401; check san_login, san_password'),
        (None, 'ConnectionError', 'no connection to %s: Connection refused; '
         'check san_ip, sf_api_port'))
    @ddt.unpack
    def test_outage_is_logged_at_once_with_its_cause(self, changes, name,
                                                     reason):
        if changes is None:
            self.sim.server.stop()
        elif changes.get('verify') == 'other_ca':
            changes = {'verify': self.other_ca}
        exc = self.assertRaises(
            errors.ElementError if changes else errors.NotSent, self.call,
            **changes or {})
        self.assertIs(errors.AccessDenied if changes else errors.NotSent,
                      type(exc))
        self.assertEqual((name, reason % self.sim.url), (exc.name, exc.reason))
        # oslo.log appends an exception that is being handled.
        self.log.assert_no_exception_appended()
        self.assertNotIn(PASSWORD, self.log.text)
        self.log.pop_warning(exc.reason)
        self.assertEqual([], self.sim.calls.methods)

    def test_tls_uses_the_configuration_and_not_the_environment(self):
        for changes in ({}, {'verify': False}):
            self.assertEqual(2, self.call(**changes)['cloneJobsPerVolumeMax'])
        for name in ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'):
            self.useFixture(base_fixtures.EnvironmentVariable(
                name, self.other_ca))
            self.call()
            self.useFixture(base_fixtures.EnvironmentVariable(
                name, self.sim.ca_file))
            self.assertRaises(errors.AccessDenied, self.call,
                              verify=self.other_ca)

    @ddt.data('before', 'after')
    def test_connection_that_breaks(self, when):
        self.sim.faults.add(method='GetLimits', drop=True, when=when)
        exc = self.assertRaises(errors.ReplyLost, self.call)
        self.assertEqual(errors.CONNECTION_ERROR, exc.name)
        self.assertEqual([], self.log.warnings)

    def test_reply_that_does_not_come(self):
        release = threading.Event()
        # Reached before the server's own end, which waits for its threads.
        self.addCleanup(release.set)
        self.mock_object(self.sim.server, 'sleep',
                         lambda seconds: release.wait(60))
        self.sim.faults.add(method='GetLimits', delay=1)
        exc = self.assertRaises(errors.ReplyLost, self.call, timeout=0.5)
        self.assertEqual('ReadTimeout', exc.name)

    def test_calls_share_kept_connections(self):
        first = self.new_transport()
        self.sim.faults.add(method='GetLimits', error='xNew')
        self.assertRaises(errors.ApiError, first.call, 'GetLimits', '1.0', {})
        for kept in (first, self.new_transport()):
            kept.call('GetLimits', '1.0', {})
            kept.call_raw('GetLimits', {}, timeout=7)
        self.assertEqual(1, self.sim.server.connections)
        first.close()
        first.call_raw('GetLimits', {})
        self.assertEqual(2, self.sim.server.connections)
        self.new_transport(verify=False).call('GetLimits', '1.0', {})
        self.assertEqual(3, self.sim.server.connections)

    # What happened to a kept connection, and how often each call is made.
    @ddt.data(('restart', 1, 1), ('drop', 2, 1))
    @ddt.unpack
    def test_kept_connection_is_broken(self, what, reads, writes):
        kept = self.new_transport()
        for method, count in (('GetLimits', reads), ('AddAccount', writes)):
            kept.call('GetDefaultQoS', '1.0', {})
            if what == 'restart':
                self.sim.server.stop()
                self.sim.server.start()
            else:
                # Unnoticed until the call is sent: a firewall, or an address
                # that another node has taken over.
                self.sim.faults.add(method=method, drop=True, when='after')
            params = ({'username': 'tenant', 'attributes': {}}
                      if method == 'AddAccount' else {})
            try:
                kept.call_raw(method, params)
                lost = False
            except errors.ReplyLost:
                lost = True
            self.assertEqual((what == 'drop' and method == 'AddAccount',
                              count),
                             (lost, self.sim.calls.count(method)))

    def test_threads_share_a_transport(self):
        shared = self.new_transport()
        with futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _i: shared.call('GetLimits', '1.0', {}),
                          range(40)))
        self.assertEqual(40, self.sim.calls.count())
        self.assertLessEqual(self.sim.server.connections, 8)
