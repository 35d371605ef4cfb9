#!/usr/bin/env bash
# check.sh all|fast|lint|format|docs|build: set up, then run the steps. A step that fails is the last of its row.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

what=${1:-all}

# Where this is set, each of the hundreds of processes that tests start would compile all modules anew.
unset PYTHONDONTWRITEBYTECODE

step() {
    local name=$1
    shift
    say "$name"
    "$@" || die "step failed: $name"
}

# together ROW...: run rows of steps side by side, each on a core of its own. Each one's output is shown at its end.
together() {
    local logs row failed=""
    local -A pids=()
    logs=$(mktemp -d)
    for row in "$@"; do
        say "$row ..."
        ("$row") >"$logs/$row" 2>&1 &
        pids[$row]=$!
    done
    # Background jobs do not hear Ctrl+C.
    trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
    for row in "$@"; do
        wait "${pids[$row]}" || failed+=" $row"
        cat "$logs/$row"
    done
    trap - EXIT
    rm -r "$logs"
    [ -z "$failed" ] || die "failed:$failed, see above"
}

lint() {
    step "ruff check" "$VENV_PYTHON" -m ruff check .
    step "ruff format --check" "$VENV_PYTHON" -m ruff format --check .
    step "mypy" "$VENV_PYTHON" -m mypy
    step "import-linter" .venv/bin/lint-imports --no-logo
    step "tsc (clients/js)" node_modules/.bin/tsc -p clients/js
    step "tsc (clients/web)" node_modules/.bin/tsc -p clients/web
    step "tsc (clients/console)" node_modules/.bin/tsc -p clients/console
}

docs() {
    if [ -f tools/gendocs.py ]; then
        step "generated docs are up to date" "$VENV_PYTHON" tools/gendocs.py --check
    fi
    # --fresh-env: repeats the warnings of unchanged pages on every run.
    step "docs" "$VENV_PYTHON" -m sphinx -q -W --keep-going --fresh-env -b html docs build/docs
}

build() {
    rm -rf build/dist
    step "build" "$VENV_PYTHON" -m build --no-isolation --outdir build/dist .
}

docs_and_build() {
    docs
    build
}

tests() {
    say "pytest"
    rm -f .coverage .coverage.* # left by runs that were broken off
    # The packaging tests use the output of the build step instead of building again.
    export CHAT_SERVICE_DIST="$ROOT/build/dist"
    # exec, so that pytest's summary is the last line.
    # loadfile: hands out whole files, in the order of tests/support/distribution.py.
    # Four workers: many tests wait for a lease or a time-out, and leave the processor to others.
    exec "$VENV_PYTHON" -m pytest -n 4 --dist loadfile --cov --cov-fail-under=95
}

# The tests of a daily round: one store, nothing that starts browsers, Redis or builds.
fast() {
    say "pytest, in memory"
    export CHAT_TEST_BACKENDS=memory
    exec "$VENV_PYTHON" -m pytest -q -n 3 --dist loadfile \
        -m "not slow and not browser and not redis and not cluster" \
        tests/unit tests/feature tests/conformance tests/operations tests/e2e/test_wire.py tests/e2e/test_work.py
}

format() {
    "$VENV_PYTHON" -m ruff check --fix --quiet . || true
    step "ruff format" "$VENV_PYTHON" -m ruff format .
    step "ruff check" "$VENV_PYTHON" -m ruff check .
}

setup() { tools/setup.sh dev || die "step failed: set-up"; }

case $what in
all)
    setup
    # One core checks types, the other one makes documents and distributions.
    together lint docs_and_build
    tests
    ;;
fast | lint | format | docs | build)
    setup
    "$what"
    ;;
*) die "usage: tools/check.sh all|fast|lint|format|docs|build" ;;
esac
