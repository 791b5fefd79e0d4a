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

"""Reading values from the cluster's replies."""

import ddt
import hypothesis
from hypothesis import strategies as st

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import inputs
from cinder.volume.drivers.solidfire_template_cache import wire

ACCOUNT = {
    'accountID': 3, 'username': 'tenant', 'status': 'active',
    'volumes': [1, 2], 'initiatorSecret': 'INITIATOR-SEC',
    'targetSecret': 'TARGET-SECRE', 'attributes': {}, 'enableChap': True}

VOLUME = {
    'volumeID': 5, 'name': 'v', 'accountID': 3, 'status': 'active',
    'access': 'readWrite', 'totalSize': 1073741824,
    'iqn': 'iqn.2010-01.com.solidfire:sim1.v.5',
    'attributes': {'a': 1}, 'qos': {'minIOPS': 50}, 'sliceCount': 1}

STARTED = {'asyncHandle': 42, 'cloneID': 37, 'volumeID': 680,
           'volume': dict(VOLUME, volumeID=5, status='init')}

JOB = {'status': 'complete', 'resultType': 'Clone',
       'result': {'cloneID': 25, 'volumeID': 47},
       'error': {'name': 'xSliceNotRegistered', 'message': 'moved'}}

DOCUMENTED = (KeyError, TypeError, ValueError)


def changed(good, **members):
    return dict(good, **members)


def without(good, key):
    return {name: value for name, value in good.items() if name != key}


@ddt.ddt
class AccountTestCase(test.TestCase):

    def test_read(self):
        account = wire.Account.read(ACCOUNT)
        self.assertEqual(
            wire.Account(id=3, name='tenant', volume_count=2,
                         target_secret='TARGET-SECRE',
                         initiator_secret='INITIATOR-SEC'), account)

    def test_read_without_volumes(self):
        for reply in (without(ACCOUNT, 'volumes'),
                      changed(ACCOUNT, volumes=None),
                      changed(ACCOUNT, volumes=7)):
            self.assertEqual(0, wire.Account.read(reply).volume_count)

    def test_as_stock(self):
        self.assertEqual(
            {key: ACCOUNT[key] for key in (
                'accountID', 'username', 'targetSecret', 'initiatorSecret')},
            wire.Account.read(ACCOUNT).as_stock())

    def test_print_shows_no_secret(self):
        account = wire.Account.read(ACCOUNT)
        for text in (repr(account), str(account), '%s' % [account]):
            self.assertIn('tenant', text)
            self.assertNotIn('SEC', text)

    @ddt.data('accountID', 'username', 'targetSecret', 'initiatorSecret')
    def test_read_without_a_needed_member(self, member):
        self.assertRaises(KeyError, wire.Account.read,
                          without(ACCOUNT, member))
        for value in (None, [], {}, 1.5, True):
            self.assertRaises(TypeError, wire.Account.read,
                              changed(ACCOUNT, **{member: value}))


@ddt.ddt
class VolumeTestCase(test.TestCase):

    def test_read(self):
        self.assertEqual(
            wire.Volume(id=5, name='v', account_id=3, status='active',
                        access='readWrite', size=1073741824,
                        iqn='iqn.2010-01.com.solidfire:sim1.v.5',
                        attributes={'a': 1}, qos={'minIOPS': 50}),
            wire.Volume.read(VOLUME))

    @ddt.data('attributes', 'qos')
    def test_read_with_null_object(self, member):
        for reply in (without(VOLUME, member),
                      changed(VOLUME, **{member: None}),
                      changed(VOLUME, **{member: 'text'})):
            self.assertEqual({}, getattr(wire.Volume.read(reply), member))

    @ddt.data('volumeID', 'name', 'accountID', 'status', 'access',
              'totalSize', 'iqn')
    def test_read_without_a_needed_member(self, member):
        self.assertRaises(KeyError, wire.Volume.read, without(VOLUME, member))
        for value in (None, [], {}, 1.5, True):
            self.assertRaises(TypeError, wire.Volume.read,
                              changed(VOLUME, **{member: value}))

    def test_active(self):
        for status in ('init', 'deleted', 'creating', 'snapshotting', ''):
            volume = wire.Volume.read(changed(VOLUME, status=status))
            self.assertFalse(volume.active)
        self.assertTrue(wire.Volume.read(VOLUME).active)

    def test_as_stock(self):
        self.assertEqual({'volumeID': 5, 'iqn': VOLUME['iqn']},
                         wire.Volume.read(VOLUME).as_stock())


@ddt.ddt
class StartedCloneTestCase(test.TestCase):

    def test_read_trusts_the_id_beside_the_volume(self):
        started = wire.StartedClone.read(STARTED)
        self.assertEqual(680, started.volume.id)
        self.assertEqual((42, 37), (started.handle, started.clone_id))
        self.assertFalse(started.volume.active)

    @ddt.data(None, 'text', [], 1.5)
    def test_read_without_clone_id(self, value):
        for reply in (without(STARTED, 'cloneID'),
                      changed(STARTED, cloneID=value)):
            self.assertIsNone(wire.StartedClone.read(reply).clone_id)

    @ddt.data('asyncHandle', 'volumeID', 'volume')
    def test_read_without_a_needed_member(self, member):
        self.assertRaises(KeyError, wire.StartedClone.read,
                          without(STARTED, member))
        self.assertRaises(TypeError, wire.StartedClone.read,
                          changed(STARTED, **{member: None}))


@ddt.ddt
class JobTestCase(test.TestCase):

    @ddt.data(
        ({'status': 'running', 'details': {}}, False, None),
        ({'status': 'complete', 'result': {'volumeID': 47}}, True, None),
        ({'status': 'complete', 'error': None}, True, None),
        (JOB, True, 'xSliceNotRegistered: moved'),
        ({'status': 'complete', 'error': {}}, True, 'unnamed: no message'),
        ({'status': 'complete', 'error': 'text'}, True,
         'unnamed: no message'),
        ({'status': 'running', 'error': {'name': 'xA'}}, False, None),
        ({'status': 'unheard of'}, False, None))
    @ddt.unpack
    def test_read(self, reply, done, error):
        self.assertEqual(wire.Job(done=done, error=error),
                         wire.Job.read(reply))

    def test_read_without_status(self):
        self.assertRaises(KeyError, wire.Job.read, {})
        self.assertRaises(TypeError, wire.Job.read, {'status': None})


class AnythingTestCase(test.TestCase):
    """``read`` raises what its module says, whatever the cluster sends."""

    def _read(self, kind, reply):
        try:
            value = kind.read(reply)
        except DOCUMENTED:
            return
        self.assertIsInstance(value, kind)

    @inputs.settings
    @hypothesis.given(inputs.damaged(ACCOUNT) | inputs.json_values)
    def test_read_account(self, reply):
        self._read(wire.Account, reply)

    @inputs.settings
    @hypothesis.given(inputs.damaged(VOLUME) | inputs.json_values)
    def test_read_volume(self, reply):
        self._read(wire.Volume, reply)

    # The client hands over results, which it knows to be objects.
    @inputs.settings
    @hypothesis.given(st.one_of(
        inputs.damaged(STARTED),
        inputs.damaged(STARTED['volume']).map(
            lambda volume: dict(STARTED, volume=volume))))
    def test_read_started_clone(self, reply):
        self._read(wire.StartedClone, reply)

    @inputs.settings
    @hypothesis.given(inputs.damaged(JOB))
    def test_read_job(self, reply):
        self._read(wire.Job, reply)
