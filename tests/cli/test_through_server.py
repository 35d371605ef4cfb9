"""tail and send with --server: through the network, as a user."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import Result

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.cli.conftest import invoke
from tests.e2e.processes import Process, run
from tests.redis.proxy import Proxy
from tests.support.redis_servers import free_port

COMMAND = (sys.executable, "-m", "chat_service")


def who(service: ChatService, socket_id: str) -> str | None:
    """The name of a query, or of a token or another field of the auth object."""
    handshake = service.transport.get_handshake_data(socket_id)
    auth = handshake.auth if isinstance(handshake.auth, dict) else {}
    return auth.get("token") or auth.get("badge") or handshake.query.get("userName")


@pytest.fixture
async def service() -> AsyncIterator[ChatService]:
    made = ChatService(host="127.0.0.1", port=0, hooks={"on_connect": who}, history_max_get_messages=5)
    async with made:
        await made.add_room("tea", enable_userlist_updates=True)
        yield made


@pytest.fixture
async def proxy(service: ChatService) -> AsyncIterator[Proxy]:
    assert service.port is not None
    async with Proxy(service.port) as made:
        yield made


def at(port: int | None, user: str = "ann") -> list[str]:
    return ["--server", f"http://127.0.0.1:{port}", "--user", user]


async def call(*args: str, code: int = 0, input: str | None = None) -> Result:
    result = await asyncio.to_thread(invoke, *args, input=input)
    assert result.exit_code == code, (result.exit_code, result.output)
    return result


async def post(service: ChatService, *texts: str) -> None:
    for text in texts:
        message = {"textMessage": text, "author": "server"}
        await service.exec_user_command(True, "roomMessage", "tea", message)


async def stored(service: ChatService) -> list[tuple[str, str]]:
    [found] = await service.exec_user_command(True, "roomHistoryGet", "tea", 0, 100)
    return [(message["author"], message["textMessage"]) for message in reversed(found)]


def printed(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.output.splitlines()]


@pytest.mark.covers("cli:send")
async def test_send_prints_the_ids(service: ChatService) -> None:
    server = at(service.port)
    assert (await call("send", *server, "tea", "one")).stdout == "1\n"
    assert (await call("send", *server, "tea", "-", input="two\nthree\n")).stdout == "2\n3\n"
    result = await call("send", *server, "--json", "--message", '{"textMessage": "four"}', "tea")
    assert json.loads(result.stdout) == {"room": "tea", "ids": [4]}
    assert await stored(service) == [("ann", text) for text in ("one", "two", "three", "four")]


async def test_a_key_makes_a_repeated_send_one_message(service: ChatService) -> None:
    args = ["send", *at(service.port), "--key", "build-7", "tea"]
    for _ in range(2):
        assert (await call(*args, "out")).stdout == "1\n"
    failed = await call(*args, "another", code=1)
    assert "build-7 was used for another message" in failed.stderr
    assert await stored(service) == [("ann", "out")]


async def test_send_over_a_connection_that_breaks(service: ChatService, proxy: Proxy) -> None:
    """The message is stored, but its answer is lost."""
    async with run(*COMMAND, "send", *at(proxy.port), "tea", "-") as process:
        await process.write("one\n")
        await process.wait_for("1")
        proxy.deaf = lambda connection: True
        await process.write("two\n")

        async def is_stored() -> bool:
            return len(await stored(service)) == 2

        await wait_until(is_stored, "the second message")
        proxy.mend()
        proxy.cut()
        await process.wait_for("2")
        await process.write("")
        assert await process.wait() == 0, process.errors
    assert await stored(service) == [("ann", "one"), ("ann", "two")]


async def test_ctrl_c_ends_a_send_that_waits_for_input(service: ChatService) -> None:
    async with run(*COMMAND, "send", *at(service.port), "tea", "-") as process:
        await process.write("one\n")
        await process.wait_for("1")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130, process.errors
        assert process.errors.strip() == ""


@pytest.mark.parametrize(
    "login", [["--token", "ben"], ["--auth", '{"badge": "ben"}'], ["--user", "ann", "--token", "ben"]]
)
async def test_logins(service: ChatService, login: list[str]) -> None:
    await call("send", "--server", f"http://127.0.0.1:{service.port}", *login, "tea", "x")
    assert await stored(service) == [("ben", "x")]


async def test_tail_shows_the_history(service: ChatService) -> None:
    await post(service, *map(str, range(1, 13)))
    shown = (await call("tail", *at(service.port), "--no-follow", "-n", "8", "tea")).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in shown] == [f"#{n} server: {n}" for n in range(5, 13)]
    assert (await call("tail", *at(service.port), "--no-follow", "-n", "0", "tea")).stdout == ""


@pytest.mark.covers("cli:tail")
async def test_tail_follows_over_lost_connections(service: ChatService, proxy: Proxy) -> None:
    await post(service, "1")
    args = ["tail", *at(proxy.port), "--json", "--events", "tea"]
    async with run(*COMMAND, *args) as process:
        await process.wait_for('"1"')
        await post(service, "2")
        await process.wait_for('"2"')
        proxy.refuse = lambda writer: writer.close()
        proxy.cut()
        await post(service, *map(str, range(3, 21)))
        proxy.mend()
        await process.wait_for('"20"')
        await service.change_room_history_max_size("tea", 1)
        proxy.refuse = lambda writer: writer.close()
        proxy.cut()
        await post(service, "21", "22")
        proxy.mend()
        await process.wait_for('"22"')
        await service.delete_room("tea")
        await process.wait_for('"deleted"')
        assert await process.wait() == 0, process.errors
    told = printed(process)
    assert [item["message"]["id"] for item in told if "message" in item] == [*range(1, 21), 22]
    assert [item for item in told if item["kind"] == "gap"] == [
        {"kind": "gap", "room": "tea", "from": 21, "to": 21}
    ]
    assert {item["event"] for item in told if item["kind"] == "event"} == {"roomUserJoined"}


async def test_a_tail_whose_access_is_lost(service: ChatService) -> None:
    await post(service, "1")
    async with run(*COMMAND, "tail", *at(service.port), "tea") as process:
        await process.wait_for("#1 server: 1")
        await service.exec_user_command(True, "roomAddToList", "tea", "blacklist", ["ann"])
        assert await process.wait() == 1
    assert process.errors == "chat-service: Action is not allowed\n"


async def test_errors_are_one_line(service: ChatService) -> None:
    url, ann = f"http://127.0.0.1:{service.port}", at(service.port)
    for args, code, text in (
        ([*ann, "nowhere"], 6, "No such room nowhere"),
        (["--server", f"http://127.0.0.1:{free_port()}", "tea"], 4, "cannot connect to http://127.0.0.1:"),
        (["--server", url, "tea"], 4, f"{url} rejects the login: No login provided"),
        (["--server", "redis://x", "tea"], 2, "--server: expected http://"),
        (["--server", url, "--auth", "x", "tea"], 2, "--auth is not valid JSON"),
        (["--server", url, "--auth", "[1]", "tea"], 2, "--auth: expected a JSON object"),
        ([*ann, "--url", "redis://x", "tea"], 2, "give either --server, or the options of a store"),
        (["--url", "redis://x", "--user", "ann", "tea"], 2, "--user, --token and --auth require --server"),
    ):
        failed = await call("tail", *args, code=code)
        assert failed.stdout == "" and failed.stderr.count("\n") == 1
        assert failed.stderr.startswith(f"chat-service: {text}"), failed.stderr
    for args, text in (
        ([*ann, "--as", "ben", "tea", "x"], "--as applies to a store"),
        ([*ann, "--key", "k", "tea", "-"], "--key applies to a single message"),
        (["--url", "redis://x", "--key", "k", "tea", "x"], "--key requires --server"),
    ):
        assert text in (await call("send", *args, code=2)).stderr


async def test_the_store_may_be_in_the_environment(
    service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_STORE_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("CHAT_TOKEN", "ben")
    await call("send", "--server", f"http://127.0.0.1:{service.port}", "tea", "x")
    assert await stored(service) == [("ben", "x")]


def test_without_the_client_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("chat_service.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    failed = invoke("tail", *at(1), "tea")
    assert failed.exit_code == 3
    assert failed.stderr.startswith("chat-service: --server needs the client library: pip install ")
