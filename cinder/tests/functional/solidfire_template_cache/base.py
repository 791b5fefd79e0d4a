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

"""What the functional tests share: cheap fills, and what must be left."""

import os

from os_brick import utils as brick_utils
from oslo_concurrency import processutils
from oslo_utils import units

from cinder import context
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder import utils
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import volume_types
from cinder.volume import volume_utils


class CheapImageTools(object):
    """Runs each probe of an image file once, and remembers the answer.

    A fill asks ``qemu-img info`` eight times about the same bytes. What
    writes, ``qemu-img convert`` above all, always runs.

    :param execute: what runs a command
    """

    def __init__(self, execute):
        self._execute = execute
        self._known = {}

    def execute(self, *command, **options):
        if 'qemu-img' not in command or 'info' not in command:
            return self._execute(*command, **options)
        *words, path = command
        with open(path, 'rb') as image:
            key = (tuple(words), image.read())
        if key not in self._known:
            self._known[key] = path, self._run(command, options)
        known_path, answer = self._known[key]
        if isinstance(answer, Exception):
            raise answer
        return answer[0].replace(known_path, path), answer[1]

    def _run(self, command, options):
        try:
            return self._execute(*command, **options)
        except processutils.ProcessExecutionError as exc:
            # So it says that the file is not of this format.
            return exc


class FunctionalTestCase(base.DriverTestCase):
    """Looks at the whole cluster after each request."""

    # A first look sees a clone running, the second one sees it done.
    CLONE_SECONDS = 0.2

    def setUp(self):
        super().setUp()
        self.mock_object(utils, 'execute',
                         CheapImageTools(utils.execute).execute)
        # What this host is does not change from fill to fill, and costs
        # six commands to find out.
        connector = volume_utils.brick_get_connector_properties()
        connector['initiator'] = 'iqn.2026-01.org.example:host'
        self.mock_object(volume_utils, 'brick_get_connector_properties',
                         autospec=True,
                         side_effect=lambda *_args: dict(connector))
        # Here os-brick runs dd to see whether a device can be read.
        self.mock_object(brick_utils, 'check_valid_device', autospec=True,
                         side_effect=lambda _connector, path:
                         os.access(path, os.R_OK))

    def other_host(self):
        """Return one more driver with the same configuration."""
        ours = self.driver
        other = type(ours)(configuration=ours.configuration)
        other.db = ours.db
        other._template_clock = ours._template_clock
        return other

    @staticmethod
    def forget(driver):
        """Leave a driver as it is after a restart: it knows nothing."""
        for parts in driver._template_caches.values():
            parts.client.close()
        driver._template_caches.clear()

    def clear_cluster(self):
        """Make the cluster as new."""
        cluster = self.sim.cluster
        with cluster.lock:
            for volume_id in list(cluster.volumes):
                cluster.forget_volume(volume_id)
            cluster.accounts.clear()
            cluster.jobs.by_handle.clear()
        self.sim.faults.clear()
        self.sim.reset_calls()
        self.warnings.messages.clear()

    def new_volume_type(self, **qos):
        """Return the id of a volume type with these IOPS."""
        return volume_types.create(
            context.get_admin_context(), 'type of %s' % self.id(),
            {'qos:' + key: str(value) for key, value in qos.items()}).id

    def account_id(self, name=fake.PROJECT_ID):
        """Return the id of the one account of that name."""
        found = [account.account_id for account in
                 self.sim.cluster.accounts.values()
                 if account.username == name]
        self.assertEqual(1, len(found), name)
        return found[0]

    # What must be so after any request

    def assert_no_debris(self):
        """Check that all there is are whole templates and whole volumes."""
        cluster = self.sim.cluster
        cluster.advance()
        self.assertEqual([], cluster.jobs.running())
        self.assertEqual([], [volume for volume in cluster.volumes.values()
                              if volume.status != 'active'])
        self.assertEqual([], os.listdir(
            os.path.join(self.state, 'conversion')))
        names = [account.username for account in cluster.accounts.values()]
        self.assertEqual(sorted(set(names)), sorted(names))
        for volume in self.templates():
            self.assertEqual(
                'ready', volume.attributes[tpl.ATTRIBUTE]['state'])
            self.assertEqual('readOnly', volume.access)
        names = [volume.name for volume in cluster.volumes.values()]
        self.assertEqual(sorted(set(names)), sorted(names))

    def assert_volume(self, volume, model_update, data, qos=None):
        """Check the one volume that was made for a request."""
        made = self.only_volume(volume)
        self.assertEqual(
            (volume.size * units.Gi, self.account_id(volume.project_id),
             'readWrite', qos or self.sim.cluster.default_qos),
            (made.size, made.account_id, made.access, made.qos))
        self.assertEqual(str(made.volume_id),
                         model_update['provider_id'].split()[0])
        self.assert_holds(model_update, data)

    def only_volume(self, volume):
        """Return what is on the cluster under a Cinder volume's name."""
        found = self.volumes_named('UUID-' + volume.id)
        self.assertEqual(1, len(found), found)
        return found[0]
