"""Races between clients at different places: whichever wins, the outcome is consistent."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from chat_service.testing import InProcessClient, wait_until
from tests.support.markers import room_marker, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import wire_error

TEXT = {"textMessage": "x"}


def ids_of(client: InProcessClient) -> list[int]:
    return [message["id"] for _, message in client.received("roomMessage")]


# Presence


@pytest.mark.covers("notification:socketConnectEcho", "notification:socketDisconnectEcho")
async def test_concurrent_connects_and_disconnects_are_counted(spread: StartSpread) -> None:
    nodes = await spread()
    watch = await nodes[0].login("alice")
    clients = await asyncio.gather(*(nodes[place].login("alice") for place in range(9)))
    await wait_until(lambda: len(watch.received("socketConnectEcho")) == 9, "nine connects")
    assert sorted(args[1] for args in watch.received("socketConnectEcho")) == list(range(2, 11))
    assert {args[0] for args in watch.received("socketConnectEcho")} == {client.id for client in clients}
    await asyncio.gather(*(client.disconnect() for client in clients))
    await wait_until(lambda: len(watch.received("socketDisconnectEcho")) == 9, "nine disconnects")
    assert sorted(args[1] for args in watch.received("socketDisconnectEcho")) == list(range(1, 10))
    assert await watch.call("listOwnSockets") == {watch.id: []}


@pytest.mark.covers("command:roomJoin", "command:roomLeave", "notification:roomUserJoined")
async def test_concurrent_joins_and_leaves_are_counted_and_announced_once(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room")
    bob = await nodes[2].joined("bob", "room")
    clients = [await nodes[place].login("alice") for place in range(9)]
    for _ in range(3):
        joined = await asyncio.gather(*(client.call("roomJoin", "room") for client in clients))
        assert sorted(joined) == list(range(1, 10))
        left = await asyncio.gather(*(client.call("roomLeave", "room") for client in clients))
        assert sorted(left) == list(range(9))
    await room_marker(nodes.service, "room", bob)
    told = [(name, args[1]) for name, args in bob.events if name != "roomMessage" and args[1] == "alice"]
    assert told == [("roomUserJoined", "alice"), ("roomUserLeft", "alice")] * 3


@pytest.mark.covers("notification:roomUserLeft", "notification:roomLeftEcho", "api:close")
async def test_a_closed_instance_leaves_nobody_behind(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    if len(nodes.instances) == 1:
        nodes.instances += (await spread(enable_userlist_updates=True)).instances
    await nodes.service.add_room("room")
    bob = await nodes[0].joined("bob", "room")
    near = await nodes[0].login("alice")
    away = [await nodes[1].joined("alice", "room") for _ in range(3)]
    await nodes[1].service.close()
    await bob.wait_for("roomUserLeft", "room", "alice")
    for client in away:
        await near.wait_for("roomLeftEcho", "room", client.id)
        await near.wait_for("socketDisconnectEcho", client.id)
    assert await near.call("listOwnSockets") == {near.id: []}
    assert await bob.call("roomGetAccessList", "room", "userlist") == ["bob"]


# One winner


@pytest.mark.covers("command:roomCreate", "error:roomExists")
async def test_one_of_many_creates_the_room(spread: StartSpread) -> None:
    nodes = await spread()
    clients = [await nodes[place].login(f"user{place}") for place in range(6)]
    acks = await asyncio.gather(*(client.emit("roomCreate", "room", False) for client in clients))
    assert Counter(ack[0] for ack in acks) == {None: 1, wire_error("roomExists", "room"): 5}
    winner = next(place for place, ack in enumerate(acks) if ack[0] is None)
    assert await clients[winner].call("roomGetOwner", "room") == f"user{winner}"


@pytest.mark.covers("command:roomDelete", "error:noRoom")
async def test_a_room_is_deleted_once(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", owner="alice")
    clients = [await nodes[place].login("alice") for place in range(6)]
    acks = await asyncio.gather(*(client.emit("roomDelete", "room") for client in clients))
    assert Counter(ack[0] for ack in acks) == {None: 1, wire_error("noRoom", "room"): 5}


@pytest.mark.covers("option:room_list_size_limit", "option:direct_list_size_limit")
async def test_lists_changed_on_several_instances_keep_their_limit(spread: StartSpread) -> None:
    nodes = await spread(room_list_size_limit=10, direct_list_size_limit=10)
    await nodes.service.add_room("room", owner="alice")
    clients = [await nodes[place].login("alice") for place in range(6)]
    for prefix, get in [
        (("roomAddToList", "room", "whitelist"), ("roomGetAccessList", "room", "whitelist")),
        (("directAddToList", "whitelist"), ("directGetAccessList", "whitelist")),
    ]:
        work = []
        for place, client in enumerate(clients):
            for number in range(4):
                names = [f"name{place}{number}", "common"]
                work.append(client.emit(*prefix, names))
        acks = await asyncio.gather(*work)
        refused = wire_error("listLimitExceeded", "whitelist")
        assert Counter(ack[0] for ack in acks) == {None: 9, refused: 15}
        assert len(await clients[0].call(*get)) == 10


# Removals under traffic


@pytest.mark.covers(
    "better:no reading or posting after a removal", "notification:roomAccessRemoved", "command:roomMessage"
)
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_reaches_or_comes_from_a_removed_user(spread: StartSpread, seed: int) -> None:
    dice = random.Random(seed)
    nodes = await spread()
    await nodes.service.add_room("room", owner="owner")
    owner = await nodes[2].joined("owner", "room")
    carol = await nodes[1].joined("carol", "room")
    bobs = [await nodes[place].joined("bob", "room") for place in range(3)]
    acked: dict[str, list[int]] = {"bob": [], "carol": []}
    done = asyncio.Event()

    async def talk(name: str, client: InProcessClient) -> None:
        while not done.is_set():
            error, message_id = await client.emit("roomMessage", "room", TEXT)
            if error is None:
                acked[name].append(message_id)
            else:
                assert (name, error) == ("bob", wire_error("notJoined", "room"))
            await asyncio.sleep(0)

    talkers = [asyncio.create_task(talk("bob", client)) for client in bobs]
    talkers.append(asyncio.create_task(talk("carol", carol)))
    await wait_until(lambda: len(ids_of(carol)) > 20 + dice.randrange(20), "traffic")
    how: Any = dice.choice([("roomAddToList", "blacklist", ["bob"]), ("roomSetWhitelistMode", True)])
    await nodes.service.exec_user_command(True, "roomAddToList", "room", "whitelist", ["carol"])
    await owner.call(how[0], "room", *how[1:])
    # What is stored after the acknowledgement.
    first_after = await room_marker(nodes.service, "room")
    await wait_until(lambda: len(ids_of(carol)) > first_after + 10, "more traffic")
    done.set()
    await asyncio.gather(*talkers)
    await room_marker(nodes.service, "room", carol, owner)
    assert max(acked["bob"]) < first_after < max(acked["carol"])
    for client in (carol, owner):
        assert ids_of(client) == list(range(1, len(ids_of(client)) + 1))
    for client in bobs:
        await user_marker(nodes.service, "bob", client)
        names = [name for name, _ in client.events]
        assert names.count("roomAccessRemoved") == 1
        assert "roomMessage" not in names[names.index("roomAccessRemoved") :]
        assert ids_of(client) == list(range(1, len(ids_of(client)) + 1))
        assert len(ids_of(client)) < first_after


@pytest.mark.covers("command:roomJoin", "command:roomLeave", "better:id order on every instance")
@pytest.mark.parametrize("seed", range(3))
async def test_members_who_come_and_go_get_all_messages_while_joined(spread: StartSpread, seed: int) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room")
    carol = await nodes[1].joined("carol", "room")
    done = asyncio.Event()

    async def talk() -> None:
        while not done.is_set():
            await carol.call("roomMessage", "room", TEXT)
            await asyncio.sleep(0)

    async def come_and_go(place: int, dice: random.Random) -> None:
        client = await nodes[place].login(f"user{place}")
        for _ in range(10):
            client.clear()
            await client.call("roomJoin", "room")
            first = await client.call("roomMessage", "room", TEXT)
            for _ in range(dice.randrange(30)):
                await asyncio.sleep(0)
            last = await client.call("roomMessage", "room", TEXT)
            await wait_until(lambda last=last: last in ids_of(client), "the own message")
            heard = ids_of(client)
            assert heard == list(range(heard[0], heard[-1] + 1))
            assert heard[0] <= first
            await client.call("roomLeave", "room")

    talker = asyncio.create_task(talk())
    await asyncio.gather(*(come_and_go(place, random.Random(f"{seed} {place}")) for place in range(5)))
    done.set()
    await talker
    last = await room_marker(nodes.service, "room", carol)
    assert ids_of(carol) == list(range(1, last + 1))
    presence: dict[str, list[str]] = {}
    for name, args in carol.events:
        if name in ("roomUserJoined", "roomUserLeft") and args[1] != "carol":
            presence.setdefault(args[1], []).append(name)
    assert presence == {f"user{n}": ["roomUserJoined", "roomUserLeft"] * 10 for n in range(5)}


@pytest.mark.covers("notification:roomAccessRemoved", "command:roomRemoveFromList", "command:roomJoin")
@pytest.mark.parametrize("seed", range(3))
async def test_a_user_who_is_removed_and_readmitted_repeatedly(spread: StartSpread, seed: int) -> None:
    dice = random.Random(seed)
    nodes = await spread()
    await nodes.service.add_room("room", owner="owner")
    owner = await nodes[2].joined("owner", "room")
    bobs = [await nodes[place].login("bob") for place in range(4)]
    done = asyncio.Event()

    async def insist(client: InProcessClient) -> None:
        expected = (None, wire_error("notAllowed"), wire_error("notJoined", "room"))
        while not done.is_set():
            command: Any = dice.choice([("roomJoin", "room"), ("roomMessage", "room", TEXT)])
            assert (await client.emit(*command))[0] in expected
            await asyncio.sleep(0)

    insisting = [asyncio.create_task(insist(client)) for client in bobs]
    for _ in range(15):
        for command in ("roomAddToList", "roomRemoveFromList"):
            await owner.call("roomMessage", "room", TEXT)
            await owner.call(command, "room", "blacklist", ["bob"])
            for _ in range(dice.randrange(20)):
                await asyncio.sleep(0)
    done.set()
    await asyncio.gather(*insisting)
    for client in bobs:
        heard = ids_of(client)
        assert heard == sorted(set(heard))
    joined = await asyncio.gather(*(client.call("roomJoin", "room") for client in bobs))
    assert max(joined) == 4
    for client in bobs:
        client.clear()
    last = await room_marker(nodes.service, "room", owner, *bobs)
    assert all(ids_of(client)[-1] == last for client in bobs)
    assert ids_of(owner) == list(range(1, last + 1))


@pytest.mark.covers("command:roomDelete", "command:roomCreate", "command:roomJoin")
@pytest.mark.parametrize("seed", range(3))
async def test_a_room_that_is_deleted_and_created_repeatedly(spread: StartSpread, seed: int) -> None:
    dice = random.Random(seed)
    nodes = await spread(enable_userlist_updates=True)
    owner = await nodes[2].login("owner")
    users = [await nodes[place].login(f"user{place % 4}") for place in range(6)]
    done = asyncio.Event()

    async def insist(client: InProcessClient) -> None:
        expected = (None, wire_error("noRoom", "room"), wire_error("notJoined", "room"))
        while not done.is_set():
            command: Any = dice.choice([("roomJoin", "room"), ("roomMessage", "room", TEXT)])
            assert (await client.emit(*command))[0] in expected
            await asyncio.sleep(0)

    insisting = [asyncio.create_task(insist(client)) for client in users]
    for _ in range(10):
        await owner.call("roomCreate", "room", False)
        for _ in range(dice.randrange(40)):
            await asyncio.sleep(0)
        await owner.call("roomDelete", "room")
    done.set()
    await asyncio.gather(*insisting)
    assert not await nodes.service.has_room("room")
    await owner.call("roomCreate", "room", False)
    for client in users:
        assert all(rooms == [] for rooms in (await client.call("listOwnSockets")).values())
        client.clear()
    await asyncio.gather(*(client.call("roomJoin", "room") for client in users))
    sent = await asyncio.gather(*(client.call("roomMessage", "room", TEXT) for client in users))
    assert sorted(sent) == list(range(1, 7))
    await room_marker(nodes.service, "room", *users)
    for client in users:
        assert ids_of(client)[-1] == 7
        assert ids_of(client) == list(range(ids_of(client)[0], 8))
