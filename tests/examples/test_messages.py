"""example/personal_feed.py, edit_messages.py, sqlite_archive.py, document_operations.py and bot.py."""

import asyncio
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from example import bot, document_operations, edit_messages, personal_feed, sqlite_archive
from tests.e2e.clients import Client
from tests.examples.conftest import Login, Start, both_stores, one_store

NOT_ALLOWED = "ChatServiceError: Action is not allowed"


@both_stores
async def test_feed_collects_messages_of_interest(start: Start, login: Login) -> None:
    here = await start(personal_feed.make_service)
    there = await start(personal_feed.make_service)
    await here.add_room("news")
    await here.add_room("team", whitelist=["ann"], whitelist_only=True, owner="ann")
    ann, bob = await login(here, "ann"), await login(there, "bob")
    for client in (ann, bob):
        await client.call("roomJoin", "news")
    await ann.call("roomJoin", "team")
    await ann.call("roomJoin", "feed.ann")
    await ann.emit("follow", "news", ["Python"])
    await ann.emit("follow", "team", [])

    # Until the other instance knows, its messages are not gathered: the last of these is.
    number = 0
    while not ann.received("roomMessage") or ann.received("roomMessage")[-1][0] != "feed.ann":
        number += 1
        await bob.call("roomMessage", "news", {"textMessage": f"about python {number}"})
    ann.events.clear()
    await bob.call("roomMessage", "news", {"textMessage": "about something else"})
    await ann.call("roomMessage", "team", {"textMessage": "all of it"})
    _, item = await ann.wait_for("roomMessage", "feed.ann")
    assert (item["author"], item["source"]) == ("ann", {"room": "team", "id": 1})
    history = await ann.call("roomRecentHistory", "feed.ann")
    assert [item["textMessage"] for item in history][:2] == ["all of it", f"about python {number}"]

    # Feeds are for their owners' eyes, are written by the server alone, and hold what one may read.
    assert await bob.error("roomJoin", "feed.ann") == NOT_ALLOWED
    assert await bob.error("follow", "team", []) == NOT_ALLOWED
    assert await ann.error("roomMessage", "feed.ann", {"textMessage": "fake"}) == NOT_ALLOWED
    fake = {"textMessage": "fake", "source": {"room": "news", "id": 1}}
    assert await bob.error("roomMessage", "news", fake) == NOT_ALLOWED
    assert "Bad argument" in await bob.error("follow", "news", "word")
    assert "Bad argument" in await bob.error("roomMessage", "news", {"text": "?"})
    await ann.emit("unfollow", "team")
    await ann.call("roomMessage", "team", {"textMessage": "unheard"})
    assert await ann.call("roomRecentHistory", "feed.ann") == history


@one_store
async def test_messages_are_edited_and_deleted(start: Start, login: Login) -> None:
    service = await start(edit_messages.make_service)
    await service.add_room("room", owner="olga", adminlist=["adam"])
    ann, bob, adam = [await login(service, name) for name in ("ann", "bob", "adam")]
    for client in (ann, bob, adam):
        await client.call("roomJoin", "room")

    async def say(client: Client, **message: Any) -> Any:
        return await client.call("roomMessage", "room", message)

    assert await say(ann, textMessage="helo") == 1
    assert await say(bob, textMessage="spam") == 2
    assert await say(ann, edit=1, textMessage="hello") == 3
    assert await say(adam, delete=2) == 4
    for client, message, error in (
        (bob, {"edit": 1, "textMessage": "bye"}, NOT_ALLOWED),
        (bob, {"delete": 1}, NOT_ALLOWED),
        (adam, {"edit": 1, "textMessage": "bye"}, NOT_ALLOWED),
        (ann, {"edit": 3, "textMessage": "an edit"}, "There is no message 3 that can be changed"),
        (ann, {"edit": 0, "textMessage": "none"}, "There is no message 0 that can be changed"),
        (ann, {"delete": 9}, "There is no message 9 that can be changed"),
        (ann, {"delete": True}, "Bad argument at position 1"),
        (ann, {"delete": 1, "more": 2}, "Bad argument at position 1"),
    ):
        assert error in await client.error("roomMessage", "room", message)

    # Whoever edits at the same time, all see the same: what has the later id.
    phone = await login(service, "ann")
    await phone.call("roomJoin", "room")
    ids = await asyncio.gather(
        *(
            say(client, edit=1, textMessage=f"{name} {n}")
            for n in range(5)
            for name, client in (("a", ann), ("b", phone))
        )
    )
    await say(ann, delete=1)
    await say(phone, textMessage="the end")
    last = max(ids) + 2
    history = list(reversed(await bob.call("roomRecentHistory", "room")))
    assert edit_messages.view(history) == {last: "the end"}
    winner = next(message for message in history if message["id"] == max(ids))
    assert edit_messages.view(history[: max(ids)]) == {1: winner["textMessage"]}


@one_store
async def test_archive_contains_all_acknowledged_messages(start: Start, login: Login, tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    service = await start(sqlite_archive.make_service, path)
    members = [await login(service, name) for name in ("ann", "bob", "carol")]
    stranger = await login(service, "mallory")
    for member in members:
        await member.call("roomJoin", "default")

    async def talk(client: Client) -> list[int]:
        texts = [{"textMessage": f"{client.name} {number}"} for number in range(30)]
        acks = await asyncio.gather(*(client.emit("roomMessage", "default", text) for text in texts))
        return [message_id for error, message_id in acks if error is None]

    acked = await asyncio.gather(*map(talk, [*members, stranger]))
    rows = sqlite3.connect(path).execute("select id, author, timestamp, body from messages").fetchall()
    assert sorted(row[0] for row in rows) == sorted(itertools.chain(*acked)) == list(range(1, 91))
    history = await members[0].call("roomRecentHistory", "default")
    as_rows = [
        (m["id"], m["author"], m["timestamp"], f'{{"textMessage": "{m["textMessage"]}"}}') for m in history
    ]
    assert sorted(as_rows) == sorted(rows)


@one_store
async def test_archive_that_fails_makes_no_acks(
    start: Start, login: Login, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "archive.db"
    service = await start(sqlite_archive.make_service, path)
    ann = await login(service, "ann")
    await ann.call("roomJoin", "default")
    with sqlite3.connect(path) as other:
        other.execute("drop table messages")
    other.close()
    assert "Internal server error" in await ann.error("roomMessage", "default", {"textMessage": "lost"})
    assert "no such table" in str(caplog.records[-1].exc_info)
    caplog.clear()
    with sqlite3.connect(path) as other:
        other.executescript(sqlite_archive.SCHEMA)
    other.close()
    assert await ann.call("roomMessage", "default", {"textMessage": "kept"}) == 2


@both_stores
async def test_documents_take_one_operation_per_version(start: Start, login: Login) -> None:
    services = [await start(document_operations.make_service) for _ in range(2)]
    conflicts = 0

    async def write(client: Client, letters: str) -> None:
        """Append letters, whatever the others do."""
        nonlocal conflicts
        _, _, state = await client.emit("roomJoin", "notes")
        document = document_operations.Document(**state)
        for letter in letters:
            while True:
                operation = {
                    "base": document.version,
                    "at": len(document.text),
                    "remove": 0,
                    "insert": letter,
                }
                error, _ = (await client.emit("roomMessage", "notes", operation))[:2]
                for missed in reversed(await client.call("roomHistoryGet", "notes", document.last, 100)):
                    document.apply(missed)
                if error is None:
                    break
                assert "is not the newest one" in error
                conflicts += 1

    writers = [await login(services[number % 2], f"writer{number}") for number in range(4)]
    await asyncio.gather(
        *(
            write(client, letters)
            for client, letters in zip(writers, ["abc", "def", "ghi", "jkl"], strict=True)
        )
    )

    texts = {(await client.emit("roomJoin", "notes"))[2]["text"] for client in writers}
    (text,) = texts
    assert sorted(text) == list("abcdefghijkl") and conflicts > 0
    for letters in ("abc", "def", "ghi", "jkl"):
        assert [letter for letter in text if letter in letters] == list(letters)

    late = await login(services[0], "late")
    _, _, state = await late.emit("roomJoin", "notes")
    ending = {"base": state["version"], "at": 0, "remove": 12, "insert": "the end"}
    assert await late.call("roomMessage", "notes", ending) == state["last"] + 1
    # Sent again, as after a lost ack, it does not count again.
    assert "is not the newest one" in await late.error("roomMessage", "notes", ending)
    assert "Bad argument" in await late.error("roomMessage", "notes", {**ending, "at": -1})
    assert "No such room" in await late.error("roomMessage", "none", ending)
    assert (await late.emit("roomJoin", "notes"))[2]["text"] == "the end"


@both_stores
async def test_bot_answers_once_on_any_instance(start: Start, connect: Login, login: Login) -> None:
    services = [await start(bot.make_service) for _ in range(2)]
    await services[0].add_room("room")
    clients = [await login(service, name) for service, name in zip(services, ("ann", "bob"), strict=True)]
    for client in clients:
        await client.call("roomJoin", "room")
    for client in clients:
        await client.call("roomMessage", "room", {"textMessage": "!roll 1"})
        for each in clients:
            _, question = await each.wait_for("roomMessage", "room")
            _, answer = await each.wait_for("roomMessage", "room")
            assert answer["id"] == question["id"] + 1
            assert (answer["author"], answer["textMessage"]) == ("robot", f"{client.name} rolls 1 of 1")
    await clients[0].call("roomMessage", "room", {"textMessage": "!help"})
    await clients[1].wait_for("roomMessage", "room")
    _, answer = await clients[1].wait_for("roomMessage", "room")
    assert answer["textMessage"] == "!roll [N]: a number from 1 to N, or to 6\n!help: this list"
    assert [message["id"] for message in await clients[1].call("roomRecentHistory", "room")] == [
        6,
        5,
        4,
        3,
        2,
        1,
    ]

    thief = await connect(services[0], bot.BOT)
    assert await thief.wait_for("loginRejected") == [NOT_ALLOWED]
