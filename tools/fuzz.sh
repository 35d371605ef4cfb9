#!/usr/bin/env bash
# fuzz.sh [ARGUMENTS]: set up, then attack a service with random bytes and packets, and print a table of the findings.
# FUZZ_MINUTES: duration (default 10). ARGUMENTS are passed to `python -m tests.security.fuzz`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools/setup.sh dev || die "step failed: set-up"
exec "$VENV_PYTHON" -m tests.security.fuzz --minutes "${FUZZ_MINUTES:-10}" "$@"
