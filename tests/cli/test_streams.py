"""Output in any encoding, input in any, and streams that are closed, full or no longer read."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from chat_service.cli.app import SECTIONS
from chat_service.cli.commands.tail import Follower
from chat_service.contracts.records import RoomConfig
from chat_service.stores.memory import MemoryStore
from chat_service.testing import wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.cli.conftest import Site, invoke
from tests.e2e.processes import ROOT, run
from tests.e2e.raw import websocket
from tests.support.redis_servers import free_port

pytestmark = pytest.mark.unmeasured  # the same commands as elsewhere, in other environments

#: Letters of one code page, of none, and one beyond 16 bits.
NAME = "café-\N{CJK UNIFIED IDEOGRAPH-8336}-\N{HOT BEVERAGE}-\N{TEACUP WITHOUT HANDLE}"
#: As Windows has them for pipes, and POSIX for the locale C without Python's help.
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
    "utf-16": {"PYTHONIOENCODING": "utf-16"},
    "C": {"LC_ALL": "C", "LANG": "C"},
    "posix": {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
ENCODINGS = {"C": "utf-8", "posix": "ascii", "strict": "ascii"}


def chat(
    *args: str | bytes, env: Mapping[str, str] | None = None, input: bytes | None = None, shell: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a separate process. ``shell``: redirections."""
    command: list[str | bytes] = [sys.executable, "-m", "chat_service", *args]
    if shell:
        command = ["bash", "-c", f'exec "$@" {shell}', "bash", *command]
    return subprocess.run(
        command, capture_output=True, input=input, cwd=ROOT, env={**os.environ, **(env or {})}
    )


@pytest.mark.redis
@pytest.mark.parametrize("name", ["strict", "cp1252", "utf-16", "posix"])
async def test_every_output_in_every_encoding(redis_site: Site, name: str, tmp_path: Path) -> None:
    environment, encoding = ENVIRONMENTS[name], ENCODINGS.get(name, name)
    instance = await redis_site.world.start()
    await instance.service.add_room(NAME, owner=NAME)
    await instance.service.exec_user_command(True, "roomMessage", NAME, {"textMessage": NAME})
    ann = await instance.login(NAME)
    await ann.call("roomJoin", NAME)

    # All write by the same stream: one encoding is tried with each of them.
    others = ((["users"], "caf"), (["check"], "connection")) if name == "posix" else ()
    for args, expected in ((["rooms"], "caf"), (["tail", "--no-follow", NAME], "caf"), *others):
        done = chat(*args, *redis_site.options, env=environment)
        assert (done.returncode, done.stderr) == (0, b""), (args, done)
        assert expected in done.stdout.decode(encoding)
    for args in (["rooms", NAME], ["tail", "--no-follow", NAME])[: 2 if name == "posix" else 1]:
        done = chat(*args, "--json", *redis_site.options, env=environment)
        assert (done.returncode, done.stderr) == (0, b""), (args, done)
        assert NAME in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)
    missing = chat("rooms", f"no-{NAME}", *redis_site.options, env=environment)
    assert missing.returncode == 6
    assert missing.stderr.decode(encoding).startswith("chat-service: No such room no-caf")

    config = tmp_path / "chat.toml"
    config.write_text(f'[login]\ntype = "name"\n[[rooms]]\nname = "{NAME}"\n', "utf-8")
    printed = chat("serve", "--config", str(config), "--print-config", env=environment)
    assert tomllib.loads(printed.stdout.decode(encoding))["rooms"][0]["name"] == NAME


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_help_and_errors_in_every_encoding(name: str) -> None:
    encoding = ENCODINGS.get(name, name)
    if name in ("utf-16", "posix"):  # it is ASCII, see below
        done = chat("run", "--help", env=ENVIRONMENTS[name])
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode(encoding).startswith("Usage: chat-service run")
    done = chat("caf\N{HOT BEVERAGE}", env=ENVIRONMENTS[name])
    assert done.returncode == 2
    assert done.stderr.decode(encoding).startswith("chat-service: There is no such command: caf")


def test_help_is_ascii() -> None:
    """So that no output has to spell it in another way."""
    for command in (word for words in SECTIONS.values() for word in words):
        assert invoke(command, "--help").stdout.isascii()


@pytest.mark.redis
@pytest.mark.parametrize(
    ("environment", "given", "text"),
    [
        ({"PYTHONIOENCODING": "utf-8"}, NAME.encode(), NAME),
        ({"PYTHONIOENCODING": "ascii"}, NAME.encode(), NAME),
        ({"PYTHONIOENCODING": "cp1252"}, "café".encode("cp1252"), "café"),
        ({"PYTHONIOENCODING": "utf-8"}, b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        ({"LC_ALL": "C"}, b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
    ],
)
async def test_input_in_every_encoding(
    redis_site: Site, environment: dict[str, str], given: bytes, text: str
) -> None:
    instance = await redis_site.world.start()
    await instance.service.add_room("tea")
    done = chat("send", "tea", "-", *redis_site.options, env=environment, input=given + b"\r\nlast")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    found = await instance.service.exec_user_command(True, "roomRecentHistory", "tea")
    assert [message["textMessage"] for message in found[0]] == ["last", text]


@pytest.mark.redis
@pytest.mark.parametrize("command", ["rooms", "users", "tail", "recover", "send"])
def test_arguments_that_are_not_text(command: str) -> None:
    arguments = [b"\xff", b"x"] if command == "send" else [b"\xff"]
    done = chat(command, "--url", "redis://127.0.0.1:1", *arguments)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done
    assert b"is not text in the encoding of this locale" in done.stderr


@pytest.mark.redis
async def test_streams_that_are_closed(redis_site: Site) -> None:
    instance = await redis_site.world.start()
    await instance.service.add_room("tea")
    none, errors, no_stream = ">&-", "2>&-", "<&- >&- 2>&-"
    for args, input, shells in (
        (["rooms"], None, (none, errors, no_stream)),
        (["rooms", "--json"], None, (none,)),
        (["send", "tea", "-"], b"x\n", (none, errors, no_stream)),
    ):
        for shell in shells:
            done = chat(*args, *redis_site.options, shell=shell, input=input)
            assert (done.returncode, done.stderr) == (0, b""), (args, shell, done)
    done = chat("rooms", "no", *redis_site.options, shell="2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (6, b"", b"")
    found = await instance.service.exec_user_command(True, "roomRecentHistory", "tea")
    assert len(found[0]) == 2, "the third one had no input"
    full = chat("rooms", *redis_site.options, shell=">/dev/full")
    assert full.returncode == 1 and full.stderr.count(b"\n") == 1
    assert full.stderr.endswith(b"No space left on device\n"), full.stderr


@pytest.mark.redis
async def test_a_reader_that_closes_the_pipe(redis_site: Site) -> None:
    """As ``chat-service tail --json room | head -1``."""
    instance = await redis_site.world.start()
    await instance.service.add_room("tea")
    for number in range(3):
        await instance.service.exec_user_command(True, "roomMessage", "tea", {"textMessage": str(number)})
    for form in (["--json"], []):
        command = [
            sys.executable,
            "-m",
            "chat_service",
            "tail",
            "--no-follow",
            "tea",
            *form,
            *redis_site.options,
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait() == 1
        assert process.stderr.read() == b""
        process.stderr.close()


@pytest.mark.parametrize("shell", ["", ">&- 2>&-", "<&- >&- 2>&-"])
async def test_serve_goes_on_without_its_output(tmp_path: Path, shell: str) -> None:
    config, port = tmp_path / "chat.toml", free_port()
    config.write_text(f'[login]\ntype = "name"\n[service]\nport = {port}\n')
    command = (sys.executable, "-m", "chat_service", "serve", "--config", config)
    async with run("bash", "-c", f'exec "$@" {shell}', "bash", *command) as process:

        async def talks() -> bool:
            # The free port may be used by another test for a moment.
            with contextlib.suppress(OSError, WebSocketException):
                async with websocket(port):
                    return True
            return False

        await wait_until(talks, "the service")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.parametrize("stay", [300, 1], ids=["those who are out are named", "those who stay are named"])
async def test_tail_shows_once_that_many_users_were_removed(stay: int) -> None:
    room, users = RoomName("room"), [UserName(f"user{number}") for number in range(210 + stay)]
    follower, store, out = Follower(room), MemoryStore(), users[stay:]
    await store.open(follower)
    await store.room_create(room, RoomConfig())
    for user in users:
        await store.room_join(room, user, SocketId(user), InstanceId("here"), 0, announce=False)
    stream = follower.follow(store, 0)
    first = asyncio.ensure_future(anext(stream))
    await wait_until(lambda: bool(store.backend.hub.topics()), "the room is followed")
    await store.room_remove_users(room, out, 1)
    shown: list[str] = list((await first).args[1:])
    while len(shown) < len(out):
        shown += (await anext(stream)).args[1:]
    assert shown == out
    await store.close()
