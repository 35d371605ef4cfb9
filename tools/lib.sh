# Sourced by the scripts in this directory after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Only relative paths from here on, so that the location of the checkout does not matter.
cd "$ROOT"

VENV_PYTHON=.venv/bin/python

say() { printf '==> %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

# fingerprint FILE...: changes with the files and the location of the checkout, which virtual environments store in
# their scripts. cksum exists on every Unix, unlike sha256sum.
fingerprint() { { printf '%s\n' "$ROOT"; cat "$@"; } | cksum; }

# fresh STAMP FINGERPRINT: is the target up to date?
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# Print the first interpreter that runs and is new enough. If $PYTHON is set, it is the only candidate.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} $([ -n "${PYTHON:-}" ] || echo python3.13 python3.12 python3.11 python3); do
        # Running it also excludes version-manager shims for versions that are not installed.
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        die "PYTHON=$PYTHON does not run, or is older than Python 3.11."
    fi
    die "Python 3.11 or newer is needed, found: $(python3 --version 2>/dev/null || echo none)." \
        "Debian 12, Ubuntu 24.04 or newer: apt-get install python3 python3-venv" \
        "macOS: brew install python@3.13. Or name an interpreter: PYTHON=/path/to/python3.13"
}

# has_command COMMAND: also looks where Debian installs servers such as nginx, outside the PATH of ordinary users.
has_command() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

# need_command COMMAND DEBIAN_PACKAGE...: ensure that the command exists.
need_command() {
    local command=$1
    shift
    has_command "$command" && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing Debian packages: $*"
        # RUNLEVEL=1: install only the programs, without starting services.
        # Fetch the package lists only if the present ones are insufficient.
        RUNLEVEL=1 apt_install "$@" || { apt-get -qq update && RUNLEVEL=1 apt_install "$@"; } || true
        hash -r
        has_command "$command" && return
    fi
    die "$command is needed by the tests and is not installed." "Debian, Ubuntu: sudo apt-get install $*"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >/dev/null 2>&1
}
