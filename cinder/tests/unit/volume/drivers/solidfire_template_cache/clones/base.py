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

"""What the tests of clones share: a client whose clones take time."""

import contextlib
import dataclasses
import itertools
from unittest import mock

from oslo_utils import units

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.clones import sources
from cinder.volume.drivers.solidfire_template_cache.clones import spec
from cinder.volume.drivers.solidfire_template_cache import cluster
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import models

SOURCE_ID = 7
TIMEOUT = 600
SPEC = spec.CloneSpec(name='UUID-1', account_id=3, size=units.Gi,
                      enable_512e=True, attributes={'uuid': '1'}, qos={})


def api_error(name, method='CloneVolume', error_class=errors.ApiError):
    return error_class(method, name, 'reason of the test')


NEW_ERROR = api_error('xNew')


def source(source_id, maker=None):
    return sources.Source(source_id, units.Gi, maker)


def source_set(*source_ids, key=('image',), max_replicas=0):
    """Return replaced sources, which are what the cluster lists, too."""
    replaced = mock.create_autospec(sources.SourceSet, instance=True)
    replaced.key, replaced.max_replicas = key, max_replicas
    replaced.image_id = key[0]
    replaced.sources = tuple(map(source, source_ids or (SOURCE_ID,)))
    replaced.refresh.return_value = list(replaced.sources)
    replaced.remove_unrecorded.return_value = False
    return replaced


def new_info(**limits):
    """Return a replaced ClusterInfo; ``limits`` are members of Limits."""
    info = mock.create_autospec(cluster_info.ClusterInfo, instance=True)
    info.clone_limits.return_value = slots.Limits(**limits)
    info.nodes.return_value = info.volume_nodes.return_value = None
    info.default_qos.return_value = {}
    return info


class CloneTestCase(test.TestCase):
    """A replaced client; a volume's id is its job's handle and cloneID."""

    CLOCK = fixtures.ManualClock

    def setUp(self):
        super().setUp()
        self.clock = self.CLOCK()
        self.clone_seconds, self.members = 0, {}
        self.estimate = lambda remaining: remaining
        self.volumes, self.jobs = {}, {}
        self._ids = itertools.count(101)
        self.client = mock.create_autospec(client.ElementClient, instance=True)
        for name in ('clone_volume', 'get_job', 'cancel_clone',
                     'list_volumes', 'find_volume', 'list_clones',
                     'list_running_clones', 'list_clone_sources',
                     'remove_volume', 'remove_volumes_named'):
            getattr(self.client, name).side_effect = getattr(self, name)
        self.conf = mock.Mock(spec_set=['sf_volume_clone_timeout'],
                              sf_volume_clone_timeout=TIMEOUT)
        self.cluster = cluster.Cluster(
            id='cluster', client=self.client, clock=self.clock, host='host',
            conf=self.conf)
        self.info = new_info()

    def calls(self):
        return [call[0] for call in self.client.method_calls]

    @contextlib.contextmanager
    def failing(self, method, effect=NEW_ERROR):
        """Let a method of the client fail, or do something else."""
        call = getattr(self.client, method)
        call.side_effect = effect
        yield call
        call.side_effect = getattr(self, method, None)

    def begin(self, seconds, source_id=SOURCE_ID, **members):
        """Begin a clone, as any host does; return its volume."""
        volume = fixtures.element_volume(
            **dict({'id': next(self._ids), 'name': SPEC.name}, **self.members,
                   **members))
        self.jobs[volume.id] = (source_id, self.clock.monotonic() + seconds,
                                volume)
        return volume

    def started(self, volume, **changes):
        """Return the reply to CloneVolume for a clone that was begun."""
        return dataclasses.replace(models.StartedClone(
            volume=dataclasses.replace(volume, status='init', qos={}),
            handle=volume.id, clone_id=volume.id), **changes)

    # The client's methods

    def clone_volume(self, source_id, name, account_id, enable_512e,
                     attributes, new_size=None):
        return self.started(self.begin(
            self.clone_seconds, source_id, name=name, account_id=account_id,
            attributes=attributes, size=new_size or units.Gi))

    def get_job(self, handle):
        self._end_jobs()
        return models.Job(done=handle not in self.jobs, error=None)

    def cancel_clone(self, clone_id):
        self.jobs.pop(clone_id, None)

    def list_volumes(self, name):
        self._end_jobs()
        return [volume for _id, volume in sorted(self.volumes.items())
                if volume.name == name]

    def find_volume(self, volume_id):
        self._end_jobs()
        return self.volumes.get(volume_id)

    def list_clones(self):
        self._end_jobs()
        now = self.clock.monotonic()
        return [models.RunningClone(source_id, volume_id,
                                    remaining=self.estimate(end - now))
                for volume_id, (source_id, end, _volume) in self.jobs.items()]

    def list_running_clones(self, *source_ids):
        return {clone.volume_id for clone in self.list_clones()
                if not source_ids or clone.source_id in source_ids}

    def list_clone_sources(self):
        return {clone.source_id for clone in self.list_clones()}

    def remove_volume(self, volume_id):
        self._end_jobs()
        self.volumes.pop(volume_id, None)

    def remove_volumes_named(self, name):
        for volume in self.list_volumes(name):
            self.remove_volume(volume.id)

    def _end_jobs(self):
        for volume_id, (_source, end, volume) in list(self.jobs.items()):
            if self.clock.monotonic() >= end:
                self.volumes[volume_id] = volume
                del self.jobs[volume_id]

    # What became of it

    def let_time_pass(self):
        """Let all clones end; return the ids of the volumes there are."""
        self.clock.advance(10 ** 7)
        self._end_jobs()
        return sorted(self.volumes)

    def assert_nothing_left(self, exc=None):
        self.assertEqual([], self.let_time_pass())
        self.assertEqual([], getattr(exc, '__notes__', []))

    def fail_once(self, error, carried_out, times=1):
        """Let CloneVolume fail, before or after it was carried out."""
        failures = [error] * times

        def clone_volume(*args):
            if not failures:
                return self.clone_volume(*args)
            if carried_out:
                self.clone_volume(*args)
            raise failures.pop()

        self.client.clone_volume.side_effect = clone_volume
