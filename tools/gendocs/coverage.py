"""Generates docs/coverage.md: every item of the contract with the tests that cover it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.gendocs.collect import OUTPUT_VARIABLE
from tools.gendocs.contract import TITLES
from tools.gendocs.markdown import page, table
from tools.gendocs.source import ROOT


class CollectionError(Exception):
    """pytest could not collect the tests. The text is its output."""


def collect() -> list[tuple[str, str]]:
    """Pairs of an item and a test that covers it. Raises ``CollectionError``."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "covers.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "tools.gendocs.collect"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider"],
            cwd=ROOT,
            env={**os.environ, OUTPUT_VARIABLE: str(output)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not output.exists():
            raise CollectionError(done.stdout[-4000:])
        return [(item, test) for item, test in json.loads(output.read_text("utf-8"))]


def problems(items: Mapping[str, list[str]], covers: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each item without a test and each marker without an item."""
    known = {f"{kind}:{name}" for kind, names in items.items() for name in names}
    covered = dict(covers)
    missing = [f"no test covers {item}" for item in sorted(known - covered.keys())]
    unknown = [
        f"{covered[item]} covers {item}, which is not an item of the contract"
        for item in sorted(covered.keys() - known)
    ]
    return missing + unknown


def coverage_page(items: Mapping[str, list[str]], covers: Iterable[tuple[str, str]]) -> str:
    """Render the page, with links to the test files."""
    tests: dict[str, list[str]] = {}
    for item, test in covers:
        tests.setdefault(item, []).append(test)

    def count(kind: str) -> int:
        return sum(f"{kind}:{name}" in tests for name in items[kind])

    overview = [(TITLES[kind], str(len(items[kind])), str(count(kind))) for kind in items]
    parts = [
        "Every item of the contract and the tests that fail without it. Tests declare what they cover with "
        '`@pytest.mark.covers("kind:name")`.\n\n',
        table(("kind", "items", "with tests"), overview),
    ]
    for kind, names in items.items():
        parts.append(f"## {TITLES[kind]}\n\n")
        parts.extend(_item(name, tests.get(f"{kind}:{name}", [])) for name in names)
        parts.append("\n")
    return page("Coverage of the contract", *parts)


def _item(name: str, tests: list[str]) -> str:
    shown = name if " " in name else f"`{name}`"
    if not tests:
        return f"- {shown}: **no test**\n"
    by_file: dict[str, list[str]] = {}
    for test in sorted(tests):
        file, _, function = test.partition("::")
        by_file.setdefault(file, []).append(f"`{function.replace('::', '.')}`")
    lines = [f"  - [{file}](../{file}): {', '.join(functions)}\n" for file, functions in by_file.items()]
    return f"- {shown}\n" + "".join(lines)
