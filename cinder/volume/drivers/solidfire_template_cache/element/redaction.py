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

"""Dictionaries that do not show the secrets in them when printed.

The stock driver passes endpoints, accounts and parameters around as
dictionaries, and prints them in debug lines and errors.
"""

from typing import Any

SECRETS = frozenset(('initiatorSecret', 'targetSecret', 'passwd', 'password',
                     'clusterPairingKey', 'volumePairingKey'))
"""Keys whose values are secret: those of the Element API (API guide 12,
objects account, clusterPair and volumePair) and of the stock driver."""

HIDDEN = '***'


class RedactedDict(dict):
    """A dictionary that differs from another in its ``repr`` only."""

    def __repr__(self) -> str:
        return repr({key: HIDDEN if key in SECRETS else value
                     for key, value in self.items()})


def redact(value: Any) -> Any:
    """Return a copy of a value in which every dictionary is redacted.

    :param value: data as decoded from JSON
    """
    if isinstance(value, dict):
        return RedactedDict((key, redact(item))
                            for key, item in value.items())
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value
