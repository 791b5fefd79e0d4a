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

"""Replies that are not what they ought to be, or without end."""

import gzip
import json
import threading

import ddt
from oslo_utils import units
from werkzeug import wrappers

from cinder.tests.unit.volume.drivers.solidfire_template_cache import answers
from cinder.volume.drivers.solidfire_template_cache import errors
from cinder.volume.drivers.solidfire_template_cache import transport


@ddt.ddt
class ReplyTestCase(answers.TransportTestCase):
    """Replies that are not what they ought to be."""

    def test_unknown_version_is_an_unexpected_reply(self):
        self.sim.cluster.versions = ['1.0', '6.0']
        exc = self.assert_fails(errors.UnexpectedReply,
                                self.client.list_volumes, 'v')
        self.assertEqual('HTTP404', exc.name)

    @ddt.data(400, 404, 405)
    def test_client_error_in_html_is_final(self, status):
        self.sim.faults.add(method='GetLimits', http_status=status,
                            body=answers.HTML)
        exc = self.assert_fails(errors.UnexpectedReply,
                                self.client.get_clones_per_volume)
        self.assertEqual('HTTP%s' % status, exc.name)
        self.assertEqual([], self.clock.slept)

    @ddt.data({'http_status': 500, 'body': answers.HTML},
              {'http_status': 502, 'body': answers.HTML},
              {'http_status': 503, 'body': ''},
              {'http_status': 200, 'body': answers.HTML},
              {'http_status': 200, 'body': '{"id": 1, "result": {"clon'},
              {'http_status': 200, 'body': ''},
              {'http_status': 200, 'body': 'null'},
              {'http_status': 200, 'body': '[]'},
              {'http_status': 200, 'body': '5'},
              {'drop': True}, {'drop': True, 'when': 'after'})
    def test_reply_lost_is_asked_for_again(self, fault):
        self.sim.faults.add(method='GetLimits', times=2, **fault)
        self.assertEqual(2, self.client.get_clones_per_volume())
        self.assertEqual(3, self.sim.calls.count())
        self.assertEqual(2, len(self.clock.slept))

    def test_reply_cut_short_on_the_wire(self):
        self.answer(lambda request: wrappers.Response(
            '{"result"', headers={'Content-Length': '200'}))
        exc = self.assert_fails(errors.ReplyLost, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertIs(errors.Kind.LOST, exc.kind)

    @ddt.data({}, {'result': None}, {'result': []}, {'result': 'yes'},
              {'id': 5}, {'error': None})
    def test_reply_without_result(self, document):
        self.sim.faults.add(method='GetLimits', http_status=200,
                            body=dict(document, id=1))
        self.assert_fails(errors.UnexpectedReply,
                          self.client.get_clones_per_volume)

    @ddt.data('text', ['list'], 5)
    def test_reply_with_odd_error(self, value):
        self.sim.faults.add(method='GetLimits', http_status=200,
                            body={'id': 1, 'error': value})
        self.assert_fails(errors.UnexpectedReply,
                          self.client.get_clones_per_volume)

    def test_reply_with_error_and_other_status(self):
        self.sim.faults.add(
            method='GetLimits', http_status=500,
            body={'error': {'name': 'xNew', 'message': 'm', 'code': 500}})
        exc = self.assert_fails(errors.ApiError,
                                self.client.get_clones_per_volume)
        self.assertEqual(('xNew', 'm', 500), (exc.name, exc.reason, exc.code))


@ddt.ddt
class LimitsTestCase(answers.TransportTestCase):
    """Replies without end, in size or in time."""

    PIECE = b' ' * 2 ** 16

    def setUp(self):
        super().setUp()
        self.sent_bytes = 0

    def stream(self, piece, size=None):
        """Let the server send a piece again and again.

        :param size: of the whole, if that is told in advance; the server
            ends of itself only when this is reached
        """
        def pieces():
            while size is None or self.sent_bytes < size:
                self.sent_bytes += len(piece)
                yield piece

        headers = {} if size is None else {'Content-Length': str(size)}
        self.answer(lambda request: wrappers.Response(
            pieces(), headers=headers))

    def assert_given_up(self, name):
        exc = self.assert_fails(errors.ReplyLost, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertEqual(name, exc.name)

    @ddt.data(None, 2 ** 30)
    def test_reply_without_end_is_not_read_to_it(self, size):
        self.stream(self.PIECE, size=size)
        self.assert_given_up('OversizedReply')
        # What lies in buffers on the way is sent as well.
        self.assertLess(self.sent_bytes, 48 * units.Mi)

    def test_reply_that_is_as_long_as_may_be_is_read(self):
        self.mock_object(transport, '_LONGEST_REPLY', 200000)
        reply = json.dumps({'result': {'cloneJobsPerVolumeMax': 5}})
        self.answer(lambda request: wrappers.Response(
            reply.ljust(200000)))
        self.assertEqual(5, self.client.get_clones_per_volume())
        self.answer(lambda request: wrappers.Response(
            reply.ljust(200001)))
        self.assert_given_up('OversizedReply')

    def test_reply_of_a_full_account_is_read(self):
        # 2000 volumes with 4 KiB each.
        self.stream(b' ' * units.Mi, size=8 * units.Mi)
        exc = self.assert_fails(errors.ReplyLost, self.client.create_volume,
                                'v', 1, units.Gi, True, {})
        self.assertIn('not JSON', exc.reason)

    @ddt.data(None, 5000)
    def test_reply_that_trickles_is_given_up(self, size):
        # A byte now and then, so that no read takes the whole time.
        release = threading.Event()
        self.addCleanup(release.set)

        def pieces():
            yield b' '
            # The other bytes are far off; a client that has noticed how
            # late it is does not wait for them.
            release.wait(60)

        headers = {} if size is None else {'Content-Length': str(size)}
        self.answer(lambda request: wrappers.Response(
            pieces(), headers=headers))
        self.client = self.new_client(timeout=5)
        monotonic = self.clock.monotonic

        def hurry():
            self.clock.advance(6)
            return monotonic()

        self.mock_object(self.clock, 'monotonic', hurry)
        self.assert_given_up('SlowReply')

    def test_reply_that_takes_some_seconds_is_read(self):
        reply = json.dumps(
            {'result': {'cloneJobsPerVolumeMax': 5}}).encode()

        def pieces():
            for place in range(len(reply)):
                self.clock.advance(0.5)
                yield reply[place:place + 1]

        self.answer(lambda request: wrappers.Response(pieces()))
        self.assertEqual(5, self.client.get_clones_per_volume())

    def test_reply_that_is_compressed_counts_by_what_it_becomes(self):
        # 64 MiB become 64 KiB.
        body = gzip.compress(b' ' * (64 * units.Mi))
        self.answer(lambda request: wrappers.Response(
            body, headers={'Content-Encoding': 'gzip'}))
        self.assert_given_up('OversizedReply')

    def test_reply_without_end_closes_the_connection(self):
        self.stream(self.PIECE)
        self.assert_given_up('OversizedReply')
        self.answer(lambda request: wrappers.Response(
            '{"result": {"cloneJobsPerVolumeMax": 7}}'))
        self.assertEqual(7, self.client.get_clones_per_volume())
        self.assertEqual(2, self.sim.server.connections)
