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

"""What the stock driver prints, once ours passes it the data."""

import json

from cinder.tests.element_simulator import peers
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import masking
from cinder.volume import volume_types

PASSWORD = 'the-password-of-the-cluster'


class MaskedTestCase(base.DriverTestCase):

    def test_masked_prints_no_secret_at_any_depth(self):
        secret = {'targetSecret': 'hidden', 'initiatorSecret': 'hidden',
                  'passwd': 'hidden', 'name': 'shown'}
        masked = masking.masked({'accounts': [secret], 'other': secret})
        for text in (repr(masked), str(masked), '%s' % masked,
                     '%s' % ({'within': masked},)):
            self.assertNotIn('hidden', text)
            self.assertIn('shown', text)

    def test_masked_is_the_same_data(self):
        data = {'a': [1, {'passwd': 'x'}], 'targetSecret': 'y'}
        masked = masking.masked(data)
        self.assertEqual(data, masked)
        self.assertEqual('x', masked['a'][1]['passwd'])
        self.assertEqual(json.dumps(data), json.dumps(masked))


class StockDriverTestCase(base.DriverTestCase):
    """All loggers of Cinder at debug level, the stock driver's among them."""

    def setUp(self):
        super().setUp()
        self.log = clients.Log(self, 'cinder')

    def new_cluster(self, **arguments):
        return super().new_cluster(password=PASSWORD, **arguments)

    def assert_logged(self, words):
        """Check that what used to tell a secret was logged at all."""
        self.assertNotEqual([], [text for text in self.log.lines
                                 if words in text])

    def assert_kept(self, *clusters):
        secrets = {PASSWORD}
        for sim in clusters or (self.sim,):
            for account in sim.cluster.accounts.values():
                secrets |= {account.target_secret, account.initiator_secret}
        self.assertGreater(len(secrets), 1)
        self.assertEqual([], [text for text in self.log.lines
                              if any(secret in text for secret in secrets)])

    def test_start_and_create_with_repeated_calls(self):
        self.mock_object(base.solidfire.time, 'sleep', autospec=True)
        for caching in (True, False):
            driver = self.new_driver(sf_allow_template_caching=caching)
            self.sim.faults.add(method='*Account*', times=3,
                                error='xDBVersionMismatch')
            driver.create_volume(self.new_volume())
        self.assert_logged('Retrying')
        self.assert_kept()

    def test_replicated_create(self):
        together = peers.Peers()
        self.sim = self.new_cluster(peers=together)
        remote = self.new_cluster(peers=together, mvip='localhost',
                                  unique_id='sim2')
        path = self.state + '/authorities.pem'
        with open(path, 'w') as both:
            for sim in (self.sim, remote):
                with open(sim.ca_file) as one:
                    both.write(one.read())
        driver = self.new_driver(
            driver_ssl_cert_path=path, replication_device=[{
                'backend_id': 'remote', 'mvip': 'localhost',
                'port': str(remote.port), 'login': remote.login,
                'password': PASSWORD}])
        self.mock_object(volume_types, 'get_volume_type', autospec=True,
                         return_value={
                             'qos_specs_id': None, 'extra_specs': {
                                 'replication_enabled': '<is> True'}})
        driver.create_volume(self.new_volume(
            volume_type_id=base.fake.VOLUME_TYPE_ID))
        self.assert_logged('Replicating volume')
        self.assert_kept(self.sim, remote)
