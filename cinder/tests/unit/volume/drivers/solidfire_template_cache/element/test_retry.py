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

"""Which calls are retried, how often, and after which pauses."""

import logging as std_logging
from unittest import mock

import ddt

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import retry

MANY = 8
"""Attempts within RETRY_SECONDS, whatever the jitter."""

CREATING = ('CreateVolume', 'CloneVolume')
CLEANUP = ('DeleteVolume', 'PurgeDeletedVolume', 'ListVolumes', 'ListSyncJobs')
OTHERS = ('AddAccount', 'CancelClone', 'GetAccountByName', 'GetAsyncResult',
          'GetClusterCapacity', 'GetDefaultQoS', 'GetLimits', 'ModifyVolume')

# Attempts that a lasting error leads to: for CREATING, CLEANUP and OTHERS,
# and with retry_unless_done after nothing was done.
ATTEMPTS = {
    'xNotPrimary': (1, MANY, MANY, MANY),
    'xDBConnectionLoss': (1, MANY, MANY, 2),
    errors.ReplyLost: (1, MANY, MANY, 2),
    errors.NotSent: (MANY, MANY, MANY, 1),
    'xPermissionDenied': (1, 3, 3, 3),
    'xMaxSnapshotsPerVolumeExceeded': (1, 3, 3, 3),
    # A leftover that is not removed holds its name.
    'xMaxClonesPerVolumeExceeded': (1, MANY, 1, 1),
    'xMaxClonesPerNodeExceeded': (1, MANY, 1, 1),
    'xNeverHeardOf': (1, 4, 1, 1),
    'xExceededLimit': (1, 4, 1, 1),
    errors.AccessDenied: (1, 4, 1, 1),
    errors.UnexpectedReply: (1, 4, 1, 1),
    'xVolumeIDDoesNotExist': (1, 1, 1, 1),
}
NOTHING_TO_RECONCILE = ('xMaxClonesPerVolumeExceeded',
                        'xMaxClonesPerNodeExceeded', errors.NotSent)


def make_error(kind, method='GetLimits'):
    """Return an error by its name on the cluster, or by its class."""
    if isinstance(kind, str):
        return errors.from_reply(method, {'name': kind}, str)
    return kind(method, 'name', 'reason')


class RetryTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.attempt = mock.Mock(spec=[])

    def fail(self, function, *args):
        """Return how many attempts end in the lasting error."""
        self.clock.slept.clear()
        self.attempt.reset_mock()
        error = self.attempt.side_effect
        self.assertIs(error, self.assertRaises(type(error), function, *args,
                                               self.clock))
        self.assertEqual(self.attempt.call_count - 1, len(self.clock.slept))
        return self.attempt.call_count


@ddt.ddt
class CallTestCase(RetryTestCase):

    def fail_call(self, method, error):
        self.attempt.side_effect = error
        return self.fail(retry.call, method, self.attempt)

    @ddt.data(*ATTEMPTS)
    def test_lasting_error(self, kind):
        for methods, attempts in zip((CREATING, CLEANUP, OTHERS),
                                     ATTEMPTS[kind]):
            for method in methods:
                self.assertEqual(
                    attempts,
                    self.fail_call(method, make_error(kind, method)), method)

    @ddt.data(('ModifyVolume', 'xDBNoSuchPath', 4),
              ('GetAsyncResult', 'xDBNoSuchPath', 1),
              ('CloneVolume', 'xInvalidParameter', 1))
    @ddt.unpack
    def test_lasting_error_of_a_method(self, method, name, attempts):
        self.assertEqual(
            attempts, self.fail_call(method, make_error(name, method)))

    def test_other_exceptions_are_not_retried(self):
        # Those are faults of the driver.
        self.assertEqual(1, self.fail_call('ListVolumes', KeyError('x')))

    def test_last_error_is_raised(self):
        last = make_error('xNotReadyForIO')
        self.attempt.side_effect = (
            [make_error('xNotPrimary')] * (MANY - 1) + [last])
        self.assertIs(last, self.assertRaises(
            errors.ApiError, retry.call, 'GetLimits', self.attempt,
            self.clock))

    def test_pauses_grow_and_have_jitter(self):
        pauses = []
        for _i in range(2):
            self.fail_call('GetLimits', make_error('xNotPrimary'))
            pauses.append(list(self.clock.slept))
        for first, second, base in zip(*pauses, [0.5, 1, 2, 4, 8, 8, 8]):
            self.assertTrue(base <= first <= base + 0.5, first)
            self.assertNotEqual(first, second)
        self.assertGreaterEqual(sum(pauses[0]), retry.RETRY_SECONDS)

    def test_retries_are_logged_in_one_line_each(self):
        log = self.useFixture(fixtures.LogCapture())
        self.attempt.side_effect = [
            errors.NotSent('GetLimits', 'name', 'a\nb' * 9999), 'result']
        self.assertEqual('result', retry.call('GetLimits', self.attempt,
                                              self.clock))
        [line] = log.at(std_logging.DEBUG)
        self.assertIn('Attempt 1 failed and will be retried: NotSent: ', line)
        self.assertLess(len(line), 1100)
        self.assertNotIn('\n', line)


@ddt.ddt
class RetryUnlessDoneTestCase(RetryTestCase):

    def setUp(self):
        super().setUp()
        self.reconcile = mock.Mock(spec=[], return_value=None)

    def call(self):
        return retry.retry_unless_done(self.attempt, self.reconcile,
                                       self.clock)

    @ddt.data(*[(kind, attempts[3]) for kind, attempts in ATTEMPTS.items()],
              ('xInvalidParameter', 6), ('xDBNoSuchPath', 2))
    @ddt.unpack
    def test_lasting_error_when_nothing_was_done(self, kind, attempts):
        error = self.attempt.side_effect = make_error(kind, 'CloneVolume')
        self.assertEqual(attempts, self.fail(
            retry.retry_unless_done, self.attempt, self.reconcile))
        # Also when it is final: a cluster may have done what it refused.
        self.assertEqual(
            [mock.call(error)] * attempts * (kind not in NOTHING_TO_RECONCILE),
            self.reconcile.mock_calls)

    def test_failure_to_reconcile_is_final(self):
        error = make_error('xNotPrimary', 'CloneVolume')
        self.attempt.side_effect = error
        self.reconcile.side_effect = errors.AccessDenied(
            'ListVolumes', 'HTTP401', 'who are you')
        exc = self.assertRaises(errors.OutcomeUnknown, self.call)
        self.assertEqual(
            ('CloneVolume', 'xNotPrimary', 'xNotPrimary; what the call has '
             'done could not be determined or undone: %s'
             % self.reconcile.side_effect), (exc.method, exc.name, exc.reason))
        self.assertEqual(1, self.attempt.call_count)
        self.assertIs(error, exc.__cause__)
        # It was changed to FINAL, to end this loop.
        self.assertIs(errors.RetryClass.TRANSIENT, error.retry_class)

    def test_other_exceptions_are_not_retried(self):
        self.attempt.side_effect = KeyError('x')
        self.assertRaises(KeyError, self.call)
        self.reconcile.assert_not_called()
        self.attempt.side_effect = make_error('xNotPrimary')
        self.reconcile.side_effect = ValueError('x')
        self.assertRaises(ValueError, self.call)
        self.assertEqual([], self.clock.slept)


class StockError(Exception):
    pass


@ddt.ddt
class StockCallTestCase(RetryTestCase):

    # The error, whether the stock driver lists it as retryable, retries.
    @ddt.data(
        (StockError(), True, 4), (StockError(), False, 0),
        (errors.NotSent('M', 'ConnectTimeout', 'r'), False, 4),
        (errors.ReplyLost('M', 'ConnectionError', 'r'), False, 4),
        (errors.ReplyLost('M', 'ReadTimeout', 'r'), False, 0),
        (errors.ReplyLost('M', 'HTTP503', 'r'), False, 0),
        (errors.UnexpectedReply('M', 'HTTP404', 'r'), False, 0),
        # Retries would delay the error for nothing.
        (errors.AccessDenied('M', 'TLSError', 'r'), False, 0))
    @ddt.unpack
    def test_lasting_error(self, error, is_retryable, retries):
        self.attempt.side_effect = error
        self.assertEqual(retries + 1, self.fail(
            retry.stock_call, self.attempt,
            lambda exc: is_retryable and exc is error))
        self.assertEqual([1, 2, 4, 8][:retries], self.clock.slept)

    def test_result_of_the_last_attempt(self):
        # However long the attempts take.
        def fail_slowly():
            self.clock.advance(1000)
            if self.attempt.call_count < 5:
                raise StockError()
            return 'result'

        self.attempt.side_effect = fail_slowly
        self.assertEqual('result', retry.stock_call(
            self.attempt, lambda exc: True, self.clock))
