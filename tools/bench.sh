#!/usr/bin/env bash
# Set up and run the benchmarks. Arguments: see python -m benchmarks --help
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(uname -s)" = Linux ] || die "The benchmarks need Linux: they pin processes to cores and read /proc."
tools/setup.sh bench
exec "$VENV_PYTHON" -m benchmarks "$@"
