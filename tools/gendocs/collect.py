"""A pytest plugin that records the ``@pytest.mark.covers`` markers of tests."""

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Environment variable with the path of the output file.
OUTPUT_VARIABLE = "CHAT_SERVICE_COVERS"

_PARAM = type(pytest.param())


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: Any
) -> list[pytest.Item] | None:
    """One item per test function, whatever its parameters: thousands of cases would take twice as long."""
    if inspect.isroutine(obj) and collector.istestfunction(obj, name):
        return [pytest.Function.from_parent(collector, name=name)]
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write ``[[item, test id without parameters], ...]``, each pair once, in the order of collection."""
    pairs: dict[tuple[str, str], None] = {}
    for test in session.items:
        for marker in _covers(test):
            for item in marker.args:
                pairs[str(item), test.nodeid.partition("[")[0]] = None
    Path(os.environ[OUTPUT_VARIABLE]).write_text(json.dumps(list(pairs)), "utf-8")


def _covers(test: pytest.Item) -> Iterator[pytest.Mark]:
    """The markers of the test, and those of single cases: ``pytest.param(..., marks=...)``."""
    yield from test.iter_markers("covers")
    for table in test.iter_markers("parametrize"):
        for case in table.args[1]:
            for marker in case.marks if isinstance(case, _PARAM) else ():
                mark = getattr(marker, "mark", marker)
                if mark.name == "covers":
                    yield mark
