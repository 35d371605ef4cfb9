"""Changes that remove many sockets: their promises hold while the work is done in slices."""

import asyncio
from typing import Any

import pytest

from chat_service.domain.access_loss import ENDED_AT_ONCE
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker
from tests.support.world import Instance, World

#: More users than a store removes by one event, and more sockets on each instance than leave in one turn.
MANY = max(210, 3 * ENDED_AT_ONCE + 1)


async def crowd(*nodes: Instance) -> list[InProcessClient]:
    """Many users in a room, besides alice and bob, who may stay."""
    await nodes[0].service.add_room("room", owner="alice", whitelist=["bob"])

    async def enter(number: int) -> InProcessClient:
        client = await nodes[number % len(nodes)].login(f"user{number}")
        await client.call("roomJoin", "room")
        client.clear()
        return client

    clients: list[InProcessClient] = []
    for start in range(0, MANY, 70):
        clients += await asyncio.gather(*map(enter, range(start, min(start + 70, MANY))))
    return clients


async def say(client: InProcessClient, *texts: str) -> None:
    for text in texts:
        await client.call("roomMessage", "room", {"textMessage": text})


def texts(client: InProcessClient) -> list[str]:
    return [message["textMessage"] for _, message in client.received("roomMessage")]


@pytest.mark.covers(
    "command:roomSetWhitelistMode",
    "notification:roomAccessRemoved",
    "notification:roomUserLeft",
    "better:no reading or posting after a removal",
)
async def test_nothing_reaches_those_who_are_out(world: World) -> None:
    first, second = await world.start(), await world.start()
    clients = await crowd(first, second)
    await first.service.change_userlist_updates("room", True)
    alice, bob = await first.joined("alice", "room"), await second.joined("bob", "room")
    removing = asyncio.create_task(alice.call("roomSetWhitelistMode", "room", True))
    await asyncio.gather(say(bob, *"abcdefgh"), removing)
    await say(alice, "private")
    for client in clients:
        await wait_until(lambda client=client: client.received("roomAccessRemoved"), f"{client!r} is out")
    await room_marker(first.service, "room", alice)
    await room_marker(second.service, "room", bob)
    for client in clients:
        heard = texts(client)
        # What was stored before the decision, and nothing after it.
        assert heard == list("abcdefgh")[: len(heard)]
        assert client.events[-1] == ("roomAccessRemoved", ["room"])
    for stayer in (alice, bob):
        left = [user for _, user in stayer.received("roomUserLeft")]
        assert sorted(left) == sorted(f"user{number}" for number in range(MANY))
        assert stayer.received("roomStateGap") == stayer.received("roomHistoryGap") == []


@ONE_STORE
@pytest.mark.covers("hook:on_leave", "command:roomDelete")
async def test_the_hook_has_run_for_everybody_before_the_answer(world: World) -> None:
    left: list[str] = []

    async def on_leave(service: Any, info: Any) -> None:
        await asyncio.sleep(0)
        left.append(info.user_name)

    first, second = [await world.start(hooks={"on_leave": on_leave}) for _ in range(2)]
    clients = await crowd(first, second)
    alice = await second.joined("alice", "room")
    await alice.call("roomDelete", "room")
    assert sorted(left) == sorted(["alice", *(f"user{number}" for number in range(MANY))])
    for client in clients:
        await client.wait_for("roomAccessRemoved", "room")
