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

"""What the client sends for each of its methods, and what it returns."""

import logging as std_logging
from unittest import mock

import ddt
from oslo_utils import units

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.element import retry
from cinder.volume.drivers.solidfire_template_cache.element import transport

ACCOUNT = {'accountID': 3, 'username': 'tenant', 'volumes': [1],
           'targetSecret': 'CHAPSECRET12', 'initiatorSecret': 'CHAPSECRET12'}
VOLUME = {'volumeID': 5, 'name': 'v', 'accountID': 3, 'status': 'active',
          'access': 'readWrite', 'totalSize': units.Gi,
          'iqn': 'iqn.2010-01.com.solidfire:sim1.v.5',
          'attributes': {'a': [1]}, 'qos': {}}
STARTED = {'asyncHandle': 42, 'cloneID': 37, 'volumeID': 5, 'volume': VOLUME}
MODEL = models.Volume.read(VOLUME)
CLONE = {'volumeID': 1, 'name': 'c', 'newAccountID': 3, 'enable512e': True,
         'access': 'readWrite', 'attributes': {'b': 2}}
JOBS = {'syncJobs': [
    {'type': 'clone', 'srcVolumeID': 1, 'dstVolumeID': 2}, None, 'x', {},
    {'type': 'slice', 'srcVolumeID': 1, 'dstVolumeID': 3},
    {'type': 'clone', 'srcVolumeID': 4, 'dstVolumeID': 5, 'nodeID': 6,
     'percentComplete': 25, 'remainingTime': 3}]}
SPACE = {'clusterCapacity': {'usedSpace': 5, 'maxUsedSpace': 9}}

# Function and arguments; the call that it makes: method, version of the API,
# parameters; the result that it gets, and what it returns.
CALLS = (
    (('get_account', 'tenant'),
     ('GetAccountByName', '1.0', {'username': 'tenant'}),
     {'account': ACCOUNT}, models.Account.read(ACCOUNT)),
    (('add_account', 'tenant', 'CHAPSECRET12'),
     ('AddAccount', '1.0', {
         'username': 'tenant', 'initiatorSecret': 'CHAPSECRET12',
         'targetSecret': 'CHAPSECRET12', 'attributes': {}}),
     {'accountID': 3}, None),
    (('create_volume', 'v', 3, units.Gi, False, {'a': [1]}),
     ('CreateVolume', '1.0', {
         'name': 'v', 'accountID': 3, 'totalSize': units.Gi,
         'enable512e': False, 'attributes': {'a': [1]}}),
     {'volume': VOLUME}, MODEL),
    (('list_volumes', 'v'),
     ('ListVolumes', '8.0', {'volumeName': 'v',
                             'includeVirtualVolumes': False}),
     {'volumes': [VOLUME]}, [MODEL]),
    (('list_volumes', 'v', 3),
     ('ListVolumes', '8.0', {'volumeName': 'v', 'accounts': [3],
                             'includeVirtualVolumes': False}),
     {'volumes': [VOLUME]}, [MODEL]),
    (('list_account_volumes', 3),
     ('ListVolumes', '8.0', {'accounts': [3],
                             'includeVirtualVolumes': False}),
     {'volumes': [VOLUME]}, [MODEL]),
    (('list_volumes_after', 4, {7, 3}),
     ('ListVolumes', '8.0', {'accounts': [3, 7], 'startVolumeID': 5,
                             'includeVirtualVolumes': False}),
     {'volumes': [VOLUME]}, [MODEL]),
    (('find_volume', 5),
     ('ListVolumes', '8.0', {'volumeIDs': [5]}),
     {'volumes': [VOLUME]}, MODEL),
    (('next_active_volume', 4),
     ('ListVolumes', '8.0', {'startVolumeID': 4, 'limit': 1,
                             'volumeStatus': 'active'}),
     {'volumes': [VOLUME]}, MODEL),
    (('modify_volume', 5), ('ModifyVolume', '1.0', {'volumeID': 5}),
     {'volume': VOLUME}, MODEL),
    (('clone_volume', 1, 'c', 3, True, {'b': 2}),
     ('CloneVolume', '6.0', CLONE),
     STARTED, models.StartedClone.read(STARTED)),
    (('clone_volume', 1, 'c', 3, True, {'b': 2}, units.Gi),
     ('CloneVolume', '6.0', dict(CLONE, newSize=units.Gi)),
     STARTED, models.StartedClone.read(STARTED)),
    (('clone_volume', 1, 'c', 3, True, {'b': 2}, None, 'readOnly'),
     ('CloneVolume', '6.0', dict(CLONE, access='readOnly')),
     STARTED, models.StartedClone.read(STARTED)),
    (('get_job', 42), ('GetAsyncResult', '1.0', {'asyncHandle': 42}),
     {'status': 'complete'}, models.Job(done=True, error=None)),
    (('cancel_clone', 37), ('CancelClone', '9.0', {'cloneID': 37}), {}, None),
    (('list_running_clones', 1, 9), ('ListSyncJobs', '1.0', {}), JOBS, {2}),
    (('list_running_clones',), ('ListSyncJobs', '1.0', {}), JOBS, {2, 5}),
    (('list_clone_sources',), ('ListSyncJobs', '1.0', {}), JOBS, {1, 4}),
    (('list_clones',), ('ListSyncJobs', '1.0', {}), JOBS,
     [models.RunningClone(1, 2), models.RunningClone(4, 5, 6, 3.0, False)]),
    (('list_volume_nodes', {9, 5}),
     ('ListVolumeStats', '7.0', {'volumeIDs': [5, 9]}),
     {'volumeStats': [{'volumeID': 5, 'metadataHosts': {'primary': 2}},
                      {'volumeID': 9, 'metadataHosts': None}]}, {5: 2}),
    (('get_clone_limits',), ('GetLimits', '1.0', {}),
     {'cloneJobsPerVolumeMax': 2, 'cloneJobsPerNodeMax': 8}, (2, 8)),
    (('get_clone_limits',), ('GetLimits', '1.0', {}),
     {'cloneJobsPerVolumeMax': 2, 'cloneJobsPerNodeMax': None}, (2, None)),
    (('count_nodes',), ('GetClusterVersionInfo', '1.0', {}),
     {'clusterVersionInfo': [{'nodeID': 1}, {'nodeID': 2}]}, 2),
    # Without what the cluster works out itself, and what is no number.
    (('get_default_qos',), ('GetDefaultQoS', '1.0', {}),
     {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': '9', 'burstTime': 60},
     {'minIOPS': 50, 'maxIOPS': 15000}),
    (('get_block_space',), ('GetClusterCapacity', '1.0', {}), SPACE, (5, 9)),
)

# Functions and results that lack something: KeyError, TypeError, ValueError.
BAD_RESULTS = [(function, {}) for function, _sent, result, expected in CALLS
               if expected is not None and function[0] != 'get_default_qos']
BAD_RESULTS += [
    (('list_volumes', 'v'), {'volumes': [None]}),
    (('clone_volume', 1, 'c', 3, True, {}), {'volumeID': 1, 'volume': None}),
    (('list_volume_nodes', [5]), {'volumeStats': [
        {'metadataHosts': {'primary': 2}}]}),
    (('count_nodes',), {'clusterVersionInfo': {}}),
    (('get_clone_limits',), {'cloneJobsPerVolumeMax': 0}),
    (('get_clone_limits',), {'cloneJobsPerVolumeMax': 2,
                             'cloneJobsPerNodeMax': 0})]


def api_error(name, method='M'):
    return errors.from_reply(method, {'name': name}, str)


@ddt.ddt
class ElementClientTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.transport = mock.create_autospec(transport.Transport,
                                              instance=True)
        new = self.mock_object(transport, 'Transport', autospec=True,
                               return_value=self.transport)
        self.clock = fixtures.ManualClock()
        self.client = client.ElementClient(mock.sentinel.endpoint, self.clock)
        new.assert_called_once_with(mock.sentinel.endpoint, self.clock)

    def answer(self, *results):
        self.transport.call.side_effect = results

    def run_call(self, name, *args):
        return getattr(self.client, name)(*args)

    def sent(self):
        """Return method and parameters of the calls."""
        return [(call.args[0], call.args[2])
                for call in self.transport.call.mock_calls]

    @ddt.data(*CALLS)
    @ddt.unpack
    def test_call(self, function, sent, result, expected):
        # Exact parameters: bugs 1454425 and 1486744.
        self.answer(result)
        self.assertEqual(expected, self.run_call(*function))
        self.assertEqual([mock.call(*sent)], self.transport.call.mock_calls)

    def test_modify_volume_sends_only_the_changes(self):
        self.answer({'volume': VOLUME})
        self.client.modify_volume(5, access='readOnly', qos={},
                                  attributes={'a': 1})
        self.assertEqual([('ModifyVolume', {
            'volumeID': 5, 'access': 'readOnly', 'qos': {},
            'attributes': {'a': 1}})], self.sent())

    def test_every_api_method_is_tested_and_known_to_retry(self):
        self.assertEqual(
            {sent[0] for _function, sent, *_rest in CALLS} |
            {'DeleteVolume', 'PurgeDeletedVolume'}, set(client._VERSIONS))
        self.assertLess(retry._NOT_REPEATABLE | retry._CLEANUP,
                        set(client._VERSIONS))

    @ddt.data(*BAD_RESULTS)
    @ddt.unpack
    def test_result_without_what_is_needed(self, function, result):
        self.answer(*[result] * 4)
        exc = self.assertRaises(errors.UnexpectedReply, self.run_call,
                                *function)
        self.assertEqual(('BadReply', self.sent()[0][0]),
                         (exc.name, exc.method))

    @ddt.data(
        (('get_account', 'a'), 'xUnknownAccount', True),
        # Commit 7c6e41833: only an unknown name may lead to a new account.
        (('get_account', 'a'), 'xAccountIDDoesNotExist', False),
        (('get_account', 'a'), 'xUnknownUsername', False),
        (('find_volume', 5), 'xVolumeIDDoesNotExist', True),
        (('find_volume', 5), 'xVolumeDoesNotExist', True),
        (('find_volume', 5), 'xUnknownAccount', False),
        (('remove_volume', 5), 'xUnknownAccount', False),
        (('remove_volume', 5), 'xAssertionFailure', False))
    @ddt.unpack
    def test_error_that_means_absence(self, function, name, absent):
        self.transport.call.side_effect = api_error(name)
        if absent:
            self.assertIsNone(self.run_call(*function))
        else:
            exc = self.assertRaises(errors.ApiError, self.run_call, *function)
            self.assertEqual(name, exc.name)

    @ddt.data((('find_volume', 5), [], None),
              (('find_volume', 5), [dict(VOLUME, status='deleted')], None),
              (('find_volume', 4), [VOLUME], None),
              (('next_active_volume', 5), [], None),
              (('list_volumes', 'w'), [VOLUME], []),
              # Bug 1668772: deleted ones keep their name.
              (('list_volumes', 'v'), [VOLUME, dict(VOLUME, status='deleted')],
               [MODEL, models.Volume.read(dict(VOLUME, status='deleted'))]),
              (('list_volumes', 'v', 4), [VOLUME], []),
              (('list_account_volumes', 4), [VOLUME], []))
    @ddt.unpack
    def test_volumes_that_were_not_asked_for_are_left_out(
            self, function, volumes, expected):
        # A cluster that does not know a filter ignores it.
        self.answer({'volumes': volumes})
        self.assertEqual(expected, self.run_call(*function))

    @ddt.data({}, api_error('xVolumeIDDoesNotExist'),
              api_error('xVolumeDoesNotExist'))
    def test_remove_volume(self, outcome):
        # Bug 1494830: by its id. A volume that is gone is no error.
        self.answer(outcome, outcome)
        self.client.remove_volume(5)
        self.assertEqual([('DeleteVolume', {'volumeID': 5}),
                          ('PurgeDeletedVolume', {'volumeID': 5})],
                         self.sent())

    @ddt.data('DeleteVolume', 'PurgeDeletedVolume')
    def test_remove_volume_retries_while_the_cluster_is_busy(self, method):
        # Otherwise a volume is left that still holds its name.
        def respond(called, version, params):
            busy = called == method and len(self.clock.slept) < 3
            if busy:
                raise api_error('xMaxClonesPerNodeExceeded', method)
            return {}

        self.transport.call.side_effect = respond
        self.client.remove_volume(5)
        self.assertEqual(4, [name for name, _params in
                             self.sent()].count(method))

    def test_remove_volumes_named(self):
        log = self.useFixture(fixtures.LogCapture())
        self.answer({'volumes': [VOLUME, dict(VOLUME, volumeID=6,
                                              status='deleted')]},
                    {}, {}, {}, {})
        self.client.remove_volumes_named('v')
        self.assertEqual([('DeleteVolume', {'volumeID': 5}),
                          ('PurgeDeletedVolume', {'volumeID': 5}),
                          ('DeleteVolume', {'volumeID': 6}),
                          ('PurgeDeletedVolume', {'volumeID': 6})],
                         self.sent()[1:])
        self.assertEqual(2, len(log.at(std_logging.INFO)))

    @ddt.data({}, {'usedSpace': 5}, {'usedSpace': None, 'maxUsedSpace': 9},
              {'usedSpace': -1, 'maxUsedSpace': 9}, None)
    def test_get_block_space_that_is_not_given(self, capacity):
        self.answer({'clusterCapacity': capacity})
        self.assertEqual((None, None), self.client.get_block_space())

    def test_close(self):
        self.client.close()
        self.transport.close.assert_called_once_with()
