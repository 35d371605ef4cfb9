#!/usr/bin/env bash
# Set up what the server needs, and run the example server in place of this script.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools/setup.sh run
export PORT=${PORT:-8000}
say "starting example/server.py on port $PORT, Ctrl-C ends it"
exec "$VENV_PYTHON" example/server.py "$@"
