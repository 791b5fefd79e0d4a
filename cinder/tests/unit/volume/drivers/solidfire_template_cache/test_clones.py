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

"""From a template to a clone: turns, lost replies, clones that fail."""

import dataclasses
import threading
from unittest import mock

import ddt
from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import clones
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import facts

TIMEOUT = 600

# Real seconds after which a test that hangs is given up.
_PATIENCE = 60


class CloneTestCase(clients.ClientTestCase):

    CLONE_SECONDS = 5

    def setUp(self):
        super().setUp()
        self.tenant = self.make_account('tenant')
        owner = self.make_account('openstack-vtemplate')
        self.template = self.make_volume('OpenStackIMG-1', owner, a=1)
        self.scheduler = self.new_scheduler()
        # What is asked for once in a while would stand between the calls.
        self.scheduler._facts.default_qos()
        self.sim.reset_calls()

    def new_scheduler(self, timeout=TIMEOUT, client=None):
        client = client or self.client
        return clones.CloneScheduler(
            client, facts.ClusterFacts(client, self.clock), timeout,
            self.clock)

    def order(self, name='UUID-1', **changes):
        return dataclasses.replace(
            clones.Order(name=name, account_id=self.tenant.id, size=units.Gi,
                         enable_512e=True, attributes={'uuid': '1'}, qos={}),
            **changes)

    def clone(self, name='UUID-1', scheduler=None, source=None, **changes):
        source = source or self.template
        return (scheduler or self.scheduler).clone(
            source.id, source.size, self.order(name, **changes))

    def clone_elsewhere(self, name, source=None):
        """Start a clone as another host does."""
        return self.new_client().clone_volume(
            (source or self.template).id, name, self.tenant.id, True, {})

    def assert_cloned(self, volume, name='UUID-1'):
        """Check that a volume is whole, and the only one of its name."""
        self.sim.cluster.advance()
        found = [item for item in self.sim.cluster.volumes.values()
                 if item.name == name]
        self.assertEqual([(volume.id, 'active', 'readWrite')], [
            (item.volume_id, item.status, item.access) for item in found])
        self.assertEqual([], self.sim.cluster.jobs.running())

    def assert_nothing_left(self, exc=None):
        self.assertEqual([self.template.id], self.on_cluster())
        self.assertEqual([], self.sim.cluster.jobs.running())
        self.assertEqual([], getattr(exc, '__notes__', []))


class StartTestCase(CloneTestCase):

    def test_clone(self):
        volume = self.clone()
        self.assert_cloned(volume)
        methods = self.sim.calls.methods
        self.assertEqual(['GetLimits', 'CloneVolume'], methods[:2])
        self.assertEqual({'GetAsyncResult'}, set(methods[2:]))
        self.assertEqual([('CloneVolume', {
            'volumeID': self.template.id, 'name': 'UUID-1',
            'newAccountID': self.tenant.id, 'access': 'readWrite',
            'enable512e': True, 'attributes': {'uuid': '1'}})],
            self.sent('CloneVolume'))
        self.assertEqual((self.tenant.id, units.Gi, {'uuid': '1'}), (
            volume.account_id, volume.size, volume.attributes))

    def test_clone_that_is_done_at_once_takes_two_calls(self):
        self.clone()
        self.sim.cluster.jobs.seconds = 0
        self.sim.reset_calls()
        self.clone('UUID-2')
        self.assertEqual(['CloneVolume', 'GetAsyncResult'],
                         self.sim.calls.methods)

    def test_clone_of_the_same_size_sends_no_size(self):
        self.clone()
        [(_method, params)] = self.sent('CloneVolume')
        self.assertNotIn('newSize', params)

    def test_clone_of_another_size_sends_it(self):
        volume = self.clone(size=3 * units.Gi)
        [(_method, params)] = self.sent('CloneVolume')
        self.assertEqual(3 * units.Gi, params['newSize'])
        self.assertEqual(3 * units.Gi, volume.size)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_clone_with_the_template_s_qos_changes_none(self):
        default = self.sim.cluster.default_qos
        for number, qos in enumerate(({}, dict(default),
                                      {'minIOPS': default['minIOPS']})):
            self.clone('UUID-%s' % number, qos=qos)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_clone_with_other_qos_changes_it_once(self):
        qos = {'minIOPS': 100, 'maxIOPS': 12000, 'burstIOPS': 14000}
        volume = self.clone(qos=qos)
        self.assertEqual([('ModifyVolume', {
            'volumeID': volume.id, 'qos': qos})], self.sent('ModifyVolume'))
        self.assertEqual(qos, self.sim.cluster.volumes[volume.id].qos)

    def test_clone_with_part_of_the_qos_has_the_default_for_the_rest(self):
        self.client.modify_volume(self.template.id, qos={
            'minIOPS': 70, 'maxIOPS': 700, 'burstIOPS': 7000})
        volume = self.clone(qos={'minIOPS': 100})
        self.assertEqual(dict(self.sim.cluster.default_qos, minIOPS=100),
                         self.sim.cluster.volumes[volume.id].qos)

    def test_clone_of_a_template_with_qos_of_its_own(self):
        self.client.modify_volume(self.template.id, qos={
            'minIOPS': 70, 'maxIOPS': 700, 'burstIOPS': 7000})
        volume = self.clone()
        self.assertEqual(self.sim.cluster.default_qos,
                         self.sim.cluster.volumes[volume.id].qos)

    def test_clone_when_the_default_qos_is_not_told(self):
        self.sim.faults.add(method='GetDefaultQoS', error='xNew', times=None)
        self.scheduler = self.new_scheduler()
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    def test_clone_whose_qos_is_refused_leaves_nothing(self):
        self.sim.faults.add(method='ModifyVolume', error='xInvalidParameter')
        exc = self.assert_fails(errors.ApiError, self.clone,
                                qos={'minIOPS': 100})
        self.assert_nothing_left(exc)

    def test_clone_of_a_template_that_is_gone(self):
        self.client.remove_volume(self.template.id)
        self.sim.reset_calls()
        exc = self.assert_fails(errors.NotFound, self.clone)
        self.assertEqual('xVolumeIDDoesNotExist', exc.name)
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))
        self.assertEqual([], self.on_cluster())

    def test_clone_to_an_account_that_is_gone(self):
        exc = self.assert_fails(errors.NotFound, self.clone, account_id=77)
        self.assertEqual('xAccountIDDoesNotExist', exc.name)
        self.assert_nothing_left(exc)

    def test_clone_that_is_refused(self):
        self.sim.cluster.set_fullness(4)
        exc = self.assert_fails(errors.ApiError, self.clone)
        self.assertEqual('xTotalCapacityExceeded', exc.name)
        self.assert_nothing_left(exc)

    def test_clone_when_nobody_answers(self):
        self.sim.server.stop()
        exc = self.assert_fails(errors.NotSent, self.clone)
        # Nothing was sent, so there is nothing to look for.
        self.assertEqual([], getattr(exc, '__notes__', []))
        self.assertEqual([self.template.id], self.on_cluster())


@ddt.ddt
class BusyTestCase(CloneTestCase):
    """Other hosts take the places, or the cluster allows fewer."""

    def test_clone_waits_while_other_hosts_hold_the_places(self):
        others = [self.clone_elsewhere('UUID-9%s' % i) for i in range(2)]
        begin = self.clock.monotonic()
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertGreaterEqual(self.clock.monotonic() - begin,
                                2 * self.CLONE_SECONDS)
        self.assertEqual(
            'xMaxClonesPerVolumeExceeded',
            [call.error for call in self.sim.calls
             if call.method == 'CloneVolume'][2])
        for other in others:
            self.assertEqual(
                'active', self.sim.cluster.volumes[other.volume.id].status)
        # Busy is certain: nothing was made that is to be looked for.
        self.assertEqual({'GetLimits', 'CloneVolume', 'GetAsyncResult'},
                         set(self.sim.calls.methods))

    def test_clone_waits_for_a_place_on_the_node(self):
        self.sim.cluster.limits['cloneJobsPerNodeMax'] = 1
        other = self.make_volume('OpenStackIMG-2')
        self.clone_elsewhere('UUID-9', other)
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual(
            'xMaxClonesPerNodeExceeded',
            [call.error for call in self.sim.calls
             if call.method == 'CloneVolume'][1])

    def test_tries_grow_apart_up_to_a_bound(self):
        self.sim.faults.add(method='CloneVolume', times=12,
                            error='xMaxClonesPerVolumeExceeded')
        self.assert_cloned(self.clone())
        self.assertEqual(13, self.sim.calls.count('CloneVolume'))
        pauses = self.clock.paused
        self.assertEqual(12, len(pauses))
        most = 0.5
        for pause in pauses:
            self.assertGreaterEqual(pause, most / 2)
            self.assertLessEqual(pause, most)
            most = min(most * 1.6, 5)
        self.assertEqual(12, len(set(pauses)))

    @ddt.data('xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded')
    def test_clone_whose_place_never_comes_times_out(self, name):
        self.sim.faults.add(method='CloneVolume', times=None, error=name,
                            message='no place')
        begin = self.clock.monotonic()
        exc = self.assert_fails(errors.CloneTimedOut, self.clone)
        self.assertEqual(TIMEOUT, self.clock.monotonic() - begin)
        self.assertIn('no place', str(exc))
        self.assertIn('%s seconds' % TIMEOUT, str(exc))
        self.assert_nothing_left(exc)

    def test_clone_after_one_that_timed_out(self):
        rule = self.sim.faults.add(method='CloneVolume', times=None,
                                   error='xMaxClonesPerVolumeExceeded')
        self.assertRaises(errors.CloneTimedOut, self.clone)
        rule.times = 0
        self.assert_cloned(self.clone())

    def test_clone_that_is_refused_after_waiting(self):
        self.sim.faults.add(method='CloneVolume', times=3,
                            error='xMaxClonesPerVolumeExceeded')
        self.sim.faults.add(method='CloneVolume', error='xNew')
        exc = self.assert_fails(errors.ApiError, self.clone)
        self.assertEqual('xNew', exc.name)
        self.assert_nothing_left(exc)


@ddt.ddt
class LostReplyTestCase(CloneTestCase):
    """Nobody knows whether the clone was begun: there must be one."""

    @ddt.data({'drop': True, 'when': 'before'},
              {'drop': True, 'when': 'after'},
              {'http_status': 502, 'body': '<html>', 'when': 'before'},
              {'http_status': 502, 'body': '<html>', 'when': 'after'},
              {'http_status': 200, 'body': '{"id":', 'when': 'after'},
              {'error': 'xRpcTimeout', 'when': 'before'},
              {'error': 'xRpcTimeout', 'when': 'after'})
    def test_clone_whose_reply_is_lost(self, fault):
        self.sim.faults.add(method='CloneVolume', **fault)
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual([self.template.id, volume.id], self.on_cluster())
        self.assertEqual(2, self.sim.calls.count('CloneVolume'))

    @ddt.data('before', 'after')
    def test_clone_whose_reply_is_lost_twice(self, when):
        self.sim.faults.add(method='CloneVolume', times=2, drop=True,
                            when=when)
        exc = self.assert_fails(errors.ReplyLost, self.clone)
        self.assert_nothing_left(exc)
        self.assertEqual(2, self.sim.calls.count('CloneVolume'))

    def test_clone_whose_reply_cannot_be_read(self):
        self.sim.faults.add(method='CloneVolume', http_status=200,
                            body={'result': {'cloneID': 1}}, when='after')
        exc = self.assert_fails(errors.UnexpectedReply, self.clone)
        self.assert_nothing_left(exc)

    def test_clone_whose_reply_is_lost_while_other_hosts_clone(self):
        other = self.clone_elsewhere('UUID-9')
        self.sim.faults.add(method='CloneVolume', drop=True, when='after')
        volume = self.clone()
        self.assert_cloned(volume)
        self.assertEqual(
            sorted([self.template.id, other.volume.id, volume.id]),
            self.on_cluster())

    def test_clone_whose_reply_is_lost_waits_for_no_later_clone(self):
        # A clone that another host begins after the first look is none of
        # ours.
        first = self.clone_elsewhere('UUID-91')
        self.sim.faults.add(method='CloneVolume', drop=True, when='before')
        sleep = self.clock.sleep
        later = []

        def begin_another(seconds):
            if not later:
                self.sim.cluster.jobs.seconds = 10 ** 6
                later.append(self.clone_elsewhere('UUID-92'))
                self.sim.cluster.jobs.seconds = self.CLONE_SECONDS
            sleep(seconds)

        self.mock_object(self.clock, 'sleep', begin_another)
        volume = self.clone()
        self.sim.cluster.advance()
        self.assertEqual(
            ['active', 'init', 'active'],
            [self.sim.cluster.volumes[number].status for number in (
                first.volume.id, later[0].volume.id, volume.id)])

    def test_clone_whose_reply_and_leftover_are_lost(self):
        self.sim.faults.add(method='CloneVolume', drop=True, when='after')
        self.sim.faults.add(method='DeleteVolume', error='xNew', times=None)
        exc = self.assert_fails(errors.ReplyLost, self.clone)
        [note] = exc.__notes__
        self.assertIn('UUID-1', note)
        self.assertIn('xNew', note)
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))

    def test_clone_whose_reply_is_lost_while_clones_never_end(self):
        self.sim.cluster.jobs.seconds = 10 ** 6
        self.sim.faults.add(method='CloneVolume', drop=True, when='after')
        exc = self.assert_fails(errors.ReplyLost, self.clone)
        # It cannot be told whose the clone is, so it is named, and cloned
        # again by nobody.
        [note] = exc.__notes__
        self.assertIn('UUID-1', note)
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))


@ddt.ddt
class FinishTestCase(CloneTestCase):
    """The clone is under way; what may become of it."""

    def test_looks_grow_apart_up_to_a_bound(self):
        self.sim.cluster.jobs.seconds = 30
        self.clone()
        slept = self.clock.slept
        self.assertEqual(0.1, slept[0])
        self.assertEqual(2.0, slept[-1])
        for before, after in zip(slept, slept[1:]):
            self.assertEqual(min(before * 1.6, 2.0), after)

    def _looks_at_a_clone(self, seconds, name, source=None):
        """Return the seconds between the looks at one clone."""
        self.sim.cluster.jobs.seconds = seconds
        before = len(self.clock.slept)
        self.clone(name, source=source)
        return self.clock.slept[before:]

    def test_first_look_is_when_the_last_clone_was_nearly_done(self):
        first = self._looks_at_a_clone(1, 'UUID-1')
        second = self._looks_at_a_clone(1, 'UUID-2')
        self.assertAlmostEqual(0.9 * sum(first), second[0])
        self.assertEqual([0.1, 0.1 * 1.6][:len(second) - 1], second[1:])
        self.assertLess(len(second), len(first))

    def test_first_look_is_no_later_than_the_bound(self):
        self._looks_at_a_clone(30, 'UUID-1')
        self.assertEqual(0.9 * 2.0, self._looks_at_a_clone(0, 'UUID-2')[0])

    def test_first_look_at_a_clone_of_another_template(self):
        self._looks_at_a_clone(1, 'UUID-1')
        other = self.make_volume('OpenStackIMG-2')
        self.assertEqual(0.1,
                         self._looks_at_a_clone(1, 'UUID-2', other)[0])

    def test_clone_whose_end_was_told_in_a_lost_reply(self):
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='GetAsyncResult', drop=True, when='after')
        self.assert_cloned(self.clone())
        self.assertEqual(
            ['GetLimits', 'CloneVolume', 'GetAsyncResult', 'GetAsyncResult',
             'ListVolumes'], self.sim.calls.methods)

    def test_clone_whose_failure_was_told_in_a_lost_reply(self):
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='CloneVolume', job_error='xSliceLost')
        self.sim.faults.add(method='GetAsyncResult', drop=True, when='after')
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assertIn('neither job nor volume', str(exc))
        self.assert_nothing_left(exc)

    @ddt.data('xAsyncHandleDoesNotExist', 'xDBNoSuchPath')
    def test_clone_whose_handle_is_unknown_for_a_moment(self, name):
        self.sim.faults.add(method='GetAsyncResult', error=name, times=3)
        self.assert_cloned(self.clone())
        self.assertEqual(0, self.sim.calls.count('ListSyncJobs'))

    def test_clone_whose_handle_is_unknown_while_its_job_runs(self):
        self.sim.faults.add(method='GetAsyncResult', times=None,
                            error='xAsyncHandleDoesNotExist')
        self.assert_cloned(self.clone())
        self.assertGreater(self.sim.calls.count('ListSyncJobs'), 0)

    @ddt.data('xAsyncHandleDoesNotExist', 'xDBNoSuchPath')
    def test_clone_that_vanishes(self, name):
        self.sim.cluster.missing_handle = name
        self.sim.cluster.jobs.seconds = 0
        self.sim.faults.add(method='CloneVolume', job_error='xSliceLost')
        self.sim.faults.add(method='GetAsyncResult', times=None, error=name)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assert_nothing_left(exc)

    def test_clone_that_fails(self):
        self.sim.faults.add(method='CloneVolume',
                            job_error='xSliceNotRegistered')
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assertIn('xSliceNotRegistered: ', str(exc))
        self.assertIn(str(self.template.id), str(exc))
        self.assert_nothing_left(exc)

    def test_clone_that_fails_and_stays(self):
        # Some leave the half-made volume of a failed job behind.
        self.sim.faults.add(
            method='GetAsyncResult', http_status=200, when='before',
            body={'result': {'status': 'complete', 'resultType': 'Clone',
                             'error': {'name': 'xNew', 'message': 'm'}}})
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assertIn('xNew: m', str(exc))
        self.assert_nothing_left(exc)

    def test_clone_that_does_not_end(self):
        self.sim.cluster.jobs.seconds = 10 ** 6
        begin = self.clock.monotonic()
        exc = self.assert_fails(errors.CloneTimedOut, self.clone)
        spent = self.clock.monotonic() - begin
        self.assertTrue(TIMEOUT <= spent < TIMEOUT + 10, spent)
        self.assertEqual(1, self.sim.calls.count('CancelClone'))
        self.assert_nothing_left(exc)

    def test_clone_whose_reply_names_the_source(self):
        self.sim.cluster.result_names_source = True
        self.assert_cloned(self.clone())
        self.assertEqual(2, len(self.on_cluster()))

    @ddt.data({'size': units.Gi + 1}, {'size': 0}, {'account_id': 77},
              {'name': 'UUID-7'})
    def test_clone_that_is_not_as_ordered(self, changes):
        self._start_with(**changes)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        for value in changes.values():
            self.assertIn(str(value), str(exc))
        self.assert_nothing_left(exc)

    def _start_with(self, **changes):
        """Let the reply to CloneVolume differ from what was asked for."""
        start = self.client.clone_volume

        def altered(*args):
            started = start(*args)
            return dataclasses.replace(
                started, volume=dataclasses.replace(started.volume,
                                                    **changes))

        self.mock_object(self.client, 'clone_volume', altered)

    @ddt.data('xUnknownAPIMethod', 'xInvalidParameter')
    def test_clone_to_give_up_that_cannot_be_cancelled(self, name):
        self._start_with(size=0)
        self.sim.faults.add(method='CancelClone', error=name, times=None)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assert_nothing_left(exc)

    def test_clone_to_give_up_that_is_there_only_at_its_end(self):
        self._start_with(size=0)
        self.sim.faults.add(method='CancelClone', error='xNew', times=None)
        # It cannot be deleted while it is made.
        delete = self.sim.cluster.delete_volume
        self.mock_object(self.sim.cluster, 'delete_volume',
                         lambda volume: self._refuse_unfinished(volume) or
                         delete(volume))
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        self.assert_nothing_left(exc)

    def _refuse_unfinished(self, volume):
        if volume.status == 'init':
            self.sim.cluster.volume(-1)

    def test_clone_to_give_up_that_cannot_be_removed(self):
        self._start_with(size=0)
        self.sim.faults.add(method='DeleteVolume', error='xNew', times=None)
        exc = self.assert_fails(errors.CloneFailed, self.clone)
        [note] = exc.__notes__
        self.assertIn('may be left', note)
        self.assertIn('xNew', note)

    def test_clone_to_give_up_without_its_clone_id(self):
        start = self.client.clone_volume
        self.mock_object(
            self.client, 'clone_volume', lambda *args: dataclasses.replace(
                start(*args), clone_id=None))
        self.sim.cluster.jobs.seconds = 10 ** 6
        exc = self.assert_fails(errors.CloneTimedOut, self.clone)
        self.assertEqual(0, self.sim.calls.count('CancelClone'))
        self.assert_nothing_left(exc)

    def test_clone_interrupted_by_an_error_of_any_kind(self):
        with mock.patch.object(self.client, 'get_job', autospec=True,
                               side_effect=KeyError('x')):
            exc = self.assert_fails(KeyError, self.clone)
        self.assert_nothing_left(exc)


class WaitIdleTestCase(CloneTestCase):

    def test_wait_idle_when_idle(self):
        self.scheduler.wait_idle(self.template.id)
        self.assertEqual(['ListSyncJobs'], self.sim.calls.methods)

    def test_wait_idle_until_other_hosts_are_done(self):
        self.clone_elsewhere('UUID-9')
        begin = self.clock.monotonic()
        self.scheduler.wait_idle(self.template.id)
        self.assertGreaterEqual(self.clock.monotonic() - begin,
                                self.CLONE_SECONDS)
        self.assertEqual([], self.sim.cluster.jobs.running())

    def test_wait_idle_passes_over_other_sources(self):
        other = self.make_volume('OpenStackIMG-2')
        self.clone_elsewhere('UUID-9', other)
        self.scheduler.wait_idle(self.template.id)
        self.assertEqual(1, self.sim.calls.count('ListSyncJobs'))

    def test_wait_idle_times_out(self):
        self.sim.cluster.jobs.seconds = 10 ** 6
        self.clone_elsewhere('UUID-9')
        exc = self.assert_fails(errors.ElementError, self.scheduler.wait_idle,
                                self.template.id)
        self.assertIn('still running', str(exc))
        self.assertEqual('TimedOut', exc.name)


class GateClock(base.ManualClock):
    """Stops all threads at their next wait until it is opened."""

    def __init__(self):
        super().__init__()
        self._stopped = set()
        self._changed = threading.Condition()
        self._open = threading.Event()

    def open(self):
        self._open.set()

    def sleep(self, seconds):
        self._stop()
        self._open.wait(_PATIENCE)
        self.advance(seconds)

    def wait(self, condition, seconds):
        if self._open.is_set():
            super().wait(condition, seconds)
        else:
            self._stop()
            condition.wait(0.01)

    def _stop(self):
        with self._changed:
            self._stopped.add(threading.current_thread())
            self._changed.notify_all()

    def await_stopped(self, thread):
        with self._changed:
            if not self._changed.wait_for(lambda: thread in self._stopped,
                                          _PATIENCE):
                raise AssertionError('%s did not get to a wait' % thread.name)


class CrowdTestCase(CloneTestCase):
    """Many requests at a time."""

    # Ten clones, one by one, with all who wait moving the time too.
    TIMEOUT = 10 ** 6

    def setUp(self):
        super().setUp()
        self.scheduler = self.new_scheduler(self.TIMEOUT)
        self.most_running = 0
        self.errors = []
        self.volumes = {}
        start = self.sim.cluster.jobs.start

        def count(*args):
            job = start(*args)
            self.most_running = max(self.most_running,
                                    len(self.sim.cluster.jobs.running()))
            return job

        self.mock_object(self.sim.cluster.jobs, 'start', count)

    def new_clock(self):
        return GateClock()

    def begin(self, name, **arguments):
        """Start a request; return when it has got as far as it can."""
        thread = threading.Thread(target=self._work, args=(name, arguments),
                                  name=name, daemon=True)
        self.addCleanup(self.clock.open)
        thread.start()
        self.clock.await_stopped(thread)
        return thread

    def _work(self, name, arguments):
        try:
            self.volumes[name] = self.clone(name, **arguments)
        except Exception as exc:
            self.errors.append(exc)

    def finish(self, threads):
        self.clock.open()
        for thread in threads:
            thread.join(_PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual([], self.errors)
        for name, volume in self.volumes.items():
            self.assert_cloned(volume, name)

    def _check_crowd(self, limit):
        names = ['UUID-%s' % number for number in range(8)]
        threads = [self.begin(name) for name in names]
        # As many as the cluster allows are under way, the others wait.
        self.assertEqual(names[:limit], [
            params['name'] for _method, params in self.sent('CloneVolume')])
        self.finish(threads)
        self.assertEqual(names, sorted(self.volumes))
        self.assertEqual(limit, self.most_running)
        # Each asked once, in the order in which they came.
        self.assertEqual([(name, None) for name in names], [
            (call.params['name'], call.error) for call in self.sim.calls
            if call.method == 'CloneVolume'])

    def test_crowd_goes_in_order(self):
        self._check_crowd(2)

    def test_crowd_where_one_at_a_time_is_allowed(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 1
        self._check_crowd(1)

    def test_crowd_where_more_are_allowed(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = 5
        self._check_crowd(5)

    def test_crowd_where_the_limit_is_not_told(self):
        self.sim.cluster.limits['cloneJobsPerVolumeMax'] = None
        self._check_crowd(2)

    def test_crowds_of_two_templates_do_not_wait_for_each_other(self):
        other = self.make_volume('OpenStackIMG-2')
        threads = [self.begin('UUID-%s' % number) for number in range(4)]
        threads += [self.begin('UUID-%s' % number, source=other)
                    for number in range(4, 6)]
        self.assertEqual(
            ['UUID-0', 'UUID-1', 'UUID-4', 'UUID-5'],
            [params['name'] for _method, params in self.sent('CloneVolume')])
        self.finish(threads)

    def test_crowds_of_two_hosts_share_the_places(self):
        there = self.new_scheduler(self.TIMEOUT, self.new_client())
        threads = []
        for number in range(6):
            threads.append(self.begin(
                'UUID-%s' % number,
                scheduler=(self.scheduler, there)[number % 2]))
        self.finish(threads)
        self.assertEqual(6, len(self.volumes))
        self.assertEqual(2, self.most_running)

    def test_clone_whose_reply_is_lost_beside_one_of_our_own(self):
        # The running clone is known to be another request's, so nothing
        # has to be waited for.
        first = self.begin('UUID-1')
        self.sim.faults.add(method='CloneVolume', drop=True, when='before')
        second = self.begin('UUID-2')
        # It sleeps before the second try.
        self.assertEqual(['CloneVolume', 'ListSyncJobs', 'ListVolumes'],
                         self.sim.calls.methods[-3:])
        self.finish([first, second])
        self.assertEqual(3, self.sim.calls.count('CloneVolume'))
        self.assertEqual(1, self.sim.calls.count('ListSyncJobs'))

    def test_request_that_gives_up_in_line(self):
        self.scheduler = self.new_scheduler(60)
        self.sim.cluster.jobs.seconds = 10 ** 6
        threads = [self.begin('UUID-%s' % number) for number in range(3)]
        self.clock.open()
        for thread in threads:
            thread.join(_PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual([errors.CloneTimedOut] * 3,
                         [type(exc) for exc in self.errors])
        self.assert_nothing_left()
