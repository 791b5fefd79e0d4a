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

Hypothesis draws the steps, and looks for the shortest run that breaks a
rule. The default run is the same each time. For as long as one likes::

    TEMPLATE_CACHE_MODEL_MINUTES=60 OS_TEST_TIMEOUT=7200 python -m unittest \\
        cinder.tests.functional.solidfire_template_cache.test_model

goes on with other seeds, and prints each; TEMPLATE_CACHE_MODEL_SEED repeats
one of them.
"""

import collections
import os
import random
import subprocess
import time
from unittest import mock

import hypothesis
from hypothesis import stateful
import requests.adapters

from cinder import coordination
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import model
from cinder.tests.functional.solidfire_template_cache import model_hosts
from cinder.tests.functional.solidfire_template_cache import model_machine
from cinder.tests.functional.solidfire_template_cache import model_rules
from cinder.volume.drivers import solidfire

SEED = 3
RUNS = 60
STEPS = 30


class ModelTestCase(base.FunctionalTestCase):

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.state, 'conversion'))
        # Patience costs time even by a clock that is moved by hand.
        self.driver = self.new_driver(
            sf_volume_clone_timeout=60, sf_template_wait_timeout=30,
            sf_template_max_count=model_rules.MOST_TEMPLATES,
            sf_template_max_gib=model_rules.MOST_GIB,
            sf_template_idle_days=model_rules.IDLE_DAYS)
        self.mock_object(solidfire, 'time', mock.Mock(
            spec_set=['sleep', 'time'], sleep=self.clock.sleep,
            time=self.clock.monotonic))
        self._start_coordinators()
        self.wire = model_hosts.Wire()
        self.mock_object(
            requests.adapters.HTTPAdapter, 'send',
            lambda adapter, *args, **kwargs: self.wire.send(
                adapter, *args, **kwargs))
        self.images = model.Images(self.to_qcow2)
        self.rules = model_rules.Rules(self)
        jobs = self.sim.cluster.jobs
        self.mock_object(jobs, 'start', self.rules.watch_clones(jobs.start))
        self.counts = collections.Counter()

    def new_cluster(self, **arguments):
        return super().new_cluster(password='Pa55word-of-the-cluster',
                                   **arguments)

    def _start_coordinators(self):
        """Prepare locks that hosts have in common, and some of their own."""
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
        """Give hosts locks in common, or some that end at each.

        The driver judges by the address that is configured; what serves
        here is files in either case.
        """
        self.override_config('backend_url', 'redis://' if shared
                             else 'file://' + self.state,
                             group='coordination')
        for host, own in zip(hosts, self._own):
            host.coordinator = self._common if shared else own

    def start_driver(self, host):
        """Return a driver of a process that has just been started."""
        driver = type(self.driver)(
            configuration=self.driver.configuration,
            host=host + '@solidfire')
        driver.db = self.driver.db
        driver._template_clock = self.clock
        return driver

    def to_qcow2(self, raw):
        """Return the bytes of a qcow2 file that holds these."""
        paths = [os.path.join(self.state, name) for name in ('raw', 'qcow2')]
        with open(paths[0], 'wb') as target:
            target.write(raw)
        subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                        *paths], check=True)
        with open(paths[1], 'rb') as source:
            return source.read()

    def run_model(self, seed, runs=RUNS):
        machine = type('Machine', (model_machine.Machine,), {'test': self})
        stateful.run_state_machine_as_test(
            hypothesis.seed(seed)(machine), settings=hypothesis.settings(
                max_examples=runs, stateful_step_count=STEPS,
                # A run has as many steps as take seconds, and machines
                # differ; nothing is kept from one run of the tests to
                # the next.
                deadline=None, database=None, report_multiple_bugs=False,
                suppress_health_check=list(hypothesis.HealthCheck)))

    def test_model_keeps_the_rules(self):
        minutes = float(os.environ.get('TEMPLATE_CACHE_MODEL_MINUTES', 0))
        seed = int(os.environ.get('TEMPLATE_CACHE_MODEL_SEED', 0)) or (
            random.randrange(1, 2 ** 31) if minutes else SEED)
        end = time.monotonic() + 60 * minutes
        try:
            while True:
                print('model: seed %d' % seed)
                self.run_model(seed)
                if time.monotonic() >= end:
                    break
                seed = random.randrange(1, 2 ** 31)
        finally:
            print('model: ' + ', '.join(
                '%d %s' % (self.counts[name], name)
                for name in model_machine.COUNTED))
        # Lest nothing be tested.
        for name in model_machine.COUNTED:
            self.assertGreater(self.counts[name], 0, name)
