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

"""Past faults of cleaning up: what failed, what is old, what is left."""

from unittest import mock

import ddt
from oslo_config import cfg

from cinder.image import image_utils
from cinder.tests.element_simulator import local_attach
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers.solidfire_template_cache import template as tpl

CONF = cfg.CONF


class Failure(Exception):
    """What the tests make fail, fails with this."""

    def __init__(self):
        super().__init__('made to fail by the test')


def fail(*args, **kwargs):
    raise Failure()


class Connector(object):
    """Stands for os-brick's, with which a detachment fails."""

    def disconnect_volume(self, properties, device, **kwargs):
        raise Failure()


@ddt.ddt
class FailedFillTestCase(base.HistoryTestCase):

    def fail_to_copy(self):
        return mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                                 side_effect=self._write_a_part)

    @staticmethod
    def _write_a_part(context, service, image_id, device, *args, **kwargs):
        with open(device, 'r+b') as target:
            target.write(b'part')
        raise Failure()

    def break_step(self, step):
        self.mock_object(local_attach.SolidFireDriver, step, fail)

    @ddt.data('create_export', 'initialize_connection', '_connect_device',
              '_attach_volume', 'terminate_connection', 'remove_export',
              '_detach_volume')
    def test_bug_1785706_failed_attachment_leaves_nothing_to_clone(
            self, step):
        # What it left, empty, was cloned by every later boot.
        original = getattr(local_attach.SolidFireDriver, step)
        self.break_step(step)
        image = self.assert_fails_to_fill()
        self.mock_object(local_attach.SolidFireDriver, step, original)
        self.assert_served(self.clone(image))

    def test_bug_1785706_failed_copy_leaves_nothing_to_clone(self):
        with self.fail_to_copy():
            image = self.assert_fails_to_fill('by the test')
        self.assert_served(self.clone(image))

    @ddt.data('xAssertionFailure', 'xVolumeIDDoesNotExist', 'xExceededLimit')
    def test_bug_1785706_failed_publication_leaves_nothing_to_clone(
            self, error):
        self.sim.faults.add(method='ModifyVolume', error=error)
        image = self.assert_fails_to_fill(error)
        self.assert_served(self.clone(image))

    def test_bug_1494830_failed_fill_is_removed_by_its_number(self):
        # The parameters of the create were sent, which hold no number.
        with self.fail_to_copy():
            self.assert_fails_to_fill('by the test')
        made = [{'volumeID': 1}]
        self.assertEqual(made, self.params_of('DeleteVolume'))
        self.assertEqual(made, self.params_of('PurgeDeletedVolume'))

    @ddt.data('DeleteVolume', 'PurgeDeletedVolume')
    def test_a3_2_failed_fill_is_deleted_by_number_though_it_takes_two_tries(
            self, method):
        self.sim.faults.add(method=method, error='xDBClosing', times=2)
        with self.fail_to_copy():
            self.assert_fails_to_fill('by the test')
        self.assertEqual([{'volumeID': 1}] * 3, self.params_of(method))

    def test_a3_2_failed_fill_that_cannot_be_deleted_is_never_cloned(self):
        # The error of the delete was swallowed, and the next boot cloned
        # what was there.
        image = self.images.add(base.DATA)
        self.sim.faults.add(method='DeleteVolume', error='xAssertionFailure',
                            times=None)
        with self.fail_to_copy():
            self.assertEqual((None, False), self.clone(image))
        self.assertIn('may be left', self.warnings.messages[0])
        left = [template.volume_id for template in self.templates()]
        self.assertEqual(1, len(left))
        # The next request cannot remove it either.
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual(2, len(self.warnings.messages))
        self.assertEqual(0, self.sim.calls.count('CloneVolume'))
        self.warnings.messages.clear()
        self.sim.faults.clear()
        self.assert_served(self.clone(image))
        self.assertNotIn(left[0], self.sources())
        self.assertEqual(1, len(self.templates()))

    def test_a3_13_failed_detachment_does_not_skip_the_delete(self):
        connect = self.driver._connect_device

        def connect_badly(connection):
            return dict(connect(connection), connector=Connector())

        self.mock_object(self.driver, '_connect_device', connect_badly)
        self.assert_fails_to_fill('by the test')
        self.assertEqual([{'volumeID': 1}], self.params_of('DeleteVolume'))

    def test_a3_13_failed_copy_and_detachment_are_cleaned_up_and_told(self):
        self.break_step('terminate_connection')
        with self.fail_to_copy():
            self.assert_fails_to_fill('by the test')
        self.assertEqual([{'volumeID': 1}], self.params_of('DeleteVolume'))

    def test_a3_1_template_is_removed_when_nobody_says_it_is_published(self):
        self.sim.faults.add(method='ModifyVolume', drop=True, when='after',
                            times=None)
        self.assert_fails_to_fill('ModifyVolume')

    def test_a3_1_leftover_beside_a_ready_template_is_removed(self):
        image = self.images.add(base.DATA)
        unfinished = self.plant(image, b'part', state=tpl.State.FILLING,
                                filled_by=tpl.host_mark(CONF.host))
        ready = self.plant(image)
        self.assert_served(self.clone(image))
        self.assertEqual({ready}, self.sources())
        self.assertNotIn(unfinished, self.sim.cluster.volumes)

    def test_commit_494264e79_failed_fill_leaves_no_temporary_file(self):
        seen = []

        def look(image_id):
            seen.extend(self.conversion_files())
            raise Failure()

        self.images.on_download = look
        self.assert_fails_to_fill('by the test')
        self.assertEqual(1, len(seen))
        self.assertEqual([], self.conversion_files())


@ddt.ddt
class FailedCloneTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)
        self.planted = self.plant(self.image)
        self.volume = self.new_volume()

    @ddt.data(
        {'method': 'CloneVolume', 'job_error': 'xBroken'},
        {'method': 'CloneVolume', 'drop': True, 'when': 'after',
         'times': None},
        {'method': 'CloneVolume', 'error': 'xAssertionFailure',
         'when': 'after', 'times': None},
        {'method': 'CloneVolume', 'http_status': 200, 'body': '{"result": {}}',
         'when': 'after', 'times': None},
        {'method': 'GetAsyncResult', 'error': 'xAssertionFailure',
         'times': None},
        {'method': 'GetAsyncResult', 'drop': True, 'times': None})
    def test_consequence_volume_can_be_created_after_its_clone_failed(
            self, fault):
        # A deleted volume keeps its name, and the create refuses a name
        # that stands: what failed must be purged.
        self.sim.faults.add(**fault)
        self.assert_fell_back(self.clone(self.image, self.volume),
                              self.image, self.volume)
        self.sim.faults.clear()
        model_update = self.driver.create_volume(self.volume)
        self.assert_holds(model_update, b'')
        self.assertEqual(1, len(self.tenant_volumes()))

    def test_consequence_leftover_of_another_attempt_is_purged_first(self):
        name = 'UUID-' + self.volume['id']
        left = [self.plant_volume(name, {}) for _i in range(2)]
        self.api('DeleteVolume', volumeID=left[0])
        self.assert_served(self.clone(self.image, self.volume))
        self.assertEqual(1, len(self.tenant_volumes()))

    def test_a3_10_clone_that_fails_late_is_removed(self):
        self.mock_object(self.driver, '_build_connection_info', fail)
        self.assert_fell_back(self.clone(self.image, self.volume),
                              self.image, self.volume, 'by the test')

    def test_a3_10_clone_that_cannot_be_removed_is_told(self):
        self.sim.faults.add(method='GetAsyncResult', times=None,
                            error='xAssertionFailure')
        self.sim.faults.add(method='DeleteVolume', times=None,
                            error='xPermissionDenied')
        self.sim.faults.add(method='CancelClone', times=None,
                            error='xPermissionDenied')
        self.assertEqual((None, False), self.clone(self.image, self.volume))
        self.assertEqual(1, len(self.warnings.messages))
        self.assertIn('volume %s may be left' % (self.planted + 1),
                      self.warnings.messages[0])

    def test_bug_1680314_failed_clone_leaves_the_volume_as_it_was(self):
        before = self.volume.obj_to_primitive()
        self.sim.faults.add(method='CloneVolume', job_error='xBroken')
        self.assert_fell_back(self.clone(self.image, self.volume),
                              self.image, self.volume, 'xBroken')
        self.assertEqual(before, self.volume.obj_to_primitive())


class OldTemplateTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(base.DATA)
        self.old = self.plant(self.image)
        self.newer = self.images.replace(self.image['id'], base.OTHER_DATA)

    def test_bug_1454425_old_template_is_deleted_by_these_parameters(self):
        self.assert_served(self.clone(self.newer), base.OTHER_DATA)
        self.assertEqual([{'volumeID': self.old}],
                         self.params_of('DeleteVolume'))
        self.assertEqual([{'volumeID': self.old}],
                         self.params_of('PurgeDeletedVolume'))

    def test_bug_1668772_old_template_is_purged_not_only_deleted(self):
        self.assert_served(self.clone(self.newer), base.OTHER_DATA)
        self.assertNotIn(self.old, self.sim.cluster.volumes)

    def test_a3_12_clone_under_way_from_the_old_template_is_not_cut_off(self):
        self.sim.cluster.jobs.seconds = 100
        started = self.api('CloneVolume', volumeID=self.old, name='slow',
                           access='readWrite')['volumeID']
        self.sim.cluster.jobs.seconds = 1
        self.assert_served(self.clone(self.newer), base.OTHER_DATA)
        self.assertNotIn(self.old, self.sim.cluster.volumes)
        self.assertEqual('active', self.sim.cluster.volumes[started].status)
        self.assertEqual(base.DATA,
                         self.read_volume(started, len(base.DATA)))

    def test_a3_12_old_template_stays_while_the_new_one_is_filled(self):
        seen = []
        self.images.on_download = lambda image_id: seen.extend(
            self.templates())
        self.assert_served(self.clone(self.newer), base.OTHER_DATA)
        self.assertEqual([(self.old, 'active')],
                         [(volume.volume_id, 'active') for volume in seen])


class TenantVolumeTestCase(base.HistoryTestCase):

    def test_ixsystems_31_template_is_no_tenants_volume(self):
        # A cache entry that is a clone of the first tenant's volume keeps
        # the tenant from deleting that.
        image = self.images.add(base.DATA)
        volume = self.new_volume()
        model_update, _cloned = self.clone(image, volume)
        volume.update(model_update)
        self.driver.delete_volume(volume)
        self.assertEqual([], self.tenant_volumes())
        self.assert_served(self.clone(image))
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual({self.templates()[0].volume_id}, self.sources())
