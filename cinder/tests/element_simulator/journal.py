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

"""The record of the API calls that came in."""

import collections
import collections.abc
import dataclasses
import threading
import typing

_SECRETS = ('initiatorSecret', 'targetSecret', 'password',
            'clusterPairingKey', 'volumePairingKey')


def masked(value):
    """Return parameters with the secrets in them covered."""
    if isinstance(value, dict):
        return {key: '***' if key in _SECRETS else masked(item)
                for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


@dataclasses.dataclass(frozen=True)
class Call:
    """One API call and how it ended.

    :param method: as sent
    :param params: as sent, secrets covered
    :param version: of the API, from the address
    :param error: name of the API error answered, or None
    :param effect: whether the method was carried out without error
    :param dropped: whether the connection was closed without an answer
    :param http_status: status of the answer, or None when dropped
    :param bytes_in: length of the request's body
    :param bytes_out: length of the answer's body
    """

    method: str
    params: typing.Any
    version: str
    error: typing.Optional[str] = None
    effect: bool = False
    dropped: bool = False
    http_status: typing.Optional[int] = 200
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def ok(self):
        """Whether the client got the result."""
        return (self.error is None and not self.dropped
                and self.http_status == 200)


class Journal(collections.abc.Sequence):
    """Calls in the order in which their answers were ready."""

    def __init__(self):
        self._lock = threading.Lock()
        self._calls = []

    def add(self, call):
        with self._lock:
            self._calls.append(call)

    def reset_calls(self):
        with self._lock:
            self._calls = []

    def _copy(self):
        with self._lock:
            return list(self._calls)

    def __getitem__(self, index):
        return self._copy()[index]

    def __len__(self):
        return len(self._copy())

    def count(self, method=None):
        """Return how many calls there were, of one method or of all."""
        return sum(1 for call in self._copy()
                   if method in (None, call.method))

    def counts(self):
        """Return a dict of how many calls each method had."""
        return dict(collections.Counter(call.method
                                        for call in self._copy()))

    @property
    def methods(self):
        """The names of the methods, in order."""
        return [call.method for call in self._copy()]

    @property
    def bytes_in(self):
        """Bytes of all request bodies."""
        return sum(call.bytes_in for call in self._copy())

    @property
    def bytes_out(self):
        """Bytes of all answer bodies."""
        return sum(call.bytes_out for call in self._copy())
