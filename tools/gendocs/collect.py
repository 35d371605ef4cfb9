"""A pytest plugin that records the ``@pytest.mark.covers`` markers of tests."""

import json
import os
from pathlib import Path

import pytest

#: Environment variable with the path of the output file.
OUTPUT_VARIABLE = "CHAT_SERVICE_COVERS"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write ``[[item, test id without parameters], ...]``, each pair once, in the order of collection."""
    pairs: dict[tuple[str, str], None] = {}
    for test in session.items:
        for marker in test.iter_markers("covers"):
            for item in marker.args:
                pairs[str(item), test.nodeid.partition("[")[0]] = None
    Path(os.environ[OUTPUT_VARIABLE]).write_text(json.dumps(list(pairs)), "utf-8")
