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

import threading

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import background

# Seconds of real time; reached by a failing test only.
TIMEOUT = 30


class BackgroundRunnerTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.LogCapture())
        self.clock = fixtures.ManualClock()
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.addCleanup(self.may_end.set)
        self.runs = []
        self.runner = background.BackgroundRunner(
            'Housekeeping', self._job, self.clock)

    def _job(self):
        self.runs.append(threading.current_thread())
        self.begun.set()
        self.may_end.wait(TIMEOUT)

    def test_trigger_does_not_wait_for_the_job(self):
        self.assertTrue(self.runner.wait(TIMEOUT))
        self.assertTrue(self.runner.trigger())
        self.assertTrue(self.begun.wait(TIMEOUT))
        self.assertFalse(self.runner.wait(0))
        self.assertIsNot(threading.current_thread(), self.runs[0])
        self.assertTrue(self.runs[0].daemon)

    def test_trigger_while_running_starts_no_second_run(self):
        self.runner.trigger()
        self.assertTrue(self.begun.wait(TIMEOUT))
        self.assertFalse(self.runner.trigger())
        self.may_end.set()
        self.assertTrue(self.runner.wait(TIMEOUT))
        self.assertTrue(self.runner.trigger())
        self.assertTrue(self.runner.wait(TIMEOUT))
        self.assertEqual(2, len(self.runs))

    def test_trigger_warns_once_of_a_run_that_hangs(self):
        self.runner.trigger()
        self.assertTrue(self.begun.wait(TIMEOUT))
        for seconds, warnings in ((0, 0), (1799, 0), (1, 1), (1, 0)):
            self.clock.advance(seconds)
            self.runner.trigger()
            self.assertEqual(warnings, len(self.log.warnings))
            self.log.clear()

    def test_run_that_fails_is_a_warning(self):
        runner = background.BackgroundRunner('Housekeeping', lambda: 1 // 0,
                                             self.clock)
        for _i in range(2):
            runner.trigger()
            self.assertTrue(runner.wait(TIMEOUT))
            self.log.pop_warning('Housekeeping was not completed',
                                 'ZeroDivisionError')
        self.log.assert_no_exception_appended()
