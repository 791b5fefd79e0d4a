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

"""Several cinder-volume services of one cluster, active/active.

Each is a process of its own. Their locks are those of a real Redis or etcd,
or, in a misconfiguration that happens, files that no other host sees.
"""

import ddt

from cinder.tests.functional.solidfire_template_cache import (
    coordination_servers as servers)
from cinder.tests.functional.solidfire_template_cache import base
from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.functional.solidfire_template_cache import service_tests
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache.templates import model

DATA = b'bootable' * 50000

REQUESTS = 16

# Seconds of a clone that is not to end within a test.
ENDLESS = 1000

# Seconds that a lock outlives its process in the tests that kill one. A
# living process renews its locks in half of that.
LOCK_SECONDS = 6

# More than sf_template_idle_days.
IDLE_SECONDS = 31 * 86400


class ActiveActiveTestCase(service_tests.ServicesTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)

    def start_hosts(self, count, server=None, lock_seconds=30):
        """Start services; they share the locks of a server, if one is given.

        :param server: a class of coordination_servers
        """
        self.server = server and self.useFixture(server(lock_seconds))
        self.url = server and self.server.url
        return self.services.start(
            *('host%d' % number for number in range(count)),
            backend_url=self.url)

    def requests(self, hosts, count=REQUESTS, image=None):
        """Begin so many creates at once, spread over the hosts."""
        return [hosts[number % len(hosts)].create(image or self.image)
                for number in range(count)]

    def wait_for_requests(self, count):
        """Wait until so many requests have come to their hosts."""
        self.services.wait_until(
            lambda: len(self.services.volume_statuses()) == count,
            '%d requests' % count)

    def wait_for_first(self, stage, hosts):
        """Return the host that is the first to come to a stage."""
        return self.services.wait_until(
            lambda: next((host for host in hosts if host.reached(stage)),
                         None), stage)

    # Checks

    def assert_created(self, replies, data=DATA):
        for reply in replies:
            self.assert_made(reply.wait(), data)

    def assert_templates(self, *images):
        """Check that each image has one ready template, and no other has.

        There may be replicas, which are as ready and hold the same.

        :param images: pairs of an image's record and its data
        """
        self.assertEqual(
            sorted(model.name_for(image['id']) for image, _data in images),
            sorted(each.name for each in self.volumes(model.NAME_PREFIX)
                   if not base.is_replica(each)))
        for image, data in images:
            for template in self.volumes(model.name_for(image['id'])):
                self.assertEqual(('active', 'readOnly', 'ready'), (
                    template.status, template.access,
                    template.attributes[model.ATTRIBUTE]['state']))
                self.assertTrue(self.holds(template, data))

    def assert_complete(self, hosts, replies, downloads, quiet=True):
        """Check all requests, and that nothing else is left anywhere."""
        self.assert_created(replies)
        names = sorted('UUID-' + reply.wait()['volume_id']
                       for reply in replies)
        self.assertEqual(sorted(set(names)), sorted(
            volume.name for volume in self.volumes('UUID-')))
        self.assertEqual([], self.sim.cluster.jobs.running())
        self.assertEqual([self.image['id']] * downloads,
                         self.images.downloads())
        self.assert_no_temporary_files(*hosts)
        for host in hosts if quiet else ():
            self.assertEqual(([], [], ''), (
                host.warnings(), host.errors(), host.printed()), host.host)


@ddt.ddt
class SharedLocksTestCase(ActiveActiveTestCase):

    @ddt.data((servers.Redis, 4), (servers.Etcd, 2))
    @ddt.unpack
    def test_first_requests_fill_once(self, server, count):
        hosts = self.start_hosts(count, server)
        for host in hosts:
            host.arm('download')
        replies = self.requests(hosts)
        # All of them come before the image does.
        self.wait_for_requests(REQUESTS)
        self.wait_for_first('download', hosts)
        for host in hosts:
            host.go('download')
        self.assert_complete(hosts, replies, downloads=1)
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assert_templates((self.image, DATA))

    @ddt.data((servers.Etcd, 2, ['download']),
              (servers.Redis, 4, ['download', 'detach']))
    @ddt.unpack
    def test_host_is_killed_while_it_fills(self, server, count, stages):
        hosts = self.start_hosts(count, server, LOCK_SECONDS)
        for host in hosts:
            host.arm(stages[0])
        replies = {host: self.requests([host], REQUESTS // count)
                   for host in hosts}
        self.wait_for_requests(REQUESTS)
        killed = self.kill_in_turn(hosts, stages)
        alive = [host for host in hosts if host not in killed]
        created = sum((replies[host] for host in alive), [])
        self.assert_created(created)
        for host in killed:
            for reply in replies[host]:
                self.assertRaises(processes.ProcessDied, reply.wait)
        self.assert_templates((self.image, DATA))
        # They are restarted, and what they have left is removed.
        restarted = self.services.start(*(host.host for host in killed),
                                        backend_url=self.url)
        created += self.requests(restarted, 2 * len(restarted))
        self.assert_complete(alive + restarted, created, len(stages) + 1)

    def kill_in_turn(self, hosts, stages):
        """Kill the host that fills, and then the one that takes over.

        :param stages: at which to kill them; all hosts wait at the first
        :returns: the killed hosts
        """
        killed = []
        for number, stage in enumerate(stages):
            filling = self.wait_for_first(stage, [
                host for host in hosts if host not in killed])
            killed.append(filling)
            for host in hosts:
                if host in killed:
                    continue
                self.assertFalse(host.reached(stage))
                if stages[number + 1:]:
                    host.arm(stages[number + 1])
                host.go(stage)
            filling.kill()
        return killed

    @ddt.data(servers.Redis, servers.Etcd)
    def test_host_hangs_while_it_fills(self, server):
        filling, other = hosts = self.start_hosts(2, server, LOCK_SECONDS)
        filling.arm('publish')
        first = filling.create(self.image)
        filling.wait_stage('publish')
        # The whole machine hangs, and its locks expire.
        filling.pause()
        replies = self.requests([other], 4)
        self.assert_created(replies)
        self.assert_templates((self.image, DATA))
        # It continues, and finds that another host has taken over.
        filling.resume()
        filling.go('publish')
        self.assert_created([first])
        self.assert_templates((self.image, DATA))
        replies += [first] + self.requests(hosts, 4)
        self.assert_created(replies)
        # Of both fills, and of the request that fell back.
        self.assert_complete([other], replies, downloads=3)
        warnings = ' '.join(filling.warnings())
        self.assertIn(first.wait()['volume_id'], warnings)

    def test_lock_service_is_stopped_and_started(self):
        # Not Redis, whose client retries for more than a minute.
        hosts = self.start_hosts(2, servers.Etcd)
        self.server.stop()
        replies = self.requests(hosts, 4)
        self.assert_created(replies)
        self.assert_templates()
        for host in hosts:
            self.assertEqual(2, len(host.warnings()))
            host.call('stats')
        self.server.start()
        replies += self.requests(hosts, 4)
        self.assert_complete(hosts, replies, downloads=5, quiet=False)
        self.assert_templates((self.image, DATA))

    def test_template_is_removed_while_another_host_clones_it(self):
        removing, cloning = hosts = self.start_hosts(2, servers.Redis)
        replies = self.requests(hosts, 2)
        self.assert_created(replies)
        removing.call('advance', seconds=IDLE_SECONDS)

        def start_clone():
            # The check for running clones has passed.
            self.sim.cluster.jobs.seconds = lambda _size: ENDLESS
            cloning.arm('cloning')
            replies.append(cloning.create(self.image))
            cloning.wait_stage('cloning')

        self.sim.faults.add(method='DeleteVolume', action=start_clone)
        removing.call('stats')
        self.sim.cluster.jobs.seconds = lambda _size: 0.1
        cloning.go('cloning')
        self.assert_complete(hosts, replies, downloads=2)
        self.assert_templates((self.image, DATA))


class HostLocksTestCase(ActiveActiveTestCase):
    """Each host has lock files of its own."""

    def test_first_requests_converge(self):
        # The cache of Kilo to Stein was removed because two templates of
        # one name made all later requests fail.
        hosts = self.start_hosts(4)
        for host in hosts:
            host.arm('publish')
        replies = self.requests(hosts)
        # All hosts fill at once, and none publishes before the others.
        for host in hosts:
            host.wait_stage('publish')
        self.assertEqual(4, len(self.volumes(model.NAME_PREFIX)))
        for host in hosts:
            host.go('publish')
        self.assert_converged(hosts, replies, downloads=4)

    def test_host_is_killed_while_it_fills(self):
        hosts = self.start_hosts(3)
        first, *others = hosts
        first.arm('download')
        lost = first.create(self.image)
        first.wait_stage('download')
        replies = self.requests(others)
        # They neither wait for the first host nor remove its template.
        self.assert_created(replies)
        prefix = model.name_for(self.image['id'])
        self.assertEqual({'filling', 'ready'}, {
            volume.attributes[model.ATTRIBUTE]['state']
            for volume in self.volumes(prefix)})
        first.kill()
        self.assertRaises(processes.ProcessDied, lost.wait)
        first, = self.services.start(first.host)
        replies += self.requests([first], 2)
        self.assert_created(replies)
        self.assert_converged([first, *others], replies,
                              len(self.images.downloads()))

    def assert_converged(self, hosts, replies, downloads):
        self.assert_created(replies)
        for host in hosts:
            host.call('stats')
        self.assert_templates((self.image, DATA))
        self.assert_complete(hosts, replies, downloads, quiet=False)
        for host in hosts:
            self.assertEqual([], host.errors(), host.host)
            self.assertNotIn(solidfire.SolidFireDuplicateVolumeNames.__name__,
                             host.log())
            self.assertNotEqual([], host.warnings())
            for warning in host.warnings():
                self.assertIn('coordination', warning)
                self.assertIn('backend_url', warning)
