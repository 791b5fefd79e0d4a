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

from unittest import mock

import ddt

from cinder import exception
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume import configuration
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import transport
from cinder.volume.drivers.solidfire_template_cache.image import eligibility
from cinder.volume.drivers.solidfire_template_cache import options
from cinder.volume.drivers.solidfire_template_cache import service
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume.drivers.solidfire_template_cache.templates import cache
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import provider


class ServiceTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.LogCapture())
        conf = configuration.Configuration(
            solidfire.sf_opts + options.template_cache_opts,
            config_group='sf')
        self.backend = mock.create_autospec(
            stock.StockBackend, instance=True, conf=conf, host='host@sf',
            cluster_name=None, max_volumes_per_account=1990)
        self.use_cluster('cluster-1')
        self.backend.template_account_name.return_value = 'templates'
        self.client = mock.create_autospec(client.ElementClient,
                                           instance=True)
        self.backend.new_client.return_value = self.client
        self.services = service.CacheServices(self.backend)
        self.services.clock = fixtures.ManualClock()

    def use_cluster(self, cluster_id):
        self.backend.active_cluster.return_value = stock.ActiveCluster(
            cluster_id, 'ab12', '192.0.2.2:3260', transport.Endpoint(
                'https://sf', 'admin', 'secret'))


@ddt.ddt
class CacheServiceTestCase(ServiceTestCase):

    def setUp(self):
        super().setUp()
        self.service = self.services.active()
        self.service.cache = mock.create_autospec(cache.TemplateCache,
                                                  instance=True)
        self.volume = fixtures.new_volume()

    def clone_image(self, metadata):
        return self.service.clone_image(
            mock.sentinel.context, self.volume, metadata,
            mock.sentinel.image_service)

    @ddt.data(*provider.Outcome)
    def test_clone_image_logs_its_outcome(self, outcome):
        self.service.cache.create.return_value = cache.Created(
            {'provider_id': '1'}, fixtures.template(), outcome)
        self.assertEqual(({'provider_id': '1'}, True),
                         self.clone_image(fixtures.image_metadata()))
        req = self.service.cache.create.call_args.args[0]
        self.assertEqual(
            (mock.sentinel.context, self.volume, fixtures.image(),
             mock.sentinel.image_service),
            (req.context, req.volume, req.image, req.image_service))
        self.assertEqual(1, len(self.log.about(
            self.volume.id, 'template volume 7', fixtures.image().id,
            '(%s)' % outcome.name.lower())))

    def test_clone_image_not_eligible(self):
        self.assertEqual(
            (None, False),
            self.clone_image(fixtures.image_metadata(status='queued')))
        self.service.cache.create.assert_not_called()
        reason = eligibility.Reason.IMAGE_NOT_ACTIVE
        self.assertEqual(1, len(self.log.about(
            self.volume.id, fixtures.image().id, reason.name,
            reason.value)))
        self.assertEqual([], self.log.warnings)

    @ddt.data(7, '7', ' +7 ', '0_7', 7.5)
    def test_refuse_template(self, reference):
        self.client.next_active_volume.return_value = (
            fixtures.element_volume(id=7, attributes={model.ATTRIBUTE: {}}))
        exc = self.assertRaises(
            exception.ManageExistingInvalidReference,
            self.service.refuse_template, {'source-id': reference})
        self.assertIn('volume 7 is an image template', str(exc))
        self.client.next_active_volume.assert_called_once_with(7)

    @ddt.data(None, fixtures.element_volume())
    def test_refuse_template_of_another_volume(self, found):
        self.client.next_active_volume.return_value = found
        self.service.refuse_template({'source-id': 7})

    @ddt.data({}, {'source-id': None}, {'source-id': 'a-name'},
              {'source-id': float('inf')}, {'source-id': '4' * 5000})
    def test_refuse_template_leaves_odd_references_to_the_stock_driver(
            self, reference):
        self.service.refuse_template(reference)
        self.client.next_active_volume.assert_not_called()


@ddt.ddt
class CacheServicesTestCase(ServiceTestCase):

    def test_active_is_one_service_for_each_cluster(self):
        first = self.services.active()
        self.assertIs(first, self.services.active())
        self.assertEqual(
            ('cluster-1', 'host', self.client, self.services.clock),
            (first.cluster.id, first.cluster.host, first.cluster.client,
             first.cluster.clock))
        self.use_cluster('cluster-2')
        second = self.services.active()
        self.assertIsNot(first, second)
        self.assertEqual('cluster-2', second.cluster.id)
        self.use_cluster('cluster-1')
        self.assertIs(first, self.services.active())
        self.assertEqual([], self.client.method_calls)

    def test_active_keeps_few_services(self):
        first = self.services.active()
        for number in range(10):
            self.use_cluster('other-%s' % number)
            self.services.active()
        self.use_cluster('cluster-1')
        self.assertIsNot(first, self.services.active())

    def test_clear(self):
        first = self.services.active()
        self.services.clear()
        self.client.close.assert_called_once_with()
        self.assertIsNot(first, self.services.active())

    def test_check_setup_logs_the_configuration_in_one_line(self):
        self.override_config('backend_url', 'redis://:secret@host',
                             group='coordination')
        self.services.check_setup()
        self.assertEqual(1, len(self.log.about(
            service.VERSION, 'is on', 'cluster-1', 'account templates',
            '200 templates', '0 GiB', '32 replicas of each', '30 days',
            '10 percent', '1800 s', 'backend redis')))
        self.assertNotIn('secret', self.log.text)
        self.assertEqual([], self.log.warnings)

    # In 1.0.0 such an account was never found, and each image downloaded
    # twice.
    @ddt.data('', 'a b', 'x' * 60)
    def test_check_setup_account_name_that_cannot_exist(self, name):
        self.override_config('sf_template_account_name', name, group='sf')
        self.backend.template_account_name.return_value = 'cloud-' + name
        exc = self.assertRaises(exception.InvalidConfigurationValue,
                                self.services.check_setup)
        self.assertIn('sf_template_account_name', str(exc))

    @ddt.data(('file:///var/lib', 'a-cluster', 1),
              ('file:///var/lib', None, 0),
              ('etcd3+http://host', 'a-cluster', 0))
    @ddt.unpack
    def test_check_setup_warns_of_hosts_without_a_shared_backend(
            self, url, cluster_name, warnings):
        self.override_config('backend_url', url, group='coordination')
        self.backend.cluster_name = cluster_name
        self.services.check_setup()
        self.assertEqual(warnings, len(self.log.warnings))
        if warnings:
            self.log.pop_warning('a-cluster', 'backend_url', 'type file')

    def test_log_off(self):
        service.log_off()
        self.assertEqual(1, len(self.log.about(
            service.VERSION, 'is off', 'sf_allow_template_caching')))
