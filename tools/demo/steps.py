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

"""The steps of the demo: what is created, and what each create may cost."""

import collections
import dataclasses
import datetime
import typing

from demo import config
from demo import images
from demo import process
from demo import report
from demo import services

TEMPLATE_PREFIX = 'OpenStackIMG-'
VOLUME_PREFIX = 'UUID-'
CLONE = 'CloneVolume'
CONFIRM = 'ListVolumes'
CREATE = 'CreateVolume'
POLL = 'GetAsyncResult'
RECORD = 'ModifyVolume'


@dataclasses.dataclass(frozen=True)
class Path:
    """How a create is served, and what it may cost.

    :ivar name: as shown
    :ivar once: methods that must be called exactly once
    :ivar also: the only other methods that may be called; None for any
    :ivar never: methods that must not be called
    :ivar downloads: whether the image is fetched, exactly once
    """

    name: str
    once: frozenset
    also: typing.Optional[frozenset]
    never: frozenset
    downloads: bool

    def unexpected(self, calls, glance_bytes, file_size):
        """Return all that was not as expected, as a tuple of words."""
        found = [f'{method} was called {calls.get(method, 0)} times'
                 for method in sorted(self.once) if calls.get(method) != 1]
        unwanted = set(calls) & self.never
        if self.also is not None:
            unwanted |= set(calls) - self.once - self.also
        found.extend(f'{method} was called' for method in sorted(unwanted))
        expected = file_size if self.downloads else 0
        if glance_bytes != expected:
            found.append(f'{glance_bytes} bytes came from Glance instead of '
                         f'{expected}')
        return tuple(found)


FILL = Path('fill, clone', frozenset((CLONE, CREATE)), None, frozenset(),
            True)
HIT = Path('clone', frozenset((CLONE, CONFIRM)), frozenset((POLL,)),
           frozenset(), False)
REFRESH = Path('record, clone', frozenset((CLONE, CONFIRM, RECORD)),
               frozenset((POLL,)), frozenset(), False)
DOWNLOAD = Path('download', frozenset((CREATE,)), None, frozenset((CLONE,)),
                True)


class Steps:
    """Creates the volumes, one after the other, and keeps their costs."""

    def __init__(self, client, cluster, settings, children, say):
        """Work with running services.

        :param client: a ``client.Client``
        :param cluster: a ``services.Simulator``
        :param say: callable that shows a line
        """
        self.rows = []
        self._client = client
        self._cluster = cluster
        self._settings = settings
        self._children = children
        self._say = say
        self._volumes = collections.defaultdict(list)
        # Names of the templates, one for each fill.
        self._templates = []

    def run(self, disks):
        """Go through all steps.

        :param disks: an ``images.Disks``
        """
        self._rescue_iso(disks.iso)
        image = self._rescue_qcow2(disks.qcow2)
        self._large(disks.large)
        self._edited(image, disks.qcow2)
        self._replaced(image, disks)
        self._private(disks.qcow2)
        self._create('Caching off', DOWNLOAD, config.ALICE, 'rescue-iso',
                     disks.iso, volume_type=config.PLAIN)

    def clean_up(self):
        """Delete the volumes.

        Of the image that was updated there may be two templates: housekeeping
        removes the superseded one with the next statistics of the service.

        :returns: what is wrong on the cluster, as words
        """
        self._say('Deleting all volumes: only templates must remain')
        for person, volume_ids in self._volumes.items():
            self._client.delete_volumes(person, volume_ids)
        left = [volume for volume in self._cluster.volumes()
                if volume['status'] != 'deleted']
        names = sorted(volume['name'] for volume in left)
        for name in names:
            self._say(f'  left on the cluster: {name}')
        wanted = sorted(set(self._templates))
        if sorted(set(names)) != wanted:
            return [f'the cluster holds {names} instead of {wanted}']
        return []

    # The steps

    def _rescue_iso(self, disk):
        self._say('A bootable ISO, its raw bytes as an image')
        self._public_image('rescue-iso', disk)
        for title, path in (('First from raw image', FILL),
                            ('Second from raw image', HIT),
                            ('Third from raw image', HIT)):
            self._create(title, path, config.ALICE, 'rescue-iso', disk)

    def _rescue_qcow2(self, disk):
        self._say('The same as a qcow2 image')
        image = self._public_image('rescue-qcow2', disk)
        for title, path in (('First from qcow2 image', FILL),
                            ('Next from qcow2 image', HIT)):
            self._create(title, path, config.ALICE, 'rescue-qcow2', disk)
        return image

    def _large(self, disk):
        self._say('A disk of 1 GiB virtual size')
        self._public_image('large', disk)
        self._create('First from 1 GiB image', FILL, config.ALICE, 'large',
                     disk)
        self._create('Next, as 3 GiB volume', HIT, config.ALICE, 'large',
                     disk, size=3)

    def _edited(self, image, disk):
        self._say("A property of the image is edited: Glance's updated_at "
                  'moves, the data stays')
        self._client.command(config.ADMIN, 'image', 'set', '--property',
                             'os_distro=grub', image)
        self._create('Edited, same data', REFRESH, config.ALICE,
                     'rescue-qcow2', disk)

    def _replaced(self, image, disks):
        """Give an image id other data.

        Glance never changes the data of an image. But an id that was
        deleted and purged from Glance's database can be given again.
        """
        self._say('The image is deleted, purged from the database of Glance, '
                  'and its id given to')
        self._say('a new image with other data: the data of the template is '
                  'outdated now')
        self._client.command(config.ADMIN, 'image', 'delete', image)
        for table in ('purge', 'purge_images_table'):
            self._say(f'$ glance-manage db {table} --age_in_days 0')
            self._children.run(services.manage_glance(
                self._settings, table, '--age_in_days', 0))
        self._public_image('rescue-qcow2', disks.newer, '--id', image)
        for title, path in (('Updated, new data', FILL),
                            ('Next after the update', HIT)):
            self._create(title, path, config.ALICE, 'rescue-qcow2',
                         disks.newer)

    def _private(self, disk):
        self._say('A private image of alice, who then shares it with bob')
        image = self._client.create_image(config.ALICE, 'private', disk,
                                          '--private')
        self._create('Private, own project', FILL, config.ALICE,
                     'private', disk)
        self._client.command(config.ALICE, 'image', 'set', '--shared', image)
        # Only an administrator may look up a project by its name.
        self._client.command(config.ALICE, 'image', 'add', 'project', image,
                             self._client.project_id(config.BOB))
        self._client.command(config.BOB, 'image', 'set', '--accept', image)
        self._create('Private, other project', DOWNLOAD, config.BOB,
                     image, disk)

    # Parts of the steps

    def _public_image(self, name, disk, *options):
        return self._client.create_image(config.ADMIN, name, disk,
                                         '--public', *options)

    def _create(self, title, path, person, image, disk, size=1,
                volume_type=config.CACHED):
        number = len(self.rows) + 1
        self._say(f'{number}. {title}')
        before = services.glance_bytes(self._settings)
        self._cluster.forget_calls()
        volume = self._client.create_volume(
            person, f'volume-{number}', image, size, volume_type)
        calls = self._cluster.calls()
        fetched = services.glance_bytes(self._settings) - before
        self._volumes[person].append(volume.id)
        if path is FILL:
            image_id = volume.volume_image_metadata['image_id']
            self._templates.append(TEMPLATE_PREFIX + image_id)
        row = report.Row(
            title, path.name, _seconds(volume), calls, fetched,
            path.unexpected(calls, fetched, disk.file_size),
            self._difference(volume, size, disk))
        self.rows.append(row)
        self._say(f'  cinder-volume: {self._outcome(volume.id)}')
        self._say(f'  {row.seconds:.1f} s; {report.describe_calls(calls)}; '
                  f'{fetched:,} bytes from Glance; '
                  f'the data {"DIFFERS" if row.difference else "is correct"}')
        for problem in row.problems:
            self._say(f'  WRONG: {problem}')

    def _outcome(self, volume_id):
        """Return the last line that the driver logged of a create."""
        log = self._children.log_file('cinder').read_text(errors='replace')
        for line in reversed(log.splitlines()):
            if volume_id in line and '.solidfire_template_cache.' in line:
                return line.partition('] ')[2]
        return 'nothing about a template'

    def _difference(self, volume, size, disk):
        """Compare a volume with its image; return how it differs."""
        found = [each for each in self._cluster.volumes()
                 if each['name'] == VOLUME_PREFIX + volume.id]
        if len(found) != 1 or not volume.is_bootable:
            raise process.DemoError(
                f'volume {volume.name} is {len(found)} times on the cluster '
                f'and bootable is {volume.is_bootable}')
        path = (self._settings.state / 'element' /
                f'volume-{found[0]["volumeID"]}')
        return images.difference(path, size * images.GIB, disk)


def _seconds(volume):
    """Return how long Cinder took, by the times that it keeps."""
    created, available = (datetime.datetime.fromisoformat(each)
                          for each in (volume.created_at, volume.updated_at))
    return (available - created).total_seconds()
