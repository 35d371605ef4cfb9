"""Writing and checking the generated files."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.gendocs import (
    api,
    asyncapi,
    client_protocol,
    command_line,
    contract,
    coverage,
    metrics,
    modules,
    openapi_document,
    python_client,
    tables,
)
from tools.gendocs.source import ROOT

DOCS = ROOT / "docs"
CLIENTS = ROOT / "clients"


def reference_pages() -> dict[str, str]:
    """The pages that need no collected tests, by path under docs/."""
    return {
        "reference/commands.md": tables.commands(),
        "reference/notifications.md": tables.notifications(),
        "reference/errors.md": tables.errors(),
        "reference/options.md": tables.option_page(),
        "reference/hooks.md": tables.hook_page(),
        "reference/server-api.md": api.server_api_page(),
        "reference/stores-and-transports.md": api.plugins_page(),
        "reference/asyncapi.yaml": asyncapi.page(),
        "reference/openapi.json": openapi_document.openapi_text(),
        "reference/command-line.md": command_line.command_line_page(),
        "reference/environment.md": command_line.environment_page(),
        "reference/metrics.md": metrics.metrics_page(),
        "reference/modules.md": modules.modules_page(),
    }


def client_modules() -> dict[str, str]:
    """Sources generated for the clients, by path under clients/."""
    return {"js/src/protocol.ts": client_protocol.protocol_module()}


def python_modules() -> dict[str, str]:
    """Sources generated for the Python client, by path under its folder."""
    return {python_client.PATH: python_client.commands_module()}


def stale(directory: Path, pages: Mapping[str, str]) -> list[str]:
    """One line for each page that is missing or outdated in a directory."""
    found = []
    for name, text in pages.items():
        path = directory / name
        if not path.exists():
            found.append(f"{path.relative_to(directory.parent)} is missing")
        elif path.read_text("utf-8") != text:
            found.append(f"{path.relative_to(directory.parent)} is out of date")
    return found


def _written(pages: Mapping[str, str]) -> Sequence[tuple[Path, Mapping[str, str]]]:
    return (DOCS, pages), (CLIENTS, client_modules()), (python_client.FOLDER, python_modules())


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(prog="gendocs", description="Write the generated pages of docs/.")
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing; exit with 1 if a page is out of date or an item of the contract has no test",
    )
    check = parser.parse_args(arguments).check
    items = contract.items()
    try:
        covers = coverage.collect()
    except coverage.CollectionError as error:
        print(f"{error}\ngendocs: pytest could not collect the tests, see above", file=sys.stderr)
        return 1
    pages = reference_pages() | {"coverage.md": coverage.coverage_page(items, covers)}
    problems = coverage.problems(items, covers)
    if check:
        out_of_date = stale(DOCS, pages) + stale(CLIENTS, client_modules())
        out_of_date += stale(python_client.FOLDER, python_modules())
        problems = [f"{line}: run python tools/gendocs.py and commit it" for line in out_of_date] + problems
    else:
        for directory, files in _written(pages):
            for name, text in files.items():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_text(text, "utf-8")
    for line in problems:
        print(f"gendocs: {line}", file=sys.stderr)
    return 1 if check and problems else 0
