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

import ddt

from cinder.tests.unit.volume.drivers.solidfire_template_cache.clones import (
    base)
from cinder.volume.drivers.solidfire_template_cache.clones import cluster_info
from cinder.volume.drivers.solidfire_template_cache.clones import slots
from cinder.volume.drivers.solidfire_template_cache.element import errors

QOS = {'minIOPS': 50, 'maxIOPS': 15000, 'burstIOPS': 15000}

ERROR = errors.AccessDenied('GetLimits', 'HTTP 401', 'reason')


@ddt.ddt
class ClusterInfoTestCase(base.CloneTestCase):

    def setUp(self):
        super().setUp()
        self.info = cluster_info.ClusterInfo(self.client, self.clock)

    # The method, the client's method, its answer, what is made of it, and
    # the default.
    @ddt.data(
        ('clone_limits', 'get_clone_limits', (7, 9), slots.Limits(7, 9),
         slots.Limits(2, 8)),
        ('clone_limits', 'get_clone_limits', (7, None), slots.Limits(7, 8),
         slots.Limits(2, 8)),
        ('nodes', 'count_nodes', 3, 3, None),
        # A list that is not complete.
        ('nodes', 'count_nodes', 2, None, None),
        ('default_qos', 'get_default_qos', QOS, QOS, {}))
    @ddt.unpack
    def test_get_is_cached_for_ten_minutes(self, name, called, answer,
                                           expected, default):
        call = getattr(self.client, called)
        call.return_value = answer
        # The default is kept no longer than an answer.
        for error in (ERROR, ERROR, None):
            call.reset_mock()
            call.side_effect = error
            for seconds in (0, 599):
                self.clock.advance(seconds)
                self.assertEqual(default if error else expected,
                                 getattr(self.info, name)())
                call.assert_called_once_with()
            self.clock.advance(1)

    def test_volume_nodes(self):
        # Of other volumes each time, until the cluster does not tell.
        call = self.client.list_volume_nodes
        for volume_ids in ([7, 8], [9], [9]):
            self.assertIs(call.return_value,
                          self.info.volume_nodes(volume_ids))
            call.assert_called_with(volume_ids)
        call.side_effect = ERROR
        for _i in range(2):
            call.reset_mock()
            for seconds in (0, 599):
                self.clock.advance(seconds)
                self.assertIsNone(self.info.volume_nodes([7]))
                call.assert_called_once_with([7])
            self.clock.advance(1)

    # What it reports before, the outcome, whether it is asked again
    @ddt.data(({}, {}, False), ({7: 1}, {}, True),
              ({7: 1}, base.api_error('xVolumeIDDoesNotExist', error_class=(
                  errors.NotFound)), True),
              ({}, base.api_error('xNotPrimary'), False))
    @ddt.unpack
    def test_volume_nodes_of_a_new_volume(self, before, outcome, again):
        call = self.client.list_volume_nodes
        call.side_effect = [before, outcome, {8: 2}]
        self.info.volume_nodes([7])
        self.info.volume_nodes([8])
        self.assertEqual({8: 2} if again else None,
                         self.info.volume_nodes([8]))

    def test_get_fails_with_an_unexpected_error(self):
        self.client.get_default_qos.side_effect = KeyError('x')
        self.assertRaises(KeyError, self.info.default_qos)

    def test_get_by_many_threads(self):
        # Whoever comes first asks, and the others wait for the answer.
        self.client.get_default_qos.side_effect = self.info._lock.locked
        self.assertIs(True, self.info.default_qos())
