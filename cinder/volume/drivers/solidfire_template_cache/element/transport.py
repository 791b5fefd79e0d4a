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

"""Single attempts of Element API calls: JSON-RPC over HTTPS.

A call is a POST to ``https://<address>/json-rpc/<version>`` with basic
authentication. Errors of the API come with HTTP status 200, a refused login
with 401, and a version that the cluster does not know with 404. Sources:
Element software API guide, release 12; for the status codes solidfire-sdk-
python, NetApp's sfauto and captured replies of solidfire-exporter.
"""

import dataclasses
import errno
import itertools
import json
import os
import re
import ssl
from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional
from typing import Tuple
from urllib import parse
import warnings

from oslo_log import log as logging
import requests
import six
import urllib3

from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache.element import connections
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import \
    reachability
from cinder.volume.drivers.solidfire_template_cache.element import redaction

LOG = logging.getLogger(__name__)

# The longest good reply lists all volumes of a cluster: 4000 (API guide,
# GetLimits), with some kilobytes each.
_MAX_REPLY_BYTES = 32 * 2 ** 20
_CHUNK_BYTES = 2 ** 16

# A host on the management network answers within milliseconds, or never; an
# operator should not have to wait longer for the name of a wrong address.
_CONNECT_SECONDS = 10

# Makes what represents an object of JSON.
_Hook = Callable[[Dict[str, Any]], Dict[str, Any]]

_TLS_OPTIONS = 'driver_ssl_cert_verify, driver_ssl_cert_path'


@dataclasses.dataclass(frozen=True)
class Endpoint(object):
    """Where and how to reach one cluster."""

    url: str
    """``https://host:port``, without a path."""
    login: str
    password: str = dataclasses.field(repr=False)
    verify: connections.Verify = True
    timeout: float = 30
    """Seconds to wait for a reply."""
    address_options: str = 'san_ip, sf_api_port'
    """Options to check when the cluster cannot be reached."""
    login_options: str = 'san_login, san_password'
    """Options to check when the cluster refuses the login."""


class Transport(object):
    """Makes calls, without retries. Threads may share it.

    Nothing is sent before the first call. All transports of an endpoint
    share its connections, see :mod:`connections`. A failure to reach the
    cluster or to log in is reported to :mod:`reachability` at once.
    """

    def __init__(self, endpoint: Endpoint, clock: clock.SystemClock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._pool = connections.for_endpoint(
            endpoint.url, endpoint.login, endpoint.password, endpoint.verify)
        self._reachability = reachability.for_url(endpoint.url)
        self._ids = itertools.count(1)
        if endpoint.verify is False:
            _ignore_insecure_request_warnings(endpoint.url)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._pool.close()

    def call(self, method: str, version: str,
             params: Dict[str, Any]) -> Dict[str, Any]:
        """Make one attempt.

        :param method: name of the API method
        :param version: of the API
        :returns: the ``result`` of the reply
        :raises errors.ElementError: the call failed
        """
        request_id = next(self._ids)
        self._log_request(request_id, method, params)
        reply = self._post(
            method, version,
            {'method': method, 'params': params, 'id': request_id},
            self._endpoint.timeout)
        if reply.get('error') is not None:
            raise errors.from_reply(
                method, reply['error'],
                lambda text: self._redact_text(text, params))
        if not isinstance(reply.get('result'), dict):
            raise errors.UnexpectedReply(method, 'BadReply',
                                         'the reply has no result')
        return reply['result']

    def call_raw(self, method: str, params: Dict[str, Any],
                 version: str = '1.0',
                 timeout: Optional[float] = None) -> Dict[str, Any]:
        """Make one attempt for the stock driver, which reads errors itself.

        :param timeout: seconds to wait for the reply, instead of those of
            the endpoint
        :returns: the whole reply, redacted. Its ``error``, if there is one,
            is a dictionary with a ``name`` and with no secret in its text
        :raises errors.ElementError: no reply, or none that can be decoded
        """
        self._log_request(None, method, params)
        # The stock driver's URLs end in a slash.
        reply = self._post(method, version + '/',
                           {'method': method, 'params': params},
                           timeout or self._endpoint.timeout,
                           redaction.RedactedDict)
        error = reply.pop('error', None)
        if error is not None:
            exc = errors.from_reply(method, error, str)
            if not isinstance(exc, errors.ApiError):
                raise exc
            reply['error'] = {
                key: self._redact_text(value, params)
                if isinstance(value, str) else value
                for key, value in dict(error, name=exc.name).items()}
        return reply

    # Sending

    @staticmethod
    def _log_request(request_id: Optional[int], method: str,
                     params: Dict[str, Any]) -> None:
        if LOG.isEnabledFor(logging.DEBUG):
            LOG.debug('Request %(id)s: %(method)s %(params)s',
                      {'id': request_id, 'method': method,
                       'params': redaction.redact(params)})

    def _post(self, method: str, path: str, payload: Dict[str, Any],
              timeout: float, object_hook: Optional[_Hook] = None
              ) -> Dict[str, Any]:
        """Send a request; return the reply.

        :param object_hook: as in json.loads
        """
        data = json.dumps(payload)

        def exchange(session: requests.Session) -> Dict[str, Any]:
            return _decode(method,
                           *self._send(session, method, path, data, timeout),
                           object_hook)

        failure: Optional[errors.ElementError] = None
        try:
            reply = self._pool.use(method, exchange, timeout)
        except connections.NoneFree:
            # Calls do not end, which is no outage: their time-outs say more.
            raise errors.NotSent(
                method, errors.CONNECT_TIMEOUT, 'all connections to %s were '
                'in use for %s seconds' % (self._endpoint.url, timeout)
            ) from None
        except errors.ElementError as exc:
            failure = exc
        self._report(failure)
        if failure is not None:
            raise failure
        return reply

    def _send(self, session: requests.Session, method: str, path: str,
              data: str, timeout: float) -> Tuple[int, bytes]:
        """Send a request; return HTTP status and body of the reply."""
        failure: Optional[errors.ElementError] = None
        status, body = 0, b''
        try:
            with session.post(
                    '%s/json-rpc/%s' % (self._endpoint.url, path), data=data,
                    headers={'Content-Type': 'application/json-rpc'},
                    timeout=(min(timeout, _CONNECT_SECONDS), timeout),
                    allow_redirects=False, stream=True) as response:
                status = response.status_code
                body = self._read(method, response, timeout)
        except (requests.exceptions.RequestException,
                urllib3.exceptions.HTTPError, OSError) as exc:
            failure = self._explain(method, exc, timeout)
        if failure is None and status in (401, 403):
            failure = errors.AccessDenied(
                method, 'HTTP%s' % status,
                '%s refused the login %s with HTTP status %s; check %s'
                % (self._endpoint.url, self._endpoint.login, status,
                   self._endpoint.login_options))
        if failure is not None:
            # Not as long as the exception is handled: its traceback of some
            # 50 lines says no more than the reason.
            raise failure
        return status, body

    def _read(self, method: str, response: requests.Response,
              timeout: float) -> bytes:
        """Return the body of a reply, unless it is too long or too slow."""
        body = bytearray()
        deadline = self._clock.monotonic() + timeout
        # read1 returns what has arrived, however little; read would wait for
        # a whole chunk, as long as single bytes keep on arriving.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > _MAX_REPLY_BYTES:
                raise errors.ReplyLost(
                    method, 'OversizedReply',
                    'more than %s bytes' % _MAX_REPLY_BYTES)
            if self._clock.monotonic() > deadline:
                raise errors.ReplyLost(
                    method, errors.READ_TIMEOUT,
                    'not complete within %s seconds' % timeout)
        return bytes(body)

    # Failures

    def _report(self, failure: Optional[errors.ElementError]) -> None:
        if failure is None:
            self._reachability.succeeded()
        elif (isinstance(failure, (errors.NotSent, errors.AccessDenied)) or
                failure.name == errors.TLS_ERROR):
            self._reachability.failed(failure.reason)

    def _explain(self, method: str, exc: Exception,
                 timeout: float) -> errors.ElementError:
        """Return the error for an exception of requests, with its cause."""
        url, options = self._endpoint.url, self._endpoint.address_options
        if isinstance(exc, requests.exceptions.SSLError):
            # A handshake is also cut when the address moves to another node.
            error_class = (
                errors.AccessDenied if isinstance(
                    _innermost(exc), ssl.SSLCertVerificationError)
                else errors.ReplyLost)
            return error_class(
                method, errors.TLS_ERROR, 'no TLS connection to %s: %s; '
                'check %s, %s' % (url, _cause(exc), _TLS_OPTIONS, options))
        if isinstance(exc, requests.exceptions.ConnectTimeout):
            return errors.NotSent(
                method, errors.CONNECT_TIMEOUT, 'no connection to %s: no '
                'answer within %s seconds; check %s'
                % (url, min(timeout, _CONNECT_SECONDS), options))
        if _never_connected(exc):
            return errors.NotSent(
                method, errors.CONNECTION_ERROR, 'no connection to %s: %s; '
                'check %s' % (url, _cause(exc), options))
        if isinstance(exc, ValueError):
            return errors.AccessDenied(
                method, 'InvalidAddress', '%s is no valid address: %s; '
                'check %s' % (url, _cause(exc), options))
        if isinstance(exc, (requests.exceptions.RequestException,
                            urllib3.exceptions.HTTPError)):
            late = isinstance(exc, (requests.exceptions.ReadTimeout,
                                    urllib3.exceptions.ReadTimeoutError))
            return errors.ReplyLost(
                method, errors.READ_TIMEOUT if late else type(exc).__name__,
                'no complete reply of %s: %s' % (url, _cause(exc)))
        # requests raises OSError when it finds no file for verify.
        return errors.AccessDenied(
            method, errors.TLS_ERROR, 'no TLS connection to %s: %s; check %s'
            % (url, _cause(exc), _TLS_OPTIONS))

    def _redact_text(self, text: str, params: Dict[str, Any]) -> str:
        """Remove secrets from text of the cluster.

        :param params: of the call, which the text may quote
        """
        secrets = [params[key] for key in redaction.SECRETS if key in params]
        for secret in secrets + [self._endpoint.password]:
            if secret:
                text = text.replace(secret, redaction.HIDDEN)
        return text


def _ignore_insecure_request_warnings(url: str) -> None:
    """Turn off urllib3's warning at each request, for one host.

    The operator chose not to verify the certificate. The process may have
    other connections, for which the warning has to stay.
    """
    host = re.escape(parse.urlsplit(url).hostname or '')
    warnings.filterwarnings(
        'ignore', category=urllib3.exceptions.InsecureRequestWarning,
        message=r"Unverified HTTPS request is being made to host '%s'" % host)


def _decode(method: str, status: int, body: bytes,
            object_hook: Optional[_Hook]) -> Dict[str, Any]:
    """Return the reply, which is an object."""
    try:
        reply = json.loads(six.ensure_text(body), object_hook=object_hook)
    except (ValueError, RecursionError):
        # 404 means that the cluster does not know the API version. Anything
        # else is a service that starts, or a reply that was cut short.
        error_class = (errors.UnexpectedReply if 300 <= status < 500
                       else errors.ReplyLost)
        raise error_class(method, 'HTTP%s' % status,
                          'the reply is not JSON') from None
    if not isinstance(reply, dict):
        # null was seen during an upgrade of the cluster (scripts of
        # schubb2003).
        raise errors.ReplyLost(method, 'BadReply',
                               'the reply is not an object')
    return reply


def _never_connected(exc: Exception) -> bool:
    """Return whether requests failed before anything was sent."""
    reason = exc.args[0] if exc.args else None
    return isinstance(getattr(reason, 'reason', reason),
                      urllib3.exceptions.NewConnectionError)


def _innermost(exc: BaseException) -> BaseException:
    """Return the innermost cause of an exception of requests.

    requests wraps exceptions of urllib3, and those wrap the ones of OpenSSL
    and of the operating system.
    """
    while True:
        inner = [value for value in (getattr(exc, 'reason', None), *exc.args,
                                     exc.__cause__)
                 if isinstance(value, BaseException)]
        if not inner:
            return exc
        exc = inner[0]


def _cause(exc: BaseException) -> str:
    """Return the text of the innermost cause, in one line."""
    exc = _innermost(exc)
    text = (getattr(exc, 'verify_message', None) or
            getattr(exc, 'strerror', None) or str(exc) or type(exc).__name__)
    if isinstance(exc, OSError) and exc.errno and (
            text == errno.errorcode.get(exc.errno)):
        # eventlet gives the name only.
        text = os.strerror(exc.errno)
    return ' '.join(text.split()).rstrip('.')
