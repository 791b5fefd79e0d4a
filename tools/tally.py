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

"""Count the results of the test run that stestr has stored.

Prints the sums over the last run in a repository, and the number of cases
that some tests have printed. If the repository has no run, or an empty one,
the exit status is 1.
"""

import argparse
import collections
import re
import sys

from stestr.repository import abstract
from stestr.repository import util
import subunit
import testtools

# What a test's last state counts as; every other state is a failure, also that
# of a test that began and did not end.
OUTCOMES = {'success': 'passed', 'xfail': 'passed', 'skip': 'skipped'}


# What some tests print of the cases in them.
CASES = re.compile(r'\b(\d+) (cases|crash points)\b')
MODEL = re.compile(r'^model: .* steps, .*', re.MULTILINE)


def printed_by(test):
    """Return all that a test has printed, and what was logged meanwhile."""
    return '\n'.join(content.as_text() for content in test['details'].values()
                     if content.content_type.type == 'text')


def count(repository):
    """Count the outcomes of a repository's last run.

    :param repository: the folder that holds ``.stestr``
    :returns: a ``collections.Counter`` of passed, failed and skipped, of
        cases within tests, and of the model's lines, each once
    :raises LookupError: when no test has run
    """
    counts = collections.Counter()

    def add(test):
        counts[OUTCOMES.get(test['status'], 'failed')] += 1
        text = printed_by(test)
        for number, unit in CASES.findall(text):
            counts[unit] += int(number)
        counts.update(MODEL.findall(text))

    try:
        run = util.get_repo_open(repo_url=repository).get_latest_run()
    except (abstract.RepositoryNotFound, KeyError) as exc:
        raise LookupError(f'no test run in {repository}') from exc
    result = testtools.StreamToDict(add)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(run.get_subunit_stream()).run(result)
    result.stopTestRun()
    if not counts:
        raise LookupError(f'the test run in {repository} is empty')
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('repository', help='folder that has a .stestr folder')
    try:
        total = count(parser.parse_args().repository)
    except LookupError as exc:
        print(exc, file=sys.stderr)
        return 1
    for key in sorted(total):
        if key in ('cases', 'crash points'):
            print('%d %s within tests' % (total[key], key))
        elif MODEL.match(key):
            print(key)
    print('%d passed, %d failed, %d skipped' % (
        total['passed'], total['failed'], total['skipped']))
    return 0


if __name__ == '__main__':
    sys.exit(main())
