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

"""What the tests share: a clock, an image service, log capture, values.

Everything here is independent of the simulator and of the driver class, so
that unit tests and functional tests can use it alike.
"""

import copy
import dataclasses
import datetime
import hashlib
import logging as std_logging
import threading
import time

import fixtures
from oslo_config import cfg
from oslo_log import formatters
from oslo_utils import units
from oslo_utils import uuidutils

from cinder import context as cinder_context
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import fake_volume
from cinder.volume.drivers.solidfire_template_cache.element import models
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import model

PACKAGE = 'cinder.volume.drivers.solidfire_template_cache'

T0 = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
"""The time at which every ManualClock starts."""


class ManualClock(object):
    """A clock that only advances when the code under test waits.

    Serves in place of :class:`clock.SystemClock` and of the clock of the
    simulator. Nothing really sleeps.

    :ivar jump: timedelta by which the date is ahead of the elapsed seconds
    :ivar slept: the seconds of every call of :meth:`sleep`
    :ivar waited: the seconds of every call of :meth:`wait`
    """

    def __init__(self):
        self._seconds = 0.0
        self._lock = threading.Lock()
        self.jump = datetime.timedelta()
        self.slept = []
        self.waited = []

    def monotonic(self):
        return self._seconds

    def now(self):
        return T0 + datetime.timedelta(seconds=self._seconds) + self.jump

    def advance(self, seconds):
        with self._lock:
            self._seconds += seconds

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.advance(seconds)

    def wait(self, condition, seconds):
        """Let all the time pass; for tests in which nobody notifies."""
        self.waited.append(seconds)
        self.advance(seconds)


class ThreadedClock(ManualClock):
    """A manual clock for tests with several threads.

    A wait gives other threads 2 ms of real time to notify the condition and
    then advances the clock by at most ``STEP`` seconds.
    """

    STEP = 0.05

    def wait(self, condition, seconds):
        if not condition.wait(0.002):
            self.advance(min(seconds, self.STEP))

    def sleep(self, seconds):
        super().sleep(seconds)
        time.sleep(0.001)


class ImageService(object):
    """An Image service with real bytes that records its downloads.

    :ivar downloads: the image ids that were downloaded, in order
    :ivar on_download: a callable(image_id) that runs before each download
    """

    def __init__(self):
        self.temp_images = None
        self.images = {}
        self.downloads = []
        self.on_download = lambda image_id: None

    def add(self, data=b'', virtual_size=None, **members):
        """Register an image; return its metadata as Cinder passes them."""
        image_id = members.pop('id', None) or uuidutils.generate_uuid()
        record = {
            'id': image_id, 'name': 'an image', 'status': 'active',
            'visibility': 'public', 'owner': fake.PROJECT2_ID,
            'container_format': 'bare', 'disk_format': 'raw',
            'size': len(data), 'min_disk': 0, 'min_ram': 0,
            'virtual_size': (len(data) if virtual_size is None
                             else virtual_size),
            'checksum': hashlib.md5(data, usedforsecurity=False).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'created_at': T0, 'updated_at': T0, 'properties': {}}
        record.update(members)
        self.images[image_id] = (record, data)
        return copy.deepcopy(record)

    def replace(self, image_id, data, seconds=60, **members):
        """Give an image other data and a later updated_at."""
        old = self.images[image_id][0]
        return self.add(data, **dict(
            {'id': image_id, 'disk_format': old['disk_format'],
             'updated_at': old['updated_at'] + datetime.timedelta(
                 seconds=seconds)}, **members))

    def touch(self, image_id, seconds=60, **members):
        """Edit the record only, as a tag does; updated_at becomes later."""
        record = self.images[image_id][0]
        record.update(members, updated_at=record['updated_at'] +
                      datetime.timedelta(seconds=seconds))
        return copy.deepcopy(record)

    def show(self, context, image_id):
        return copy.deepcopy(self.images[image_id][0])

    def download(self, context, image_id, data=None):
        self.on_download(image_id)
        self.downloads.append(image_id)
        data.write(self.images[image_id][1])


class LogCapture(fixtures.Fixture):
    """Collects what is logged below some loggers, at every level.

    Each record is formatted by oslo.log's own formatter while the logging
    call is active, so that :attr:`lines` holds what an operator reads. At
    level WARNING and above oslo.log appends the exception that is being
    handled; :meth:`assert_no_exception_appended` finds lines to which that
    happened.

    :param names: logger names, none of which is below another; without any
        the driver's package; '' is the root logger
    :ivar records: the log records
    :ivar lines: the formatted lines, with tracebacks
    """

    def __init__(self, *names):
        super().__init__()
        self._names = names or (PACKAGE,)
        self.records = []
        self.lines = []

    def _setUp(self):
        handler = std_logging.Handler(std_logging.DEBUG)
        handler.emit = self._emit
        self._formatter = formatters.ContextFormatter(config=cfg.CONF)
        for name in self._names:
            logger = std_logging.getLogger(name or None)
            self.addCleanup(logger.setLevel, logger.level)
            self.addCleanup(logger.removeHandler, handler)
            logger.addHandler(handler)
            logger.setLevel(std_logging.DEBUG)

    def _emit(self, record):
        # A copy, since the formatter adds members for the other handlers.
        record = copy.copy(record)
        self.lines.append(self._formatter.format(record))
        self.records.append(record)

    def at(self, level):
        """Return the messages of one level of the logging module."""
        return [record.getMessage() for record in self.records
                if record.levelno == level]

    def about(self, *texts):
        """Return the messages at INFO and above that contain all texts."""
        messages = [record.getMessage() for record in self.records
                    if record.levelno >= std_logging.INFO]
        return [message for message in messages
                if all(str(text) in message for text in texts)]

    @property
    def messages(self):
        """The messages of all levels, without what oslo.log adds."""
        return [record.getMessage() for record in self.records]

    @property
    def infos(self):
        """The messages of level INFO."""
        return self.at(std_logging.INFO)

    @property
    def warnings(self):
        """The messages of level WARNING and above."""
        return [record.getMessage() for record in self.records
                if record.levelno >= std_logging.WARNING]

    @property
    def text(self):
        """All formatted lines as one text."""
        return '\n'.join(self.lines)

    def clear(self):
        del self.records[:], self.lines[:]

    def pop_warning(self, *texts):
        """Return the only warning, which contains all texts; forget all.

        :raises AssertionError: otherwise
        """
        found = self.warnings
        if len(found) != 1 or not all(str(text) in found[0]
                                      for text in texts):
            raise AssertionError('expected one warning with %r, not %r' %
                                 (texts, found))
        self.clear()
        return found[0]

    def assert_no_exception_appended(self):
        """Check that no line was logged while an exception was handled.

        :raises AssertionError: naming the lines for which that is not so
        """
        bad = [line for record, line in zip(self.records, self.lines)
               if getattr(record, 'error_summary', '') not in ('', '-')]
        if bad:
            raise AssertionError('logged with an active exception: %s' %
                                 '\n'.join(bad))


# Values


def image_metadata(**changes):
    """Return an image's metadata as Cinder passes them to a driver.

    :param changes: members that differ; None is a value as any other
    """
    return dict({
        'id': fake.IMAGE_ID, 'name': 'an image', 'status': 'active',
        'visibility': 'public', 'owner': fake.PROJECT2_ID,
        'container_format': 'bare', 'disk_format': 'raw',
        'size': units.Mi, 'min_disk': 0, 'min_ram': 0,
        'virtual_size': 5 * units.Mi, 'checksum': 'cd' * 16,
        'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 64,
        'created_at': T0, 'updated_at': T0, 'properties': {}}, **changes)


def image(**changes):
    """Return a :class:`metadata.Image`; ``changes`` are members of it."""
    return dataclasses.replace(metadata.from_metadata(image_metadata()),
                               **changes)


def template(**changes):
    """Return a ready :class:`templates.model.Template` that can be cloned.

    :param changes: members that differ
    """
    members = {'volume_id': 7, 'size': units.Gi, 'active': True,
               'read_only': True, 'state': model.State.READY}
    return dataclasses.replace(
        model.new(image(), 'fill-id', 'host', None, T0),
        **dict(members, **changes))


def element_volume(**changes):
    """Return an active :class:`element.models.Volume` of 1 GiB.

    Its iqn ends in its id, as on a cluster.
    """
    members = {'id': 11, 'name': 'UUID-' + fake.VOLUME_ID, 'account_id': 3,
               'status': 'active', 'access': 'readWrite', 'size': units.Gi,
               'attributes': {}, 'qos': {}}
    members.update(changes)
    members.setdefault('iqn', 'iqn.2010-01.com.solidfire:mark.%s.%s' % (
        members['name'].lower(), members['id']))
    return models.Volume(**members)


def account(**changes):
    """Return an :class:`element.models.Account` without volumes."""
    return models.Account(**dict(
        {'id': 3, 'name': fake.PROJECT_ID, 'volume_count': 0,
         'target_secret': 'TARGETSECRET', 'initiator_secret': 'INITSECRET00'},
        **changes))


def new_context(**members):
    """Return the context of a user's request."""
    return cinder_context.RequestContext(
        fake.USER_ID, fake.PROJECT_ID, **dict({'is_admin': False}, **members))


def new_volume(size=1, context=None, **members):
    """Return a Cinder volume that is being created; size in GiB."""
    members = dict({'id': uuidutils.generate_uuid(),
                    'project_id': fake.PROJECT_ID, 'created_at': T0,
                    'host': 'host@solidfire#solidfire', 'status': 'creating',
                    'encryption_key_id': None, 'volume_type_id': None},
                   **members)
    return fake_volume.fake_volume_obj(context or new_context(), size=size,
                                       **members)
