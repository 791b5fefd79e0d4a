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

"""What broke in the caches that came before, each with a test of its key.

The SolidFire driver had a template cache from Kilo to Stein; Cinder's own
image-volume cache replaced it. The tests of this package are named for the
commit or bug, in Cinder's history, that told of a fault, or for the fault
that the last version of the driver's cache still had (``a3_<number>``).
:mod:`rows` lists them all, with the reason where there is no test.
"""
