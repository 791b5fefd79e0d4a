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

"""JSON-RPC over HTTPS to one Element cluster: one attempt, typed errors.

Facts of the protocol are those of NetApp's Element software API guide,
release 12, unless a comment names another source.
"""

import dataclasses
import json
import threading
import typing

from oslo_log import log as logging
import requests
import urllib3

from cinder.volume.drivers.solidfire_template_cache import clock as clocks
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import masking

LOG = logging.getLogger(__name__)

# The longest good reply lists the volumes of one account, 2000 at the most,
# with some kilobytes each.
_LONGEST_REPLY = 32 * 2 ** 20
_CHUNK = 2 ** 16


@dataclasses.dataclass(frozen=True)
class Endpoint(object):
    """Where and how to reach one cluster."""

    url: str
    """``https://host:port``, without a path."""
    login: str
    password: str = dataclasses.field(repr=False)
    verify: typing.Union[bool, str] = True
    """As in requests: a flag, or the file of the authority to trust."""
    timeout: float = 30
    """Seconds to wait for a connection, and for an answer."""


class Transport(object):
    """Sends requests. Threads may share it; nothing is sent before a call.

    :param endpoint: an :class:`Endpoint`
    """

    def __init__(self, endpoint, clock=None):
        self._endpoint = endpoint
        self._clock = clock or clocks.SystemClock()
        self._session = requests.Session()
        self._session.auth = (endpoint.login, endpoint.password)
        # Retries are decided elsewhere, with knowledge of the method.
        self._session.mount('https://', requests.adapters.HTTPAdapter(
            pool_maxsize=64, max_retries=0))
        if endpoint.verify is False:
            # The operator's choice; one warning a request says no more.
            urllib3.disable_warnings(
                urllib3.exceptions.InsecureRequestWarning)
        self._ids = 0
        self._lock = threading.Lock()

    def close(self):
        """Close the connections that are kept open."""
        self._session.close()

    def call(self, method, version, params):
        """Make one attempt.

        :param version: of the API, as text
        :returns: the reply's ``result``, a dictionary
        :raises errors.ElementError: when the call failed
        """
        with self._lock:
            self._ids += 1
            request_id = self._ids
        LOG.debug('Request %(id)s: %(method)s %(params)s',
                  {'id': request_id, 'method': method,
                   'params': masking.Masked(params)})
        status, body = self._send(method, version, {
            'method': method, 'params': params, 'id': request_id})
        return self._decode(method, params, status, body)

    def _send(self, method, version, payload):
        url = '%s/json-rpc/%s' % (self._endpoint.url, version)
        try:
            # verify is given with each request, for requests lets an
            # environment variable override the session's.
            with self._session.post(
                    url, data=json.dumps(payload),
                    headers={'Content-Type': 'application/json-rpc'},
                    verify=self._endpoint.verify,
                    timeout=self._endpoint.timeout, allow_redirects=False,
                    stream=True) as response:
                return response.status_code, self._read(method, response)
        except requests.exceptions.SSLError as exc:
            raise errors.AccessDenied(method, 'TLSError', str(exc))
        except requests.exceptions.ConnectTimeout as exc:
            raise errors.NotSent(method, 'ConnectTimeout', str(exc))
        except requests.exceptions.ConnectionError as exc:
            if _never_connected(exc):
                raise errors.NotSent(method, 'ConnectionError', str(exc))
            raise errors.ReplyLost(method, 'ConnectionError', str(exc))
        except requests.exceptions.RequestException as exc:
            raise errors.ReplyLost(method, type(exc).__name__, str(exc))
        except urllib3.exceptions.HTTPError as exc:
            raise errors.ReplyLost(method, type(exc).__name__, str(exc))
        except OSError as exc:
            # The file of the authority to trust is not there.
            raise errors.AccessDenied(method, 'TLSError', str(exc))

    def _read(self, method, response):
        """Return the bytes of a reply, unless they are too many or slow."""
        body = bytearray()
        deadline = self._clock.monotonic() + self._endpoint.timeout
        # Of what has arrived, however little, lest a trickle be waited for.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > _LONGEST_REPLY:
                raise errors.ReplyLost(method, 'OversizedReply',
                                       'more than %s bytes' % _LONGEST_REPLY)
            if self._clock.monotonic() > deadline:
                raise errors.ReplyLost(
                    method, 'SlowReply', 'not complete within %s seconds'
                    % self._endpoint.timeout)
        return body

    def _decode(self, method, params, status, body):
        if status in (401, 403):
            raise errors.AccessDenied(
                method, 'HTTP%s' % status, 'the credentials were refused')
        try:
            reply = json.loads(body)
        except (ValueError, RecursionError):
            # 404 answers an API version that the cluster does not know;
            # anything else is a service starting, or a reply cut short.
            kind = (errors.UnexpectedReply if 300 <= status < 500
                    else errors.ReplyLost)
            raise kind(method, 'HTTP%s' % status, 'the reply is not JSON')
        if not isinstance(reply, dict):
            # null was seen during an upgrade of the cluster.
            raise errors.ReplyLost(method, 'BadReply',
                                   'the reply is not an object')
        if reply.get('error') is not None:
            raise errors.from_reply(
                method, reply['error'],
                lambda text: self.scrub(text, params))
        if not isinstance(reply.get('result'), dict):
            raise bad_reply(method, 'the reply has no result')
        return reply['result']

    def scrub(self, text, params):
        """Remove what must not be seen from text of the cluster's.

        :param params: what was sent, which it may quote
        """
        secrets = [params[key] for key in masking.SECRETS if key in params]
        for secret in secrets + [self._endpoint.password]:
            if secret:
                text = text.replace(secret, '***')
        return text

    def pass_on(self, method, params, version, timeout):
        """Make one attempt, for a caller with rules of its own.

        Uses a connection of its own: one that was kept open may break when
        it is used again, and not every caller looks before a repeat.

        :param timeout: seconds, as in :class:`Endpoint`
        :returns: the whole reply, decoded
        :raises requests.exceptions.RequestException: no reply, or none
            that can be decoded
        """
        LOG.debug('Request %(method)s %(params)s',
                  {'method': method, 'params': masking.Masked(params)})
        return requests.post(
            '%s/json-rpc/%s/' % (self._endpoint.url, version),
            data=json.dumps({'method': method, 'params': params}),
            auth=(self._endpoint.login, self._endpoint.password),
            verify=self._endpoint.verify, timeout=timeout).json()


def bad_reply(method, reason):
    """Return the error for a reply that is not what this API gives."""
    return errors.UnexpectedReply(method, 'BadReply', reason)


def _never_connected(exc):
    """Tell whether a requests error happened before anything was sent."""
    reason = exc.args[0] if exc.args else None
    reason = getattr(reason, 'reason', reason)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)
