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

"""The WSGI application: authentication, JSON-RPC and fault injection."""

import errno
import hmac
import json
import typing

from oslo_log import log as logging
from werkzeug import datastructures
from werkzeug import wrappers

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import control
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import faults
from cinder.tests.element_simulator import journal
from cinder.tests.element_simulator import methods  # noqa: F401

if typing.TYPE_CHECKING:
    from cinder.tests.element_simulator import server

LOG = logging.getLogger(__name__)

_PAGE = ('<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
         '<html><head><title>{title}</title></head>'
         '<body><h1>{title}</h1></body></html>\n')
_TITLES = {401: '401 Unauthorized', 404: '404 Not Found',
           405: '405 Method Not Allowed', 500: '500 Internal Server Error'}


def _error_page(status: int, **headers: str) -> wrappers.Response:
    """Return the HTML response to a request that is not an API call."""
    return wrappers.Response(_PAGE.format(title=_TITLES[status]), status,
                             headers, content_type='text/html')


class Dropped(ConnectionResetError):
    """Raised through the HTTP server, which then closes the connection."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, 'dropped by a fault rule')


class Application:
    """A WSGI application that serves one cluster.

    :param server: its attributes cluster, faults, calls, sleep, login and
                   password are used
    """

    def __init__(self, server: 'server.Server') -> None:
        self.server = server

    def __call__(self, environ: dict, start_response: typing.Callable
                 ) -> typing.Iterable[bytes]:
        request = wrappers.Request(environ)
        try:
            response = self._route(request)
        except Dropped:
            raise
        except Exception:
            # A bug of the simulator; the client sees a server error.
            LOG.exception('The simulator failed on %s.',  # noqa: C309
                          request.path)
            response = _error_page(500)
        return response(environ, start_response)

    def _route(self, request: wrappers.Request) -> wrappers.Response:
        if not self._is_authorized(request.authorization):
            return _error_page(401, **{'WWW-Authenticate':
                                       'Basic realm="Element API"'})
        parts = request.path.strip('/').split('/')
        if parts[0] == 'sim':
            return control.respond(self.server, request, parts[1:])
        if (len(parts) != 2 or parts[0] != 'json-rpc'
                or parts[1] not in self.server.cluster.versions):
            return _error_page(404)
        if request.method != 'POST':
            return _error_page(405)
        return self._json_rpc(request.get_data(), parts[1])

    def _is_authorized(
            self, given: typing.Optional[datastructures.Authorization]
    ) -> bool:
        if given is None or given.type != 'basic':
            return False
        expected = f'{self.server.login}\n{self.server.password}'
        received = f'{given.username}\n{given.password}'
        return hmac.compare_digest(expected.encode(), received.encode())

    def _json_rpc(self, body: bytes, version: str) -> wrappers.Response:
        try:
            document = _decode(body)
        except errors.ApiError as error:
            return wrappers.Response(
                json.dumps(_error_document(None, error)),
                content_type='application/json')
        return Exchange(self.server, document, version, len(body)).answer()


def _decode(body: bytes) -> dict:
    try:
        document = json.loads(body)
    except ValueError:
        raise errors.ApiError('xInvalidAPIParameter', 'The body is not JSON')
    if not isinstance(document, dict):
        raise errors.ApiError('xInvalidAPIParameter',
                              'The request must be an object')
    if not isinstance(document.get('method'), str):
        raise errors.ApiError('xMissingParameter', 'Missing member=[method]')
    return document


def _error_document(request_id: typing.Any, error: errors.ApiError) -> dict:
    return {'id': request_id, 'error': {'code': 500, 'name': error.name,
                                        'message': error.message}}


class Exchange:
    """One API call, from the decoded request to the response.

    :param document: the request
    :param version: version of the API, from the URL
    :param bytes_in: length of the request body
    """

    def __init__(self, server: 'server.Server', document: dict, version: str,
                 bytes_in: int) -> None:
        self.server = server
        self.method: str = document['method']
        self.params = document.get('params')
        self.request_id = document.get('id')
        self.version = version
        self.bytes_in = bytes_in
        self.effect = False
        self._ignored: frozenset[str] = frozenset()

    def answer(self) -> wrappers.Response:
        """Carry out the call, unless the fault rules prevent it.

        :raises: Dropped
        """
        strike = self._strike('before')
        if strike.rule:
            return self._fail(strike.rule)
        self._ignored = strike.ignored
        error = None
        try:
            document = self._perform(strike.job_error)
        except errors.ApiError as caught:
            document = _error_document(self.request_id, caught)
            error = caught.name
        strike = self._strike('after')
        if strike.rule:
            return self._fail(strike.rule)
        return self._respond(json.dumps(document), error=error)

    def _strike(self, when: str) -> faults.Strike:
        strike = self.server.faults.strike(self.method, self.params, when)
        if strike.delay:
            self.server.sleep(strike.delay)
        return strike

    def _perform(self, job_error: typing.Optional[str]) -> dict:
        params = self.params
        if self._ignored and isinstance(params, dict):
            params = {key: value for key, value in params.items()
                      if key not in self._ignored}
        reply = api.call(
            self.server.cluster, self.method, params, self.version,
            errors.ApiError(job_error, 'Set by a fault rule')
            if job_error else None)
        self.effect = True
        document = {'id': self.request_id, 'result': reply.result}
        if reply.unused:
            # The documentation shows the former, recorded replies the latter.
            document['unusedParameters'] = reply.unused
            document['warning'] = {'unusedParameters': reply.unused}
        return document

    def _fail(self, rule: faults.Rule) -> wrappers.Response:
        if rule.drop:
            self._record(dropped=True, http_status=None)
            raise Dropped()
        if rule.http_status:
            body = '' if rule.body is None else rule.body
            if not isinstance(body, str):
                body = json.dumps(body)
            return self._respond(body, status=rule.http_status)
        error = errors.ApiError(rule.error or '', rule.message)
        return self._respond(
            json.dumps(_error_document(self.request_id, error)),
            error=rule.error)

    def _respond(self, text: str, status: int = 200,
                 error: typing.Optional[str] = None) -> wrappers.Response:
        kind = 'text/html' if text.startswith('<') else 'application/json'
        body = text.encode('utf-8')
        self._record(error=error, http_status=status, bytes_out=len(body))
        return wrappers.Response(body, status, content_type=kind)

    def _record(self, **outcome: typing.Any) -> None:
        # Before the response is sent, so that its receiver finds the record.
        call = journal.Call(
            method=self.method, params=journal.redact(self.params),
            version=self.version, effect=self.effect,
            bytes_in=self.bytes_in, **outcome)
        self.server.calls.add(call)
        LOG.debug('%(method)s on %(version)s: %(outcome)s.',  # noqa: C309
                  {'method': self.method, 'version': self.version,
                   'outcome': call.error or call.http_status or 'dropped'})
