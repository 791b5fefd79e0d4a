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

"""The ways in which a call can fail, and what is expected to follow.

An entry that is added to a table gets its cases in every test that uses it.
"""

import functools
import io
import json

from oslo_utils import units
import requests

from cinder.tests.functional.solidfire_template_cache import direct_transport
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.templates import model

UNKNOWN_ERROR = 'xAnErrorThatNoReleaseHas'

PAGE = '<html><body><h1>503 Service Unavailable</h1></body></html>'

WITHOUT_RESULT = ('CancelClone', 'DeleteVolume', 'PurgeDeletedVolume')
"""Methods whose reply, when it is no error, has nothing in it."""

VOLUME_GONE = ('xVolumeDoesNotExist', 'xVolumeIDDoesNotExist')


class Fault(object):
    """A way to fail.

    :param survived: whether the request must succeed all the same
    :param moments: when it happens, relative to the effect of the call
    :param only: the methods that can fail so; None for every method
    :param unreadable: whether the cluster reports success, so that the cache
        can only report what may be left
    :param lasting: whether it lasts longer than the retries: likewise
    :param act: of a :class:`direct_transport.Rule`, if the network fails
    :param rule: members of the simulator's rule
    """

    def __init__(self, survived, moments=('before', 'after'), only=None,
                 unreadable=False, lasting=False, act=None, **rule):
        self.survived = survived
        self.unreadable = unreadable
        self.lasting = lasting
        self.may_leave = unreadable or lasting
        self.moments = moments
        self.only = only
        self.act = act
        self.rule = rule

    @property
    def error(self):
        return self.rule.get('error', '')

    def is_survived(self, method):
        """Return whether a request must succeed in spite of it."""
        # A clone slot is waited for; nothing else is throttled.
        return self.survived or (
            method == 'CloneVolume' and self.error in
            ERROR_NAMES[errors.RetryClass.THROTTLED])

    def applies_to(self, method, when):
        if when == 'before' and method in WITHOUT_RESULT and (
                self.unreadable or self.error in VOLUME_GONE):
            # No client could find out that it was not carried out.
            return False
        return when in self.moments and (
            self.only is None or method in self.only)


def _reply(survived, body, status=200, **members):
    return Fault(survived, http_status=status, body=body, **members)


BEFORE = ('before',)
_CLONE = ('CloneVolume',)

REFUSALS = {
    'final error': Fault(False, error=UNKNOWN_ERROR),
    'transient error': Fault(True, BEFORE, error='xDBVersionMismatch'),
    'no clone slot': Fault(True, BEFORE, _CLONE,
                           error='xMaxClonesPerVolumeExceeded'),
    'failed job': Fault(False, BEFORE, _CLONE, job_error=UNKNOWN_ERROR),
    'empty result': _reply(False, {'id': 1, 'result': {}}, unreadable=True),
}

DROPPED = {'dropped connection': Fault(True, drop=True)}

LOSSES = {
    'unknown outcome': Fault(True, error='xDBConnectionLoss'),
    'unavailable': _reply(True, PAGE, 503),
    'cut reply': _reply(True, '{"id": 1, "result": {"volu'),
}


# On the network

def _distrust(exchange):
    raise requests.exceptions.SSLError('certificate verify failed',
                                       request=exchange.request)


def _fail_over(seconds, exchange):
    """Move the management address to another node."""
    exchange.transport.go_down(seconds)
    if exchange.reply is None:
        exchange.refuse()
    exchange.reset()


class _EndlessReply(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = b'[' * len(buffer)
        return len(buffer)


def _respond_without_end(exchange):
    return exchange.respond(io.BufferedReader(_EndlessReply()))


NETWORK = {
    'connection refused': Fault(True, BEFORE,
                                act=direct_transport.Exchange.refuse),
    'connection too slow': Fault(False, BEFORE, lasting=True,
                                 act=functools.partial(
                                     direct_transport.Exchange.time_out,
                                     kind=requests.exceptions.ConnectTimeout)),
    'reset': Fault(True, act=direct_transport.Exchange.reset),
    'time-out': Fault(False, lasting=True,
                      act=direct_transport.Exchange.time_out),
    'slow reply': Fault(True, BEFORE, delay=20),
    'reply after the time-out': Fault(False, BEFORE, lasting=True, delay=40),
    'untrusted certificate': Fault(False, BEFORE, act=_distrust),
    'endless reply': Fault(True, act=_respond_without_end),
    'failover': Fault(True, act=functools.partial(_fail_over, 10)),
    'long failover': Fault(False, lasting=True,
                           act=functools.partial(_fail_over, 45)),
}


# Replies that are not of this API

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

def _map_values(value, change):
    """Return JSON with each value in it changed; objects stay objects."""
    if isinstance(value, dict):
        return {key: _map_values(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_values(item, change) for item in value]
    return change(value)


def _swap(value):
    """Return an object as a list, and a list as an object."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return {str(key): item for key, item in enumerate(value)}
    return value


def _wrong_types(change):
    def act(exchange):
        try:
            document = json.loads(exchange.reply.data)
        except ValueError:
            # Another fault has made it unreadable.
            return exchange.respond(exchange.reply.data,
                                    exchange.reply.status_code)
        if 'result' in document:
            document['result'] = change(document['result'])
        return exchange.respond(json.dumps(document).encode())

    return Fault(False, ('after',), unreadable=True, act=act)


def _wrong_values(change):
    return _wrong_types(lambda result: _map_values(result, change))


WRONG_TYPES = {
    'all is text': _wrong_values(str),
    'all is a number': _wrong_values(
        lambda value: value if isinstance(value, int) else len(str(value))),
    'all is null': _wrong_values(lambda _value: None),
    'all is true': _wrong_values(lambda _value: True),
    'objects are lists': _wrong_types(
        lambda result: {key: _swap(value) for key, value in result.items()}),
    'members are null': _wrong_types(dict.fromkeys),
    'result is a list': _wrong_types(lambda result: [result]),
    'result is text': _wrong_types(json.dumps),
}


# The errors of Element 12 that some code distinguishes, by what is done. All
# others are final, as UNKNOWN_ERROR.

ERROR_NAMES = {
    errors.RetryClass.TRANSIENT: (
        'xDBVersionMismatch', 'xMaxSnapshotsPerNodeExceeded',
        'xMaxSnapshotsPerVolumeExceeded', 'xNotPrimary', 'xNotReadyForIO',
        'xPermissionDenied', 'xSliceNotRegistered', 'xSnapshotFailed',
        'xUnknownSliceID'),
    errors.RetryClass.THROTTLED: (
        'xMaxClonesPerNodeExceeded', 'xMaxClonesPerVolumeExceeded'),
    errors.RetryClass.UNKNOWN_OUTCOME: (
        'xDBClosing', 'xDBConnectionLoss', 'xDBInvalidState',
        'xDBNoServerResponse', 'xDBNoSuchPath', 'xDBOperationTimeout',
        'xDBSessionExpired', 'xDBSessionMoved', 'xNoHandler',
        'xRecvTimeout', 'xRpcTimeout'),
    errors.RetryClass.FINAL: (
        'xAccountIDDoesNotExist', 'xAsyncHandleDoesNotExist',
        'xDuplicateUsername', 'xExceededLimit', 'xInvalidParameter',
        'xUnknownAccount', 'xVolumeDoesNotExist', 'xVolumeIDDoesNotExist'),
}


def _named(retry_class, name):
    unknown = retry_class is errors.RetryClass.UNKNOWN_OUTCOME
    return Fault(unknown or retry_class is errors.RetryClass.TRANSIENT,
                 BEFORE + (('after',) if unknown else ()), error=name)


ERRORS = {name: _named(retry_class, name)
          for retry_class, names in ERROR_NAMES.items() for name in names}


# What the cluster itself can be like, or lose, right before a call.

CHANGING = ('AddAccount', 'Add*Group', 'CancelClone', 'CloneVolume',
            'Create*', 'DeleteVolume', 'Modify*', 'PurgeDeletedVolume',
            'Remove*Group')
"""Patterns of the methods that an administrator who only reads lacks."""


def _reach_account_limits(exchange):
    """Allow no account one more volume, nor the cluster an account."""
    exchange.cluster.limits.update(
        volumesPerAccountCountMax=0,
        accountCountMax=len(exchange.cluster.accounts))


def _remove_volumes(cluster, wanted):
    with cluster.lock:
        for volume in list(cluster.volumes.values()):
            if wanted(volume):
                cluster.delete_volume(volume)
                cluster.forget_volume(volume.volume_id)


def _remove_templates(exchange):
    _remove_volumes(exchange.cluster, lambda volume: volume.name.startswith(
        model.NAME_PREFIX))


def _delete_templates(exchange):
    """Delete them without a purge."""
    cluster = exchange.cluster
    with cluster.lock:
        for volume in cluster.volumes_named(model.NAME_PREFIX):
            cluster.delete_volume(volume)
            exchange.transport.deleted.add(volume.volume_id)


def _is_too_late(exchange):
    """Return whether the clone is complete: then it would go unnoticed."""
    exchange.cluster.advance()
    return (exchange.method != 'CloneVolume' and
            not exchange.cluster.jobs.running())


def _remove_clones(exchange):
    if not _is_too_late(exchange):
        _remove_volumes(exchange.cluster,
                        lambda volume: volume.name.startswith('UUID-'))


def _remove_accounts(of_templates, exchange):
    cluster = exchange.cluster
    if not of_templates and _is_too_late(exchange):
        return
    with cluster.lock:
        for account in list(cluster.accounts.values()):
            if ('template' in account.username) == of_templates:
                _remove_volumes(cluster, lambda volume: (
                    volume.account_id == account.account_id))
                del cluster.accounts[account.account_id]


def _condition(act, *arguments, only=None):
    if arguments:
        act = functools.partial(act, *arguments)
    return Fault(False, BEFORE, only, lasting=True, act=act)


FULL = {
    'full, stage 4': _condition(
        lambda exchange: exchange.cluster.set_fullness(4)),
    'full, stage 5': _condition(
        lambda exchange: exchange.cluster.set_fullness(5)),
    'volumeCountMax': _condition(lambda exchange: (
        exchange.cluster.limits.update(
            volumeCountMax=len(exchange.cluster.volumes)))),
    'account limits': _condition(_reach_account_limits),
    'read-only': _condition(
        lambda exchange: exchange.transport.deny(*CHANGING)),
}

_WHILE_CLONING = ('ModifyVolume', 'GetAsyncResult', 'CloneVolume')

GONE = {
    'templates gone': _condition(_remove_templates),
    'templates deleted, not purged': _condition(_delete_templates),
    'clone gone': _condition(_remove_clones, only=_WHILE_CLONING),
    'template account gone': _condition(_remove_accounts, True),
    'tenant account gone': _condition(_remove_accounts, False,
                                      only=_WHILE_CLONING),
}

# What a cluster may store of a clone instead of what was sent.


def _store(exchange, **members):
    document = json.loads(exchange.request.body)
    document['params'].update(members)
    exchange.request.prepare_body(json.dumps(document), None)


STORED = {
    'attributes of the source': Fault(True, BEFORE, _CLONE,
                                      ignore=('attributes',)),
    'access of the source': Fault(True, BEFORE, _CLONE, ignore=('access',)),
    **{str(members): Fault(True, BEFORE, _CLONE, act=functools.partial(
        _store, **members)) for members in (
            {'attributes': {}}, {'access': 'readWrite'},
            {'newSize': 3 * units.Gi})},
}

# The first happen to each single call, the others to each method.
REPEATED = {**REFUSALS, **DROPPED}
SELDOM = {**LOSSES, **NETWORK, **REPLIES, **WRONG_TYPES, **FULL}
KINDS = {**REPEATED, **SELDOM}
