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

"""Secrets stay out of logs, errors and what is printed."""

import dataclasses

from cinder.tests.unit.volume.drivers.solidfire_template_cache import answers
from cinder.tests.unit.volume.drivers.solidfire_template_cache import clients
from cinder.volume.drivers.solidfire_template_cache import errors


class SecretsTestCase(answers.TransportTestCase):
    """No password and no CHAP secret anywhere but on the wire."""

    def assert_clean(self, *texts):
        for text in texts + (self.log.text,):
            self.assertNotIn(clients.PASSWORD, text)
            self.assertNotIn(clients.SECRET, text)

    @staticmethod
    def _texts(exc):
        """Return all that may be printed of an error, causes included."""
        texts = []
        while exc is not None:
            texts.extend((str(exc), repr(exc), repr(exc.args)))
            exc = exc.__cause__ or exc.__context__
        return texts

    def test_repr_of_client_and_endpoint(self):
        endpoint = self.client._transport._endpoint
        self.assert_clean(repr(self.client), repr(self.client._transport),
                          repr(endpoint), str(dataclasses.replace(endpoint)))

    def test_log_of_success(self):
        account = self.make_account()
        self.assertEqual(clients.SECRET, account.target_secret)
        # It was logged, but for the secrets.
        self.assertIn('AddAccount', self.log.text)
        self.assertIn("'username': 'tenant'", self.log.text)
        self.assertIn("'targetSecret': '***'", self.log.text)
        self.assert_clean(repr(account), str(account))

    def test_message_of_the_cluster_that_quotes_secrets(self):
        for name in ('xDBVersionMismatch', 'xInvalidParameter'):
            self.sim.faults.add(
                method='AddAccount', error=name,
                message='%s is bad, said %s' % (clients.SECRET,
                                                clients.PASSWORD))
        exc = self.assert_fails(errors.ApiError, self.client.add_account,
                                'tenant', clients.SECRET)
        self.assertEqual('*** is bad, said ***', exc.reason)
        self.assert_clean(*self._texts(exc))

    def test_failures_of_every_kind(self):
        for fault in ({'drop': True},
                      {'http_status': 404, 'body': clients.SECRET},
                      {'http_status': 200, 'body': clients.SECRET},
                      {'http_status': 401, 'body': clients.PASSWORD},
                      {'http_status': 200, 'body': {'result': clients.SECRET}},
                      {'http_status': 200, 'body': {'error': clients.SECRET}}):
            self.sim.faults.clear()
            self.sim.faults.add(method='AddAccount', times=None, **fault)
            exc = self.assertRaises(errors.ElementError,
                                    self.client.add_account, 'tenant',
                                    clients.SECRET)
            self.assert_clean(*self._texts(exc), repr(vars(exc)))

    def test_failures_to_connect(self):
        wrong = self.new_client(verify=True)
        exc = self.assert_fails(errors.AccessDenied, wrong.add_account,
                                'tenant', clients.SECRET)
        self.assert_clean(*self._texts(exc))
        self.sim.server.stop()
        exc = self.assert_fails(errors.NotSent, self.client.add_account,
                                'tenant', clients.SECRET)
        self.assert_clean(*self._texts(exc))

    def test_account_that_cannot_be_read(self):
        for member, value in (('accountID', None), ('username', 5),
                              ('targetSecret', [clients.SECRET])):
            account = {'accountID': 1, 'username': 'tenant',
                       'targetSecret': clients.SECRET,
                       'initiatorSecret': clients.SECRET}
            account[member] = value
            self.sim.faults.add(method='GetAccountByName', http_status=200,
                                body={'result': {'account': account}})
            exc = self.assert_fails(errors.UnexpectedReply,
                                    self.client.get_account, 'tenant')
            self.assert_clean(*self._texts(exc))
