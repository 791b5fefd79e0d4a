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

"""What the tests of single modules share: a client of a simulated cluster."""

import logging as std_logging

from oslo_utils import units

from cinder.tests.element_simulator import fixture as simulator
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import base
from cinder.volume.drivers.solidfire_template_cache import element
from cinder.volume.drivers.solidfire_template_cache import transport

PASSWORD = 'pass-of-the-admin'
SECRET = 'CHAPSECRET12'


class Clock(base.ManualClock):
    """Time that passes in waits only, for tests with a single thread."""

    def __init__(self):
        super().__init__()
        self.slept = []
        self.paused = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.advance(seconds)

    def wait(self, condition, seconds):
        """Let all the time pass: nobody is there to notify."""
        self.paused.append(seconds)
        self.advance(seconds)


class Log(std_logging.Handler):
    """Collects what is logged below some names, from debug on.

    :param case: the test, at whose end it stops
    :param names: none of which is below another; '' for all there is
    """

    def __init__(self, case, *names):
        super().__init__(std_logging.DEBUG)
        self.records = []
        self.lines = []
        for name in names or (base.PACKAGE,):
            logger = std_logging.getLogger(name or None)
            logger.addHandler(self)
            case.addCleanup(logger.removeHandler, self)
            case.addCleanup(logger.setLevel, logger.level)
            logger.setLevel(std_logging.DEBUG)

    def emit(self, record):
        self.records.append(record)
        # With the traceback, where there is one.
        self.lines.append(self.format(record))

    @property
    def text(self):
        return '\n'.join(self.lines)

    def clear(self):
        self.records.clear()
        self.lines.clear()

    def at(self, level):
        """Return the messages of one level."""
        return [record.getMessage() for record in self.records
                if record.levelno == level]


class ClientTestCase(test.TestCase):
    """A client of a simulated cluster, whose clones take long."""

    CLONE_SECONDS = 3600

    def setUp(self):
        super().setUp()
        self.clock = self.new_clock()
        self.sim = self.new_cluster()
        self.client = self.new_client()

    def new_clock(self):
        return Clock()

    def new_cluster(self, **arguments):
        return self.useFixture(simulator.ElementSimulator(**dict(
            {'clock': self.clock, 'clone_seconds': self.CLONE_SECONDS,
             'password': PASSWORD}, **arguments)))

    def new_client(self, sim=None, **changes):
        sim = sim or self.sim
        endpoint = transport.Endpoint(**dict(
            {'url': sim.url, 'login': sim.login, 'password': PASSWORD,
             'verify': sim.ca_file}, **changes))
        return element.ElementClient(endpoint, self.clock)

    def assert_fails(self, error_class, function, *args, **kwargs):
        """Return the error, which must be of exactly that class."""
        exc = self.assertRaises(error_class, function, *args, **kwargs)
        self.assertIs(error_class, type(exc), repr(exc))
        return exc

    def make_account(self, name='tenant'):
        self.client.add_account(name, SECRET)
        return self.client.get_account(name)

    def make_volume(self, name='v', account=None, size=units.Gi,
                    **attributes):
        account = (account or self.client.get_account('tenant') or
                   self.make_account())
        return self.client.create_volume(name, account.id, size, True,
                                         attributes)

    def sent(self, method=None):
        """Return the calls that arrived: (method, parameters)."""
        return [(call.method, call.params) for call in self.sim.calls
                if method in (None, call.method)]

    def on_cluster(self):
        """Return the ids of all volumes, deleted and unfinished ones too."""
        cluster = self.sim.cluster
        cluster.advance()
        with cluster.lock:
            return sorted(cluster.volumes)
