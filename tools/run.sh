#!/usr/bin/env bash
# Set up and run the web chat. PORT: the port (8000). BIND: the address (127.0.0.1, reachable only from this machine;
# 0.0.0.0 for all).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools/setup.sh run
export PORT=${PORT:-8000}
say "starting the web chat on port $PORT, Ctrl+C stops it"
exec "$VENV_PYTHON" -m chat_service.demo "$@"
