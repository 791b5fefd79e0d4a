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

"""Stages of a request at which a service process can be made to wait."""

import functools
import os
import threading

from cinder.image import image_utils
from cinder.tests.element_simulator import local_attach
from cinder.volume.drivers.solidfire_template_cache.clones import scheduler
from cinder.volume.drivers.solidfire_template_cache.element import client
from cinder.volume.drivers.solidfire_template_cache.templates import filler
from cinder.volume.drivers.solidfire_template_cache.templates import replicas
from cinder.volume.drivers.solidfire_template_cache.templates import store

DOWNLOAD = 'download'
CONVERT = 'convert'

# In the order of a first request. Download and conversion wait in the middle,
# with half of the data written.
BEFORE = {
    'fill': (filler.TemplateFiller, 'fill'),
    'verify': (image_utils, 'qemu_img_info'),
    'create': (store.TemplateStore, 'create'),
    'attach': (local_attach.SolidFireDriver, '_attach_volume'),
    'detach': (local_attach.SolidFireDriver, '_detach_volume'),
    'publish': (store.TemplateStore, 'publish'),
    'clone': (scheduler.CloneScheduler, 'clone'),
    'replicated': (replicas.TemplateSources, 'refresh'),
}
AFTER = {
    'created': (store.TemplateStore, 'create'),
    'attached': (local_attach.SolidFireDriver, '_attach_volume'),
    'converted': (image_utils, 'convert_image'),
    'published': (store.TemplateStore, 'publish'),
    'cloning': (client.ElementClient, 'clone_volume'),
    'cloned': (scheduler.CloneScheduler, 'clone'),
    'replicating': (store.TemplateStore, 'start_replica'),
}
NAMES = (DOWNLOAD, CONVERT, *BEFORE, *AFTER)

FILE_ONLY = ('verify', CONVERT, 'converted')
"""Stages that a raw image does not reach, which needs no temporary file."""

REPLICA_ONLY = ('replicating', 'replicated')
"""Stages that only a queue of requests reaches."""


class Stages(object):
    """Waits at the stages that are armed."""

    def __init__(self, announce):
        self._announce = announce
        self._lock = threading.Lock()
        self._armed = {}

    def arm(self, stage, skip=0):
        """Wait at a stage, once."""
        if stage not in NAMES:
            raise ValueError('unknown stage %s' % stage)
        with self._lock:
            self._armed[stage] = [skip, threading.Event()]

    def go(self, stage):
        """End the wait at a stage, or disarm it."""
        with self._lock:
            _skip, go_ahead = self._armed.pop(stage)
        go_ahead.set()

    def reach(self, stage):
        """Wait here if the stage is armed."""
        with self._lock:
            skip, go_ahead = self._armed.get(stage, (None, None))
            if go_ahead is None or skip < 0:
                return
            self._armed[stage][0] -= 1
            if skip > 0:
                return
        self._announce(stage)
        go_ahead.wait()

    def install(self):
        """Wrap the functions that the stages are named after."""
        for stage, (owner, name) in BEFORE.items():
            self._wrap(owner, name, before=stage)
        for stage, (owner, name) in AFTER.items():
            self._wrap(owner, name, after=stage)
        self._wrap_conversion()

    def _wrap(self, owner, name, before=None, after=None):
        wrapped = getattr(owner, name)

        @functools.wraps(wrapped)
        def wrapper(*args, **kwargs):
            self.reach(before)
            result = wrapped(*args, **kwargs)
            self.reach(after)
            return result

        setattr(owner, name, wrapper)

    def _wrap_conversion(self):
        wrapped = image_utils.convert_image

        @functools.wraps(wrapped)
        def wrapper(path, dest, *args, **kwargs):
            with self._lock:
                is_armed = CONVERT in self._armed
            if is_armed:
                with open(path, 'rb') as source, open(dest, 'r+b') as target:
                    target.write(source.read(os.path.getsize(path) // 2))
                self.reach(CONVERT)
            return wrapped(path, dest, *args, **kwargs)

        image_utils.convert_image = wrapper
