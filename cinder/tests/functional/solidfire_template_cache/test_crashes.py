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

"""A volume service dies, wherever it is, and comes back.

Each test goes a path once undisturbed, and then again for each point of it,
where the process is killed (SIGKILL). With ``TEMPLATE_CACHE_SOAK`` in the
environment each point is tried with all that can follow.
"""

from unittest import mock

import ddt
from oslo_utils import uuidutils

from cinder.tests.functional.solidfire_template_cache import crash_points
from cinder.tests.functional.solidfire_template_cache import crashes
from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.functional.solidfire_template_cache import stages
from cinder.volume.drivers.solidfire_template_cache import template as tpl


class FirstRequestTestCase(crashes.CrashTestCase):
    """The cluster is empty, and the host has just started."""

    def prepare(self):
        if self.sim.cluster.accounts:
            self.begin_anew()
        self.image = self.add_image()

    def test_first_request_killed(self):
        methods = self.act_undisturbed()
        self.assertIn('AddAccount', methods)
        self.run_points(crash_points.points_of(methods))


class Refill(crashes.CrashTestCase):
    """The image was updated: a new template, and the old one goes."""

    def prepare(self):
        if not self.made:
            self.image = self.add_image()
            self.step_ask()
        self.image = self.replace_image(self.image)


class RefillTestCase(Refill):

    def test_refill_killed(self):
        methods = self.act_undisturbed()
        self.assertIn('PurgeDeletedVolume', methods)
        self.run_points(crash_points.points_of(methods))

    def test_refill_killed_at_stage(self):
        self.run_points([crash_points.AtStage(name) for name in stages.NAMES])
        self.assertNotEqual(set(), self.shortened)


class HitTestCase(crashes.CrashTestCase):
    """The template is there, and the host knows it."""

    def prepare(self):
        if not self.made:
            self.image = self.add_image()
            self.step_ask()

    def test_hit_killed(self):
        self.run_points(crash_points.points_of(self.act_undisturbed()))


class ColdHitTestCase(HitTestCase):
    """The template is there, and the host has just started."""

    def prepare(self):
        super().prepare()
        self.mortal.kill()
        self.restart()


class Leftovers(crashes.CrashTestCase):
    """A first death has left something, and the second comes meanwhile.

    Beside the template stand one half filled, a second whole one and one
    that was deleted and not yet purged.
    """

    def prepare(self):
        if not self.made:
            self.image = self.add_image()
            self.step_ask()
        original, = self.volumes(tpl.NAME_PREFIX)
        self.copy(original, 'filling')
        self.copy(original, 'ready')
        deleted = self.copy(original, 'ready')
        with self.sim.cluster.lock:
            self.sim.cluster.delete_volume(deleted)

    def copy(self, original, state):
        """Make a copy of a template as another fill would have made it."""
        cluster = self.sim.cluster
        mark = dict(original.attributes[tpl.ATTRIBUTE], state=state,
                    filled_by=self.mortal.host, fill_id='of one that died')
        with cluster.lock:
            made = cluster.add_volume(
                name=original.name, account_id=original.account_id,
                size=original.size, qos=dict(original.qos),
                access='readOnly' if state == 'ready' else 'readWrite',
                attributes={tpl.ATTRIBUTE: mark})
        if state == 'ready':
            cluster.files.copy(
                *('volume-%d' % volume.volume_id
                  for volume in (original, made)), original.size)
        else:
            cluster.files.create('volume-%d' % made.volume_id, 0)
            self.shorten_fills()
        return made


class HousekeepingTestCase(Leftovers):
    """A round of housekeeping removes them."""

    def act(self):
        self.volume_id = None
        return self.mortal.send('stats')

    def test_round_killed(self):
        methods = self.act_undisturbed()
        self.assertEqual(3, methods.count('PurgeDeletedVolume'))
        self.run_points(crash_points.points_of(methods))


class ClearingRequestTestCase(Leftovers):
    """A request that fills removes them, for the image was updated."""

    def prepare(self):
        super().prepare()
        self.image = self.replace_image(self.image)

    def test_refill_killed(self):
        methods = self.act_undisturbed()
        points = crash_points.points_of(methods)
        if not crashes.EACH_SEQUEL:
            # All that follows is that of a refill again.
            points = [point for point in points
                      if point.number <= methods.index('CreateVolume')]
        self.run_points(points)


class AccessGroupTestCase(Refill):
    """The cluster is told, too, of what is attached."""

    OPTIONS = {'sf_enable_vag': True}

    def test_refill_killed(self):
        methods = self.act_undisturbed()
        points = crash_points.points_of(methods)
        if not crashes.EACH_SEQUEL:
            points = [point for point in points
                      if 'AccessGroup' in methods[point.number - 1]]
        self.run_points(points)

    def check_end(self):
        super().check_end()
        # The hosts here are on one machine but have initiators of their
        # own: the group of the one that died may stay, with nothing in it.
        groups = self.sim.cluster.access_groups
        self.assertEqual([], [group for group in groups.values()
                              if group.volume_ids])
        groups.clear()


@ddt.ddt
class RunningCloneTestCase(crashes.CrashTestCase):
    """The clone that a dead host began goes on without it."""

    @ddt.data('mortal', 'other')
    def test_retry_while_the_clone_runs(self, name):
        self.image = self.add_image()
        self.step_ask()
        self.assert_created(self.other.create(
            self.image, uuidutils.generate_uuid()).wait())
        jobs = self.sim.cluster.jobs
        with mock.patch.object(jobs, 'seconds', float('inf')):
            rule = self.services.kill_at_call(self.mortal, 1, 'after',
                                              method='CloneVolume')
            lost = self.act()
            self.assertRaises(processes.ProcessDied, lost.wait)
        self.assertEqual(1, rule.hits)
        self.restart()
        clone, = jobs.running()
        self.sim.reset_calls()
        reply = getattr(self, name).create(self.image, self.volume_id,
                                           age=crashes.AGE)
        # A clone that runs is in no list of volumes, only among the jobs.
        self.services.wait_until(
            lambda: reply.done or 'ListSyncJobs' in self.sim.calls.methods,
            'a look at the jobs')
        with self.sim.cluster.lock:
            clone.due = 0
        self.assert_created(reply.wait())
        self.step_ask()
        self.check_end()
