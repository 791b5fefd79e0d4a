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

"""Tests of the value of a template, its record and the choice of one."""

import dataclasses
import datetime
import json

from oslo_utils import units

from cinder.tests.unit import fake_constants as fake
from cinder.tests.unit import test
from cinder.tests.unit.volume.drivers.solidfire_template_cache import fixtures
from cinder.tests.unit.volume.drivers.solidfire_template_cache.templates \
    import base
from cinder.volume.drivers.solidfire_template_cache import exceptions
from cinder.volume.drivers.solidfire_template_cache.image import metadata
from cinder.volume.drivers.solidfire_template_cache.templates import model

CURRENT, SAME_CONTENT, OUTDATED, NEWER = model.Match

T0 = base.T0
BEFORE = T0 - base.SECOND
AFTER = T0 + datetime.timedelta(microseconds=1)
NOW = datetime.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=datetime.timezone.utc)
IN_SECONDS = NOW.replace(microsecond=0)

SHA = metadata.Content('sha512', 'ab' * 64, 100)
OTHER_SHA = metadata.Content('sha512', 'cd' * 64, 100)
LONGER_SHA = metadata.Content('sha512', 'ab' * 64, 101)
MD5 = metadata.Content('md5', 'ab' * 16, 100)

# As version 1.0.0 wrote it.
RECORD = {'cinder_image_template': {
    'schema': 1, 'state': 'filling', 'image_id': fake.IMAGE_ID,
    'image_updated_at': '2026-01-01T00:00:00+00:00', 'image_size': 100,
    'image_hash': 'sha512:' + 'ab' * 64, 'virtual_size': 5 * units.Mi,
    'signature_verified': False, 'fill_id': 'fill-id', 'filled_by': 'host',
    'filled_at': '2026-02-03T04:05:06+00:00',
    'last_used': '2026-02-03T04:05:06+00:00', 'lock_domain': 'scope'}}


def ids(templates):
    return [each.volume_id for each in templates]


class TemplateTestCase(test.TestCase):

    def test_states(self):
        image = fixtures.image(size=100, content=SHA)
        new = model.new(image, 'fill-id', 'host', True, NOW, 'scope')
        self.assertEqual(
            model.Template(
                volume_id=0, size=0, active=False, read_only=False,
                state=model.State.FILLING, image=image, fill_id='fill-id',
                filled_by='host', filled_at=IN_SECONDS, last_used=IN_SECONDS,
                signature_verified=True, lock_domain='scope'), new)
        later = NOW + base.HOUR
        published = model.published(new, later)
        self.assertEqual(
            dataclasses.replace(new, state=model.State.READY,
                                last_used=IN_SECONDS + base.HOUR), published)
        # Of the newer version only the time is taken over.
        self.assertEqual(
            dataclasses.replace(published, image=dataclasses.replace(
                image, updated_at=AFTER), last_used=IN_SECONDS),
            model.refreshed(published, fixtures.image(
                updated_at=AFTER, virtual_size=1, size=1), NOW))
        self.assertEqual(dataclasses.replace(published, last_used=IN_SECONDS),
                         model.used(published, NOW))
        # A replica is one more template that is ready.
        self.assertEqual(
            dataclasses.replace(
                published, fill_id='fill-2', filled_by='h' * 64,
                filled_at=published.last_used, replica_maker='maker'),
            model.replica(published, 'fill-2', 'h' * 65, 'maker', later))

    def test_ready_and_usable(self):
        # What may be cloned at all: published, not deleted, read-only and
        # as large as its image (bugs 1605027, 1668772).
        for changes, ready, usable in (
                ({}, True, True), ({'active': False}, False, False),
                ({'state': model.State.FILLING}, False, False),
                ({'read_only': False}, True, False),
                ({'size': 5 * units.Mi}, True, True),
                ({'size': 5 * units.Mi - 1}, True, False)):
            template = fixtures.template(**changes)
            self.assertEqual((ready, usable),
                             (template.ready, template.usable), changes)

    def test_fits_in_bytes(self):
        # Bug 1599147.
        for virtual_size, size, volume_bytes, expected in (
                (units.Gi, units.Gi, units.Gi, True),
                (units.Gi, units.Gi, 2 * units.Gi, True),
                (units.Gi, units.Gi, units.Gi - 1, False),
                (units.Mi, units.Gi, units.Gi - 1, False),
                (units.Gi + 1, units.Gi, 2 * units.Gi, False)):
            template = fixtures.template(
                size=size, image=fixtures.image(virtual_size=virtual_size))
            self.assertIs(expected, template.fits(volume_bytes))

    def test_compare(self):
        # Equal hashes decide before times. The template's content, that which
        # the request knows; results when the request's version is of the same
        # time, later and earlier (then only its data count).
        for mine, theirs, *expected in (
                (SHA, SHA, CURRENT, SAME_CONTENT, CURRENT),
                (None, None, CURRENT, OUTDATED, NEWER),
                (SHA, None, CURRENT, OUTDATED, NEWER),
                (None, SHA, CURRENT, OUTDATED, NEWER),
                (MD5, SHA, CURRENT, OUTDATED, NEWER),
                (SHA, OTHER_SHA, OUTDATED, OUTDATED, NEWER),
                (SHA, LONGER_SHA, OUTDATED, OUTDATED, NEWER)):
            template = fixtures.template(image=fixtures.image(content=mine))
            self.assertEqual(expected, [
                template.compare(fixtures.image(updated_at=time,
                                                content=theirs))
                for time in (T0, AFTER, BEFORE)], (mine, theirs))

    def test_compare_ignores_time_zone_and_declared_size(self):
        east = datetime.timezone(datetime.timedelta(hours=5))
        for changes in ({'updated_at': T0.astimezone(east), 'content': None},
                        {'virtual_size': units.Gi}):
            self.assertIs(CURRENT, fixtures.template().compare(
                fixtures.image(**changes)))


class ChoiceTestCase(test.TestCase):

    OLD = {'image': fixtures.image(updated_at=BEFORE, content=OTHER_SHA)}
    NOW = {'image': fixtures.image(content=SHA)}
    OTHER = {'image': fixtures.image(content=OTHER_SHA)}
    UNKNOWN = {'image': fixtures.image(content=None)}
    # Of the same data, with the record of an earlier and of a later time.
    EARLIER = {'image': fixtures.image(updated_at=BEFORE, content=SHA)}
    LATER = {'image': fixtures.image(updated_at=AFTER, content=SHA)}
    NEW = {'image': fixtures.image(updated_at=AFTER, content=OTHER_SHA)}
    UNUSABLE = [{'active': False}, {'state': model.State.FILLING},
                {'read_only': False}, {'size': units.Mi}]

    def test_choose(self):
        # Ids are places in a row. All hosts agree on the first (fd495d010).
        for rows, expected in (
                ([], []),
                ([self.NOW], [1]),
                ([self.NOW, self.NOW, self.NOW], [1, 2, 3]),
                ([self.OLD], []),
                ([self.OLD, self.NOW, self.NOW], [2, 3]),
                ([self.EARLIER], [1]),
                ([self.EARLIER, self.NOW, self.NOW], [2, 3, 1]),
                # Edited since the request was made: the data is the same.
                ([self.LATER], [1]),
                ([self.NOW, self.LATER, self.LATER], [2, 3, 1]),
                # Who knows older data is served as long as that is there.
                ([self.NEW, self.NOW], [2]),
                *(([{**self.NOW, **unusable}, self.NOW], [2])
                  for unusable in self.UNUSABLE)):
            found = base.templates(*rows)
            for order in (found, found[::-1]):
                chosen = model.choose(order, self.NOW['image'], False)
                self.assertEqual(expected, ids(chosen), rows)

    def test_choose_when_only_newer_data_is_there(self):
        for rows in ([self.NEW], [self.OLD, self.NEW]):
            exc = self.assertRaises(
                exceptions.StaleRequest, model.choose, base.templates(*rows),
                self.NOW['image'], False)
            for time in (T0, AFTER):
                self.assertIn(time.isoformat(), str(exc))
        # A newer one that cannot be cloned proves nothing.
        for unusable in self.UNUSABLE:
            self.assertEqual([], model.choose(
                base.templates({**self.NEW, **unusable}), self.NOW['image'],
                False))

    def test_choose_with_signature_wanted(self):
        # Bug 1823445.
        unchecked = {**self.NOW, 'signature_verified': None}
        checked = {**self.NOW, 'signature_verified': False}
        for rows, expected in (([unchecked], []), ([unchecked, checked], [2]),
                               ([self.NEW], [])):
            chosen = model.choose(base.templates(*rows), self.NOW['image'],
                                  True)
            self.assertEqual(expected, ids(chosen))

    def test_newest_and_superseded(self):
        # In each row: the templates, the newest, the superseded ones.
        for rows, newest, superseded in (
                ([], None, []),
                ([self.NOW], 1, []),
                # Whichever has the higher number.
                ([self.OLD, self.NOW], 2, [1]),
                ([self.NOW, self.OLD], 1, [2]),
                ([self.NOW, self.NOW, self.NOW], 1, [2, 3]),
                # A request that the first one did not match filled the last.
                ([self.NOW, self.OTHER, self.OTHER], 2, [1, 3]),
                ([self.NOW, self.UNKNOWN, self.NOW], 1, [2, 3]),
                # Without one that can be cloned nothing is superseded.
                ([self.OLD, {**self.NEW, 'read_only': False}], 1, []),
                ([{**self.NEW, 'read_only': False}], None, []),
                ([self.NOW, {**self.OLD, 'read_only': False}], 1, [2]),
                # Fills and deleted ones are the business of others.
                ([self.NOW, {**self.OLD, 'active': False}], 1, []),
                ([self.NOW, {**self.OLD, 'state': model.State.FILLING}],
                 1, [])):
            found = base.templates(*rows)
            keeper = model.newest(found, False)
            self.assertEqual(newest, keeper and keeper.volume_id, rows)
            self.assertEqual(
                superseded, ids(model.superseded(found, keeper)) if keeper
                else [], rows)
            self.assertEqual([], model.spare(found))

    def test_replicas(self):
        # In each row: the templates, the superseded ones, the replicas.
        maker = {'replica_maker': 'maker'}
        replica, of_old = {**self.NOW, **maker}, {**self.OLD, **maker}
        for rows, superseded, replicas in (
                ([self.NOW, self.NOW, replica, replica], [2], [4, 3]),
                # An updated image retires all of them.
                ([self.OLD, of_old, of_old, self.NOW], [1, 2, 3], []),
                ([self.NOW, replica, self.OTHER], [1, 2], []),
                # Edited after the replica was made.
                ([self.LATER, replica], [], [2]),
                # Of the same version, without a hash.
                ([self.UNKNOWN, {**self.UNKNOWN, **maker}], [], [2]),
                ([self.UNKNOWN, replica], [2], []),
                # One of them is the template when that is gone.
                ([replica, replica], [], [2]),
                # What cannot be cloned is of no use.
                ([self.NOW, {**replica, 'read_only': False}], [2], []),
                ([self.NOW, {**replica, 'active': False}], [], [])):
            found = base.templates(*rows)
            keeper = model.newest(found, False)
            self.assertEqual((superseded, replicas, replicas), (
                ids(model.superseded(found, keeper)),
                ids(model.replicas(found, keeper)),
                ids(model.spare(found))), rows)


class RecordTestCase(test.TestCase):

    new = model.new(fixtures.image(size=100, content=SHA), 'fill-id', 'host',
                    False, NOW, 'scope')

    def test_attributes(self):
        self.assertEqual(RECORD, self.new.attributes())
        # Element was seen to take no more than ten (bug 1589187).
        self.assertEqual(['cinder_image_template'], list(RECORD))
        self.assertEqual('OpenStackIMG-' + fake.IMAGE_ID,
                         model.name_for(fake.IMAGE_ID))

    def test_attributes_are_short_whatever_the_host_is_called(self):
        # Bug 1589187.
        for symbol in ('h', '\u00e9', '\u4e3b', '\U0001f600', '\\', '"', "'",
                       '\x00', '\udcff'):
            template = model.new(
                fixtures.image(
                    id='i' * 51, size=2 ** 63, virtual_size=2 ** 63,
                    updated_at=NOW, content=metadata.Content(
                        'a' * 32, 'b' * 256, 2 ** 63)),
                'f' * 36, symbol * 255, False, NOW, 's' * 16)
            replica = model.replica(template, 'f' * 36, symbol * 255,
                                    'm' * 8, NOW)
            for each in (template, replica):
                self.assertLess(len(json.dumps(each.attributes())), 1000)
        for host, expected in (('node-1.example.org', 'node-1.example.org'),
                               ('h' * 65, 'h' * 64), ('\u00e9', '\\xe9')):
            self.assertEqual(expected, model.host_mark(host))

    def from_volume(self, attributes=RECORD, image_id=fake.IMAGE_ID,
                    **members):
        return model.from_volume(fixtures.element_volume(
            id=7, attributes=attributes, **members), image_id)

    def test_from_volume(self):
        for members, changes in (({}, {}),
                                 ({'size': units.Ti}, {'size': units.Ti}),
                                 ({'access': 'readOnly'}, {'read_only': True}),
                                 ({'access': 'locked'}, {}),
                                 ({'access': 'replicationTarget'}, {}),
                                 ({'status': 'deleted'}, {'active': False}),
                                 ({'status': 'init'}, {'active': False})):
            self.assertEqual(
                dataclasses.replace(self.new, **{
                    'volume_id': 7, 'active': True, 'size': units.Gi,
                    **changes}),
                self.from_volume(**members))

    def test_replica_is_a_template_to_a_reader_that_knows_none(self):
        replica = model.replica(self.new, 'fill-2', 'host', 'maker', NOW)
        record = replica.attributes()[model.ATTRIBUTE]
        self.assertEqual(dataclasses.replace(
            replica, volume_id=7, active=True, size=units.Gi),
            self.from_volume({model.ATTRIBUTE: dict(record)}))
        self.assertEqual('maker', record.pop('replica_maker'))
        self.assertEqual({**RECORD[model.ATTRIBUTE], 'fill_id': 'fill-2'},
                         record)

    def altered(self, **changes):
        record = dict(RECORD[model.ATTRIBUTE], **changes)
        return self.from_volume({model.ATTRIBUTE: {
            key: value for key, value in record.items() if value is not ...}})

    def test_from_volume_of_another_image(self):
        # The name alone proves nothing.
        self.assertIsNone(self.from_volume(image_id=fake.OBJECT_ID))
        self.assertIsNone(self.altered(image_id=fake.OBJECT_ID))
        self.assertIsNone(self.from_volume(image_id=None))

    def test_from_volume_with_damaged_record(self):
        for member in ('schema', 'state', 'image_id', 'image_updated_at',
                       'virtual_size', 'fill_id'):
            for value in (..., None, '', 'other', 0, -1, 1.5, [], {}, [1],
                          True):
                if member == 'fill_id' and isinstance(value, str):
                    continue
                self.assertIsNone(self.altered(**{member: value}),
                                  (member, value))
        for schema in (2, 99, '1', [1]):
            self.assertIsNone(self.altered(schema=schema), schema)

    def test_from_volume_with_damaged_optional_members(self):
        # What cannot be read is unknown; the rest still counts.
        for member, values, read in (
                ('image_hash', (..., None, '', 'nothing', ':', 'sha512:',
                                ':ab', 5, [], ['a:b'], {}, True),
                 lambda template: template.image.content),
                ('signature_verified', (..., None, 'yes', 1, 0, []),
                 lambda template: template.signature_verified),
                ('filled_at', (..., None, 'soon', 5, {}),
                 lambda template: template.filled_at),
                ('last_used', (..., None, 'soon', 5, {}),
                 lambda template: template.last_used),
                ('lock_domain', (..., None, 5, {}),
                 lambda template: template.lock_domain),
                ('replica_maker', (..., None, 5, {}),
                 lambda template: template.replica_maker)):
            for value in values:
                found = self.altered(**{member: value})
                self.assertIsNone(read(found), (member, value))
                self.assertEqual('fill-id', found.fill_id)
        self.assertEqual('fill-id', self.altered(more='of it').fill_id)

    def test_foreign_volume(self):
        # Null attributes among them (bug 1495247).
        by_hand, by_other = ('a volume that this driver did not create',
                             'another version of this driver')
        for attributes, description in (
                ({}, by_hand), ({'uuid': '1', 'is_clone': True}, by_hand),
                ({'image_info': None}, by_hand),
                ({'image_info': {'image_updated_at': '2015-01-01',
                                 'image_name': 'a'}}, 'Kilo to Stein'),
                *(({model.ATTRIBUTE: value}, by_hand)
                  for value in (None, 'ready', ['ready'], 1, {'schema': 1})),
                ({model.ATTRIBUTE: {}}, by_other),
                ({model.ATTRIBUTE: {'schema': 2}}, by_other)):
            volume = fixtures.element_volume(attributes=attributes)
            self.assertIsNone(model.from_volume(volume, fake.IMAGE_ID))
            self.assertIn(description, model.describe_foreign(volume))

    def test_image_id_of(self):
        for name, expected in (
                ('OpenStackIMG-' + fake.IMAGE_ID, fake.IMAGE_ID),
                ('OpenStackIMG-', ''), ('openstackimg-a', None),
                ('a-OpenStackIMG-b', None), ('', None)):
            self.assertEqual(expected, model.image_id_of(
                fixtures.element_volume(name=name)))
