#!/usr/bin/env bash
# chaos.sh [ARGUMENTS]: set up, then run random scenarios with faults and check the results.
# CHAOS_MINUTES: duration (default 10). CHAOS_FAULTS: faults to choose from, by commas (default: all).
# ARGUMENTS are passed to `python -m tests.chaos`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools/setup.sh dev || die "step failed: set-up"
exec "$VENV_PYTHON" -m tests.chaos --minutes "${CHAOS_MINUTES:-10}" --faults "${CHAOS_FAULTS:-}" "$@"
