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

"""Kills a service at each point of what it does, and looks what follows.

A point is where the process dies, a sequel is what happens next. Whatever
they are, in the end there is one whole template and the volumes asked for.
"""

import itertools
import os
import traceback

from oslo_utils import timeutils
from oslo_utils import uuidutils

from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.functional.solidfire_template_cache import service_tests
from cinder.volume.drivers.solidfire_template_cache import template as tpl

EACH_SEQUEL = bool(os.environ.get('TEMPLATE_CACHE_SOAK'))
"""Whether all sequels are tried at each point, or they take turns."""

SEQUELS = (
    'restart retry ask',
    'elsewhere untidy_restart ask',
    'untidy_restart ask retry',
    'untidy_restart round elsewhere ask',
    'restart ask delete',
    'elsewhere restart ask',
    'untidy_restart retry ask',
)
"""Names of steps, see ``step_...``.

The host that died is asked in the end, so that the next case begins with one
that knows its way.
"""

# Seconds since the first attempt when a volume is asked for again: it takes
# longer until a host is known to be down.
AGE = 90

# All that may be complained of: the hosts of these tests share their locks by
# files, which is not for operators, and a volume that is to be deleted may not
# have come to be.
_EXPECTED = ('Set backend_url in [coordination]',
             'was not found on the SolidFire Cluster while attempting '
             'delete_volume')


class CrashTestCase(service_tests.ServicesTestCase):
    """Two hosts of one cluster, of which one dies again and again.

    :ivar mortal: the host that dies, as the process that it is now
    :ivar other: the host that lives on, started when it is needed
    """

    OPTIONS = {}
    """Of the back end's section."""

    # A clone is done at the first look, so that all runs have the same calls.
    CLONE_SECONDS = 0.05

    def setUp(self):
        super().setUp()
        self._contents = itertools.count()
        self._data = {}
        self._half_cloned, self._removed_attached = [], []
        self.shortened = set()
        self.hosts = {}
        self._watch(self.sim.cluster.jobs, 'start', self._watch_source)
        self._watch(self.sim.cluster, 'delete_volume', self._watch_removal)
        self.begin_anew()

    def _watch(self, owner, name, look):
        """Have a look at a volume before the cluster does something."""
        carry_out = getattr(owner, name)

        def look_before(volume, *args, **kwargs):
            look(volume)
            return carry_out(volume, *args, **kwargs)

        self.mock_object(owner, name, autospec=True, side_effect=look_before)

    # What there is to begin with

    def begin_anew(self):
        """Have an empty cluster, and hosts that know nothing."""
        while self.hosts:
            self.hosts.popitem()[1].kill()
        cluster = self.sim.cluster
        self.sim.faults.clear()
        with cluster.lock:
            for volume_id in list(cluster.volumes):
                cluster.forget_volume(volume_id)
            cluster.accounts.clear()
            cluster.jobs.by_handle.clear()
        self.made = set()
        self._half_cloned.clear()
        self._removed_attached.clear()
        self._told = {}
        self.restart()

    @property
    def mortal(self):
        return self.hosts['mortal']

    @property
    def other(self):
        if 'other' not in self.hosts:
            self._start('other')
        return self.hosts['other']

    def restart(self):
        """Start the host that died."""
        self._start('mortal')

    def _start(self, name):
        host, = self.services.start(
            name, backend_url='file://' + self.services.directory,
            **self.OPTIONS)
        self.hosts[name] = host
        # Its log is also that of its former lives.
        self._told.setdefault(name, self._complaints_of(host))

    def add_image(self):
        """Return a new image; its data are like no other's."""
        return self._note(self.images.add(self._new_data()))

    def replace_image(self, image):
        """Give an image other data; return its metadata."""
        return self._note(self.images.replace(image['id'], self._new_data()))

    def _new_data(self):
        return b'contents %6d\n' % next(self._contents) * 20000

    def _note(self, image):
        with open(self.images.path(image['id'] + '.data'), 'rb') as source:
            self._data[image['id'], image['updated_at']] = source.read()
        return image

    def data_of(self, image):
        return self._data[image['id'], image['updated_at']]

    # The cases

    def prepare(self):
        """Have the cluster and the hosts as the path begins; set `image`."""
        raise NotImplementedError()

    def act(self):
        """Begin what the host is killed in."""
        self.volume_id = uuidutils.generate_uuid()
        return self.mortal.create(self.image, self.volume_id)

    def act_undisturbed(self):
        """Return the methods that the path calls, in order."""
        self.prepare()
        self.sim.reset_calls()
        self.assertIsNone(self.act().wait().get('error'))
        methods = self.sim.calls.methods
        if self.volume_id:
            self.made.add(self.volume_id)
        self.step_ask()
        self.check_end()
        return methods

    def run_points(self, points):
        """Let the host die at all these points; tell of all that failed."""
        self.assertNotEqual([], points)
        failed = []
        cases = [(point, sequel) for point in points for sequel in SEQUELS]
        if not EACH_SEQUEL:
            cases = [(point, SEQUELS[number % len(SEQUELS)])
                     for number, point in enumerate(points)]
        for point, sequel in cases:
            try:
                self.check(point, sequel.split())
            except Exception:
                failed.append('%s, then %s:\n%s' % (
                    point, sequel, traceback.format_exc()))
                self.begin_anew()
        print('%s: %d crash points, %d cases' % (
            self.id(), len(points), len(cases)))
        if failed:
            self.fail('%d of %d cases\n%s' % (
                len(failed), len(cases), '\n'.join(failed)))

    def check(self, point, steps):
        self.prepare()
        self.sim.reset_calls()
        reply = point.strike(self)
        self.assertRaises(processes.ProcessDied, reply.wait)
        self.shorten_fills()
        self.other_retried = False
        for step in steps:
            getattr(self, 'step_' + step)()
        self.check_end()

    def shorten_fills(self):
        """Make the files of fills short, as a conversion makes them.

        The end of a local attachment makes a file as long as its volume.
        """
        for volume in self.volumes(tpl.NAME_PREFIX):
            if volume.status == 'active' and _state_of(volume) == 'filling':
                os.truncate(self.path_of(volume), 0)
                self.shortened.add(volume.volume_id)

    # The steps of the sequels

    def step_restart(self):
        """The host that died comes back, and keeps house."""
        self.restart()
        self.check_restarted()
        self.assert_no_remains()

    def step_untidy_restart(self):
        """It comes back, and the cluster does not tell its statistics."""
        rule = self.sim.faults.add(method='GetClusterCapacity', times=None,
                                   error='xNotToday')
        self.restart()
        self.assertGreater(rule.hits, 0)
        self.sim.faults.clear()
        self.check_restarted()

    def check_restarted(self):
        self.assert_no_temporary_files(self.mortal)
        if self.volume_id and not self.other_retried:
            self.assertEqual(
                'error', self.services.volume_statuses()[self.volume_id])

    def step_round(self):
        """It keeps house, and nothing is left of its fills."""
        self.mortal.call('stats')
        self.assert_no_remains()

    def step_ask(self):
        """It is asked for another volume."""
        volume_id = uuidutils.generate_uuid()
        self.assert_created(
            self.mortal.create(self.image, volume_id).wait())

    def step_retry(self):
        """It is asked for the same volume again."""
        if self.volume_id:
            self.assert_created(self.mortal.create(
                self.image, self.volume_id, age=AGE).wait())

    def step_elsewhere(self):
        """The other host is asked for the same volume."""
        if self.volume_id:
            self.other_retried = True
            self.await_clones()
            self.assert_created(self.other.create(
                self.image, self.volume_id, age=AGE).wait())

    def step_delete(self):
        """The tenant deletes the volume that was not made."""
        if self.volume_id:
            self.await_clones()
            self.mortal.call('delete', volume_id=self.volume_id)
            self.purge('UUID-' + self.volume_id)

    def await_clones(self):
        """Let the clones end that the dead process has begun."""
        def are_done():
            self.sim.cluster.advance()
            return not self.sim.cluster.jobs.running()

        self.services.wait_until(are_done, 'the end of all clones')

    # What must be so

    def purge(self, name):
        """Remove a deleted volume, as the cluster does after some hours."""
        for volume in self.volumes(name):
            self.assertEqual('deleted', volume.status)
            with self.sim.cluster.lock:
                self.sim.cluster.forget_volume(volume.volume_id)

    def assert_created(self, answer):
        self.assert_made(answer, self.data_of(self.image))
        self.made.add(answer['volume_id'])

    def assert_no_remains(self):
        """Check that all templates are whole, and that none is doubled."""
        templates = self.volumes(tpl.NAME_PREFIX)
        self.assertEqual(
            [('active', 'readOnly', 'ready')] * len(templates),
            [(volume.status, volume.access, _state_of(volume))
             for volume in templates])
        names = [volume.name for volume in templates]
        self.assertEqual(sorted(set(names)), sorted(names))

    def check_end(self):
        self.assert_no_remains()
        template, = self.volumes(tpl.name_for(self.image['id']))
        self.assertTrue(self.holds(template, self.data_of(self.image)))
        self.assertEqual(
            sorted('UUID-' + volume_id for volume_id in self.made),
            sorted(volume.name for volume in self.volumes('UUID-')))
        self.assertEqual([], self.sim.cluster.jobs.running())
        self.assertEqual([], self._half_cloned)
        self.assertEqual([], self._removed_attached)
        self.assert_no_temporary_files(*self.hosts.values())
        for name, host in self.hosts.items():
            self.assertEqual(self._told[name], self._complaints_of(host))

    @staticmethod
    def _complaints_of(host):
        return [text for text in [*host.warnings(), host.printed()]
                if not any(words in text for words in _EXPECTED)]

    def _watch_source(self, source):
        """Note a clone of a template that is not its image, to the byte."""
        mark = source.attributes.get(tpl.ATTRIBUTE)
        if mark is None:
            return
        data = self._data[mark['image_id'], timeutils.parse_isotime(
            mark['image_updated_at'])]
        if not self.holds(source, data):
            self._half_cloned.append(source.volume_id)

    def _watch_removal(self, volume):
        """Note a removal of what a dead process may have attached."""
        if volume.volume_id in self.shortened and (
                os.path.getsize(self.path_of(volume)) < volume.size):
            self._removed_attached.append(volume.volume_id)


def _state_of(volume):
    return volume.attributes[tpl.ATTRIBUTE]['state']
