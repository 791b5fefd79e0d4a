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

"""Every API call of every scenario fails, in every way that there is.

One test is one scenario with one group of faults; its cases are generated
from the tables of :mod:`fault_kinds`. By default

* each call of each scenario is refused and lost once, and each method until
  the request is over;
* each method fails by each kind of fault, and by each error name that some
  code distinguishes, in the shortest scenario that calls the method;
* before each call, something in use is removed externally;
* pairs of faults are drawn at random, the same ones in each run.

With TEMPLATE_CACHE_SOAK=<minutes> all kinds and names are tried with all
methods of all scenarios, and other pairs are drawn for so many minutes. A
failure names its pair's seed, and TEMPLATE_CACHE_SEED=<seed> draws this one.
"""

import os
import random
import socket
import time

from oslo_utils import units

from cinder.tests.functional.solidfire_template_cache import direct_transport
from cinder.tests.functional.solidfire_template_cache import fault_kinds
from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.functional.solidfire_template_cache import scenarios
from cinder.tests.unit import test
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.element import retry
from cinder.volume.drivers.solidfire_template_cache.element import transport
from cinder.volume.drivers.solidfire_template_cache.templates import replicas

SOAK_MINUTES = float(os.environ.get('TEMPLATE_CACHE_SOAK') or 0)
ONE_SEED = os.environ.get('TEMPLATE_CACHE_SEED')
FIRST_SEED = 20260101

# A table is drawn first, since there are many more names than kinds.
PAIR_TABLES = [fault_kinds.KINDS, fault_kinds.NETWORK, fault_kinds.ERRORS,
               fault_kinds.FULL, fault_kinds.GONE]

CLEANUP_METHODS = ['CancelClone', 'DeleteVolume', 'ListSyncJobs',
                   'ListVolumes', 'PurgeDeletedVolume']
"""Called after a failure; an undisturbed request may do without."""


class Calls(scenarios.FaultRunner):
    """What is tried in every scenario."""

    def test_each_call_fails_once(self):
        self.run_cases(self.each_call(fault_kinds.REPEATED))

    def test_each_method_fails_until_the_end(self):
        self.run_cases(self.each_method_until_the_end(fault_kinds.REPEATED))


class Kinds(scenarios.FaultRunner):
    """What is tried where a failure has consequences of its own."""

    def test_each_kind_of_fault(self):
        if SOAK_MINUTES:
            self.run_cases(self.each_method(
                {**fault_kinds.SELDOM, **fault_kinds.ERRORS},
                dict.fromkeys(self.good_run())))
        else:
            self.run_cases(self.each_fault(fault_kinds.SELDOM))


class Methods(scenarios.FaultRunner):
    """What is tried in the shortest scenario that calls a method."""

    METHODS = ()

    def test_each_method_by_each_kind(self):
        self.run_cases(self.each_method(fault_kinds.SELDOM, self.METHODS))

    def test_each_method_by_each_error_name(self):
        self.run_cases(self.each_method(fault_kinds.ERRORS, self.METHODS))


class ExternalChanges(scenarios.FaultRunner):
    """What an operator may do meanwhile; and any two faults at a time."""

    PAIRS = 25

    def test_each_call_finds_something_gone(self):
        self.run_cases(self.each_call_without_something(fault_kinds.GONE))

    def test_pairs_of_faults(self):
        methods = self.good_run()
        self.FAULTS = 2
        both = []
        self.run_cases(self.draw(seed, methods, both)
                       for seed in self.seeds())
        if not ONE_SEED:
            # Otherwise these would not be pairs but single faults.
            self.assertGreater(len(both), self.PAIRS // 5)

    def seeds(self):
        if ONE_SEED:
            yield int(ONE_SEED)
            return
        yield from range(FIRST_SEED, FIRST_SEED + self.PAIRS)
        end = time.monotonic() + 60 * SOAK_MINUTES / len(
            ExternalChanges.__subclasses__())
        while time.monotonic() < end:
            yield random.getrandbits(48)

    def draw(self, seed, methods, both):
        """Return a case of two faults."""
        chance = random.Random(seed)
        first, second = (self.draw_fault(chance, each) for each in (
            methods, methods + CLEANUP_METHODS))

        def check():
            if self.check_pair(first[1:], second[1:]):
                both.append(seed)

        return 'seed %d: %s; %s' % (seed, first[0], second[0]), check

    @staticmethod
    def draw_fault(chance, methods):
        while True:
            number = chance.randrange(len(methods))
            method = methods[number]
            name, fault = chance.choice(
                list(chance.choice(PAIR_TABLES).items()))
            moments = [when for when in fault.moments
                       if fault.applies_to(method, when)]
            if moments:
                break
        call = {'method': method, 'when': chance.choice(moments),
                'skip': methods[:number].count(method)}
        return '%s at %s' % (name, call), fault, call


class FirstRequestTestCase(Calls, Kinds, Methods, ExternalChanges,
                           scenarios.FirstRequest):
    METHODS = ('AddAccount', 'CreateVolume', 'GetClusterCapacity')


class AccessGroupTestCase(Calls, scenarios.AccessGroup):
    """Attaching calls more."""


class WarmHitTestCase(Calls, Methods, ExternalChanges, scenarios.WarmHit):
    METHODS = ('CloneVolume', 'GetAsyncResult')


class ColdHitTestCase(Calls, Methods, ExternalChanges, scenarios.ColdHit):
    METHODS = ('GetAccountByName', 'GetDefaultQoS', 'GetLimits',
               'ListVolumes')


class RefillTestCase(Calls, Kinds, ExternalChanges, scenarios.Refill):
    pass


class TagEditTestCase(Calls, Methods, ExternalChanges, scenarios.TagEdit):
    METHODS = ('ModifyVolume',)


class OwnQosTestCase(Calls, Methods, ExternalChanges, scenarios.OwnQos):
    METHODS = ('ModifyVolume',)


class InterruptedFillTestCase(Calls, scenarios.InterruptedFill):
    pass


class HousekeepingTestCase(Calls, Kinds, Methods, ExternalChanges,
                           scenarios.Housekeeping):
    METHODS = ('DeleteVolume', 'ListSyncJobs', 'PurgeDeletedVolume')


class RescheduledTestCase(Calls, Kinds, ExternalChanges,
                          scenarios.Rescheduled):
    pass


class OnlyReplica(scenarios.ColdHit):
    """Of the template only a replica is left, which serves as well."""

    def plant(self, image, data):
        return super().plant(image, data, replica_maker='another')


class Storm(scenarios.WarmHit):
    """A queue of requests makes a replica, of which the next one is cloned.

    Calls fail while it is made, which no request may suffer from.
    """

    MIN_CALLS = 9
    OPTIONS = {'sf_template_max_replicas': 2, 'sf_template_max_count': 4}
    FROM_REPLICA = True

    def request(self, image, volume):
        with scenario.make_replicas(self.service(), image):
            self.calls_of_storm = len(self.sim.calls)
            self.sim.cluster.advance()
            self.assertLessEqual(len(self.templates()), 3)
            self.restore()
            self.end_storm(image)
            result = super().request(image, volume)
        self.last_source = [
            call.params['volumeID'] for call in self.sim.calls
            if call.method == 'CloneVolume'][-1]
        return result

    def end_storm(self, image):
        """Do what comes between the storm and the next request."""

    def good_run(self):
        methods = super().good_run()
        template, = self.templates()
        self.assertEqual(self.FROM_REPLICA,
                         template.volume_id != self.last_source)
        return methods[:self.calls_of_storm]

    def survives(self, fault, method):
        return True

    def leftovers(self, volume=None):
        # Templates are left to housekeeping, and to the last check.
        ours = {item.volume_id for item in self.templates()
                if not scenario.is_filling(item)}
        return [item for item in super().leftovers(volume)
                if item[0] not in ours]

    def check_next_requests(self, image):
        """Check that housekeeping leaves the template alone."""
        self.check_success_of(image, self.new_volume(**self.VOLUME))
        for _round in range(2):
            self.run_housekeeping()
            self.clock.advance(replicas.IDLE_SECONDS)
        super().check_next_requests(image)


class UpdatedStorm(Storm):
    """The image is updated while it is cloned; a template is filled."""

    DOWNLOADS = 1
    KEEPS_TEMPLATE = False
    FROM_REPLICA = False

    def end_storm(self, image):
        self.data = self.NEW_DATA
        image.update(self.images.replace(image['id'], self.data))


class OnlyReplicaTestCase(Calls, OnlyReplica):
    pass


class StormTestCase(Calls, Methods, ExternalChanges, Storm):
    METHODS = ('GetClusterVersionInfo', 'ListVolumeStats')

    def test_each_replica_that_is_stored_otherwise(self):
        self.run_cases(self.each_method(fault_kinds.STORED,
                                        ['CloneVolume']))


class UpdatedStormTestCase(Calls, UpdatedStorm):
    pass


class VanishedTemplateTestCase(Calls, Kinds, scenarios.VanishedTemplate):
    pass


class Cleanup(scenarios.FaultRunner):
    """One call has failed, and each one that follows fails, too."""

    FIRST_FAULT = {}
    FAULTS = 2

    def test_each_following_call_fails_once(self):
        self.run_cases(self.each_following_call(self.FIRST_FAULT,
                                                fault_kinds.REPEATED))


class LostCreateTestCase(Cleanup, scenarios.FirstRequest):
    """The reply with the new template's volume was lost."""

    FIRST_FAULT = {'method': 'CreateVolume', 'drop': True}


class FailedFillTestCase(Cleanup, scenarios.FirstRequest):
    """The template became ready, and the cluster says that it did not."""

    FIRST_FAULT = {'method': 'ModifyVolume',
                   'error': fault_kinds.UNKNOWN_ERROR}


class LostCloneTestCase(Cleanup, scenarios.WarmHit):
    """The reply with the clone's volume was lost."""

    FIRST_FAULT = {'method': 'CloneVolume', 'drop': True}


class AbandonedCloneTestCase(Cleanup, scenarios.WarmHit):
    """The clone has been started, and its job cannot be read."""

    FIRST_FAULT = {'method': 'GetAsyncResult',
                   'error': fault_kinds.UNKNOWN_ERROR}


class NetworkTestCase(scenarios.FaultRunner, scenarios.ColdHit):
    """Faults of a real network; that the others have none is no different."""

    NETWORK = True

    def test_each_fault_over_the_network(self):
        self.run_cases(self.each_fault(
            {**fault_kinds.DROPPED, **fault_kinds.LOSSES,
             **fault_kinds.REPLIES}))

    def test_refused_connection_is_as_without_a_network(self):
        with socket.create_server(('127.0.0.1', 0)) as closed_at_once:
            port = closed_at_once.getsockname()[1]
        failure = self.fail_to_create(client.ElementClient(
            transport.Endpoint('https://127.0.0.1:%d' % port, 'a', 'b'),
            self.clock))
        self.assert_alike(failure, direct_transport.Exchange.refuse)

    def test_reset_connection_is_as_without_a_network(self):
        self.sim.faults.add(method='CreateVolume', drop=True)
        failure = self.fail_to_create(self.service().cluster.client)
        self.sim.faults.clear()
        self.assert_alike(failure, direct_transport.Exchange.reset)

    def assert_alike(self, failure, act):
        direct = self.useFixture(direct_transport.DirectTransport(
            self.sim.server, self.clock))
        direct.faults.add(direct_transport.Rule(times=None, act=act))
        self.assertEqual(failure, self.fail_to_create(
            self.service().cluster.client))

    def fail_to_create(self, element):
        """Return the class and the name of the error of a call."""
        error = self.assertRaises(
            errors.ElementError, element.create_volume, 'a-name', 1,
            units.Gi, True, {})
        return type(error), error.name


class TablesTestCase(test.TestCase):
    """The tables are complete."""

    def test_each_name_that_the_driver_knows_is_in_the_table(self):
        known = {name for names in errors._NAMES.values() for name in names}
        known.update(errors._CLASS_OF_NAME, retry._MAX_ATTEMPTS)
        known.update(name for _method, name in errors._RETRY_CLASS_OF_METHOD)
        self.assertEqual(set(), known - set(fault_kinds.ERRORS))

    def test_each_method_of_the_client_fails(self):
        # A clone is only cancelled after a failure: see Cleanup.
        self.assertEqual(
            set(client._VERSIONS) - {'CancelClone'},
            {method for case in Methods.__subclasses__()
             for method in case.METHODS})
