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

"""The cluster's web side: authentication, JSON-RPC, faults."""

import errno
import hmac
import json

from oslo_log import log as logging
from werkzeug import wrappers

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import control
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import journal
from cinder.tests.element_simulator import methods  # noqa: F401

LOG = logging.getLogger(__name__)

_PAGE = ('<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
         '<html><head><title>{title}</title></head>'
         '<body><h1>{title}</h1></body></html>\n')
_TITLES = {401: '401 Unauthorized', 404: '404 Not Found',
           405: '405 Method Not Allowed', 500: '500 Internal Server Error'}


def page(status, **headers):
    """Return the HTML answer for what never reaches the API."""
    return wrappers.Response(_PAGE.format(title=_TITLES[status]), status,
                             headers, content_type='text/html')


class Dropped(ConnectionResetError):
    """Raised through the server, which then closes the connection."""

    def __init__(self):
        super().__init__(errno.ECONNRESET, 'dropped by a fault rule')


class Application:
    """A WSGI application that answers for one cluster.

    :param server: has cluster, faults, calls, sleep, login and password
    """

    def __init__(self, server):
        self.server = server

    def __call__(self, environ, start_response):
        request = wrappers.Request(environ)
        try:
            response = self._route(request)
        except Dropped:
            raise
        except Exception:
            # A defect of the simulator; the client sees a server error.
            LOG.exception('The simulator failed on %s', request.path)
            response = page(500)
        return response(environ, start_response)

    def _route(self, request):
        if not self._authorized(request.authorization):
            return page(401, **{'WWW-Authenticate':
                                'Basic realm="Element API"'})
        parts = request.path.strip('/').split('/')
        if parts[0] == 'sim':
            return control.answer(self.server, request, parts[1:])
        if (len(parts) != 2 or parts[0] != 'json-rpc'
                or parts[1] not in self.server.cluster.versions):
            return page(404)
        if request.method != 'POST':
            return page(405)
        return self._json_rpc(request.get_data(), parts[1])

    def _authorized(self, given):
        if given is None or given.type != 'basic':
            return False
        expected = f'{self.server.login}\n{self.server.password}'
        received = f'{given.username}\n{given.password}'
        return hmac.compare_digest(expected.encode(), received.encode())

    def _json_rpc(self, body, version):
        try:
            document = _decode(body)
        except errors.ApiError as error:
            return wrappers.Response(
                json.dumps(_failure(None, error)),
                content_type='application/json')
        exchange = Exchange(self.server, document, version, len(body))
        return exchange.answer()


def _decode(body):
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


def _failure(request_id, error):
    return {'id': request_id, 'error': {'code': 500, 'name': error.name,
                                        'message': error.message}}


class Exchange:
    """One API call, from the decoded request to the answer."""

    def __init__(self, server, document, version, bytes_in):
        self.server = server
        self.method = document['method']
        self.params = document.get('params')
        self.request_id = document.get('id')
        self.version = version
        self.bytes_in = bytes_in
        self.effect = False

    def answer(self):
        """Carry out the call as far as the fault rules let it.

        :returns: a werkzeug Response
        :raises: Dropped
        """
        strike = self._strike('before')
        if strike.rule:
            return self._fail(strike.rule)
        try:
            document = self._perform(strike.job_error)
            error = None
        except errors.ApiError as caught:
            document = _failure(self.request_id, caught)
            error = caught.name
        strike = self._strike('after')
        if strike.rule:
            return self._fail(strike.rule)
        return self._reply(json.dumps(document), error=error)

    def _strike(self, when):
        strike = self.server.faults.strike(self.method, self.params, when)
        if strike.delay:
            self.server.sleep(strike.delay)
        return strike

    def _perform(self, job_error):
        if job_error:
            job_error = errors.ApiError(job_error, 'Set by a fault rule')
        reply = api.call(self.server.cluster, self.method, self.params,
                         self.version, job_error)
        self.effect = True
        document = {'id': self.request_id, 'result': reply.result}
        if reply.unused:
            # The documents show the one, recorded answers the other.
            document['unusedParameters'] = reply.unused
            document['warning'] = {'unusedParameters': reply.unused}
        return document

    def _fail(self, rule):
        if rule.drop:
            self._record(dropped=True, http_status=None)
            raise Dropped()
        if rule.http_status:
            body = rule.body
            if body is None:
                body = ''
            elif not isinstance(body, str):
                body = json.dumps(body)
            return self._reply(body, status=rule.http_status)
        failure = errors.ApiError(rule.error, rule.message)
        return self._reply(json.dumps(_failure(self.request_id, failure)),
                           error=rule.error)

    def _reply(self, text, status=200, error=None):
        kind = 'text/html' if text.startswith('<') else 'application/json'
        body = text.encode('utf-8')
        self._record(error=error, http_status=status, bytes_out=len(body))
        return wrappers.Response(body, status, content_type=kind)

    def _record(self, **outcome):
        # Before the answer leaves, so that who has it finds it recorded.
        call = journal.Call(
            method=self.method, params=journal.masked(self.params),
            version=self.version, effect=self.effect,
            bytes_in=self.bytes_in, **outcome)
        self.server.calls.add(call)
        LOG.debug('%(method)s on %(version)s: %(outcome)s',
                  {'method': self.method, 'version': self.version,
                   'outcome': call.error or call.http_status or 'dropped'})
