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

import errno
import os
import urllib.error

from glanceclient import exc as glance_exc
import requests
import urllib3

from cinder import exception
from cinder.tests.functional.solidfire_template_cache import failing_images
from cinder.tests.functional.solidfire_template_cache import paths
from cinder.tests.unit import fake_constants as fake

STAGES = failing_images.STAGES

FAILURES = {
    'unreachable': lambda: exception.GlanceConnectionFailed(reason='no way'),
    'unreachable, raw': lambda: glance_exc.CommunicationError('no way'),
    'no endpoint': lambda: glance_exc.EndpointNotFound('image'),
    'not found': lambda: exception.ImageNotFound(image_id='it'),
    'not authorized': lambda: exception.ImageNotAuthorized(image_id='it'),
    'download failed': lambda: exception.ImageDownloadFailed(
        image_href='it', reason='no data'),
    'unavailable': lambda: glance_exc.HTTPServiceUnavailable(),
    'broken': lambda: glance_exc.HTTPInternalServerError(),
    'too many requests': lambda: glance_exc.HTTPOverLimit(),
    'gone': lambda: glance_exc.HTTPNotFound(),
    'reset': lambda: ConnectionResetError(errno.ECONNRESET, 'reset'),
    'timed out': lambda: TimeoutError('timed out'),
    'cut off': lambda: requests.exceptions.ChunkedEncodingError('cut'),
    'cut off, raw': lambda: urllib3.exceptions.IncompleteRead(10, 20),
    'wrong checksum': lambda: OSError(errno.EPIPE, 'Corrupt image download'),
    'no space': lambda: OSError(errno.ENOSPC, 'No space left on device'),
    'read error': lambda: OSError(errno.EIO, 'Input/output error'),
    'no proxy': lambda: urllib.error.URLError('no proxy'),
    'unforeseen': lambda: KeyError('size'),
}

WRONG_METADATA = {
    'none': lambda metadata: None,
    'text': lambda metadata: 'an image',
    'empty': lambda metadata: {},
    'no size': lambda metadata: dict(metadata, size=None),
    'size is text': lambda metadata: dict(metadata, size='many bytes'),
    'size is negative': lambda metadata: dict(metadata, size=-1),
    'virtual size is a list': lambda metadata: dict(metadata,
                                                    virtual_size=[1]),
    'virtual size is 1 TiB': lambda metadata: dict(metadata,
                                                   virtual_size=2 ** 40),
    'other id': lambda metadata: dict(metadata, id=fake.IMAGE3_ID),
    'no time': lambda metadata: dict(metadata, updated_at=None),
    'time is a number': lambda metadata: dict(metadata, updated_at=1.5),
    'no hash': lambda metadata: dict(metadata, os_hash_value=None,
                                     checksum=None),
    'other hash': lambda metadata: dict(metadata, os_hash_value='0' * 128),
    'other size': lambda metadata: dict(metadata, size=17),
    'properties are text': lambda metadata: dict(metadata, properties='no'),
}


class GlanceFaults(object):
    """All that can happen; a path that fills a template derives from it."""

    KEEPS_TEMPLATE = False

    def setUp(self):
        super().setUp()
        self.images = failing_images.FailingImages()
        # As it is on a host that has once downloaded an image.
        os.makedirs(os.path.join(self.state, 'conversion'))

    def begin(self):
        self.images.calm()
        request = super().begin()
        self.images.calm()
        return request

    def run_stages(self, check, things, stages=STAGES):
        self.run_cases([('%s, %s' % (name, stage), check, stage, thing)
                        for name, thing in things.items()
                        for stage in stages])

    def check_recovery(self, image, volume):
        """Check that nothing is left, and that all is well from now on."""
        self.assertEqual([], self.debris(volume))
        self.assert_no_debris()
        self.check_normal_path(volume)
        self.images.calm()
        # An answer about the image itself is not asked for again so soon.
        self.clock.advance(601)
        self.check_next_requests(image)

    def check_any(self, image, volume, result):
        """Check for the right volume, or a fallback without traces."""
        self.assertEqual(1, self.images.happened)
        if result[1]:
            self.check_success(volume, result)
        else:
            self.check_fallback(image, volume, result)
            self.check_recovery(image, volume)

    # The service fails

    def test_each_failure_at_each_stage(self):
        self.run_stages(self.check_failure, FAILURES)

    def check_failure(self, stage, failure):
        def fail():
            raise failure()

        image, volume = self.begin()
        self.images.happen(stage, fail)
        result = self.clone(image, volume)
        self.assertEqual((None, False), result)
        self.check_any(image, volume, result)

    def test_slow_service_serves(self):
        self.run_stages(self.check_slow, {
            '%s s' % seconds: seconds for seconds in (30, 3600, 86400)})

    def check_slow(self, stage, seconds):
        image, volume = self.begin()
        self.images.happen(stage, lambda: self.clock.advance(seconds))
        self.check_success(volume, self.clone(image, volume))
        self.assertEqual(1, self.images.happened)
        self.check_next_requests(image)

    # The data are not those that were announced

    def test_data_cut_off_without_an_error(self):
        self.run_cases([
            ('%s of the data, %s' % (part, name), self.check_cut, part,
             members)
            for part in (0, 0.3, 0.999)
            for name, members in {
                'known hash': {}, 'only a checksum': {
                    'os_hash_algo': None, 'os_hash_value': None},
                'no hash': {'os_hash_algo': None, 'os_hash_value': None,
                            'checksum': None}}.items()])

    def check_cut(self, part, members):
        image, volume = self.begin()
        metadata, data = self.images.images[image['id']]
        metadata.update(members)
        image.update(members)
        self.images.images[image['id']] = (
            metadata, data[:int(part * len(data))])
        result = self.clone(image, volume)
        self.check_fallback(image, volume, result)
        self.images.images[image['id']] = (metadata, data)
        self.check_recovery(image, volume)

    # Metadata make no sense

    def test_wrong_metadata_at_each_look(self):
        self.run_stages(self.check_metadata, WRONG_METADATA,
                        (STAGES[0], STAGES[3]))

    def check_metadata(self, stage, change):
        image, volume = self.begin()
        metadata, data = self.images.images[image['id']]

        def answer_otherwise():
            self.images.images[image['id']] = (change(metadata), data)

        self.images.happen(stage, answer_otherwise)
        result = self.clone(image, volume)
        self.images.images[image['id']] = (metadata, data)
        self.check_any(image, volume, result)

    # The image changes

    def test_image_not_to_be_had_any_more(self):
        self.run_stages(self.check_withdrawn, {
            'deactivated': {'status': 'deactivated'},
            'deleted': {'status': 'deleted'},
            'pending delete': {'status': 'pending_delete'},
            'queued': {'status': 'queued'},
            'made private': {'visibility': 'private'},
            'shared only': {'visibility': 'shared'},
            'encrypted': {'properties': {'cinder_encryption_key_id': 'x'}},
            'compressed': {'container_format': 'compressed'}})

    def check_withdrawn(self, stage, members):
        image, volume = self.begin()
        self.images.happen(stage, lambda: self.images.images[
            image['id']][0].update(members))
        before = dict(self.images.images[image['id']][0])
        result = self.clone(image, volume)
        self.assertEqual((None, False), result)
        self.images.images[image['id']][0].update(
            {key: before[key] for key in members})
        self.check_any(image, volume, result)

    def test_image_made_private_after_the_last_look(self):
        image, volume = self.begin()
        self.check_success(volume, self.clone(image, volume))
        image['visibility'] = 'private'
        self.assertEqual((None, False), self.clone(image))
        self.assertEqual([], self.warnings.messages)

    def test_image_deleted(self):
        self.run_stages(self.check_deleted, {'deleted': None})

    def check_deleted(self, stage, _nothing):
        image, volume = self.begin()
        record = self.images.images[image['id']]

        def delete():
            self.images.images[image['id']] = None
            raise exception.ImageNotFound(image_id=image['id'])

        self.images.happen(stage, delete)
        result = self.clone(image, volume)
        self.images.images[image['id']] = record
        self.assertEqual((None, False), result)
        self.check_any(image, volume, result)

    def test_image_edited(self):
        self.run_stages(self.check_edited, {'a tag': {}, 'its name': {
            'name': 'another name'}})

    def check_edited(self, stage, members):
        image, volume = self.begin()
        self.images.happen(stage, lambda: self.images.touch(
            image['id'], 60, **members))
        result = self.clone(image, volume)
        edited = self.images.show(None, image['id'])
        if stage != STAGES[0]:
            self.assertIs(True, result[1])
        self.check_any(edited, volume, result)
        # The data are the same.
        downloads = len(self.images.downloads)
        self.check_next_requests(edited)
        self.assertEqual(downloads, len(self.images.downloads))

    def test_image_replaced(self):
        self.run_stages(self.check_replaced, {
            'longer': b'another' * 1000, 'shorter': b'other' * 100})

    def check_replaced(self, stage, data):
        image, volume = self.begin()
        self.images.happen(stage, lambda: self.images.replace(
            image['id'], data, 60))
        result = self.clone(image, volume)
        self.assertEqual((None, False), result)
        self.check_fallback(image, volume, result)
        self.data = data
        newer = self.images.show(None, image['id'])
        self.check_recovery(newer, volume)


class FirstFillTestCase(GlanceFaults, paths.FirstRequest):
    pass


class RefillTestCase(GlanceFaults, paths.Refill):
    pass
