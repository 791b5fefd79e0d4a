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

"""Shared by the tests of past faults: templates of others, what remains."""

import copy
import dataclasses
import logging
import os
import subprocess
import threading

from oslo_config import cfg
from oslo_utils import units
from oslo_utils import uuidutils

from cinder.tests.element_simulator import api
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import volume_types
from cinder.volume import volume_utils

CONF = cfg.CONF

SHARED_ACCOUNT = 'openstack-vtemplate'
DATA = b'bootable' * 50000
OTHER_DATA = b'elsewise' * 50000

NO_HASHES = {'os_hash_algo': None, 'os_hash_value': None, 'checksum': None}

CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:abc', 'host': 'here',
             'ip': '127.0.0.1', 'platform': 'x86_64', 'os_type': 'linux',
             'multipath': False, 'enforce_multipath': False}

# Longer than any step of a test takes, short enough to end a hanging one.
PATIENCE = 45


class Lines(logging.Handler):
    """Collects all that the driver's package logs for operators."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def about(self, *texts):
        """Return the messages that hold all the texts."""
        messages = [record.getMessage() for record in self.records]
        return [message for message in messages
                if all(text in message for text in texts)]


class Crash(BaseException):
    """Ends the driver's work at once, as the death of its process does."""


class HistoryTestCase(base.DriverTestCase):

    def setUp(self):
        super().setUp()
        # To ask this host takes a quarter of the time of a fill.
        self.ask_host = volume_utils.brick_get_connector_properties
        self.mock_object(
            volume_utils, 'brick_get_connector_properties',
            lambda multipath=False, enforce_multipath=False: dict(CONNECTOR))
        self.lines = Lines()
        logger = logging.getLogger(base.PACKAGE)
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.INFO)
        logger.addHandler(self.lines)
        self.addCleanup(logger.removeHandler, self.lines)

    # What others do on the cluster; none of it is in the journal

    def api(self, method, /, sim=None, **params):
        """Carry out an API method as somebody else would."""
        return api.call((sim or self.sim).cluster, method, params).result

    def account_id(self, name=SHARED_ACCOUNT):
        """Return the number of an account, made when missing."""
        for account in self.sim.cluster.accounts.values():
            if account.username == name:
                return account.account_id
        return self.api('AddAccount', username=name)['accountID']

    def plant(self, image, data=DATA, size=units.Gi, access='readOnly',
              **changes):
        """Leave a template as another host would; return its volumeID.

        :param changes: members of the Template that differ from those of a
            ready one
        """
        template = dataclasses.replace(
            tpl.new(images.from_metadata(image), uuidutils.generate_uuid(),
                    CONF.host, False, self.clock.now()),
            **dict({'state': tpl.State.READY}, **changes))
        return self.plant_volume(tpl.name_for(image['id']),
                                 template.attributes(), data, size=size,
                                 access=access)

    def plant_volume(self, name, attributes, data=b'', size=units.Gi,
                     access='readWrite', account=SHARED_ACCOUNT):
        """Leave a volume; its attributes may be what the API refuses."""
        volume_id = self.api(
            'CreateVolume', name=name, accountID=self.account_id(account),
            totalSize=size, enable512e=True)['volumeID']
        volume = self.sim.cluster.volumes[volume_id]
        volume.attributes = attributes
        volume.access = access
        with open(self.sim.cluster.volume_path(volume_id), 'r+b') as device:
            device.write(data)
        return volume_id

    def stock_driver(self, sim=None, **options):
        return self.new_driver(sim=sim, driver_class=solidfire.SolidFireDriver,
                               **options)

    def clone(self, image, volume=None, driver=None):
        """Ask as Cinder does, with an Image service object of its own."""
        service = copy.copy(self.images)
        service.temp_images = None
        return (driver or self.driver).clone_image(
            self.context, volume or self.new_volume(), (None, None), image,
            service)

    def qcow2(self, data, size=None, *options):
        """Return an image file in that format.

        :param size: virtual size in bytes
        """
        raw = os.path.join(self.state, 'raw')
        path = os.path.join(self.state, 'qcow2')
        with open(raw, 'wb') as target:
            target.write(data)
            target.truncate(size or len(data))
        self.qemu_img('convert', '-f', 'raw', '-O', 'qcow2', *options, raw,
                      path)
        with open(path, 'rb') as source:
            return source.read()

    @staticmethod
    def qemu_img(*arguments):
        subprocess.run(('qemu-img',) + arguments, check=True,
                       stdout=subprocess.DEVNULL)

    def run_together(self, *actions):
        """Run callables in threads; return their results in order."""
        results = [None] * len(actions)

        def run(place, action):
            results[place] = action()

        threads = [threading.Thread(target=run, args=pair)
                   for pair in enumerate(actions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive(), 'a request hangs')
        return results

    # What has happened

    def params_of(self, method):
        """Return the parameters of every call of a method, in order."""
        return [call.params for call in self.sim.calls
                if call.method == method]

    def sources(self):
        """Return which volumes the driver has cloned."""
        return {params['volumeID'] for params in
                self.params_of('CloneVolume')}

    def conversion_files(self):
        directory = os.path.join(self.state, 'conversion')
        return os.listdir(directory) if os.path.isdir(directory) else []

    def assert_served(self, result, data=DATA):
        """Check that a request was served from a template, in silence."""
        self.assertEqual([], self.warnings.messages)
        model_update, cloned = result
        self.assertIs(True, cloned)
        self.assert_holds(model_update, data)

    def assert_refused(self, result, reason):
        """Check that a request was sent the normal way, as it should."""
        self.assertEqual((None, False), result)
        self.assertEqual([], self.warnings.messages)
        self.assertEqual(1, len(self.lines.about('(%s)' % reason)))

    def assert_fell_back(self, result, image, volume, reason=''):
        """Check that a request failed as it may, and left nothing."""
        self.assertEqual((None, False), result)
        self.assertEqual(1, len(self.warnings.messages),
                         self.warnings.messages)
        for text in (image['id'], volume['id'], reason):
            self.assertIn(text, self.warnings.messages[0])
        self.assertEqual([], self.volumes_named(
            'UUID-' + volume['id']))
        self.assertEqual([], [template for template in self.templates()
                              if not self._is_ready(template)])
        self.assertEqual([], self.conversion_files())
        self.warnings.messages.clear()

    @staticmethod
    def _is_ready(volume):
        state = (volume.attributes or {}).get(tpl.ATTRIBUTE, {}).get('state')
        return (volume.status, volume.access, state) == (
            'active', 'readOnly', 'ready')

    def assert_fails_to_fill(self, reason='', data=DATA, **options):
        """Check that a first request falls back, and leaves nothing.

        :returns: the image, whose template is not there
        """
        image = self.images.add(data, **options)
        volume = self.new_volume()
        self.assert_fell_back(self.clone(image, volume), image, volume,
                              reason)
        self.assertEqual([], self.templates())
        self.assertEqual(0, self.sim.calls.count('CloneVolume'))
        return image


class TypedTestCase(HistoryTestCase):
    """For volumes that are of a type."""

    def new_typed_volume(self, **extra_specs):
        volume_type = {'qos_specs_id': None, 'extra_specs': extra_specs}
        self.mock_object(volume_types, 'get_volume_type',
                         lambda context, type_id: volume_type)
        return self.new_volume(volume_type_id=fake.VOLUME_TYPE_ID)
