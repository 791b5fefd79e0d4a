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

"""Tests of how clones end, and of asking about them."""

import os

import ddt

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import errors
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


@ddt.ddt
class AsyncResultTestCase(base.CloneTestCase):

    def test_get_async_result_running(self):
        reply = self.clone()
        result = self.poll(reply)
        self.assertEqual({'status', 'resultType', 'createTime',
                          'lastUpdateTime', 'details'}, set(result))
        self.assertEqual(('running', 'Clone'),
                         (result['status'], result['resultType']))
        self.clock.advance(9.99)
        self.assertEqual('running', self.poll(reply)['status'])

    def test_get_async_result_complete(self):
        reply = self.clone()
        self.clock.advance(10)
        result = self.poll(reply)
        self.assertEqual({'status', 'resultType', 'createTime',
                          'lastUpdateTime', 'result'}, set(result))
        self.assertEqual('complete', result['status'])
        self.assertEqual(
            {'cloneID': reply['cloneID'], 'message': 'Clone complete.',
             'volumeID': reply['volumeID']}, result['result'])
        self.assertLess(result['createTime'], result['lastUpdateTime'])

    def test_get_async_result_names_source(self):
        self.cluster.result_names_source = True
        reply = self.clone()
        self.clock.advance(10)
        self.assertEqual(self.source, self.poll(reply)['result']['volumeID'])

    def test_get_async_result_is_gone_once_read(self):
        reply = self.clone()
        self.clock.advance(10)
        self.poll(reply, keepResult=True)
        self.poll(reply, keepResult='true')
        self.poll(reply)
        error = self.refused('xAsyncHandleDoesNotExist', 'GetAsyncResult',
                             asyncHandle=reply['asyncHandle'])
        self.assertEqual(
            f'Async handle {reply["asyncHandle"]} does not exist.',
            error.message)

    def test_get_async_result_gone_as_older_releases_say(self):
        self.cluster.missing_handle = 'xDBNoSuchPath'
        error = self.refused('xDBNoSuchPath', 'GetAsyncResult',
                             asyncHandle=5)
        self.assertIn('/asyncresults/5', error.message)

    def test_get_async_result_failed(self):
        self.cluster.fail_next_clone('xSnapshotFailed', 'no luck')
        reply = self.clone()
        self.assertEqual('running', self.poll(reply)['status'])
        path = self.cluster.volume_path(reply['volumeID'])
        self.clock.advance(10)
        result = self.poll(reply)
        self.assertNotIn('result', result)
        self.assertEqual('complete', result['status'])
        self.assertEqual(
            {'name': 'xSnapshotFailed', 'message': 'no luck',
             'volumeID': reply['volumeID']}, result['error'])
        self.assertFalse(os.path.exists(path))
        self.assertEqual([self.source], self.listed())
        self.refused('xVolumeIDDoesNotExist', 'ModifyVolume',
                     volumeID=reply['volumeID'])
        self.clone()
        self.clock.advance(10)
        self.assertEqual(2, len(self.listed()))

    def test_call_job_error_is_for_that_call_only(self):
        error = errors.ApiError('xSnapshotFailed')
        params = {'volumeID': 99, 'name': 'c'}
        self.assertRaises(errors.ApiError, api.call, self.cluster,
                          'CloneVolume', params, job_error=error)
        reply = self.clone()
        self.clock.advance(10)
        self.assertIn('result', self.poll(reply))
        params['volumeID'] = self.source
        reply = api.call(self.cluster, 'CloneVolume', params,
                         job_error=error).result
        self.clock.advance(10)
        self.assertEqual('xSnapshotFailed',
                         self.poll(reply)['error']['name'])

    def test_clone_seconds_zero(self):
        self.cluster = self.make_cluster()
        self.source = self.make_volume()
        reply = self.clone()
        self.assertEqual('init', reply['volume']['status'])
        self.assertEqual('complete', self.poll(reply)['status'])

    def test_clone_seconds_from_size(self):
        self.cluster = self.make_cluster(
            clone_seconds=lambda size: size / base.GIB)
        self.source = self.make_volume()
        reply = self.clone(newSize=3 * base.GIB)
        self.clock.advance(2.9)
        self.assertEqual('running', self.poll(reply)['status'])
        self.clock.advance(0.1)
        self.assertEqual('complete', self.poll(reply)['status'])

    @ddt.data(0, 1, 3)
    def test_clone_polls(self, polls):
        self.cluster = self.make_cluster(clone_polls=polls, clone_seconds=9)
        self.source = self.make_volume()
        reply = self.clone()
        for _ in range(polls):
            self.assertEqual([self.source], self.listed())
            self.assertEqual('running', self.poll(reply)['status'])
        self.assertEqual([self.source, reply['volumeID']], self.listed())
        self.assertEqual('complete', self.poll(reply)['status'])

    def test_list_async_results(self):
        self.cluster.fail_next_clone('xSnapshotFailed')
        first = self.clone()
        self.clock.advance(5)
        second = self.clone()
        self.clock.advance(5)
        listed = self.call('ListAsyncResults',
                           asyncResultTypes=['Clone'])['asyncHandles']
        self.assertEqual(
            [(first['asyncHandle'], True, False),
             (second['asyncHandle'], False, False)],
            [(each['asyncResultID'], each['completed'], each['success'])
             for each in listed])
        self.assertEqual({'cloneID': second['cloneID'],
                          'volumeID': second['volumeID']},
                         listed[1]['data'])
        self.clock.advance(5)
        self.assertTrue(self.call('ListAsyncResults')['asyncHandles'][1][
            'success'])
        self.assertEqual([], self.call(
            'ListAsyncResults',
            asyncResultTypes=['BulkVolume'])['asyncHandles'])

    def test_list_sync_jobs(self):
        reply = self.clone()
        self.clock.advance(4)
        job, = self.call('ListSyncJobs')['syncJobs']
        expected = {'type': 'clone', 'cloneID': reply['cloneID'],
                    'srcVolumeID': self.source,
                    'dstVolumeID': reply['volumeID'], 'snapshotID': 0,
                    'totalBytes': base.GIB}
        self.assertEqual(expected, {key: job[key] for key in expected})
        self.assertAlmostEqual(40.0, job['percentComplete'])
        self.assertAlmostEqual(4.0, job['elapsedTime'])
        self.assertAlmostEqual(6.0, job['remainingTime'])
        self.assertIsInstance(job['currentBytes'], int)
        self.clock.advance(6)
        self.assertEqual([], self.call('ListSyncJobs')['syncJobs'])

    def test_list_sync_jobs_at_once(self):
        self.clone()
        job, = self.call('ListSyncJobs')['syncJobs']
        self.assertEqual((0.0, 0.0), (job['percentComplete'],
                                      job['bytesPerSecond']))


class CloneEndTestCase(base.CloneTestCase):

    def test_cancel_clone(self):
        reply = self.clone()
        self.assertEqual({}, self.call('CancelClone',
                                       cloneID=reply['cloneID']))
        self.clock.advance(10)
        self.assertEqual([self.source], self.listed())
        self.assertNotIn(reply['volumeID'], self.cluster.volumes)
        self.assertIn('error', self.poll(reply))

    def test_cancel_clone_frees_the_slot(self):
        reply = self.clone()
        self.clone()
        self.call('CancelClone', cloneID=reply['cloneID'])
        self.clone()

    def test_cancel_clone_not_running(self):
        reply = self.clone()
        self.clock.advance(10)
        self.refused('xInvalidParameter', 'CancelClone',
                     cloneID=reply['cloneID'])
        self.assertEqual(2, len(self.listed()))

    def test_delete_volume_fails_its_clones(self):
        reply = self.clone()
        other = self.make_volume()
        safe = self.clone(volume_id=other)
        self.call('DeleteVolume', volumeID=self.source)
        self.assertEqual('xVolumeIDDoesNotExist',
                         self.poll(reply)['error']['name'])
        self.assertNotIn(reply['volumeID'], self.cluster.volumes)
        self.clock.advance(10)
        self.assertIn('result', self.poll(safe))

    def test_delete_volume_of_a_clone_under_way(self):
        reply = self.clone()
        deleted = self.call('DeleteVolume', volumeID=reply['volumeID'])
        self.assertEqual('deleted', deleted['volume']['status'])
        self.clock.advance(10)
        self.assertEqual([self.source], self.listed())
        self.assertIn('error', self.poll(reply))
        self.refused('xVolumeIDDoesNotExist', 'PurgeDeletedVolume',
                     volumeID=reply['volumeID'])

    def test_delete_volume_after_its_clones(self):
        reply = self.clone()
        self.clock.advance(10)
        self.call('DeleteVolume', volumeID=self.source)
        self.assertIn('result', self.poll(reply))
        self.assertIn(reply['volumeID'], self.cluster.volumes)
