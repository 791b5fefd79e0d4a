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

"""Dictionaries that do not print the secrets in them.

The stock driver passes endpoints, accounts and parameters around as
dictionaries and prints them in debug lines and errors.
"""

SECRETS = frozenset(('initiatorSecret', 'targetSecret', 'passwd', 'password',
                     'clusterPairingKey', 'volumePairingKey'))


class Masked(dict):
    """A dictionary in all but its looks."""

    def __repr__(self):
        return repr({key: '***' if key in SECRETS else value
                     for key, value in self.items()})


def masked(value):
    """Return data as decoded from JSON, with every dictionary masked."""
    if isinstance(value, dict):
        return Masked((key, masked(item)) for key, item in value.items())
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value
