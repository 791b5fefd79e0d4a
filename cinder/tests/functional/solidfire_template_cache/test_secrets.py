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

"""Secrets are in no log line, error, printed object or attribute.

All that is logged below ``cinder`` counts, at every level, by this package
and by the stock driver, which logs its endpoint, and the parameters and
replies of its API calls.
"""

import itertools
import json
import traceback
from unittest import mock

from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import fake_snapshot
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.element import redaction
from cinder.volume.drivers.solidfire_template_cache.element import transport
from cinder.volume import volume_utils

PASSWORD = 'Pa55word-of-the-cluster'
CHAP_SECRET = 'CHAP0SECRET1'
SECRETS = (PASSWORD, CHAP_SECRET)

BOTH = 'refused: %s, %s' % SECRETS

ACCOUNT = {'accountID': 1, 'username': 'x', 'targetSecret': CHAP_SECRET,
           'initiatorSecret': CHAP_SECRET}

REPLIES = (
    {'error': 'xUnheardOf', 'message': 'refused: ' + PASSWORD},
    {'error': 'xPermissionDenied', 'message': 'refused: ' + PASSWORD},
    # The text of an error may repeat what was sent, and the CHAP secrets
    # are sent with AddAccount only.
    {'error': 'xInvalidParameter', 'message': BOTH, 'method': 'AddAccount'},
    {'http_status': 401, 'body': '<html>%s</html>' % BOTH},
    {'http_status': 503, 'body': '<html>%s</html>' % BOTH},
    {'http_status': 200, 'body': '{"result": {"account": "%s"' % BOTH},
    {'http_status': 200, 'body': {'error': BOTH}},
    {'http_status': 200, 'body': {'result': BOTH}},
    {'http_status': 200, 'body': {'result': {
        'account': BOTH, 'volume': BOTH, 'volumes': BOTH}}},
    {'http_status': 200, 'body': {'result': {
        'account': dict(ACCOUNT, accountID=CHAP_SECRET)}}},
    {'http_status': 200, 'body': {'result': {
        'account': dict(ACCOUNT, targetSecret=[CHAP_SECRET])}}},
    {'drop': True, 'when': 'after'},
)
"""Replies of a cluster that repeat the secrets, and a lost one."""


class SecretsTestCase(scenario.ScenarioTestCase):

    def setUp(self):
        super().setUp()
        self.all_logs = self.useFixture(fixtures.LogCapture('cinder'))
        self.mock_object(volume_utils, 'generate_password', autospec=True,
                         return_value=CHAP_SECRET)
        self.image = self.images.add(self.DATA)

    def new_cluster(self, **arguments):
        return super().new_cluster(password=PASSWORD, **arguments)

    def assert_no_secret(self, *things, context=None):
        """Check what was logged, and what things look like in print."""
        texts = self.all_logs.lines + [
            text for thing in things for text in (repr(thing), str(thing))]
        self.assertEqual([], [text for text in texts if any(
            each in text for each in SECRETS)], context)

    def logged(self, text):
        return [line for line in self.all_logs.lines if text in line]

    def each_reply(self, replies, called):
        """Yield each method called and reply, which is then in force.

        :param called: a method that must have been called
        """
        methods = sorted(set(self.sim.calls.methods))
        self.assertIn(called, methods)
        for method, rule in itertools.product(methods, replies):
            self.clear_cluster()
            self.all_logs.clear()
            self.forget(self.driver)
            self.sim.faults.add(times=None, **{'method': method, **rule})
            yield method, rule


class CloneImageTestCase(SecretsTestCase):

    def test_clone_image(self):
        for _i in range(2):
            self.assertTrue(self.clone(self.image)[1])
        self.assertEqual(
            {CHAP_SECRET}, {account.target_secret for account
                            in self.sim.cluster.accounts.values()})
        # The calls with secrets were logged.
        self.assertEqual(2, len(self.logged(': AddAccount ')))
        self.assertEqual(2, len(self.logged("'targetSecret': '***'")))
        self.assert_no_secret(*[
            json.dumps([volume.name, volume.attributes])
            for volume in self.sim.cluster.volumes.values()])

    def test_clone_image_without_redaction(self):
        # So that the other tests can fail.
        with mock.patch.object(redaction, 'SECRETS', frozenset()):
            self.clone(self.image)
        self.assertRaises(AssertionError, self.assert_no_secret)

    def test_printed_objects(self):
        self.clone(self.image)
        service = self.service()
        account = service.cluster.client.get_account(base.TEMPLATE_ACCOUNT)
        self.assertEqual(CHAP_SECRET, account.target_secret)
        parts = [service, service.cluster, service.cluster.client,
                 service.cache, service.filler, service.store,
                 service.accounts, service.provider, self.driver]
        self.assert_no_secret(
            account, transport.Endpoint(
                url=self.sim.url, login=self.sim.login, password=PASSWORD),
            self.driver.active_cluster, self.driver.cluster_pairs,
            self.driver.active_cluster['endpoint'],
            *parts, *[vars(part) for part in parts])

    def test_every_call_of_clone_image_with_secrets_in_the_reply(self):
        self.clone(self.image)
        for case in self.each_reply(REPLIES, 'AddAccount'):
            self.clone(self.image)
            self.assert_no_secret(context=case)


class StockOperationsTestCase(SecretsTestCase):
    """What the stock driver does with volumes, and how each call fails."""

    # It measures the time of clones by the clock of this machine.
    CLONE_SECONDS = 0

    REPLIES = REPLIES[:5:2] + (
        {'http_status': 200, 'body': {'result': {'account': ACCOUNT}}},)

    def operations(self):
        """Yield what is done with a volume, as callables."""
        driver = self.driver
        volume, copy = self.new_volume(), self.new_volume(size=2)
        snapshot = fake_snapshot.fake_snapshot_obj(
            self.context, volume=volume, volume_id=volume.id,
            id=fake.SNAPSHOT_ID, project_id=fake.PROJECT_ID)
        yield lambda: volume.update(driver.create_volume(volume))
        yield lambda: driver.initialize_connection(volume, base.CONNECTOR)
        yield lambda: driver.terminate_connection(volume, base.CONNECTOR,
                                                  force=False)
        yield lambda: driver.extend_volume(volume, 2)
        yield lambda: driver.create_snapshot(snapshot)
        yield lambda: driver.create_volume_from_snapshot(copy, snapshot)
        yield lambda: driver.delete_snapshot(snapshot)
        yield lambda: driver.create_cloned_volume(self.new_volume(size=2),
                                                  volume)
        yield lambda: driver.get_volume_stats(refresh=True)
        yield lambda: driver.delete_volume(volume)

    def run_operations(self):
        """Run all operations, and return how their errors are printed."""
        texts = []
        for operation in self.operations():
            try:
                operation()
            except Exception as exc:
                texts += [str(exc), repr(exc),
                          *traceback.format_exception(exc)]
        self.service().housekeeping_runner.wait()
        return texts

    def test_operations(self):
        self.driver = self.new_driver(sf_enable_vag=True)
        self.driver.do_setup(self.context)
        self.assertEqual([], self.run_operations())
        self.assertNotEqual([], self.logged('Active cluster'))
        self.assert_no_secret()

    def test_every_call_with_secrets_in_the_reply(self):
        self.run_operations()
        outcomes = []
        for case in self.each_reply(self.REPLIES, 'CreateVolume'):
            outcomes.append(self.run_operations())
            self.assert_no_secret(*outcomes[-1], context=case)
        # Of three replies more than one makes an operation fail.
        self.assertGreater(3 * len([texts for texts in outcomes if texts]),
                           len(outcomes))
