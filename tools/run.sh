#!/usr/bin/env bash
# Set up what the web chat needs, and run it in place of this script. PORT: where (8000). BIND: the address
# (127.0.0.1, which only this machine can reach; 0.0.0.0 for all).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools/setup.sh run
export PORT=${PORT:-8000}
say "starting the web chat on port $PORT, Ctrl+C stops it"
exec "$VENV_PYTHON" -m chat_service.demo "$@"
