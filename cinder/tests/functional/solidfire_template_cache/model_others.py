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
"""The model's bystanders: operators, the Image service, and time.

What they do may happen between two requests, or two calls of one.
"""

import datetime

from oslo_utils import units

from cinder.tests.functional.solidfire_template_cache import model
from cinder.volume.drivers.solidfire_template_cache import template as tpl

ACCOUNT = 'openstack-vtemplate'


class Others(object):
    """Everybody but the hosts and the tenants.

    :param test: the test case, for its cluster, images, rules and clock
    """

    def __init__(self, test):
        self._test = test
        self._cluster = test.sim.cluster
        self._images = test.images
        self._rules = test.rules

    # Operators

    def purge(self, slot):
        for volume in self._templates(slot):
            self._remove(volume)

    def delete(self, slot):
        for volume in self._templates(slot):
            if volume.status == 'active':
                self._rules.altered.add(volume.volume_id)
                self._cluster.delete_volume(volume)

    def make_writable(self, slot):
        for volume in self._templates(slot):
            if volume.access == 'readOnly':
                self._rules.altered.add(volume.volume_id)
                volume.access = 'readWrite'

    def drop_account(self, _slot):
        for account in self._accounts():
            for volume in self._cluster.volumes_of(account.account_id):
                self._rules.foreign.pop(volume.volume_id, None)
                self._remove(volume)
            del self._cluster.accounts[account.account_id]

    def add_foreign(self, slot):
        """Put a volume in the way that has a template's name."""
        for account in self._accounts():
            volume = self._cluster.add_volume(
                name=tpl.name_for(self._images.id_of(slot)),
                account_id=account.account_id, size=units.Gi,
                qos=dict(self._cluster.default_qos))
            self._cluster.files.create('volume-%d' % volume.volume_id,
                                       units.Gi)
            self._rules.foreign[volume.volume_id] = {}

    def _accounts(self):
        return [account for account in self._cluster.accounts.values()
                if account.username == ACCOUNT]

    def _templates(self, slot):
        return [volume for volume in self._test.templates(
                self._images.id_of(slot))
                if volume.volume_id not in self._rules.foreign]

    def _remove(self, volume):
        self._cluster.delete_volume(volume)
        self._cluster.forget_volume(volume.volume_id)

    # The Image service

    def change(self, slot):
        self._images.change(slot, model.SIZES[2])

    def shorten(self, slot):
        self._images.change(slot, model.SIZES[1])

    def edit(self, slot):
        self._images.edit(slot, name='edited')

    def hide(self, slot):
        self._images.edit(slot, visibility='private')

    def show(self, slot):
        self._images.edit(slot, visibility='public')

    def withdraw(self, slot):
        self._images.withdraw(slot)

    # Time

    def pass_seconds(self, _slot):
        self._test.clock.advance(40)

    def pass_hours(self, _slot):
        self._test.clock.advance(9 * 3600)

    def set_clock_forward(self, _slot):
        self._test.clock.jump += datetime.timedelta(days=3)

    def set_clock_back(self, _slot):
        self._test.clock.jump -= datetime.timedelta(days=2)


ACTS = {act.__name__.replace('_', ' '): act for act in (
    Others.purge, Others.delete, Others.make_writable, Others.drop_account,
    Others.add_foreign, Others.change, Others.shorten, Others.edit,
    Others.hide, Others.show, Others.withdraw, Others.pass_seconds,
    Others.pass_hours, Others.set_clock_forward, Others.set_clock_back)}
"""What may happen, by name; takes :class:`Others` and the image's slot."""
