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

"""The table of a cluster's volumes, which finds them without a scan."""

import typing

from cinder.tests.element_simulator import records


class Volumes(dict[int, records.Volume]):
    """Volumes by id, in ascending order, with indexes.

    Only add(), change() and remove() change what the indexes hold.

    :ivar provisioned: sum of the sizes of all volumes in bytes
    """

    def __init__(self) -> None:
        super().__init__()
        self.provisioned = 0
        self._by_name: dict[str, dict[int, records.Volume]] = {}
        self._by_account: dict[int, dict[int, records.Volume]] = {}

    def add(self, volume: records.Volume) -> None:
        """Add a volume, whose id must be higher than all others."""
        self[volume.volume_id] = volume
        self.provisioned += volume.size
        for index, key in self._keys(volume):
            index.setdefault(key, {})[volume.volume_id] = volume

    def remove(self, volume_id: int) -> typing.Optional[records.Volume]:
        """Remove a volume and return it; None if there is none."""
        volume = self.pop(volume_id, None)
        if volume is None:
            return None
        self.provisioned -= volume.size
        for index, key in self._keys(volume):
            del index[key][volume_id]
            if not index[key]:
                del index[key]
        return volume

    def change(self, volume: records.Volume,
               members: dict[str, typing.Any]) -> None:
        """Set members of a volume; its id cannot be changed."""
        self.provisioned -= volume.size
        before = self._keys(volume)
        for member, value in members.items():
            setattr(volume, member, value)
        self.provisioned += volume.size
        for (index, old), (_index, new) in zip(before, self._keys(volume)):
            if old != new:
                del index[old][volume.volume_id]
                index.setdefault(new, {})[volume.volume_id] = volume

    def _keys(self, volume: records.Volume) -> list[tuple[dict, typing.Any]]:
        return [(self._by_name, volume.name),
                (self._by_account, volume.account_id)]

    def named(self, name: str) -> list[records.Volume]:
        """Return the volumes of a name, with all statuses."""
        return list(self._by_name.get(name, {}).values())

    def of_account(self, account_id: int) -> list[records.Volume]:
        """Return the volumes of an account, with all statuses."""
        return list(self._by_account.get(account_id, {}).values())

    def count_of_account(self, account_id: int) -> int:
        """Return the number of an account's volumes, with all statuses."""
        return len(self._by_account.get(account_id, {}))
