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

"""An Image service that fails, or whose image changes, while it is read."""

import copy

from cinder.tests.unit.volume.drivers.solidfire_template_cache import base

STAGES = ('before the first look', 'before the download',
          'during the download', 'after the download')
"""When something can happen to an image whose template is being filled.

A fill looks at the image's metadata, downloads, and looks again.
"""


class FailingImages(base.ImageService):
    """Real bytes, and something that happens once, at one stage.

    :ivar at: the stage
    :ivar act: what happens then: a callable that may raise
    """

    def __init__(self):
        super().__init__()
        self.calm()

    def calm(self):
        """Let nothing happen from now on."""
        self.at = self.act = None
        self.looks = 0
        self.happened = 0

    def happen(self, stage, act):
        """Let something happen once."""
        self.calm()
        self.at, self.act = stage, act

    def _reach(self, stage):
        if stage == self.at and not self.happened:
            self.happened += 1
            self.act()

    def show(self, context, image_id):
        self.looks += 1
        self._reach(STAGES[0] if self.looks == 1 else STAGES[3])
        return copy.deepcopy(self.images[image_id][0])

    def download(self, context, image_id, data=None):
        self._reach(STAGES[1])
        content = self.images[image_id][1]
        self.downloads.append(image_id)
        data.write(content[:len(content) // 2])
        self._reach(STAGES[2])
        data.write(content[len(content) // 2:])
