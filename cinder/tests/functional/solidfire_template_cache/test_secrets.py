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

"""Secrets stay secret: in logs, errors, printed objects and attributes.

Looked at is all that is logged below ``cinder``, at debug level, by this
package and by the stock driver: it prints its endpoint and the arguments and
replies of its API calls, and what a call fails with is in its errors.
"""

import json
import traceback
from unittest import mock

from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import fake_snapshot
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import masking
from cinder.volume.drivers.solidfire_template_cache import transport
from cinder.volume import volume_utils

PASSWORD = 'Pa55word-of-the-cluster'
CHAP_SECRET = 'CHAP0SECRET1'
SECRETS = (PASSWORD, CHAP_SECRET)

DATA = b'bootable' * 5000

TALE = 'refused: %s, %s' % SECRETS

ACCOUNT = {'accountID': 1, 'username': 'x', 'targetSecret': CHAP_SECRET,
           'initiatorSecret': CHAP_SECRET}

INDISCREET = (
    {'error': 'xNobodyEverHeardOfThis', 'message': 'refused: ' + PASSWORD},
    {'error': 'xPermissionDenied', 'message': 'refused: ' + PASSWORD},
    {'error': 'xInvalidParameter', 'message': TALE, 'method': 'AddAccount'},
    {'http_status': 401, 'body': '<html>%s</html>' % TALE},
    {'http_status': 503, 'body': '<html>%s</html>' % TALE},
    {'http_status': 200, 'body': '{"result": {"account": "%s"' % TALE},
    {'http_status': 200, 'body': {'error': TALE}},
    {'http_status': 200, 'body': {'result': TALE}},
    {'http_status': 200, 'body': {'result': {
        'account': TALE, 'volume': TALE, 'volumes': TALE}}},
    {'http_status': 200, 'body': {'result': {
        'account': dict(ACCOUNT, accountID=CHAP_SECRET)}}},
    {'http_status': 200, 'body': {'result': {
        'account': dict(ACCOUNT, targetSecret=[CHAP_SECRET])}}},
    {'drop': True, 'when': 'after'},
)
"""What a cluster may answer that tells the secrets back.

The text of an error may repeat what was sent: the CHAP secrets are sent with
AddAccount only.
"""


class Secrets(base.FunctionalTestCase):
    """Collects what is logged, and knows the secrets."""

    def setUp(self):
        super().setUp()
        self.log = clients.Log(self, 'cinder')
        self.mock_object(volume_utils, 'generate_password', autospec=True,
                         return_value=CHAP_SECRET)
        self.image = self.images.add(DATA)

    def new_cluster(self, **arguments):
        return super().new_cluster(password=PASSWORD, **arguments)

    def leaks(self, texts=None):
        """Return which of the texts tell a secret; of all logged so far."""
        return [text for text in texts or self.log.lines
                if any(secret in text for secret in SECRETS)]

    def logged(self, words):
        return [text for text in self.log.lines if words in text]


class SecretsTestCase(Secrets):

    def test_fill_and_hit(self):
        for _i in range(2):
            self.assertTrue(self.clone(self.image)[1])
        self.assertEqual(
            {CHAP_SECRET}, {account.target_secret for account
                            in self.sim.cluster.accounts.values()})
        self.assertEqual([], self.leaks())
        # The calls that carry secrets were logged.
        self.assertEqual(2, len(self.logged(': AddAccount ')))
        self.assertEqual(2, len(self.logged("'targetSecret': '***'")))

    def test_leak_would_be_seen(self):
        with mock.patch.object(masking, 'SECRETS', frozenset()):
            self.clone(self.image)
        self.assertEqual(2, len(self.leaks()))

    def test_every_call_is_answered_with_secrets(self):
        self.clone(self.image)
        methods = set(self.sim.calls.methods)
        self.assertIn('AddAccount', methods)
        for method in sorted(methods):
            for rule in INDISCREET:
                self.clear_cluster()
                self.forget(self.driver)
                self.sim.faults.add(times=None, **{'method': method, **rule})
                self.clone(self.image)
                self.assertEqual([], self.leaks(), (method, rule))
                self.log.clear()

    def test_errors_tell_no_secret(self):
        client = self.driver._template_parts().client
        calls = (
            lambda: client.add_account('name', CHAP_SECRET),
            lambda: client.get_account('name'),
            lambda: client.create_volume('name', 1, 1, True, {}),
            lambda: client.list_volumes('name'),
            lambda: client.clone_volume(1, 'name', 1, True, {}),
            lambda: client.get_job(1), client.get_clones_per_volume)
        texts = []
        for rule in INDISCREET:
            self.sim.faults.clear()
            self.sim.faults.add(times=None, **rule)
            for call in calls:
                try:
                    call()
                except errors.ElementError as exc:
                    texts += [str(exc), repr(exc), repr(vars(exc))]
                    texts += traceback.format_exception(exc)
        self.assertGreater(len(texts), len(INDISCREET) * len(calls))
        self.assertEqual([], self.leaks(texts))

    def test_printed_objects_tell_no_secret(self):
        self.clone(self.image)
        parts = self.driver._template_parts()
        account = parts.client.get_account('openstack-vtemplate')
        self.assertEqual(CHAP_SECRET, account.target_secret)
        endpoint = transport.Endpoint(
            url=self.sim.url, login=self.sim.login, password=PASSWORD)
        things = [account, endpoint, parts.client, parts.cache, parts.filler,
                  parts, vars(parts), vars(parts.client), vars(parts.cache),
                  vars(parts.filler)]
        self.assertEqual([], self.leaks(
            [text for thing in things for text in (repr(thing),
                                                   str(thing))]))

    def test_attributes_hold_no_secret(self):
        self.clone(self.image)
        volumes = list(self.sim.cluster.volumes.values())
        self.assertEqual(2, len(volumes))
        self.assertEqual([], self.leaks(
            [json.dumps([volume.name, volume.attributes])
             for volume in volumes]))

    def test_printed_driver_tells_no_secret(self):
        self.clone(self.image)
        things = [self.driver, self.driver._template_parts(),
                  self.driver.active_cluster, vars(self.driver),
                  self.driver.active_cluster['endpoint'],
                  self.driver.cluster_pairs]
        texts = [text for thing in things for text in (repr(thing),
                                                       str(thing))]
        self.assertEqual([], self.leaks(texts))


class StockOperationsTestCase(Secrets):
    """What the stock driver does with volumes, and how each call fails."""

    # The stock driver waits by the time of this machine.
    CLONE_SECONDS = 0

    # Errors that repeat what was sent, and secrets where they belong.
    ANSWERS = INDISCREET[:5:2] + (
        {'http_status': 200, 'body': {'result': {'account': ACCOUNT}}},)

    CONNECTOR = {'initiator': 'iqn.2026-01.org.example:host', 'host': 'host',
                 'ip': '127.0.0.1', 'multipath': False}

    def setUp(self):
        super().setUp()
        self.mock_object(solidfire.time, 'sleep', autospec=True,
                         side_effect=self.clock.sleep)
        self.driver = self.new_driver(sf_enable_vag=True)

    def operations(self):
        """Yield what a volume goes through, as callables."""
        driver = self.driver
        volume, copy = self.new_volume(), self.new_volume(size=2)
        snapshot = fake_snapshot.fake_snapshot_obj(
            self.context, volume=volume, volume_id=volume.id,
            id=fake.SNAPSHOT_ID, project_id=fake.PROJECT_ID)
        yield lambda: volume.update(driver.create_volume(volume))
        yield lambda: driver.initialize_connection(volume, self.CONNECTOR)
        yield lambda: driver.terminate_connection(volume, self.CONNECTOR,
                                                  force=False)
        yield lambda: driver.extend_volume(volume, 2)
        yield lambda: driver.create_snapshot(snapshot)
        yield lambda: driver.create_volume_from_snapshot(copy, snapshot)
        yield lambda: driver.delete_snapshot(snapshot)
        yield lambda: driver.create_cloned_volume(self.new_volume(size=2),
                                                  volume)
        yield lambda: driver.get_volume_stats(refresh=True)
        yield lambda: driver.delete_volume(volume)

    def go_through(self):
        """Run all operations, whatever they end in; return their errors."""
        texts = []
        for operation in self.operations():
            try:
                operation()
            except Exception as exc:
                texts += [str(exc), repr(exc)]
                texts += traceback.format_exception(exc)
        return texts

    def test_operations(self):
        self.assertEqual([], self.go_through())
        self.assertEqual([], self.leaks())
        self.assertNotEqual([], self.logged('solidfire'))

    def test_every_call_of_an_operation_is_answered_with_secrets(self):
        self.go_through()
        methods = sorted(set(self.sim.calls.methods))
        self.assertIn('CreateVolume', methods)
        failed = 0
        for method in methods:
            for rule in self.ANSWERS:
                self.clear_cluster()
                self.log.clear()
                self.sim.faults.add(times=None, **{'method': method, **rule})
                texts = self.go_through()
                failed += bool(texts)
                self.assertEqual([], self.leaks(texts or ['']),
                                 (method, rule))
                self.assertEqual([], self.leaks(), (method, rule))
        self.assertGreater(failed, len(methods))
