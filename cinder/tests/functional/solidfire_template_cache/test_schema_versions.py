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

"""Templates that this version of the driver has not made.

Those of a newer version beside it on one cluster, as during a rolling
upgrade, and those that the driver of Kilo to Stein has left: they are never
used and never removed, whatever is going on, and the operator is told.
"""

import contextlib
import datetime
from unittest import mock

from cinder.tests.element_simulator import local_attach
from cinder.tests.functional.solidfire_template_cache import (
    base as functional_base)
from cinder.tests.unit.volume.drivers.solidfire_template_cache.history import (
    base)
from cinder import utils
from cinder.volume.drivers.solidfire_template_cache import template as tpl

NEWER = 2


def kilo_attributes(image):
    """Return the attributes that the driver of Kilo to Stein wrote."""
    return {'image_info': {
        'image_updated_at': image['updated_at'].isoformat(),
        'image_created_at': image['created_at'].isoformat(),
        'image_name': image['name'], 'image_id': image['id']},
        'cloned_count': 3}


class NewerDriver(local_attach.SolidFireDriver):
    """The driver as of a later version, with one more member it writes."""

    def clone_image(self, *args, **kwargs):
        with self._newer():
            return super().clone_image(*args, **kwargs)

    def get_volume_stats(self, refresh=False):
        with self._newer():
            return super().get_volume_stats(refresh)

    @contextlib.contextmanager
    def _newer(self):
        older = tpl.Template.attributes

        def attributes(template):
            written = older(template)
            written[tpl.ATTRIBUTE]['layout'] = 'wide'
            return written

        with mock.patch.object(tpl, 'SCHEMA', NEWER), mock.patch.object(
                tpl.Template, 'attributes', attributes):
            yield


class StrangersTestCase(base.HistoryTestCase):

    def setUp(self):
        super().setUp()
        self.mock_object(
            utils, 'execute',
            functional_base.CheapImageTools(utils.execute).execute)
        self.image = self.images.add(base.DATA)
        self.long_ago = self.clock.now() - datetime.timedelta(days=2)

    def new_cluster(self, **arguments):
        return super().new_cluster(**dict({'clone_seconds': 0}, **arguments))

    def request(self, image=None, data=base.DATA, driver=None):
        result = self.clone(image or self.image, driver=driver)
        self.assert_served(result, data)

    def house(self, driver=None):
        """Keep house once, and return what the operator is told."""
        (driver or self.driver).get_volume_stats(refresh=True)
        told = list(self.warnings.messages)
        self.warnings.messages.clear()
        return told

    def look(self, volume_ids):
        """Return all that there is of some volumes."""
        found = self.api('ListVolumes', volumeIDs=sorted(volume_ids))
        return found['volumes'], [self.read_volume(number, 100000)
                                  for number in sorted(volume_ids)]

    def of_schema(self, schema):
        """Return the templates with that schema version."""
        return [volume for volume in self.templates() if
                (volume.attributes.get(tpl.ATTRIBUTE) or {}).get('schema') ==
                schema]


class LeftAloneTestCase(StrangersTestCase):
    """Every kind of stranger lies beside an image's own templates.

    They have its name and the lower numbers, and hold other data.
    """

    def setUp(self):
        super().setUp()
        self.strangers = [
            self._plant_stranger(attributes, access)
            for access, attributes in self._strange_attributes()]
        deleted = self._plant_stranger(
            {tpl.ATTRIBUTE: {'schema': NEWER}}, 'readOnly')
        self.api('DeleteVolume', volumeID=deleted)
        self.before = self.look(self.strangers + [deleted])
        self.strange = set(self.strangers) | {deleted}

    def _plant_stranger(self, attributes, access):
        return self.plant_volume(tpl.name_for(self.image['id']), attributes,
                                 base.OTHER_DATA, access=access)

    def _strange_attributes(self):
        own = self.plant(self.image, access='readOnly')
        ready = self.sim.cluster.volumes[own].attributes[tpl.ATTRIBUTE]
        self.sim.cluster.forget_volume(own)

        def changed(**members):
            return {tpl.ATTRIBUTE: dict(ready, **members)}

        return [
            ('readOnly', changed(schema=NEWER)),
            ('readOnly', changed(schema=NEWER, layout='wide')),
            ('readWrite', changed(schema=NEWER, state='filling')),
            ('readOnly', changed(schema=NEWER, state='warming')),
            ('readOnly', {tpl.ATTRIBUTE: {'schema': NEWER, 's': ['ready']}}),
            ('readOnly', changed(state='warming')),
            ('readOnly', changed(schema='1')),
            ('readOnly', changed(schema=True)),
            ('readOnly', changed(schema=None)),
            ('readOnly', {tpl.ATTRIBUTE: 'ready'}),
            ('readWrite', kilo_attributes(self.image)),
            ('readOnly', kilo_attributes(self.image)),
            ('readWrite', {})]

    def assert_left_alone(self):
        """Check that nothing was done to or with a stranger."""
        self.assertEqual(self.before, self.look(self.strange))
        self.assertEqual(set(), self.sources() & self.strange)

    def own(self):
        return sorted(volume.volume_id for volume in self.templates()
                      if volume.volume_id not in self.strange)

    def test_first_request_and_a_hit(self):
        self.request()
        self.request()
        self.assertEqual((1, 1), (len(self.own()),
                                  len(self.images.downloads)))
        self.assert_left_alone()

    def test_refill(self):
        self.request()
        old, = self.own()
        newer = self.images.replace(self.image['id'], b'newest' * 999)
        self.request(newer, b'newest' * 999)
        self.assertNotIn(old, self.own())
        self.assertEqual(1, len(self.own()))
        self.assert_left_alone()

    def test_removal_of_a_dead_fill(self):
        dead = self.plant(self.image, state=tpl.State.FILLING,
                          access='readWrite', filled_at=self.long_ago)
        self.request()
        self.assertNotIn(dead, self.own())
        self.assert_left_alone()

    def test_removal_of_duplicates(self):
        kept = self.plant(self.image)
        self.plant(self.image)
        self.request()
        self.assertEqual([kept], self.own())
        self.assert_left_alone()

    def test_discard_after_a_failed_fill(self):
        self.sim.faults.add(method='ModifyVolume', error='xInvalidParameter',
                            match={'access': 'readOnly'})
        volume = self.new_volume()
        self.assertEqual((None, False), self.clone(self.image, volume))
        self.assertEqual([], self.own())
        self.assert_left_alone()

    def test_create_whose_reply_was_lost(self):
        self.sim.faults.add(method='CreateVolume', drop=True, when='after')
        self.request()
        self.assertEqual(1, len(self.own()))
        self.assert_left_alone()

    def test_housekeeping(self):
        kept = self.plant(self.image)
        self.plant(self.image)
        self.plant(self.image, state=tpl.State.FILLING, access='readWrite',
                   filled_at=self.long_ago)
        self.house()
        self.assertEqual([kept], self.own())
        self.assert_left_alone()

    def test_expiry(self):
        self.plant(self.image,
                   last_used=self.clock.now() - datetime.timedelta(days=99))
        self.house()
        self.assertEqual([], self.own())
        self.assert_left_alone()

    def test_room_for_another_template(self):
        driver = self.new_driver(sf_template_max_count=1)
        evicted = self.plant(self.images.add(base.DATA))
        # Those that it must not remove do not count either, or nothing
        # could be cached beside them.
        self.request(driver=driver)
        self.assertNotIn(evicted, self.own())
        self.assertEqual(1, len(self.own()))
        self.house(driver)
        self.assertEqual(1, len(self.own()))
        self.assert_left_alone()

    def test_report(self):
        told = self.house()
        self.assertEqual(
            [['Volume %s,' % number] for number in self.strangers],
            [[message[:len('Volume %s,' % number)]] for number, message
             in zip(self.strangers, told)])
        self.assertEqual(len(self.strangers), len(told))
        for place, text in ((0, 'another version of this driver'),
                            (10, 'Kilo to Stein'),
                            (12, 'not made by this driver')):
            self.assertIn(text, told[place])
            self.assertIn(tpl.name_for(self.image['id']), told[place])
        self.assertEqual([], self.house())
        # A service that was restarted tells again.
        self.assertEqual(len(told), len(self.house(self.new_driver())))
        self.assert_left_alone()


class RollingUpgradeTestCase(StrangersTestCase):
    """An older and a newer version of this driver at work by turns."""

    def setUp(self):
        super().setUp()
        self.newer = self.new_driver(driver_class=NewerDriver)

    def both(self):
        return self.driver, self.newer

    def assert_one_each(self):
        """Check that each version has one whole template, and no more."""
        templates = [self.of_schema(schema) for schema in (tpl.SCHEMA,
                                                           NEWER)]
        self.assertEqual([1, 1], [len(each) for each in templates])
        for template, in templates:
            self.assertTrue(self._is_ready(template))
        self.assertEqual(2, len(self.templates()))
        return [template.volume_id for template, in templates]

    def test_each_fills_and_uses_its_own(self):
        for driver in self.both() * 2:
            self.request(driver=driver)
        older, newer = self.assert_one_each()
        self.assertEqual(2, len(self.images.downloads))
        self.assertEqual([older, newer] * 2, [
            params['volumeID'] for params in self.params_of('CloneVolume')])

    def test_each_refills_its_own(self):
        for driver in self.both():
            self.request(driver=driver)
        before = self.assert_one_each()
        image = self.images.replace(self.image['id'], base.OTHER_DATA)
        for driver in self.both() + self.both():
            self.request(image, base.OTHER_DATA, driver)
        after = self.assert_one_each()
        self.assertEqual(set(), set(before) & set(after))
        self.assertEqual(4, len(self.images.downloads))

    def test_each_keeps_its_own_house(self):
        for driver in self.both():
            self.request(driver=driver)
        older, newer = self.assert_one_each()
        self.plant(self.image)
        self.assertIn('Volume %s,' % newer, self.house()[0])
        self.assertEqual([older, newer], self.assert_one_each())
        self.assertIn('Volume %s,' % older, self.house(self.newer)[0])
        self.assertEqual(([], []), (self.house(), self.house(self.newer)))
        self.assertEqual([older, newer], self.assert_one_each())

    def test_each_discards_its_own_failed_fill(self):
        for driver, other in (self.both(), self.both()[::-1]):
            image = self.images.add(base.DATA)
            self.request(image, driver=other)
            before = self.templates(image['id'])
            self.sim.faults.add(
                method='ModifyVolume', error='xInvalidParameter',
                match={'access': 'readOnly'})
            self.assertEqual((None, False), self.clone(image, driver=driver))
            self.warnings.messages.clear()
            self.assertEqual(before, self.templates(image['id']))

    def test_fill_of_the_newer_during_that_of_the_older(self):
        def fill_too(_image_id):
            self.images.on_download = lambda image_id: None
            # As in another process, on a host that knows no common lock.
            with mock.patch('cinder.coordination.COORDINATOR',
                            mock.MagicMock(name='another lock')):
                self.request(driver=self.newer)

        self.images.on_download = fill_too
        self.request()
        self.assert_one_each()
        self.assertEqual(2, len(self.images.downloads))

    def test_templates_stay_when_the_newer_version_is_gone(self):
        for driver in self.both():
            self.request(driver=driver)
        _older, left = self.assert_one_each()
        before = self.look([left])
        later = self.new_driver()
        self.clock.advance(99 * 24 * 3600)
        told = self.house(later)
        self.assertEqual(1, len(told))
        self.assertIn('Volume %s,' % left, told[0])
        self.assertIn('another version', told[0])
        # Its own was idle for long, and went.
        self.assertEqual([], self.of_schema(tpl.SCHEMA))
        self.request(driver=later)
        self.assertEqual([], self.house(later))
        self.assertEqual(before, self.look([left]))
        # Until the operator deletes them.
        self.api('DeleteVolume', volumeID=left)
        self.api('PurgeDeletedVolume', volumeID=left)
        self.request(driver=later)
        self.assertEqual([], self.house(later))


class KiloToSteinTestCase(StrangersTestCase):
    """The account as the last version of the old cache has left it."""

    def setUp(self):
        super().setUp()
        self.left = [
            self.plant_volume(tpl.name_for(image['id']),
                              kilo_attributes(image), base.OTHER_DATA)
            for image in (self.image, self.images.add(base.DATA))]
        self.before = self.look(self.left)

    def test_old_templates_are_reported_once_and_left(self):
        told = self.house() + self.house()
        self.assertEqual(2, len(told))
        for number, message in zip(self.left, told):
            self.assertIn('Volume %s,' % number, message)
            self.assertIn('Kilo to Stein', message)
        self.assertEqual(self.before, self.look(self.left))

    def test_old_template_is_not_used(self):
        self.request()
        self.request()
        self.assertEqual(1, len(self.images.downloads))
        self.assertEqual(set(), self.sources() & set(self.left))
        self.assertEqual(self.before, self.look(self.left))

    def test_old_templates_stay_when_limits_are_reached(self):
        driver = self.new_driver(sf_template_max_count=1,
                                 sf_template_idle_days=1)
        self.request(driver=driver)
        self.clock.advance(9 * 24 * 3600)
        self.house(driver)
        self.assertEqual(self.left, sorted(
            volume.volume_id for volume in self.templates()))
        self.assertEqual(self.before, self.look(self.left))
