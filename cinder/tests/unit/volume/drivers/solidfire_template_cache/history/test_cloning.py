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

"""Past faults of cloning a template."""

import json
import threading
from unittest import mock

import ddt
from oslo_utils import units
import requests

from cinder import coordination
from cinder import exception
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import locks

# What the stock driver takes for passing, but for the limits of clones.
PASSING = [name for name in solidfire.SolidFireDriver.retryable_errors
           if not name.startswith('xMaxClones')]

QOS = {'minIOPS': 200, 'maxIOPS': 400, 'burstIOPS': 600}


@ddt.ddt
class CloneTestCase(base.TypedTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)

    def test_commit_d55541c4d_clone_is_not_made_by_the_stock_clone_code(self):
        # A change of its signature broke clone_image.
        self.plant(self.image)
        with mock.patch.object(solidfire.SolidFireDriver, '_do_clone_volume',
                               autospec=True,
                               side_effect=AssertionError) as clone_volume:
            self.assert_served(self.clone(self.image))
        clone_volume.assert_not_called()

    def test_bug_1589187_attributes_are_few_and_short(self):
        self.assert_served(self.clone(self.image))
        for volume in self.templates() + self.tenant_volumes():
            self.assertLessEqual(len(volume.attributes), 10)
            self.assertLess(len(json.dumps(volume.attributes)), 1000)

    def test_bug_1589187_clone_gets_the_qos_of_its_type(self):
        # For five months clones ran with whatever the template had.
        self.plant(self.image)
        specs = {'qos:' + key: str(value) for key, value in QOS.items()}
        self.assert_served(self.clone(self.image,
                                      self.new_typed_volume(**specs)))
        self.assertEqual(QOS, self.tenant_volumes()[0].qos)
        self.assertEqual([QOS], [params['qos'] for params in
                                 self.params_of('ModifyVolume')])

    def test_bug_1589187_clone_does_not_keep_the_qos_of_its_template(self):
        planted = self.plant(self.image)
        self.api('ModifyVolume', volumeID=planted, qos=QOS)
        self.assert_served(self.clone(self.image))
        self.assertEqual(self.sim.cluster.default_qos,
                         self.tenant_volumes()[0].qos)

    @ddt.data('xSliceNotRegistered', 'xUnknownSliceID', 'xNotReadyForIO',
              'xInvalidParameter')
    def test_bug_1623618_transient_refusal_of_a_clone_is_repeated(self, error):
        self.plant(self.image)
        rule = self.sim.faults.add(method='CloneVolume', error=error, times=3)
        self.assert_served(self.clone(self.image))
        self.assertEqual(3, rule.hits)

    @ddt.data(*PASSING)
    def test_bug_1891914_passing_error_is_repeated_in_a_fill(self, error):
        for method in ('CreateVolume', 'ModifyVolume', 'CloneVolume'):
            self.sim.faults.add(method=method, error=error)
        self.assert_served(self.clone(self.image))
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual(2, len(self.sim.cluster.volumes))

    @ddt.data(*PASSING)
    def test_bug_1891914_passing_error_is_repeated_in_a_hit(self, error):
        self.plant(self.image)
        for method in ('GetAccountByName', 'AddAccount', 'ListVolumes',
                       'CloneVolume', 'GetAsyncResult'):
            self.sim.faults.add(method=method, error=error)
        self.assert_served(self.clone(self.image))
        self.assertEqual([], self.images.downloads)
        self.assertEqual(1, len(self.tenant_volumes()))

    @ddt.data((60, 55), (200, 195))
    @ddt.unpack
    def test_bug_1898587_clone_may_take_as_long_as_configured(
            self, timeout, seconds):
        self.plant(self.image)
        self.sim.cluster.jobs.seconds = seconds
        driver = self.new_driver(sf_volume_clone_timeout=timeout)
        self.assert_served(self.clone(self.image, driver=driver))

    def test_bug_1898587_clone_takes_no_longer_than_configured(self):
        self.plant(self.image)
        self.sim.cluster.jobs.seconds = 70
        volume = self.new_volume()
        result = self.clone(self.image, volume,
                            self.new_driver(sf_volume_clone_timeout=60))
        self.assert_fell_back(result, self.image, volume, '60')

    def test_bug_1898587_request_timeout_is_used(self):
        driver = self.new_driver(sf_api_request_timeout=77)
        with mock.patch.object(requests.Session, 'post', autospec=True,
                               side_effect=requests.Session.post) as post:
            self.assert_served(self.clone(self.image, driver=driver))
        self.assertEqual({77}, {call.kwargs['timeout'] for call in
                                post.mock_calls if 'timeout' in call.kwargs})

    @ddt.data(1, 2)
    def test_a3_3_template_that_does_not_fit_the_volume_is_not_cut(
            self, times):
        # CloneVolume takes a smaller size, and the data's end is lost.
        self.plant(self.image, size=2 * units.Gi)
        for _i in range(times):
            volume = self.new_volume(size=1)
            self.assert_fell_back(self.clone(self.image, volume), self.image,
                                  volume, 'does not fit')
        self.assertEqual(0, self.sim.calls.count('CloneVolume'))
        self.assert_served(self.clone(self.image, self.new_volume(size=2)))

    def test_bug_1599147_declared_size_is_compared_in_bytes_on_a_hit(self):
        # The manager does so only where the Image service tells the size.
        self.image.update(virtual_size=None, properties={
            'virtual_size': str(units.Gi + 1)})
        self.plant(self.image, size=2 * units.Gi)
        for size in (2, 1):
            result = self.clone(self.image, self.new_volume(size=size))
            if size == 2:
                self.assert_served(result)
        self.assert_refused(result, 'IMAGE_TOO_LARGE')
        self.assertEqual(1, self.sim.calls.count('CloneVolume'))

    def test_bug_1599147_found_size_is_compared_in_bytes_on_a_hit(self):
        # Whatever is declared, what counts is what the fill has found.
        self.plant(dict(self.image, virtual_size=units.Gi + 512),
                   size=2 * units.Gi)
        volume = self.new_volume(size=1)
        self.assert_fell_back(self.clone(self.image, volume), self.image,
                              volume, 'does not fit')

    def test_a3_11_hit_writes_nothing_to_the_template(self):
        # A usage counter rewrote all attributes after each clone.
        planted = self.plant(self.image)
        before = json.dumps(self.sim.cluster.volumes[planted].attributes)
        for _i in range(2):
            self.assert_served(self.clone(self.image))
        self.assertEqual(before, json.dumps(
            self.sim.cluster.volumes[planted].attributes))
        self.assertEqual(0, self.sim.calls.count('ModifyVolume'))

    @ddt.data((True, False), (False, True))
    @ddt.unpack
    def test_a3_26_block_size_is_that_configured_now(self, before, now):
        self.assert_served(self.clone(
            self.image, driver=self.new_driver(sf_emulate_512=before)))
        model_update, _cloned = self.clone(
            self.image, driver=self.new_driver(sf_emulate_512=now))
        self.assertEqual(None if now else '4096 4096',
                         model_update.get('provider_geometry'))
        volume = self.sim.cluster.volumes[
            int(model_update['provider_id'].split()[0])]
        self.assertIs(now, volume.enable_512e)
        self.assertEqual([self.image['id']], self.images.downloads)


@ddt.ddt
class ManyClonesTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)

    def test_a3_8_hits_on_one_image_run_at_the_same_time(self):
        self.plant(self.image)
        both = threading.Barrier(2)
        get_job = element.ElementClient.get_job

        asked = set()

        def get_job_of_both(client, handle):
            if handle not in asked:
                asked.add(handle)
                both.wait(base.PATIENCE)
            return get_job(client, handle)

        self.mock_object(element.ElementClient, 'get_job', get_job_of_both)
        for result in self.run_together(
                *[lambda: self.clone(self.image) for _i in range(2)]):
            self.assert_served(result)

    def test_bug_1673264_crowd_waits_by_a_counter_and_nobody_hangs(self):
        # One lock served the image and its clones, and waited for itself.
        # A clone lasts as long as it takes to ask for it some times, so
        # that the others come while it runs.
        self.sim.cluster.jobs.polls = 5
        most = []
        start = self.sim.cluster.jobs.start

        def count(*args):
            job = start(*args)
            most.append(len(self.sim.cluster.jobs.running()))
            return job

        self.mock_object(self.sim.cluster.jobs, 'start', count)
        for result in self.run_together(
                *[lambda: self.clone(self.image) for _i in range(6)]):
            self.assert_served(result)
        self.assertEqual(6, len(most))
        self.assertLessEqual(max(most), 2)
        self.assertEqual([], [call.error for call in self.sim.calls
                              if call.method == 'CloneVolume' and call.error])

    def test_bug_1673264_lock_of_the_image_is_free_while_it_is_cloned(self):
        clone_volume = element.ElementClient.clone_volume
        locked = []
        get_lock = coordination.COORDINATOR.get_lock

        def look(client, *args, **kwargs):
            for name in names:
                lock = get_lock(name)
                locked.append(not lock.acquire(blocking=False))
                lock.release()
            return clone_volume(client, *args, **kwargs)

        names = []

        def note(coordinator, name):
            names.append(name)
            return get_lock(name)

        self.mock_object(element.ElementClient, 'clone_volume', look)
        self.mock_object(coordination.Coordinator, 'get_lock', note)
        self.assert_served(self.clone(self.image))
        self.assertIn(locks.for_image(self.sim.cluster.uuid,
                                      self.image['id']), names)
        self.assertEqual({False}, set(locked))

    def test_a3_9_request_waits_while_others_have_all_slots(self):
        # After 31 seconds it had failed.
        template_id = self.plant(self.image)
        jobs = self.sim.cluster.jobs
        jobs.seconds = 300
        for name in ('one', 'two'):
            self.api('CloneVolume', volumeID=template_id, name=name,
                     access='readWrite')
        jobs.seconds = 1
        begun = self.clock.monotonic()
        check_slots = jobs.check_slots

        def let_time_pass(volume):
            self.clock.advance(5)
            check_slots(volume)

        self.mock_object(jobs, 'check_slots', let_time_pass)
        self.assert_served(self.clone(self.image))
        self.assertGreater(self.clock.monotonic(), begun + 290)

    @ddt.data('xMaxClonesPerVolumeExceeded', 'xMaxClonesPerNodeExceeded')
    def test_bug_1552734_limit_is_waited_for_and_makes_no_new_template(
            self, error):
        self.plant(self.image)
        rule = self.sim.faults.add(method='CloneVolume', error=error,
                                   times=7)
        self.assert_served(self.clone(self.image))
        self.assertEqual(7, rule.hits)
        self.assertEqual([], self.images.downloads)

    def test_bug_1552734_broken_clone_makes_no_new_template(self):
        planted = self.plant(self.image)
        self.sim.faults.add(method='CloneVolume', job_error='xBroken')
        volume = self.new_volume()
        self.assert_fell_back(self.clone(self.image, volume), self.image,
                              volume, 'xBroken')
        self.assert_served(self.clone(self.image))
        self.assertEqual([planted], [template.volume_id for template in
                                     self.templates()])
        self.assertEqual([], self.images.downloads)

    def test_bug_1552734_template_that_is_gone_is_made_anew_once(self):
        self.plant(self.image)
        self.assert_served(self.clone(self.image))
        for template in self.templates():
            self.api('DeleteVolume', volumeID=template.volume_id)
            self.api('PurgeDeletedVolume', volumeID=template.volume_id)
        for _i in range(2):
            self.assert_served(self.clone(self.image))
        self.assertEqual([self.image['id']], self.images.downloads)
        self.assertEqual(1, len(self.templates()))

    def test_head_limit_of_snapshots_that_lasts_is_not_raised(self):
        # The retry of the image-volume cache for it made one attempt.
        self.plant(self.image)
        self.sim.faults.add(method='CloneVolume', times=None,
                            error='xMaxSnapshotsPerVolumeExceeded')
        volume = self.new_volume()
        self.assert_fell_back(self.clone(self.image, volume), self.image,
                              volume, 'xMaxSnapshotsPerVolumeExceeded')

    def test_head_limit_of_snapshots_that_passes_is_waited_for(self):
        self.plant(self.image)
        self.sim.faults.add(method='CloneVolume', times=2,
                            error='xMaxSnapshotsPerVolumeExceeded')
        self.assert_served(self.clone(self.image))

    @ddt.data('CreateVolume', 'CloneVolume')
    def test_bug_1896112_lost_reply_makes_no_duplicate(self, method):
        # Only the create of the stock driver was mended, not the clone.
        self.sim.faults.add(method=method, drop=True, when='after')
        self.assert_served(self.clone(self.image))
        self.assertEqual(1, len(self.templates()))
        self.assertEqual(1, len(self.tenant_volumes()))
        self.assertEqual([self.image['id']], self.images.downloads)

    @ddt.data('before', 'after')
    def test_a3_10_clone_is_not_doubled_when_the_connection_breaks(
            self, when):
        self.plant(self.image)
        self.sim.faults.add(method='CloneVolume', drop=True, when=when)
        self.assert_served(self.clone(self.image))
        self.assertEqual(1, len(self.tenant_volumes()))

    def test_a3_10_clone_whose_replies_stay_lost_leaves_nothing(self):
        self.plant(self.image)
        self.sim.faults.add(method='CloneVolume', drop=True, when='after',
                            times=None)
        volume = self.new_volume()
        self.assert_fell_back(self.clone(self.image, volume), self.image,
                              volume, 'CloneVolume')

    @ddt.data(exception.VolumeNotFound(volume_id='x'), KeyError('volumeID'),
              exception.SnapshotLimitReached(set_limit=1),
              requests.exceptions.ConnectionError('x'), TypeError('x'))
    def test_bug_1642394_no_error_of_the_clone_path_escapes(self, error):
        self.plant(self.image)
        volume = self.new_volume()
        with mock.patch.object(element.ElementClient, 'get_job',
                               autospec=True, side_effect=error):
            result = self.clone(self.image, volume)
        self.assert_fell_back(result, self.image, volume,
                              type(error).__name__)

    @ddt.data('clone_volume', 'get_account', 'list_volumes', 'find_volume',
              'get_clones_per_volume')
    def test_contract_nothing_escapes_whatever_call_fails(self, name):
        # The manager has no try around clone_image.
        self.plant(self.image)
        volume = self.new_volume()
        with mock.patch.object(element.ElementClient, name, autospec=True,
                               side_effect=RuntimeError('of the test')):
            result = self.clone(self.image, volume)
        if result[1]:
            self.assert_served(result)
        else:
            self.assert_fell_back(result, self.image, volume, 'of the test')
