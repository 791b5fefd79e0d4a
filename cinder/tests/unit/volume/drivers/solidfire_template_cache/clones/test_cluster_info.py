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

"""Properties of a cluster: asked for once, cached, and asked for again."""

import threading
from unittest import mock

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors

QOS = {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': 15000}

ERRORS = (errors.ApiError('GetLimits', 'xNew', 'reason'),
          errors.AccessDenied('GetLimits', 'HTTP 401', 'reason'),
          errors.UnexpectedReply('GetLimits', 'BadReply', 'reason'))


class ClusterInfoTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = fixtures.ManualClock()
        self.client = mock.create_autospec(client.ElementClient, instance=True)
        self.client.get_clones_per_volume.return_value = 7
        self.client.get_default_qos.return_value = QOS
        self.info = cluster_info.ClusterInfo(self.client, self.clock)
        # By method: the client's method, its answer, and the default.
        self.cases = (
            (self.info.clones_per_volume, self.client.get_clones_per_volume,
             7, 2),
            (self.info.default_qos, self.client.get_default_qos, QOS, {}))

    def test_get_is_cached_for_ten_minutes(self):
        self.assertEqual([], self.client.method_calls)
        for method, call, answer, default in self.cases:
            # The default is kept no longer than an answer.
            for error in ERRORS + (None,):
                with self.subTest(error=error, call=call):
                    call.reset_mock()
                    call.side_effect = error
                    for seconds in (0, 599):
                        self.clock.advance(seconds)
                        self.assertEqual(default if error else answer,
                                         method())
                        call.assert_called_once_with()
                    self.clock.advance(1)

    def test_get_fails_with_an_unexpected_error(self):
        self.client.get_default_qos.side_effect = KeyError('x')
        self.assertRaises(KeyError, self.info.default_qos)

    def test_get_by_many_threads(self):
        threads = [threading.Thread(target=self.info.clones_per_volume)
                   for _i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive())
        self.client.get_clones_per_volume.assert_called_once_with()
