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

"""What can go wrong with a call to the cluster, and what follows from it.

::

    ElementError                the call failed
     +- NotSent                 no connection: the cluster never saw it
     +- ReplyLost               no answer, or none that can be read: it may
     |                          have been carried out
     +- AccessDenied            credentials or role refused, or no TLS trust
     +- UnexpectedReply         an answer, but not what this API gives
     +- ApiError                the cluster answered with an error
         +- NotFound            the object named does not exist
         +- AlreadyExists       the account name is taken
         +- Busy                a limit on work at a time is reached
    TemplateCacheError          the cache itself cannot go on
     +- FillRefused             this version of the image cannot be cached
     +- RequestOutdated         the request knows an older image
     +- FillAwaitedTooLong      somebody else fills the template, and goes on
     +- FillsFail               what others met in filling, this one may, too
     +- NoRoom                  the limits allow no further template now
     +- CloneFailed             the cluster gave up a clone
         +- CloneTimedOut       no free slot, or no end, within the time
"""

import enum
import math

from cinder import exception
from cinder.i18n import _


class Kind(enum.Enum):
    """What may be done after a failed call."""

    TRANSIENT = 'refused for a moment, not carried out: repeat'
    BUSY = 'refused until other work has ended: wait as long as that takes'
    LOST = 'perhaps carried out: repeat only what does no harm twice'
    FINAL = 'refused: repeating is of no use'


# Names of the Element API's errors. What is not listed is final. Sources:
# the retry lists of Cinder's driver and of NetApp Trident, and the API
# guide's descriptions.
_KINDS = {
    Kind.TRANSIENT: (
        'xDBVersionMismatch', 'xNotPrimary', 'xNotReadyForIO',
        'xSliceNotRegistered', 'xUnknownSliceID', 'xSnapshotFailed',
        'xMaxSnapshotsPerNodeExceeded', 'xMaxSnapshotsPerVolumeExceeded',
        'xPermissionDenied'),
    Kind.BUSY: (
        'xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded'),
    # The cluster's own database or an internal call did not answer, so the
    # outcome is as unknown as if the reply had been lost on the network.
    Kind.LOST: (
        'xDBConnectionLoss', 'xDBOperationTimeout', 'xDBSessionExpired',
        'xDBSessionMoved', 'xDBNoServerResponse', 'xDBClosing',
        'xDBInvalidState', 'xDBNoSuchPath', 'xRecvTimeout', 'xRpcTimeout',
        'xNoHandler'),
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}

# Right after a volume was made, a clone of it may be refused for a moment
# with an error that is final anywhere else. And while a cluster is being
# upgraded, any method may say what elsewhere means that a job is gone.
_KIND_OF_METHOD = {('CloneVolume', 'xInvalidParameter'): Kind.TRANSIENT,
                   ('GetAsyncResult', 'xDBNoSuchPath'): Kind.FINAL}

# Errors that may pass but more often last: attempts in all.
FEW_ATTEMPTS = {'xPermissionDenied': 3, 'xMaxSnapshotsPerVolumeExceeded': 3,
                'xInvalidParameter': 6, 'xDBNoSuchPath': 4}

VOLUME_GONE = frozenset(('xVolumeIDDoesNotExist', 'xVolumeDoesNotExist'))
"""Names that say that the volume of the call is not there."""

ACCOUNT_GONE = frozenset(('xUnknownAccount', 'xAccountIDDoesNotExist'))
"""Names that say that the account of the call is not there."""

_NOT_FOUND = VOLUME_GONE | ACCOUNT_GONE | {'xAsyncHandleDoesNotExist'}


class ElementError(exception.VolumeBackendAPIException):
    """A call to the Element API failed.

    :ivar method: name of the API method
    :ivar name: the cluster's error name, or a word of ours for an error
        that did not come from the cluster
    :ivar reason: what is known about it; never holds a secret
    """

    message = _('SolidFire API call %(method)s failed with %(name)s: '
                '%(reason)s')
    kind = Kind.FINAL

    def __init__(self, method, name, reason):
        self.method = method
        self.name = name
        self.reason = reason
        super().__init__(method=method, name=name, reason=reason)


class NotSent(ElementError):
    kind = Kind.TRANSIENT


class ReplyLost(ElementError):
    kind = Kind.LOST


class AccessDenied(ElementError):
    pass


class UnexpectedReply(ElementError):
    pass


class ApiError(ElementError):
    """The cluster answered with an error.

    :ivar code: the number beside the name; 500 for nearly everything
    """

    def __init__(self, method, name, reason, code=None):
        super().__init__(method, name, reason)
        self.code = code
        self.kind = _KIND_OF_METHOD.get(
            (method, name), _KIND_OF.get(name, Kind.FINAL))


class NotFound(ApiError):
    pass


class AlreadyExists(ApiError):
    pass


class Busy(ApiError):
    pass


def most_attempts(error):
    """Tell how often to try a create or a clone that ended in this error.

    For those who have made sure after each try that nothing was carried
    out, for a cluster may do what it says it refused.
    """
    if isinstance(error, NotSent):
        return 1  # the client has repeated it already
    if error.kind is Kind.TRANSIENT:
        return FEW_ATTEMPTS.get(error.name, math.inf)
    return 2 if error.kind is Kind.LOST else 1


def from_reply(method, error, scrub):
    """Make the exception for the ``error`` member of a reply.

    :param method: name of the API method
    :param error: the member as decoded; of any type, for peers differ
    :param scrub: a callable that removes secrets from text
    """
    if not isinstance(error, dict):
        return UnexpectedReply(method, 'BadReply',
                               'the error member is not an object')
    name = str(error.get('name') or 'unnamed')
    reason = scrub(str(error.get('message') or name))
    if name in _NOT_FOUND or (method, name) == ('GetAsyncResult',
                                                'xDBNoSuchPath'):
        kind = NotFound
    elif name == 'xDuplicateUsername':
        kind = AlreadyExists
    elif _KIND_OF.get(name) is Kind.BUSY:
        kind = Busy
    else:
        kind = ApiError
    return kind(method, name, reason, error.get('code'))


class TemplateCacheError(exception.VolumeDriverException):
    message = _('The image template cannot be used: %(reason)s')


class FillRefused(TemplateCacheError):
    message = _('The image cannot be made a template: %(reason)s')


class RequestOutdated(TemplateCacheError):
    message = _('The request knows the image as of %(known)s, and its '
                'template is of %(template)s')


class FillAwaitedTooLong(TemplateCacheError):
    message = _('Another request has been filling the template for more than '
                '%(seconds)s seconds (sf_template_wait_timeout)')


class FillsFail(TemplateCacheError):
    message = _('While the request waited, %(count)s attempts of others to '
                'fill the template failed, the last of them with %(reason)s')


class NoRoom(TemplateCacheError):
    message = _('There is no room for a template of %(gib)s GiB: %(reason)s')


class CloneFailed(TemplateCacheError):
    message = _('Clone of template volume %(template)s failed: %(reason)s')


class CloneTimedOut(CloneFailed):
    message = _('Clone of template volume %(template)s was not done within '
                '%(seconds)s seconds: %(reason)s')
