"""Messages that one socket sends to one room without waiting for answers. A store may take them together."""

import asyncio
from typing import Any

from chat_service.concurrency.serial import PARTY_SIZE
from chat_service.testing import InProcessClient, wait_until
from tests.support.world import World


def message(text: Any) -> tuple[str, str, dict[str, Any]]:
    return "roomMessage", "room", {"textMessage": text}


async def at_once(client: InProcessClient, *calls: tuple[Any, ...]) -> list[Any]:
    """The results or error codes of commands that are sent at once."""
    acks = await asyncio.gather(*(client.emit(*call) for call in calls))
    return [result if error is None else error["code"] for error, result in acks]


async def test_order_ids_and_deliveries(world: World) -> None:
    here, there = await world.start(use_raw_error_objects=True), await world.start()
    await here.service.add_room("room")
    sender, other = await here.joined("alice", "room"), await there.joined("bob", "room")
    texts = [f"text {number} ü" for number in range(2 * PARTY_SIZE + 5)]
    ids = list(range(1, len(texts) + 1))
    assert await at_once(sender, *map(message, texts)) == ids
    for client in sender, other:
        await wait_until(lambda client=client: len(client.received("roomMessage")) == len(ids), "messages")
        got = [args[1] for args in client.received("roomMessage")]
        assert [(each["textMessage"], each["id"]) for each in got] == list(zip(texts, ids, strict=True))
        assert {each["author"] for each in got} == {"alice"}
    stored = await sender.call("roomHistoryGet", "room", 0, 100)
    assert [each["textMessage"] for each in reversed(stored)] == texts


async def test_a_bad_message_among_them_is_refused_alone(world: World) -> None:
    instance = await world.start(use_raw_error_objects=True)
    await instance.service.add_room("room")
    sender = await instance.joined("alice", "room")
    answers = await at_once(sender, *map(message, ["first", "second", 3, "third"]))
    assert answers == [1, 2, "badArgument", 3]


async def test_all_that_have_not_left_are_refused_if_the_room_is_deleted(world: World) -> None:
    instance = await world.start(use_raw_error_objects=True)
    await instance.service.add_room("room")
    sender = await instance.joined("alice", "room")
    # Tasks begin in this order.
    sends = [asyncio.create_task(at_once(sender, message(text))) for text in "abcde"]
    await instance.service.delete_room("room")
    answers = [answer for send in sends for answer in await send]
    ids = [answer for answer in answers if isinstance(answer, int)]
    assert ids == list(range(1, len(ids) + 1))
    assert answers[len(ids) :] == ["noRoom"] * (5 - len(ids))


async def test_other_commands_of_the_socket_keep_their_place(world: World) -> None:
    instance = await world.start(use_raw_error_objects=True)
    await instance.service.add_room("room")
    sender = await instance.joined("alice", "room")
    # The second time, the store expects several messages at once.
    for last in (0, 3):
        *ids, info, left, late, later = await at_once(
            sender,
            *map(message, "abc"),
            ("roomHistoryInfo", "room"),
            ("roomLeave", "room"),
            *map(message, "de"),
        )
        assert (ids, info["lastMessageId"], left) == ([last + 1, last + 2, last + 3], last + 3, 0)
        assert (late, later) == ("notJoined", "notJoined")
        await sender.call("roomJoin", "room")


async def test_hooks_see_each_message_before_the_next_one_is_sent(world: World) -> None:
    seen: list[str] = []
    instance = await world.start(use_raw_error_objects=True)

    @instance.service.before("roomMessage")
    async def before(call: Any) -> None:
        seen.append(f"before {call.args[1]['textMessage']}")

    @instance.service.after("roomMessage")
    async def after(call: Any) -> None:
        seen.append(f"after {call.results[0]}")

    await instance.service.add_room("room")
    sender = await instance.joined("alice", "room")
    assert await at_once(sender, *map(message, "abc")) == [1, 2, 3]
    assert seen == ["before a", "after 1", "before b", "after 2", "before c", "after 3"]
