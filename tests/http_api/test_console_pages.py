"""The console as served by the HTTP API, and the routes added for it."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from chat_service.http_api.api_pages import CONSOLE, ApiPages
from tests.http_api.programs import TOKENS, program, start
from tests.support.world import World


@pytest.mark.covers("api_option:console")
async def test_the_page_is_strict_and_can_be_switched_off(one_store: World) -> None:
    async with program(await start(one_store)) as api:
        page = await api.ask("GET", "/console/", scope=None)
        assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
        policy = dict(
            part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-cache"
        text = (CONSOLE / "index.html").read_text("utf-8")
        assert re.findall(r"<script[^>]*>([^<]*)", text) == [""] and "<style" not in text
        for name in re.findall(r'(?:src|href)="([^"]+)"', text):
            part = await api.ask("GET", f"/console/{name}", scope=None)
            assert part.status == 200
            assert ("immutable" in part.headers["cache-control"]) is ("-" in name)
        bare = await api.ask("GET", "/console", scope=None, allow_redirects=False)
        assert (bare.status, bare.headers["location"]) == (308, "console/")
        for path in ("/console/../http_api.py", "/console/nothing.js", "/console/index.html"):
            assert (await api.ask("GET", path)).status == 404
    async with program(await start(one_store, {"console": False})) as api:
        assert (await api.ask("GET", "/console/")).status == 404
        assert (await api.ask("GET", "/", scope=None)).status == 200


def test_without_the_build_the_page_says_so(tmp_path: Path) -> None:
    page = ApiPages(has_console=True, console=tmp_path).find("/console/", "/api")
    assert page is not None and page.status == 503 and b"was not built" in page.body


async def test_a_token_can_ask_for_its_scopes(one_store: World) -> None:
    async with program(await start(one_store)) as api:
        assert (await api.get("/token", scope="read"))["scopes"] == ["read"]
        everything = await api.get("/token")
        assert everything["name"] == "for-admin" and everything["scopes"] == ["read", "write", "admin"]
        assert not any(token in str(everything) for token in TOKENS.values())


async def test_statistics_count(one_store: World) -> None:
    instance = await start(one_store)
    await instance.service.add_room("room")
    async with program(instance) as api:
        before = await api.get("/statistics", scope="read")
        ann = await instance.joined("ann", "room")
        await ann.call("roomMessage", "room", {"textMessage": "hello"})
        await ann.error("roomMessage", "nowhere", {"textMessage": "hello"})
        after = await api.get("/statistics", scope="read")
    assert after["instanceId"] == instance.service.instance_uid and after["time"] >= before["time"]
    changed = {name: after[name] - before[name] for name in before if isinstance(before[name], int)}
    assert changed["messages"] == 1 and changed["commands"] == 3 and changed["failures"] == 1
    assert changed["logins"] == changed["sockets"] == changed["users"] == changed["rooms"] == 1


async def test_rooms_and_users_are_found_by_a_part_of_their_names(world: World) -> None:
    instance = await start(world, {"max_page_size": 3})
    for number in range(8):
        await instance.service.add_room(f"Room {number}")
    await instance.service.add_room("Straße")
    await instance.service.add_user("Ann Lee")
    await instance.service.add_user("Bob")
    async with program(instance) as api:

        async def find(path: str, what: str) -> set[str]:
            names: set[str] = set()
            cursor = ""
            while cursor is not None:
                page = await api.get(path + (f"&cursor={quote(cursor)}" if cursor else ""))
                assert len(page[what]) <= 4 * 3
                names |= {item["name"] for item in page[what]}
                cursor = page["cursor"]
            return names

        assert await find("/rooms?contains=OOM%207", "rooms") == {"Room 7"}
        assert await find("/rooms?contains=strasse&limit=1", "rooms") == {"Straße"}
        assert await find("/rooms?contains=nowhere", "rooms") == set()
        assert len(await find("/rooms?contains=room", "rooms")) == 8
        assert await find("/users?contains=lee&online=false", "users") == {"Ann Lee"}
        assert (await api.ask("GET", "/rooms?contains=")).status == 400
