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

"""Tests of the limits that the operator sets."""

import datetime
import sys
import types

from oslo_utils import units

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.templates import limits

DAY = datetime.timedelta(days=1)


def new_limits(count=0, gib=0, days=0, percent=0):
    return limits.Limits(count, gib * units.Gi, days * DAY, percent)


class LimitsTestCase(test.TestCase):

    def test_from_conf(self):
        self.assertEqual(
            new_limits(1, 2, 3, 4),
            limits.Limits.from_conf(types.SimpleNamespace(
                sf_template_max_count=1, sf_template_max_gib=2,
                sf_template_idle_days=3, sf_template_min_free_percent=4)))

    def test_within_limits(self):
        # Count only, size only, both, neither (bug 1584882). In each row:
        # the limits, the GiB of the templates, of one more, the result.
        for count, gib, sizes, more, expected in (
                (0, 0, [100] * 100, 100, True), (2, 0, [], 1, True),
                (2, 0, [9], 9, True), (2, 0, [9, 9], 1, False),
                (2, 0, [9, 9], None, True), (2, 0, [9, 9, 9], None, False),
                (0, 5, [], 5, True), (0, 5, [], 6, False),
                (0, 5, [1] * 4, 1, True), (0, 5, [1] * 4, 2, False),
                (0, 5, [2, 3], None, True), (0, 5, [3, 3], None, False),
                (2, 5, [1], 4, True), (2, 5, [1], 5, False),
                (2, 5, [1, 1], 1, False), (9, 5, [3], 3, False)):
            extra = () if more is None else (1, more * units.Gi)
            self.assertIs(
                expected, new_limits(count, gib).within_limits(
                    [fixtures.template(size=each * units.Gi)
                     for each in sizes], *extra), (count, gib, sizes, more))

    def test_remaining(self):
        # Limits, the GiB of the templates, how many more there may be of 2.
        for count, gib, sizes, expected in (
                (0, 0, [9], sys.maxsize), (3, 0, [9], 2), (3, 0, [9] * 4, 0),
                (0, 9, [1, 2], 3), (0, 9, [], 4), (0, 9, [9, 1], 0),
                (9, 9, [1, 2], 3), (4, 9, [1, 2], 2)):
            self.assertEqual(expected, new_limits(count, gib).remaining(
                [fixtures.template(size=each * units.Gi) for each in sizes],
                2 * units.Gi), (count, gib, sizes))

    def test_has_expired(self):
        for days, ago, expected in (
                (7, 7 * DAY, False),
                (7, 7 * DAY + datetime.timedelta(seconds=1), True),
                (7, -DAY, False), (0, 10000 * DAY, False), (7, None, True),
                (0, None, False)):
            self.assertIs(expected, new_limits(days=days).has_expired(
                ago and fixtures.T0 - ago, fixtures.T0), (days, ago))

    def test_has_free_space(self):
        for used, total, percent, expected in (
                (90, 100, 10, True), (91, 100, 10, False),
                (100, 100, 0, True), (0, 100, 100, True),
                (1, 100, 100, False), (120, 100, 1, False),
                # Not reported.
                (None, None, 100, True), (5, None, 100, True),
                (None, 5, 100, True), (0, 0, 10, True)):
            self.assertIs(
                expected, new_limits(percent=percent).has_free_space(
                    used, total), (used, total, percent))
