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

"""The journal of API calls."""

import collections
import collections.abc
import dataclasses
import threading
import typing

_SECRETS = ('initiatorSecret', 'targetSecret', 'password',
            'clusterPairingKey', 'volumePairingKey')


def redact(value: typing.Any) -> typing.Any:
    """Return a copy of parameters with the secrets replaced by ``***``."""
    if isinstance(value, dict):
        return {key: '***' if key in _SECRETS else redact(item)
                for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value


@dataclasses.dataclass(frozen=True)
class Call:
    """One API call and its outcome.

    :param method: as sent
    :param params: as sent, secrets redacted
    :param version: version of the API, from the URL
    :param error: name of the API error in the reply, or None
    :param effect: whether the method was carried out without an error
    :param dropped: whether the connection was closed without a reply
    :param http_status: status of the reply, or None when dropped
    :param bytes_in: length of the request body
    :param bytes_out: length of the response body
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
    def ok(self) -> bool:
        """Whether the client received the result."""
        return (self.error is None and not self.dropped
                and self.http_status == 200)


class Journal(collections.abc.Sequence):
    """Calls in the order in which their replies were ready."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Append a call."""
        with self._lock:
            self._calls.append(call)

    def reset_calls(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self._calls = []

    def _copy(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def __getitem__(self, index: typing.Any) -> typing.Any:
        return self._copy()[index]

    def __len__(self) -> int:
        return len(self._copy())

    def count(self, method: typing.Optional[str] = None) -> int:
        """Return the number of calls, of one method or of all."""
        return sum(1 for call in self._copy()
                   if method in (None, call.method))

    def counts(self) -> dict[str, int]:
        """Return the number of calls by method."""
        return dict(collections.Counter(call.method
                                        for call in self._copy()))

    @property
    def methods(self) -> list[str]:
        """The names of the methods, in order."""
        return [call.method for call in self._copy()]

    @property
    def bytes_in(self) -> int:
        """Bytes of all request bodies."""
        return sum(call.bytes_in for call in self._copy())

    @property
    def bytes_out(self) -> int:
        """Bytes of all response bodies."""
        return sum(call.bytes_out for call in self._copy())
