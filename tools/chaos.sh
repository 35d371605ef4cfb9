#!/usr/bin/env bash
# chaos.sh [ARGUMENTS]: set up what tests need, then run random scenarios with faults and judge them.
# CHAOS_MINUTES: for how long (default 10). ARGUMENTS go to `python -m tests.chaos`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools/setup.sh dev || die "step failed: set-up"
exec "$VENV_PYTHON" -m tests.chaos --minutes "${CHAOS_MINUTES:-10}" "$@"
