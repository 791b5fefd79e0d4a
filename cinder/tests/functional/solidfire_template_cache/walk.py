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
import traceback

from cinder.tests.functional.solidfire_template_cache import base
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import template as tpl

UNHEARD_OF = 'xNobodyEverHeardOfThis'

PAGE = '<html><body><h1>503 Service Unavailable</h1></body></html>'

NOTHING_READ = ('CancelClone', 'DeleteVolume', 'PurgeDeletedVolume')
"""Methods whose reply, when it is no error, says nothing that counts."""


class Fault(object):
    """A way to fail.

    :param survived: whether the request must succeed all the same, since to
        repeat the call, or to look what became of it, helps
    :param moments: when it strikes, relative to the effect of the call
    :param unreadable: whether the cluster says that all is well, so that to
        repeat is of no use and the cache can only tell what may be left
    :param only: the one method that can fail so; None for every method
    :param rule: what the simulator is told
    """

    def __init__(self, survived, moments=('before', 'after'), only=None,
                 unreadable=False, **rule):
        self.survived = survived
        self.unreadable = unreadable
        self.moments = moments
        self.only = only
        self.rule = rule

    def can_strike(self, method, when):
        if self.unreadable and when == 'before' and method in NOTHING_READ:
            # Nobody could tell that it was not carried out.
            return False
        return self.only in (None, method)


REFUSALS = {
    'final error': Fault(False, error=UNHEARD_OF),
    'transient error': Fault(True, ('before',), error='xDBVersionMismatch'),
    'no slot': Fault(True, ('before',), 'CloneVolume',
                     error='xMaxClonesPerVolumeExceeded'),
    'failed job': Fault(False, ('before',), 'CloneVolume',
                        job_error=UNHEARD_OF),
    'empty result': Fault(False, unreadable=True, http_status=200,
                          body={'id': 1, 'result': {}}),
}

LOSSES = {
    'lost error': Fault(True, error='xDBConnectionLoss'),
    'dropped connection': Fault(True, drop=True),
    'unavailable': Fault(True, http_status=503, body=PAGE),
    'cut reply': Fault(True, http_status=200,
                       body='{"id": 1, "result": {"volu'),
}


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

    def setUp(self):
        super().setUp()
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
        self.clear_cluster()
        self.images.images.clear()
        self.images.downloads.clear()
        self.forget(self.driver)
        self.data = self.DATA
        image = self.prepare()
        volume = self.prepare_volume()
        self.assertEqual([], self.warnings.messages)
        self.sim.reset_calls()
        self.debris_before = set()
        self.debris_before = set(self.debris(volume))
        return image, volume

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
        self.run_cases([
            ('%s, call %d of %d, %s its effect: %s' % (
                method, number + 1, len(methods), when, name),
             self.check_once, fault, method, when,
             methods[:number].count(method))
            for name, fault in faults.items()
            for number, method in enumerate(methods)
            for when in fault.moments
            if self.walks(method) and fault.can_strike(method, when)])

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
        """Run all, and tell of all that failed."""
        self.assertNotEqual([], cases)
        failed = []
        for name, check, *arguments in cases:
            try:
                check(*arguments)
            except Exception:
                failed.append('%s:\n%s' % (name, traceback.format_exc()))
        print('%s: %d cases' % (self.id(), len(cases)))
        if failed:
            self.fail('%d of %d cases\n%s' % (
                len(failed), len(cases), '\n'.join(failed)))

    # What must be so

    def check_once(self, fault, method, when, skip):
        image, volume = self.begin()
        rule = self.sim.faults.add(method=method, skip=skip, when=when,
                                   **fault.rule)
        result = self.clone(image, volume)
        self.assertEqual(1, rule.hits)
        if fault.unreadable:
            self.check_what_is_told(image, volume, result)
            self.check_next_host(image, volume, result)
            return
        if result[1] or self.survives(fault, method):
            self.check_success(volume, result)
        else:
            warning = self.check_fallback(image, volume, result)
            self.assertIn(fault.rule.get('error', ''), warning)
            self.assertEqual([], self.debris(volume))
            self.check_normal_path(volume)
        self.check_next_requests(image)
        self.check_downloads(result[1])

    def check_for_good(self, fault, method, when):
        image, volume = self.begin()
        rule = self.sim.faults.add(method=method, times=None, when=when,
                                   **fault.rule)
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
        self.sim.faults.clear()
        self.driver = self.other_host()
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
        """Return the warning that says why."""
        self.assertEqual((None, False), result)
        self.assertEqual(1, len(self.warnings.messages),
                         self.warnings.messages)
        warning = self.warnings.messages.pop()
        self.assertIn('Volume %s is created without a template of image %s: '
                      % (volume.id, image['id']), warning)
        return warning

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
        return sorted(found.items() - self.debris_before)


def is_filling(volume):
    return volume.attributes.get(tpl.ATTRIBUTE, {}).get('state') == 'filling'


class Walk(Path):
    """The ways to fail; a path derives from it."""

    def test_each_call_refused_once(self):
        self.walk_once(REFUSALS)

    def test_each_call_lost_once(self):
        self.walk_once(LOSSES)

    def test_each_method_refused_for_good(self):
        self.walk_for_good(REFUSALS)

    def test_each_method_lost_for_good(self):
        self.walk_for_good(LOSSES)


class CleanUp(Path):
    """A path on which one call has failed: the next one fails, too."""

    FIRST_FAULT = {}
    """What the simulator is told; strikes after the call's effect."""

    def clone_with_fault(self, image, volume):
        self.sim.faults.add(when='after', **self.FIRST_FAULT)
        return self.clone(image, volume)

    def test_each_call_that_follows_fails_once(self):
        image, volume = self.begin()
        result = self.clone_with_fault(image, volume)
        calls = list(self.sim.calls)
        self.check_what_is_told(image, volume, result)
        self.check_next_host(image, volume, result)
        methods = [call.method for call in calls]
        first = [call.method == self.FIRST_FAULT['method'] and not call.ok
                 for call in calls].index(True)
        self.run_cases([
            ('%s, call %d of %d, %s its effect: %s' % (
                methods[number], number + 1, len(methods), when, name),
             self.check_follower, fault, methods[number], when,
             methods[:number].count(methods[number]))
            for name, fault in {**REFUSALS, **LOSSES}.items()
            for number in range(first + 1, len(methods))
            for when in fault.moments
            if fault.can_strike(methods[number], when)])

    def check_follower(self, fault, method, when, skip):
        image, volume = self.begin()
        # Ahead of the other, so that it counts what that one strikes.
        rule = self.sim.faults.add(method=method, skip=skip, when=when,
                                   **fault.rule)
        result = self.clone_with_fault(image, volume)
        self.assertEqual(1, rule.hits)
        self.check_what_is_told(image, volume, result)
        self.check_next_host(image, volume, result)
