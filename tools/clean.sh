#!/usr/bin/env bash
# clean.sh: remove outputs and caches. clean.sh all: also remove everything that set-up installed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rm -rf build dist clients/js/dist chat_service/demo/static chat_service/http_api/console chat_service/transports/socketio/browser htmlcov .coverage .coverage.* coverage.xml \
    .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
if [ "${1:-}" = all ]; then
    rm -rf .venv node_modules benchmarks/peers/node_modules
fi
find . \( -name .git -o -name .venv -o -name node_modules \) -prune -o -name __pycache__ -type d -exec rm -rf {} +
