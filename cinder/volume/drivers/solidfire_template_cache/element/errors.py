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

"""Errors of calls to the Element API, and what each says about a retry.

::

    ElementError                the call failed
     +- NotSent                 no connection: the cluster never saw the call
     +- ReplyLost               no reply, or none that can be decoded: the
     |                          call may have been carried out
     +- AccessDenied            login, role, certificate or address refused
     +- UnexpectedReply         a reply, but not what this API returns
     +- OutcomeUnknown          whether a lost call was carried out could not
     |                          be determined, or not be undone
     +- ApiError                the cluster answered with an error
         +- NotFound            the object of the call does not exist
         +- AlreadyExists       the account name is taken
         +- Throttled           too much work is running at the moment
         +- LimitExceeded       a limit on the number of objects is reached

This module says what an error means; :mod:`retry` decides what follows.
"""

import enum
from typing import Any
from typing import Callable
from typing import Optional
from typing import Type

from cinder import exception
from cinder.i18n import _


class RetryClass(enum.Enum):
    """What may be done after a failed call."""

    TRANSIENT = 'not carried out, and the refusal is temporary'
    THROTTLED = 'not carried out until other work has ended'
    UNKNOWN_OUTCOME = 'may have been carried out'
    FINAL = 'a retry is pointless'


# Names of the Element API's errors; a name that is not listed is FINAL.
# Sources: the retry lists of Cinder's SolidFire driver and of NetApp Trident,
# and the descriptions in the Element software API guide, release 12.
_NAMES = {
    RetryClass.TRANSIENT: (
        'xDBVersionMismatch', 'xNotPrimary', 'xNotReadyForIO',
        'xSliceNotRegistered', 'xUnknownSliceID', 'xSnapshotFailed',
        'xMaxSnapshotsPerNodeExceeded', 'xMaxSnapshotsPerVolumeExceeded',
        'xPermissionDenied'),
    RetryClass.THROTTLED: (
        'xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded'),
    # The cluster's database or an internal call did not answer, so the
    # outcome is as unknown as after a reply that the network has lost.
    RetryClass.UNKNOWN_OUTCOME: (
        'xDBConnectionLoss', 'xDBOperationTimeout', 'xDBSessionExpired',
        'xDBSessionMoved', 'xDBNoServerResponse', 'xDBClosing',
        'xDBInvalidState', 'xDBNoSuchPath', 'xRecvTimeout', 'xRpcTimeout',
        'xNoHandler'),
}
_RETRY_CLASS_OF_NAME = {name: retry_class
                        for retry_class, names in _NAMES.items()
                        for name in names}

# Right after a volume was created, its clone may be refused for a moment
# with an error that is final anywhere else (NetApp Trident retries it for 30
# seconds). And any method may for a moment answer what means of a job that it
# is gone (the stock driver retries it; API guide, GetAsyncResult).
_RETRY_CLASS_OF_METHOD = {
    ('CloneVolume', 'xInvalidParameter'): RetryClass.TRANSIENT,
    ('GetAsyncResult', 'xDBNoSuchPath'): RetryClass.FINAL}

CONNECTION_ERROR = 'ConnectionError'
"""Name of errors after a connection was refused or broken."""

CONNECT_TIMEOUT = 'ConnectTimeout'
"""Name of errors after no connection was made in time."""

READ_TIMEOUT = 'ReadTimeout'
"""Name of errors after a request was sent and no reply came in time."""

TLS_ERROR = 'TLSError'
"""Name of errors of a TLS handshake."""

VOLUME_GONE = frozenset(('xVolumeIDDoesNotExist', 'xVolumeDoesNotExist'))
"""Names that say that the volume of the call does not exist."""

NODE_BUSY = frozenset(('xMaxClonesPerNodeExceeded',))
"""Names that say that the node of a volume has all the work it may."""

ACCOUNT_GONE = frozenset(('xUnknownAccount', 'xAccountIDDoesNotExist'))
"""Names that say that the account of the call does not exist."""


class ElementError(exception.VolumeBackendAPIException):
    """A call to the Element API failed.

    :ivar method: name of the API method
    :ivar name: the cluster's error name, or one of this driver for an error
        that did not come from the cluster
    :ivar reason: description; never has a secret in it
    :ivar retry_class: a :class:`RetryClass`
    """

    message = _('SolidFire API call %(method)s failed with %(name)s: '
                '%(reason)s')
    retry_class = RetryClass.FINAL

    def __init__(self, method: str, name: str, reason: str) -> None:
        self.method = method
        self.name = name
        self.reason = reason
        super().__init__(method=method, name=name, reason=reason)


class NotSent(ElementError):
    retry_class = RetryClass.TRANSIENT


class ReplyLost(ElementError):
    retry_class = RetryClass.UNKNOWN_OUTCOME


class AccessDenied(ElementError):
    pass


class UnexpectedReply(ElementError):
    pass


class OutcomeUnknown(ElementError):
    pass


class ApiError(ElementError):
    """The cluster answered with an error.

    :ivar code: the number beside the name; 500 for nearly all errors
    """

    def __init__(self, method: str, name: str, reason: str,
                 code: Any = None) -> None:
        super().__init__(method, name, reason)
        self.code = code
        self.retry_class = _RETRY_CLASS_OF_METHOD.get(
            (method, name),
            _RETRY_CLASS_OF_NAME.get(name, RetryClass.FINAL))


class NotFound(ApiError):
    pass


class AlreadyExists(ApiError):
    pass


class Throttled(ApiError):
    pass


class LimitExceeded(ApiError):
    pass


# Sources: the API guide's descriptions, and Launchpad bugs of Cinder's
# driver; xVolumeDoesNotExist is matched by solidfire-csi.
_CLASS_OF_NAME = {
    'xDuplicateUsername': AlreadyExists,
    'xExceededLimit': LimitExceeded,
    'xAsyncHandleDoesNotExist': NotFound,
    **{name: NotFound for name in VOLUME_GONE | ACCOUNT_GONE},
    **{name: Throttled for name in _NAMES[RetryClass.THROTTLED]},
}


def from_reply(method: str, error: Any,
               redact: Callable[[str], str]) -> ElementError:
    """Return the exception for the ``error`` member of a reply.

    :param method: name of the API method
    :param error: the member as decoded from JSON, of whatever type
    :param redact: removes secrets from text
    """
    if not isinstance(error, dict):
        return UnexpectedReply(method, 'BadReply',
                               'the error member is not an object')
    name = str(error.get('name') or 'unnamed')
    error_class: Optional[Type[ApiError]] = _CLASS_OF_NAME.get(name)
    if (method, name) == ('GetAsyncResult', 'xDBNoSuchPath'):
        # An unknown job, in older releases (API guide, GetAsyncResult).
        error_class = NotFound
    return (error_class or ApiError)(
        method, name, redact(str(error.get('message') or name)),
        error.get('code'))
