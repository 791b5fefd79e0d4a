#!/usr/bin/env bash

# Check the release notes and build their pages.
#
#   tools/releasenotes.sh SCRATCH
#
# reno reads from the git history to which release a note belongs. A shallow
# clone or an unpacked archive has none, and reno fails. All notes are then read
# from a repository of one commit, which is created in the folder SCRATCH.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$PWD/releasenotes/build

has_history() {
    [[ $(git rev-parse --is-shallow-repository 2>/dev/null) == false ]] &&
        git rev-parse --quiet --verify HEAD >/dev/null
}

if ! has_history; then
    echo 'No full history: all notes are shown as of the present release.'
    rm -rf "${1:?}/notes"
    mkdir -p "$1/notes"
    cp -r releasenotes "$1/notes/"
    cd "$1/notes"
    git init --quiet
    git add releasenotes
    git -c user.name=reno -c user.email=reno@localhost commit --quiet \
        --message 'Release notes'
fi

reno lint
sphinx-build -a -E -W --keep-going -b html -d "$build/doctrees" \
    releasenotes/source "$build/html"
