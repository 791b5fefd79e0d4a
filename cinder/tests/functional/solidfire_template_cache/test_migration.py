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

"""Migration of volumes that came from a template.

Next to the stock driver's result, as in :mod:`test_operations`; the second
cluster is another backend here.
"""

from cinder import exception
from cinder.tests.functional.solidfire_template_cache import operations
from cinder.tests.unit import fake_constants as fake
from cinder.volume import configuration
from cinder.volume import driver as volume_driver
from cinder.volume.drivers.san import san
from cinder.volume.drivers import solidfire
from cinder.volume import volume_utils

OTHER = {'host': 'host@other#other'}


class MigrationTestCase(operations.TwinsTestCase):

    FAR = True

    @staticmethod
    def replication(far):
        return {}

    def setUp(self):
        super().setUp()
        self.configured = self.mock_object(
            volume_utils, 'get_backend_configuration', autospec=True)

    def other_backend(self, sim):
        """Let a cluster be what the configuration has as `other`."""
        group = 'other_%s' % sim.port
        conf = configuration.Configuration(
            volume_driver.volume_opts + san.san_opts + solidfire.sf_opts,
            config_group=group)
        for name, value in (('san_ip', sim.cluster.mvip),
                            ('sf_api_port', sim.port),
                            ('san_login', sim.login),
                            ('san_password', sim.password)):
            self.override_config(name, value, group)
        self.configured.return_value = conf

    def other_driver(self, side, sim):
        """Return a driver of the same class, of another backend."""
        return self.new_driver(
            sim, driver_class=type(side.driver),
            driver_ssl_cert_path=side.driver.configuration
            .driver_ssl_cert_path)

    # By the clusters themselves

    def test_migration_within_the_backend(self):
        self.assertEqual((True, {}), self.compare(
            lambda side: side.driver.migrate_volume(
                self.context, side.volume,
                {'host': 'elsewhere@solidfire#solidfire'})))

    def test_migration_to_a_backend_on_the_same_cluster(self):
        def migrate(side):
            self.other_backend(side.sim)
            return side.driver.migrate_volume(self.context, side.volume,
                                              OTHER)

        self.assertEqual((True, {}), self.compare(migrate))

    def test_migration_to_a_backend_on_another_cluster(self):
        def migrate(side):
            self.other_backend(side.sims[1])
            return side.driver.migrate_volume(self.context, side.volume,
                                              OTHER), len(
                side.sim.cluster.volumes), len(side.sims[1].cluster.volumes)

        (done, update), near, far = self.compare(migrate)
        self.assertEqual((True, 1, 1), (done, near, far))
        self.assertEqual('1', update['provider_id'].split()[0])

    def test_migration_of_a_volume_in_use_is_refused(self):
        def migrate(side):
            side.volume.status = 'in-use'
            return side.driver.migrate_volume(self.context, side.volume,
                                              OTHER)

        self.compare(migrate, fails=exception.InvalidVolume)

    # By the host, which copies

    def target_of(self, volume):
        """Return the volume that the manager makes to migrate one to."""
        return self.new_volume(id=fake.VOLUME2_ID, size=volume.size,
                               migration_status='target:%s' % volume.id)

    def copy(self, side, source, source_driver, target, target_driver):
        """Copy the data, as a host to which both are attached does."""
        host = operations.connector('copier')
        pairs = (source, source_driver), (target, target_driver)
        seen = [driver.initialize_connection(volume, host)
                for volume, driver in pairs]
        side.write(target, side.read(source))
        for volume, driver in pairs:
            driver.terminate_connection(volume, host, force=False)
        return seen

    def test_host_assisted_migration_to_another_cluster(self):
        def migrate(side):
            other = self.other_driver(side, side.sims[1])
            source, target = side.volume, self.target_of(side.volume)
            update = other.create_volume(target)
            target.update(update)
            seen = [update, self.copy(side, source, side.driver, target,
                                      other)]
            # The manager then moves Cinder's record, not the volume.
            self.assertRaises(NotImplementedError,
                              other.update_migrated_volume, self.context,
                              source, target, 'available')
            side.driver.delete_volume(source)
            source.update({'_name_id': target.id,
                           'provider_id': target.provider_id,
                           'provider_location': target.provider_location})
            other.extend_volume(source, 3)
            return seen, side.read(source) == operations.DATA

        self.assertIs(True, self.compare(migrate)[1])

    def test_host_assisted_migration_on_one_cluster_is_refused(self):
        def migrate(side):
            other = self.other_driver(side, side.sim)
            other.create_volume(self.target_of(side.volume))

        # Its name is the source's, which is taken.
        self.compare(migrate, fails=solidfire.SolidFireDuplicateVolumeNames)
