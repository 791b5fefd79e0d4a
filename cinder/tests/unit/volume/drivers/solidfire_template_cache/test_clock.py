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
"""Time of the machine."""

import datetime
import threading
import time
from unittest import mock

from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache import clock


class SystemClockTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = clock.SystemClock()

    def test_monotonic_never_goes_back(self):
        before = time.monotonic()
        now = self.clock.monotonic()
        self.assertLessEqual(before, now)
        self.assertLessEqual(now, time.monotonic())

    def test_now_is_aware_and_in_utc(self):
        before = datetime.datetime.fromtimestamp(time.time(),
                                                 datetime.timezone.utc)
        now = self.clock.now()
        self.assertEqual(datetime.timedelta(0), now.utcoffset())
        self.assertLess(abs(now - before), datetime.timedelta(minutes=1))

    def test_sleep(self):
        with mock.patch.object(time, 'sleep', autospec=True) as sleep:
            self.clock.sleep(1.5)
        sleep.assert_called_once_with(1.5)

    def test_wait_waits_on_the_condition(self):
        condition = mock.Mock(spec=threading.Condition())
        self.clock.wait(condition, 2.5)
        condition.wait.assert_called_once_with(2.5)
