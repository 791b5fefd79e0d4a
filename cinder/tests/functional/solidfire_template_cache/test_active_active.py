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

"""Several cinder-volume processes of one cluster, active/active.

Each is a process of its own. Their locks are those of a real Redis or a real
etcd, or, as operators get it wrong, files that no other host sees.
"""

import ddt

from cinder.tests.functional.solidfire_template_cache import (
    coordination_servers as servers)
from cinder.tests.functional.solidfire_template_cache import processes
from cinder.tests.functional.solidfire_template_cache import service_tests
from cinder.volume.drivers import solidfire
from cinder.volume.drivers.solidfire_template_cache import template as tpl

DATA = b'bootable' * 50000

REQUESTS = 32

# Seconds in which a test is long over.
PATIENCE = 1000

# Seconds that a lock outlives its process in the tests that kill one. A
# process that lives renews its locks in half of that.
LOCK_SECONDS = 10

# More than sf_template_idle_days.
IDLE_SECONDS = 31 * 86400

# Words for what the operator is to do.
ADVICE = ('coordination', 'backend_url')


class ActiveActiveTestCase(service_tests.ServicesTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.images.add(DATA)

    def start_hosts(self, count, **options):
        return self.services.start(
            *('host%d' % number for number in range(count)), **options)

    def requests(self, hosts, count=REQUESTS, image=None):
        """Begin so many creates at once, spread over the hosts."""
        return [hosts[number % len(hosts)].create(image or self.image)
                for number in range(count)]

    def await_requests(self, count):
        """Wait until so many requests have come to their hosts."""
        self.services.wait_until(
            lambda: len(self.services.volume_statuses()) == count,
            '%d requests' % count)

    def first_at(self, stage, hosts):
        """Return the host that is the first to come to a stage."""
        return self.services.wait_until(
            lambda: next((host for host in hosts if host.reached(stage)),
                         None), stage)

    # What must be so in the end

    def assert_created(self, replies, data=DATA):
        """Check that each request has made its one volume, and whole."""
        for reply in replies:
            self.assert_made(reply.wait(), data)

    def assert_templates(self, *images):
        """Check that there is one whole template of each image, and no more.

        :param images: pairs of an image's metadata and its data
        """
        self.assertEqual(
            sorted(tpl.NAME_PREFIX + image['id'] for image, _data in images),
            sorted(volume.name for volume in self.volumes(tpl.NAME_PREFIX)))
        for image, data in images:
            template, = self.volumes(tpl.NAME_PREFIX + image['id'])
            self.assertEqual(('active', 'readOnly', 'ready'), (
                template.status, template.access,
                template.attributes[tpl.ATTRIBUTE]['state']))
            self.assertTrue(self.holds(template, data))

    def assert_nothing_else(self, replies):
        """Check that the cluster and the hosts hold no leftovers."""
        made = {'UUID-' + reply.wait()['volume_id'] for reply in replies}
        self.assertEqual(made, {volume.name
                                for volume in self.volumes('UUID-')})
        self.assertEqual(len(made), len(self.volumes('UUID-')))
        self.assertEqual([], self.sim.cluster.jobs.running())

    def assert_quiet(self, hosts):
        for host in hosts:
            self.assertEqual([], host.warnings(), host.host)
            self.assertEqual([], host.errors(), host.host)
            self.assertEqual('', host.printed(), host.host)


@ddt.ddt
class SharedLocksTestCase(ActiveActiveTestCase):

    @ddt.data((servers.Redis, 2), (servers.Redis, 4),
              (servers.Etcd, 2), (servers.Etcd, 4))
    @ddt.unpack
    def test_create_first_requests_fill_once(self, server, count):
        hosts = self.start_hosts(
            count, backend_url=self.useFixture(server()).url)
        for host in hosts:
            host.arm('download')
        replies = self.requests(hosts)
        # All of them are there before the image is.
        self.await_requests(REQUESTS)
        self.first_at('download', hosts)
        for host in hosts:
            host.go('download')
        self.assert_created(replies)
        self.assertEqual([self.image['id']], self.images.downloads())
        self.assertEqual(1, self.sim.calls.count('CreateVolume'))
        self.assert_templates((self.image, DATA))
        self.assert_nothing_else(replies)
        self.assert_no_temporary_files(*hosts)
        self.assert_quiet(hosts)

    @ddt.data((servers.Redis, 2), (servers.Redis, 4),
              (servers.Etcd, 2), (servers.Etcd, 4))
    @ddt.unpack
    def test_create_first_requests_of_four_images(self, server, count):
        hosts = self.start_hosts(
            count, backend_url=self.useFixture(server()).url)
        data = [b'image %d ' % number * 50000 for number in range(4)]
        images = [self.images.add(each) for each in data]
        # Every host is asked for every image.
        replies = [self.requests(hosts, REQUESTS // 4, image)
                   for image in images]
        for made, expected in zip(replies, data):
            self.assert_created(made, expected)
        self.assertEqual({image['id'] for image in images},
                         set(self.images.downloads()))
        self.assertEqual(4, len(self.images.downloads()))
        self.assert_templates(*zip(images, data))
        self.assert_nothing_else(sum(replies, []))
        self.assert_no_temporary_files(*hosts)
        self.assert_quiet(hosts)

    @ddt.data((servers.Redis, 2, ['convert']), (servers.Etcd, 2, ['convert']),
              (servers.Redis, 4, ['download', 'convert']),
              (servers.Etcd, 4, ['download', 'convert']))
    @ddt.unpack
    def test_create_filling_process_killed(self, server, count, stages):
        url = self.useFixture(server(LOCK_SECONDS)).url
        hosts = self.start_hosts(count, backend_url=url)
        for host in hosts:
            host.arm(stages[0])
        replies = {host: self.requests([host], 16 // count)
                   for host in hosts}
        self.await_requests(16)
        killed = self.kill_in_turn(hosts, stages)
        alive = [host for host in hosts if host not in killed]
        made = sum((replies[host] for host in alive), [])
        self.assert_created(made)
        for host in killed:
            for reply in replies[host]:
                self.assertRaises(processes.ProcessDied, reply.wait)
        self.assertEqual([self.image['id']] * (len(stages) + 1),
                         self.images.downloads())
        self.assert_templates((self.image, DATA))
        self.assert_nothing_else(made)
        # They come back, and what they have left behind goes.
        killed = self.services.start(*(host.host for host in killed),
                                     backend_url=url)
        made += self.requests(killed, 2 * len(killed))
        self.assert_created(made)
        self.assertEqual(len(stages) + 1, len(self.images.downloads()))
        self.assert_nothing_else(made)
        self.assert_no_temporary_files(*alive, *killed)
        self.assert_quiet(alive + killed)

    def kill_in_turn(self, hosts, stages):
        """Kill the host that fills, and then the one that takes over.

        :param stages: at which to kill them; all hosts wait at the first
        :returns: the hosts that were killed
        """
        killed = []
        for number, stage in enumerate(stages):
            filling = self.first_at(stage, [
                host for host in hosts if host not in killed])
            killed.append(filling)
            for host in hosts:
                if host in killed:
                    continue
                # Nobody else got there.
                self.assertFalse(host.reached(stage))
                if stages[number + 1:]:
                    host.arm(stages[number + 1])
                host.go(stage)
            filling.kill()
        return killed

    @ddt.data(servers.Redis, servers.Etcd)
    def test_create_filling_process_stalled(self, server):
        filling, other = hosts = self.start_hosts(
            2, backend_url=self.useFixture(server(LOCK_SECONDS)).url)
        filling.arm('publish')
        first = filling.create(self.image)
        filling.wait_stage('publish')
        # The whole machine hangs, and its locks expire.
        filling.pause()
        replies = self.requests([other], 4)
        self.assert_created(replies)
        self.assert_templates((self.image, DATA))
        # It comes back and finds that its work was taken for dead.
        filling.resume()
        filling.go('publish')
        replies.append(first)
        self.assert_created(replies)
        self.assert_templates((self.image, DATA))
        replies += self.requests(hosts, 4)
        self.assert_created(replies)
        self.assert_nothing_else(replies)
        self.assert_no_temporary_files(*hosts)
        self.assert_quiet([other])
        warning, = filling.warnings()
        self.assertIn(first.wait()['volume_id'], warning)

    def test_create_lock_server_gone(self):
        # Not Redis, whose client tries again for more than a minute.
        server = self.useFixture(servers.Etcd())
        hosts = self.start_hosts(2, backend_url=server.url)
        server.stop()
        replies = self.requests(hosts, 4)
        # The normal way: as if there was no cache.
        self.assert_created(replies)
        self.assert_templates()
        self.assertEqual(4, len(self.images.downloads()))
        for host in hosts:
            self.assertEqual(2, len(host.warnings()))
            host.call('stats')
        server.start()
        more = self.requests(hosts, 4)
        self.assert_created(more)
        self.assertEqual(5, len(self.images.downloads()))
        self.assert_templates((self.image, DATA))
        self.assert_nothing_else(replies + more)

    def test_create_template_expired_on_another_host(self):
        hosts = self.start_hosts(
            2, backend_url=self.useFixture(servers.Redis()).url)
        replies = self.requests(hosts, 2)
        self.assert_created(replies)
        ahead, _other = hosts
        ahead.call('advance', seconds=IDLE_SECONDS)
        ahead.call('stats')
        self.assert_templates()
        # Both remember a template that is not there any more.
        replies += self.requests(hosts, 4)
        self.assert_created(replies)
        self.assertEqual([self.image['id']] * 2, self.images.downloads())
        self.assert_templates((self.image, DATA))
        self.assert_nothing_else(replies)
        self.assert_quiet(hosts)

    def test_create_template_removed_under_its_clone(self):
        removing, cloning = hosts = self.start_hosts(
            2, backend_url=self.useFixture(servers.Redis()).url)
        replies = self.requests(hosts, 2)
        self.assert_created(replies)
        removing.call('advance', seconds=IDLE_SECONDS)
        removing.arm('retire')
        round_ = removing.send('stats')
        # It has seen that nobody clones the template. Now somebody does.
        removing.wait_stage('retire')
        self.sim.cluster.jobs.seconds = lambda _size: PATIENCE
        cloning.arm('cloning')
        replies.append(cloning.create(self.image))
        cloning.wait_stage('cloning')
        removing.go('retire')
        round_.wait()
        self.sim.cluster.jobs.seconds = lambda _size: 0.1
        cloning.go('cloning')
        self.assert_created(replies)
        self.assertEqual([self.image['id']] * 2, self.images.downloads())
        self.assert_templates((self.image, DATA))
        self.assert_nothing_else(replies)
        self.assert_quiet(hosts)


@ddt.ddt
class NoSharedLocksTestCase(ActiveActiveTestCase):
    """Each host has files for its locks."""

    @ddt.data(2, 4)
    def test_create_first_requests_converge(self, count):
        hosts = self.start_hosts(count)
        for host in hosts:
            host.arm('publish')
        replies = self.requests(hosts)
        # All hosts fill at once, and none is ready before the others.
        for host in hosts:
            host.wait_stage('publish')
        self.assertEqual(count, len(self.volumes(tpl.NAME_PREFIX)))
        for host in hosts:
            host.go('publish')
        self.assert_created(replies)
        self.assertEqual([self.image['id']] * count,
                         self.images.downloads())
        self.assert_converged(hosts, replies)

    @ddt.data(2, 4)
    def test_create_filling_process_killed(self, count):
        hosts = self.start_hosts(count)
        first, *others = hosts
        first.arm('convert')
        lost = first.create(self.image)
        first.wait_stage('convert')
        replies = self.requests(others)
        # Who fills does not hold up the others, nor do they remove it.
        self.assert_created(replies)
        self.assertEqual(2, len(self.volumes(tpl.NAME_PREFIX)))
        first.kill()
        self.assertRaises(processes.ProcessDied, lost.wait)
        first, = self.services.start(first.host)
        replies += self.requests([first], 2)
        self.assert_created(replies)
        self.assert_converged([first, *others], replies)
        self.assert_no_temporary_files(first, *others)

    def assert_converged(self, hosts, replies):
        for host in hosts:
            host.call('stats')
        self.assert_templates((self.image, DATA))
        self.assert_nothing_else(replies)
        for host in hosts:
            self.assertEqual([], host.errors(), host.host)
            self.assertNotIn(solidfire.SolidFireDuplicateVolumeNames.__name__,
                             host.log())
            advice = [text for text in host.warnings()
                      if all(word in text for word in ADVICE)]
            self.assertEqual(advice, host.warnings())
            self.assertLess(0, len(advice))
