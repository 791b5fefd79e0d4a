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

"""The paths that a request can take, from a hit to what a crash left."""

import datetime

from oslo_utils import timeutils

from cinder.tests.functional.solidfire_template_cache import walk
from cinder.volume.drivers.solidfire_template_cache import template as tpl


class FirstRequest(walk.Path):
    """An empty cluster: accounts are made, a template filled and cloned."""

    LEAST_CALLS = 14
    KEEPS_TEMPLATE = False

    def prepare(self):
        return self.images.add(self.DATA)


class AccessGroup(FirstRequest):
    """The same with volume access groups: what attaching calls then."""

    LEAST_CALLS = 20
    DRIVER = {'sf_enable_vag': True}

    def walks(self, method):
        return 'AccessGroup' in method

    def survives(self, fault, method):
        # Attaching is the stock driver's own work, with its own patience.
        return False


class WarmHit(walk.Path):
    """The template is there, and this process knows it."""

    def prepare(self):
        image = self.images.add(self.DATA)
        self.clone(image)
        return image


class ColdHit(WarmHit):
    """The template is there, and this process has just started."""

    LEAST_CALLS = 6

    def prepare(self):
        image = super().prepare()
        self.forget(self.driver)
        return image


class Refill(WarmHit):
    """The image has other data now: a new template, then the old one goes."""

    LEAST_CALLS = 10
    DOWNLOADS = 2
    KEEPS_TEMPLATE = False

    def prepare(self):
        image = super().prepare()
        self.data = self.NEW_DATA
        return self.images.replace(image['id'], self.NEW_DATA)


class TagEdit(WarmHit):
    """Only the image's record changed: the template's is refreshed."""

    LEAST_CALLS = 3

    def prepare(self):
        image = super().prepare()
        return self.images.touch(image['id'])


class OwnQos(WarmHit):
    """A volume with QoS of its own, and larger than the template."""

    LEAST_CALLS = 3
    HIT = {'CloneVolume', 'ModifyVolume', 'GetAsyncResult'}
    QOS = {'minIOPS': 200, 'maxIOPS': 400, 'burstIOPS': 800}

    def setUp(self):
        super().setUp()
        self.VOLUME = {'size': 2,
                       'volume_type_id': self.new_volume_type(**self.QOS)}


class CrashLeftovers(WarmHit):
    """Beside the template stand one half filled and a second whole one."""

    LEAST_CALLS = 12

    def prepare(self):
        image = super().prepare()
        self.copy_template('filling')
        self.copy_template('ready')
        self.forget(self.driver)
        return image

    def copy_template(self, state):
        cluster = self.sim.cluster
        original = self.templates()[0]
        attributes = dict(original.attributes[tpl.ATTRIBUTE], state=state,
                          fill_id='of a host that died, ' + state)
        copy = cluster.add_volume(
            name=original.name, account_id=original.account_id,
            size=original.size, qos=dict(original.qos),
            access='readOnly' if state == 'ready' else 'readWrite',
            attributes={tpl.ATTRIBUTE: attributes})
        cluster.files.copy('volume-%d' % original.volume_id,
                           'volume-%d' % copy.volume_id, copy.size)


class Rescheduled(WarmHit):
    """Another host tried before, and left a volume behind."""

    LEAST_CALLS = 5

    def prepare_volume(self):
        created = timeutils.utcnow()
        volume = self.new_volume(
            created_at=created, **self.VOLUME,
            scheduled_at=created + datetime.timedelta(minutes=5))
        self.driver.create_volume(volume)
        return volume


class VanishedTemplate(WarmHit):
    """The template that this process knows was removed by hand."""

    LEAST_CALLS = 10
    DOWNLOADS = 2
    KEEPS_TEMPLATE = False

    def prepare(self):
        image = super().prepare()
        self.sim.cluster.forget_volume(self.templates()[0].volume_id)
        return image
