"""The size of one message."""

from typing import Any

import pytest

from chat_service.hooks import CommandCall
from chat_service.protocol.encoded import encoded_size
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

LIMIT = 1000
#: As JSON: a text around 17 bytes of its object.
EMPTY = len('{"textMessage":""}')

pytestmark = [ONE_STORE, pytest.mark.covers("option:message_size_limit", "error:messageTooLarge")]


def too_large(size: int) -> str:
    return wire_error("messageTooLarge", size, LIMIT)


async def start(world: World, **options: Any) -> Instance:
    instance = await world.start(message_size_limit=LIMIT, **options)
    await instance.service.add_room("room")
    await instance.login("bob")
    return instance


@pytest.mark.parametrize(
    ("character", "size"), [("x", 1), ("é", 2), ("世", 3), ("🎈", 4), ('"', 2), ("\u0000", 6)]
)
async def test_a_text_counts_with_its_bytes(world: World, character: str, size: int) -> None:
    instance = await start(world)
    alice = await instance.joined("alice", "room")
    fits = character * ((LIMIT - EMPTY) // size)
    more = fits + character
    assert await alice.emit("roomMessage", "room", {"textMessage": fits}) == [None, 1]
    for command, to in (("roomMessage", "room"), ("directMessage", "bob")):
        error = await alice.error(command, to, {"textMessage": more})
        assert error == too_large(EMPTY + size * len(more))
    assert (await alice.call("roomHistoryInfo", "room"))["lastMessageId"] == 1
    assert await alice.call("directMessage", "bob", {"textMessage": fits})


async def test_every_kind_of_message_is_limited(world: World) -> None:
    accept_all = {name: lambda message: None for name in ("room_messages_checker", "direct_messages_checker")}
    instance = await start(world, hooks=accept_all)
    alice = await instance.joined("alice", "room")
    wide = {"list": [1] * LIMIT}
    binary = {"file": b"x" * LIMIT}
    for value in (wide, binary, {"k" * LIMIT: None}):
        for command in (("roomMessage", "room"), ("directMessage", "bob"), ("systemMessage",)):
            assert await alice.error(*command, value) == too_large(encoded_size(value))
    for value in ({"list": [1] * 400}, {"file": b"x" * 900}):
        assert await alice.call("roomMessage", "room", value)
        assert await alice.call("directMessage", "bob", value)
        assert await alice.call("systemMessage", value) is None
    assert encoded_size(binary) == LIMIT + len('{"file":""}')


async def test_messages_of_the_server_are_not_limited(world: World) -> None:
    text = "x" * LIMIT

    def replace(call: CommandCall) -> None:
        call.args[1] = {"textMessage": text}

    instance = await start(world, hooks={"room_message_before": replace})
    alice = await instance.joined("alice", "room")
    assert await alice.call("roomMessage", "room", {"textMessage": "short"}) == 1
    service = instance.service
    assert await service.exec_user_command(True, "roomMessage", "room", {"textMessage": text}) == [2]
    send = ("roomMessage", "room", {"textMessage": text})
    assert await raised(service.exec_user_command("alice", *send)) == (
        "messageTooLarge",
        LIMIT + EMPTY,
        LIMIT,
    )
    assert await raised(service.check_arguments(*send)) == ("messageTooLarge", LIMIT + EMPTY, LIMIT)
