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

"""The table of API methods: finding one, checking its parameters."""

import dataclasses
import typing

from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import versions

_METHODS = {}
_NEWEST = versions.KNOWN[-1]


@dataclasses.dataclass(frozen=True)
class Since:
    """A parameter that older versions of the API do not know."""

    version: str
    kind: typing.Any


@dataclasses.dataclass(frozen=True)
class Method:
    """One API method: what it takes, and since which version it is there."""

    name: str
    handler: typing.Callable
    since: str
    required: dict
    optional: dict


@dataclasses.dataclass(frozen=True)
class Reply:
    """A result, and the parameters that the method did not know."""

    result: dict
    unused: dict


def method(name, since='1.0', required=None, optional=None):
    """Enter a function into the table.

    It is called with the cluster and a dict of the parameters that were
    given, null ones left out, converted to their kinds: int, bool, str,
    dict, a tuple of the words allowed, or a list of one kind.
    """
    def enter(handler):
        _METHODS[name] = Method(name, handler, since, required or {},
                                optional or {})
        return handler
    return enter


def names(version):
    """List the methods that a version of the API offers."""
    return sorted(entry.name for entry in _METHODS.values()
                  if versions.key(entry.since) <= versions.key(version))


def call(cluster, name, params=None, version=_NEWEST, job_error=None):
    """Carry out one API method on a cluster.

    :param job_error: an ApiError that a clone started by this call ends with
    :returns: Reply
    :raises: errors.ApiError
    """
    entry = _METHODS.get(name)
    if entry is None or versions.key(version) < versions.key(entry.since):
        raise errors.ApiError('xUnknownAPIMethod',
                              f'xUnknownAPIMethod  method={name}')
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise errors.ApiError('xInvalidAPIParameter',
                              'params must be an object')
    known = _known(entry, version)
    unused = {key: value for key, value in params.items()
              if key not in known}
    args = {key: _convert(key, value, known[key])
            for key, value in params.items()
            if key in known and value is not None}
    for key in entry.required:
        if key not in args:
            raise errors.ApiError('xMissingParameter',
                                  f'Missing member=[{key}]')
    with cluster.lock:
        cluster.advance()
        with cluster.jobs.failing(job_error):
            return Reply(entry.handler(cluster, args), unused)


def _known(entry, version):
    known = dict(entry.required)
    for key, kind in entry.optional.items():
        if isinstance(kind, Since):
            if versions.key(version) < versions.key(kind.version):
                continue
            kind = kind.kind
        known[key] = kind
    return known


def _convert(key, value, kind):
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise _wrong_type(key)
        return [_convert(key, item, kind[0]) for item in value]
    if isinstance(kind, tuple):
        if value not in kind:
            raise errors.ApiError('xUnrecognizedEnumString',
                                  f'Unrecognized value of {key}: {value}')
        return value
    if kind in (int, bool):
        return _CONVERT[kind](key, value)
    if not isinstance(value, kind):
        raise _wrong_type(key)
    return value


def _to_int(key, value):
    # Numbers may come as strings, and 1.0 is as good as 1.
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong_type(key)
    if isinstance(value, bool) or (isinstance(value, float)
                                   and value != number):
        raise _wrong_type(key)
    return number


def _to_bool(key, value):
    if isinstance(value, bool):
        return value
    words = {'true': True, 'false': False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise _wrong_type(key)


_CONVERT = {int: _to_int, bool: _to_bool}


def _wrong_type(key):
    return errors.ApiError('xInvalidParameterType',
                           f'Parameter {key} is of the wrong type')
