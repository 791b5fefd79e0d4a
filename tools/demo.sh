#!/usr/bin/env bash

# Show the template cache at work: a real Cinder, Glance and Keystone create
# volumes on a simulated SolidFire cluster, on this machine alone.
#
#   tools/demo.sh                everything, from a fresh clone
#   tools/demo.sh --table FILE   write the table of costs to a file too
#   tools/demo.sh --keep         keep logs, databases and data afterwards
#
# It needs root, which Cinder's helpers require, Python, and, if Debian packages
# are missing, apt. Python packages are installed in .venv-demo, which the next
# run uses again.

set -o errexit -o nounset -o pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
venv=$root/.venv-demo
log=$venv/install.log
tree=$venv/tree
# Modules that are loaded many times are compiled once, whatever the caller has
# configured.
unset PYTHON PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

step() {
    printf '[%6.1f s] %s\n' "$SECONDS" "$*"
}

# shellcheck source=tools/debian.sh
source "$root/tools/debian.sh"

show_pip() {
    local line count=0
    while IFS= read -r line; do
        case $line in
            Collecting*)
                count=$((count + 1))
                if [[ $count == *[05]0 ]]; then
                    step "  $count packages found"
                fi
                ;;
            'Installing collected'*)
                step '  unpacking'
                ;;
        esac
    done
}

pip_install() {
    # Most modules are never used; those that are get compiled then.
    "$venv/bin/pip" install --no-input --no-compile --progress-bar off \
        --disable-pip-version-check "$@" 2>&1 | tee -a "$log" | show_pip ||
        { tail -n 25 "$log" >&2; return 1; }
}

requirements() {
    cat "$root"/{constraints,requirements,tools/demo/requirements}.txt
    "$python" --version
}

make_venv() {
    local wanted
    wanted=$(requirements | sha256sum)
    if grep -qsxF "$wanted" "$venv/stamp" && "$venv/bin/python" -c ''; then
        step 'Using .venv-demo again'
        return
    fi
    step 'Creating .venv-demo'
    new_venv "$python" "$venv"
    step 'Installing Cinder, Keystone, Glance and their client'
    pip_install --constraint "$root/constraints.txt" \
        --requirement "$root/requirements.txt" \
        --requirement "$root/tools/demo/requirements.txt"
    printf '%s\n' "$wanted" > "$venv/stamp"
}

install_tree() {
    step 'Installing the driver and the simulator into it'
    # From a copy, because a build leaves files in the source tree.
    trap 'rm -rf "$tree"' EXIT
    rm -rf "$tree"
    mkdir "$tree"
    tar -C "$root" --exclude='./.*' --exclude=./build -cf - . |
        tar -C "$tree" -xf -
    pip_install --no-deps --force-reinstall "$tree"
    rm -rf "$tree"
    trap - EXIT
}

if (( EUID != 0 )); then
    echo 'Run this as root, for instance in a container.' >&2
    exit 1
fi
make_venv
install_bindep "$venv" demo
install_tree
# The Python program replaces this process, and receives its signals.
export PYTHONPATH=$root/tools DEMO_SECONDS=$SECONDS
exec "$venv/bin/python" -P -m demo "$@"
