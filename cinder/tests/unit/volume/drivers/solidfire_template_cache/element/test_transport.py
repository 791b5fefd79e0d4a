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

"""Requests and replies of single attempts, without a network."""

import gzip
import io
import json
import logging as std_logging
import warnings

import ddt
from oslo_utils import units
import requests
import urllib3

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import connections
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import \
    reachability
from cinder.volume.drivers.solidfire_template_cache.element import redaction
from cinder.volume.drivers.solidfire_template_cache.element import transport

URL = 'https://cluster.test:8443'
PASSWORD = 'pass-of-the-admin'
SECRET = 'CHAPSECRET12'
GOOD = {'result': {'n': 5}}


class Pieces(io.RawIOBase):
    """A body that arrives in pieces; arrive() is called before each."""

    def __init__(self, pieces, arrive=lambda: None):
        super().__init__()
        self._pieces = iter(pieces)
        self._arrive = arrive
        self.count = 0

    def read1(self, amount=-1):
        self._arrive()
        self.count += 1
        return next(self._pieces, b'')

    read = read1


def response(body, status=200, **headers):
    """Return a response with bytes, a stream, or data sent as JSON."""
    if not isinstance(body, (bytes, io.IOBase)):
        body = json.dumps(body).encode()
    found = requests.Response()
    found.status_code = status
    found.raw = urllib3.HTTPResponse(
        body=io.BytesIO(body) if isinstance(body, bytes) else body,
        headers=headers, preload_content=False)
    return found


class TransportTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.mock_object(reachability, '_known', {})
        self.log = self.useFixture(fixtures.LogCapture(''))
        self.clock = fixtures.ManualClock()
        self.post = self.mock_object(requests.Session, 'post', autospec=True)
        self.answer(GOOD)
        self.transport = self.new_transport()

    def new_transport(self, **changes):
        return transport.Transport(transport.Endpoint(**dict(
            {'url': URL, 'login': 'admin', 'password': PASSWORD,
             'verify': '/ca.pem', 'timeout': 40}, **changes)), self.clock)

    def answer(self, body, status=200, **headers):
        self.post.side_effect = lambda *args, **kwargs: response(
            body, status, **headers)

    def call(self, params=None):
        return self.transport.call('GetLimits', '1.0', params or {})

    def call_raw(self, params=None):
        return self.transport.call_raw('GetLimits', params or {})

    def assert_fails(self, error_class, name, function=None):
        exc = self.assertRaises(error_class, function or self.call)
        self.assertEqual((error_class, 'GetLimits', name),
                         (type(exc), exc.method, exc.name))
        self.assertEqual([], self.clock.slept)
        return exc


@ddt.ddt
class RequestTestCase(TransportTestCase):

    def assert_posted(self, path, timeout, **payload):
        (session, url), sent = self.post.call_args
        self.assertEqual(URL + path, url)
        self.assertEqual(payload, json.loads(sent.pop('data')))
        self.assertEqual({'headers': {'Content-Type': 'application/json-rpc'},
                          'timeout': timeout, 'allow_redirects': False,
                          'stream': True}, sent)
        # The environment of this process cannot override it.
        self.assertEqual(('/ca.pem', False),
                         (session.verify, session.trust_env))
        self.assertEqual(('admin', PASSWORD), session.auth)
        self.assertEqual(0, session.get_adapter(URL).max_retries.total)

    def test_call(self):
        self.post.assert_not_called()
        # Bug 1898587: the configured time-out is used. A host that does not
        # accept the connection is known to be down sooner.
        for number in (1, 2):
            self.assertEqual({'n': 5}, self.transport.call(
                'ListVolumes', '8.0', {'volumeName': 'v'}))
            self.assert_posted('/json-rpc/8.0', (10, 40), id=number,
                               method='ListVolumes',
                               params={'volumeName': 'v'})

    @ddt.data((None, (10, 40)), (70, (10, 70)), (7, (7, 7)))
    @ddt.unpack
    def test_call_raw(self, timeout, expected):
        self.assertEqual(GOOD, self.transport.call_raw(
            'GetLimits', {'a': 1}, '8.0', timeout))
        self.assert_posted('/json-rpc/8.0/', expected, method='GetLimits',
                           params={'a': 1})

    def test_unverified_requests_of_other_hosts_still_warn(self):
        # The warning was disabled for the whole process.
        category = urllib3.exceptions.InsecureRequestWarning
        text = "Unverified HTTPS request is being made to host '%s'. More."
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            for verify in (True, False):
                self.new_transport(verify=verify, url='https://[fd::1]:443')
                for host in ('fd::1', 'fd::12', 'other.test'):
                    warnings.warn(text % host, category)
        self.assertEqual(
            [text % host for host in ('fd::1', 'fd::12', 'other.test',
                                      'fd::12', 'other.test')],
            [str(warning.message) for warning in caught])


@ddt.ddt
class ReplyTestCase(TransportTestCase):

    @ddt.data(
        (b'<html>', 500, errors.ReplyLost, 'HTTP500'),
        (b'<html>', 503, errors.ReplyLost, 'HTTP503'),
        (b'<html>', 200, errors.ReplyLost, 'HTTP200'),
        (b'', 200, errors.ReplyLost, 'HTTP200'),
        (b'{"id": 1, "result": {"clon', 200, errors.ReplyLost, 'HTTP200'),
        (b'{"result": {"a": "\xff"}}', 200, errors.ReplyLost, 'HTTP200'),
        (b'[' * 200000, 200, errors.ReplyLost, 'HTTP200'),
        # null was seen in an upgrade.
        (None, 200, errors.ReplyLost, 'BadReply'),
        ([], 200, errors.ReplyLost, 'BadReply'),
        (5, 200, errors.ReplyLost, 'BadReply'),
        (b'<html>', 300, errors.UnexpectedReply, 'HTTP300'),
        (b'<html>', 308, errors.UnexpectedReply, 'HTTP308'),
        (b'<html>', 404, errors.UnexpectedReply, 'HTTP404'),
        ({'error': 'text'}, 200, errors.UnexpectedReply, 'BadReply'),
        ({'error': 5}, 200, errors.UnexpectedReply, 'BadReply'),
        ({'error': True}, 200, errors.UnexpectedReply, 'BadReply'),
        ({'error': ['x']}, 200, errors.UnexpectedReply, 'BadReply'),
        (b'<html>', 401, errors.AccessDenied, 'HTTP401'),
        (GOOD, 403, errors.AccessDenied, 'HTTP403'))
    @ddt.unpack
    def test_reply_that_cannot_be_used(self, body, status, error_class, name):
        self.answer(body, status)
        for function in (self.call, self.call_raw):
            self.assert_fails(error_class, name, function)
        self.assertEqual(2, self.post.call_count)

    @ddt.data({}, {'result': None}, {'result': []}, {'error': None})
    def test_call_without_result(self, reply):
        self.answer(reply)
        self.assert_fails(errors.UnexpectedReply, 'BadReply')

    @ddt.data(200, 500)
    def test_api_error(self, status):
        error = {'name': 'xNew', 'message': 'm', 'code': 500}
        self.answer({'error': error}, status)
        exc = self.assert_fails(errors.ApiError, 'xNew')
        self.assertEqual(('m', 500), (exc.reason, exc.code))
        self.assertEqual({'error': error}, self.call_raw())
        self.assertEqual([], self.log.warnings)

    def test_call_raw_completes_the_error(self):
        # The stock driver raises TypeError or KeyError without.
        for reply, expected in (
                ({'error': None, 'result': {}}, {'result': {}}),
                ({'error': {'message': 'm'}},
                 {'error': {'name': 'unnamed', 'message': 'm'}})):
            self.answer(reply)
            self.assertEqual(expected, self.call_raw())

    @ddt.data((b' ' * 2 ** 16, None),
              # 64 MiB become 64 KiB.
              (gzip.compress(b' ' * (64 * units.Mi)), 'gzip'))
    @ddt.unpack
    def test_reply_without_end_is_not_read_to_the_end(self, piece, encoding):
        body = Pieces([piece] * 9999)
        self.answer(body, **{'content-encoding': encoding or 'identity'})
        self.assert_fails(errors.ReplyLost, 'OversizedReply')
        self.assertLess(body.count, 600)
        self.assertTrue(body.closed)

    def test_reply_of_the_maximum_length_is_read(self):
        # 4000 volumes with 8 KiB each are 32 MiB.
        self.assertEqual(32 * units.Mi, transport._MAX_REPLY_BYTES)
        self.mock_object(transport, '_MAX_REPLY_BYTES', 200000)
        self.answer(json.dumps(GOOD).ljust(200000).encode())
        self.assertEqual({'n': 5}, self.call())
        self.answer(json.dumps(GOOD).ljust(200001).encode())
        self.assert_fails(errors.ReplyLost, 'OversizedReply')

    def test_reply_that_trickles(self):
        pieces = [bytes([byte]) for byte in json.dumps(GOOD).encode()]
        self.answer(Pieces(pieces, lambda: self.clock.advance(1)))
        self.assertEqual({'n': 5}, self.call())
        slow = Pieces(pieces, lambda: self.clock.advance(3))
        self.answer(slow)
        self.assert_fails(errors.ReplyLost, errors.READ_TIMEOUT)
        self.assertEqual(14, slow.count)


def broken(wrapper, cause):
    """Return an exception of requests that wraps one of urllib3."""
    inner = wrapper(None, 'Failed: %s' % cause)
    inner.__cause__ = cause
    return requests.exceptions.ConnectionError(
        urllib3.exceptions.MaxRetryError(None, URL, inner))


@ddt.ddt
class FailureTestCase(TransportTestCase):

    # See also test_transport_connection. The exception, class and name of the
    # error, its reason, and whether it is an outage.
    @ddt.data(
        (broken(urllib3.exceptions.NewConnectionError,
                OSError(113, 'No route to host')),
         errors.NotSent, 'ConnectionError', 'no connection to %s: No route '
         'to host; check san_ip, sf_api_port', True),
        (requests.exceptions.ConnectTimeout('x'),
         errors.NotSent, 'ConnectTimeout', 'no connection to %s: no answer '
         'within 10 seconds; check san_ip, sf_api_port', True),
        (requests.exceptions.InvalidURL('bad\n label.'),
         errors.AccessDenied, 'InvalidAddress', '%s is no valid address: '
         'bad label; check san_ip, sf_api_port', True),
        (broken(urllib3.exceptions.ProxyError, OSError(32, 'Broken pipe')),
         errors.ReplyLost, 'ConnectionError',
         'no complete reply of %s: Broken pipe', False),
        (requests.exceptions.ReadTimeout('slow'), errors.ReplyLost,
         'ReadTimeout', 'no complete reply of %s: slow', False),
        (urllib3.exceptions.ProtocolError(), errors.ReplyLost,
         'ProtocolError', 'no complete reply of %s: ProtocolError', False))
    @ddt.unpack
    def test_failure(self, failure, error_class, name, reason, outage):
        self.post.side_effect = failure
        for function in (self.call, self.call_raw):
            exc = self.assert_fails(error_class, name, function)
            self.assertEqual(reason % URL, exc.reason)
            # No chain of exceptions of requests in a traceback.
            self.assertIsNone(exc.__context__)
        # Once, though two calls failed.
        self.assertEqual(
            ['The SolidFire cluster cannot be used: %s.' % exc.reason]
            if outage else [], self.log.warnings)
        self.log.assert_no_exception_appended()
        # Neither a page of a proxy nor a service that starts ends an outage.
        self.answer(b'<html>', 503)
        self.assertRaises(errors.ReplyLost, self.call)
        self.assertEqual([], self.log.infos)
        self.answer(GOOD)
        self.call()
        self.assertEqual(
            ['The SolidFire cluster at %s can be used again.' % URL]
            if outage else [], self.log.infos)

    def test_no_connection_is_free(self):
        use = self.mock_object(connections.ConnectionPool, 'use',
                               autospec=True)
        use.side_effect = connections.NoneFree()
        for function in (self.call, self.call_raw):
            exc = self.assert_fails(errors.NotSent, errors.CONNECT_TIMEOUT,
                                    function)
            self.assertEqual('all connections to %s were in use for 40 '
                             'seconds' % URL, exc.reason)
        # Other calls say what is wrong with the cluster.
        self.assertEqual([], self.log.warnings)

    def test_options_of_another_cluster_are_named(self):
        self.transport = self.new_transport(
            address_options='replication_device', login_options='its login')
        self.post.side_effect = requests.exceptions.ConnectTimeout()
        self.assertIn('; check replication_device',
                      self.assertRaises(errors.NotSent, self.call).reason)
        self.answer(b'', 401)
        self.assertIn('; check its login', self.assertRaises(
            errors.AccessDenied, self.call).reason)


class SecretsTestCase(TransportTestCase):

    PARAMS = {'username': 'tenant', 'targetSecret': SECRET,
              'initiatorSecret': ''}

    def assert_clean(self, *texts):
        for text in texts + (self.log.text,):
            self.assertNotIn(PASSWORD, text)
            self.assertNotIn(SECRET, text)

    def test_log_of_a_request(self):
        self.call(self.PARAMS)
        self.call_raw(self.PARAMS)
        lines = [line for line in self.log.at(std_logging.DEBUG)
                 if 'GetLimits' in line and
                 "'username': 'tenant', 'targetSecret': '***'" in line]
        self.assertEqual(2, len(lines))
        self.assert_clean(repr(self.transport), repr(self.transport._endpoint))

    def test_nothing_is_redacted_for_a_log_that_is_off(self):
        std_logging.getLogger(transport.__name__).setLevel(std_logging.INFO)
        self.addCleanup(std_logging.getLogger(transport.__name__).setLevel,
                        std_logging.NOTSET)
        redact = self.mock_object(redaction, 'redact', autospec=True)
        self.call(self.PARAMS)
        self.call_raw(self.PARAMS)
        redact.assert_not_called()

    def test_call_raw_redacts_the_reply(self):
        # The stock driver logs it.
        reply = {'result': {'accounts': [{'targetSecret': SECRET}]}}
        self.answer(reply)
        self.assertEqual(reply, self.call_raw())
        self.assert_clean(repr(self.call_raw()))

    def test_error_that_quotes_secrets(self):
        self.answer({'error': {'name': 'xA', 'message':
                               '%s is bad, said %s' % (SECRET, PASSWORD)}})
        exc = self.assertRaises(errors.ApiError, self.call, self.PARAMS)
        self.assertEqual('*** is bad, said ***', exc.reason)
        self.assertEqual('*** is bad, said ***',
                         self.call_raw(self.PARAMS)['error']['message'])
        self.assert_clean(repr(exc))
