#!/usr/bin/env bash

# Run all tests of a clone, on a machine that has Python and, where packages
# are missing, root and apt.
#
#   tools/test.sh            the default environments of tox.ini
#   tools/test.sh -e pep8    what is given is passed on to tox
#
# The last line tells how many tests passed, failed and were skipped, where
# the environment that runs them all, cover, was among those asked for.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
python=${PYTHON:-python3}
unset PYTHON
venv=.venv-test
results=.tox/cover/tmp

step() {
    printf '\n== %s (%d s)\n' "$*" "$SECONDS"
}

apt_install() {
    if (( EUID != 0 )); then
        echo "Missing, and only root can install them: $*" >&2
        return 1
    fi
    # The lists of a fresh machine are empty, those of an old one outdated.
    apt-get install -y -qq --no-install-recommends "$@" </dev/null && return
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

make_venv() {
    if "$venv/bin/tox" --version >/dev/null 2>&1; then
        return
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        apt_install python3-venv
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --constraint constraints.txt tox bindep
}

install_packages() {
    local missing
    # What is missing is listed, and then the status is not 0 either.
    if ! missing=$("$venv/bin/bindep" --brief test); then
        echo "${missing:?bindep failed}"
        # shellcheck disable=SC2086 # one word for each package
        apt_install $missing
    fi
}

step "Preparing tox with $("$python" --version)"
make_venv
step 'Looking for missing Debian packages'
install_packages

rm -rf "$results"
status=0
step 'Running tox; the first time it installs Cinder in several environments'
"$venv/bin/tox" run "$@" </dev/null || status=$?

step "tox ended with status $status"
if [[ -d $results ]]; then
    .tox/cover/bin/python tools/tally.py "$results/unit" \
        "$results/functional" || status=1
fi
exit "$status"
