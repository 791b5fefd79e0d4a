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

"""The names that a cluster answers: their classes and retry classes."""

import re

import ddt

from cinder import exception
from cinder.tests.unit import test
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.element import errors

FINAL = errors.RetryClass.FINAL
TRANSIENT = errors.RetryClass.TRANSIENT
THROTTLED = errors.RetryClass.THROTTLED
UNKNOWN_OUTCOME = errors.RetryClass.UNKNOWN_OUTCOME

# Names that Element 12 is known to answer. One that is not listed is FINAL.
NAMES = {
    TRANSIENT: (
        'xDBVersionMismatch xNotPrimary xNotReadyForIO xSliceNotRegistered '
        'xUnknownSliceID xSnapshotFailed xMaxSnapshotsPerNodeExceeded '
        # A few attempts, see the module retry.
        'xMaxSnapshotsPerVolumeExceeded xPermissionDenied'),
    UNKNOWN_OUTCOME: (
        'xDBConnectionLoss xDBOperationTimeout xDBSessionExpired '
        'xDBSessionMoved xDBNoServerResponse xDBClosing xDBInvalidState '
        'xDBNoSuchPath xRecvTimeout xRpcTimeout xNoHandler'),
    THROTTLED: 'xMaxClonesPerVolumeExceeded xMaxClonesPerNodeExceeded',
    FINAL: (
        # A handle that was read stays gone.
        'xAsyncHandleDoesNotExist xInvalidParameter xInvalidAPIParameter '
        'xMissingParameter xExceededLimit xUnknownAPIMethod xAPINotPermitted '
        'xUnknownAccount xAccountIDDoesNotExist xDuplicateUsername '
        'xVolumeIDDoesNotExist xVolumeDoesNotExist xVolumeShrinkProhibited '
        'xUnknownUsername xAssertionFailure xMaxVolumeCountExceeded '
        'xTotalCapacityExceeded xInvalidPairingKey xNeverHeardOf unnamed'),
}


def from_reply(name, method='ModifyVolume', message='text'):
    return errors.from_reply(
        method, {'code': 500, 'name': name, 'message': message}, str)


@ddt.ddt
class ErrorsTestCase(test.TestCase):

    def test_retry_class_of_names(self):
        for retry_class, names in NAMES.items():
            for name in names.split():
                self.assertIs(retry_class, from_reply(name).retry_class, name)
        self.assertLessEqual(set(errors._RETRY_CLASS_OF_NAME),
                             set(' '.join(NAMES.values()).split()))

    # Bugs 1891914 and 1934435.
    @ddt.data(*solidfire.SolidFireDriver.retryable_errors)
    def test_what_the_stock_driver_retries_is_not_final(self, name):
        self.assertIsNot(FINAL, from_reply(name).retry_class)

    def test_retry_class_of_errors_of_this_driver(self):
        for error_class, retry_class in (
                (errors.ElementError, FINAL), (errors.NotSent, TRANSIENT),
                (errors.ReplyLost, UNKNOWN_OUTCOME),
                (errors.AccessDenied, FINAL), (errors.UnexpectedReply, FINAL),
                (errors.OutcomeUnknown, FINAL)):
            exc = error_class('M', 'n', 'r')
            self.assertIs(retry_class, exc.retry_class)
            self.assertIsInstance(exc, exception.VolumeBackendAPIException)

    @ddt.data(
        ('xVolumeIDDoesNotExist', errors.NotFound),
        ('xVolumeDoesNotExist', errors.NotFound),
        ('xUnknownAccount', errors.NotFound),
        ('xAccountIDDoesNotExist', errors.NotFound),
        ('xAsyncHandleDoesNotExist', errors.NotFound),
        ('xDBNoSuchPath', errors.ApiError),
        # A job that is gone.
        ('xDBNoSuchPath', errors.NotFound, 'GetAsyncResult'),
        ('xAsyncHandleDoesNotExist', errors.NotFound, 'GetAsyncResult'),
        ('xDuplicateUsername', errors.AlreadyExists),
        ('xMaxClonesPerVolumeExceeded', errors.Throttled),
        ('xMaxClonesPerNodeExceeded', errors.Throttled),
        # Of CloneVolume: the account is full.
        ('xExceededLimit', errors.LimitExceeded),
        ('xNotPrimary', errors.ApiError),
        ('xNeverHeardOf', errors.ApiError))
    @ddt.unpack
    def test_from_reply(self, name, error_class, method='CloneVolume'):
        exc = from_reply(name, method, 'a message')
        self.assertIs(error_class, type(exc))
        self.assertEqual((method, name, 'a message', 500),
                         (exc.method, exc.name, exc.reason, exc.code))
        self.assertEqual('SolidFire API call %s failed with %s: a message'
                         % (method, name), str(exc))

    @ddt.data(({}, 'unnamed'), ({'name': None}, 'unnamed'),
              ({'name': '', 'message': None}, 'unnamed'),
              ({'name': 5, 'message': 5}, '5'),
              ({'name': ['x'], 'message': ['x']}, "['x']"))
    @ddt.unpack
    def test_from_reply_with_odd_members(self, error, text):
        exc = errors.from_reply('GetLimits', error, str)
        self.assertEqual((errors.ApiError, text, text, None, FINAL),
                         (type(exc), exc.name, exc.reason, exc.code,
                          exc.retry_class))

    def test_tree_in_the_docstring_is_the_actual_one(self):
        drawn, above = {}, []
        for branch, name in re.findall(r'^    ([ |]*(?:\+- )?)([A-Z]\w+)  ',
                                       errors.__doc__, re.MULTILINE):
            del above[len(branch) // 4:]
            drawn[name] = above[-1] if above else 'exception'
            above.append(name)
        self.assertEqual({
            name: value.__base__.__name__
            if value.__base__.__module__ == errors.__name__ else 'exception'
            for name, value in vars(errors).items()
            if isinstance(value, type) and issubclass(value, Exception)},
            drawn)
