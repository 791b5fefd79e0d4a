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

"""Past faults of filling a template with an image's data."""

import collections
import errno
import os
import socket
import subprocess
import sys
import threading
from unittest import mock

import ddt
from oslo_config import cfg
from oslo_utils import units

from cinder import coordination
from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder import utils
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import cache
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import store
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import throttling
from cinder.volume import volume_utils

MULTIPATH = dict(base.CONNECTOR, multipath=True, enforce_multipath=True)

CONF = cfg.CONF

# Takes a lock as another service on this host does, until its input ends.
HOLD = """
import sys
from tooz import coordination
other = coordination.get_coordinator(sys.argv[1], b'other')
other.start()
lock = other.get_lock(sys.argv[2].encode())
print(lock.acquire(), flush=True)
sys.stdin.read()
lock.release()
"""

Usage = collections.namedtuple('Usage', 'total used free')


class TemplateTestCase(base.HistoryTestCase):
    """What a fill makes of an image."""

    def test_a1_tests_fill_moves_real_bytes(self):
        # In the old tests every hit for the fill function was a mock.
        data = os.urandom(units.Mi)
        image = self.images.add(data)
        self.assert_served(self.clone(image), data)
        template = self.templates()[0]
        self.assertEqual(data, self.read_volume(template.volume_id,
                                                len(data)))

    def test_commit_ee653ad13_caching_is_off_unless_allowed(self):
        driver = self.new_driver()
        CONF.clear_override('sf_allow_template_caching',
                            group=driver.configuration.config_group)
        self.sim.reset_calls()
        self.assertEqual((None, False),
                         self.clone(self.images.add(base.DATA),
                                    driver=driver))
        self.assertEqual([], self.sim.calls.methods)
        self.assertEqual([], self.lines.records)

    def test_commit_ee653ad13_size_comes_from_the_data(self):
        # The declared size was believed, and had to be set by hand.
        image = self.images.add(base.DATA, virtual_size=3 * units.Gi)
        self.assert_served(self.clone(image, self.new_volume(size=4)))
        self.assertEqual(units.Gi, self.templates()[0].size)

    def test_commit_ee653ad13_template_under_way_is_marked(self):
        image = self.images.add(base.DATA)
        seen = []
        fetch_to_raw = image_utils.fetch_to_raw

        def look(*args, **kwargs):
            for template in self.templates():
                seen.append(template.attributes[tpl.ATTRIBUTE]['state'])
            return fetch_to_raw(*args, **kwargs)

        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=look):
            self.assert_served(self.clone(image))
        self.assertEqual(['filling'], seen)
        self.assertEqual(
            'ready',
            self.templates()[0].attributes[tpl.ATTRIBUTE]['state'])

    def test_bug_1494830_size_of_a_converted_image_is_its_own(self):
        size = units.Gi + 512
        image = self.images.add(self.qcow2(base.DATA, size),
                                virtual_size=size, disk_format='qcow2')
        self.assert_served(self.clone(image, self.new_volume(size=2)))
        self.assertEqual(2 * units.Gi, self.templates()[0].size)

    def test_bug_1494830_size_may_be_told_as_a_property(self):
        image = self.images.add(base.DATA)
        image.update(virtual_size=None,
                     properties={'virtual_size': str(len(base.DATA))})
        self.images.images[image['id']][0].update(image)
        self.assert_served(self.clone(image))

    def test_bug_1454425_payloads_of_a_fill_and_its_clone(self):
        image = self.images.add(base.DATA)
        volume = self.new_volume(size=2, display_name='root')
        self.assert_served(self.clone(image, volume))
        template = self.templates()[0]
        ready = template.attributes
        filling = {tpl.ATTRIBUTE: dict(
            ready[tpl.ATTRIBUTE], state='filling',
            last_used=ready[tpl.ATTRIBUTE]['filled_at'])}
        self.assertEqual(
            [{'name': tpl.name_for(image['id']),
              'accountID': self.account_id(), 'totalSize': units.Gi,
              'enable512e': True, 'attributes': filling}],
            self.params_of('CreateVolume'))
        self.assertEqual(
            [{'volumeID': template.volume_id, 'attributes': ready,
              'access': 'readOnly'}], self.params_of('ModifyVolume'))
        self.assertEqual(
            [{'volumeID': template.volume_id, 'name': 'UUID-' + volume['id'],
              'newAccountID': self.account_id(volume['project_id']),
              'newSize': 2 * units.Gi, 'access': 'readWrite',
              'enable512e': True,
              'attributes': {
                  'uuid': volume['id'], 'is_clone': True,
                  'created_at': volume.created_at.isoformat(),
                  'cinder-name': 'root'}}],
            self.params_of('CloneVolume'))

    def test_a3_4_ready_template_is_read_only_and_its_clone_is_not(self):
        self.assert_served(self.clone(self.images.add(base.DATA)))
        self.assertEqual('readOnly', self.templates()[0].access)
        self.assertEqual('readWrite', self.tenant_volumes()[0].access)

    def test_a3_4_template_that_became_writable_is_not_cloned(self):
        image = self.images.add(base.DATA)
        planted = self.plant(image, b'scribble', access='readWrite')
        self.assert_served(self.clone(image))
        self.assertNotIn(planted, self.sources())

    def test_a3_18_image_name_is_no_part_of_the_attributes(self):
        image = self.images.add(base.DATA, name='\N{SNOWMAN}\n"' * 500)
        self.assert_served(self.clone(image))
        self.assertNotIn('\N{SNOWMAN}', str(self.templates()[0].attributes))

    def test_bug_1680314_fill_and_clone_leave_the_volume_as_it_was(self):
        volume = self.new_volume(size=2)
        before = volume.obj_to_primitive()
        self.assert_served(self.clone(self.images.add(base.DATA), volume))
        self.assertEqual(before, volume.obj_to_primitive())

    def test_bug_1680314_failed_fill_leaves_the_volume_as_it_was(self):
        volume = self.new_volume(size=2)
        before = volume.obj_to_primitive()
        image = self.images.add(base.DATA, disk_format='qcow2')
        self.assert_fell_back(self.clone(image, volume), image, volume)
        self.assertEqual(before, volume.obj_to_primitive())

    def test_head_cache_new_copy_is_ready_before_the_old_one_goes(self):
        # The old entry went first, and who came meanwhile downloaded.
        image = self.images.add(base.DATA)
        old = self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA)
        self.assert_served(self.clone(newer), base.OTHER_DATA)
        methods = self.sim.calls.methods
        self.assertLess(methods.index('ModifyVolume'),
                        methods.index('DeleteVolume'))
        self.assertEqual([{'volumeID': old}], self.params_of('DeleteVolume'))

    def test_head_cache_old_copy_stays_when_the_new_fill_fails(self):
        image = self.images.add(base.DATA)
        old = self.plant(image)
        newer = self.images.replace(image['id'], base.OTHER_DATA)
        self.sim.faults.add(method='CreateVolume', error='xExceededLimit')
        volume = self.new_volume()
        self.assert_fell_back(self.clone(newer, volume), newer, volume)
        self.assertEqual([old], [template.volume_id for template in
                                 self.templates()])
        self.assert_served(self.clone(newer), base.OTHER_DATA)


@ddt.ddt
class SingleFlightTestCase(base.HistoryTestCase):
    """Several ask for an image that has no template yet."""

    def test_bug_1605027_parallel_first_boots_make_one_template(self):
        image = self.images.add(base.DATA)
        results = self.run_together(
            *[lambda: self.clone(image) for _i in range(4)])
        for result in results:
            self.assert_served(result)
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))

    def test_bug_1605027_half_written_template_is_not_cloned(self):
        image = self.images.add(base.DATA)
        sources = []
        fetch_to_raw = image_utils.fetch_to_raw

        def ask_meanwhile(context, service, image_id, device, *args,
                          **kwargs):
            with open(device, 'r+b') as target:
                target.write(b'half')
            with mock.patch.object(locks, 'held', autospec=True,
                                   side_effect=RuntimeError('locked')):
                self.clone(image, driver=self.new_driver())
            sources.extend(self.sources())
            fetch_to_raw(context, service, image_id, device, *args, **kwargs)

        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=ask_meanwhile):
            model_update, _cloned = self.clone(image)
        self.assertEqual([], sources)
        self.assert_holds(model_update, base.DATA)

    def test_bug_1605027_all_who_waited_for_a_failed_fill_fall_back(self):
        image = self.images.add(base.DATA, disk_format='qcow2')
        results = self.run_together(
            *[lambda: self.clone(image) for _i in range(3)])
        self.assertEqual([(None, False)] * 3, results)
        self.assertEqual(3, len(self.warnings.messages))
        self.assertEqual([], self.templates())

    def test_bug_1605027_no_lock_is_taken_with_caching_off(self):
        # The decorator took it before it looked whether caching was on.
        driver = self.new_driver(sf_allow_template_caching=False)
        with mock.patch.object(coordination.Coordinator, 'get_lock',
                               autospec=True) as get_lock:
            self.clone(self.images.add(base.DATA), driver=driver)
        get_lock.assert_not_called()

    def test_bug_1649636_hosts_make_one_template_together(self):
        image = self.images.add(base.DATA)
        drivers = [self.new_driver() for _i in range(3)]
        results = self.run_together(
            *[lambda driver=driver: self.clone(image, driver=driver)
              for driver in drivers])
        for result in results:
            self.assert_served(result)
        self.assertEqual([image['id']], self.images.downloads)
        self.assertEqual(1, len(self.sources()))

    def test_bug_1705442_lock_is_that_of_the_image_whoever_asks(self):
        image = self.images.add(base.DATA)
        with mock.patch.object(locks, 'held', autospec=True,
                               side_effect=locks.held) as held:
            for _i in range(2):
                volume = self.new_volume()
                self.assert_served(self.clone(image, volume,
                                              self.new_driver()))
                template_id = self.templates()[0].volume_id
                self.api('DeleteVolume', volumeID=template_id)
                self.api('PurgeDeletedVolume', volumeID=template_id)
            other = self.images.add(base.OTHER_DATA)
            self.assert_served(self.clone(other), base.OTHER_DATA)
        first, second, third = [call.args[0] for call in held.mock_calls
                                if call.args]
        self.assertEqual(first, second)
        self.assertNotEqual(first, third)

    @ddt.data(True, False)
    def test_bug_1758414_hit_takes_no_lock(self, remembered):
        image = self.images.add(base.DATA)
        self.plant(image)
        if remembered:
            self.assert_served(self.clone(image))
        with mock.patch.object(coordination.Coordinator, 'get_lock',
                               autospec=True) as get_lock:
            self.assert_served(self.clone(image))
        get_lock.assert_not_called()

    def test_bug_1758414_who_waited_for_the_lock_looks_again(self):
        image = self.images.add(base.DATA)
        lock = coordination.COORDINATOR.get_lock(self._lock_name(image))
        self.assertTrue(lock.acquire())

        def finish():
            self.plant(image)
            lock.release()

        self._while_it_waits(finish)
        self.assert_served(self.clone(image))
        self.assertEqual([], self.images.downloads)

    def test_commit_6840ddf96_lock_holds_across_processes(self):
        # The former lock was known to one process only.
        image = self.images.add(base.DATA)
        other = self._hold_in_another_process(self._lock_name(image))
        events = []
        self.images.on_download = events.append

        def end():
            events.append('released')
            other.communicate()

        self._while_it_waits(end)
        self.assert_served(self.clone(image))
        self.assertEqual(['released', image['id']], events)

    def test_commit_6840ddf96_driver_declares_active_active(self):
        self.assertIs(True, self.driver.SUPPORTS_ACTIVE_ACTIVE)

    def _lock_name(self, image):
        return locks.for_image(self.sim.cluster.uuid, image['id'])

    def _hold_in_another_process(self, name):
        # The coordinator of the test base began before this test's own
        # settings were made.
        coordination.COORDINATOR.stop()
        coordination.COORDINATOR.start()
        other = subprocess.Popen(
            [sys.executable, '-c', HOLD, CONF.coordination.backend_url,
             coordination.COORDINATOR.prefix + name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(other.kill)
        self.assertEqual(b'True\n', other.stdout.readline())
        return other

    def _while_it_waits(self, action):
        """Run an action some time after the driver has asked for a lock."""
        get_lock = coordination.COORDINATOR.get_lock

        def tell(coordinator, name):
            timer = threading.Timer(0.3, action)
            timer.start()
            self.addCleanup(timer.join)
            return get_lock(name)

        self.mock_object(coordination.Coordinator, 'get_lock', tell)

    def test_commit_fd495d010_hosts_without_a_common_lock_settle_on_one(self):
        # Two copies of one name made every later boot fail.
        image = self.images.add(base.DATA)
        both = threading.Barrier(2)
        self.images.on_download = lambda image_id: both.wait(base.PATIENCE)
        drivers = [self.new_driver(), self.new_driver()]
        with mock.patch.object(cache.locks, 'held', autospec=True) as held:
            held.return_value.__enter__.return_value = True
            held.return_value.__exit__.return_value = False
            results = self.run_together(
                *[lambda driver=driver: self.clone(image, driver=driver)
                  for driver in drivers])
        for result in results:
            self.assert_served(result)
        self.assertEqual(2, len(self.images.downloads))
        lowest = min(template.volume_id for template in self.templates())
        for driver in drivers + [self.new_driver()]:
            self.assert_served(self.clone(image, driver=driver))
        self.assertEqual([lowest], [template.volume_id for template in
                                    self.templates()])


@ddt.ddt
class HowFilledTestCase(base.HistoryTestCase):
    """The data goes in the way Cinder does it."""

    def test_a3_14_fill_works_with_volume_access_groups(self):
        driver = self.new_driver(sf_enable_vag=True)
        image = self.images.add(base.DATA)
        with self._connector():
            self.assert_served(self.clone(image, driver=driver))
        template_id = self.templates()[0].volume_id
        self.assertIn([template_id],
                      [params['volumes'] for params in
                       self.params_of('CreateVolumeAccessGroup') +
                       self.params_of('AddVolumesToVolumeAccessGroup')])
        self.assertEqual([], self.sim.cluster.groups_of(template_id))

    def test_a3_14_failed_fill_leaves_no_volume_access_group_behind(self):
        self.driver = self.new_driver(sf_enable_vag=True)
        with self._connector(), mock.patch.object(
                image_utils, 'fetch_to_raw', autospec=True,
                side_effect=exception.ImageUnacceptable(
                    image_id='it', reason='of the test')):
            self.assert_fails_to_fill('of the test')
        self.assertEqual(
            [], [group.volume_ids for group in
                 self.sim.cluster.access_groups.values()
                 if group.volume_ids])

    def _connector(self):
        return mock.patch.object(
            volume_utils, 'brick_get_connector_properties', autospec=True,
            return_value=dict(MULTIPATH))

    @ddt.data((True, True), (True, False), (False, False))
    @ddt.unpack
    def test_commit_bf23678fe_multipath_settings_are_used(self, use, enforce):
        for name, value in (('use_multipath_for_image_xfer', use),
                            ('enforce_multipath_for_image_xfer', enforce)):
            self.override_config(name, value, group='backend_defaults')
        with self._connector() as properties:
            self.assert_served(self.clone(self.images.add(base.DATA)))
        properties.assert_called_once_with(use, enforce)

    def _connectors_of_a_fill(self):
        """Fill a template; return with what its volume was attached."""
        connect = type(self.driver).initialize_connection
        seen = []

        def look(driver, volume, connector):
            seen.append(connector)
            return connect(driver, volume, connector)

        self.mock_object(type(self.driver), 'initialize_connection', look)
        self.assert_served(self.clone(self.images.add(base.DATA)))
        return seen

    def test_a3_24_connector_with_multipath_reaches_the_attachment(self):
        with self._connector():
            self.assertEqual([MULTIPATH], self._connectors_of_a_fill())

    def test_bug_1494830_connector_is_what_this_host_tells(self):
        # It was a name only, with which nothing can be attached.
        self.mock_object(volume_utils, 'brick_get_connector_properties',
                         self.ask_host)
        connector, = self._connectors_of_a_fill()
        self.assertEqual(socket.gethostname(), connector['host'])

    def test_a3_22_fill_is_throttled_as_every_copy(self):
        throttle = mock.Mock(spec=throttling.Throttle,
                             wraps=throttling.Throttle())
        throttling.Throttle.set_default(throttle)
        self.addCleanup(throttling.Throttle.set_default, None)
        self.assert_served(self.clone(self.images.add(base.DATA)))
        target = self.sim.cluster.volume_path(self.templates()[0].volume_id)
        self.assertEqual([target],
                         [call.args[1] for call in
                          throttle.subcommand.mock_calls if call.args])

    @ddt.data(('raw', 'qcow2'), ('qcow2', 'raw'))
    @ddt.unpack
    def test_a3_22_data_of_another_format_than_declared_is_refused(
            self, declared, real):
        data = self.qcow2(base.DATA) if real == 'qcow2' else base.DATA
        self.assert_fails_to_fill('different format', data,
                                  disk_format=declared,
                                  virtual_size=units.Mi)

    @ddt.data(('compressed', 'qcow2'), ('ovf', 'vhd'))
    @ddt.unpack
    def test_a3_22_packed_image_takes_the_normal_way(self, container, disk):
        image = self.images.add(base.DATA, container_format=container,
                                disk_format=disk)
        self.sim.reset_calls()
        self.assert_refused(self.clone(image), 'IMAGE_PACKED')
        self.assertEqual([], self.sim.calls.methods)

    @ddt.data('raw', 'qcow2')
    def test_bug_1970115_image_conversion_disable_holds_for_a_fill(
            self, disk_format):
        self.override_config('image_conversion_disable', True)
        data = base.DATA
        if disk_format == 'qcow2':
            data = self.qcow2(base.DATA)
        image = self.images.add(data, disk_format=disk_format,
                                virtual_size=units.Mi)
        if disk_format == 'raw':
            self.assert_served(self.clone(image))
        else:
            self.assert_refused(self.clone(image), 'CONVERSION_DISABLED')
            self.assertEqual([], self.images.downloads)

    @ddt.data('raw', 'qcow2')
    def test_bug_1970115_image_conversion_disable_holds_for_a_hit(
            self, disk_format):
        image = self.images.add(base.DATA, disk_format=disk_format)
        self.plant(image)
        self.assert_served(self.clone(image))
        self.override_config('image_conversion_disable', True)
        if disk_format == 'raw':
            self.assert_served(self.clone(image))
        else:
            self.assert_refused(self.clone(image), 'CONVERSION_DISABLED')

    def test_bug_1703892_device_is_not_probed_after_it_was_written(self):
        commands = []
        execute = utils.execute

        def record(*command, **kwargs):
            commands.append(command)
            return execute(*command, **kwargs)

        self.mock_object(utils, 'execute', record)
        # A guest's own data may look like an image of some other format.
        data = self.qcow2(base.DATA)
        image = self.images.add(self.qcow2(data), disk_format='qcow2',
                                virtual_size=units.Mi)
        self.assert_served(self.clone(image), data)
        device = self.sim.cluster.volume_path(self.templates()[0].volume_id)
        self.assertEqual(
            [('qemu-img', 'convert')],
            [command[:2] for command in commands if device in command])

    def test_bug_1703892_device_that_vanished_is_not_made_a_plain_file(self):
        path = '/dev/vanished-%s' % self.id().rpartition('.')[2]
        connect = self.driver._connect_device

        def vanish(connection):
            return dict(connect(connection),
                        device={'type': 'local', 'path': path})

        self.mock_object(self.driver, '_connect_device', vanish)
        self.assert_fails_to_fill('does not exist')
        self.assertFalse(os.path.exists(path))


@ddt.ddt
class HostileImageTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.secret = os.path.join(self.state, 'secret')
        with open(self.secret, 'wb') as secret:
            secret.write(b'of this host' * units.Ki)

    def _backed(self, path):
        self.qemu_img('create', '-f', 'qcow2', '-F', 'raw', '-b',
                      self.secret, path)
        return 'qcow2'

    def _with_data_file(self, path):
        self.qemu_img('create', '-f', 'qcow2', '-o',
                      'data_file=%s,data_file_raw=on' % (path + '.data'),
                      path, '1M')
        return 'qcow2'

    def _vmdk_of_extents(self, path):
        with open(path, 'w') as image:
            image.write('# Disk DescriptorFile\nversion=1\nCID=12345678\n'
                        'parentCID=ffffffff\ncreateType="monolithicFlat"\n'
                        'RW 2048 FLAT "%s" 0\n' % self.secret)
        return 'vmdk'

    def _truncated(self, path):
        self.qemu_img('create', '-f', 'qcow2', path, '1M')
        with open(path, 'r+b') as image:
            image.truncate(60)
        return 'qcow2'

    @ddt.data('_backed', '_with_data_file', '_vmdk_of_extents', '_truncated')
    def test_bug_2059809_hostile_image_makes_no_template(self, make):
        path = os.path.join(self.state, 'hostile')
        disk_format = getattr(self, make)(path)
        with open(path, 'rb') as image:
            data = image.read()
        with mock.patch.object(image_utils, '_convert_image', autospec=True,
                               side_effect=AssertionError) as convert:
            self.assert_fails_to_fill(data=data, disk_format=disk_format,
                                      virtual_size=units.Mi)
        convert.assert_not_called()

    def test_bug_2059809_image_larger_than_it_declares_is_refused(self):
        self.assert_fails_to_fill('declares', self.qcow2(base.DATA, units.Gi),
                                  disk_format='qcow2', virtual_size=units.Mi)


@ddt.ddt
class FailingFillTestCase(base.HistoryTestCase):

    def test_a3_6_failed_fill_falls_back_to_a_download(self):
        # It gave None, which nobody looked at, and VolumeNotFound followed.
        self.sim.faults.add(method='CreateVolume', error='xExceededLimit')
        image = self.assert_fails_to_fill('xExceededLimit')
        self.assert_served(self.clone(image))

    @ddt.data(OSError(errno.ENOSPC, 'full'), OSError(errno.EIO, 'broken'),
              exception.ImageNotFound(image_id='it'), KeyError('size'),
              exception.GlanceConnectionFailed(reason='away'),
              exception.NotAuthorized(), RuntimeError('anything'))
    def test_a3_7_error_of_the_download_falls_back(self, error):
        def fail(image_id):
            self.images.on_download = lambda image_id: None
            raise error

        self.images.on_download = fail
        image = self.assert_fails_to_fill()
        self.assert_served(self.clone(image))

    @ddt.data(exception.ImageUnacceptable(image_id='it', reason='the test'),
              exception.ImageTooBig(image_id='it', reason='the test'),
              solidfire.SolidFireDuplicateVolumeNames(vol_name='the test'),
              OSError(errno.ENOSPC, 'the test'), ValueError('the test'))
    def test_a3_7_error_of_the_copy_falls_back(self, error):
        with mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                               side_effect=error):
            self.assert_fails_to_fill('the test')
        self.assertEqual(1, self.sim.calls.count('PurgeDeletedVolume'))

    def test_a3_23_no_room_for_the_image_is_seen_before_the_download(self):
        self._fill_disk()
        self.assert_fails_to_fill('no space')
        self.assertEqual([], self.images.downloads)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))

    def test_bug_1744383_hit_needs_no_room(self):
        image = self.images.add(base.DATA)
        self.plant(image)
        self._fill_disk()
        for _i in range(2):
            self.assert_served(self.clone(image))

    def _fill_disk(self):
        self.patch('shutil.disk_usage', autospec=True,
                   return_value=Usage(units.Gi, units.Gi, 0))

    def test_commit_494264e79_room_is_counted_in_bytes(self):
        self.patch('shutil.disk_usage', autospec=True,
                   return_value=Usage(units.Gi, 0, len(base.DATA) + 1))
        self.assert_served(self.clone(self.images.add(base.DATA)))

    def test_commit_494264e79_temporary_file_tells_whose_it_is(self):
        # At its start a service removes what ends in its own name.
        files = []
        self.images.on_download = lambda image_id: files.extend(
            self.conversion_files())
        volume = self.new_volume(host='node@fast#pool')
        image = self.images.add(base.DATA)
        self.assert_served(self.clone(image, volume))
        self.assertEqual(1, len(files))
        self.assertTrue(files[0].endswith('node@fast'), files)
        self.assertEqual([], self.conversion_files())

    @ddt.data('download', 'copy', 'publish')
    def test_a3_1_crash_in_a_fill_leaves_nothing_that_is_cloned(self, where):
        # The image's identity stood on the volume before any data.
        image = self.images.add(base.DATA)
        with self._crash(where):
            self.assertRaises(base.Crash, self.clone, image)
        left = [template.volume_id for template in self.templates()]
        self.assertEqual(0 if where == 'download' else 1, len(left))
        self.assert_served(self.clone(image, driver=self.new_driver()))
        template = self.templates()
        self.assertEqual(1, len(template))
        self.assertEqual({template[0].volume_id}, self.sources())
        self.assertNotIn(template[0].volume_id, left)

    def _crash(self, where):
        if where == 'download':
            return mock.patch.object(self.images, 'on_download',
                                     autospec=True, side_effect=base.Crash)
        if where == 'publish':
            return mock.patch.object(store.TemplateStore, 'publish',
                                     autospec=True, side_effect=base.Crash)
        return mock.patch.object(image_utils, 'fetch_to_raw', autospec=True,
                                 side_effect=self._write_a_part)

    @staticmethod
    def _write_a_part(context, service, image_id, device, *args, **kwargs):
        with open(device, 'r+b') as target:
            target.write(b'part')
        raise base.Crash()
