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

"""The situations that a request can meet, from a hit to a crash's rest."""

import datetime

from oslo_utils import timeutils

from cinder.tests.functional.solidfire_template_cache import scenario
from cinder.volume.drivers.solidfire_template_cache.element import errors
from cinder.volume.drivers.solidfire_template_cache.templates import model
from cinder.volume import volume_types


class FirstRequest(scenario.ScenarioTestCase):
    """An empty cluster: accounts are created, a template filled, cloned."""

    MIN_CALLS = 12
    DOWNLOADS = 1
    KEEPS_TEMPLATE = False

    def prepare(self):
        return self.images.add(self.DATA)


class AccessGroup(FirstRequest):
    """The same with volume access groups: what attaching calls then."""

    MIN_CALLS = 18
    OPTIONS = {'sf_enable_vag': True}

    def applies_to(self, method):
        return 'AccessGroup' in method

    def survives(self, fault, method):
        # Attaching is the stock driver's own work, with its own retries.
        return False


class ColdHit(scenario.ScenarioTestCase):
    """The template exists, and this process has just started."""

    MIN_CALLS = 7

    def prepare(self):
        image = self.images.add(self.DATA)
        self.plant(image, self.DATA)
        return image


class WarmHit(ColdHit):
    """The template exists, and this process has it cached."""

    MIN_CALLS = 3

    def prepare(self):
        image = super().prepare()
        self.clone(image)
        return image


class Refill(WarmHit):
    """The image has other data by now: a new template is filled."""

    MIN_CALLS = 7
    DOWNLOADS = 1
    KEEPS_TEMPLATE = False

    def prepare(self):
        image = super().prepare()
        self.data = self.NEW_DATA
        return self.images.replace(image['id'], self.NEW_DATA)


class TagEdit(WarmHit):
    """Only the image's record changed: the template's is refreshed."""

    MIN_CALLS = 4

    def prepare(self):
        image = super().prepare()
        return self.images.touch(image['id'])


class OwnQos(WarmHit):
    """A volume with QoS of its own, and larger than the template."""

    MIN_CALLS = 4
    HIT = WarmHit.HIT | {'ModifyVolume'}
    QOS = {'minIOPS': 200, 'maxIOPS': 400, 'burstIOPS': 800}

    def setUp(self):
        super().setUp()
        type_id = volume_types.create(
            self.context.elevated(), 'limited',
            {'qos:' + key: str(value) for key, value in self.QOS.items()}).id
        self.VOLUME = {'size': 2, 'volume_type_id': type_id}


class InterruptedFill(FirstRequest):
    """A host has died while it was filling the first template."""

    def prepare(self):
        image = super().prepare()
        self.plant(image, b'half', access='readWrite',
                   state=model.State.FILLING, fill_id='of a host that died')
        return image

    def applies_to(self, method):
        # The rest is that of a first request.
        return method in ('DeleteVolume', 'PurgeDeletedVolume', 'ListVolumes')


class Housekeeping(ColdHit):
    """Housekeeping removes an unfinished and a second template."""

    MIN_CALLS = 12

    def prepare(self):
        image = super().prepare()
        self.plant(image, self.DATA)
        self.plant(image, b'half', access='readWrite',
                   state=model.State.FILLING, fill_id='of a host that died')
        return image

    def request(self, image, volume):
        self.interrupted = []
        try:
            self.run_housekeeping()
        except errors.ElementError as exc:
            # The templates could not be listed; the runner logs it.
            self.interrupted.append(str(exc))
        self.interrupted += self.warnings
        self.log.clear()
        return super().request(image, volume)

    def may_have_left(self, volume, result):
        return bool(self.interrupted)

    def recover(self):
        self.run_housekeeping()

    def check_reported(self, image, volume, result):
        # What housekeeping has left is found by its next run.
        if not self.interrupted:
            super().check_reported(image, volume, result)
        elif result[1]:
            self.assert_volume(volume, result[0], self.data, self.QOS)
        else:
            self.check_fallback(image, volume, result)


class Rescheduled(WarmHit):
    """Another host has tried before, and left a volume behind."""

    MIN_CALLS = 5

    def prepare_volume(self):
        created = timeutils.utcnow()
        volume = self.new_volume(
            created_at=created, **self.VOLUME,
            scheduled_at=created + datetime.timedelta(minutes=5))
        self.driver.create_volume(volume)
        return volume


class VanishedTemplate(WarmHit):
    """The template that this process has cached was removed externally."""

    MIN_CALLS = 10
    DOWNLOADS = 1
    KEEPS_TEMPLATE = False

    def prepare(self):
        image = super().prepare()
        self.sim.cluster.forget_volume(self.templates()[0].volume_id)
        return image
