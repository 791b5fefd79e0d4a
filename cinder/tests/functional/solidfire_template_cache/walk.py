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

"""How the tests of failing API calls walk a path; the paths are theirs."""

import datetime
import itertools
import shutil
import traceback

from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import transport
from cinder import utils
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import template as tpl

UNHEARD_OF = fault_kinds.UNHEARD_OF
REFUSALS = fault_kinds.REFUSALS
LOSSES = fault_kinds.LOSSES


class Path(base.FunctionalTestCase):
    """A path, and what must be so on it."""

    DATA = b'bootable' * 600
    NEW_DATA = b'rebooted' * 700

    LEAST_CALLS = 2
    """Calls that a good run makes at least, lest nothing be tested."""

    DOWNLOADS = 1
    """How often a good run and its preparation download the image."""

    KEEPS_TEMPLATE = True
    """Whether no fault may cost another download."""

    HIT = {'CloneVolume', 'GetAsyncResult'}
    """The methods of a request in the steady state."""

    QOS = None
    VOLUME = {'size': 1}
    DRIVER = {}

    FAULTS = 1
    """How many things go wrong at a time."""

    NETWORK = False
    """Whether calls go over a real network, which takes its time."""

    def setUp(self):
        super().setUp()
        # Volumes that are nobody's debris, and that the next round purges.
        self.deleted_by_hand = set()
        if not self.NETWORK:
            self.way = self.useFixture(transport.DirectWay(
                self.sim.server, self.clock, self.deleted_by_hand))
            self.mock_object(utils, 'execute', _copying(utils.execute))
        # Patience costs time even by a clock that is moved by hand.
        self.driver = self.new_driver(sf_volume_clone_timeout=60,
                                      **self.DRIVER)
        # The stock driver's own patience.
        self.mock_object(solidfire.time, 'sleep', autospec=True,
                         side_effect=self.clock.sleep)

    def prepare(self):
        """Make the cluster what the path begins with; return the image."""
        raise NotImplementedError()

    def prepare_volume(self):
        """Return the volume that is asked for."""
        return self.new_volume(**self.VOLUME)

    def walks(self, method):
        """Tell whether the method is to fail on this path."""
        return True

    def survives(self, fault, method):
        """Tell whether the request must succeed in spite of the fault."""
        return fault.survived

    # Going the path

    def begin(self):
        """Begin anew, up to the request; return what it asks for."""
        self.heal()
        self.deleted_by_hand.clear()
        self.clear_cluster()
        self.images.images.clear()
        self.images.downloads.clear()
        self.forget(self.driver)
        self.data = self.DATA
        image = self.prepare()
        volume = self.prepare_volume()
        self.assertEqual([], self.warnings.messages)
        self.sim.reset_calls()
        self.stood_before = self.volumes_named('UUID-' + volume.id)
        self.debris_before = set()
        self.debris_before = set(self.debris(volume))
        return image, volume

    def heal(self):
        """Let everything work again."""
        self.sim.faults.clear()
        if not self.NETWORK:
            self.way.restore()

    def purge_by_hand(self):
        """Let housekeeping find what somebody has deleted by hand."""
        if self.deleted_by_hand:
            self.driver.get_volume_stats(refresh=True)

    def good_run(self):
        """Return the names of the methods that the path calls, in order."""
        image, volume = self.begin()
        result = self.clone(image, volume)
        methods = self.sim.calls.methods
        self.check_success(volume, result)
        self.check_next_requests(image)
        self.assertEqual(self.DOWNLOADS, len(self.images.downloads))
        self.assertGreaterEqual(len(methods), self.LEAST_CALLS, methods)
        return methods

    def walk_once(self, faults):
        """Let each call of the path fail once, in each way."""
        methods = self.good_run()
        self.run_cases(
            self.strike(name, fault, method, when,
                        methods[:number].count(method))
            for name, fault in faults.items()
            for number, method in enumerate(methods)
            for when in fault.moments
            if self.walks(method) and fault.can_strike(method, when))

    def walk_methods(self, faults, only):
        """Let each of these methods fail once, in each way.

        Where it is called more than once, the ways take turns.

        :param only: the methods that are to fail, or None for all
        """
        methods = self.good_run()
        self.assertLessEqual(set(only or ()), set(methods))
        self.run_cases(
            self.strike(name, fault, method, when,
                        turn % methods.count(method))
            for turn, (name, fault) in enumerate(faults.items())
            for method in only or dict.fromkeys(methods)
            for when in fault.moments if fault.can_strike(method, when))

    def walk_in_turn(self, faults):
        """Let each way to fail strike once; the calls take turns."""
        methods = self.good_run()
        calls = itertools.cycle(enumerate(methods))
        cases = []
        for name, fault in faults.items():
            for when in fault.moments:
                cases.extend(itertools.islice((
                    self.strike(name, fault, method, when,
                                methods[:number].count(method))
                    for number, method in itertools.islice(
                        calls, len(methods))
                    if fault.can_strike(method, when)), 1))
        self.run_cases(cases)

    def strike(self, name, fault, method, when, skip):
        """Return the case of one fault."""
        return ('%s, after %d others, %s its effect: %s' % (
            method, skip, when, name),
            self.check_once, fault, method, when, skip)

    def walk_for_good(self, faults):
        """Let each method of the path fail until the request is over."""
        methods = self.good_run()
        self.run_cases([
            ('%s, always, %s its effect: %s' % (method, when, name),
             self.check_for_good, fault, method, when)
            for name, fault in faults.items()
            for method in dict.fromkeys(methods)
            for when in fault.moments
            if self.walks(method) and fault.can_strike(method, when)])

    def run_cases(self, cases):
        """Run all, and tell how many, and of all that failed.

        :param cases: an iterable of (name, callable, its arguments ...)
        """
        count, failed = 0, []
        for count, (name, check, *arguments) in enumerate(cases, 1):
            try:
                check(*arguments)
            except Exception:
                failed.append('%s:\n%s' % (name, traceback.format_exc()))
        print('%s: %d cases' % (self.id(), count))
        self.assertGreater(count, 0)
        if failed:
            self.fail('%d of %d cases\n%s' % (
                len(failed), count, '\n'.join(failed)))

    # What must be so

    def check_once(self, fault, method, when, skip):
        image, volume = self.begin()
        rule = fault.begin(self, method=method, skip=skip, when=when)
        result = self.clone(image, volume)
        self.assertEqual(1, rule.hits)
        survived = self.survives(fault, method)
        if fault.may_leave or not survived and (
                self.warnings.messages if result[1] else
                self.stood_before and self.debris(volume) == [] and
                self.volumes_named('UUID-' + volume.id)):
            # What was there before, and could not be removed, stays.
            self.check_what_is_told(image, volume, result)
            self.check_next_host(image, volume, result)
            return
        if result[1] or survived:
            self.check_success(volume, result)
        else:
            warning = self.check_fallback(image, volume, result)
            self.assertIn(fault.told, warning)
            self.assertEqual([], self.debris(volume))
            self.check_normal_path(volume)
        self.check_next_requests(image)
        self.check_downloads(result[1])

    def check_for_good(self, fault, method, when):
        image, volume = self.begin()
        rule = fault.begin(self, method=method, times=None, when=when)
        result = self.clone(image, volume)
        self.assertGreaterEqual(rule.hits, 1)
        self.check_what_is_told(image, volume, result)
        self.check_next_host(image, volume, result)

    def check_what_is_told(self, image, volume, result):
        """Check that whatever could not be removed was warned of."""
        cloned = result[1]
        if cloned:
            self.assert_volume(volume, result[0], self.data, self.QOS)
            told = ' '.join(self.warnings.messages)
        else:
            told = self.check_fallback(image, volume, result)
        left = self.debris(None if cloned else volume)
        if left or (cloned and told):
            self.assertRegex(told, ' left| stays', left)

    def check_next_host(self, image, volume, result):
        """Let another host come upon what is left, once all works again."""
        self.warnings.messages.clear()
        self.heal()
        self.driver = self.other_host()
        self.purge_by_hand()
        if not result[1]:
            self.clock.advance(300)
            volume.scheduled_at = (volume.created_at +
                                   datetime.timedelta(minutes=5))
            self.check_success(volume, self.clone(image, volume))
        self.check_next_requests(image)

    def check_success(self, volume, result):
        model_update, cloned = result
        self.assertEqual([], self.warnings.messages)
        self.assertIs(True, cloned)
        self.assert_volume(volume, model_update, self.data, self.QOS)
        self.assert_no_debris()
        self.assertEqual(1, len(self.templates()))

    def check_fallback(self, image, volume, result):
        """Return what the warnings say, of which one says why."""
        self.assertEqual((None, False), result)
        self.assertNotEqual([], self.warnings.messages)
        *others, warning = self.warnings.messages
        self.warnings.messages.clear()
        self.assertRegex(
            warning, 'Volume %s is created without a template of image %s: ..'
            % (volume.id, image['id']))
        self.assertLess(len(others), self.FAULTS, others)
        for other in others:
            # What stays of the templates concerns no volume.
            self.assertRegex(other, 'of image %s .* stays' % image['id'])
        return '; '.join(others + [warning])

    def check_normal_path(self, volume):
        """Create the volume the way Cinder does after a fallback."""
        self.assertEqual([], self.volumes_named('UUID-' + volume.id))
        self.driver.create_volume(volume)
        self.assertEqual('active', self.only_volume(volume).status)

    def check_next_requests(self, image):
        """Ask twice more: that works, and comes to cost what a hit does."""
        for _i in range(2):
            self.sim.reset_calls()
            volume = self.new_volume(**self.VOLUME)
            self.check_success(volume, self.clone(image, volume))
        self.assertEqual(self.HIT, set(self.sim.calls.methods))

    def check_downloads(self, cloned):
        most = self.DOWNLOADS
        if not cloned and not self.KEEPS_TEMPLATE:
            most += 1
        self.assertLessEqual(len(self.images.downloads), most)

    def debris(self, volume=None):
        """Return what a request has left beside whole volumes.

        :param volume: the one that was asked for, if it must not be there
        """
        cluster = self.sim.cluster
        cluster.advance()
        found = {item.volume_id: item.status
                 for item in cluster.volumes.values()
                 if item.status != 'active' or is_filling(item)}
        found.update((item.volume_id, 'second') for item in
                     [item for item in self.templates()
                      if item.volume_id not in found][1:])
        if volume:
            found.update((item.volume_id, 'named')
                         for item in self.volumes_named('UUID-' + volume.id))
        for volume_id in self.deleted_by_hand:
            found.pop(volume_id, None)
        return sorted(found.items() - self.debris_before)


def is_filling(volume):
    return volume.attributes.get(tpl.ATTRIBUTE, {}).get('state') == 'filling'


def _copying(execute):
    """Return what runs commands, but for copies of raw images.

    To start qemu-img for them takes longer than all the rest of a fill.
    """
    def run(*command, **options):
        if 'convert' in command and command.count('raw') == 2:
            shutil.copyfile(*command[-2:])
            return '', ''
        return execute(*command, **options)

    return run
