#!/usr/bin/env bash
# setup.sh run: set up the server. setup.sh dev: also the checks and tests. setup.sh bench: the server and benchmarks.
# Fast if nothing changed: stamps hold a fingerprint of the files that define what to install.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

kind=${1:-dev}
case $kind in run | dev | bench) ;; *) die "usage: tools/setup.sh run|dev|bench" ;; esac

# Programs that the tests use, with their Debian packages: "command package...".
TEST_PROGRAMS=(
    "redis-server redis-server"
    "nginx nginx-light"
    "gcc gcc libc6-dev"
)
BENCH_PROGRAMS=(
    "redis-server redis-server"
    "gcc gcc libc6-dev"
)

make_venv() {
    local python
    python=$(find_python)
    # Debian omits ensurepip, without which the environment would have no pip.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python cannot make virtual environments: it has no venv or no ensurepip." \
            "Debian, Ubuntu: sudo apt-get install python3-venv (for another than the system's: pythonX.Y-venv)"
    say "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
    printf '%s\n' "$ROOT" >.venv/made-for
}

# Recreate an environment that was moved or whose interpreter is gone. Update a working one in place, since it may be
# in use.
venv_works() {
    "$VENV_PYTHON" -m pip --version >/dev/null 2>&1 || return
    # Without that file it was created by hand and is left alone.
    [ ! -f .venv/made-for ] || [ "$(cat .venv/made-for)" = "$ROOT" ]
}

pip_install() {
    "$VENV_PYTHON" -m pip --disable-pip-version-check install -qq -c constraints.txt "$@"
}

setup_python() {
    local wanted
    wanted=$(fingerprint pyproject.toml constraints.txt)
    # The development environment includes everything for `run`.
    if fresh ".venv/stamp-$kind" "$wanted" || { [ "$kind" = run ] && fresh .venv/stamp-dev "$wanted"; }; then
        # Checking the interpreter is enough; starting pip would take longer than everything else.
        "$VENV_PYTHON" -c '' 2>/dev/null && return
    fi
    venv_works || make_venv
    say "installing Python packages ($kind) ..."
    # Install the pinned build backend first; pip would fetch the newest one.
    pip_install hatchling
    case $kind in
    run) pip_install --no-build-isolation -e . ;;
    *) pip_install --no-build-isolation -e ".[$kind]" ;;
    esac
    printf '%s\n' "$wanted" >".venv/stamp-$kind"
}

node_works() {
    local version
    command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return # v20.1.2
    version=${version#v}
    [ "${version%%.*}" -ge 18 ]
}

# setup_node DIRECTORY: install the packages of its package.json and those of its workspaces.
setup_node() {
    local directory=$1 wanted
    local -a files=("$directory/package.json" "$directory/package-lock.json")
    need_command node nodejs npm
    need_command npm nodejs npm
    node_works ||
        die "Node.js 18 or newer is needed, found $(node --version)." \
            "Debian 12, Ubuntu 24.04 or newer: sudo apt-get install nodejs npm"
    [ "$directory" != . ] || files+=(clients/*/package.json)
    wanted=$(fingerprint "${files[@]}")
    fresh "$directory/node_modules/.stamp" "$wanted" && return
    say "installing JavaScript packages ($directory) ..."
    (cd "$directory" &&
        npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null)
    printf '%s\n' "$wanted" >"$directory/node_modules/.stamp"
}

# Build the client library into clients/js/dist, the web chat and the console into the package. The stamps are part of
# the output and independent of the location, so that source distributions can include them.
build_clients() {
    local stamp=chat_service/demo/static/sources.txt console=chat_service/http_api/console/sources.txt
    local browser=chat_service/transports/socketio/browser/sources.txt wanted
    wanted=$("$VENV_PYTHON" tools/webchat.py)
    if [ "$kind" = run ]; then
        ! fresh "$stamp" "$wanted" || ! fresh "$console" "$wanted" || ! fresh "$browser" "$wanted" || return 0
        if ! node_works && ! { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }; then
            # The server works without it and serves a page that says so.
            printf '%s\n' "warning: the web chat is built by Node.js 18 or newer, which is not installed." \
                "         Debian, Ubuntu: sudo apt-get install nodejs npm. Until then the server runs without" \
                "         the page, or with the one that was built before." >&2
            return 0
        fi
    fi
    setup_node .
    if ! fresh clients/js/dist/sources.txt "$wanted" || ! fresh "$stamp" "$wanted" ||
        ! fresh "$console" "$wanted" || ! fresh "$browser" "$wanted"; then
        say "building the web chat and the console ..."
        npm run --silent build
        printf '%s\n' "$wanted" >clients/js/dist/sources.txt
        printf '%s\n' "$wanted" >"$stamp"
        printf '%s\n' "$wanted" >"$console"
        printf '%s\n' "$wanted" >"$browser"
    fi
}

setup_programs() {
    local entry
    for entry in "$@"; do
        # shellcheck disable=SC2086  # a command and its packages, to be split
        need_command $entry
    done
}

# Chromium, which shows notifications, and the one without a window, which takes a quarter of the time but does not. Where no
# package has the second, the first does everything.
setup_browsers() {
    need_command chromium chromium
    has_command chromium-headless-shell && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        if apt-cache show chromium-headless-shell >/dev/null 2>&1; then
            apt_install chromium-headless-shell || true
            hash -r
        fi
    fi
}

# Concurrent set-ups would disturb each other. Without flock there is no protection.
if command -v flock >/dev/null; then
    mkdir -p build
    exec 9>build/setup.lock
    flock 9
fi

setup_python
case $kind in
run)
    build_clients
    ;;
dev)
    build_clients
    setup_programs "${TEST_PROGRAMS[@]}"
    setup_browsers
    ;;
bench)
    setup_node benchmarks/peers
    setup_programs "${BENCH_PROGRAMS[@]}"
    ;;
esac
