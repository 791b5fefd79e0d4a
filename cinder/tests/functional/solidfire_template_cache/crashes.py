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

"""Kills a service at each point of what it does, and checks what follows.

Wherever it dies and whatever happens next, in the end there is one complete
template and the volumes that were requested.
"""

import dataclasses
import datetime
import itertools
import os
import traceback

from oslo_utils import timeutils
from oslo_utils import uuidutils

from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.functional.solidfire_template_cache import service_tests
from cinder.tests.functional.solidfire_template_cache import untrusted
from cinder.volume.drivers.solidfire_template_cache.templates import model

SOAK = bool(os.environ.get('TEMPLATE_CACHE_SOAK'))
"""Whether all points are tried, each with all sequels; else they take turns,
and points that another test has are left out."""

SEQUELS = (
    'restart retry create',
    'retry_elsewhere bare_restart create',
    'bare_restart create retry',
    'bare_restart housekeeping retry_elsewhere create',
    'restart create delete',
    'retry_elsewhere restart create',
    'bare_restart retry create',
)
"""Names of steps, see ``step_...``.

The host that died gets a request in the end, so that the next case begins
with one that has everything cached.
"""

# Seconds since the first attempt when a volume is requested again: it takes
# longer until a host is known to be down.
AGE = 90

# The hosts of these tests share their locks by files, which is not for
# operators; and a volume that is deleted may not have been created.
_EXPECTED = ('Set backend_url in [coordination]',
             'was not found on the SolidFire Cluster while attempting '
             'delete_volume')


@dataclasses.dataclass(frozen=True)
class AtCall(object):
    """In the n-th call to the cluster, before or after its effect."""

    methods: tuple
    number: int
    when: str

    def __str__(self):
        return '%s, call %d of %d, %s its effect' % (
            self.methods[self.number - 1], self.number, len(self.methods),
            self.when)

    def kill(self, case):
        """Kill the process here; return the reply that never comes."""
        rule = case.services.kill_at_call(case.mortal, self.number, self.when)
        reply = case.act()
        case.services.wait_until(
            lambda: rule.hits or reply.done, 'a call by the host')
        case.mortal.kill()
        # The simulator records a call when it has done with it.
        case.services.wait_until(
            lambda: len(case.sim.calls) >= self.number, 'the last call')
        case.sim.faults.clear()
        # Otherwise this was not the point that was meant.
        case.assertEqual(list(self.methods[:self.number]),
                         case.sim.calls.methods)
        return reply


@dataclasses.dataclass(frozen=True)
class AtStage(object):
    """At one of the :mod:`stages`."""

    stage: str

    def __str__(self):
        return self.stage

    def kill(self, case):
        """Kill the process here; return the reply that never comes."""
        case.mortal.arm(self.stage)
        reply = case.act()
        case.mortal.wait_stage(self.stage)
        case.mortal.kill()
        return reply


class CrashTestCase(service_tests.ServicesTestCase):
    """Two hosts of one cluster, of which one dies again and again."""

    OPTIONS = {}

    # Whether images are to be converted, from temporary files.
    CONVERTED = False

    # Clones are done at the first poll, so that all runs have equal calls.
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
        self.reset()

    def _watch(self, owner, name, check):
        """Check a volume before the cluster does something with it."""
        original = getattr(owner, name)
        self.mock_object(owner, name, autospec=True,
                         side_effect=lambda volume, *args, **kwargs: (
                             check(volume),
                             original(volume, *args, **kwargs))[1])

    def reset(self):
        """Begin with an empty cluster, and hosts with nothing cached."""
        while self.hosts:
            self.hosts.popitem()[1].kill()
        base.clear(self.sim)
        self.made = set()
        self._half_cloned.clear()
        self._removed_attached.clear()
        self._known_warnings = {}
        self.restart()

    @property
    def mortal(self):
        return self.hosts['mortal']

    @property
    def other(self):
        if 'other' not in self.hosts:
            self.restart('other')
        return self.hosts['other']

    def restart(self, name='mortal'):
        host, = self.services.start(
            name, backend_url='file://' + self.services.directory,
            **self.OPTIONS)
        self.hosts[name] = host
        # Its log is also that of its earlier processes.
        self._known_warnings.setdefault(name, self._warnings_of(host))

    def add_image(self, **members):
        """Return a new image; its data is like no other's."""
        data = b'contents %6d\n' % next(self._contents) * 20000
        content = data
        if self.CONVERTED:
            members.update(disk_format='qcow2', virtual_size=len(data))
            content = untrusted.ImageFactory(data, None).make('qcow2')
        image = self.images.add(content, **members)
        self._data[image['id'], image['updated_at']] = data
        return image

    def replace_image(self, image):
        """Give an image other data; return its metadata."""
        return self.add_image(
            id=image['id'], updated_at=image['updated_at'] +
            datetime.timedelta(seconds=60))

    @property
    def data(self):
        return self._data[self.image['id'], self.image['updated_at']]

    def prepare(self):
        """Set up the cluster and the hosts; set `image`."""
        raise NotImplementedError()

    def act(self):
        """Begin what the host is killed in."""
        self.volume_id = uuidutils.generate_uuid()
        return self.mortal.create(self.image, self.volume_id)

    def act_undisturbed(self):
        """Return the methods that an undisturbed run calls, in order."""
        self.prepare()
        self.sim.reset_calls()
        self.assertIsNone(self.act().wait().get('error'))
        methods = self.sim.calls.methods
        if self.volume_id:
            self.made.add(self.volume_id)
        self.step_create()
        self.check_end()
        return methods

    def kill_at_calls(self, until='', only=''):
        """Let the host die before and after the effect of each call.

        :param until: the last method; what follows is in another test
        :param only: part of the names; the others are in another test
        """
        methods = tuple(self.act_undisturbed())
        last = methods.index(until) + 1 if until and not SOAK else None
        self.kill_at([
            AtCall(methods, number, when)
            for number, method in enumerate(methods[:last], 1)
            if SOAK or only in method
            for when in ('before', 'after')
            # What only reads has no effect.
            if when == 'before' or not method.startswith(('Get', 'List'))])

    def kill_at(self, points):
        """Let the host die at all these points; report all that failed."""
        self.assertNotEqual([], points)
        failed = []
        cases = [(point, sequel) for point in points for sequel in SEQUELS]
        if not SOAK:
            cases = [(point, SEQUELS[number % len(SEQUELS)])
                     for number, point in enumerate(points)]
        for point, sequel in cases:
            try:
                self.check(point, sequel.split())
            except Exception:
                failed.append('%s, then %s:\n%s' % (
                    point, sequel, traceback.format_exc()))
                self.reset()
        print('%s: %d crash points, %d cases' % (  # noqa: C303
            self.id(), len(points), len(cases)))
        if failed:
            self.fail('%d of %d cases\n%s' % (
                len(failed), len(cases), '\n'.join(failed)))

    def check(self, point, steps):
        self.prepare()
        self.sim.reset_calls()
        reply = point.kill(self)
        self.assertRaises(processes.ProcessDied, reply.wait)
        self.shorten_fills()
        self.other_retried = False
        for step in steps:
            getattr(self, 'step_' + step)()
        self.check_end()

    def shorten_fills(self):
        """Make the files of fills short, as a conversion makes them."""
        for volume in self.volumes(model.NAME_PREFIX):
            if volume.status == 'active' and _state_of(volume) == 'filling':
                os.truncate(self.path_of(volume), 0)
                self.shortened.add(volume.volume_id)

    # Steps

    def step_restart(self):
        """The host that died comes back, and runs housekeeping."""
        self.restart()
        self.check_restarted()
        self.assert_complete()

    def step_bare_restart(self):
        """It comes back, and cannot run housekeeping."""
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

    def step_housekeeping(self):
        """It runs housekeeping, and nothing is left of its fills."""
        self.mortal.call('stats')
        self.assert_complete()

    def step_create(self):
        """It gets a request for another volume."""
        self.assert_created(self.mortal.create(self.image).wait())

    def step_retry(self):
        """It gets the request for the same volume again."""
        if self.volume_id:
            self.assert_created(self.mortal.create(
                self.image, self.volume_id, age=AGE).wait())

    def step_retry_elsewhere(self):
        """The other host gets the request for the same volume."""
        if self.volume_id:
            self.other_retried = True
            self.await_clones()
            self.assert_created(self.other.create(
                self.image, self.volume_id, age=AGE).wait())

    def step_delete(self):
        """The tenant deletes the volume that was not created."""
        if self.volume_id:
            self.await_clones()
            self.mortal.call('delete', volume_id=self.volume_id)
            # The cluster purges it after some hours.
            for volume in self.volumes('UUID-' + self.volume_id):
                self.assertEqual('deleted', volume.status)
                with self.sim.cluster.lock:
                    self.sim.cluster.forget_volume(volume.volume_id)

    def await_clones(self):
        """Wait for the clones that the dead process has begun."""
        cluster = self.sim.cluster
        self.services.wait_until(
            lambda: cluster.advance() or not cluster.jobs.running(),
            'the end of all clones')

    # What must hold

    def assert_created(self, answer):
        self.assert_made(answer, self.data)
        self.made.add(answer['volume_id'])

    def assert_complete(self):
        """Check that all templates are complete, one of each image.

        There may be replicas, too.
        """
        templates = self.volumes(model.NAME_PREFIX)
        self.assertEqual(
            [('active', 'readOnly', 'ready')] * len(templates),
            [(volume.status, volume.access, _state_of(volume))
             for volume in templates])
        names = [volume.name for volume in templates
                 if not base.is_replica(volume)]
        self.assertEqual(sorted(set(names)), sorted(names))

    def check_end(self):
        # Superseded templates are left to housekeeping.
        self.mortal.call('stats')
        self.assert_complete()
        template, = self.volumes(model.name_for(self.image['id']))
        self.assertTrue(self.holds(template, self.data))
        self.assertEqual(
            sorted('UUID-' + volume_id for volume_id in self.made),
            sorted(volume.name for volume in self.volumes('UUID-')))
        self.assertEqual([], self.sim.cluster.jobs.running())
        self.assertEqual([], self._half_cloned)
        self.assertEqual([], self._removed_attached)
        self.assert_no_temporary_files(*self.hosts.values())
        for name, host in self.hosts.items():
            self.assertEqual(self._known_warnings[name],
                             self._warnings_of(host))

    @staticmethod
    def _warnings_of(host):
        return [text for text in [*host.warnings(), host.printed()]
                if not any(words in text for words in _EXPECTED)]

    def _watch_source(self, source):
        """Note a clone of a template that differs from its image."""
        mark = source.attributes.get(model.ATTRIBUTE)
        if mark and not self.holds(source, self._data[
                mark['image_id'],
                timeutils.parse_isotime(mark['image_updated_at'])]):
            self._half_cloned.append(source.volume_id)

    def _watch_removal(self, volume):
        """Note a removal of what a dead process may have attached."""
        if volume.volume_id in self.shortened and (
                os.path.getsize(self.path_of(volume)) < volume.size):
            self._removed_attached.append(volume.volume_id)


def _state_of(volume):
    return volume.attributes[model.ATTRIBUTE]['state']
