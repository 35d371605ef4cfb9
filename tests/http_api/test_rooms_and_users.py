"""The HTTP API reads and changes rooms, users and instances, on every store."""

import time
from urllib.parse import quote

import pytest

from chat_service.testing import wait_until
from chat_service.types import UserName
from tests.http_api.programs import program, start
from tests.support.parts import parts_of
from tests.support.world import World


async def test_rooms(world: World) -> None:
    instance = await start(world)
    async with program(instance) as api:
        assert (
            await api.ask("POST", "/rooms", {"name": "a/b c", "owner": "ann"}, scope="write")
        ).status == 201
        await api.do("POST", "/rooms", {"name": "a/b c", "existOk": True})
        taken = await api.ask("POST", "/rooms", {"name": "a/b c"})
        assert taken.status == 409
        assert taken.data == {
            "code": "roomExists",
            "args": ["a/b c"],
            "message": "Room a/b c already exists",
        }
        room = await api.get("/rooms/a%2Fb%20c", scope="read")
        assert room["name"] == "a/b c" and room["owner"] == "ann" and room["lastMessageId"] == 0
        changed = {
            "owner": None,
            "whitelistOnly": True,
            "historyMaxSize": 7,
            "enableUserlistUpdates": True,
            "enableAccessListsUpdates": True,
        }
        await api.do("PATCH", "/rooms/a%2Fb%20c", changed, scope="write")
        assert changed.items() <= (await api.get("/rooms/a%2Fb%20c")).items()
        await api.do("POST", "/rooms", {"name": "other"})
        names, cursor = [], ""
        while cursor is not None:
            page = await api.get("/rooms?limit=1" + (f"&cursor={quote(cursor)}" if cursor else ""))
            names += [room["name"] for room in page["rooms"]]
            cursor = page["cursor"]
        assert sorted({*names}) == ["a/b c", "other"]
        await api.do("DELETE", "/rooms/other")
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/members"), ("GET", "/messages")):
            missing = await api.ask(method, f"/rooms/other{path}")
            assert (missing.status, missing.data["code"]) == (404, "noRoom")
        await api.do("POST", "/rooms/a%2Fb%20c/sync")


async def test_what_bounds_a_room(world: World) -> None:
    instance = await start(world)
    async with program(instance) as api:
        await api.do("POST", "/rooms", {"name": "brief", "emptyTtl": 0.05, "historyMaxBytes": 1})
        await api.do("POST", "/rooms", {"name": "room", "historyTtl": 3600})

        async def is_gone() -> bool:
            return (await api.ask("GET", "/rooms/brief")).status == 404

        await wait_until(is_gone, "empty room deleted")
        for text in "first", "second":
            await api.do("POST", "/rooms/room/messages", {"message": {"textMessage": text}})
        await api.do("PATCH", "/rooms/room", {"historyMaxBytes": 1})
        assert [each["id"] for each in (await api.get("/rooms/room/messages"))["messages"]] == [2]
        await api.do("PATCH", "/rooms/room", {"historyTtl": 0.05, "emptyTtl": 0})

        async def is_empty() -> bool:
            return not (await api.get("/rooms/room/messages"))["messages"]

        await wait_until(is_empty, "old messages dropped")
        await api.do("PATCH", "/rooms/room", {"emptyTtl": 0.05})
        refused = await api.ask("PATCH", "/rooms/room", {"historyTtl": -1})
        assert refused.status == 400 and "historyTtl" in refused.data["message"]


async def test_members_and_lists(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    clients = [await instance.joined(f"user{number}", "room") for number in (10, 2, 1)]
    await clients[1].call("roomSetDetails", "room", [1])
    async with program(instance) as api:
        first = await api.get("/rooms/room/members?limit=2")
        joined = (await instance.service.room_status("room")).joined_at
        one, two = UserName("user1"), UserName("user2")
        assert first["members"] == [
            {"userName": one, "joinedAt": joined[one], "sockets": 1},
            {"userName": two, "joinedAt": joined[two], "sockets": 1, "details": [1]},
        ]
        assert first["membersCount"] == 3
        second = await api.get(f"/rooms/room/members?limit=2&cursor={first['cursor']}")
        assert [each["userName"] for each in second["members"]] == ["user10"] and second["cursor"] is None
        lists = "/rooms/room/lists/blacklist"
        await api.do("PATCH", lists, {"add": ["user2", "other"]}, scope="write")
        await clients[1].wait_for("roomAccessRemoved", "room")
        await api.do("PATCH", lists, {"add": ["third"], "remove": ["other"]})
        found = await api.get(lists, scope="read")
        assert found == {"names": ["third", "user2"], "count": 2, "cursor": None}
        assert (await api.get("/rooms/room/lists/userlist"))["names"] == ["user1", "user10"]
        unknown = await api.ask("GET", "/rooms/room/lists/greylist")
        assert (unknown.status, unknown.data["code"]) == (404, "noList")
        refused = await api.ask("PATCH", "/rooms/room/lists/userlist", {"add": ["x"]})
        assert (refused.status, refused.data["code"]) == (403, "notAllowed")


async def test_users_and_sockets(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    async with program(instance) as api:
        await api.do("POST", "/users", {"name": "bob", "whitelistOnly": True}, scope="write")
        taken = await api.ask("POST", "/users", {"name": "bob"})
        assert (taken.status, taken.data["code"]) == (409, "userExists")
        assert await api.get("/users/bob") == {"name": "bob", "sockets": 0, "whitelistOnly": True}
        await api.do("PATCH", "/users/bob/lists/whitelist", {"add": ["ann"]})
        assert (await api.get("/users/bob/lists/whitelist"))["names"] == ["ann"]
        client = await instance.joined("ann", "room")
        users = await api.get("/users?online=true", scope="read")
        assert users["users"] == [{"name": "ann", "sockets": 1}]
        everybody = await api.get("/users?online=false")
        assert sorted(user["name"] for user in everybody["users"]) == ["ann", "bob"]
        sockets = await api.get("/users/ann/sockets")
        assert sockets["sockets"] == [
            {
                "id": client.id,
                "instanceId": instance.service.instance_uid,
                "roomsCount": 1,
                "rooms": ["room"],
            }
        ]
        online = await api.ask("DELETE", "/users/ann")
        assert (online.status, online.data["code"]) == (409, "userOnline")
        await api.do("POST", "/users/ann/sync")
        await api.do("DELETE", "/users/bob")
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/sockets"),
            ("POST", "/kick"),
            ("POST", "/sync"),
        ):
            missing = await api.ask(method, f"/users/bob{path}")
            assert (missing.status, missing.data["code"]) == (404, "noUser")


async def test_kick(world: World) -> None:
    here, there = await start(world), await start(world)
    clients = [await here.login("ann"), await there.login("ann"), await there.login("bob")]
    async with program(here) as api:
        await api.do("POST", f"/sockets/{clients[2].id}/kick")
        await wait_until(lambda: not clients[2].connected, "the kick of a socket")
        await api.do("POST", "/users/ann/kick")
        await wait_until(lambda: not any(each.connected for each in clients), "the kick of a user")


async def test_instances_and_recovery(world: World) -> None:
    here, there = await start(world), await start(world)
    async with program(here) as api:
        instances = (await api.get("/instances", scope="read"))["instances"]
        uids = here.service.instance_uid, there.service.instance_uid
        assert {each["id"]: (each["state"], each["isThisOne"]) for each in instances} == {
            uids[0]: ("alive", True),
            uids[1]: ("alive", False),
        }
        own = await api.ask("POST", f"/instances/{uids[0]}/recover")
        assert (own.status, own.data["code"]) == (409, "ownInstance")
        await there.service.close()
        await api.do("POST", f"/instances/{uids[1]}/recover")
        assert len((await api.get("/instances"))["instances"]) == 1


@pytest.mark.covers("api:operations.has_api")
async def test_the_service_says_when_it_closes(world: World) -> None:
    instance = await start(world)
    assert instance.service.operations.has_api
    async with program(instance) as api:
        parts_of(instance.service).is_open = False
        closed = await api.ask("GET", "/rooms")
        parts_of(instance.service).is_open = True
        assert (closed.status, closed.data["code"]) == (503, "unavailable")
        assert "retry-after" in closed.headers


async def test_bans(world: World) -> None:
    here, there = await start(world), await start(world)
    client = await there.login("ann")
    async with program(here) as api:
        nothing = {"banned": False, "until": None, "reason": None}
        assert await api.get("/users/ann/ban") == nothing
        ban = await api.do("PUT", "/users/ann/ban", {"reason": "spam"})
        assert ban == {"banned": True, "until": None, "reason": "spam"}
        await wait_until(lambda: not client.connected, "the end of the connection")
        refused = await there.transport.connect(query={"userName": "ann"})
        assert "spam" in (await refused.wait_for("loginRejected"))[0]
        timed = await api.do("PUT", "/users/ann/ban", {"seconds": 60.5})
        assert timed["reason"] is None and timed["until"] > time.time() * 1000 + 50_000
        assert await api.get("/users/ann/ban") == timed
        await api.do("DELETE", "/users/ann/ban")
        assert await api.get("/users/ann/ban") == nothing
        assert (await there.login("ann")).connected
        for body in ({"seconds": 0}, {"seconds": "5"}, {"reason": "x" * 1001}, {"until": 5}):
            assert (await api.ask("PUT", "/users/ann/ban", body)).status == 400
        assert (await api.ask("PUT", "/users/ann/ban", {}, scope="write")).status == 403
