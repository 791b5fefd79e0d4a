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

"""Two clusters alike: one with our driver, one with the stock driver.

On the one a volume is cloned from a template; on the other the stock driver
creates a volume of the same number, and the image's data are written to it.
From then on both must go the same way.
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
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import fake_snapshot
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder.volume.drivers import solidfire
from cinder.volume.drivers import solidfire_template_cache
from cinder.volume import volume_types
from cinder.volume import volume_utils

DATA = base.DATA

# The first volume of each cluster; what is created next is number 2.
TEMPLATE_ID = 1

_THEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

# How our driver looks what volume 2 is, before it is managed.
LOOK_FOR_TEMPLATE = ('ListVolumes', {
    'startVolumeID': 2, 'limit': 1, 'volumeStatus': 'active'})

# What two clusters, or two runs on one, cannot have in common; a clone is
# also marked as one, as the stock driver's own clones are.
_DIFFERENT = frozenset([
    'volumeUUID', 'volumeConsistencyGroupUUID', 'volumePairUUID',
    'createTime', 'snapshotUUID', 'instanceSnapshotUUID',
    'instanceCreateTime', 'groupSnapshotUUID', 'is_clone'])

_TABLES = {
    'ListVolumes': 'volumes', 'ListSnapshots': 'snapshots',
    'ListGroupSnapshots': 'groupSnapshots', 'ListAccounts': 'accounts',
    'ListVolumeAccessGroups': 'volumeAccessGroups'}


def comparable(value):
    """Return a reply or parameters without what cannot be the same."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()
                if key not in _DIFFERENT}
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return value


@dataclasses.dataclass
class Side(object):
    """A cluster, its driver, and volumes that were made of one image.

    :ivar sims: the cluster, and the one it replicates to if there is one
    :ivar driver: the driver under comparison
    :ivar volumes: as Cinder knows them
    """

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
        """Return all that the clusters tell of themselves."""
        return [{table: comparable(
            api.call(sim.cluster, method, {}).result[table])
            for method, table in _TABLES.items()} for sim in self.sims]

    def data(self):
        """Return the digests of what volumes and snapshots begin with."""
        digests = []
        for sim in self.sims:
            cluster = sim.cluster
            paths = [cluster.files.path('volume-%s' % number)
                     for number in sorted(cluster.volumes)]
            paths += [cluster.files.path('snapshot-%s' % number)
                      for number in sorted(cluster.snapshots)]
            digests.append([_digest(path) for path in paths])
        return digests

    def write(self, volume, data, offset=0):
        """Write to a volume, as the instance that it is attached to does."""
        with open(self.path(volume), 'r+b') as device:
            device.seek(offset)
            device.write(data)

    def read(self, volume):
        """Return what a volume begins with, as long as the image is."""
        with open(self.path(volume), 'rb') as device:
            return device.read(len(DATA))

    def path(self, volume):
        """Return the file of the data of a volume that Cinder knows."""
        number, _account, cluster_id = volume.provider_id.split()
        sim, = [sim for sim in self.sims if sim.cluster.uuid == cluster_id]
        return sim.cluster.volume_path(int(number))


def _digest(path):
    with open(path, 'rb') as device:
        return hashlib.sha256(device.read(units.Mi)).hexdigest()


def connector(host):
    """Return what a host tells of itself when it attaches a volume."""
    return {'initiator': 'iqn.1993-08.org.debian:01:%s' % host, 'host': host,
            'ip': '127.0.0.1', 'platform': 'x86_64', 'os_type': 'linux',
            'multipath': False, 'enforce_multipath': False}


class TwinsTestCase(base.HistoryTestCase):
    """Runs an operation on both sides and compares all there is to see.

    :cvar FAR: whether each cluster is paired with one more
    """

    FAR = False

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

    def twins(self, **options):
        """Return our side and the stock driver's.

        :param options: of both drivers
        """
        sims = [self._with_far(near)
                for near in (self.sim, self.new_cluster())]
        options.setdefault('driver_ssl_cert_path',
                           self.authorities(*sims[0], *sims[1]))
        classes = (solidfire_template_cache.SolidFireDriver,
                   solidfire.SolidFireDriver)
        sides = []
        for members, driver_class in zip(sims, classes):
            self.sim = members[0]
            self._make_alike(members, sims[0])
            sides.append(Side(members, self.new_driver(
                self.sim, driver_class=driver_class,
                **dict(options, **self.replication(members[1:])))))
        self.sim = sims[0][0]
        self.template = self._look_at_template()
        return sides

    def _with_far(self, near):
        if not self.FAR:
            return [near]
        return [near, self.new_cluster(
            peers=near.cluster.peers, unique_id='far1', mvip='localhost',
            svip='127.0.0.2')]

    def _make_alike(self, members, models):
        for sim, model in zip(members, models):
            sim.cluster.uuid = model.cluster.uuid
        for name in (base.SHARED_ACCOUNT, fake.PROJECT_ID):
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
        """Return a volume type, made when it is first asked for."""
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

    def compare(self, operation, count=1, sides=None, fails=None, ours=(),
                **members):
        """Run an operation on both sides; return what our driver returned.

        :param operation: a callable that takes a :class:`Side`
        :param count: how many volumes to make of the image first
        :param fails: the exception that the stock driver raises, if it does
        :param ours: method and parameters of each call that our driver
            makes in addition
        :param members: of the volumes
        """
        sides = sides or self.twins()
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
        self._take_out(found['calls'][0], ours)
        for name in expected:
            self.assertEqual(expected[name], found[name], name)
        self.assert_template_untouched(sides[0])
        return found['returned']

    @staticmethod
    def _take_out(calls, additional):
        for method, params in additional:
            place = [(call[0], call[2]) for call in calls].index(
                (method, params))
            del calls[place]

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
        self.assertTrue(cloned, self.warnings.messages)
        return update

    def _create_as_stock(self, side, volume):
        update = side.driver.create_volume(volume)
        volume.update(update)
        side.write(volume, DATA)
        return update

    # The template

    def _look_at_template(self):
        cluster = self.sim.cluster
        volume, = api.call(cluster, 'ListVolumes', {
            'volumeIDs': [TEMPLATE_ID]}).result['volumes']
        return volume, cluster.snapshots_of(TEMPLATE_ID), _digest(
            cluster.volume_path(TEMPLATE_ID))

    def assert_template_untouched(self, side):
        """Check that the template is as it was, and serves as it did."""
        self.sim = side.sim
        self.assertEqual(self.template, self._look_at_template())
        self.assertEqual(('readOnly', []), (
            self.template[0]['access'], self.template[0]['volumePairs']))
        side.sim.reset_calls()
        result = self.clone(self.image, self.new_volume(
            volume_type_id=self.volume_type()['id']), side.driver)
        self.assert_served(result)
        self.assertEqual({TEMPLATE_ID}, self.sources())
        self.assertEqual([], self.images.downloads)
