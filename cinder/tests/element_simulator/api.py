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

"""The table of API methods: looks methods up and checks their parameters."""

import dataclasses
import typing

from cinder.tests.element_simulator import cluster
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import versions

Handler = typing.Callable[[cluster.Cluster, dict], dict]

_NEWEST = versions.KNOWN[-1]


@dataclasses.dataclass(frozen=True)
class Since:
    """A parameter that was added in a later version than its method.

    :param version: first version of the API with the parameter
    :param kind: its type, as for :func:`method`
    """

    version: str
    kind: typing.Any


@dataclasses.dataclass(frozen=True)
class Method:
    """One API method.

    :param name: as in requests
    :param handler: carries the method out, see :func:`method`
    :param since: first version of the API with the method
    :param required: type by name of the parameters that must be given
    :param optional: type by name of the other parameters
    """

    name: str
    handler: Handler
    since: str
    required: dict
    optional: dict


@dataclasses.dataclass(frozen=True)
class Reply:
    """The result of a call, and the parameters that it did not use."""

    result: dict
    unused: dict


_METHODS: dict[str, Method] = {}


def method(name: str, since: str = '1.0',
           required: typing.Optional[dict] = None,
           optional: typing.Optional[dict] = None
           ) -> typing.Callable[[Handler], Handler]:
    """Return a decorator that registers a function as an API method.

    The function is called with the cluster and a dict of the given
    parameters without those that are null. Their values are converted to
    the declared types: int, bool, str, dict, a tuple of the allowed words,
    or a list of one type.
    """
    def register(handler: Handler) -> Handler:
        _METHODS[name] = Method(name, handler, since, required or {},
                                optional or {})
        return handler
    return register


def names(version: str) -> list[str]:
    """Return the names of the methods in a version of the API."""
    return sorted(each.name for each in _METHODS.values()
                  if versions.key(each.since) <= versions.key(version))


def call(cluster: cluster.Cluster, name: str, params: typing.Any = None,
         version: str = _NEWEST,
         job_error: typing.Optional[errors.ApiError] = None) -> Reply:
    """Call an API method of a cluster.

    :param params: the parameters as sent; None for none
    :param version: version of the API that is called
    :param job_error: the error that a clone started by this call fails with
    :raises: errors.ApiError
    """
    called = _METHODS.get(name)
    if called is None or versions.key(version) < versions.key(called.since):
        raise errors.ApiError('xUnknownAPIMethod',
                              f'xUnknownAPIMethod  method={name}')
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise errors.ApiError('xInvalidAPIParameter',
                              'params must be an object')
    known = _known_parameters(called, version)
    unused = {key: value for key, value in params.items()
              if key not in known}
    args = {key: _convert(key, value, known[key])
            for key, value in params.items()
            if key in known and value is not None}
    for key in called.required:
        if key not in args:
            raise errors.ApiError('xMissingParameter',
                                  f'Missing member=[{key}]')
    with cluster.lock:
        cluster.advance()
        with cluster.jobs.failing(job_error):
            return Reply(called.handler(cluster, args), unused)


def _known_parameters(called: Method, version: str) -> dict:
    known = dict(called.required)
    for key, kind in called.optional.items():
        if isinstance(kind, Since):
            if versions.key(version) < versions.key(kind.version):
                continue
            kind = kind.kind
        known[key] = kind
    return known


def _convert(key: str, value: typing.Any, kind: typing.Any) -> typing.Any:
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise _wrong_type(key)
        return [_convert(key, item, kind[0]) for item in value]
    if isinstance(kind, tuple):
        if value not in kind:
            raise errors.ApiError('xUnrecognizedEnumString',
                                  f'Unrecognized value of {key}: {value}')
        return value
    if kind is int:
        return _to_int(key, value)
    if kind is bool:
        return _to_bool(key, value)
    if not isinstance(value, kind):
        raise _wrong_type(key)
    return value


def _to_int(key: str, value: typing.Any) -> int:
    # Element accepts numbers as strings, and 1.0 for 1.
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong_type(key)
    if isinstance(value, bool) or (isinstance(value, float)
                                   and value != number):
        raise _wrong_type(key)
    return number


def _to_bool(key: str, value: typing.Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {'true': True, 'false': False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise _wrong_type(key)


def _wrong_type(key: str) -> errors.ApiError:
    return errors.ApiError('xInvalidParameterType',
                           f'Parameter {key} is of the wrong type')
