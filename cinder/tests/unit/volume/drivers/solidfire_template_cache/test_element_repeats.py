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

"""Which calls of the client are repeated, when, and how often."""

from unittest import mock

import ddt
from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import errors

SECRET = clients.SECRET


@ddt.ddt
class RetryTestCase(clients.ClientTestCase):
    """Which failures are repeated, how long, how often."""

    # Every method, by the client's own.
    CALLS = {
        'AddAccount': ('add_account', 'other', SECRET),
        'CancelClone': ('cancel_clone', 1),
        'CloneVolume': ('clone_volume', 1, 'c', 1, True, {}),
        'CreateVolume': ('create_volume', 'v', 1, units.Gi, True, {}),
        'DeleteVolume': ('remove_volume', 1),
        'GetAccountByName': ('get_account', 'tenant'),
        'GetAsyncResult': ('get_job', 1),
        'GetClusterCapacity': ('get_block_space',),
        'GetDefaultQoS': ('get_default_qos',),
        'GetLimits': ('get_clones_per_volume',),
        'ListSyncJobs': ('list_running_clones', 1),
        'ListVolumes': ('list_volumes', 'v'),
        'ModifyVolume': ('modify_volume', 1),
        'PurgeDeletedVolume': ('remove_volume', 1),
    }
    ONCE = ('CloneVolume', 'CreateVolume')

    # What tidies up tries a little more, whatever the error.
    INSISTING = ('DeleteVolume', 'PurgeDeletedVolume', 'ListVolumes',
                 'ListSyncJobs')

    def setUp(self):
        super().setUp()
        # Something for each of the calls to work on.
        volume = self.make_volume()
        self.client.clone_volume(volume.id, 'c', 1, True, {})
        self.sim.reset_calls()

    def make_call(self, method):
        name, *args = self.CALLS[method]
        return getattr(self.client, name)(*args)

    def test_every_method_is_tried(self):
        self.assertEqual(set(element._METHODS), set(self.CALLS))

    def make_safe_call(self, method):
        """Call a method as those do who look before they repeat."""
        if method not in self.ONCE:
            return self.make_call(method)
        return element.repeat_looking(lambda: self.make_call(method),
                                      lambda exc: None, self.clock)

    @ddt.data(*sorted(ONCE))
    def test_transient_error_is_not_repeated_blindly(self, method):
        self.sim.faults.add(method=method, error='xDBVersionMismatch')
        self.assert_fails(errors.ApiError, self.make_call, method)
        self.assertEqual(1, self.sim.calls.count(method))

    @ddt.data(*sorted(ONCE))
    def test_repeat_looking_returns_what_was_carried_out(self, method):
        self.sim.faults.add(method=method, error='xDBVersionMismatch',
                            when='after')
        self.assertEqual('found', element.repeat_looking(
            lambda: self.make_call(method), lambda exc: 'found', self.clock))
        self.assertEqual(1, self.sim.calls.count(method))

    @ddt.data(*sorted(CALLS))
    def test_transient_error_is_repeated_until_success(self, method):
        self.sim.faults.add(method=method, error='xDBVersionMismatch',
                            times=4)
        self.make_safe_call(method)
        self.assertEqual(5, self.sim.calls.count(method))
        self.assertEqual(4, len(self.clock.slept))

    def test_waits_grow_up_to_a_bound(self):
        self.sim.faults.add(method='GetLimits', error='xNotPrimary',
                            times=None)
        self.assert_fails(errors.ApiError, self.client.get_clones_per_volume)
        # To each of these but the last ones, up to half a second is added.
        least = [0.5, 1, 2, 4, 8, 8, 8, 8][:len(self.clock.slept)]
        self.assertGreaterEqual(len(least), 6)
        for wait, low in zip(self.clock.slept, least):
            self.assertGreaterEqual(wait, low)
            self.assertLessEqual(wait, low + 0.5)
        self.assertEqual(len(least), len(self.clock.slept))

    def test_waits_differ_from_client_to_client(self):
        waits = []
        for client in (self.client, self.new_client()):
            self.sim.faults.add(method='GetLimits', error='xNotPrimary',
                                times=4)
            before = len(self.clock.slept)
            client.get_clones_per_volume()
            waits.append(self.clock.slept[before:])
            self.assertEqual(4, len(waits[-1]))
        for first, second in zip(*waits):
            self.assertNotEqual(first, second)

    def test_deadline_ends_it_with_the_last_real_error(self):
        begin = self.clock.monotonic()
        self.sim.faults.add(method='GetLimits', error='xNotPrimary', times=3)
        self.sim.faults.add(method='GetLimits', error='xNotReadyForIO',
                            message='the last one', times=None)
        exc = self.assert_fails(errors.ApiError,
                                self.client.get_clones_per_volume)
        self.assertEqual(('xNotReadyForIO', 'the last one'),
                         (exc.name, exc.reason))
        spent = self.clock.monotonic() - begin
        self.assertGreaterEqual(spent, element.RETRY_SECONDS)
        self.assertLess(spent, element.RETRY_SECONDS + 8)
        self.assertEqual(len(self.clock.slept) + 1, self.sim.calls.count())

    @ddt.data(('xPermissionDenied', 'ModifyVolume'),
              ('xMaxSnapshotsPerVolumeExceeded', 'CloneVolume'),
              ('xInvalidParameter', 'CloneVolume'),
              ('xDBNoSuchPath', 'ModifyVolume'))
    @ddt.unpack
    def test_few_attempts(self, name, method):
        attempts = errors.FEW_ATTEMPTS[name]
        rule = self.sim.faults.add(method=method, error=name, times=None)
        exc = self.assert_fails(errors.ApiError, self.make_safe_call, method)
        self.assertEqual(name, exc.name)
        self.assertEqual(attempts, rule.hits)
        self.assertEqual(attempts - 1, len(self.clock.slept))

    def test_few_attempts_may_be_enough(self):
        self.sim.faults.add(method='CloneVolume', error='xInvalidParameter',
                            times=3)
        self.assertEqual('c', self.make_safe_call('CloneVolume').volume.name)

    @ddt.data(*sorted(set(CALLS) - set(ONCE)))
    def test_lost_reply_is_asked_for_again(self, method):
        for fault in ({'drop': True}, {'drop': True, 'when': 'after'},
                      {'error': 'xDBConnectionLoss'}):
            self.sim.faults.add(method=method, **fault)
        # What the last try meets, since the second was carried out.
        met = {'AddAccount': 'xDuplicateUsername',
               'CancelClone': 'xInvalidParameter',
               'GetAsyncResult': 'xAsyncHandleDoesNotExist'}
        # A finished job is forgotten once its state was read.
        self.clock.advance(0 if method == 'CancelClone' else 3600)
        if method in met:
            exc = self.assertRaises(errors.ApiError, self.make_call, method)
            self.assertEqual(met[method], exc.name)
        else:
            self.make_call(method)
        self.assertEqual(4, self.sim.calls.count(method))

    @ddt.data(*ONCE)
    def test_lost_reply_of_a_create_is_not_asked_for_again(self, method):
        for when in ('before', 'after'):
            self.sim.faults.clear()
            self.sim.reset_calls()
            self.sim.faults.add(method=method, drop=True, when=when)
            exc = self.assert_fails(errors.ReplyLost, self.make_call, method)
            self.assertIs(errors.Kind.LOST, exc.kind)
            self.assertEqual([method], self.sim.calls.methods)
        self.assertEqual([], self.clock.slept)

    @ddt.data(*ONCE)
    def test_lost_in_the_cluster_is_not_repeated_for_a_create(self, method):
        self.sim.faults.add(method=method, error='xRpcTimeout')
        exc = self.assert_fails(errors.ApiError, self.make_call, method)
        self.assertIs(errors.Kind.LOST, exc.kind)
        self.assertEqual([method], self.sim.calls.methods)

    @ddt.data('xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded')
    def test_busy_is_raised_at_once(self, name):
        self.sim.faults.add(method='CloneVolume', error=name, times=None)
        exc = self.assert_fails(errors.Busy, self.make_call, 'CloneVolume')
        self.assertEqual(name, exc.name)
        self.assertEqual(1, self.sim.calls.count())
        self.assertEqual([], self.clock.slept)

    @ddt.data(*sorted(CALLS))
    def test_unknown_error_is_final(self, method):
        rule = self.sim.faults.add(method=method, error='xNeverHeardOf',
                                   times=None)
        exc = self.assert_fails(errors.ApiError, self.make_call, method)
        self.assertEqual('xNeverHeardOf', exc.name)
        self.assertEqual(4 if method in self.INSISTING else 1, rule.hits)

    @ddt.data(*sorted(CALLS))
    def test_refused_access(self, method):
        rule = self.sim.faults.add(method=method, http_status=401,
                                   times=None)
        self.assert_fails(errors.AccessDenied, self.make_call, method)
        self.assertEqual(4 if method in self.INSISTING else 1, rule.hits)

    @ddt.data('DeleteVolume', 'PurgeDeletedVolume')
    def test_not_found_is_not_insisted_on(self, method):
        rule = self.sim.faults.add(
            method=method, error='xVolumeIDDoesNotExist', times=None)
        self.make_call(method)
        self.assertEqual(1, rule.hits)

    def test_errors_that_are_not_ours_are_not_repeated(self):
        transport = self.client._transport
        with mock.patch.object(transport, '_decode', autospec=True,
                               side_effect=KeyError('x')):
            self.assertRaises(KeyError, self.client.get_clones_per_volume)
        self.assertEqual(1, self.sim.calls.count())
