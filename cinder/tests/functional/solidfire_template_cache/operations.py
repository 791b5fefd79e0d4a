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

"""Compares this driver with the stock driver, on two equal clusters.

On the one a volume is cloned from a template; on the other the stock driver
creates a volume with the same id, and the image's data is written to it.
From then on, the same operations must have the same results.
"""

import dataclasses
import datetime
import hashlib
import typing

from oslo_utils import fixture as utils_fixture
from oslo_utils import units
from oslo_utils import uuidutils

from cinder import context
from cinder.tests.element_simulator import api
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import fake_snapshot
from cinder.volume.drivers import solidfire
from cinder.volume.drivers import solidfire_template_cache
from cinder.volume import volume_types
from cinder.volume import volume_utils

DATA = base.DATA

# The first volume of each cluster; what is created next is number 2.
TEMPLATE_ID = 1

_THEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

# How this driver checks whether volume 2 is a template before it manages it.
TEMPLATE_CHECK = ('ListVolumes', {
    'startVolumeID': 2, 'limit': 1, 'volumeStatus': 'active'})

# Values that differ between any two clusters. A clone is also marked as such,
# as the stock driver's own clones are.
_DIFFERENT = frozenset([
    'volumeUUID', 'volumeConsistencyGroupUUID', 'volumePairUUID',
    'createTime', 'snapshotUUID', 'instanceSnapshotUUID',
    'instanceCreateTime', 'groupSnapshotUUID', 'is_clone'])

_TABLES = {
    'ListVolumes': 'volumes', 'ListSnapshots': 'snapshots',
    'ListGroupSnapshots': 'groupSnapshots', 'ListAccounts': 'accounts',
    'ListVolumeAccessGroups': 'volumeAccessGroups'}


def comparable(value):
    """Return a reply or parameters without the values that always differ."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()
                if key not in _DIFFERENT}
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return value


@dataclasses.dataclass
class Side(object):
    """A cluster, its driver, and volumes that were created from one image."""

    sims: list
    driver: typing.Any
    volumes: list = dataclasses.field(default_factory=list)

    @property
    def sim(self):
        return self.sims[0]

    @property
    def volume(self):
        return self.volumes[0]

    def calls(self):
        """Return the calls of both clusters since they were last reset."""
        return [[(call.method, call.version, comparable(call.params),
                  call.error) for call in sim.calls] for sim in self.sims]

    def state(self):
        """Return all objects of the clusters as the API lists them."""
        return [{table: comparable(
            api.call(sim.cluster, method, {}).result[table])
            for method, table in _TABLES.items()} for sim in self.sims]

    def data(self):
        """Return digests of the beginnings of volumes and snapshots."""
        return [[_digest(cluster.files.path('%s-%s' % (kind, number)))
                 for kind, table in (('volume', cluster.volumes),
                                     ('snapshot', cluster.snapshots))
                 for number in sorted(table)]
                for cluster in (sim.cluster for sim in self.sims)]

    def write(self, volume, data):
        """Write to a volume, as the instance that it is attached to does."""
        with open(self.path(volume), 'r+b') as device:
            device.write(data)

    def read(self, volume):
        """Return the beginning of a volume, as long as the image is."""
        with open(self.path(volume), 'rb') as device:
            return device.read(len(DATA))

    def path(self, volume):
        """Return the file with the data of a volume of Cinder's."""
        number, _account, cluster_id = volume.provider_id.split()
        sim, = [sim for sim in self.sims if sim.cluster.uuid == cluster_id]
        return sim.cluster.volume_path(int(number))


def _digest(path):
    with open(path, 'rb') as device:
        return hashlib.sha256(device.read(units.Mi)).hexdigest()


def connector(host):
    """Return the connector properties of a host."""
    return dict(base.CONNECTOR, host=host,
                initiator='iqn.1993-08.org.debian:01:%s' % host)


class ComparisonTestCase(base.FunctionalTestCase):
    """Runs an operation with both drivers and compares everything visible."""

    REPLICATED = False

    def setUp(self):
        super().setUp()
        # Both drivers take times and secrets from here.
        self.useFixture(utils_fixture.TimeFixture())
        self.mock_object(volume_utils, 'generate_password', autospec=True,
                         return_value='S' * 12)
        self.image = self.images.add(DATA)
        self._volume_types = {}

    def new_cluster(self, **arguments):
        return super().new_cluster(**dict({'clone_seconds': 0}, **arguments))

    def sides(self, **options):
        """Return the side of this driver and that of the stock driver."""
        sims = [self._with_target(near)
                for near in (self.sim, self.new_cluster())]
        options.setdefault('driver_ssl_cert_path',
                           self.authorities(*sims[0], *sims[1]))
        classes = (solidfire_template_cache.SolidFireDriver,
                   solidfire.SolidFireDriver)
        sides = []
        for members, driver_class in zip(sims, classes):
            self.sim = members[0]
            self._make_equal(members, sims[0])
            sides.append(Side(members, self.new_driver(
                self.sim, driver_class=driver_class,
                **dict(options, **self.replication(members[1:])))))
        self.sim = sims[0][0]
        self.template = self._template_state()
        return sides

    def _with_target(self, near):
        if not self.REPLICATED:
            return [near]
        return [near, self.new_cluster(
            peers=near.cluster.peers, unique_id='far1', mvip='localhost',
            svip='127.0.0.2')]

    def _make_equal(self, members, models):
        for sim, model in zip(members, models):
            sim.cluster.uuid = model.cluster.uuid
        for name in (base.TEMPLATE_ACCOUNT, fake.PROJECT_ID):
            self.api('AddAccount', username=name, targetSecret='T' * 12,
                     initiatorSecret='T' * 12)
        self.assertEqual(TEMPLATE_ID, self.plant(
            self.image, fill_id='a fill', filled_at=_THEN, last_used=_THEN))

    @staticmethod
    def replication(far):
        """Return the options of a driver that replicates to a cluster."""
        return {'replication_device': [{
            'backend_id': 'far', 'mvip': 'localhost', 'port': str(sim.port),
            'login': sim.login, 'password': sim.password} for sim in far]
        } if far else {}

    def authorities(self, *sims):
        """Return a file of the certificates of all who sign for clusters."""
        path = self.state + '/authorities-%s.pem' % uuidutils.generate_uuid()
        with open(path, 'w') as together:
            for sim in sims:
                with open(sim.ca_file) as one:
                    together.write(one.read())
        return path

    # Cinder's objects, the same on both sides

    def volume_type(self, name='plain', **extra_specs):
        """Return a volume type, created when it is first needed."""
        admin = context.get_admin_context()
        if name not in self._volume_types:
            self._volume_types[name] = volume_types.create(
                admin, name, extra_specs).id
        return volume_types.get_volume_type(admin, self._volume_types[name])

    def snapshot_of(self, volume, **members):
        return fake_snapshot.fake_snapshot_obj(self.context, **dict({
            'id': fake.SNAPSHOT_ID, 'volume_id': volume.id, 'volume': volume,
            'project_id': volume.project_id}, **members))

    # The comparison

    def compare(self, operation, count=1, sides=None, fails=None,
                additional=(), **members):
        """Run an operation on both sides; return what this driver returned."""
        sides = sides or self.sides()
        described = [dict({'size': 2, 'id': uuidutils.generate_uuid(),
                           'display_name': 'root'}, **members)
                     for _volume in range(count)]
        outcomes = []
        for side, create in zip(sides, (self._clone, self._create_as_stock)):
            side.volumes = [self._make(side, create, each)
                            for each in described]
            for sim in side.sims:
                sim.reset_calls()
            outcomes.append(self._run_on(operation, side, fails))
        found, expected = outcomes
        calls = found['calls'][0]
        for method, params in additional:
            calls.remove(next(call for call in calls if
                              (call[0], call[2]) == (method, params)))
        for name in expected:
            self.assertEqual(expected[name], found[name], name)
        self.assert_template_untouched(sides[0])
        return found['returned']

    def _make(self, side, create, members):
        volume = self.new_volume(**members)
        volume.update(create(side, volume))
        volume.status = 'available'
        return volume

    def _run_on(self, operation, side, fails):
        if fails:
            returned = str(self.assertRaises(fails, operation, side))
        else:
            returned = operation(side)
        for sim in side.sims:
            sim.cluster.advance()
        return {'returned': returned, 'calls': side.calls(),
                'state': side.state(), 'data': side.data()}

    def _clone(self, side, volume):
        update, cloned = self.clone(self.image, volume, side.driver)
        self.assertTrue(cloned, self.log.warnings)
        return update

    def _create_as_stock(self, side, volume):
        update = side.driver.create_volume(volume)
        volume.update(update)
        side.write(volume, DATA)
        return update

    # The template

    def _template_state(self):
        cluster = self.sim.cluster
        volume, = api.call(cluster, 'ListVolumes', {
            'volumeIDs': [TEMPLATE_ID]}).result['volumes']
        return volume, cluster.snapshots_of(TEMPLATE_ID), _digest(
            cluster.volume_path(TEMPLATE_ID))

    def assert_template_untouched(self, side):
        """Check that the template is unchanged, and can still be used."""
        self.sim = side.sim
        self.assertEqual(self.template, self._template_state())
        self.assertEqual(('readOnly', []), (
            self.template[0]['access'], self.template[0]['volumePairs']))
        side.sim.reset_calls()
        result = self.clone(self.image, self.new_volume(
            volume_type_id=self.volume_type()['id']), side.driver)
        self.assert_served(result)
        self.assertEqual({TEMPLATE_ID}, self.sources())
        self.assertEqual([], self.images.downloads)
