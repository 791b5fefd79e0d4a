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

"""Tests of how an image becomes a template."""

import contextlib
import dataclasses
import errno
import io
import os
from unittest import mock

import ddt
import fixtures as base_fixtures
from os_brick import exception as brick_exception
from oslo_concurrency import processutils
from oslo_utils import units

from cinder import exception
from cinder.image import image_utils
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.image import stream
from cinder.volume.drivers.solidfire_template_cache.templates import filler
from cinder.volume.drivers.solidfire_template_cache.templates import model

DATA = b'bootable' * 4096
SIZE = len(DATA)
NO_HASHES = {'os_hash_value': None, 'checksum': None}
DEVICE = '/dev/of-the-test'

# In this order: nothing is downloaded in vain, the volume is created after
# the download, and it is detached before it is published.
STEPS = ['show', 'account', 'check_capacity', 'check_space', 'download',
         'verify', 'measure', 'show', 'plan', 'reserve', 'create', 'unreserve',
         'account', 'attach', 'write', 'detach', 'publish']

# Without a temporary file the volume has to be there before the download.
STREAM_STEPS = ['show', 'account', 'check_capacity', 'plan', 'reserve',
                'create', 'unreserve', 'account', 'attach', 'stream', 'show',
                'detach', 'publish']


class FillTestCase(base.TemplatesTestCase):
    """Neighbours that note their calls in steps and raise failures."""

    def setUp(self):
        super().setUp()
        self.steps, self.failures, self.calls = [], {}, {}
        self.directory = self.useFixture(base_fixtures.TempDir()).path
        self.path = os.path.join(self.directory, 'image')
        self.override_config('image_conversion_dir',
                             os.path.join(self.directory, 'conversion'))
        self.images = fixtures.ImageService()
        self.image = self.images.add(DATA)
        self.info = mock.Mock(
            spec_set=['file_format', 'virtual_size', 'backing_file'],
            file_format='raw', virtual_size=SIZE, backing_file=None)
        self.store.account.return_value = base.ACCOUNT
        self.store.plan.side_effect = self.plan
        self.volume = base.template_volume(id=21)
        self.template = fixtures.template(volume_id=21)
        self.store.create.return_value = self.template, self.volume
        self.store.publish.side_effect = lambda template: template
        self.capacity.reserve_capacity.side_effect = self.block(
            'reserve', None, 'unreserve')
        self.attachments.attached.side_effect = self.block(
            'attach', DEVICE, 'detach')
        self.mock_object(image_utils.TemporaryImages, 'fetch', autospec=True,
                         side_effect=self.fetch)
        self.can_stream = self.mock_object(
            stream, 'is_possible', autospec=True, return_value=False)
        for obj, name, step in (
                (self.images, 'show', 'show'),
                (self.store, 'account', 'account'),
                (self.store, 'plan', 'plan'), (self.store, 'create', 'create'),
                (self.store, 'publish', 'publish'),
                (self.store, 'discard_fill', 'discard'),
                (self.capacity, 'check_capacity', 'check_capacity'),
                (image_utils, 'check_available_space', 'check_space'),
                (image_utils, 'verify_glance_image_signature', 'verify'),
                (image_utils, 'qemu_img_info', 'measure'),
                (image_utils, 'convert_image', 'write'),
                (stream, 'download', 'stream')):
            self.note_step(obj, name, step)
        self.filler = filler.TemplateFiller(
            self.cluster, self.store, self.capacity, self.attachments)

    def step(self, name, *args, **kwargs):
        self.steps.append(name)
        self.calls[name] = mock.call(*args, **kwargs)
        if name in self.failures:
            raise self.failures[name]

    def note_step(self, obj, name, step):
        original = {'verify': lambda *args: True, 'write': lambda *a, **k: 0,
                    'check_space': lambda *args: None,
                    'stream': lambda context, service, image, device:
                    service.download(context, image.id, io.BytesIO()),
                    'measure': lambda path: self.info}.get(
                        step, getattr(obj, name))

        def replacement(*args, **kwargs):
            self.step(step, *args, **kwargs)
            return original(*args, **kwargs)

        self.mock_object(obj, name, replacement)

    def block(self, begin, value, end):
        @contextlib.contextmanager
        def run(*args):
            self.step(begin, *args)
            yield value
            self.step(end)
        return run

    @contextlib.contextmanager
    def fetch(self, image_service, context, image_id, suffix):
        with open(self.path, 'wb') as target:
            image_service.download(context, image_id, target)
        self.step('download', image_service, context, image_id, suffix)
        yield self.path

    def plan(self, image, fill_id, verified):
        self.planned = model.new(image, fill_id, base.HOST, verified, base.T0)
        return self.planned

    def fill(self, image_meta=None):
        self.request = self.new_request(
            metadata.from_metadata(image_meta or self.image), self.images,
            size=10, host='node@fast#pool')
        return self.filler.fill(self.request)

    def assert_fails(self, error_class, last_step, *texts):
        """Check that a fill fails after some step; return its error."""
        del self.steps[:]
        exc = self.assertRaises(error_class, self.fill)
        self.assertIs(error_class, type(exc))
        self.assertEqual(last_step, self.steps[-1])
        for text in texts:
            self.assertIn(text, str(exc))
        return exc

    def assert_not_created(self, *texts):
        self.assert_fails(exceptions.TemplateCacheError, 'show', *texts)
        self.assertNotIn('plan', self.steps)


@ddt.ddt
class FillStepsTestCase(FillTestCase):

    def test_steps(self):
        self.signatures_wanted.return_value = True
        self.assertIs(self.template, self.fill())
        self.assertEqual(STEPS, self.steps)
        req, image_id, path = self.request, self.image['id'], self.path
        planned = self.planned
        for step, call in {
                'show': mock.call(req.context, image_id),
                'check_capacity': mock.call(image_id, units.Gi),
                'check_space': mock.call(
                    os.path.join(self.directory, 'conversion'), SIZE,
                    image_id),
                # The name of a temporary file ends in that of the service,
                # which removes its own files at its start (494264e79).
                'download': mock.call(self.images, req.context, image_id,
                                      'node@fast'),
                'verify': mock.call(req.context, self.images, image_id,
                                    path),
                'measure': mock.call(path),
                'reserve': mock.call(image_id, units.Gi),
                'create': mock.call(planned, units.Gi, True),
                'attach': mock.call(self.cluster, req.context, base.ACCOUNT,
                                    self.volume),
                'write': mock.call(path, DEVICE, 'raw', src_format='raw',
                                   image_id=image_id, data=self.info),
                'publish': mock.call(self.template)}.items():
            self.assertEqual(call, self.calls[step], step)
        self.assertTrue(os.path.isdir(self.calls['check_space'].args[0]))
        self.assertEqual(metadata.from_metadata(self.image), planned.image)
        # Each attempt has an id of its own.
        self.fill()
        self.assertNotEqual(planned.fill_id, self.planned.fill_id)

    def test_steps_of_stream(self):
        self.can_stream.return_value = True
        self.images.on_download = self.images.touch
        for wanted, verified in ((False, None), (True, False)):
            del self.steps[:]
            self.signatures_wanted.return_value = wanted
            image = metadata.from_metadata(self.image)
            filled = self.fill(dict(self.image, virtual_size=units.Mi))
            self.assertEqual(STREAM_STEPS, self.steps)
            self.assertEqual(
                mock.call(self.request.context, self.images,
                          dataclasses.replace(
                              image, updated_at=self.planned.image.updated_at),
                          DEVICE),
                self.calls['stream'])
            self.assertEqual(mock.call(self.planned, units.Gi, True),
                             self.calls['create'])
            self.assertIs(verified, self.planned.signature_verified)
            # The record is of the image as it was after the download.
            self.assertEqual(
                dataclasses.replace(self.template, image=dataclasses.replace(
                    metadata.from_metadata(
                        self.images.images[image.id][0]),
                    virtual_size=SIZE)), filled)
            self.assertEqual(mock.call(filled), self.calls['publish'])

    def test_log(self):
        self.fill()
        begun, done = self.log.infos
        for text in ('Filling', self.image['id'], self.request.volume.id,
                     '%d bytes' % SIZE):
            self.assertIn(text, begun)
        for text in ('Filled template volume 21', self.image['id'],
                     '%d bytes' % self.template.image.virtual_size, ' s.'):
            self.assertIn(text, done)

    def test_settings(self):
        # Those of now, whatever they were at the start.
        self.set_conf(sf_emulate_512=False)
        self.override_config('image_conversion_dir', None)
        self.fill()
        self.assertIs(False, self.calls['create'].args[2])
        self.assertIsNone(self.calls['check_space'].args[0])

    # What is declared, after the download, and what qemu-img is told.
    @ddt.data(('qcow2', 'qcow2'), ('vhd', 'vpc'), ('iso', 'raw'),
              ('ami', 'ami'), (None, 'raw'))
    @ddt.unpack
    def test_source_format(self, disk_format, expected):
        self.images.on_download = lambda image_id: self.images.touch(
            image_id, disk_format=disk_format)
        self.fill()
        self.assertEqual(expected, self.calls['write'].kwargs['src_format'])

    def test_signature(self):
        # Bug 1823445.
        for wanted, verified in ((False, None), (True, True), (True, False)):
            self.signatures_wanted.return_value = wanted
            verify = self.mock_object(
                image_utils, 'verify_glance_image_signature',
                return_value=verified)
            self.fill()
            self.assertIs(verified, self.planned.signature_verified)
            self.assertEqual(wanted, verify.called)

    # Format, size by qemu-img, bytes of the file, declared size; the recorded
    # size and the GiB (ee653ad13, bug 1494830: the size is that of the data).
    @ddt.data(
        ('raw', 1024, 513, 513, 513, 1), ('raw', 512, 1, 1, 1, 1),
        ('qcow2', units.Mi, 99, 5 * units.Gi, units.Mi, 1),
        ('qcow2', units.Gi, 99, units.Gi, units.Gi, 1),
        ('vmdk', units.Gi + 512, 99, 2 * units.Gi, units.Gi + 512, 2),
        ('qcow2', 2 * units.Gi + 1, 99, 3 * units.Gi, 2 * units.Gi + 1, 3))
    @ddt.unpack
    def test_size(self, kind, found, length, declared, recorded, gib):
        self.info.configure_mock(file_format=kind, virtual_size=found)
        self.fill(self.images.add(DATA[:length], virtual_size=declared))
        self.assertEqual(recorded, self.planned.image.virtual_size)
        self.assertEqual(gib * units.Gi, self.calls['create'].args[1])
        self.assertEqual(gib * units.Gi, self.calls['reserve'].args[1])
        self.assertEqual(-(-declared // units.Gi) * units.Gi,
                         self.calls['check_capacity'].args[1])


@ddt.ddt
class RefusedFillTestCase(FillTestCase):

    def refuse(self, last_step, *texts):
        return self.assert_fails(exceptions.FillRefused, last_step, *texts)

    @ddt.data(('raw', SIZE, SIZE - 1, DATA, str(SIZE), str(SIZE - 1)),
              ('qcow2', 2 * units.Gi, units.Gi, DATA, str(2 * units.Gi)),
              ('qcow2', None, units.Gi, DATA, 'empty'),
              ('qcow2', 0, units.Gi, DATA, 'empty'),
              ('raw', SIZE, units.Mi, b'', 'empty'))
    @ddt.unpack
    def test_size(self, kind, found, declared, data, *texts):
        # Bug 2059809.
        self.info.configure_mock(file_format=kind, virtual_size=found)
        self.image = self.images.add(data, virtual_size=declared)
        self.refuse('measure', *texts)

    def test_backing_file(self):
        self.info.backing_file = '/etc/passwd'
        self.refuse('measure', 'backing file')

    def test_size_of_stream(self):
        self.can_stream.return_value = True
        self.image = self.images.add(DATA, virtual_size=SIZE - 1)
        self.refuse('check_capacity', str(SIZE), str(SIZE - 1))
        self.image = self.images.add(DATA, virtual_size=units.Gi)
        self.assertEqual(SIZE, self.fill().image.virtual_size)

    @ddt.data(('of the test', 'of the test'), (b'of \xff test', 'of \ufffd'),
              (None, 'qemu-img cannot read it'))
    @ddt.unpack
    def test_qemu_img_that_fails(self, stderr, text):
        self.failures['measure'] = processutils.ProcessExecutionError(
            stderr=stderr)
        self.refuse('measure', text)

    # Bugs 1823445 and 2059809.
    @ddt.data(exception.InvalidSignatureImage(image_id='i'),
              exception.ImageSignatureVerificationException(reason='bad'),
              exception.ImageUnacceptable(image_id='i', reason='bad'),
              exception.ImageConversionNotAllowed(image_id='i', reason='b'),
              exception.Invalid(reason='bad'), exception.Invalid('bad'))
    def test_verdict_of_cinder(self, verdict):
        self.signatures_wanted.return_value = True
        reason = verdict.kwargs.get('reason', str(verdict))
        for step, last_step in (('verify', 'verify'), ('write', 'discard')):
            self.failures = {step: verdict}
            self.assertIs(verdict, self.refuse(last_step, reason).__cause__)


@ddt.ddt
class FailedFillTestCase(FillTestCase):

    # What fails; the last step; whether the volume is known to discard it (bug
    # 1785706: nothing that can be cloned is left), by its id and not its name.
    @ddt.data(('account', 'account', None),
              ('check_capacity', 'check_capacity', None),
              ('check_space', 'check_space', None),
              ('download', 'download', None), ('plan', 'plan', None),
              ('reserve', 'discard', False), ('create', 'discard', False),
              ('unreserve', 'discard', True), ('attach', 'discard', True),
              ('write', 'discard', True), ('detach', 'discard', True),
              ('publish', 'discard', True))
    @ddt.unpack
    def test_step_that_fails(self, step, last_step, known):
        self.check_step(step, last_step, known)

    def check_step(self, step, last_step, known):
        for failure in (
                base.api_error(), OSError(errno.ENOSPC, 'full'),
                # Errors of one request, and not of the image.
                exception.ImageTooBig(image_id='i', reason='of the test'),
                exception.ImageNotFound(image_id='i'),
                exception.InvalidInput(reason='of the test'),
                brick_exception.BrickException('of the test')):
            self.failures = {step: failure}
            self.assertIs(failure, self.assert_fails(type(failure), last_step))
            if known is not None:
                self.assertEqual(
                    mock.call(self.planned, self.volume if known else None),
                    self.calls['discard'])
            self.assertFalse(hasattr(failure, '__notes__'))

    @ddt.data(('plan', 'plan', None), ('reserve', 'discard', False),
              ('create', 'discard', False), ('attach', 'discard', True),
              ('stream', 'discard', True), ('detach', 'discard', True),
              ('publish', 'discard', True))
    @ddt.unpack
    def test_step_that_fails_of_stream(self, step, last_step, known):
        self.can_stream.return_value = True
        self.check_step(step, last_step, known)

    def test_fill_that_cannot_be_discarded(self):
        # The first error is raised, and the other one is not lost.
        self.failures = {'publish': base.api_error('xFirst'),
                         'discard': base.api_error('xSecond')}
        exc = self.assert_fails(type(self.failures['publish']), 'discard',
                                'xFirst')
        [note] = exc.__notes__
        self.assertIn('xSecond', note)

    def test_download_that_ends_early(self):
        self.images.images[self.image['id']][0]['size'] = SIZE + 1
        self.assert_fails(exceptions.TemplateCacheError, 'download',
                          '%d of %d bytes' % (SIZE, SIZE + 1))
        # The size is not always known.
        self.images.images[self.image['id']][0]['size'] = None
        self.fill()


@ddt.ddt
class ChangedImageTestCase(FillTestCase):

    # How it changes; a part of the error, None when the data is the same.
    @ddt.data(({}, {'os_hash_value': 'ef' * 64}, 'changed'),
              (NO_HASHES, {'name': 'other'}, 'changed'),
              (NO_HASHES, {'checksum': 'ef' * 16}, 'changed'),
              ({}, NO_HASHES, 'changed'),
              ({}, {'visibility': 'private'}, 'public'),
              ({}, {'name': 'other'}, None))
    @ddt.unpack
    def test_change_during_the_download(self, members, changes, error):
        self.image = self.images.add(DATA, **members)
        self.images.on_download = lambda image_id: self.images.touch(
            image_id, **changes)
        if error:
            self.assert_not_created(error)
            return
        self.fill()
        self.assertEqual(
            dataclasses.replace(
                metadata.from_metadata(self.image),
                updated_at=base.T0 + 60 * base.SECOND), self.planned.image)

    @ddt.data({'os_hash_value': 'ef' * 64}, {'visibility': 'private'},
              {'disk_format': 'qcow2'})
    def test_change_during_the_download_of_stream(self, changes):
        self.can_stream.side_effect = (
            lambda image_meta: image_meta['disk_format'] == 'raw')
        self.images.on_download = lambda image_id: self.images.touch(
            image_id, **changes)
        self.assert_fails(exceptions.TemplateCacheError, 'discard')
        self.assertEqual('show', self.steps[-2])
        self.assertEqual(mock.call(self.planned, self.volume),
                         self.calls['discard'])

    def test_deletion_during_the_download(self):
        self.images.on_download = lambda image_id: self.mock_object(
            self.images, 'show', autospec=True,
            side_effect=exception.ImageNotFound(image_id=image_id))
        self.assert_fails(exception.ImageNotFound, 'measure')

    def test_change_before_the_fill(self):
        self.images.touch(self.image['id'], visibility='private')
        self.assert_not_created('public')
        self.assertEqual([], self.images.downloads)

    def test_conversion_disabled_before_the_fill(self):
        # Bug 1970115.
        self.override_config('image_conversion_disable', True)
        self.fill()
        self.images.touch(self.image['id'], disk_format='qcow2')
        self.assert_not_created()

    def test_new_data_before_the_fill(self):
        # What the Image service has now is filled and recorded.
        newer = self.images.replace(self.image['id'], DATA[::-1])
        self.fill()
        self.assertEqual(metadata.from_metadata(newer), self.planned.image)
