# Debian packages for tools/demo.sh and tools/test.sh, which source this.

# Install packages; the first argument and all others are their names.
apt_install() {
    if (( EUID != 0 )); then
        echo "Missing, and only root can install them: $*" >&2
        return 1
    fi
    local install=(apt-get install -y -qq --no-install-recommends "$@")
    # The lists of a fresh machine are empty, those of an old one outdated.
    if ! "${install[@]}" &>/dev/null </dev/null; then
        apt-get update -qq
        "${install[@]}" >/dev/null </dev/null
    fi
}

# Make a virtual environment where there is none; needs a Python and a path.
new_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        apt_install python3-venv
    "$1" -m venv --clear "$2"
}

# Install what bindep.txt lists; needs a virtual environment that has bindep,
# and a profile.
install_bindep() {
    local missing
    # What is missing is listed, and then the status is not 0 either.
    if ! missing=$("$1/bin/bindep" --file "$root/bindep.txt" --brief "$2"); then
        step "Installing Debian packages: ${missing:?bindep failed}"
        # shellcheck disable=SC2086 # one word for each package
        apt_install $missing
    fi
}
