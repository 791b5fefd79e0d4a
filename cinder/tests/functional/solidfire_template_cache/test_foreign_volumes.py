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

"""Volumes in the template account that this version has not made.

Those of a later version, as during a rolling upgrade, those that the driver
left that came with Cinder from Kilo to Stein, and those made by hand: they
are never used, changed, counted or removed, and are reported once.
"""

import contextlib
import datetime
from unittest import mock

from cinder.tests.element_simulator import local_attach
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.unit import fake_constants as fake
from cinder.volume.drivers.solidfire_template_cache.templates import model

DATA = b'bootable' * 500
OTHER_DATA = b'elsewise' * 500

LATER = model.SCHEMA + 1

# What differs from the record of a ready template; or what is in its place.
# The keys are what the log says of them. More are in the unit tests of model.
RECORDS = {
    'another version of this driver': (
        {'schema': LATER, 'layout': 'wide'}, {'schema': None}),
    'a volume that this driver did not create': (
        {'state': 'warming'}, {'image_id': fake.OBJECT_ID},
        {'virtual_size': -1}, {'image_updated_at': None},
        {'fill_id': None}, None, 'ready', [{'schema': 1}])}


class ForeignVolumesTestCase(base.FunctionalTestCase):

    CLONE_SECONDS = 0

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)

    def request(self, image=None, data=DATA, driver=None):
        self.assert_served(self.clone(image or self.image, driver=driver),
                           data)

    def report(self, driver=None):
        """Run housekeeping; return its warnings."""
        self.run_housekeeping(driver)
        warnings = self.log.warnings
        self.log.clear()
        return warnings

    def state_of(self, volume_ids):
        """Return all members and the data of some volumes."""
        volumes = self.api('ListVolumes', volumeIDs=sorted(volume_ids))
        return volumes['volumes'], [self.read_volume(number, 100000)
                                    for number in sorted(volume_ids)]


class LeftAloneTestCase(ForeignVolumesTestCase):
    """Foreign volumes have the name of an image's templates.

    They also have lower ids, and hold other data.
    """

    def setUp(self):
        super().setUp()
        own = self.plant(self.image)
        record = self.sim.cluster.volumes[own].attributes[model.ATTRIBUTE]
        self.sim.cluster.forget_volume(own)
        self.expected = {}
        for access in ('readOnly', 'readWrite'):
            for text, changes in RECORDS.items():
                for change in changes:
                    if isinstance(change, dict):
                        change = dict(record, **change)
                    self.plant_foreign({model.ATTRIBUTE: change}, access,
                                       text)
            self.plant_foreign({'image_info': {
                'image_updated_at': self.image['updated_at'].isoformat(),
                'image_name': 'a', 'image_id': self.image['id']},
                'cloned_count': 3}, access, 'Kilo to Stein')
            self.plant_foreign({}, access, text)
            self.plant_foreign(None, access, text)
        deleted = self.plant_foreign(
            {model.ATTRIBUTE: {'schema': LATER}}, 'readOnly', '')
        self.api('DeleteVolume', volumeID=deleted)
        elsewhere = self.plant_foreign({model.ATTRIBUTE: record}, 'readOnly',
                                       '', account=fake.PROJECT_ID)
        self.foreign = set(self.expected)
        del self.expected[deleted], self.expected[elsewhere]
        self.before = self.state_of(self.foreign)

    def plant_foreign(self, attributes, access, text, **arguments):
        planted = self.plant_volume(model.name_for(self.image['id']),
                                    attributes, OTHER_DATA, access=access,
                                    **arguments)
        self.expected[planted] = text
        return planted

    def own(self):
        return sorted(volume.volume_id for volume in self.templates()
                      if volume.volume_id not in self.foreign)

    def assert_left_alone(self):
        self.assertEqual(self.before, self.state_of(self.foreign))
        self.assertEqual(set(), self.sources() & self.foreign)

    def plant_unfinished(self):
        return self.plant(self.image, state=model.State.FILLING,
                          access='readWrite', filled_at=None)

    def test_requests(self):
        unfinished = self.plant_unfinished()
        self.sim.faults.add(method='ModifyVolume', error='xInvalidParameter',
                            match={'access': 'readOnly'})
        self.assertEqual((None, False), self.clone(self.image))
        self.log.pop_warning('ModifyVolume')
        self.assertEqual([], self.own())
        self.assertNotIn(unfinished, self.sim.cluster.volumes)
        self.assert_left_alone()
        self.sim.faults.add(method='CreateVolume', drop=True, when='after')
        for _i in range(2):
            self.request()
        self.assertEqual(1, len(self.own()))
        self.assert_left_alone()
        newer = self.images.replace(self.image['id'], OTHER_DATA)
        self.request(newer, OTHER_DATA)
        self.assert_left_alone()

    def test_housekeeping(self):
        kept = self.plant(self.image, DATA)
        self.plant(self.image, DATA)
        self.plant_unfinished()
        self.report()
        self.assertEqual([kept], self.own())
        self.assert_left_alone()
        self.clock.jump = datetime.timedelta(days=99)
        self.report()
        self.assertEqual([], self.own())
        self.assert_left_alone()

    def test_report(self):
        for driver in (self.driver, self.new_driver()):
            warnings = self.report(driver)
            self.assertEqual(len(self.expected), len(warnings))
            for (number, text), warning in zip(self.expected.items(),
                                               warnings):
                self.assertTrue(warning.startswith('Volume %s,' % number))
                self.assertIn(text, warning)
                self.assertIn(model.name_for(self.image['id']), warning)
            # Once in each process.
            self.assertEqual([], self.report(driver))
        self.assert_left_alone()


class LaterDriver(local_attach.SolidFireDriver):
    """The driver of a later version, with one more member in the record."""

    def clone_image(self, *args, **kwargs):
        with self.later():
            return super().clone_image(*args, **kwargs)

    @staticmethod
    @contextlib.contextmanager
    def later():
        attributes = model.Template.attributes

        def later_attributes(template):
            written = attributes(template)
            written[model.ATTRIBUTE]['layout'] = 'wide'
            return written

        with mock.patch.object(model, 'SCHEMA', LATER), mock.patch.object(
                model.Template, 'attributes', later_attributes):
            yield


class RollingUpgradeTestCase(ForeignVolumesTestCase):
    """This version and a later one on one cluster."""

    def setUp(self):
        super().setUp()
        self.later = self.new_driver(driver_class=LaterDriver)
        self.both = self.driver, self.later

    def run_housekeeping(self, driver=None):
        with self.later.later() if driver is self.later else (
                contextlib.nullcontext()):
            super().run_housekeeping(driver)

    def assert_one_each(self, image=None):
        """Check that each version has one ready template; return ids."""
        templates = self.templates(image and image['id'] or '')
        self.assertEqual([(model.SCHEMA, 'ready'), (LATER, 'ready')], sorted(
            (record['schema'], record['state']) for record in
            (each.attributes[model.ATTRIBUTE] for each in templates)))
        return [each.volume_id for each in sorted(
            templates,
            key=lambda each: each.attributes[model.ATTRIBUTE]['schema'])]

    def test_fill_hit_refill_and_housekeeping(self):
        for driver in self.both * 2:
            self.request(driver=driver)
        templates = self.assert_one_each()
        self.assertEqual(templates * 2, [
            call.params['volumeID'] for call in self.sim.calls
            if call.method == 'CloneVolume'])
        image = self.images.replace(self.image['id'], OTHER_DATA)
        for driver in self.both * 2:
            self.request(image, OTHER_DATA, driver)
        self.plant(image, OTHER_DATA)
        for driver in self.both:
            self.assertIn('another version', self.report(driver)[0])
        templates = self.assert_one_each()
        self.assertEqual([[], []], [self.report(each) for each in self.both])
        self.assertEqual(4, len(self.images.downloads))

    def test_templates_stay_after_a_downgrade(self):
        for driver in self.both:
            self.request(driver=driver)
        _own, left = self.assert_one_each()
        before = self.state_of([left])
        restarted = self.new_driver()
        self.clock.jump = datetime.timedelta(days=99)
        warning, = self.report(restarted)
        self.assertIn('Volume %s,' % left, warning)
        # That of this version has expired.
        self.assertEqual([left], [each.volume_id for each
                                  in self.templates()])
        self.request(driver=restarted)
        self.assertEqual([], self.report(restarted))
        self.assertEqual(before, self.state_of([left]))
        # Until the operator deletes it.
        self.api('DeleteVolume', volumeID=left)
        self.api('PurgeDeletedVolume', volumeID=left)
        self.request(driver=restarted)
        self.assertEqual([], self.report(restarted))
