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

from werkzeug import wrappers

from cinder.tests.element_simulator import errors
from cinder.tests.element_simulator import faults
from cinder.tests.element_simulator import wire


class _Refused(Exception):
    """What is answered to a request that cannot be met."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def answer(server, request, parts):
    """Answer a request whose path is /sim/ and the parts.

    :returns: a werkzeug Response, always JSON
    """
    try:
        document, status = _document(server, request, parts), 200
    except _Refused as refused:
        document, status = {'error': str(refused)}, refused.status
    return wrappers.Response(json.dumps(document), status,
                             content_type='application/json')


def _document(server, request, parts):
    if len(parts) == 3 and parts[0] == 'volumes' and parts[2] == 'path':
        handler, arguments = _volume_path, (parts[1],)
    elif len(parts) == 1 and parts[0] in _RESOURCES:
        resource = _RESOURCES[parts[0]]
        if request.method not in resource:
            raise _Refused(405, f'{request.method} is not offered here')
        handler, arguments = resource[request.method], ()
    else:
        raise _Refused(404, f'nothing at {request.path}')
    return handler(server, request, *arguments)


def _list_faults(server, request):
    return {'rules': [rule.to_dict() for rule in server.faults.list()]}


def _add_faults(server, request):
    """Add one rule, or several in a list; all or none."""
    try:
        document = json.loads(request.get_data())
        given = document if isinstance(document, list) else [document]
        rules = [faults.Rule.from_dict(members) for members in given]
    except (TypeError, ValueError) as error:
        raise _Refused(400, f'not a rule: {error}')
    for rule in rules:
        server.faults.add(rule)
    return _list_faults(server, request)


def _clear_faults(server, request):
    server.faults.clear()
    return _list_faults(server, request)


def _calls(server, request):
    document = {'counts': server.calls.counts(),
                'total': server.calls.count(),
                'bytesIn': server.calls.bytes_in,
                'bytesOut': server.calls.bytes_out,
                'connections': server.connections}
    if request.args.get('full'):
        document['calls'] = [dataclasses.asdict(call)
                             for call in server.calls]
    return document


def _reset_calls(server, request):
    server.reset_calls()
    return _calls(server, request)


def _state(server, request):
    """Tell what the cluster holds; clones under way are among it."""
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


def _volume_path(server, request, number):
    try:
        return {'path': server.cluster.volume_path(int(number))}
    except (ValueError, errors.ApiError):
        raise _Refused(404, f'no volume {number}')


_RESOURCES = {
    'faults': {'GET': _list_faults, 'POST': _add_faults,
               'DELETE': _clear_faults},
    'calls': {'GET': _calls, 'DELETE': _reset_calls},
    'state': {'GET': _state},
}
