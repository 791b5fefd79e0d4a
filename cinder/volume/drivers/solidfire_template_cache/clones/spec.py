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

"""The value that describes a clone to be made."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class CloneSpec(object):
    """What a clone must be like when it is done."""

    name: str
    account_id: int
    """The account that owns the clone."""
    size: int
    """Bytes; at least those of the template."""
    enable_512e: bool
    """Whether the volume emulates 512-byte blocks."""
    attributes: dict[str, Any]
    qos: dict[str, int]
    """minIOPS, maxIOPS, burstIOPS; the cluster's default for the rest."""
