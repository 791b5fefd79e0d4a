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

"""Control of the simulator over HTTP, below /sim."""

import dataclasses
import json
import typing

from werkzeug import wrappers

from cinder.tests.element_simulator import contents
from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import faults
from cinder.tests.element_simulator import settings
from cinder.tests.element_simulator import wire

if typing.TYPE_CHECKING:
    from cinder.tests.element_simulator import server


class _RequestError(Exception):
    """A request that is answered with an HTTP error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def respond(server: 'server.Server', request: wrappers.Request,
            parts: list[str]) -> wrappers.Response:
    """Return the response to a request below /sim, always JSON.

    :param parts: the path below /sim
    """
    try:
        document, status = _document(server, request, parts), 200
    except _RequestError as error:
        document, status = {'error': str(error)}, error.status
    return wrappers.Response(json.dumps(document), status,
                             content_type='application/json')


def _document(server: 'server.Server', request: wrappers.Request,
              parts: list[str]) -> dict:
    if len(parts) == 3 and parts[0] == 'volumes' and parts[2] == 'path':
        return _volume_path(server, parts[1])
    if len(parts) == 1 and parts[0] in _RESOURCES:
        handler = _RESOURCES[parts[0]].get(request.method)
        if handler is None:
            raise _RequestError(405, f'{request.method} is not supported')
        return handler(server, request)
    raise _RequestError(404, f'{request.path} does not exist')


def _list_faults(server: 'server.Server', request: wrappers.Request) -> dict:
    return {'rules': [rule.to_dict() for rule in server.faults.list()]}


def _add_faults(server: 'server.Server', request: wrappers.Request) -> dict:
    """Add one rule or a list of rules; none if one of them is invalid."""
    try:
        document = json.loads(request.get_data())
        given = document if isinstance(document, list) else [document]
        rules = [faults.Rule.from_dict(members) for members in given]
    except (TypeError, ValueError) as error:
        raise _RequestError(400, f'not a rule: {error}')
    for rule in rules:
        server.faults.add(rule)
    return _list_faults(server, request)


def _clear_faults(server: 'server.Server', request: wrappers.Request) -> dict:
    server.faults.clear()
    return _list_faults(server, request)


def _calls(server: 'server.Server', request: wrappers.Request) -> dict:
    document = {'counts': server.calls.counts(),
                'total': server.calls.count(),
                'bytesIn': server.calls.bytes_in,
                'bytesOut': server.calls.bytes_out,
                'connections': server.connections}
    if request.args.get('full'):
        document['calls'] = [dataclasses.asdict(call)
                             for call in server.calls]
    return document


def _reset_calls(server: 'server.Server', request: wrappers.Request) -> dict:
    server.reset_calls()
    return _calls(server, request)


def _state(server: 'server.Server', request: wrappers.Request) -> dict:
    """Return the content of the cluster, including running clones."""
    cluster = server.cluster
    with cluster.lock:
        cluster.advance()
        accounts = [wire.account(cluster, account)
                    for account in cluster.accounts.values()]
        for account in accounts:
            del account['initiatorSecret'], account['targetSecret']
        return {
            'accounts': accounts,
            'volumes': [wire.volume(cluster, volume)
                        for volume in cluster.volumes.values()],
            'snapshots': [wire.snapshot(snapshot)
                          for snapshot in cluster.snapshots.values()],
            'volumeAccessGroups': [
                wire.access_group(cluster, group)
                for group in cluster.access_groups.values()],
            'runningClones': [
                {'asyncHandle': job.handle, 'cloneID': job.clone_id,
                 'srcVolumeID': job.source_id, 'dstVolumeID': job.volume_id}
                for job in cluster.jobs.running()],
            'fullness': cluster.fullness,
        }


def _clear_state(server: 'server.Server', request: wrappers.Request) -> dict:
    contents.clear(server.cluster)
    return _state(server, request)


def _settings(server: 'server.Server', request: wrappers.Request) -> dict:
    return settings.read(server.cluster)


def _change_settings(server: 'server.Server', request: wrappers.Request
                     ) -> dict:
    try:
        settings.change(server.cluster, json.loads(request.get_data()))
    except (TypeError, ValueError) as error:
        raise _RequestError(400, f'not settings: {error}')
    return _settings(server, request)


def _populate(server: 'server.Server', request: wrappers.Request) -> dict:
    try:
        document = json.loads(request.get_data())
        contents.populate(server.cluster, int(document['count']),
                          int(document.get('accounts', 1)))
    except (KeyError, TypeError, ValueError) as error:
        raise _RequestError(400, f'not a number of volumes: {error}')
    return {'volumes': len(server.cluster.volumes)}


def _volume_path(server: 'server.Server', volume_id: str) -> dict:
    try:
        return {'path': server.cluster.volume_path(int(volume_id))}
    except (ValueError, errors.ApiError):
        raise _RequestError(404, f'volume {volume_id} does not exist')


_RESOURCES: dict[str, dict[str, typing.Callable]] = {
    'faults': {'GET': _list_faults, 'POST': _add_faults,
               'DELETE': _clear_faults},
    'calls': {'GET': _calls, 'DELETE': _reset_calls},
    'settings': {'GET': _settings, 'POST': _change_settings},
    'state': {'GET': _state, 'DELETE': _clear_state},
    'volumes': {'POST': _populate},
}
