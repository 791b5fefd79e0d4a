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

"""A volume service is killed, wherever it is, and comes back.

Each test does something once undisturbed, and then again for each point of
it, where the process is killed (SIGKILL). With ``TEMPLATE_CACHE_SOAK`` in the
environment all points of all tests are tried, each with all that can follow.
"""

import itertools
from unittest import mock

import ddt
from oslo_utils import uuidutils

from cinder.tests.functional.solidfire_template_cache import crashes
from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.functional.solidfire_template_cache import stages
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import replicas


class FirstRequestTestCase(crashes.CrashTestCase):
    """The cluster is empty, and the host has just started."""

    def prepare(self):
        if self.sim.cluster.accounts:
            self.reset()
        self.image = self.add_image()

    def test_first_request_killed(self):
        self.kill_at_calls(until='CreateVolume')


class Hit(crashes.CrashTestCase):
    """The template exists, and the host has it cached."""

    def prepare(self):
        if not self.made:
            self.image = self.add_image()
            self.step_create()

    def copy(self, original, state, **record):
        """Make a copy of a template as another process would have made it.

        :param record: what differs in its record
        """
        cluster = self.sim.cluster
        mark = dict(original.attributes[model.ATTRIBUTE], state=state,
                    filled_by=self.mortal.host, fill_id='of one that died',
                    **record)
        with cluster.lock:
            made = cluster.add_volume(
                name=original.name, account_id=original.account_id,
                size=original.size, qos=dict(original.qos),
                access='readOnly' if state == 'ready' else 'readWrite',
                attributes={model.ATTRIBUTE: mark})
        if state == 'ready':
            cluster.files.copy(
                *('volume-%d' % volume.volume_id
                  for volume in (original, made)), original.size)
        else:
            cluster.files.create('volume-%d' % made.volume_id, 0)
            self.shorten_fills()
        return made

    def let_replicas_idle(self):
        """Let them be idle for so long that housekeeping removes them."""
        # What was in use when the host died is seen idle twice.
        self.mortal.call('stats')
        self.mortal.call('advance', seconds=replicas.IDLE_SECONDS)


class HitTestCase(Hit):

    def test_hit_killed(self):
        self.kill_at_calls()


class ColdHitTestCase(Hit):
    """The template exists, and the host has just started."""

    def prepare(self):
        super().prepare()
        self.mortal.kill()
        self.restart()

    def test_hit_killed(self):
        self.kill_at_calls(until='CloneVolume')


class Refill(Hit):
    """The image was updated: a new template is filled."""

    def prepare(self):
        super().prepare()
        self.image = self.replace_image(self.image)


class RefillTestCase(Refill):

    def test_refill_killed(self):
        self.kill_at_calls()

    def test_refill_killed_at_stage(self):
        self.kill_at([crashes.AtStage(name) for name in stages.NAMES
                      if name not in stages.FILE_ONLY +
                      stages.REPLICA_ONLY])
        self.assertNotEqual(set(), self.shortened)


class ConvertedRefillTestCase(Refill):
    """The image is not raw."""

    CONVERTED = True

    def test_refill_killed_at_stage(self):
        self.kill_at([crashes.AtStage(name) for name in (
            set(stages.NAMES) - set(stages.REPLICA_ONLY) if crashes.SOAK
            else (stages.DOWNLOAD, *stages.FILE_ONLY))])
        self.assertNotEqual(set(), self.shortened)


class AccessGroupTestCase(Refill):
    """The cluster records what is attached to which host."""

    OPTIONS = {'sf_enable_vag': True}

    def test_refill_killed(self):
        self.kill_at_calls(only='AccessGroup')

    def check_end(self):
        super().check_end()
        # The hosts here are on one machine but have initiators of their
        # own: the group of the one that died may stay, with nothing in it.
        groups = self.sim.cluster.access_groups
        self.assertEqual([], [group for group in groups.values()
                              if group.volume_ids])
        groups.clear()


@ddt.ddt
class StormTestCase(Hit):
    """Many requests at once: the template is cloned into a replica."""

    REQUESTS = 8

    def act(self):
        self.storm = {uuidutils.generate_uuid()
                      for _number in range(self.REQUESTS)}
        known = len(self.services.volume_statuses())
        self.sim.faults.add(
            method='CloneVolume', times=2, match={'access': 'readWrite'},
            action=lambda: self.services.wait_until(
                lambda: len(self.services.volume_statuses()) ==
                known + self.REQUESTS, 'all requests'),
            # Until they wait in the queue, too.
            delay=1)
        replies = [self.mortal.create(self.image, volume_id)
                   for volume_id in self.storm]
        self.volume_id = None
        return replies[0]

    def check_end(self):
        self.let_replicas_idle()
        super().check_end()

    @ddt.data(*itertools.product(stages.REPLICA_ONLY, (False, True)))
    @ddt.unpack
    def test_storm_killed(self, stage, updated):
        self.prepare()
        crashes.AtStage(stage).kill(self)
        self.sim.faults.clear()
        self.await_clones()
        self.restart()
        for host, self.volume_id in zip(
                itertools.cycle([self.other, self.mortal]), self.storm):
            if updated:
                self.step_delete()
            else:
                self.assert_created(host.create(
                    self.image, self.volume_id, age=crashes.AGE).wait())
        if updated:
            self.image = self.replace_image(self.image)
            self.step_create()
        self.check_end()


class Leftovers(Hit):
    """A first death has left something, and a second one follows."""

    def prepare(self):
        super().prepare()
        # What it checks of new volumes is behind it, so all runs are equal.
        self.mortal.call('stats')
        original, = self.volumes(model.NAME_PREFIX)
        self.copy(original, 'filling')
        self.copy(original, 'ready')
        deleted = self.copy(original, 'ready')
        with self.sim.cluster.lock:
            self.sim.cluster.delete_volume(deleted)


class HousekeepingTestCase(Leftovers):
    """Housekeeping removes them."""

    def act(self):
        self.volume_id = None
        return self.mortal.send('stats')

    def act_undisturbed(self):
        methods = super().act_undisturbed()
        self.assertEqual(3, methods.count('PurgeDeletedVolume'))
        return methods

    def test_housekeeping_killed(self):
        self.kill_at_calls()


class FillAfterCrashTestCase(Leftovers):
    """A request that fills removes them, since the image was updated."""

    def prepare(self):
        super().prepare()
        self.image = self.replace_image(self.image)

    def test_refill_killed(self):
        self.kill_at_calls(until='CreateVolume')


@ddt.ddt
class RunningCloneTestCase(Hit):
    """The clone that a killed host has started continues without it."""

    def kill_while_cloning(self):
        """Kill and restart the host; return the clone that it has begun."""
        jobs = self.sim.cluster.jobs
        with mock.patch.object(jobs, 'seconds', float('inf')):
            rule = self.services.kill_at_call(self.mortal, 1, 'after',
                                              method='CloneVolume')
            lost = self.act()
            self.assertRaises(processes.ProcessDied, lost.wait)
        self.assertEqual(1, rule.hits)
        self.restart()
        clone, = jobs.running()
        return clone

    def end(self, clone):
        with self.sim.cluster.lock:
            clone.due = 0
        self.await_clones()

    @ddt.data('mortal', 'other')
    def test_retry_while_the_clone_runs(self, name):
        self.prepare()
        self.assert_created(self.other.create(
            self.image, uuidutils.generate_uuid()).wait())
        clone = self.kill_while_cloning()
        host = getattr(self, name)
        answer = host.create(self.image, self.volume_id,
                             age=crashes.AGE).wait()
        # A clone in progress is in no list of volumes, only among the jobs.
        host.call('stats')
        self.end(clone)
        host.call('stats')
        self.assert_created(answer)
        self.step_create()
        self.check_end()

    def test_retry_clones_a_replica_that_is_younger(self):
        self.prepare()
        clone = self.kill_while_cloning()
        original, = self.volumes(model.NAME_PREFIX)
        replica = self.copy(original, 'ready', replica_maker='another one')
        self.sim.faults.add(
            method='CloneVolume', match={'volumeID': original.volume_id},
            error='xMaxClonesPerVolumeExceeded', times=None)
        cloned = self.sim.faults.add(
            method='CloneVolume', match={'volumeID': replica.volume_id})
        answer = self.mortal.create(
            self.image, self.volume_id, age=crashes.AGE).wait()
        self.assertEqual(1, cloned.hits)
        self.sim.faults.clear()
        # Housekeeping has never seen it running.
        self.end(clone)
        self.mortal.call('stats')
        self.assert_created(answer)
        self.let_replicas_idle()
        self.check_end()
