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
"""A model drives two hosts through whatever may happen, and checks the rules.

Hypothesis draws the steps, and searches for the shortest run that breaks a
rule. The default runs are the same each time. For as long as one likes::

    TEMPLATE_CACHE_MODEL_MINUTES=60 OS_TEST_TIMEOUT=7200 python -m unittest \\
        cinder.tests.functional.solidfire_template_cache.test_model

continues with other seeds, and prints each; TEMPLATE_CACHE_MODEL_SEED
repeats one of them.
"""

import collections
import datetime
import json
import os
import random
import time
from unittest import mock

import ddt
import hypothesis
from hypothesis import stateful
from oslo_utils import timeutils
from oslo_utils import units
import requests.adapters

from cinder import coordination
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import direct_transport
from cinder.tests.functional.solidfire_template_cache import model
from cinder.tests.functional.solidfire_template_cache import model_hosts
from cinder.tests.functional.solidfire_template_cache import model_machine
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.templates import (
    model as template_model)

MINUTES = float(os.environ.get('TEMPLATE_CACHE_MODEL_MINUTES') or 0)
ONE_SEED = int(os.environ.get('TEMPLATE_CACHE_MODEL_SEED') or 0)

TESTS = 4
RUNS = 15
STEPS = 30
"""Steps of a run, and runs of each test."""

COMPARED_BYTES = 48 * units.Ki
"""Bytes of a volume that are compared; longer than any image's data."""

MAX_ATTRIBUTE_BYTES = 1000

MAX_TEMPLATES = 3
MAX_GIB = 4
MAX_REPLICAS = 2
IDLE_DAYS = 1
"""Limits of the templates in the template_model."""


class Rules(object):
    """Checks the whole cluster."""

    def __init__(self, test):
        self._test = test
        self._cluster = test.sim.cluster
        self._stock_log = test.useFixture(
            fixtures.LogCapture('cinder.volume.drivers.solidfire'))
        self.begin()

    def begin(self):
        """Begin with a new cluster.

        :ivar shared: whether the hosts share a coordination backend
        :ivar account_removed: whether the template account ever was
        :ivar altered: ids of templates that an operator wrote to or deleted
        :ivar foreign: ids of foreign volumes, with their attributes
        :ivar requested: (image id, project) of eligible requests
        """
        self.shared = True
        self.account_removed = False
        self.altered = set()
        self.foreign = {}
        self.requested = set()
        self._wrong_sources = []
        self._checked_lines = 0

    def watch_clones(self, start):
        """Return a function to start clone jobs that notes wrong sources."""
        def watched_start(source, *args, **kwargs):
            if (source.volume_id not in self.altered and
                    not self._is_good(source)):
                self._wrong_sources.append(source)
            return start(source, *args, **kwargs)

        return watched_start

    # Leftovers

    def leftovers(self, requests):
        """Return (id, what it is) of everything that is incomplete."""
        self._cluster.advance()
        finished = {request.number for request in requests
                    if request.done is not None}
        found = {(job.handle, 'a running clone')
                 for job in self._cluster.jobs.running()}
        seen = set()
        for volume in self._volumes():
            data = volume.attributes.get(template_model.ATTRIBUTE)
            if volume.name.startswith('UUID-'):
                if volume.volume_id not in finished:
                    found.add((volume.volume_id, 'a volume of no request'))
            elif data and volume.volume_id not in self.altered:
                what = self._judge(volume, data, seen)
                if what:
                    found.add((volume.volume_id, what))
        return found

    def new_leftovers(self, requests, before):
        """Return what was not there before."""
        known = {number for number, what in before
                 if what != 'a running clone'}
        return {(number, what)
                for number, what in self.leftovers(requests) - before
                if number not in known or what != 'a template that is not '
                                                  'purged'}

    def _judge(self, volume, data, seen):
        if volume.status != 'active':
            return 'a template that is not purged'
        if data['state'] == 'filling':
            return 'a template that is being filled'
        # Superseded ones are left to housekeeping; and so are second ones
        # where locks end at a host, or a host has a removed account cached.
        version = volume.name, data['image_updated_at'], data['image_hash']
        if version in seen and self.shared and not (
                self.account_removed or base.is_replica(volume)):
            return 'a second template'
        seen.add(version)
        return None

    def unneeded_templates(self):
        """Return all templates but the good one of each image."""
        found, good = [], {}
        for volume in self._test.templates():
            if volume.volume_id in self.foreign:
                continue
            held = volume.attributes.get(template_model.ATTRIBUTE, {}).get(
                'image_hash')
            if self._is_good(volume) and (volume.name not in good or (
                    good[volume.name] == held and base.is_replica(volume))):
                good[volume.name] = held
            elif self.shared or not self._is_filling(volume):
                found.append(volume)
        return found

    def has_room(self, image_id):
        """Return whether no dead fill of another image counts."""
        return not any(self._is_filling(volume)
                       for volume in self._test.templates()
                       if volume.name != template_model.NAME_PREFIX + image_id)

    @staticmethod
    def _is_filling(volume):
        data = volume.attributes.get(template_model.ATTRIBUTE) or {}
        return volume.status == 'active' and data.get('state') == 'filling'

    @staticmethod
    def _is_good(volume):
        data = volume.attributes.get(template_model.ATTRIBUTE) or {}
        return ((volume.status, volume.access, data.get('state')) ==
                ('active', 'readOnly', 'ready'))

    # Rules of housekeeping

    def check_housekeeping(self, warnings):
        """Check what must hold after it has run alone."""
        self._test.assertEqual([], [text for text in warnings
                                    if 'ousekeeping' in text])
        if self._cluster.jobs.running():
            # Templates that are being cloned are left alone.
            return
        # What an operator has altered stays until it is used or expires.
        self._test.assertEqual([], [
            volume for volume in self.unneeded_templates()
            if volume.status != 'active' or
            volume.volume_id not in self.altered])
        good = [volume for volume in self._test.templates()
                if self._is_good(volume)]
        if self.has_room(''):
            self._test.assertLessEqual(len(good), MAX_TEMPLATES)
            self._test.assertLessEqual(
                sum(volume.size for volume in good), MAX_GIB * units.Gi)
        for volume in good:
            last_used = timeutils.parse_isotime(
                volume.attributes[template_model.ATTRIBUTE]['last_used'])
            self._test.assertLessEqual(
                self._test.clock.now() - last_used,
                datetime.timedelta(days=IDLE_DAYS))

    # Rules without exception

    def check(self, requests):
        """Check what must be so at any time between two steps."""
        self._cluster.advance()
        self._check_names(requests)
        self._test.assertEqual([], self._wrong_sources)
        for count in collections.Counter(
                volume.name for volume in self._test.copies()).values():
            self._test.assertLessEqual(count, MAX_REPLICAS)
        for request in requests:
            if request.done is not None:
                self._check_volume(request)
        for volume in self._volumes():
            attributes = json.dumps(volume.attributes)
            self._test.assertLess(len(attributes.encode()),
                                  MAX_ATTRIBUTE_BYTES)
            self._test.assertIsNone(self._owner_of_secret(attributes))
            if volume.volume_id in self.foreign:
                continue
            data = volume.attributes.get(template_model.ATTRIBUTE)
            if data and data['state'] == 'ready' and (
                    volume.status == 'active'):
                self._check_template(volume, data)
        for volume_id, attributes in self.foreign.items():
            volume = self._cluster.volumes.get(volume_id)
            self._test.assertIsNotNone(volume, 'a foreign volume is gone')
            self._test.assertEqual(('active', 'readWrite', attributes), (
                volume.status, volume.access, volume.attributes))
        self._test.assertEqual([], os.listdir(
            os.path.join(self._test.state, 'conversion')))
        self._check_secrets()

    def _volumes(self):
        return [self._cluster.volumes[volume_id]
                for volume_id in sorted(self._cluster.volumes)]

    def _check_names(self, requests):
        # Each attempt that died may have left one, until the next attempt.
        unfinished = {request.name for request in requests
                      if request.done is None}
        names = [volume.name for volume in self._volumes()
                 if volume.status == 'active' and
                 volume.name.startswith('UUID-') and
                 volume.name not in unfinished]
        names += [account.username
                  for account in self._cluster.accounts.values()]
        self._test.assertEqual(sorted(set(names)), sorted(names))

    def _check_volume(self, request):
        """Check that a finished volume is there, and its data right."""
        made = self._cluster.volumes.get(request.number)
        self._test.assertIsNotNone(made, request)
        self._test.assertEqual(
            ('active', 'readWrite', request.name,
             request.volume.size * units.Gi, request.volume.project_id),
            (made.status, made.access, made.name, made.size,
             self._owner(made)))
        self._check_data(made, request.done)

    def _check_data(self, volume, data):
        held = self._test.read_volume(volume.volume_id, COMPARED_BYTES)
        if held != data.ljust(COMPARED_BYTES, b'\0'):
            self._test.fail('volume %s, %s, holds %r instead of %r' % (
                volume.volume_id, volume.name, held[:40], data[:40]))

    def _owner(self, volume):
        return self._cluster.accounts[volume.account_id].username

    def _check_template(self, volume, data):
        """Check that a ready template is whole, and may be there at all."""
        self._test.assertEqual(
            (template_model.name_for(data['image_id']),
             base.TEMPLATE_ACCOUNT),
            (volume.name, self._owner(volume)))
        if volume.volume_id not in self.altered:
            self._test.assertEqual('readOnly', volume.access)
        metadata = self._test.images.version_at(
            data['image_id'], timeutils.parse_isotime(
                data['image_updated_at']))
        self._test.assertIsNotNone(metadata, data)
        self._check_data(volume, self._test.images.raw_of(metadata))
        if metadata['visibility'] == 'private':
            self._test.assertIn((metadata['id'], metadata['owner']),
                                self.requested)

    def _check_secrets(self):
        lines = self._test.log.lines[self._checked_lines:]
        self._checked_lines = len(self._test.log.lines)
        for line in lines + self._stock_log.lines:
            self._test.assertIsNone(self._owner_of_secret(line), line)
        self._stock_log.clear()

    def _owner_of_secret(self, text):
        """Return whose secret a text contains, or None."""
        if self._test.sim.password in text:
            return 'the cluster'
        for account in self._cluster.accounts.values():
            if (account.target_secret in text or
                    account.initiator_secret in text):
                return account.username
        return None


@ddt.ddt
class ModelTestCase(base.FunctionalTestCase):

    def setUp(self):
        super().setUp()
        # A request may interrupt another host while that handles an error.
        self.log.enabled = False
        self.sim.server.stop()
        self.useFixture(direct_transport.DirectTransport(self.sim.server,
                                                         self.clock))
        os.makedirs(self.conversion_dir)
        # Waiting costs time even by a manual clock.
        self.driver = self.new_driver(
            sf_volume_clone_timeout=60, sf_template_wait_timeout=30,
            sf_template_max_count=MAX_TEMPLATES,
            sf_template_max_replicas=MAX_REPLICAS,
            sf_template_max_gib=MAX_GIB,
            sf_template_idle_days=IDLE_DAYS)
        self.mock_object(solidfire, 'time', mock.Mock(
            spec_set=['sleep', 'time'], sleep=self.clock.sleep,
            time=self.clock.monotonic))
        self._start_coordinators()
        self.network = model_hosts.Network()
        network = self.network
        self.mock_object(
            requests.adapters.HTTPAdapter, 'send',
            lambda *args, **kwargs: network.send(*args, **kwargs))
        self.images = model.Images(self.qcow2)
        self.rules = Rules(self)
        jobs = self.sim.cluster.jobs
        self.mock_object(jobs, 'start', self.rules.watch_clones(jobs.start))
        self.counts = collections.Counter()

    def new_clock(self):
        # There is one thread only.
        return fixtures.ManualClock()

    def new_cluster(self, **arguments):
        return super().new_cluster(password='Pa55word-of-the-cluster',
                                   **arguments)

    def _start_coordinators(self):
        """Prepare locks that hosts share, and some that they do not."""
        self._common = coordination.COORDINATOR
        self._own = []
        for number in range(2):
            url = 'file://%s/host%d' % (self.state, number)
            self.override_config('backend_url', url, group='coordination')
            own = coordination.Coordinator(prefix='cinder-')
            own.start()
            self.addCleanup(own.stop)
            self._own.append(own)

    def share_locks(self, hosts, shared):
        """Let hosts share their locks, or not."""
        self.override_config('backend_url', 'redis://' if shared
                             else 'file://' + self.state,
                             group='coordination')
        for host, own in zip(hosts, self._own):
            host.coordinator = self._common if shared else own

    def start_host(self, name):
        """Return the driver of a process that has just been started."""
        return self.start_driver(type(self.driver), self.driver.configuration,
                                 host=name + '@solidfire')

    def run_model(self, seed):
        print('model: seed %d' % seed)  # noqa: C303
        machine = type('Machine', (model_machine.Machine,), {'test': self})
        stateful.run_state_machine_as_test(
            hypothesis.seed(seed)(machine), settings=hypothesis.settings(
                max_examples=RUNS, stateful_step_count=STEPS,
                # Machines differ in speed, and nothing is kept from one run
                # of the tests to the next.
                deadline=None, database=None, report_multiple_bugs=False,
                suppress_health_check=list(hypothesis.HealthCheck)))

    @ddt.data(*range(1, TESTS + 1))
    def test_model_keeps_the_rules(self, seed):
        end = time.monotonic() + 60 * MINUTES / TESTS
        try:
            self.run_model(ONE_SEED or seed)
            while time.monotonic() < end:
                self.run_model(random.randrange(TESTS + 1, 2 ** 31))
        finally:
            print('model: ' + ', '.join(  # noqa: C303
                '%d %s' % (self.counts[name], name)
                for name in model_machine.COUNTED))
        # Otherwise nothing would be tested.
        for name in model_machine.COUNTED:
            self.assertGreater(self.counts[name], 0, name)
