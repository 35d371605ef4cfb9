"""A pytest plugin that writes down which test covers what, from ``@pytest.mark.covers`` markers."""

import json
import os
from pathlib import Path

import pytest

#: Names the file to write to.
OUTPUT_VARIABLE = "CHAT_SERVICE_COVERS"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write ``[[item, test id without parameters], ...]``, each pair once, in the order of collection."""
    pairs: dict[tuple[str, str], None] = {}
    for test in session.items:
        for marker in test.iter_markers("covers"):
            for item in marker.args:
                pairs[str(item), test.nodeid.partition("[")[0]] = None
    Path(os.environ[OUTPUT_VARIABLE]).write_text(json.dumps(list(pairs)), "utf-8")
