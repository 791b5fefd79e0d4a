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

"""Requests for volumes of images, each way in Cinder's own code."""

import time

from oslo_utils import timeutils

from bench import environment
from cinder import context
from cinder import objects
from cinder.volume.flows.manager import create_volume
from cinder.volume import manager
from cinder.volume import volume_types


class Backend:
    """One backend of a volume service: its manager and its driver.

    :param name: of the way, see ``environment.BACKENDS``
    :param images: an ``images.Images``
    """

    def __init__(self, name, images):
        self.name = name
        self._images = images
        self._host = f'bench@{name}'
        self.manager = manager.VolumeManager(service_name=name,
                                             host=self._host)
        self.driver = self.manager.driver
        admin = context.get_admin_context()
        self.driver.do_setup(admin)
        self.driver.check_for_setup_error()
        self.driver.set_initialized()
        self.manager.stats = {'pools': {}, 'allocated_capacity_gb': 0}
        self._task = create_volume.CreateVolumeFromSpecTask(
            self.manager, self.manager.db, self.driver,
            self.manager.image_volume_cache)
        self._type_id = volume_types.get_default_volume_type()['id']

    def forget(self):
        """Leave the backend as after a restart."""
        # Asked for an attribute that it lacks, the stock driver raises.
        services = vars(self.driver).get('_template_services')
        if services:
            services.clear()

    def new_volume(self, size=1):
        """Return the record of a volume, as API and scheduler leave it.

        :param size: GiB
        """
        ctxt = environment.user_context()
        volume = objects.Volume(
            context=ctxt, size=size, status='creating',
            attach_status='detached', user_id=ctxt.user_id,
            project_id=ctxt.project_id, host=f'{self._host}#{self.name}',
            availability_zone='nova', display_name='of an image',
            volume_type_id=self._type_id,
            scheduled_at=timeutils.utcnow())
        volume.create()
        return volume

    def create(self, image, volume=None):
        """Create a volume by the flow of the volume manager.

        :param image: the metadata of an image
        :returns: the volume
        """
        volume = volume or self.new_volume()
        # As in the manager, where the flow has the rights of Cinder.
        ctxt = environment.user_context().elevated()
        self._task.execute(ctxt, volume, {
            'type': 'image', 'status': volume.status, 'volume_id': volume.id,
            'volume_name': volume.name, 'volume_size': volume.size,
            'image_id': image['id'], 'image_location': (None, None),
            'image_meta': image, 'image_service': self._images.service()})
        volume.status = 'available'
        volume.save()
        return volume

    def clone(self, image, volume=None):
        """Create a volume by the driver's ``clone_image`` alone.

        :returns: the seconds that it took
        :raises: RuntimeError if the driver left it to the volume manager
        """
        volume = volume or self.new_volume()
        began = time.perf_counter()
        model_update, cloned = self.driver.clone_image(
            environment.user_context(), volume, (None, None), image,
            self._images.service())
        took = time.perf_counter() - began
        if not cloned:
            raise RuntimeError(f'no clone of {image["id"]} was made')
        volume.update(model_update)
        return took
