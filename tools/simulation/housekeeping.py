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

"""The part of housekeeping that removes replicas which are not used."""

from cinder.volume.drivers.solidfire_template_cache.templates import replicas


class Housekeeping(object):
    """The housekeeping of one host.

    :param host: makes the calls
    :param rng: random numbers; hosts do not all begin at the same time
    """

    def __init__(self, host, rng):
        self._env = host.env
        self._host = host
        self._cluster = host.cluster
        self._rng = rng
        # When a replica was last seen in use, by this host.
        self._seen = {}

    def run(self):
        """Remove idle replicas from time to time; a process without end."""
        interval = self._host.settings.housekeeping
        yield self._env.timeout(self._rng.uniform(0, interval))
        while True:
            yield from self._host.call('ListVolumes', lambda: None)
            for image, found in list(self._cluster.templates.items()):
                if len(found) > 1:
                    yield from self._prune(image)
            yield self._env.timeout(interval)

    def _prune(self, image):
        found = yield from self._host.call(
            'ListVolumes', lambda: self._cluster.templates[image][1:])
        busy = yield from self._host.call('ListSyncJobs',
                                          self._cluster.busy_sources)
        busy = busy | self._host.dispatcher.source_ids()
        now = self._env.now
        for each in found:
            if each in busy:
                self._seen[each] = now
        for each in found:
            if (now - self._seen.setdefault(each, now) >=
                    replicas.IDLE_SECONDS):
                yield from self._host.call('ListSyncJobs', lambda: None)
                yield from self._host.call('DeleteVolume', lambda: (
                    self._cluster.remove_replica(image, each)))
                yield from self._host.call('PurgeDeletedVolume', lambda: None)
