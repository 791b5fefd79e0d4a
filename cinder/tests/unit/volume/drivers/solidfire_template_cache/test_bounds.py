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

"""The limits that the operator sets, as plain decisions."""

import datetime
import unittest

import ddt
import hypothesis
from hypothesis import strategies
from oslo_utils import units

from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache import bounds
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl

DAY = datetime.timedelta(days=1)
NOW = base.T0 + 1000 * DAY


def make_bounds(count=0, gib=0, days=0, percent=0):
    return bounds.Bounds(count, gib * units.Gi, days * DAY, percent)


def make_template(gib):
    image = images.from_metadata({
        'id': 'image', 'updated_at': base.T0, 'virtual_size': 1, 'size': 1})
    return tpl.Template(
        volume_id=1, size=gib * units.Gi, active=True, read_only=True,
        state=tpl.State.READY, image=image, fill_id='', filled_by='',
        filled_at=None, last_used=None, signature_verified=None)


@ddt.ddt
class BoundsTestCase(unittest.TestCase):

    @ddt.data((0, 0, False), (1, 0, True), (0, 1, True), (1, 1, True))
    @ddt.unpack
    def test_limit_templates(self, count, gib, expected):
        self.assertIs(expected, make_bounds(count, gib).limit_templates)

    # Limits of count and GiB, sizes that there are, and what comes to it.
    @ddt.data(
        ((0, 0), [100] * 100, 100, True),
        ((2, 0), [], 1, True), ((2, 0), [9], 9, True),
        ((2, 0), [9, 9], 1, False), ((2, 0), [9, 9], None, True),
        ((2, 0), [9, 9, 9], None, False),
        ((0, 5), [], 5, True), ((0, 5), [], 6, False),
        ((0, 5), [1, 1, 1, 1], 1, True), ((0, 5), [1, 1, 1, 1], 2, False),
        ((0, 5), [2, 3], None, True), ((0, 5), [3, 3], None, False),
        ((2, 5), [1], 4, True), ((2, 5), [1], 5, False),
        ((2, 5), [1, 1], 1, False), ((9, 5), [3], 3, False))
    @ddt.unpack
    def test_hold(self, limits, sizes, more, expected):
        extra = () if more is None else (1, more * units.Gi)
        self.assertIs(expected, make_bounds(*limits).hold(
            [make_template(size) for size in sizes], *extra))

    @ddt.data((7, 7 * DAY, False),
              (7, 7 * DAY + datetime.timedelta(seconds=1), True),
              (7, -DAY, False), (0, 10000 * DAY, False), (7, None, True),
              (0, None, False))
    @ddt.unpack
    def test_has_expired(self, days, ago, expected):
        self.assertIs(expected, make_bounds(days=days).has_expired(
            None if ago is None else NOW - ago, NOW))

    @ddt.data((90, 100, 10, True), (91, 100, 10, False),
              (100, 100, 0, True), (0, 100, 100, True),
              (1, 100, 100, False), (120, 100, 1, False),
              (None, None, 100, True), (5, None, 100, True),
              (None, 5, 100, True), (0, 0, 10, True))
    @ddt.unpack
    def test_leave_free(self, used, total, percent, expected):
        self.assertIs(expected, make_bounds(percent=percent).leave_free(
            used, total))

    @hypothesis.given(
        strategies.integers(0, 9), strategies.integers(0, 9),
        strategies.lists(strategies.integers(1, 4), max_size=9))
    def test_hold_of_fewer_holds_too(self, count, gib, sizes):
        limits = make_bounds(count, gib)
        templates = [make_template(size) for size in sizes]
        self.assertTrue(limits.hold([]))
        if limits.hold(templates):
            self.assertTrue(limits.hold(templates[1:]))
        self.assertEqual(
            make_bounds(count).hold(templates) and
            make_bounds(gib=gib).hold(templates), limits.hold(templates))
