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

"""The Image service fails, or the image changes, while a template is filled.

Each thing that can happen does so at each stage of a fill. Whatever it is,
the volume is right or the request falls back with a warning that names the
image; nothing wrong is cached, nothing is left, and once all is well again
the next request is served.
"""

import copy
import dataclasses
import errno
import itertools
import os
import typing
import urllib.error

from glanceclient import exc as glance_exc
import requests
import urllib3

from cinder import exception
from cinder.tests.functional.solidfire_template_cache import scenarios
from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.volume.drivers.solidfire_template_cache.image import stream

STAGES = ('before the first check', 'before the download',
          'during the download', 'before the second check')
"""A fill shows the image, downloads it, and shows it again."""

CHECKS = STAGES[0], STAGES[3]

FAILURES = {
    'unreachable': exception.GlanceConnectionFailed(reason='no route'),
    'unreachable, raw': glance_exc.CommunicationError('no route'),
    'no endpoint': glance_exc.EndpointNotFound('image'),
    'not found': exception.ImageNotFound(image_id='it'),
    'not authorized': exception.ImageNotAuthorized(image_id='it'),
    'download failed': exception.ImageDownloadFailed(
        image_href='it', reason='no data'),
    'unavailable': glance_exc.HTTPServiceUnavailable(),
    'broken': glance_exc.HTTPInternalServerError(),
    'too many requests': glance_exc.HTTPOverLimit(),
    'gone': glance_exc.HTTPNotFound(),
    'reset': ConnectionResetError(errno.ECONNRESET, 'reset'),
    'timed out': TimeoutError('timed out'),
    'cut off': requests.exceptions.ChunkedEncodingError('cut'),
    'cut off, raw': urllib3.exceptions.IncompleteRead(10, 20),
    'wrong checksum': OSError(errno.EPIPE, 'Corrupt image download'),
    'no space': OSError(errno.ENOSPC, 'No space left on device'),
    'read error': OSError(errno.EIO, 'Input/output error'),
    'no proxy': urllib.error.URLError('no proxy'),
    'unexpected': KeyError('size'),
}

WRONG_METADATA = {
    'none': lambda metadata: None, 'text': lambda metadata: 'an image',
    'empty': lambda metadata: {}, **{
        name: lambda metadata, members=members: dict(metadata, **members)
        for name, members in {
            'no size': {'size': None},
            'size is text': {'size': 'many bytes'},
            'size is negative': {'size': -1},
            'virtual size is a list': {'virtual_size': [1]},
            'virtual size is 1 TiB': {'virtual_size': 2 ** 40},
            'other id': {'id': fake.SNAPSHOT_ID},
            'no time': {'updated_at': None},
            'time is a number': {'updated_at': 1.5},
            'no hash': {'os_hash_value': None, 'checksum': None},
            'other hash': {'os_hash_value': '0' * 128},
            'other size': {'size': 17},
            'properties are text': {'properties': 'no'}}.items()}}

WITHDRAWN = {
    'deactivated': {'status': 'deactivated'},
    'deleted': {'status': 'deleted'},
    'pending delete': {'status': 'pending_delete'},
    'queued': {'status': 'queued'},
    'private': {'visibility': 'private'},
    'shared only': {'visibility': 'shared'},
    'encrypted': {'properties': {'cinder_encryption_key_id': 'x'}},
    'compressed': {'container_format': 'compressed'},
}

EDITS = {'tag': {}, 'name': {'name': 'another name'}}
CONTENTS = {'longer': b'another' * 1000, 'shorter': b'other' * 100}
DELAYS = {'%s s' % seconds: seconds for seconds in (30, 3600, 86400)}

HASHES = {
    'all hashes': {},
    'only a checksum': {'os_hash_algo': None, 'os_hash_value': None},
    'no hash': {'os_hash_algo': None, 'os_hash_value': None,
                'checksum': None},
}


@dataclasses.dataclass
class Plan(object):
    """What happens once, at one stage of a fill."""

    stage: typing.Optional[str] = None
    act: typing.Optional[typing.Callable] = None
    shown: int = 0
    happened: int = 0

    def reach(self, stage):
        if stage == self.stage and not self.happened:
            self.happened += 1
            self.act()


class FailingImages(fixtures.ImageService):
    """An Image service that follows a plan."""

    def __init__(self):
        super().__init__()
        self.plans = [Plan()]

    def plan(self, *args):
        """Set what happens, or that nothing does; return the plan."""
        self.plans[0] = Plan(*args)
        return self.plans[0]

    def show(self, context, image_id):
        plan = self.plans[0]
        plan.shown += 1
        plan.reach(STAGES[0] if plan.shown == 1 else STAGES[3])
        return copy.deepcopy(self.images[image_id][0])

    def download(self, context, image_id, data=None):
        plan = self.plans[0]
        plan.reach(STAGES[1])
        content = self.images[image_id][1]
        self.downloads.append(image_id)
        data.write(content[:len(content) // 2])
        plan.reach(STAGES[2])
        data.write(content[len(content) // 2:])


class GlanceFaults(object):
    """All that can happen; a scenario with a fill is mixed in."""

    # Or the stages take turns.
    EACH_STAGE = True

    def setUp(self):
        super().setUp()
        self.images = FailingImages()
        # As it is on a host that has once downloaded an image.
        os.makedirs(self.conversion_dir)

    def begin(self):
        self.images.plan()
        self.image, self.volume = super().begin()
        self.record = copy.deepcopy(self.images.images[self.image['id']])

    def run_stages(self, things, act, check, stages=STAGES):
        """Let each thing happen at a stage, and check the result."""
        turns = itertools.cycle(stages)

        def run(stage, thing):
            self.begin()
            plan = self.images.plan(stage, lambda: act(thing))
            result = self.clone(self.image, self.volume)
            self.assertEqual(1, plan.happened)
            check(result)

        self.run_cases([
            ('%s, %s' % (name, stage), run, stage, thing)
            for name, thing in things.items()
            for stage in (stages if self.EACH_STAGE else [next(turns)])])

    def show_as(self, metadata):
        """Let the Image service show other metadata."""
        self.images.images[self.image['id']] = (metadata, self.record[1])

    def check_cloned(self, result):
        """Check for the right volume, and that its template serves on."""
        self.check_success(self.volume, result)
        self.check_next_requests(self.images.show(None, self.image['id']))
        self.assertEqual(1, len(self.images.downloads))

    def check_any(self, result):
        """Check for the right volume, or a fallback without traces."""
        if result[1]:
            self.images.images[self.image['id']] = self.record
            self.check_success(self.volume, result)
        else:
            self.check_refused(result)

    def check_refused(self, result):
        """Check for a fallback; once all is well, all requests are served."""
        self.images.images[self.image['id']] = self.record
        self.check_refused_once(result)

    def check_refused_once(self, result):
        self.check_fallback(self.image, self.volume, result)
        self.assertEqual([], self.leftovers(self.volume))
        self.assertEqual([], self.conversion_files())
        self.check_image_download(self.volume)
        self.images.plan()
        # A refusal of the image itself is not reconsidered so soon.
        self.clock.advance(601)
        self.check_next_requests(self.images.show(None, self.image['id']))

    def test_service_fails(self):
        def fail(failure):
            raise copy.copy(failure)

        self.run_stages(FAILURES, fail, self.check_refused)

    def test_service_is_slow(self):
        self.run_stages(DELAYS, self.clock.advance, self.check_cloned)

    def test_data_ends_early_without_an_error(self):
        self.run_cases([
            ('%s of the data, %s' % (part, name), self.check_cut, part,
             members)
            for part in (0, 0.3, 0.999) for name, members in HASHES.items()])

    def check_cut(self, part, members):
        self.begin()
        metadata, data = self.record
        metadata.update(members)
        self.image.update(members)
        self.images.images[self.image['id']] = (
            metadata, data[:int(part * len(data))])
        self.check_refused(self.clone(self.image, self.volume))

    def test_metadata_is_wrong(self):
        self.run_stages(
            WRONG_METADATA,
            lambda change: self.show_as(change(self.record[0])),
            self.check_any, CHECKS)

    def test_image_is_withdrawn(self):
        self.run_stages(
            WITHDRAWN,
            lambda members: self.show_as(dict(self.record[0], **members)),
            self.check_refused)

    def test_image_is_deleted(self):
        def delete(failure):
            self.images.images[self.image['id']] = None
            raise failure

        self.run_stages(
            {'deleted': exception.ImageNotFound(image_id='it')}, delete,
            self.check_refused)

    def test_image_becomes_private_after_the_fill(self):
        self.begin()
        self.check_success(self.volume, self.clone(self.image, self.volume))
        self.image['visibility'] = 'private'
        self.assertEqual((None, False), self.clone(self.image))
        self.assertEqual([], self.log.warnings)

    def test_image_is_edited(self):
        self.run_stages(EDITS, lambda members: self.images.touch(
            self.image['id'], 60, **members), self.check_cloned)

    def test_image_is_replaced(self):
        def replace(data):
            self.images.replace(self.image['id'], data, 60)
            self.data = data

        self.run_stages(CONTENTS, replace, self.check_refused_once)


class FirstFillTestCase(GlanceFaults, scenarios.FirstRequest):
    pass


class RefillTestCase(GlanceFaults, scenarios.Refill):
    """Images come by temporary files, as they do when they are not raw."""

    EACH_STAGE = False

    def setUp(self):
        super().setUp()
        self.mock_object(stream, 'is_possible', autospec=True,
                         return_value=False)
