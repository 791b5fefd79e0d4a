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

"""One warning in the log for each outage."""

import logging as std_logging

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import \
    reachability

URL = 'https://cluster.test:443'
WARNING = 'The SolidFire cluster cannot be used: %s.'
INFO = 'The SolidFire cluster at %s can be used again.' % URL


class ReachabilityTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.LogCapture())
        self.reachability = reachability.Reachability(URL)

    def logged(self):
        return [(record.levelno, record.getMessage())
                for record in self.log.records]

    def test_each_outage_is_logged_once_and_at_once(self):
        self.reachability.succeeded()
        for cause in ('first', 'second'):
            self.reachability.failed(cause)
            self.assertEqual([(std_logging.WARNING, WARNING % cause)],
                             self.logged())
            self.reachability.failed('another')
            self.assertEqual(1, len(self.log.records))
            self.log.clear()
            self.reachability.succeeded()
            self.reachability.succeeded()
            self.assertEqual([(std_logging.INFO, INFO)], self.logged())
            self.log.clear()

    def test_failed_while_an_exception_is_handled(self):
        # The call may be part of a clean-up after another error.
        try:
            raise OSError('another error')
        except OSError:
            self.reachability.failed('cause')
        self.log.assert_no_exception_appended()
        self.log.pop_warning('cause')

    def test_for_url_is_shared_by_all_users_of_a_url(self):
        first = reachability.for_url(URL)
        self.assertIs(first, reachability.for_url(URL))
        for number in range(20):
            self.assertIsNot(first, reachability.for_url(URL + str(number)))
        # What is remembered is bounded.
        self.assertLess(len(reachability._known), 20)
