"""The server of the web chat, without a browser: page and headers, list of rooms, rules, process."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chat_service.demo import Demo
from chat_service.demo import lobby as rules
from chat_service.demo.site import INDEX, SECURITY_HEADERS, STATIC, Pages
from chat_service.testing import wait_until
from tests.e2e.clients import Client, PythonClients
from tests.e2e.processes import port_in, run
from tests.support.backends import Backend

pytestmark = pytest.mark.e2e

Connect = Callable[[Demo, str], Awaitable[Client]]


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with Demo("127.0.0.1", 0) as made:
        yield made


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients = PythonClients()

    async def start(demo: Demo, name: str) -> Client:
        address = f"http://127.0.0.1:{demo.port}"
        client = await clients.connect(address, "", transports=["websocket"], auth={"userName": name})
        await client.wait_for("loginConfirmed", name)
        return client

    yield start
    await clients.close()
    # The libraries close their connections in their own tasks.
    await asyncio.sleep(0)


async def get(demo: Demo, path: str, **headers: str) -> aiohttp.ClientResponse:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{demo.port}{path}", headers=headers) as response,
    ):
        await response.read()
        return response


# The page


async def test_page_and_its_parts_are_served_with_security_headers(demo: Demo) -> None:
    page = await get(demo, "/")
    assert page.status == 200 and page.content_type == "text/html"
    text = await page.text()
    script = next(path.name for path in STATIC.glob("app-*.js"))
    assert script in text
    part = await get(demo, f"/{script}")
    assert part.content_type == "text/javascript" and "immutable" in part.headers["Cache-Control"]
    assert page.headers["Cache-Control"] == "no-cache"
    missing = await get(demo, "/nothing.js")
    assert missing.status == 404
    for response in (page, part, missing):
        assert {name: response.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "unsafe" not in page.headers["Content-Security-Policy"]


async def test_an_unchanged_page_is_not_sent_again(demo: Demo) -> None:
    first = await get(demo, "/")
    again = await get(demo, "/", **{"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.headers["ETag"] == first.headers["ETag"]


async def test_nothing_but_the_files_of_the_page_is_served(demo: Demo) -> None:
    for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/static/index.html"):
        assert (await get(demo, path)).status == 404


async def test_an_unbuilt_page_says_how_to_build_it(tmp_path: Path) -> None:
    body, media_type = Pages(tmp_path)._files[INDEX]
    assert media_type == "text/html"
    assert b"apt-get install nodejs npm" in body


# The list of rooms, and devices


async def test_list_of_rooms_is_pushed_to_everybody(demo: Demo, connect: Connect) -> None:
    ann, bob = await connect(demo, "ann"), await connect(demo, "bob")
    names = {room["name"] for room in await ann.call("roomList")}
    assert names == {"default", "random"}
    await ann.call("roomCreate", "tea", True)
    await ann.call("roomJoin", "tea")
    wanted = {"name": "tea", "owner": "ann", "members": 1, "whitelistOnly": True}
    await wait_until(
        lambda: any(wanted in args[0] for args in bob.received("roomListChanged")), "tea is told"
    )
    await ann.call("roomSetWhitelistMode", "tea", False)
    wanted = {**wanted, "whitelistOnly": False}
    await wait_until(lambda: any(wanted in args[0] for args in bob.received("roomListChanged")), "open tea")
    await ann.call("roomDelete", "tea")
    await wait_until(lambda: any("tea" in args[1] for args in bob.received("roomListChanged")), "tea is gone")
    assert {room["name"] for room in await bob.call("roomList")} == names


async def test_two_instances_show_the_same_rooms_and_devices(backend: Backend, connect: Connect) -> None:
    async with (
        Demo("127.0.0.1", 0, store=backend.new_store()) as here,
        Demo("127.0.0.1", 0, store=backend.new_store()) as there,
    ):
        ann, bob = await connect(here, "ann"), await connect(there, "bob")
        phone = await connect(there, "ann")
        await ann.call("roomCreate", "tea", False)
        await wait_until(
            lambda: any(
                room["name"] == "tea" for args in bob.received("roomListChanged") for room in args[0]
            ),
            "tea is told on the other instance",
        )
        for client in (bob, ann, phone):
            await client.call("roomJoin", "tea")
        await bob.wait_for("roomDevicesChanged", "tea", "ann", 2)
        assert await bob.call("roomDevices", "tea") == {"ann": 2, "bob": 1}
        for client in (ann, bob, phone):
            await client.disconnect()


async def test_devices_are_sent_to_members_of_the_room(demo: Demo, connect: Connect) -> None:
    ann, phone, bob = [await connect(demo, name) for name in ("ann", "ann", "bob")]
    assert "Not joined" in await bob.error("roomDevices", "default")
    assert "No such room" in await bob.error("roomDevices", "nowhere")
    await ann.error("roomDevices")
    for client in (bob, ann, phone):
        await client.call("roomJoin", "default")
    await bob.wait_for("roomDevicesChanged", "default", "ann", 2)
    assert await bob.call("roomDevices", "default") == {"ann": 2, "bob": 1}
    await phone.disconnect()
    await bob.wait_for("roomDevicesChanged", "default", "ann", 1)


# Removing a person without a list


async def test_a_removed_person_is_told_and_may_come_back(backend: Backend, connect: Connect) -> None:
    async with (
        Demo("127.0.0.1", 0, store=backend.new_store()) as here,
        Demo("127.0.0.1", 0, store=backend.new_store()) as there,
    ):
        ann, bob, phone = await connect(here, "ann"), await connect(here, "bob"), await connect(there, "bob")
        await ann.call("roomCreate", "tea", False)
        for client in (ann, bob, phone):
            await client.call("roomJoin", "tea")
        assert await ann.call("roomRemoveUser", "tea", "bob") is None
        for client in (bob, phone):
            await client.wait_for("roomUserRemoved", "tea", "ann")
            assert "Not joined" in await client.error("roomMessage", "tea", {"textMessage": "hello"})
        assert await ann.call("roomGetAccessList", "tea", "userlist") == ["ann"]
        assert await ann.call("roomGetAccessList", "tea", "blacklist") == []
        # Nothing happens to people who are not in the room.
        assert await ann.call("roomRemoveUser", "tea", "bob") is None
        assert await bob.call("roomJoin", "tea") == 1
        assert await phone.call("roomJoin", "tea") == 2
        for client in (ann, bob, phone):
            await client.disconnect()


async def test_owner_and_admins_remove_people(demo: Demo, connect: Connect) -> None:
    ann, bob, cyd, dan = [await connect(demo, name) for name in ("ann", "bob", "cyd", "dan")]
    await ann.call("roomCreate", "tea", False)
    await ann.call("roomAddToList", "tea", "adminlist", ["bob", "cyd"])
    assert "Not joined" in await dan.error("roomRemoveUser", "tea", "cyd")
    for client in (ann, bob, cyd, dan):
        await client.call("roomJoin", "tea")
    for client, name in ((dan, "cyd"), (bob, "ann"), (bob, "cyd"), (bob, "bob"), (ann, "ann")):
        assert "not allowed" in await client.error("roomRemoveUser", "tea", name)
    assert "No such user" in await ann.error("roomRemoveUser", "tea", "nobody")
    assert "No such room" in await ann.error("roomRemoveUser", "nowhere", "bob")
    for bad in (None, 5, ["bob"], "a:b", "x" * 33):
        await ann.error("roomRemoveUser", "tea", bad)
    await bob.call("roomRemoveUser", "tea", "dan")
    await ann.call("roomRemoveUser", "tea", "cyd")
    assert await ann.call("roomGetAccessList", "tea", "userlist") == ["ann", "bob"]


# The rules


@pytest.mark.parametrize("name", ["", " ann", "ann ", "a\u202eb", "a\u200bb", "a:b", "x" * 33])
async def test_invalid_names_are_refused(demo: Demo, name: str) -> None:
    clients = PythonClients()
    address = f"http://127.0.0.1:{demo.port}"
    client = await clients.connect(address, "", transports=["websocket"], auth={"userName": name})
    await client.wait_for("loginRejected")
    await clients.close()
    await asyncio.sleep(0)


async def test_names_may_come_in_the_query(demo: Demo) -> None:
    clients = PythonClients()
    client = await clients.connect(f"http://127.0.0.1:{demo.port}", "ann", transports=["websocket"])
    await client.wait_for("loginConfirmed", "ann")
    await clients.close()
    await asyncio.sleep(0)


async def test_rooms_and_messages_have_limits(
    demo: Demo, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await connect(demo, "ann")
    assert "invalid characters" in await ann.error("roomCreate", "r" * 41, False)
    assert await ann.call("roomCreate", "tea", False) is None
    monkeypatch.setattr(rules, "MAX_ROOMS", 3)
    assert await ann.error("roomCreate", "coffee", False) == "ChatServiceError: tooManyRooms"
    await ann.call("roomJoin", "tea")
    assert await ann.call("roomMessage", "tea", {"textMessage": "x" * 4000}) == 1
    too_long = {"textMessage": "x" * 4001}
    assert await ann.error("roomMessage", "tea", too_long) == "ChatServiceError: messageTooLong"
    assert await ann.error("directMessage", "bob", too_long) == "ChatServiceError: messageTooLong"


# The process


async def test_process_serves_until_a_signal() -> None:
    async with run(sys.executable, "-m", "chat_service.demo", env={"PORT": "0"}) as process:
        line = await process.wait_for("the web chat is at http://127.0.0.1:")
        port = port_in(line)
        # Taken: another one cannot start.
        async with run(sys.executable, "-m", "chat_service.demo", env={"PORT": str(port)}) as other:
            assert await other.wait() == 1
        assert other.errors.startswith("chat_service cannot start: ") and len(other.errors.splitlines()) == 1
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert process.errors == ""


async def test_process_refuses_an_invalid_port() -> None:
    async with run(sys.executable, "-m", "chat_service.demo", env={"PORT": "http"}) as process:
        assert await process.wait() == 1
    assert process.errors == "cannot start: PORT=http: expected a number\n"


async def test_a_demo_that_cannot_start_leaves_nothing_open(demo: Demo) -> None:
    second: Any = Demo("127.0.0.1", demo.port or 0)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    assert second.port is None
    await second.close()
