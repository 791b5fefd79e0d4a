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
import os
import random
import time
from unittest import mock

import ddt
import hypothesis
from hypothesis import stateful
import requests.adapters

from cinder import coordination
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import direct_transport
from cinder.tests.functional.solidfire_template_cache import model
from cinder.tests.functional.solidfire_template_cache import model_hosts
from cinder.tests.functional.solidfire_template_cache import model_machine
from cinder.tests.functional.solidfire_template_cache import model_rules
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers import solidfire

MINUTES = float(os.environ.get('TEMPLATE_CACHE_MODEL_MINUTES') or 0)
ONE_SEED = int(os.environ.get('TEMPLATE_CACHE_MODEL_SEED') or 0)

TESTS = 4
RUNS = 15
STEPS = 30
"""Steps of a run, and runs of each test."""


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
            sf_template_max_count=model_rules.MAX_TEMPLATES,
            sf_template_max_gib=model_rules.MAX_GIB,
            sf_template_idle_days=model_rules.IDLE_DAYS)
        self.mock_object(solidfire, 'time', mock.Mock(
            spec_set=['sleep', 'time'], sleep=self.clock.sleep,
            time=self.clock.monotonic))
        self._start_coordinators()
        self.network = model_hosts.Network()
        self.mock_object(
            requests.adapters.HTTPAdapter, 'send',
            lambda adapter, *args, **kwargs: self.network.send(
                adapter, *args, **kwargs))
        self.images = model.Images(self.qcow2)
        self.rules = model_rules.Rules(self)
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
