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

"""Tests of clones: properties, data, slots, progress and results."""

import os

from cinder.tests.element_simulator import api
from cinder.tests.element_simulator import errors
from cinder.tests.unit.volume.drivers.solidfire_template_cache \
    .element_simulator import base


class CloneVolumeTestCase(base.CloneTestCase):

    def test_clone_volume_reply(self):
        self.call('ModifyVolume', volumeID=self.source, access='readOnly')
        self.call('CreateVolumeAccessGroup', name='g', volumes=[self.source])
        reply = self.clone('My-Clone')
        self.assertEqual({'asyncHandle', 'cloneID', 'volumeID', 'volume',
                          'curve'}, set(reply))
        number = reply['volumeID']
        # What is not given is that of the source, access groups are not.
        self.assert_contains(
            {'status': 'init', 'sliceCount': 0, 'volumeID': number,
             'iqn': f'iqn.2010-01.com.solidfire:sim1.my-clone.{number}',
             'accountID': 1, 'totalSize': base.GIB, 'access': 'readOnly',
             'enable512e': False, 'attributes': {'a': 1},
             'qos': {'minIOPS': 123}, 'volumeAccessGroups': []},
            reply['volume'])

    def test_clone_volume_with_parameters(self):
        given = {'access': 'readWrite', 'attributes': {'b': 2},
                 'enable512e': True}
        other = self.make_account('other')
        for source_access in 'readOnly', 'locked':
            self.call('ModifyVolume', volumeID=self.source,
                      access=source_access)
            volume = self.clone(newAccountID=other, newSize=2 * base.GIB,
                                snapshotID=0, **given)['volume']
            self.assert_contains({'accountID': other, **given,
                                  'totalSize': 2 * base.GIB}, volume)
        self.clock.advance(10)
        self.assertEqual({}, self.clone(attributes={})['volume'][
            'attributes'])

    def test_clone_volume_refused(self):
        for error, params in (
                ('xVolumeIDDoesNotExist', {'volumeID': 99}),
                ('xAccountIDDoesNotExist', {'newAccountID': 99}),
                ('xSnapshotIDDoesNotExist', {'snapshotID': 99}),
                ('xInvalidAPIParameter', {'name': 'a_b'}),
                ('xInvalidParameter', {'newSize': 5}),
                ('xInvalidParameter', {'attributes': {'k': 'x' * 1000}})):
            self.assert_clone_refused(error, **params)
        self.assertEqual([self.source], list(self.cluster.volumes))
        self.assertEqual([], self.cluster.jobs.running())
        clone_id = self.clone()['volumeID']
        error = self.assert_clone_refused('xInvalidParameter',
                                          volumeID=clone_id)
        self.assertIn('not in the active state', error.message)
        self.clock.advance(10)
        self.clone(volume_id=clone_id)

    def test_clone_volume_listed_when_done(self):
        clones = [self.clone('c')['volumeID'] for _ in range(2)]
        lists = (('ListVolumes', {'volumeIDs': clones}, clones),
                 ('ListVolumes', {'volumeName': 'c'}, clones),
                 ('ListVolumes', {'startVolumeID': clones[1]}, clones[1:]),
                 ('ListVolumes', {}, [self.source, *clones]),
                 ('ListActiveVolumes', {}, [self.source, *clones]),
                 ('ListVolumesForAccount', {'accountID': 1},
                  [self.source, *clones]),
                 ('ListDeletedVolumes', {}, []))
        for method, params, volumes in lists:
            self.assertEqual([each for each in volumes if each not in clones],
                             self.listed(method, **params))
        # A running clone can be modified.
        changes = {'totalSize': 2 * base.GIB, 'attributes': {'n': 1},
                   'qos': {'minIOPS': 200}}
        self.call('ModifyVolume', volumeID=clones[1], **changes)
        self.clock.advance(10)
        for method, params, volumes in lists:
            self.assertEqual(volumes, self.listed(method, **params))
        done = {'status': 'active', 'sliceCount': 1}
        self.assert_calls(('ListVolumes', {}, {'volumes': [
            {'attributes': {'a': 1}}, done, {**done, **changes}]}))

    def test_clone_volume_data(self):
        self.write(self.source, 0, b'before')
        self.write(self.source, base.GIB - 3, b'end')
        clone_id = self.clone()['volumeID']
        self.write(self.source, 0, b'later!')
        self.clock.advance(10)
        self.assertEqual(b'before', self.read(clone_id, 0, 6))
        self.assertEqual(b'end', self.read(clone_id, base.GIB - 3, 3))
        self.assertLess(self.disk_bytes(clone_id), base.MIB)
        self.write(clone_id, 0, b'mine')
        self.assertEqual(b'later!', self.read(self.source, 0, 6))
        clone_id = self.clone(newSize=base.GIB + 1)['volumeID']
        self.assertEqual(base.GIB + base.MIB, self.file_size(clone_id))
        self.assertEqual(b'end\0\0', self.read(clone_id, base.GIB - 3, 5))
        self.clock.advance(10)
        smaller = self.clone(volume_id=clone_id, newSize=base.GIB)['volumeID']
        self.assertEqual(base.GIB, self.file_size(smaller))
        self.assertEqual(b'end', self.read(smaller, base.GIB - 3, 5))


class CloneLimitsTestCase(base.CloneTestCase):

    def test_clone_volume_account_full_and_snapshot_limit(self):
        # Targets of running clones and deleted volumes count, too.
        self.cluster.limits['volumesPerAccountCountMax'] = 3
        self.clone()
        deleted = self.make_volume()
        self.call('DeleteVolume', volumeID=deleted)
        self.assert_clone_refused('xExceededLimit')
        self.clone(newAccountID=self.make_account('other'))
        self.call('PurgeDeletedVolume', volumeID=deleted)
        self.clock.advance(10)
        self.cluster.limits['snapshotsPerVolumeMax'] = 1
        snapshot_id = self.call('CreateSnapshot',
                                volumeID=self.source)['snapshotID']
        self.assert_clone_refused('xMaxSnapshotsPerVolumeExceeded')
        self.clone(snapshotID=snapshot_id)

    def test_clone_volume_slots_of_volume(self):
        snapshot_id = self.call('CreateSnapshot',
                                volumeID=self.source)['snapshotID']
        self.clone()
        for params in {}, {'snapshotID': snapshot_id}:
            self.clock.advance(5)
            self.clone(**params)
            self.assert_clone_refused('xMaxClonesPerVolumeExceeded', **params)
        self.clock.advance(10)
        self.cluster.limits['cloneJobsPerVolumeMax'] = 1
        self.clone()
        self.assert_clone_refused('xMaxClonesPerVolumeExceeded')

    def test_clone_volume_slots_of_node(self):
        # A limit applies even if it is not reported.
        self.cluster.limits['cloneJobsPerNodeMax'] = None
        self.assertNotIn('cloneJobsPerNodeMax', self.call('GetLimits'))
        sources = [self.make_volume() for _ in range(5)]
        for source in sources[:4]:
            self.clone(volume_id=source)
            self.clone(volume_id=source)
        self.assert_clone_refused('xMaxClonesPerNodeExceeded',
                                  volumeID=sources[4])
        self.clock.advance(10)
        self.cluster.limits['cloneJobsPerNodeMax'] = 1
        self.cluster.nodes = 2
        for source in sources[3:]:
            self.clone(volume_id=source)
            self.assert_clone_refused('xMaxClonesPerNodeExceeded',
                                      volumeID=source)


class CloneQueueTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.cluster = self.make_cluster(clone_seconds=10, nodes=2,
                                         clone_limit_behavior='queue')
        # Volumes 1 and 3 are on node 2, volume 2 is on node 1.
        self.first, self.other_node, self.second = [
            self.make_volume() for _ in range(3)]
        self.clones = []

    def clone_at(self, seconds, *sources):
        self.clock.advance(seconds - self.clock.monotonic())
        self.clones += [self.clone(volume_id=source) for source in sources]

    def states(self, seconds):
        """Return one letter for each clone: waiting, running or done."""
        self.clock.advance(seconds - self.clock.monotonic())
        jobs = {job['cloneID']: job
                for job in self.call('ListSyncJobs')['syncJobs']}
        for clone in self.clones:
            status = self.poll(clone, keepResult=True)['status']
            self.assertEqual(clone['cloneID'] in jobs, status == 'running')
        self.cluster.advance()
        waiting = {job.clone_id for job in self.cluster.jobs.running()
                   if job.waiting}
        return ''.join('w' if clone['cloneID'] in waiting else
                       'r' if clone['cloneID'] in jobs else 'd'
                       for clone in self.clones)

    def test_queue_of_volume(self):
        self.clone_at(0, *[self.first] * 5, self.other_node)
        self.assertEqual('rrwwwr', self.states(1))
        self.assert_calls(('ListSyncJobs', {}, {'syncJobs': [
            {'percentComplete': 10.0}, {'percentComplete': 10.0},
            *[{'percentComplete': 0.0, 'elapsedTime': 0.0,
               'remainingTime': 0.0}] * 3, {'percentComplete': 10.0}]}))
        # One that waits does not get in the way of another volume.
        self.clone_at(5, self.first, self.second)
        self.assertEqual('rrwwwrwr', self.states(9.9))
        self.assertEqual('ddrrwdwr', self.states(10))
        # Nobody asked at 20: the next ones run since then nevertheless.
        self.assertEqual('ddddrdrd', self.states(29.9))
        self.assertEqual('dddddddd', self.states(30))
        self.assertEqual(11, len(self.listed()))

    def test_queue_of_node(self):
        self.cluster.limits['cloneJobsPerNodeMax'] = 3
        self.clone_at(0, *[self.first] * 2, *[self.second] * 2,
                      self.other_node)
        self.assertEqual('rrrwr', self.states(1))
        # A new limit applies to those that wait.
        self.cluster.limits['cloneJobsPerNodeMax'] = 4
        self.assertEqual('rrrrr', self.states(2))
        self.assertEqual('dddrd', self.states(10))
        self.assertEqual('ddddd', self.states(12))

    def test_queue_cancelled(self):
        self.clone_at(0, *[self.first] * 4)
        for clone in self.clones[2], self.clones[0]:
            self.call('CancelClone', cloneID=clone['cloneID'])
        # The last one runs since then, not only since the next call.
        self.assertEqual('dddd', self.states(10))
        self.clone_at(11, *[self.first] * 3)
        self.call('DeleteVolume', volumeID=self.first)
        self.assertEqual('d' * 7, self.states(12))
        self.assertEqual([], self.cluster.jobs.running())

    def test_queue_with_polls_and_without_duration(self):
        self.cluster.jobs.polls = 2
        self.clone_at(0, *[self.first] * 3)
        first, second, third = self.clones
        for clone, status in ((third, 'running'), (third, 'running'),
                              (first, 'running'), (first, 'running'),
                              (first, 'complete'), (third, 'running'),
                              (third, 'running'), (third, 'complete'),
                              (second, 'running')):
            self.assertEqual(status, self.poll(clone)['status'])
        self.clones = []
        self.cluster.jobs.polls = None
        self.cluster.jobs.seconds = 0
        self.clone_at(1, *[self.second] * 9)
        self.assertEqual('d' * 9, self.states(1))

    def test_queue_cleared(self):
        self.clone_at(0, *[self.first] * 3)
        self.cluster.jobs.by_handle.clear()
        self.assertEqual([], self.cluster.jobs.running())
        self.clones = []
        self.clone_at(0, *[self.first] * 3)
        self.assertEqual('rrw', self.states(0))

    def test_unknown_manner(self):
        self.assertRaises(ValueError, self.make_cluster,
                          clone_limit_behavior='wait')


class CloneResultTestCase(base.CloneTestCase):

    def clone_failing(self, **params):
        return api.call(
            self.cluster, 'CloneVolume',
            {'volumeID': self.source, 'name': 'c', **params},
            job_error=errors.ApiError('xSnapshotFailed', 'no luck')).result

    def assert_gone(self, reply, error_name):
        self.assertNotIn(reply['volumeID'], self.cluster.volumes)
        self.clock.advance(10)
        self.assertNotIn(reply['volumeID'], self.listed())
        self.assert_contains({'name': error_name}, self.poll(reply)['error'])

    def test_get_async_result(self):
        reply = self.clone()
        common = {'status', 'resultType', 'createTime', 'lastUpdateTime'}
        self.clock.advance(9.99)
        result = self.poll(reply)
        self.assertEqual({*common, 'details'}, set(result))
        self.assert_contains({'status': 'running', 'resultType': 'Clone'},
                             result)
        self.clock.advance(0.01)
        done = {'cloneID': reply['cloneID'], 'message': 'Clone complete.',
                'volumeID': reply['volumeID']}
        for params in {'keepResult': True}, {'keepResult': 'true'}, {}:
            result = self.poll(reply, **params)
            self.assertEqual({*common, 'result'}, set(result))
            self.assert_contains({'status': 'complete', 'result': done},
                                 result)
        self.assertLess(result['createTime'], result['lastUpdateTime'])
        handle = reply['asyncHandle']
        for name, message in (
                ('xAsyncHandleDoesNotExist',
                 f'Async handle {handle} does not exist.'),
                ('xDBNoSuchPath', f'No such path /asyncresults/{handle}')):
            self.cluster.missing_handle = name
            error = self.assert_refused(name, 'GetAsyncResult',
                                        asyncHandle=handle)
            self.assertEqual(message, error.message)
        self.cluster.result_names_source = True
        reply = self.clone()
        self.clock.advance(10)
        self.assertEqual(self.source, self.poll(reply)['result']['volumeID'])

    def test_get_async_result_failed(self):
        # The error is for one call, even if that starts no clone.
        self.assertRaises(errors.ApiError, self.clone_failing, volumeID=99)
        other = self.clone()
        reply = self.clone_failing()
        path = self.cluster.volume_path(reply['volumeID'])
        self.assertEqual('running', self.poll(reply)['status'])
        self.clock.advance(10)
        result = self.poll(reply)
        self.assertNotIn('result', result)
        self.assert_contains({'status': 'complete', 'error': {
            'name': 'xSnapshotFailed', 'message': 'no luck',
            'volumeID': reply['volumeID']}}, result)
        self.assertFalse(os.path.exists(path))
        self.assert_refused('xVolumeIDDoesNotExist', 'ModifyVolume',
                            volumeID=reply['volumeID'])
        self.assertIn('result', self.poll(other))
        self.assertEqual([self.source, other['volumeID']], self.listed())

    def test_clone_seconds_and_polls(self):
        for duration, seconds in ((0, 0), (lambda size: size / base.GIB, 3)):
            self.cluster.jobs.seconds = duration
            reply = self.clone(f'c{seconds}', newSize=3 * base.GIB)
            self.assertEqual('init', reply['volume']['status'])
            if seconds:
                self.clock.advance(seconds - 0.1)
                self.assertEqual('running', self.poll(reply)['status'])
                self.clock.advance(0.1)
            # The calls of a cache hit.
            self.assertEqual('complete', self.poll(reply)['status'])
            self.assertEqual([reply['volumeID']],
                             self.listed(volumeName=f'c{seconds}'))
        for polls in 0, 1, 3:
            self.cluster.jobs.polls = polls
            reply = self.clone(f'p{polls}')
            for _ in range(polls):
                self.assertEqual([], self.listed(volumeName=f'p{polls}'))
                self.assertEqual('running', self.poll(reply)['status'])
            self.assertEqual([reply['volumeID']],
                             self.listed(volumeName=f'p{polls}'))
            self.assertEqual('complete', self.poll(reply)['status'])

    def test_list_async_results(self):
        def result(reply, completed, success):
            return {'asyncResultID': reply['asyncHandle'],
                    'completed': completed, 'success': success,
                    'data': {'cloneID': reply['cloneID'],
                             'volumeID': reply['volumeID']}}

        failing = self.clone_failing()
        self.clock.advance(5)
        other = self.clone()
        for success in False, True:
            self.clock.advance(5)
            self.assert_calls(
                ('ListAsyncResults', {}, {'asyncHandles': [
                    result(failing, True, False),
                    result(other, success, success)]}),
                ('ListAsyncResults', {'asyncResultTypes': ['BulkVolume']},
                 {'asyncHandles': []}))

    def test_list_sync_jobs(self):
        reply = self.clone()
        expected = {'type': 'clone', 'cloneID': reply['cloneID'],
                    'srcVolumeID': self.source, 'snapshotID': 0,
                    'dstVolumeID': reply['volumeID'], 'totalBytes': base.GIB}
        self.assert_calls(('ListSyncJobs', {}, {'syncJobs': [
            {**expected, 'currentBytes': 0, 'percentComplete': 0.0,
             'bytesPerSecond': 0.0}]}))
        self.clock.advance(5)
        self.assert_calls(('ListSyncJobs', {}, {'syncJobs': [
            {**expected, 'currentBytes': base.GIB // 2, 'elapsedTime': 5.0,
             'percentComplete': 50.0, 'remainingTime': 5.0}]}))
        self.clock.advance(5)
        self.assertEqual([], self.call('ListSyncJobs')['syncJobs'])

    def test_cancel_clone(self):
        reply, other = self.clone(), self.clone()
        cancel = ('CancelClone', {'cloneID': reply['cloneID']})
        self.assert_calls((*cancel, {}))
        # Its slot is free.
        self.clone()
        self.assert_gone(reply, 'xCloneCancelled')
        self.assert_calls((*cancel, 'xInvalidParameter'),
                          ('CancelClone', {'cloneID': other['cloneID']},
                           'xInvalidParameter'))
        self.assertEqual(3, len(self.listed()))

    def test_delete_source_or_clone(self):
        finished = self.clone()
        self.clock.advance(10)
        running = self.clone()
        other = self.clone(volume_id=self.make_volume())
        self.call('DeleteVolume', volumeID=self.source)
        self.assert_gone(running, 'xVolumeIDDoesNotExist')
        for reply in finished, other:
            self.assertIn('result', self.poll(reply))
            self.assertIn(reply['volumeID'], self.cluster.volumes)
        reply = self.clone(volume_id=finished['volumeID'])
        target = {'volumeID': reply['volumeID']}
        self.assert_calls(
            ('DeleteVolume', target, {'volume': {'status': 'deleted'}}),
            ('PurgeDeletedVolume', target, 'xVolumeIDDoesNotExist'))
        self.assert_gone(reply, 'xVolumeIDDoesNotExist')
