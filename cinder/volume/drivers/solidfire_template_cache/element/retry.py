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

"""All decisions on retries of API calls.

:mod:`errors` says what an error means. This module decides what follows:
which calls are made again, how often, and after which pauses.

===============  ================================  ======================
RetryClass       retries in ``call``               in retry_unless_done
===============  ================================  ======================
TRANSIENT        30 s, unless _NOT_REPEATABLE      30 s
UNKNOWN_OUTCOME  30 s, unless _NOT_REPEATABLE      one
THROTTLED        30 s if in _CLEANUP               none, the caller waits
FINAL            3 if in _CLEANUP                  none
===============  ================================  ======================

_MAX_ATTEMPTS limits those for errors that may pass, but often last.
"""

import math
from typing import Any
from typing import Callable
from typing import Optional
from typing import TypeVar

from oslo_log import log as logging
import tenacity

from cinder.volume.drivers.solidfire_template_cache import clock
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache import log_utils

LOG = logging.getLogger(__name__)

_T = TypeVar('_T')

RETRY_SECONDS = 30
"""How long a failing call is retried: as long as by the stock driver."""

# Calls that do harm when they are carried out twice: a cluster accepts two
# volumes of one name (Launchpad bug 1896112).
_NOT_REPEATABLE = frozenset(('CloneVolume', 'CreateVolume'))

# Calls that look for leftovers and remove them: a leftover holds its name and
# its space until it is removed, so these are retried even if it seems final.
_CLEANUP = frozenset(('DeleteVolume', 'ListSyncJobs', 'ListVolumes',
                      'PurgeDeletedVolume'))
_CLEANUP_ATTEMPTS = 4

# Attempts in all. Source: "a few times" in the retry lists of the stock
# driver and of NetApp Trident, which disagree.
_MAX_ATTEMPTS = {'xPermissionDenied': 3, 'xMaxSnapshotsPerVolumeExceeded': 3,
                 'xInvalidParameter': 6, 'xDBNoSuchPath': 4}

# Calls of the stock driver: the number of attempts is the stock driver's.
_STOCK_ATTEMPTS = 5
_STOCK_WAIT = tenacity.wait_exponential(multiplier=1)

# With jitter, so that many requests do not come back at the same time.
_WAIT = (tenacity.wait_exponential(multiplier=0.5, max=8) +
         tenacity.wait_random(0, 0.5))


def call(method: str, attempt: Callable[[], _T],
         clock: clock.SystemClock) -> _T:
    """Make one call of an API method, with its retries.

    :param method: name of the API method
    :param attempt: makes the call once
    :returns: what the attempt returned
    :raises errors.ElementError: the last error, when no retry may help or
        :data:`RETRY_SECONDS` have passed
    """
    return _run(attempt,
                lambda error: _max_attempts(method, error),
                clock, RETRY_SECONDS, _WAIT)


def retry_unless_done(call: Callable[[], _T],
                      reconcile: Callable[[errors.ElementError],
                                          Optional[_T]],
                      clock: clock.SystemClock) -> _T:
    """Make a call that must not be repeated blindly, with retries.

    :param call: makes the call
    :param reconcile: takes the error of a call and returns what that call
        has done, or None after it made sure that nothing is left.
        It is not used when the cluster has certainly done nothing.
    :returns: what the call or ``reconcile`` returned
    :raises errors.OutcomeUnknown: ``reconcile`` failed; final
    :raises errors.ElementError: the last error, when no retry may help or
        :data:`RETRY_SECONDS` have passed
    """
    def attempt() -> _T:
        try:
            return call()
        except (errors.Throttled, errors.NotSent):
            raise
        except errors.ElementError as exc:
            done = _reconcile(reconcile, exc)
            if done is None:
                raise
            return done

    return _run(attempt, _max_attempts_reconciled, clock, RETRY_SECONDS,
                _WAIT)


def stock_call(attempt: Callable[[], _T],
               is_retryable: Callable[[BaseException], bool],
               clock: clock.SystemClock) -> _T:
    """Make a call for the stock driver, with retries by its rules.

    There are up to 5 attempts, with pauses of 1, 2, 4 and 8 seconds. As in
    the stock driver a refused or broken connection is retried, and a refused
    login or a time-out of the reply is not. Unlike there, an untrusted
    certificate is final, there is no pause after the last attempt, and the
    error of that is raised as it is.

    :param attempt: makes the call once
    :param is_retryable: returns whether an error of the cluster's is retried
    :returns: what the attempt returned
    :raises: the error of the last attempt
    """
    def max_attempts(error: BaseException) -> float:
        retryable = is_retryable(error) or isinstance(
            error, errors.NotSent) or (
            isinstance(error, errors.ReplyLost) and
            error.name in (errors.CONNECTION_ERROR, errors.TLS_ERROR))
        return _STOCK_ATTEMPTS if retryable else 1

    return _run(attempt, max_attempts, clock, math.inf, _STOCK_WAIT)


def _run(attempt: Callable[[], _T],
         max_attempts: Callable[[BaseException], float],
         clock: clock.SystemClock, seconds: float, wait: Any) -> _T:
    """Make attempts until one succeeds, or ends in its error.

    :param max_attempts: takes the error of an attempt and returns how many
        attempts may end in it
    :param seconds: after which there is no further attempt
    """
    deadline = clock.monotonic() + seconds

    def may_retry(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception()
        return (error is not None and
                state.attempt_number < max_attempts(error))

    return tenacity.Retrying(
        retry=may_retry,
        stop=lambda state: clock.monotonic() >= deadline,
        wait=wait,
        sleep=clock.sleep,
        before_sleep=_log_retry,
        reraise=True)(attempt)


def _max_attempts(method: str, error: BaseException) -> float:
    """Return how often to make a call that ended in this error."""
    if not isinstance(error, errors.ElementError):
        return 1
    if error.retry_class in (errors.RetryClass.TRANSIENT,
                             errors.RetryClass.UNKNOWN_OUTCOME):
        if method in _NOT_REPEATABLE and not isinstance(error,
                                                        errors.NotSent):
            return 1  # see retry_unless_done
        return _MAX_ATTEMPTS.get(error.name, math.inf)
    if method not in _CLEANUP or isinstance(error, errors.NotFound):
        return 1
    if error.retry_class is errors.RetryClass.THROTTLED:
        return math.inf
    return _CLEANUP_ATTEMPTS


def _max_attempts_reconciled(error: BaseException) -> float:
    """Return how often to make a call of which nothing was left so far."""
    if not isinstance(error, errors.ElementError) or isinstance(
            error, errors.NotSent):
        return 1  # call() has retried NotSent already
    if error.retry_class is errors.RetryClass.TRANSIENT:
        return _MAX_ATTEMPTS.get(error.name, math.inf)
    if error.retry_class is errors.RetryClass.UNKNOWN_OUTCOME:
        return 2
    return 1


def _reconcile(reconcile: Callable[[errors.ElementError], Optional[_T]],
               error: errors.ElementError) -> Optional[_T]:
    try:
        return reconcile(error)
    except errors.ElementError as failure:
        raise errors.OutcomeUnknown(
            error.method, error.name,
            '%s; what the call has done could not be determined or undone: '
            '%s' % (error.reason, failure)) from error


def _log_retry(state: tenacity.RetryCallState) -> None:
    LOG.debug('Attempt %(count)s failed and will be retried: %(error)s',
              {'count': state.attempt_number,
               'error': log_utils.format_error(state.outcome.exception())})
