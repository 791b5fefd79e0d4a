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

"""Kinds of errors: the names that the cluster answers, and the classes."""

import re

import ddt

from cinder import exception
from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import errors

FINAL = errors.Kind.FINAL
TRANSIENT = errors.Kind.TRANSIENT
LOST = errors.Kind.LOST
BUSY = errors.Kind.BUSY

# The names that Element 12 is known to answer, row by row of the project's
# table of them. A comment tells why, where a kind is not simply the row's
# "retry" or "do not".
NAMES = (
    (TRANSIENT, ('xDBVersionMismatch',)),
    # Retried, but not blindly: the cluster cannot tell what became of it.
    (LOST, ('xDBConnectionLoss', 'xDBOperationTimeout', 'xDBSessionExpired',
            'xDBSessionMoved', 'xDBNoServerResponse', 'xDBClosing',
            'xDBInvalidState')),
    (LOST, ('xRecvTimeout', 'xRpcTimeout', 'xNoHandler')),
    (TRANSIENT, ('xNotPrimary', 'xNotReadyForIO', 'xSliceNotRegistered',
                 'xUnknownSliceID')),
    (TRANSIENT, ('xSnapshotFailed', 'xMaxSnapshotsPerNodeExceeded')),
    (BUSY, ('xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded')),
    # A few times: see FEW_ATTEMPTS.
    (TRANSIENT, ('xMaxSnapshotsPerVolumeExceeded',)),
    # For a handle that is fresh the scheduler looks again; once it was read
    # it stays gone, and half a minute of retries would not help.
    (FINAL, ('xAsyncHandleDoesNotExist',)),
    # Any method may say so while the cluster is upgraded; of a handle it
    # means the same as above: see the test of that. A few times.
    (LOST, ('xDBNoSuchPath',)),
    # A few times.
    (TRANSIENT, ('xPermissionDenied',)),
    # Passing only where a fresh volume is cloned: see the test of that.
    (FINAL, ('xInvalidParameter',)),
    (FINAL, ('xInvalidAPIParameter', 'xInvalidParameterType',
             'xMissingParameter', 'xUnrecognizedEnumString',
             'xExceededLimit')),
    (FINAL, ('xUnknownAPIMethod', 'xUnknownRPCMethod', 'xAPINotPermitted',
             'xFeatureNotEnabled')),
    (FINAL, ('xUnknownAccount', 'xAccountIDDoesNotExist')),
    (FINAL, ('xDuplicateUsername',)),
    (FINAL, ('xVolumeIDDoesNotExist', 'xSnapshotIDDoesNotExist',
             'xVolumeShrinkProhibited')),
    (FINAL, ('xAlreadyInVolumeAccessGroup', 'xNotInVolumeAccessGroup')),
    (FINAL, ('xVolumeAccessGroupIDDoesNotExist', 'xInitiatorExists',
             'xInitiatorDoesNotExist', 'xQoSPolicyDoesNotExist',
             'xPairingAlreadyExists', 'xInvalidPairingKey',
             'xVolumeAlreadyPaired', 'xVolumeNotPaired', 'xMVIPNotPaired')),
    (FINAL, ('xUnknownUsername', 'xBulkVolumeScriptFailure',
             'xAssertionFailure')),
    (FINAL, ('xMaxVolumeCountExceeded', 'xTotalCapacityExceeded',
             'xVolumeDoesNotExist', 'xSnapshotDoesNotExist',
             'xVolumeAlreadyExists')),
    # Not in the table.
    (FINAL, ('xNeverHeardOf', 'unnamed', '')),
)
KIND_OF = {name: kind for kind, names in NAMES for name in names}


def reply(name, method='ModifyVolume', message='text'):
    return errors.from_reply(
        method, {'code': 500, 'name': name, 'message': message}, str)


@ddt.ddt
class KindTestCase(test.TestCase):

    @ddt.data(*sorted(KIND_OF))
    def test_kind_of(self, name):
        self.assertIs(KIND_OF[name], reply(name).kind)

    def test_kind_of_every_name_that_has_one_is_tested(self):
        self.assertEqual(set(), set(errors._KIND_OF) - set(KIND_OF))

    def test_kind_of_clone_of_a_fresh_volume(self):
        self.assertIs(TRANSIENT, reply('xInvalidParameter',
                                       'CloneVolume').kind)
        for method in ('CreateVolume', 'ModifyVolume', 'GetAsyncResult'):
            self.assertIs(FINAL, reply('xInvalidParameter', method).kind)

    def test_kind_of_a_handle_that_is_gone(self):
        self.assertIs(FINAL, reply('xDBNoSuchPath', 'GetAsyncResult').kind)

    def test_kind_of_our_own_names(self):
        for kind, error_class in (
                (FINAL, errors.ElementError), (TRANSIENT, errors.NotSent),
                (LOST, errors.ReplyLost), (FINAL, errors.AccessDenied),
                (FINAL, errors.UnexpectedReply)):
            self.assertIs(kind, error_class('M', 'n', 'r').kind)

    def test_few_attempts_are_of_names_that_are_repeated(self):
        for name, attempts in errors.FEW_ATTEMPTS.items():
            self.assertIn(reply(name, 'CloneVolume').kind, (TRANSIENT, LOST))
            self.assertGreater(attempts, 1)
        # The ones of the table that say "a few times".
        self.assertEqual({'xMaxSnapshotsPerVolumeExceeded',
                          'xPermissionDenied', 'xInvalidParameter',
                          'xDBNoSuchPath'}, set(errors.FEW_ATTEMPTS))


@ddt.ddt
class FromReplyTestCase(test.TestCase):

    @ddt.data(
        ('xVolumeIDDoesNotExist', errors.NotFound),
        ('xVolumeDoesNotExist', errors.NotFound),
        ('xUnknownAccount', errors.NotFound),
        ('xAccountIDDoesNotExist', errors.NotFound),
        ('xAsyncHandleDoesNotExist', errors.NotFound),
        ('xDBNoSuchPath', errors.ApiError),
        ('xDuplicateUsername', errors.AlreadyExists),
        ('xMaxClonesPerVolumeExceeded', errors.Busy),
        ('xMaxClonesPerNodeExceeded', errors.Busy),
        ('xNotPrimary', errors.ApiError),
        ('xNeverHeardOf', errors.ApiError))
    @ddt.unpack
    def test_from_reply(self, name, error_class):
        exc = reply(name, 'CloneVolume', 'a message')
        self.assertIs(error_class, type(exc))
        self.assertEqual(('CloneVolume', name, 'a message', 500),
                         (exc.method, exc.name, exc.reason, exc.code))
        self.assertEqual('SolidFire API call CloneVolume failed with %s: '
                         'a message' % name, str(exc))

    def test_from_reply_about_a_handle_that_is_gone(self):
        for name in ('xDBNoSuchPath', 'xAsyncHandleDoesNotExist'):
            exc = reply(name, 'GetAsyncResult')
            self.assertIs(errors.NotFound, type(exc))

    def test_from_reply_scrubs_the_message(self):
        exc = errors.from_reply(
            'AddAccount', {'name': 'xA', 'message': 'got SECRET here'},
            lambda text: text.replace('SECRET', '***'))
        self.assertEqual('got *** here', exc.reason)
        self.assertNotIn('SECRET', str(exc))

    @ddt.data(None, 'text', ['x'], 5, True)
    def test_from_reply_of_no_object(self, error):
        exc = errors.from_reply('GetLimits', error, str)
        self.assertIs(errors.UnexpectedReply, type(exc))

    @ddt.data({}, {'name': None}, {'name': ''},
              {'name': None, 'message': None})
    def test_from_reply_without_name(self, error):
        exc = errors.from_reply('GetLimits', error, str)
        self.assertIs(errors.ApiError, type(exc))
        self.assertEqual(('unnamed', 'unnamed', None),
                         (exc.name, exc.reason, exc.code))
        self.assertIs(FINAL, exc.kind)

    @ddt.data(5, ['x'], {'a': 1})
    def test_from_reply_with_odd_name_and_message(self, value):
        exc = errors.from_reply('GetLimits',
                                {'name': value, 'message': value}, str)
        self.assertEqual((str(value), str(value)), (exc.name, exc.reason))
        self.assertIs(FINAL, exc.kind)


class TreeTestCase(test.TestCase):

    def _drawn(self):
        """Return the module's drawing as {class name: its parent's}."""
        drawn, above = {}, []
        for line in errors.__doc__.splitlines():
            found = re.match(r'    ([ |]*(?:\+- )?)([A-Z]\w+)  ', line)
            if not found:
                continue
            depth = len(found.group(1))
            while above and above[-1][0] >= depth:
                above.pop()
            drawn[found.group(2)] = above[-1][1] if above else None
            above.append((depth, found.group(2)))
        return drawn

    def test_tree_is_drawn_as_it_is(self):
        actual = {}
        for name, value in vars(errors).items():
            if isinstance(value, type) and issubclass(value, Exception):
                parent = value.__bases__[0].__name__
                actual[name] = parent if hasattr(errors, parent) else None
        self.assertGreater(len(actual), 10)
        self.assertEqual(actual, self._drawn())

    def test_roots_are_cinder_s(self):
        self.assertTrue(issubclass(errors.ElementError,
                                   exception.VolumeBackendAPIException))
        self.assertTrue(issubclass(errors.TemplateCacheError,
                                   exception.VolumeDriverException))

    def test_messages(self):
        for exc, text in (
                (errors.TemplateCacheError(reason='R'),
                 'The image template cannot be used: R'),
                (errors.FillRefused(reason='R'),
                 'The image cannot be made a template: R'),
                (errors.RequestOutdated(known='K', template='T'),
                 'The request knows the image as of K, and its template is '
                 'of T'),
                (errors.CloneFailed(template=5, reason='R'),
                 'Clone of template volume 5 failed: R'),
                (errors.CloneTimedOut(template=5, reason='R', seconds=60),
                 'Clone of template volume 5 was not done within 60 '
                 'seconds: R')):
            self.assertEqual(text, str(exc))
