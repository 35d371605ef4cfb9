"""The generator of the reference pages and of the coverage page."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from chat_service import errors
from chat_service.commands.table import TABLE
from chat_service.contracts import activity_store, instance_store, room_store, user_store
from chat_service.contracts import store as base
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service import chat_service, server_api
from chat_service.transports.socketio import socketio_options as options
from tools.gendocs import contract, coverage, main
from tools.gendocs.markdown import table
from tools.gendocs.source import ROOT, Module


def test_signatures_read_as_they_are_written() -> None:
    methods = {method.name: method for method in Module(server_api).methods("ServerAPI")}
    assert methods["has_room"].signature == "async def has_room(name: str) -> bool: ..."
    assert methods["get_instance_heartbeat"].signature == (
        "async def get_instance_heartbeat(instance_id: str | None = None) -> int | None: ..."
    )
    assert methods["add_room"].signature.splitlines()[:4] == [
        "async def add_room(",
        "    name: str,",
        "    *,",
        "    owner: str | None = None,",
    ]
    assert methods["has_room"].section == "Rooms"
    assert methods["has_room"].doc == "Whether the room exists."
    assert not [name for name in methods if name.startswith("_")]


def test_properties_and_overloads() -> None:
    methods = {method.name: method for method in Module(chat_service).methods("ChatService")}
    assert methods["port"].is_property
    assert methods["on"].signature == "def on(event: str, listener: Hook | None = None) -> Any: ..."


def test_fields_have_their_comments_and_defaults() -> None:
    made = {field.name: field for field in Module(options).fields("SocketIOOptions")}
    assert made["ping_timeout"].default == "20.0"
    assert (
        made["ping_timeout"].doc
        == "Maximum time in seconds for a client to answer a ping, or to read some of its backlog."
    )
    assert made["transports"].default == "('polling', 'websocket')"


def test_every_method_of_the_contracts_has_a_text() -> None:
    parts = {
        base: "Store",
        user_store: "UserStore",
        room_store: "RoomStore",
        activity_store: "ActivityStore",
        instance_store: "InstanceStore",
    }
    for module, name in parts.items():
        assert not [method.name for method in Module(module).methods(name) if not method.doc]


def test_texts_do_not_name_files_that_readers_lack() -> None:
    for name, text in main.reference_pages().items():
        assert "protocol.md" not in text, name
        assert "server-api.md," not in text, name


def test_pages_hold_every_row() -> None:
    pages = main.reference_pages()
    for command in TABLE:
        assert f"\n## {command.name}\n" in pages["reference/commands.md"]
    for code in errors.ERROR_TEXTS:
        assert f"| `{code}` |" in pages["reference/errors.md"]


def test_client_module_holds_every_row() -> None:
    text = main.client_modules()["js/src/protocol.ts"]
    for command in TABLE:
        assert f"\n  {command.name}(" in text
    for notification in NOTIFICATIONS:
        assert f"\n  {notification.name}(" in text
    for code in errors.ERROR_TEXTS:
        assert f'\n  "{code}": ' in text
    assert "\n  roomMessage(roomName: string, message: M, options?: RoomMessageOptions): number;" in text
    assert "\n  idempotencyKey?: string;" in text
    assert "\n  roomMessage: [outcome?: SendOutcome];" in text
    assert "\n  roomMessage(roomName: string, message: Stored<M>): void;" in text
    assert "SentMessage" not in text and "ChatError" not in text


def test_pipes_in_cells_are_escaped() -> None:
    assert table(("a",), [("x | y",)]) == "| a |\n| --- |\n| x \\| y |\n\n"


def test_columns_without_words_are_left_out() -> None:
    assert table(("a", "b"), [("x", ""), ("y", "")]) == "| a |\n| --- |\n| x |\n| y |\n\n"


def test_stale_pages_are_named(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "good.md").write_text("same", "utf-8")
    (docs / "old.md").write_text("before", "utf-8")
    pages = {"good.md": "same", "old.md": "after", "new.md": "new"}
    assert main.stale(docs, pages) == ["docs/old.md is out of date", "docs/new.md is missing"]


def test_items_without_tests_and_markers_without_items_are_named() -> None:
    items = {"command": ["roomJoin", "roomLeave"]}
    covers = [("command:roomJoin", "tests/a.py::test_join"), ("command:roomJump", "tests/a.py::test_jump")]
    assert coverage.problems(items, covers) == [
        "no test covers command:roomLeave",
        "tests/a.py::test_jump covers command:roomJump, which is not an item of the contract",
    ]


def test_coverage_page_links_tests_by_file() -> None:
    items = {"command": ["roomJoin", "roomLeave"]}
    covers = [
        ("command:roomJoin", "tests/a.py::test_two"),
        ("command:roomJoin", "tests/a.py::test_one"),
        ("command:roomJoin", "tests/b.py::Suite::test_three"),
    ]
    lines = coverage.coverage_page(items, covers).splitlines()
    assert "| Commands | 2 | 1 |" in lines
    assert "- `roomJoin`" in lines
    assert "  - [tests/a.py](../tests/a.py): `test_one`, `test_two`" in lines
    assert "  - [tests/b.py](../tests/b.py): `Suite.test_three`" in lines
    assert "- `roomLeave`: **no test**" in lines


def test_contract_is_complete() -> None:
    counts = {kind: len(names) for kind, names in contract.items().items()}
    assert (counts["command"], counts["notification"], counts["error"]) == (32, 23, 26)
    assert list(counts) == list(contract.TITLES)


async def test_markers_are_collected_once_per_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n"
        '@pytest.mark.covers("error:noRoom", "command:roomJoin")\n'
        '@pytest.mark.parametrize("n", [1, 2])\n'
        "def test_it(n): pass\n"
        "class TestAll:\n"
        '    @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.covers("error:noList"))])\n'
        "    async def test_them(self, n): pass\n",
        "utf-8",
    )
    output = tmp_path / "covers.json"
    monkeypatch.setenv("CHAT_SERVICE_COVERS", str(output))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arguments = ("--collect-only", "-q", "-p", "no:cacheprovider", "-p", "tools.gendocs.collect")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *arguments, "-c", os.devnull, "--rootdir=.", "test_sample.py"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    assert output.read_text("utf-8") == (
        '[["error:noRoom", "test_sample.py::test_it"], ["command:roomJoin", "test_sample.py::test_it"], '
        '["error:noList", "test_sample.py::TestAll::test_them"]]'
    )
