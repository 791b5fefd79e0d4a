#!/usr/bin/env bash

# Run all tests of a clone, on a machine that has Python and, where packages
# are missing, root and apt.
#
#   tools/test.sh            the default environments of tox.ini
#   tools/test.sh -e fast    the unit tests only, in some 3 minutes
#   tools/test.sh -e pep8    arguments are passed on to tox
#
# The last line has the number of tests that passed, failed and were skipped,
# if the environment "cover", which runs all of them, was requested.

set -o errexit -o nounset -o pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
python=${PYTHON:-python3}
unset PYTHON
venv=.venv-test
results=.tox/cover/tmp

step() {
    printf '\n== %s (%d s)\n' "$*" "$SECONDS"
}

# shellcheck source=tools/debian.sh
source "$root/tools/debian.sh"

make_venv() {
    if "$venv/bin/tox" --version >/dev/null 2>&1; then
        return
    fi
    new_venv "$python" "$venv"
    "$venv/bin/pip" install --quiet --constraint constraints.txt tox bindep
}

step "Preparing tox with $("$python" --version)"
make_venv
step 'Looking for missing Debian packages'
install_bindep "$venv" test

rm -rf "$results"
status=0
step 'Running tox; the first time it installs Cinder in several environments'
"$venv/bin/tox" run "$@" </dev/null || status=$?

step "tox ended with status $status"
if [[ -d $results ]]; then
    .tox/cover/bin/python tools/tally.py "$results/tests" || status=1
fi
exit "$status"
