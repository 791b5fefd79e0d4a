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

"""Images that change before or while they are downloaded."""

from unittest import mock

from cinder import exception
from cinder.tests.unit.volume.drivers.solidfire_template_cache import filling
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import image as images
from cinder.volume.drivers.solidfire_template_cache import template as tpl


class ChangedImageTestCase(filling.FillTestCase):
    """The image changes while it is downloaded."""

    def on_download(self, change):
        self.images.on_download = lambda image_id: change(image_id)

    def assert_not_made(self, image, error_class=errors.TemplateCacheError):
        exc = self.assert_fails(error_class, image)
        self.assertEqual(0, self.sim.calls.count('CreateVolume'))
        self.assert_nothing_left()
        return exc

    def test_fill_of_image_that_gets_other_data(self):
        image = self.images.add(filling.DATA)
        self.on_download(lambda image_id: self.images.replace(
            image_id, filling.DATA[::-1]))
        self.assertIn('changed', str(self.assert_not_made(image)))

    def test_fill_of_image_without_hash_that_is_updated(self):
        members = {'os_hash_value': None, 'checksum': None}
        image = self.images.add(filling.DATA, **members)
        self.on_download(self.images.touch)
        self.assertIn('changed', str(self.assert_not_made(image)))

    def test_fill_of_image_that_is_only_tagged(self):
        # The data is known to be the same.
        image = self.images.add(filling.DATA)
        self.on_download(self.images.touch)
        template = self.fill(image)
        self.assertIs(tpl.Match.CURRENT,
                      template.compare(images.from_metadata(image)))

    def test_fill_of_image_that_is_made_private(self):
        image = self.images.add(filling.DATA)
        self.on_download(lambda image_id: self.images.touch(
            image_id, visibility='private'))
        self.assertIn('public', str(self.assert_not_made(image)))

    def test_fill_of_image_that_is_deactivated(self):
        image = self.images.add(filling.DATA)
        self.on_download(lambda image_id: self.images.touch(
            image_id, status='deactivated'))
        self.assertIn('not active', str(self.assert_not_made(image)))

    def test_fill_of_image_that_is_deleted(self):
        image = self.images.add(filling.DATA)

        def delete(image_id):
            self.mock_object(
                self.images, 'show', autospec=True,
                side_effect=exception.ImageNotFound(image_id=image_id))

        self.on_download(delete)
        self.assert_not_made(image, exception.ImageNotFound)

    def test_fill_of_image_that_was_made_private_before(self):
        image = self.images.add(filling.DATA)
        self.images.touch(image['id'], visibility='private')
        self.assert_fails(errors.TemplateCacheError, image)
        self.assertEqual([], self.images.downloads)

    def test_fill_of_image_that_was_updated_before(self):
        # What Glance has now is filled, and the record says so.
        image = self.images.add(filling.DATA)
        updated = self.images.replace(image['id'], filling.DATA[::-1])
        template = self.fill(image)
        self.assertEqual(images.from_metadata(updated), template.image)
        self.assertEqual(filling.DATA[::-1], self.read_volume(
            template.volume_id, len(filling.DATA)))

    def test_clone_image_of_image_that_gets_other_data(self):
        image = self.images.add(filling.DATA)
        self.on_download(lambda image_id: self.images.replace(
            image_id, filling.DATA[::-1]))
        self.assert_falls_back(image, 'changed')
        # The next request fills what is there now.
        self.images.on_download = lambda image_id: None
        image = self.images.show(self.context, image['id'])
        model_update, cloned = self.clone(image)
        self.assertTrue(cloned)
        self.assert_holds(model_update, filling.DATA[::-1])

    def test_clone_image_of_image_that_is_deleted(self):
        image = self.images.add(filling.DATA)
        with mock.patch.object(
                self.images, 'show', autospec=True,
                side_effect=exception.ImageNotFound(image_id=image['id'])):
            self.assert_falls_back(image, 'ImageNotFound')
