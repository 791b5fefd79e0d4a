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

"""The table of past faults: what each asks of us, or why no test has it.

A key is the start of the names of its tests, after ``test_``. Commits and
bugs are those of Cinder; a fault known by several has one of them as its
key and names the others. :mod:`test_rows` holds table and tests together.
"""

TESTED = {
    # The template cache of the driver, Kilo to Stein
    'commit_ee653ad13': 'off unless allowed; the size comes from the data; '
                        'a mark until a template is whole; limits',
    'bug_1414760': 'a36100bd3, 5812206ea, 4580725ea: the first use makes the '
                   'shared account, and a parallel creator is no error',
    'bug_1454425': 'cf4c885c2: exact parameters, of the delete above all',
    'commit_dc7e108be': 'a template is found whoever owns the clone',
    'commit_7c6e41833': 'a fresh cluster is no error; only xUnknownAccount '
                        'means that an account is absent',
    'bug_1479897': '041f70657: one name to create and to look up',
    'bug_1486744': '022c54435: real shapes of replies',
    'bug_1494830': '809567661, bug 1494927: delete by volumeID, size from '
                   'the image itself, metadata of every Image service',
    'bug_1495247': '1c0e67996: foreign volumes, null attributes',
    'commit_d55541c4d': 'no use of the stock clone code',
    'bug_1589187': '0bce0a001, bug 1530212, f57447223: few and small '
                   'attributes; the QoS of the clone is always right',
    'bug_1605027': '0273dc5b6: one fill at a time, nothing half-written is '
                   'cloned, a failed fill falls back, no lock when off',
    'bug_1623618': 'd22f81581: passing clone errors are repeated',
    'bug_1673264': 'fb9ed782f, bug 1658154, eceade74b: clones wait by a '
                   'counter, not in the lock of the image',
    'bug_1785706': '55c1863e1, bug 1663782, 61fd7ff84: no failed step leaves '
                   'anything that can be cloned',
    'bug_1668772': 'fb0dfcc0e, 7d3ed1e56, bug 1668777: deleted volumes are '
                   'neither templates nor duplicates; delete means purge',
    'commit_90d2765e7': 'off by default',
    'commit_fd495d010': 'hosts without a common lock do no lasting harm',
    'bug_1959178': '6b97abc4e: a miss is no error',
    'a1_tests': 'the fill itself is run by tests, not mocked',
    # Changes of the driver since
    'bug_1898587': 'c607a82a9: the configured times are used',
    'bug_1896112': '42c92cc40, 853f08288: a lost reply makes no duplicate',
    'consequence': 'after a failed clone the stock create of the same volume '
                   'succeeds',
    'bug_1891914': '8d0c08b4b, b7b830e9a, bug 1934435: what the stock driver '
                   'repeats is repeated',
    'commit_6840ddf96': 'several hosts at once, locks that hold across them',
    # Cinder's image-volume cache and the image path
    'bug_1649636': '63aa3c7d1: parallel creates make one template',
    'bug_1705442': '35ae6fb90, 9b2a9407f: the lock is that of the image',
    'bug_1758414': 'a351cd01c: no lock for hits; who waited looks again',
    'bug_1552734': 'a74f7f0cd, 93519a02c, bug 1801595, d22e54c25, bug '
                   '1858169: a failed clone is no reason for a new template',
    'head_limit': 'the limit of snapshots is handled, never raised',
    'head_cache': 'a new copy is ready before the old one goes; only other '
                  'data makes an old one',
    'commit_4d3e1e7c3': 'f2427b461, 0d486da2f, bug 2121361, bd4c6b5e7, bug '
                        '2127675, e57c350d0: scope is the storage cluster',
    'bug_1584882': '7e634cb4a, 70719d028, bug 1701696, 74249de63, bug '
                   '1792944: limits of count and size, together and apart',
    'bug_2112403': 'ccd69534e, 3ac19bfea: what is retired is deleted',
    'bug_1680314': 'ad413f275, 88290cbfe, bug 1701998, 3f3a8f115, 16f1dc862, '
                   '1a8021a28, bug 1795098: the volume asked for is not '
                   'changed, and its fields are right',
    'bug_1642394': '80b93f24b, e564049d8, bug 2120933: no error escapes',
    'bug_1744383': 'f62f8abad: a hit needs no room on this host',
    'commit_494264e79': 'bc52ae421, 5ca4c3573, 66cc0d242, def9485d8, '
                        '3ce9d773a: room in bytes, labelled temporary files '
                        'that are removed',
    'bug_1599147': 'e6fdc05e2, f5d5ff57b, bug 1756232: sizes are compared in '
                   'bytes at every hit',
    'bug_1823445': 'e8c24577b, c65f43cb9: signatures are verified at the '
                   'fill and stamped at each hit',
    'bug_2059809': '78f17f0ad, bug 1449062, b1ebfa4f5, 930fc93e9, bug '
                   '1996188, d6a186945, 8fd70cc55, bug 2073275: hostile '
                   'images',
    'bug_1703892': '3e8ffbcc6, 72ae65483, bug 2132083: no look at the device '
                   'after writing, no plain file in its place',
    'bug_1970115': 'a719525c1: image_conversion_disable, at fill and hit',
    'bug_1764125': '70b05dbe7, 5c052440c, 2792be3ff, 330f1ae45, 25cded9d1: '
                   'encrypted volumes and images',
    'commit_bf23678fe': 'multipath settings',
    'bug_2127220': '02c04c847, bug 1875570: each request tells its outcome',
    'ixsystems_31': 'iXsystems/cinder 31: the template is no tenant\'s '
                    'volume',
    'commit_5b59d85dc': 'templates count against nobody\'s quota',
    'contract': 'what the manager expects of clone_image, and its place '
                'before the image-volume cache',
    # What the last version of the driver's cache still had
    'a3_1': 'a crash in a fill leaves nothing that is cloned',
    'a3_2': 'a failed fill is deleted by its volumeID',
    'a3_3': 'a template larger than the volume is not cut',
    'a3_4': 'templates are read-only',
    'a3_5': 'twins do no harm and become one',
    'a3_6': 'a failed fill falls back',
    'a3_7': 'any error falls back',
    'a3_8': 'hits run at the same time',
    'a3_9': 'limits of clones are waited for',
    'a3_10': 'no clone is doubled or left behind',
    'a3_11': 'a hit writes nothing to the template',
    'a3_12': 'a replaced template is retired when nothing uses it',
    'a3_13': 'a failed detachment does not skip the delete',
    'a3_14': 'volume access groups',
    'a3_15': 'the start does not depend on the cache',
    'a3_16': 'after a failover the templates of the other cluster count',
    'a3_17': 'the prefix "hostname" does not keep hosts apart',
    'a3_18': 'names of images are no part of the attributes',
    'a3_19': 'times are compared as times, hashes go before them',
    'a3_20': 'images deleted from Glance, limits of count, size, age and '
             'space',
    'a3_21': 'visibility, owner and status of the image',
    'a3_22': 'formats, containers, throttling',
    'a3_23': 'room for the download is looked for first',
    'a3_24': 'multipath properties reach the attachment',
    'a3_26': 'the block size is that configured now',
    'a3_27': 'a hit lists nothing, and names match as a whole',
}
"""What is tested, and in short what the fault asks of us."""

LATER = {
    'commit_90d2765e7': 'notes for upgrades and beside which other cache: '
                        'the documentation',
    'commit_fd495d010': 'templates that operators can see and manage: a '
                        'later change',
    'cosmetic': '876c7ff07, e7863d100, a55a6b5c7, 8c90ab115, a2c589e90, '
                '1b8619258 changed nothing that a test can tell',
    'bug_2112403': 'clones that one copy may have: the cluster\'s own limit '
                   'holds; further copies are a later change',
    'commit_494264e79': 'the message to the user comes from the normal way, '
                        'which every failed fill takes',
    'commit_bf23678fe': 'e4de4fb33, bug 1801958, native threads: the copying '
                        'is Cinder\'s own; d2f6ec556, lock files of images '
                        'that are gone stay where locks are files',
    'bug_2127220': 'metrics: a later change',
    'a3_21': 'a policy of Glance that forbids the download: a hit asks '
             'Glance nothing, it is told the image\'s metadata only',
    'a3_23': 'progress of a fill and an end to a slow one: a later change',
    'a3_25': 'QoS of the template while it is filled: a later change; the '
             'clones do not keep it',
    'a3_28': 'metrics, notifications, command: a later change',
}
"""Why a fault, or a part of it, has no test."""
