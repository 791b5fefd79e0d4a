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

"""What the tests of templates share: locks in memory, neighbours."""

import contextlib
import datetime
import types
from unittest import mock

import fixtures as base_fixtures
from oslo_utils import units

from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache import accounts
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache import cluster as cl
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.host import attach
from cinder.volume.drivers.solidfire_template_cache.host import iscsi_sessions
from cinder.volume.drivers.solidfire_template_cache.image import signatures
from cinder.volume.drivers.solidfire_template_cache import locks
from cinder.volume.drivers.solidfire_template_cache import stock
from cinder.volume.drivers.solidfire_template_cache.templates import eviction
from cinder.volume.drivers.solidfire_template_cache.templates import filler
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume.drivers.solidfire_template_cache.templates import provider
from cinder.volume.drivers.solidfire_template_cache.templates import pruning
from cinder.volume.drivers.solidfire_template_cache.templates import replicas
from cinder.volume.drivers.solidfire_template_cache.templates import request
from cinder.volume.drivers.solidfire_template_cache.templates import store
from cinder.volume.drivers.solidfire_template_cache.templates import usage

T0 = fixtures.T0
SECOND = datetime.timedelta(seconds=1)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)

CLUSTER_ID = 'cluster-uuid'
HOST = 'this-host'
SCOPE_ID = 'scope-of-this-host'
ACCOUNT = fixtures.account(id=5, name='openstack-vtemplate')


def api_error(name='xNew', error_class=errors.ApiError, method='AMethod'):
    return error_class(method, name, 'reason of the test')


def templates(*changes, image_id=None, **common):
    """Return templates 1, 2, ..., of image_id or of image-1, image-2, ..."""
    return [fixtures.template(**{
        'volume_id': number,
        'image': fixtures.image(id=image_id or 'image-%s' % number),
        **common, **each}) for number, each in enumerate(changes, 1)]


class Locks(base_fixtures.Fixture):
    """The locks module, replaced; waits run meanwhile, then time out."""

    def _setUp(self):
        self.held, self.taken, self.waits = set(), [], []
        self.meanwhile, self.removed, self.changed = [], [], None
        for name in ('try_lock', 'wait_for_lock', 'remove_files'):
            self.useFixture(base_fixtures.MonkeyPatch(
                '%s.locks.%s' % (fixtures.PACKAGE, name), getattr(self, name)))
        self.useFixture(base_fixtures.MonkeyPatch(
            fixtures.PACKAGE + '.locks.lock_scope_id', lambda: SCOPE_ID))

    @contextlib.contextmanager
    def try_lock(self, name):
        if name in self.held:
            yield False
            return
        self.held.add(name)
        self.taken.append(name)
        try:
            yield True
        finally:
            self.held.remove(name)

    @contextlib.contextmanager
    def wait_for_lock(self, name, clock, seconds, purpose, until=None,
                      changed=None):
        self.waits.append((name, seconds, purpose))
        self.changed = changed
        while True:
            with self.try_lock(name) as acquired:
                found = until() if until and not acquired else None
                if acquired or found:
                    yield found
                    return
            if not self.meanwhile:
                raise locks.LockTimeout()
            self.meanwhile.pop(0)()

    def remove_files(self, name):
        if name not in self.held:
            raise AssertionError('lock %s is not held' % name)
        self.removed.append(name)


class TemplatesTestCase(test.TestCase):
    """A cluster whose NEIGHBOURS become mocks when they are first used."""

    NEIGHBOURS = {
        'accounts': accounts.TenantAccounts,
        'attachments': attach.HostAttachments, 'backend': stock.StockBackend,
        'capacity': eviction.CapacityManager, 'client': client.ElementClient,
        'clones': scheduler.CloneScheduler, 'filler': filler.TemplateFiller,
        'provider': provider.TemplateProvider,
        'pruner': pruning.TemplatePruner, 'replicas': replicas.Replicas,
        'sessions': iscsi_sessions.TemplateSessions,
        'store': store.TemplateStore, 'usage': usage.UsageTracker}
    CONF = {'sf_template_wait_timeout': 100, 'sf_emulate_512': True,
            'volume_dd_blocksize': '4M'}

    def setUp(self):
        super().setUp()
        self.locks = self.useFixture(Locks())
        self.log = self.useFixture(fixtures.LogCapture())
        # Whatever is logged, no line may have an error appended.
        self.addCleanup(self.log.assert_no_exception_appended)
        self.signatures_wanted = self.mock_object(
            signatures, 'wanted', autospec=True, return_value=False)
        self.cluster = cl.Cluster(
            id=CLUSTER_ID, host=HOST, clock=fixtures.ManualClock(),
            client=self.client, conf=types.SimpleNamespace(**self.CONF))
        self.clock = self.cluster.clock

    def __getattr__(self, name):
        if name not in self.NEIGHBOURS:
            raise AttributeError(name)
        setattr(self, name, mock.create_autospec(self.NEIGHBOURS[name],
                                                 instance=True))
        return getattr(self, name)

    def set_conf(self, **options):
        vars(self.cluster.conf).update(options)

    @staticmethod
    def new_request(image=None, image_service=None, **members):
        context = fixtures.new_context()
        return request.Request(
            context, fixtures.new_volume(context=context, **members),
            image or fixtures.image(), image_service)


def attributes(**changes):
    """Return the attributes of a ready template, with some changed."""
    record = fixtures.template().attributes()[model.ATTRIBUTE]
    return {model.ATTRIBUTE: {**record, **changes}}


def template_volume(template=None, **members):
    """Return the volume of a template, as the cluster lists it."""
    template = template or fixtures.template()
    return fixtures.element_volume(**{
        'id': template.volume_id, 'account_id': ACCOUNT.id,
        'name': model.name_for(template.image.id),
        'status': 'active' if template.active else 'deleted',
        'access': 'readOnly' if template.read_only else 'readWrite',
        'size': template.size or units.Gi,
        'attributes': template.attributes(), **members})
