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

"""Values that are read from the replies of a cluster."""

import ddt
import hypothesis
from hypothesis import strategies as st

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import \
    strategies
from cinder.volume.drivers.solidfire_template_cache.element import models

ACCOUNT = {
    'accountID': 3, 'username': 'tenant', 'status': 'active',
    'volumes': [1, 2], 'initiatorSecret': 'INITIATOR-SEC',
    'targetSecret': 'TARGET-SECRE', 'attributes': {}, 'enableChap': True}

VOLUME = {'volumeID': 5, 'name': 'v', 'accountID': 3, 'status': 'active',
          'access': 'readWrite', 'totalSize': 1073741824,
          'iqn': 'iqn.2010-01.com.solidfire:sim1.v.5', 'attributes': {'a': 1},
          'qos': {'minIOPS': 50}, 'sliceCount': 1}

STARTED = {'asyncHandle': 42, 'cloneID': 37, 'volumeID': 680,
           'volume': dict(VOLUME, volumeID=5, status='init')}

JOB = {'status': 'complete', 'resultType': 'Clone',
       'result': {'cloneID': 25, 'volumeID': 47},
       'error': {'name': 'xSliceNotRegistered', 'message': 'moved'}}


RUNNING = {'type': 'clone', 'srcVolumeID': 1, 'dstVolumeID': 2, 'nodeID': 3,
           'percentComplete': 60, 'elapsedTime': 6, 'remainingTime': 5}


def without(good, key):
    return {name: value for name, value in good.items() if name != key}


@ddt.ddt
class ModelsTestCase(test.TestCase):

    def test_account(self):
        account = models.Account.read(ACCOUNT)
        self.assertEqual(
            models.Account(id=3, name='tenant', volume_count=2,
                           target_secret='TARGET-SECRE',
                           initiator_secret='INITIATOR-SEC'), account)
        self.assertEqual(
            {key: ACCOUNT[key] for key in (
                'accountID', 'username', 'targetSecret', 'initiatorSecret')},
            account.to_stock())
        for text in (repr(account), str(account), '%s' % [account]):
            self.assertIn('tenant', text)
            self.assertNotIn('SEC', text)

    def test_volume(self):
        volume = models.Volume.read(VOLUME)
        self.assertEqual(
            models.Volume(id=5, name='v', account_id=3, status='active',
                          access='readWrite', size=1073741824,
                          iqn='iqn.2010-01.com.solidfire:sim1.v.5',
                          attributes={'a': 1}, qos={'minIOPS': 50}), volume)
        self.assertEqual({'volumeID': 5, 'iqn': VOLUME['iqn']},
                         volume.to_stock())

    # Bug 1495247: null where an object is empty.
    @ddt.data((models.Account, ACCOUNT, 'volumes', 'volume_count', 0),
              (models.Volume, VOLUME, 'attributes', 'attributes', {}),
              (models.Volume, VOLUME, 'qos', 'qos', {}),
              (models.StartedClone, STARTED, 'cloneID', 'clone_id', None))
    @ddt.unpack
    def test_read_without_an_optional_member(self, model, good, member, name,
                                             expected):
        for reply in (without(good, member), dict(good, **{member: None}),
                      dict(good, **{member: 'text'})):
            self.assertEqual(expected, getattr(model.read(reply), name))

    @ddt.data(('active', True), ('init', False), ('deleted', False),
              ('creating', False), ('snapshotting', False), ('', False))
    @ddt.unpack
    def test_volume_active(self, status, active):
        volume = models.Volume.read(dict(VOLUME, status=status))
        self.assertIs(active, volume.active)

    @ddt.data(('solidfire:sim1.v.5', True), ('solidfire:sim1.v.15', False),
              ('solidfire:sim1.v.6', False), ('solidfire:sim1.5.v', False),
              ('', False))
    @ddt.unpack
    def test_volume_iqn_matches_id(self, iqn, matches):
        volume = models.Volume.read(dict(VOLUME, iqn=iqn))
        self.assertIs(matches, volume.iqn_matches_id)

    def test_started_clone_uses_the_id_beside_the_volume(self):
        started = models.StartedClone.read(STARTED)
        self.assertEqual(680, started.volume.id)
        self.assertEqual((42, 37), (started.handle, started.clone_id))
        self.assertFalse(started.volume.active)

    @ddt.data(
        ({'status': 'running', 'details': {}}, False, None),
        ({'status': 'complete', 'result': {'volumeID': 47}}, True, None),
        ({'status': 'complete', 'error': None}, True, None),
        (JOB, True, 'xSliceNotRegistered: moved'),
        ({'status': 'complete', 'error': {}}, True, 'unnamed: no message'),
        ({'status': 'complete', 'error': 'text'}, True, 'unnamed: no message'),
        ({'status': 'running', 'error': {'name': 'xA'}}, False, None),
        ({'status': 'unheard of'}, False, None))
    @ddt.unpack
    def test_job(self, reply, done, error):
        self.assertEqual(models.Job(done=done, error=error),
                         models.Job.read(reply))

    @ddt.data(
        ({}, models.RunningClone(1, 2, 3, 5.0, True)),
        ({'percentComplete': 49.9}, models.RunningClone(1, 2, 3, 5.0, False)),
        # From the part that is done, where the rest is not told.
        ({'remainingTime': 0}, models.RunningClone(1, 2, 3, 4.0, True)),
        ({'remainingTime': None}, models.RunningClone(1, 2, 3, 4.0, True)),
        ({'remainingTime': -1, 'percentComplete': 120},
         models.RunningClone(1, 2, 3, 0.0, True)),
        ({'remainingTime': 86401, 'percentComplete': 0},
         models.RunningClone(1, 2, 3, None, False)),
        ({'remainingTime': '5', 'elapsedTime': True},
         models.RunningClone(1, 2, 3, None, True)),
        ({'remainingTime': float('nan'), 'percentComplete': 'x'},
         models.RunningClone(1, 2, 3, None, True)),
        (dict.fromkeys(RUNNING), None),
        (dict.fromkeys(RUNNING, [1]), None),
        (dict.fromkeys(RUNNING, True), None))
    @ddt.unpack
    def test_running_clone(self, changes, expected):
        self.assertEqual(expected, models.RunningClone.read(
            dict(RUNNING, **changes)))
        self.assertIsNone(models.RunningClone.read({}))

    @ddt.data(({'primary': 7}, {1: 7}), ({'primary': 0}, {1: 0}),
              ({'primary': None}, {}), ({'primary': True}, {}), ({}, {}),
              (None, {}), ('text', {}))
    @ddt.unpack
    def test_read_primaries(self, hosts, expected):
        stats = {'volumeID': 1, 'metadataHosts': hosts}
        self.assertEqual(expected, models.read_primaries([stats, None]))
        if expected:
            for volume_id in (None, 0, True):
                self.assertRaises((TypeError, ValueError),
                                  models.read_primaries,
                                  [dict(stats, volumeID=volume_id)])

    @ddt.data((models.Account, ACCOUNT, 'accountID', 'username',
               'targetSecret', 'initiatorSecret'),
              (models.Volume, VOLUME, 'volumeID', 'name', 'accountID',
               'status', 'access', 'totalSize', 'iqn'),
              (models.StartedClone, STARTED, 'asyncHandle', 'volumeID',
               'volume'), (models.Job, JOB, 'status'))
    def test_read_without_a_required_member(self, case):
        model, good, *members = case
        for member in members:
            self.assertRaises(KeyError, model.read, without(good, member))
            for value in (None, 1.5, True):
                exc = self.assertRaises(TypeError, model.read,
                                        dict(good, **{member: value}))
                # A value may be a secret.
                self.assertNotIn('1.5', str(exc))

    @ddt.data((models.Account, ACCOUNT, 'username', ''),
              (models.Account, ACCOUNT, 'targetSecret', ''),
              (models.Account, ACCOUNT, 'initiatorSecret', ''),
              (models.Account, ACCOUNT, 'accountID', 0),
              (models.Volume, VOLUME, 'volumeID', -1),
              (models.Volume, VOLUME, 'volumeID', 2 ** 63),
              (models.Volume, VOLUME, 'totalSize', 0))
    @ddt.unpack
    def test_read_with_a_value_out_of_range(self, model, good, member, value):
        self.assertRaises(ValueError, model.read,
                          dict(good, **{member: value}))

    def test_read_numbers_at_their_limits(self):
        volume = models.Volume.read(
            dict(VOLUME, volumeID=1, totalSize=2 ** 63 - 1))
        self.assertEqual((1, 2 ** 63 - 1), (volume.id, volume.size))
        self.assertEqual(0, models.read_count(0))
        self.assertEqual(1, models.read_limit(1))
        for read, value in ((models.read_count, -1), (models.read_limit, 0)):
            self.assertRaises(ValueError, read, value)
            for other in (None, '1', True, 1.0):
                self.assertRaises(TypeError, read, other)

    def test_read_list(self):
        self.assertEqual([1, None], models.read_list([1, None]))
        for value in (None, {}, 'text'):
            self.assertRaises(TypeError, models.read_list, value)

    def test_is_iops(self):
        for value in (1, 50, 2 ** 31 - 1):
            self.assertTrue(models.is_iops(value))
        for value in (0, -1, 2 ** 31, True, '50', 50.0, None):
            self.assertFalse(models.is_iops(value))


class GeneratedReplyTestCase(test.TestCase):

    @strategies.settings
    @hypothesis.given(st.one_of(
        st.tuples(st.just(model), strategies.damaged(good))
        for model, good in (
            (models.Account, ACCOUNT), (models.Volume, VOLUME),
            (models.StartedClone, STARTED), (models.Job, JOB),
            (models.RunningClone, RUNNING))) |
        strategies.damaged(STARTED['volume']).map(
            lambda volume: (models.StartedClone,
                            dict(STARTED, volume=volume))) |
        st.tuples(st.sampled_from((models.Account, models.Volume)),
                  strategies.json_values))
    def test_read_returns_a_value_or_raises_a_documented_error(self, case):
        model, reply = case
        try:
            value = model.read(reply)
        except (KeyError, TypeError, ValueError):
            return
        if value is None and model is models.RunningClone:
            return
        self.assertIsInstance(value, model)
        if model is models.RunningClone:
            hash(value)
