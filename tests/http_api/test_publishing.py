"""Messages over the HTTP API: single ones, batches, idempotency keys, conditions, histories."""

import asyncio
from typing import Any

from chat_service.errors import ChatServiceError
from tests.http_api.programs import program, start
from tests.support.world import World

HELLO = {"message": {"textMessage": "hello"}}


async def test_publish_and_read(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    client = await instance.joined("ann", "room")
    async with program(instance) as api:
        sent = await api.ask("POST", "/rooms/room/messages", HELLO, scope="write")
        assert (sent.status, sent.data) == (201, {"id": 1, "duplicate": False})
        room, message = await client.wait_for("roomMessage")
        assert room == "room" and message["textMessage"] == "hello" and "author" not in message
        # The author need not have joined, but has to be a user.
        await api.do("POST", "/rooms/room/messages", {**HELLO, "author": "ann"})
        unknown = await api.ask("POST", "/rooms/room/messages", {**HELLO, "author": "zoe"})
        assert (unknown.status, unknown.data["code"]) == (404, "noUser")
        history = await api.get("/rooms/room/messages", scope="read")
        assert [message["id"] for message in history["messages"]] == [1, 2]
        assert history["messages"][1]["author"] == "ann"
        assert (history["lastMessageId"], history["more"], history["recovered"]) == (2, False, False)


async def test_events_and_marks(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    client = await instance.joined("ann", "room")
    async with program(instance) as api:
        event = {"name": "typing", "data": {"on": True}}
        sent = await api.ask("POST", "/rooms/room/events", event, scope="write")
        assert sent.status == 204
        assert await client.wait_for("roomEvent") == ["room", {"author": None, **event}]
        await api.do("POST", "/rooms/room/events", {**event, "author": "ann"})
        assert await client.wait_for("roomEvent") == ["room", {"author": "ann", **event}]
        for path, body, status in (
            ("/rooms/nowhere/events", event, 404),
            ("/rooms/room/events", {**event, "author": "zoe"}, 404),
            ("/rooms/room/events", {**event, "name": ""}, 400),
        ):
            assert (await api.ask("POST", path, body)).status == status, (path, body)
        for _ in range(3):
            await api.do("POST", "/rooms/room/messages", HELLO)
        marked = await api.ask("PUT", "/users/ann/marks/room", {"id": 2}, scope="write")
        assert (marked.status, marked.data) == (200, {"readId": 2})
        assert await client.wait_for("roomReadEcho") == ["room", 2]
        asked = {"rooms": ["room", "nowhere"]}
        unread = await api.ask("POST", "/users/ann/unread", asked, scope="read")
        state = {"lastMessageId": 3, "readId": 2, "unread": 1}
        assert (unread.status, unread.data) == (200, {"rooms": {"room": state}})
        assert (await api.ask("POST", "/users/zoe/unread", asked)).status == 404
        assert (await api.ask("PUT", "/users/ann/marks/nowhere", {"id": 1})).status == 404


async def test_history_pages_continue(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room", history_max_size=6)
    async with program(instance) as api:
        for _ in range(8):
            await api.do("POST", "/rooms/room/messages", HELLO)
        newest = await api.get("/rooms/room/messages?limit=2")
        assert [each["id"] for each in newest["messages"]] == [7, 8] and not newest["more"]
        epoch = newest["epoch"]
        first = await api.get(f"/rooms/room/messages?after=4&limit=3&epoch={epoch}")
        assert [each["id"] for each in first["messages"]] == [5, 6, 7]
        assert first["recovered"] and first["more"]
        last = await api.get(f"/rooms/room/messages?after=7&limit=3&epoch={epoch}")
        assert [each["id"] for each in last["messages"]] == [8] and last["recovered"] and not last["more"]
        # After a rotation, for a former room, or from the beginning: the newest messages.
        for query in (f"after=1&epoch={epoch}", "after=4&epoch=other", "after=0"):
            page = await api.get(f"/rooms/room/messages?limit=2&{query}")
            assert [each["id"] for each in page["messages"]] == [7, 8] and not page["recovered"], query
        assert (await api.ask("GET", "/rooms/room/messages?after=4")).status == 400


async def test_an_answer_has_a_limit_of_bytes(world: World) -> None:
    instance = await start(world, {"max_answer_size": 2500})
    await instance.service.add_room("room")
    async with program(instance) as api:
        for _ in range(5):
            await api.do("POST", "/rooms/room/messages", {"message": {"textMessage": "x" * 1000}})
        found: list[int] = []
        epoch, more = (await api.get("/rooms/room"))["epoch"], True
        while more:
            page = await api.get(f"/rooms/room/messages?after={len(found)}&epoch={epoch}")
            assert 1 <= len(page["messages"]) <= 2
            found += [each["id"] for each in page["messages"]]
            more = page["more"]
        assert found == [1, 2, 3, 4, 5]


async def test_idempotency_key(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    key = {"Idempotency-Key": "order 7"}
    async with program(instance) as api:
        first = await api.ask("POST", "/rooms/room/messages", HELLO, headers=key)
        again = await api.ask("POST", "/rooms/room/messages", HELLO, headers=key)
        assert (first.status, first.data) == (201, {"id": 1, "duplicate": False})
        assert (again.status, again.data) == (200, {"id": 1, "duplicate": True})
        other = await api.ask(
            "POST", "/rooms/room/messages", {"message": {"textMessage": "bye"}}, headers=key
        )
        assert (other.status, other.data["code"]) == (409, "idempotencyConflict")
        assert (await api.get("/rooms/room"))["lastMessageId"] == 1
        refused = await api.ask("POST", "/rooms/room/messages", HELLO, headers={"Idempotency-Key": "k" * 129})
        assert refused.status == 400


async def test_expected_last_id(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    async with program(instance) as api:
        await api.do("POST", "/rooms/room/messages", {**HELLO, "expectedLastId": 0})
        late = await api.ask("POST", "/rooms/room/messages", {**HELLO, "expectedLastId": 0})
        assert (late.status, late.data["code"], late.data["args"]) == (409, "conflict", [1])


async def test_batch(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("one")
    await instance.service.add_room("two")

    def entry(room: str, number: int) -> dict[str, Any]:
        return {"room": room, "message": {"textMessage": str(number)}}

    entries = [entry("two" if number % 3 else "one", number) for number in range(60)]
    entries.insert(30, entry("nowhere", 0))
    key = {"Idempotency-Key": "batch 1"}
    async with program(instance) as api:
        sent = await api.do("POST", "/batch", {"messages": entries}, scope="write", headers=key)
        assert sent["failed"] == 1
        assert sent["results"][30]["status"] == 404 and sent["results"][30]["error"]["code"] == "noRoom"
        # In each room in the order of the batch.
        for room, count in (("one", 20), ("two", 40)):
            texts = [each["textMessage"] for each in (await api.get(f"/rooms/{room}/messages"))["messages"]]
            assert (
                texts == [each["message"]["textMessage"] for each in entries if each["room"] == room]
                and len(texts) == count
            )
        # A repeat after a lost answer is not stored.
        again = await api.do("POST", "/batch", {"messages": entries}, headers=key)
        assert [each.get("id") for each in again["results"]] == [each.get("id") for each in sent["results"]]
        assert all(each.get("duplicate", True) for each in again["results"])
        assert (await api.get("/rooms/two"))["lastMessageId"] == 40


async def test_direct_message(world: World) -> None:
    instance = await start(world)
    async with program(instance) as api:
        client = await instance.login("ann")
        answer = await api.do("POST", "/users/ann/messages", HELLO, scope="write")
        assert answer["message"]["textMessage"] == "hello"
        assert (await client.wait_for("directMessage"))[0]["textMessage"] == "hello"
        await instance.service.add_user("bob")
        away = await api.ask("POST", "/users/bob/messages", HELLO)
        assert (away.status, away.data["code"]) == (404, "noUserOnline")


async def test_any_command(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    client = await instance.login("ann")
    async with program(instance) as api:
        join = {"args": ["room"], "userName": "ann", "socketId": client.id}
        assert await api.do("POST", "/commands/roomJoin", join) == {"results": [1]}
        info = await api.do(
            "POST", "/commands/roomHistoryInfo", {"args": ["room"], "bypassPermissions": True}
        )
        assert info["results"][0]["lastMessageId"] == 0
        unknown = await api.ask("POST", "/commands/roomFly", {"args": []})
        assert (unknown.status, unknown.data["code"]) == (404, "noCommand")
        few = await api.ask("POST", "/commands/roomDelete", {"args": []})
        assert (few.status, few.data["code"]) == (400, "wrongArgumentsCount")
        refused = await api.ask("POST", "/commands/roomDelete", {"args": ["room"], "userName": "ann"})
        assert (refused.status, refused.data["code"]) == (403, "notAllowed")


async def test_hooks_of_the_application_run(world: World) -> None:
    async def no_shouting(call: Any) -> None:
        if call.args[1]["textMessage"].isupper():
            raise ChatServiceError("tooLoud", "room")
        await asyncio.sleep(0)

    instance = await start(world, hooks={"room_message_before": no_shouting})
    await instance.service.add_room("room")
    async with program(instance) as api:
        loud = await api.ask("POST", "/rooms/room/messages", {"message": {"textMessage": "HELLO"}})
        assert (loud.status, loud.data) == (
            422,
            {"code": "tooLoud", "args": ["room"], "message": "tooLoud"},
        )
        await api.do("POST", "/rooms/room/messages", HELLO)


async def test_messages_about_others(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    await instance.joined("ann", "room")
    path = "/rooms/room/messages"
    async with program(instance) as api:
        await api.do("POST", path, HELLO)
        edit = {"message": {"textMessage": "better"}, "edits": 1}
        assert (await api.do("POST", path, edit))["id"] == 2
        like = {"message": {"textMessage": ""}, "author": "ann", "reactsTo": 1, "reaction": "+1"}
        assert (await api.ask("POST", path, like)).status == 201
        again = await api.ask("POST", path, like)
        assert (again.status, again.data) == (200, {"id": 3, "duplicate": True})
        refused = await api.ask("POST", path, {**edit, "edits": 99})
        assert (refused.status, refused.data["code"]) == (404, "noMessage")
        erased = await api.ask("DELETE", f"{path}/1", scope="admin")
        assert erased.status == 204
        history = await api.get(path)
        assert [each.get("textMessage") for each in history["messages"]] == [None, None, "", ""]
        for wrong in ("0", "x", "-1"):
            assert (await api.ask("DELETE", f"{path}/{wrong}", scope="admin")).status in (400, 404)
