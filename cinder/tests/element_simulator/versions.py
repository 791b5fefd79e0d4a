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

"""The versions of the Element API and their order."""

KNOWN = (
    '1.0', '2.0', '3.0', '4.0', '5.0', '5.1', '6.0',
    '7.0', '7.1', '7.2', '7.3', '7.4',
    '8.0', '8.1', '8.2', '8.3', '8.4', '8.5', '8.6', '8.7',
    '9.0', '9.1', '9.2', '9.3', '9.4', '9.5', '9.6',
    '10.0', '10.1', '10.2', '10.3', '10.4', '10.5', '10.6', '10.7',
    '11.0', '11.1', '11.3', '11.5', '11.7', '11.8',
    '12.0', '12.3', '12.5', '12.7', '12.8', '12.9',
)


def key(version: str) -> tuple[int, ...]:
    """Return a sort key, for 10.0 is later than 9.6."""
    return tuple(int(part) for part in version.split('.'))


def supported(current: str) -> list[str]:
    """Return the versions that a cluster of version ``current`` serves."""
    return [version for version in KNOWN if key(version) <= key(current)]
