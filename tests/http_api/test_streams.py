"""The events of a room as Server-Sent Events: live, resumed, and ended."""

import asyncio

import pytest

from chat_service.contracts.bus import Notify
from chat_service.testing import wait_until
from chat_service.types import RoomName
from tests.http_api.programs import TOKENS, Program, Stream, program, start
from tests.support.parts import parts_of
from tests.support.world import Instance, World

EVENTS = "/rooms/room/events"


async def say(instance: Instance, text: str) -> int:
    """Send a message as the server. Returns its id."""
    [message_id] = await instance.service.exec_user_command(
        True, "roomMessage", "room", {"textMessage": text}
    )
    assert isinstance(message_id, int)
    return message_id


async def texts(stream: Stream, count: int) -> list[str]:
    """The texts of the next messages."""
    found = [await stream.skip_to("roomMessage") for _ in range(count)]
    return [event.data["message"]["textMessage"] for event in found]


async def test_live_events(world: World) -> None:
    # The deletion of an empty room is not published: the heartbeat notices it.
    here, there = await start(world, {"stream_heartbeat": 0.1}), await start(world)
    await here.service.add_room("room", enable_userlist_updates=True, enable_access_lists_updates=True)
    await say(here, "before")
    async with program(here) as api, api.events(EVENTS) as stream:
        position = await stream.next()
        epoch = position.data["epoch"]
        assert position.name == "position" and position.id == f"{epoch}:1"
        assert position.data == {"epoch": epoch, "lastMessageId": 1, "recovered": False}
        # From another instance, too.
        await (await there.login("ann")).call("roomJoin", "room")
        joined = await stream.next()
        assert (joined.name, joined.data, joined.id) == (
            "roomUserJoined",
            {"roomName": "room", "userName": "ann"},
            None,
        )
        await say(there, "hello\nworld")
        message = await stream.next()
        assert (message.name, message.id) == ("roomMessage", f"{epoch}:2")
        assert message.data["message"]["textMessage"] == "hello\nworld"
        await there.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["ann"])
        changed = await stream.next()
        assert changed.data == {"roomName": "room", "listName": "blacklist", "userNames": ["ann"]}
        assert (await stream.next()).name == "roomUserLeft"
        await there.service.transport.emit_to_channel("room", "typing\nevent: x", "bob")
        custom = await stream.next()
        assert (custom.name, custom.data) == ("typing event: x", {"args": ["bob"]})
        await there.service.delete_room("room")
        end = await stream.next()
        assert (end.name, end.data["code"]) == ("end", "noRoom")
        assert await stream.at_end()
    assert parts_of(here.service).delivery.taps.by_room == {}


async def test_a_reader_goes_on_where_it_was(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    async with program(instance) as api:
        async with api.events(EVENTS) as stream:
            await stream.next()
            await say(instance, "one")
            last = (await stream.next()).id
            assert last is not None
        for text in ("two", "three"):
            await say(instance, text)
        async with api.events(EVENTS, **{"Last-Event-ID": last}) as stream:
            assert (await stream.next()).data["recovered"] is True
            assert await texts(stream, 2) == ["two", "three"]
            await say(instance, "four")
            assert await texts(stream, 1) == ["four"]
            assert [event.name for event in stream.seen] == ["position"] + ["roomMessage"] * 3
        epoch = last.partition(":")[0]
        async with api.events(f"{EVENTS}?after=3&epoch={epoch}") as stream:
            assert await texts(stream, 1) == ["four"]
        async with api.events(f"{EVENTS}?after=0") as stream:
            assert await texts(stream, 4) == ["one", "two", "three", "four"]


async def test_missing_messages_are_reported_on_resume(world: World) -> None:
    instance = await start(world, {"stream_heartbeat": 0.1})
    await instance.service.add_room("room", history_max_size=2)
    for text in ("one", "two", "three", "four"):
        await say(instance, text)
    async with program(instance) as api:
        epoch = (await api.get("/rooms/room"))["epoch"]
        for known in ("other:3", f"{epoch}:1", f"{epoch}:5"):
            async with api.events(EVENTS, **{"Last-Event-ID": known}) as stream:
                position = await stream.next()
                assert position.data["recovered"] is False and position.id == f"{epoch}:4", known
                await say(instance, "live")
                message = await stream.next()
                assert message.name == "roomMessage"
                epoch = (await api.get("/rooms/room"))["epoch"]
                await instance.service.delete_room("room")
                assert (await stream.next()).name == "end"
                await instance.service.add_room("room", history_max_size=2)
                for text in ("one", "two", "three", "four"):
                    await say(instance, text)
                epoch = (await api.get("/rooms/room"))["epoch"]
        for bad in ("x", f"{epoch}:", ":5", f"{epoch}:-1"):
            answer = await api.ask("GET", EVENTS, headers={"Last-Event-ID": bad})
            assert (answer.status, answer.data["code"]) == (400, "badRequest"), bad
        assert (await api.ask("GET", EVENTS + "?after=2")).status == 400
        missing = await api.ask("GET", "/rooms/nowhere/events")
        assert (missing.status, missing.data["code"]) == (404, "noRoom")


async def test_events_lost_by_the_bus_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = await start(world)
    await instance.service.add_room("room", enable_userlist_updates=True)
    context = parts_of(instance.service)
    taps = context.delivery.taps
    async with program(instance) as api, api.events(EVENTS) as stream:
        await stream.next()
        with monkeypatch.context() as deaf:
            deaf.setattr(type(taps), "hear", lambda self, room, event: None)
            await say(instance, "lost one")
            await say(instance, "lost two")
            bob = await instance.joined("bob", "room")
            await bob.call("roomLeave", "room")
            # Everything that was published has arrived.
            await instance.joined("ann", "room")
        await say(instance, "heard")
        assert await texts(stream, 3) == ["lost one", "lost two", "heard"]
        # Joins and leaves are lost, and the loss is reported.
        assert [event.name for event in stream.seen].count("roomStateGap") <= 1
        with monkeypatch.context() as deaf:
            deaf.setattr(type(taps), "hear", lambda self, room, event: None)
            await say(instance, "lost three")
            await instance.joined("eve", "room")
        taps.interrupt(RoomName("room"))
        assert await texts(stream, 1) == ["lost three"]
        gap = await stream.skip_to("roomStateGap")
        assert gap.data == {"roomName": "room"}


@pytest.mark.covers("api_option:stream_heartbeat")
async def test_a_silent_stream_is_kept_open_and_looked_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await start(world, {"stream_heartbeat": 0.05})
    await instance.service.add_room("room", history_max_size=1)
    taps = parts_of(instance.service).delivery.taps
    async with program(instance) as api, api.events(EVENTS) as stream:
        epoch = (await stream.next()).data["epoch"]
        monkeypatch.setattr(type(taps), "hear", lambda self, room, event: None)
        for text in ("one", "two", "three"):
            await say(instance, text)
        # Without the bus; messages that were rotated out are reported as missing.
        seen: dict[int, str] = {}
        while 3 not in seen:
            event = await stream.next()
            if event.name == "roomHistoryGap":
                gap = event.data["gap"]
                assert gap["epoch"] == epoch
                seen |= dict.fromkeys(range(gap["from"], gap["to"] + 1), "gap")
            elif event.name == "roomMessage":
                seen[event.data["message"]["id"]] = event.data["message"]["textMessage"]
        assert seen[3] == "three" and sorted(seen) == [1, 2, 3]
        assert stream.comments > 0


async def test_a_room_without_a_history(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room", history_max_size=0)
    async with program(instance) as api, api.events(EVENTS) as stream:
        await stream.next()
        await say(instance, "hello")
        assert await texts(stream, 1) == ["hello"]


async def test_the_close_of_the_service_ends_streams(world: World) -> None:
    instance = await start(world)
    await instance.service.add_room("room")
    async with program(instance) as api, api.events(EVENTS) as stream:
        await stream.next()
        closing = asyncio.create_task(instance.service.close())
        end = await stream.next()
        assert (end.name, end.data["code"]) == ("end", "closing")
        assert await stream.at_end()
        await closing


@pytest.mark.covers("api_option:max_streams")
async def test_streams_at_a_time(world: World) -> None:
    instance = await start(world, {"max_streams": 1})
    await instance.service.add_room("room")
    async with program(instance) as api:
        async with api.events(EVENTS) as stream:
            await stream.next()
            second = await api.ask("GET", EVENTS)
            assert (second.status, second.data["code"]) == (429, "tooManyRequests")
        api_of_service = instance.service.operations._api
        # The server notices the disconnect with the next event.

        async def has_ended() -> bool:
            await say(instance, "hello")
            return not api_of_service._streams

        await wait_until(has_ended, "the end of the stream")
        async with api.events(EVENTS) as stream:
            await stream.next()


async def _stalled(api: Program, port: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A reader that only reads the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    head = f"GET /api{EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS['read']}\r\n\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@pytest.mark.covers("api_option:stream_timeout")
async def test_readers_that_stop_reading_are_disconnected(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    instance = await start(world, {"stream_timeout": 0.1})
    await instance.service.add_room("room", history_max_size=10)
    streams = instance.service.operations._api
    async with program(instance) as api:
        _, writer = await _stalled(api, instance.service.operations.port)
        text = "x" * 500_000
        for _ in range(30):
            await say(instance, text)
        await wait_until(lambda: "too slow" in caplog.text, "the end of the slow reader")
        await wait_until(lambda: not streams._streams, "the end of its stream")
        writer.transport.abort()
    assert caplog.text.count("too slow") == 1


@pytest.mark.covers("api_option:stream_buffer")
async def test_readers_that_fall_behind_are_disconnected(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    instance = await start(world, {"stream_buffer": 3})
    await instance.service.add_room("room")
    taps = parts_of(instance.service).delivery.taps
    async with program(instance) as api, api.events(EVENTS) as stream:
        await stream.next()
        for _ in range(5):
            # Within one turn of the loop, like a burst on the bus.
            taps.hear(RoomName("room"), Notify(event="burst"))
        end = await stream.next()
        assert (end.name, end.data["code"]) == ("end", "tooSlow")
        assert await stream.at_end()
    assert caplog.text.count("too slow") == 1
