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

"""The ways in which a call can fail, and what is expected to come of it.

Whoever adds an entry to one of the tables here gets its cases in every test
that goes by the table.
"""

import functools
import json

import requests

from cinder.tests.functional.solidfire_template_cache import conditions
from cinder.tests.functional.solidfire_template_cache import transport
from cinder.volume.drivers.solidfire_template_cache import errors

UNHEARD_OF = 'xNobodyEverHeardOfThis'

PAGE = '<html><body><h1>503 Service Unavailable</h1></body></html>'

NOTHING_READ = ('CancelClone', 'DeleteVolume', 'PurgeDeletedVolume')
"""Methods whose reply, when it is no error, says nothing that counts."""

NOT_THERE = ('xVolumeDoesNotExist', 'xVolumeIDDoesNotExist')
"""Errors that say of a volume to be removed that this is done already."""


class Fault(object):
    """A way to fail.

    :param survived: whether the request must succeed all the same, since to
        repeat the call, or to look what became of it, helps
    :param moments: when it strikes, relative to the effect of the call
    :param only: the methods that can fail so; None for every method
    :param unreadable: whether the cluster says that all is well, so that to
        repeat is of no use and the cache can only tell what may be left
    :param lasting: whether it takes longer than the cache insists, so that
        it, too, can only tell
    :param way: what :class:`transport.Rule` is to act; else the cluster
        itself fails
    :param rule: what the simulator is told
    """

    def __init__(self, survived, moments=('before', 'after'), only=None,
                 unreadable=False, lasting=False, way=None, **rule):
        self.survived = survived
        self.unreadable = unreadable
        self.may_leave = unreadable or lasting
        self.moments = moments
        self.only = only
        self.way = way
        self.rule = rule
        # What the warning must name. That an account is there is no failure,
        # but what follows when it is not.
        self.told = rule.get('error', '')
        if self.told == 'xDuplicateUsername':
            self.told = ''

    def can_strike(self, method, when):
        if when == 'before' and method in NOTHING_READ and (
                self.unreadable or self.rule.get('error') in NOT_THERE):
            # Nobody could tell that it was not carried out.
            return False
        return when in self.moments and (
            self.only is None or method in self.only)

    def begin(self, case, **call):
        """Let it strike; return the rule, which counts its hits."""
        if self.way:
            return case.way.faults.add(transport.Rule(act=self.way, **call))
        return case.sim.faults.add(**call, **self.rule)


def _reply(survived, body, status=200, **members):
    return Fault(survived, http_status=status, body=body, **members)


_CLONE = ('CloneVolume',)

REFUSALS = {
    'final error': Fault(False, error=UNHEARD_OF),
    'transient error': Fault(True, ('before',), error='xDBVersionMismatch'),
    'no slot': Fault(True, ('before',), _CLONE,
                     error='xMaxClonesPerVolumeExceeded'),
    'failed job': Fault(False, ('before',), _CLONE, job_error=UNHEARD_OF),
    'empty result': _reply(False, {'id': 1, 'result': {}}, unreadable=True),
}

LOSSES = {
    'lost error': Fault(True, error='xDBConnectionLoss'),
    'dropped connection': Fault(True, drop=True),
    'unavailable': _reply(True, PAGE, 503),
    'cut reply': _reply(True, '{"id": 1, "result": {"volu'),
}


# On the network

def _connect_too_slowly(exchange):
    exchange.time_out(requests.exceptions.ConnectTimeout)


def _distrust(exchange):
    raise requests.exceptions.SSLError('certificate verify failed',
                                       request=exchange.request)


def _fail_over(seconds, exchange):
    """Move the management address to another node."""
    exchange.way.go_down(seconds)
    if exchange.reply is None:
        exchange.refuse()
    exchange.reset()


NETWORK = {
    'connection refused': Fault(True, ('before',),
                                way=transport.Exchange.refuse),
    'connection too slow': Fault(False, ('before',), lasting=True,
                                 way=_connect_too_slowly),
    'reset': Fault(True, way=transport.Exchange.reset),
    'time-out': Fault(False, lasting=True, way=transport.Exchange.time_out),
    'slow answer': Fault(True, ('before',), delay=20),
    'answer after the time-out': Fault(False, ('before',), lasting=True,
                                       delay=40),
    'no trust': Fault(False, ('before',), way=_distrust),
    'failover': Fault(True, way=functools.partial(_fail_over, 10)),
    'long failover': Fault(False, lasting=True,
                           way=functools.partial(_fail_over, 45)),
}


# Replies that are none

REPLIES = {
    '401': _reply(False, PAGE, 401),
    '403': _reply(False, PAGE, 403),
    '404': _reply(False, PAGE, 404),
    '500': _reply(True, PAGE, 500),
    '502 of a proxy': _reply(True, PAGE, 502),
    '503, empty': _reply(True, '', 503),
    '200 with a page': _reply(True, PAGE),
    'cut text': _reply(True, '{"id": 1, "error": {"name": "xUnkn'),
    'null': _reply(True, 'null'),
    'a list': _reply(True, '[{"id": 1, "result": {}}]'),
    'error is text': _reply(False, {'id': 1, 'error': 'xUnknown'}),
    'error without name': _reply(False, {'id': 1, 'error': {}}),
    'error of numbers': _reply(False, {'id': 1, 'error': {
        'code': 'x', 'name': 7, 'message': [1]}}),
}


# Replies of wrong types

def _change(value, change):
    """Return JSON with each value in it changed; objects stay objects."""
    if isinstance(value, dict):
        return {key: _change(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_change(item, change) for item in value]
    return change(value)


def _turned(value):
    """Return an object as a list, and a list as an object."""
    if isinstance(value, dict):
        return list(value.values())
    return {str(key): item for key, item in enumerate(value)}


def _swap(result):
    return {key: _turned(value) if isinstance(value, (dict, list)) else value
            for key, value in result.items()}


def _wrong_types(change):
    def act(exchange):
        try:
            document = json.loads(exchange.reply.data)
        except ValueError:
            # Another fault has made it unreadable.
            return exchange.answer(exchange.reply.data,
                                   exchange.reply.status_code)
        if 'result' in document:
            document['result'] = change(document['result'])
        return exchange.answer(json.dumps(document).encode())

    return Fault(False, ('after',), unreadable=True, way=act)


def _number(value):
    return value if isinstance(value, int) else len(str(value))


WRONG_TYPES = {
    'all is text': _wrong_types(lambda result: _change(result, str)),
    'all is a number': _wrong_types(lambda result: _change(result, _number)),
    'all is null': _wrong_types(
        lambda result: _change(result, lambda _value: None)),
    'all is true': _wrong_types(
        lambda result: _change(result, lambda _value: True)),
    'objects are lists': _wrong_types(_swap),
    'members are null': _wrong_types(dict.fromkeys),
    'result is a list': _wrong_types(lambda result: [result]),
    'result is text': _wrong_types(json.dumps),
}


# The cluster's errors, by the names that are known of Element 12 and what is
# expected to follow from each.

ELEMENT_ERRORS = {
    errors.Kind.TRANSIENT: (
        'xDBVersionMismatch', 'xMaxSnapshotsPerNodeExceeded',
        'xMaxSnapshotsPerVolumeExceeded', 'xNotPrimary', 'xNotReadyForIO',
        'xPermissionDenied', 'xSliceNotRegistered', 'xSnapshotFailed',
        'xUnknownSliceID'),
    errors.Kind.BUSY: (
        'xMaxClonesPerNodeExceeded', 'xMaxClonesPerVolumeExceeded'),
    errors.Kind.LOST: (
        'xDBClosing', 'xDBConnectionLoss', 'xDBInvalidState',
        'xDBNoServerResponse', 'xDBNoSuchPath', 'xDBOperationTimeout',
        'xDBSessionExpired', 'xDBSessionMoved', 'xNoHandler',
        'xRecvTimeout', 'xRpcTimeout'),
    errors.Kind.FINAL: (
        'xAPINotPermitted', 'xAccountIDDoesNotExist',
        'xAlreadyInVolumeAccessGroup', 'xAssertionFailure',
        'xAsyncHandleDoesNotExist', 'xBulkVolumeScriptFailure',
        'xDuplicateUsername', 'xExceededLimit', 'xFeatureNotEnabled',
        'xInitiatorDoesNotExist', 'xInitiatorExists',
        'xInvalidAPIParameter', 'xInvalidPairingKey', 'xInvalidParameter',
        'xInvalidParameterType', 'xMVIPNotPaired', 'xMaxVolumeCountExceeded',
        'xMissingParameter', 'xNotInVolumeAccessGroup',
        'xPairingAlreadyExists', 'xQoSPolicyDoesNotExist',
        'xSnapshotDoesNotExist', 'xSnapshotIDDoesNotExist',
        'xTotalCapacityExceeded', 'xUnknownAPIMethod', 'xUnknownAccount',
        'xUnknownRPCMethod', 'xUnknownUsername', 'xUnrecognizedEnumString',
        'xVolumeAccessGroupIDDoesNotExist', 'xVolumeAlreadyExists',
        'xVolumeAlreadyPaired', 'xVolumeDoesNotExist',
        'xVolumeIDDoesNotExist', 'xVolumeNotPaired',
        'xVolumeShrinkProhibited'),
}


def _error(kind, name):
    moments = ('before',)
    if kind is errors.Kind.LOST:
        moments += ('after',)
    return Fault(kind in (errors.Kind.TRANSIENT, errors.Kind.LOST), moments,
                 error=name)


ERRORS = {name: _error(kind, name)
          for kind, names in ELEMENT_ERRORS.items() for name in names}

# What the cluster itself can be like, from one call on.
FULL, GONE = (
    {name: Fault(False, ('before',), only=only, lasting=True, way=act)
     for name, (act, only) in table.items()}
    for table in (conditions.FULL, conditions.GONE))

KINDS = {**REFUSALS, **LOSSES, **NETWORK, **REPLIES, **WRONG_TYPES}
"""All but the cluster's error names and conditions."""
