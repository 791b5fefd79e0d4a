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

"""What the tests of housekeeping share: templates of any age, rounds."""

import contextlib
import datetime

from oslo_config import cfg
from oslo_utils import units

from cinder import coordination
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import template as tpl
from cinder.volume import volume_utils

CONF = cfg.CONF

DATA = b'bootable' * 500
DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)


class HouseTestCase(base.HistoryTestCase):

    @property
    def host(self):
        """How templates name this host."""
        return tpl.host_mark(volume_utils.extract_host(CONF.host, 'host'))

    def run_round(self, driver=None):
        """Ask for the statistics, as the volume service does."""
        return (driver or self.driver).get_volume_stats(refresh=True)

    def plant_used(self, ago, size_gib=1, image=None, **members):
        """Leave a ready template; return its volumeID.

        :param ago: when it was used last, a timedelta before now
        """
        return self.plant(
            image or self.images.add(DATA), DATA, size=size_gib * units.Gi,
            last_used=self.clock.now() - ago, **members)

    def plant_fill(self, image=None, **members):
        """Leave a template that is being filled; return its volumeID."""
        members.setdefault('filled_by', self.host)
        return self.plant(image or self.images.add(DATA), DATA[:10],
                          access='readWrite', state=tpl.State.FILLING,
                          **members)

    def image_of(self, volume_id):
        """Return the metadata of the image that a template holds."""
        name = self.sim.cluster.volumes[volume_id].name
        return self.images.show(None, name[len(tpl.NAME_PREFIX):])

    def share_locks(self):
        """Let the locks count as those of all hosts."""
        self.mock_object(locks, 'are_shared', lambda: True)

    def hold(self, name):
        """Take a lock as another host does; return it, to be released."""
        lock = coordination.COORDINATOR.get_lock(name)
        self.assertTrue(lock.acquire(blocking=False))
        # This refers to it, too: a lock that nobody refers to ends.
        self.addCleanup(lambda: lock.acquired and lock.release())
        return lock

    def hold_image(self, volume_id):
        """Take the lock of the image of a template, as another host."""
        return self.hold(locks.for_image(
            self.sim.cluster.uuid, self.image_of(volume_id)['id']))

    def begin_clone(self, volume_id, seconds=100):
        """Let another host clone a volume for some seconds."""
        jobs = self.sim.cluster.jobs
        usual, jobs.seconds = jobs.seconds, seconds
        self.api('CloneVolume', volumeID=volume_id, access='readWrite',
                 name='of-another-host',
                 newAccountID=self.account_id('tenant'))
        jobs.seconds = usual

    def wait_fast(self):
        """Let waits take no real time: no other thread is to be let in."""
        self.mock_object(
            self.clock, 'wait',
            lambda condition, seconds: self.clock.advance(seconds))

    @contextlib.contextmanager
    def waiting_clone(self, volume_id):
        """Let a request of this process wait for its turn to clone."""
        scheduler = self.driver._template_parts().cache._scheduler
        with scheduler._turnstile.turn(volume_id, float('inf')):
            yield

    def left(self):
        """Return the volumeIDs of what there is in the shared account."""
        account = self.account_id()
        return sorted(volume.volume_id for volume in self.volumes_named('')
                      if volume.account_id == account)

    def pop_warning(self, *texts):
        """Check that there is one warning, with these texts; forget it."""
        self.assertEqual(1, len(self.warnings.messages),
                         self.warnings.messages)
        message = self.warnings.messages.pop()
        for text in texts:
            self.assertIn(str(text), message)
        return message
