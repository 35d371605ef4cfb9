"""Replies, edits, deletions and reactions by commands, and folded histories."""

from typing import Any

import pytest

from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.testing import InProcessClient
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World

TEA, NOTHING = {"textMessage": "tea"}, {"textMessage": ""}
AGAIN = {"duplicate": True}


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = await world.start()
    await instance.service.add_room("room", owner="owner")
    return instance


@pytest.fixture
async def alice(instance: Instance) -> InProcessClient:
    return await instance.joined("alice", "room")


@pytest.fixture
async def bob(instance: Instance) -> InProcessClient:
    return await instance.joined("bob", "room")


def trimmed(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages without their times."""
    return [{name: value for name, value in message.items() if name != "timestamp"} for message in messages]


@pytest.mark.covers("command:roomMessage", "command:roomRecentHistory", "command:roomHistoryGet")
async def test_a_conversation(instance: Instance, alice: InProcessClient, bob: InProcessClient) -> None:
    say = alice.emit
    assert await say("roomMessage", "room", TEA) == [None, 1]
    assert await bob.emit("roomMessage", "room", {"textMessage": "yes"}, {"replyTo": 1}) == [None, 2]
    assert await say("roomMessage", "room", {"textMessage": "milk"}, {"edits": 1}) == [None, 3]
    like = {"reactsTo": 1, "reaction": "👍"}
    assert await bob.emit("roomMessage", "room", {"textMessage": "👍"}, like) == [None, 4]
    assert await bob.emit("roomMessage", "room", {"textMessage": "👍"}, like) == [None, 4, AGAIN]
    assert await say("roomMessage", "room", NOTHING, like) == [None, 5]
    undo = {"unreactsTo": 1, "reaction": "👍"}
    assert await bob.emit("roomMessage", "room", NOTHING, undo) == [None, 6]
    assert await bob.emit("roomMessage", "room", NOTHING, undo) == [None, 0, AGAIN]
    # Others get messages that an old client may take for plain ones.
    seen = [(await bob.wait_for("roomMessage"))[1] for _ in range(4)]
    assert trimmed(seen)[1:] == [
        {"id": 2, "relatesTo": {"type": "reply", "id": 1}, "textMessage": "yes", "author": "bob"},
        {"id": 3, "relatesTo": {"type": "edit", "id": 1}, "textMessage": "milk", "author": "alice"},
        {
            "id": 4,
            "relatesTo": {"type": "reaction", "id": 1, "reaction": "👍"},
            "textMessage": "👍",
            "author": "bob",
        },
    ]
    # As ever, a history has what was sent.
    [_, plain] = await say("roomRecentHistory", "room")
    assert [message["textMessage"] for message in plain] == ["", "", "👍", "milk", "yes", "tea"]
    [_, folded, epoch] = await say("roomRecentHistory", "room", {"fold": True, "epoch": True})
    assert [message["id"] for message in folded] == [6, 5, 4, 3, 2, 1]
    edited_at = plain[3]["timestamp"]
    assert trimmed(folded[-2:]) == [
        {
            "id": 2,
            "relatesTo": {"type": "reply", "id": 1},
            "textMessage": "yes",
            "author": "bob",
            "interactions": {"upTo": 6},
        },
        {
            "id": 1,
            "textMessage": "milk",
            "author": "alice",
            "interactions": {
                "upTo": 6,
                "edited": True,
                "editedAt": edited_at,
                "reactions": [{"reaction": "👍", "count": 1, "own": True}],
            },
        },
    ]
    # What is folded into a message of the same answer has lost its content, everything else has not.
    assert trimmed(folded[:1]) == [
        {"id": 6, "relatesTo": {"type": "unreaction", "id": 1, "reaction": "👍"}, "author": "bob"}
    ]
    [_, later] = await bob.emit("roomHistoryGet", "room", 2, 9, {"fold": True})
    assert [message.get("textMessage") for message in later] == ["", "", "👍", "milk"]
    # A new device that catches up folds with the join.
    phone = await instance.login("bob")
    [_, _, history] = await phone.emit("roomJoin", "room", {"after": 0, "epoch": epoch, "fold": True})
    assert history["recovered"]
    [first, *_] = history["messages"]
    assert first["interactions"]["reactions"] == [{"reaction": "👍", "count": 1, "own": False}]


@pytest.mark.covers("error:noMessage", "error:notAllowed")
async def test_who_may_edit_and_delete(
    instance: Instance, alice: InProcessClient, bob: InProcessClient
) -> None:
    owner = await instance.joined("owner", "room")
    for _ in range(3):
        await alice.emit("roomMessage", "room", TEA)
    for option in ("edits", "deletes"):
        ack = await bob.emit("roomMessage", "room", NOTHING, {option: 1})
        assert ack == [wire_error("notAllowed"), None]
    assert await alice.emit("roomMessage", "room", NOTHING, {"deletes": 1}) == [None, 4]
    assert await alice.emit("roomMessage", "room", NOTHING, {"deletes": 1}) == [None, 4, AGAIN]
    assert await owner.emit("roomMessage", "room", NOTHING, {"deletes": 2}) == [None, 5]
    gone = [wire_error("noMessage", 1), None]
    assert await alice.emit("roomMessage", "room", TEA, {"edits": 1}) == gone
    assert await bob.emit("roomMessage", "room", TEA, {"reactsTo": 1, "reaction": "x"}) == gone
    # An edit, a deletion or a reaction has no edits and reactions, and a message to come has none either.
    for target in (4, 6, 10**9):
        for options in ({"edits": target}, {"replyTo": target}, {"reactsTo": target, "reaction": "x"}):
            ack = await owner.emit("roomMessage", "room", TEA, options)
            assert ack == [wire_error("noMessage", target), None]
    # The answer that hides a text has it nowhere.
    [_, folded] = await bob.emit("roomRecentHistory", "room", {"fold": True})
    assert "tea" not in str([message for message in folded if message["id"] != 3])
    assert folded[-1]["interactions"] == {"upTo": 5, "deleted": True}


@ONE_STORE
@pytest.mark.covers("error:badArgument")
@pytest.mark.parametrize(
    "options",
    [
        {"replyTo": 0},
        {"edits": "1"},
        {"deletes": 1.5},
        {"edits": True},
        {"edits": 1, "deletes": 1},
        {"reactsTo": 1},
        {"reaction": "x"},
        {"replyTo": 1, "reaction": "x"},
        {"reactsTo": 1, "reaction": ""},
        {"reactsTo": 1, "reaction": "x" * 65},
        {"reactsTo": 1, "reaction": ["x"]},
        {"unreactsTo": 1},
        {"targetEpoch": "x"},
        {"replyTo": 1, "targetEpoch": 5},
    ],
)
async def test_options_that_do_not_fit(alice: InProcessClient, options: dict[str, Any]) -> None:
    await alice.emit("roomMessage", "room", TEA)
    ack = await alice.emit("roomMessage", "room", TEA, options)
    assert ack == [wire_error("badArgument", 2, options), None]
    assert (await alice.emit("roomHistoryInfo", "room"))[1]["lastMessageId"] == 1


async def test_the_form_cannot_be_forged(world: World) -> None:
    """Whatever format an application allows, what a message says about others comes from the server."""
    instance = await world.start(hooks={"room_messages_checker": lambda message: None})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await alice.emit("roomMessage", "room", {"any": 1, "interactions": {"deleted": True}})
    forged = {"relatesTo": {"type": "deletion", "id": 1}, "author": "eve", "text": "x", "id": 7}
    assert await alice.emit("roomMessage", "room", forged) == [None, 2]
    assert await alice.emit("roomMessage", "room", {**forged, "text": "y"}, {"replyTo": 1}) == [None, 3]
    [_, [reply, plain, first]] = await alice.emit("roomRecentHistory", "room", {"fold": True})
    assert (plain["author"], plain["text"], plain.get("relatesTo")) == ("alice", "x", None)
    assert reply["relatesTo"] == {"type": "reply", "id": 1}
    assert first["interactions"] == {"upTo": 3}
    # An author that the server names counts, wherever it was in the message.
    server: dict[str, Any] = {"author": "bot", "text": "z"}
    await instance.service.exec_user_command(True, "roomMessage", "room", server)
    odd = {"timestamp": 1, "text": b"z", "inner": {"author": "bob"}}
    await instance.service.exec_user_command(True, "roomMessage", "room", odd)
    bob = await instance.joined("bob", "room")
    assert (await bob.emit("roomMessage", "room", {"text": "x"}, {"edits": 5}))[0] == wire_error("notAllowed")
    bot = await instance.joined("bot", "room")
    assert await bot.emit("roomMessage", "room", {"text": "better"}, {"edits": 4}) == [None, 6]


@ONE_STORE
@pytest.mark.covers("hook:call.message")
async def test_hooks_and_keys(instance: Instance, alice: InProcessClient) -> None:
    calls: list[CommandCall] = []
    instance.service.before("roomMessage")(lambda call: calls.append(call))
    instance.service.after("roomMessage")(lambda call: calls.append(call))
    await alice.emit("roomMessage", "room", TEA)
    calls.clear()
    options = {"edits": 1, "idempotencyKey": "k"}
    assert await alice.emit("roomMessage", "room", {"textMessage": "milk"}, options) == [None, 2]
    before, after = calls
    assert before.options == options
    assert after.message is not None
    assert after.message["relatesTo"] == {"type": "edit", "id": 1}
    assert await alice.emit("roomMessage", "room", {"textMessage": "milk"}, options) == [None, 2, AGAIN]
    assert calls[-1].duplicate
    # The key stands for the message and for what it says about another one.
    conflict = [wire_error("idempotencyConflict", "k"), None]
    plain = {"idempotencyKey": "k"}
    assert await alice.emit("roomMessage", "room", {"textMessage": "milk"}, plain) == conflict
    stale = {"edits": 1, "expectedLastId": 1}
    assert await alice.emit("roomMessage", "room", TEA, stale) == [wire_error("conflict", 2), None]


@ONE_STORE
@pytest.mark.covers("option:reactions_limit", "error:limitExceeded")
async def test_reactions_are_bounded(world: World) -> None:
    instance = await world.start(reactions_limit=2, history_max_size=50)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await alice.emit("roomMessage", "room", TEA)
    for reaction, ack in (("a", [None, 2]), ("b", [None, 3])):
        assert await alice.emit("roomMessage", "room", NOTHING, {"reactsTo": 1, "reaction": reaction}) == ack
    refused = await alice.emit("roomMessage", "room", NOTHING, {"reactsTo": 1, "reaction": "c"})
    assert refused == [wire_error("limitExceeded", "reactions of a message"), None]
    run, like = instance.service.exec_user_command, {"reactsTo": 1, "reaction": "a"}
    for number in range(4, 51):
        await instance.service.add_user(f"user{number}")
        who = {"user_name": f"user{number}", "bypass_permissions": True}
        assert await run(who, "roomMessage", "room", NOTHING, options=like) == [number]
    [first] = await run("alice", "roomHistoryGet", "room", 0, 1, options={"fold": True})
    assert first[0]["interactions"]["reactions"] == [
        {"reaction": "a", "count": 48, "own": True},
        {"reaction": "b", "count": 1, "own": True},
    ]
    # Reactions are messages, so with one more the oldest message goes, and what is known of it.
    await alice.emit("roomMessage", "room", TEA)
    assert await alice.emit("roomMessage", "room", NOTHING, like) == [wire_error("noMessage", 1), None]


async def test_a_join_for_a_socket_of_another_instance_folds(world: World, instance: Instance) -> None:
    other = await world.start()
    alice = await other.login("alice")
    await instance.joined("alice", "room")
    run = instance.service.exec_user_command
    await run(True, "roomMessage", "room", TEA)
    await run(True, "roomMessage", "room", {"textMessage": "milk"}, options={"edits": 1})
    who = {"user_name": "alice", "id": alice.id}
    [_, history] = await run(who, "roomJoin", "room", options={"recent": 9, "fold": True})
    assert [message.get("textMessage") for message in history["messages"]] == ["milk", None]


@pytest.mark.covers("api:erase_message")
async def test_an_erased_message_is_gone_from_the_store(instance: Instance, alice: InProcessClient) -> None:
    secret = {"textMessage": "secret"}
    await alice.emit("roomMessage", "room", secret)
    await alice.emit("roomMessage", "room", TEA, {"replyTo": 1})
    await alice.emit("roomMessage", "room", {"textMessage": "more secret"}, {"edits": 1})
    await instance.service.erase_message("room", 1)
    deletion = [(await alice.wait_for("roomMessage"))[1] for _ in range(4)][-1]
    assert deletion["relatesTo"] == {"type": "deletion", "id": 1}
    [_, stored] = await alice.emit("roomHistoryGet", "room", 0, 9)
    assert [message.get("textMessage") for message in stored] == ["", None, "tea", None]
    assert trimmed(stored[-1:]) == [{"id": 1, "author": "alice", "erased": True}]
    # Once more does no harm, and other messages stay as they are.
    await instance.service.erase_message("room", 1)
    assert (await alice.emit("roomHistoryGet", "room", 0, 9))[1] == stored
    for room, message_id, code in (("room", 9, "noMessage"), ("nowhere", 1, "noRoom")):
        with pytest.raises(ChatServiceError) as caught:
            await instance.service.erase_message(room, message_id)
        assert caught.value.code == code
