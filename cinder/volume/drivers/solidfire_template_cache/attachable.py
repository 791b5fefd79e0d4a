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

"""A template volume in the shape in which Cinder's attach code takes one."""


class AttachableVolume(dict):
    """Stands in for a Cinder volume while a template is being filled.

    The code that attaches reads members both ways, sets some and saves.
    There is no record in Cinder's database to save to.
    """

    def __init__(self, name, project_id, size, connection):
        """Describe a volume.

        :param name: the volume's name on the cluster; also serves as its id
        :param project_id: what the stock driver derives the account from
        :param size: GiB
        :param connection: provider_location and the like
        """
        super().__init__(
            {'id': name, 'name': name, 'project_id': project_id,
             'size': size, 'multiattach': False, 'encryption_key_id': None,
             'volume_type_id': None, 'provider_geometry': None},
            **connection)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)

    def save(self):
        """Keep the members; nothing else knows of this volume."""
