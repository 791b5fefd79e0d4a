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

"""What a user does: commands of the OpenStack client, shown as they run."""

import multiprocessing
import os
import shlex
import sys
import tempfile

import openstack
from openstackclient import shell

from demo import process

CREATE_TIMEOUT = 120
DELETE_TIMEOUT = 120

# To start Python and load the client takes longer than what its commands do.
# So each is forked off this process, where the client is loaded already.
_FORK = multiprocessing.get_context('fork')


def _run_shell(args, output, errors):
    """Do in a process of its own what the ``openstack`` command does."""
    os.dup2(output.fileno(), sys.stdout.fileno())
    os.dup2(errors.fileno(), sys.stderr.fileno())
    sys.exit(shell.main(args))


class Client:
    """Runs the ``openstack`` command, and waits for what it started."""

    def __init__(self, children, say):
        """Use the clouds of ``clouds.yaml``.

        :param say: callable that shows a line
        """
        self._children = children
        self._say = say
        self._clouds = {}

    def command(self, person, *args):
        """Run a command as one of the clouds.

        :returns: its output, stripped
        :raises process.DemoError: when it fails
        """
        args = ['--os-cloud', person, *map(str, args)]
        command = 'openstack ' + shlex.join(args)
        self._say('$ ' + command)
        log = self._children.log_file('openstack')
        with tempfile.TemporaryFile('w+') as output, open(log, 'a') as errors:
            child = _FORK.Process(target=_run_shell,
                                  args=(args, output, errors))
            child.start()
            child.join()
            output.seek(0)
            text = output.read().strip()
        if child.exitcode:
            raise process.DemoError(
                f'{command} failed:\n{text}\n{process.tail(log)}')
        return text

    def project_id(self, person):
        """Return the id of a person's project."""
        return self._cloud(person).current_project_id

    def create_image(self, person, name, disk, *options):
        """Upload an image and return its id."""
        return self.command(
            person, 'image', 'create', *options, '--container-format', 'bare',
            '--disk-format', disk.disk_format, '--file', disk.path,
            '-f', 'value', '-c', 'id', name)

    def create_volume(self, person, name, image, size, volume_type):
        """Create a volume from an image and wait until it can be used.

        :param size: GiB
        :returns: the volume, as the SDK gives it
        :raises process.DemoError: when it ends in another status
        """
        volume_id = self.command(
            person, 'volume', 'create', '--image', image, '--size', size,
            '--type', volume_type, '-f', 'value', '-c', 'id', name)
        volumes = self._cloud(person).block_storage

        def finished():
            self._children.check()
            volume = volumes.get_volume(volume_id)
            return volume if volume.status not in (
                'creating', 'downloading') else None

        volume = process.wait_until(f'volume {name}', finished,
                                    CREATE_TIMEOUT)
        if volume.status != 'available':
            log = process.tail(self._children.log_file('cinder'))
            raise process.DemoError(
                f'volume {name} ended as {volume.status}:\n{log}')
        return volume

    def delete_volumes(self, person, volume_ids):
        """Delete volumes and wait until they are gone."""
        self.command(person, 'volume', 'delete', *volume_ids)
        volumes = self._cloud(person).block_storage

        def gone():
            self._children.check()
            left = {volume.id for volume in volumes.volumes(details=False)}
            return not left.intersection(volume_ids)

        process.wait_until('deleting the volumes', gone, DELETE_TIMEOUT)

    def _cloud(self, person):
        if person not in self._clouds:
            self._clouds[person] = openstack.connect(cloud=person)
        return self._clouds[person]
