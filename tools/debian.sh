# Debian packages for tools/demo.sh and tools/test.sh, which source this.

# Install packages; the first argument and all others are their names.
apt_install() {
    if (( EUID != 0 )); then
        echo "Missing, and only root can install them: $*" >&2
        return 1
    fi
    # Debian starts the services that it installs, unless this file prevents
    # it; the tests start their own.
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ -e $policy ]]; then
        apt_get_install "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    apt_get_install "$@" || status=$?
    rm -f "$policy"
    return "$status"
}

apt_get_install() {
    local install=(apt-get install -y -qq --no-install-recommends "$@")
    # The package lists may be empty or outdated.
    "${install[@]}" &>/dev/null </dev/null ||
        { apt-get update -qq && "${install[@]}" >/dev/null </dev/null; }
}

# Create a virtual environment; the arguments are a Python and a path.
new_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        apt_install python3-venv
    "$1" -m venv --clear "$2"
}

# Install the packages in bindep.txt; the arguments are a virtual environment
# that has bindep, and a profile.
install_bindep() {
    local missing
    # Missing packages are listed, and the status is not 0 then.
    if ! missing=$("$1/bin/bindep" --file "$root/bindep.txt" --brief "$2"); then
        step "Installing Debian packages: ${missing:?bindep failed}"
        # shellcheck disable=SC2086 # one word for each package
        apt_install $missing
    fi
}
