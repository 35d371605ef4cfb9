"""Atomicity: concurrent calls from several instances, with nothing lost or counted twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any

from chat_service.contracts.bus import RoomEvent
from chat_service.contracts.records import SYSTEM, RoomConfig, UserConfig
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LIMIT,
    NOW,
    ROOM,
    Peer,
    Peers,
    StoreTests,
    actor,
    room_topic,
    user_topic,
)
from chat_service.types import InstanceId, SocketId, UserName

#: Number of instances, and of sockets or calls per test.
PEERS, MANY = 3, 24


async def together(calls: Iterable[Awaitable[Any]]) -> tuple[list[Any], Counter[str]]:
    """Run calls concurrently. Returns the results of the successful ones and the others' error codes."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    codes: Counter[str] = Counter()
    results = []
    for outcome in outcomes:
        if isinstance(outcome, ChatServiceError):
            codes[outcome.code] += 1
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results.append(outcome)
    return results, codes


def sockets(count: int = MANY, prefix: str = "s") -> list[SocketId]:
    return [SocketId(f"{prefix}{number}") for number in range(count)]


def named(events: Iterable[RoomEvent], name: str) -> list[RoomEvent]:
    return [event for event in events if event.event == name]


class ConcurrencySuite(StoreTests):
    """Every method is atomic across instances."""

    async def _crowd(self, peers: Peers, config: RoomConfig | None = None) -> list[Peer]:
        """Several instances subscribed to alice and to a room ``hall`` with notifications on."""
        crowd = await peers.open_many(PEERS)
        on = RoomConfig(enable_userlist_updates=True, enable_access_lists_updates=True)
        await crowd[0].store.room_create(HALL, config or on)
        for peer in crowd:
            await peer.hear(room_topic(HALL), user_topic(ALICE))
        return crowd

    # Creation and deletion

    async def test_only_one_concurrent_creation_succeeds(self, peers: Peers) -> None:
        crowd = await peers.open_many(PEERS)
        _, codes = await together(
            peer.store.room_create(ROOM, RoomConfig(owner=UserName(f"u{number}")))
            for number, peer in enumerate(crowd * 3)
        )
        assert codes == {"roomExists": PEERS * 3 - 1}
        _, codes = await together(peer.store.user_create(ALICE, UserConfig()) for peer in crowd * 3)
        assert codes == {"userExists": PEERS * 3 - 1}

    async def test_only_one_concurrent_deletion_succeeds(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        await crowd[0].store.user_create(ALICE, UserConfig())
        _, codes = await together(peer.store.room_delete(HALL, SYSTEM) for peer in crowd)
        assert codes == {"noRoom": PEERS - 1}
        _, codes = await together(peer.store.user_delete(ALICE) for peer in crowd)
        assert codes == {"noUser": PEERS - 1}

    # Limits

    async def test_user_list_limit_holds_under_concurrency(self, peers: Peers) -> None:
        crowd = await peers.open_many(PEERS)
        await crowd[0].store.user_create(ALICE, UserConfig())
        done, codes = await together(
            crowd[number % PEERS].store.user_add_to_list(ALICE, "blacklist", [f"u{number}"], 10)
            for number in range(MANY)
        )
        assert (len(done), codes) == (10, {"listLimitExceeded": MANY - 10})
        assert len(await crowd[0].store.user_get_list(ALICE, "blacklist")) == 10

    async def test_room_list_limit_holds_under_concurrency(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        done, codes = await together(
            crowd[number % PEERS].store.room_change_list(
                HALL, SYSTEM, "whitelist", NOW, add=[f"u{number}", f"v{number}"], limit=11
            )
            for number in range(MANY)
        )
        # Each call adds both names or none.
        assert (len(done), codes) == (5, {"listLimitExceeded": MANY - 5})
        names = await crowd[0].store.room_get_list(HALL, SYSTEM, "whitelist")
        told = [event.args[2] for event in await crowd[1].room_events(HALL)]
        assert sorted(names) == sorted(name for added in told for name in added)
        assert len(names) == 10

    # Sockets

    async def test_connects_and_disconnects_are_counted_once(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        # An observer that receives every echo.
        await crowd[0].connect(ALICE, SocketId("witness"))
        await crowd[0].user_told(ALICE)
        ids = sockets()
        counts, _ = await together(
            crowd[number % PEERS].store.socket_connect(ALICE, socket_id, crowd[number % PEERS].instance_id)
            for number, socket_id in enumerate(ids)
        )
        assert sorted(counts) == list(range(2, MANY + 2))
        echoes = await crowd[0].user_told(ALICE)
        assert [echo.words[2] for echo in echoes] == list(range(2, MANY + 2))
        # Each by two instances at once: its own and the one that recovers it.
        counts, _ = await together(
            peer.store.socket_disconnect(ALICE, socket_id, crowd[number % PEERS].instance_id, [])
            for number, socket_id in enumerate(ids)
            for peer in crowd[:2]
        )
        echoes = await crowd[0].user_told(ALICE)
        assert [echo.words[2] for echo in echoes] == list(range(MANY, 0, -1))
        for peer in crowd[1:]:
            assert dict(await peer.store.instance_sockets(peer.instance_id)) == {}

    # Presence

    async def test_joins_and_leaves_of_one_user(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        ids = sockets()
        await asyncio.gather(
            *(crowd[number % PEERS].connect(ALICE, socket_id) for number, socket_id in enumerate(ids))
        )
        results, _ = await together(
            crowd[number % PEERS].join(ALICE, socket_id, HALL) for number, socket_id in enumerate(ids)
        )
        assert sorted(result.njoined for result in results) == list(range(1, MANY + 1))
        assert all(result.changed for result in results)
        for peer in crowd:
            assert [event.event for event in await peer.room_events(HALL)] == ["roomUserJoined"]
            echoes = [told for told in await peer.user_told(ALICE) if told.words[0] == "roomJoinedEcho"]
            assert sorted(echo.words[3] for echo in echoes) == list(range(1, MANY + 1))
        left, _ = await together(
            peer.leave(ALICE, socket_id, HALL) for socket_id in ids for peer in crowd[:2]
        )
        changed = [result.njoined for result in left if result.changed]
        assert sorted(changed) == list(range(MANY))
        for peer in crowd:
            assert [event.event for event in await peer.room_events(HALL)] == ["roomUserLeft"]
            echoes = [told for told in await peer.user_told(ALICE) if told.words[0] == "roomLeftEcho"]
            assert sorted(echo.words[3] for echo in echoes) == list(range(MANY))
        assert await crowd[0].members(HALL) == {}

    async def test_joins_and_leaves_are_announced_alternately(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        users = [ALICE, BOB, CAROL]
        chance = random.Random(7)  # noqa: S311 - repeatable, not secret

        async def come_and_go(user: UserName, number: int) -> None:
            peer, socket_id = crowd[number % PEERS], SocketId(f"{user}{number}")
            await peer.connect(user, socket_id)
            for _ in range(4):
                await peer.join(user, socket_id, HALL, announce=chance.random() < 0.5)
                await peer.store.room_announce(HALL, user, socket_id)
                await peer.leave(user, socket_id, HALL)
            if number == 0:
                await peer.join(user, socket_id, HALL)

        await asyncio.gather(*(come_and_go(user, number) for user in users for number in range(5)))
        events = await crowd[0].room_events(HALL)
        for user in users:
            names = [event.event for event in events if event.args[1] == user]
            assert names == ["roomUserJoined", "roomUserLeft"] * (len(names) // 2) + ["roomUserJoined"]
        assert await crowd[1].members(HALL) == {user: {f"{user}0"} for user in users}

    # Messages

    async def test_ids_have_no_gaps_and_keep_the_order(self, peers: Peers) -> None:
        crowd = await self._crowd(peers, RoomConfig(history_max_size=50))
        count = 3 * MANY
        ids, _ = await together(
            crowd[number % PEERS].store.room_message(HALL, SYSTEM, {"number": number})
            for number in range(count)
        )
        assert sorted(ids) == list(range(1, count + 1))
        history = await crowd[0].store.room_recent_history(HALL, SYSTEM, 100)
        assert [message["id"] for message in history] == list(range(count, count - 50, -1))
        by_id = dict(zip(ids, range(count), strict=True))
        assert all(message["number"] == by_id[message["id"]] for message in history)
        for peer in crowd:
            messages = [event.args[1] for event in await peer.room_events(HALL)]
            assert [(m["id"], m["number"]) for m in messages] == sorted(by_id.items())

    async def test_no_message_after_the_removal(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        await crowd[0].enter(ALICE, SocketId("a"), room=HALL)
        await crowd[1].enter(BOB, SocketId("b"), room=HALL)
        work: list[Awaitable[Any]] = [
            crowd[number % PEERS].store.room_message(HALL, actor(user), {"author": user})
            for number in range(MANY)
            for user in (ALICE, BOB)
        ]
        removal = crowd[2].store.room_change_list(HALL, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT)
        work.insert(MANY, removal)
        done, codes = await together(work)
        events = await crowd[0].room_events(HALL)
        (removed,) = [event for event in events if event.removed]
        by_alice = [event.seq for event in named(events, "roomMessage") if event.args[1]["author"] == ALICE]
        assert all(seq < removed.seq for seq in by_alice)
        # Acknowledged messages were published, refused ones were not.
        assert codes == Counter({"notJoined": MANY - len(by_alice)}) + Counter()
        assert len(named(events, "roomMessage")) == len(done) - 1
        await crowd[0].store.room_set_history_max_size(HALL, LIMIT)
        stored = await crowd[0].store.room_recent_history(HALL, SYSTEM, LIMIT)
        assert len(stored) == len(done) - 1

    # Rules that change while users join

    async def test_users_without_access_never_stay(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        users = [UserName(f"u{number}") for number in range(MANY)]
        for number, user in enumerate(users):
            await crowd[number % PEERS].connect(user, SocketId(user))
        work: list[Awaitable[Any]] = [
            crowd[number % PEERS].join(user, SocketId(user), HALL) for number, user in enumerate(users)
        ]
        blacklisting = crowd[1].store.room_change_list(
            HALL, SYSTEM, "blacklist", NOW, add=users[::2], limit=LIMIT
        )
        work.insert(MANY // 2, blacklisting)
        work.insert(MANY * 3 // 4, crowd[2].store.room_set_mode(HALL, SYSTEM, NOW, True))
        done, codes = await together(work)
        assert await crowd[0].members(HALL) == {}
        assert sum(codes.values()) + len(done) == MANY + 2
        events = await crowd[0].room_events(HALL)
        gone = [user for event in events for user in event.removed]
        assert len(named(events, "roomUserJoined")) == len(gone) == len(set(gone)) == len(done) - 2
        for user in users:
            assert await crowd[0].indexed(user) == {user: set()}

    async def test_deletion_while_users_join(self, peers: Peers) -> None:
        crowd = await self._crowd(peers)
        users = [UserName(f"u{number}") for number in range(MANY)]
        for number, user in enumerate(users):
            await crowd[number % PEERS].connect(user, SocketId(user))
        work: list[Awaitable[Any]] = [
            crowd[number % PEERS].join(user, SocketId(user), HALL) for number, user in enumerate(users)
        ]
        work.insert(MANY // 2, crowd[1].store.room_delete(HALL, SYSTEM))
        done, codes = await together(work)
        assert set(codes) <= {"noRoom"}
        assert await crowd[0].store.room_exists(HALL) is False
        gone = [user for event in await crowd[0].room_events(HALL) for user in event.removed]
        assert len(gone) == len(set(gone)) == len(done) - 1
        for user in users:
            assert await crowd[0].indexed(user) == {user: set()}

    # Users and instances

    async def test_deletion_while_a_socket_connects(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for number in range(MANY):
            user, socket_id = UserName(f"u{number}"), SocketId(f"s{number}")
            await one.store.user_create(user, UserConfig(whitelist=[BOB]))
            calls = [
                one.store.user_delete(user),
                other.store.socket_connect(user, socket_id, other.instance_id),
            ]
            _, codes = await together(calls if number % 2 else calls[::-1])
            # Either deleted first and recreated by the login, or refused with everything kept.
            assert set(codes) <= {"userOnline"}
            assert set(await one.store.user_sockets(user)) == {socket_id}
            kept = await one.store.user_get_list(user, "whitelist")
            assert kept == ([BOB] if codes else [])

    async def test_instance_with_sockets_is_not_forgotten(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for number in range(MANY):
            instance_id, socket_id = InstanceId(f"i{number}"), SocketId(f"s{number}")
            await one.store.instance_heartbeat(instance_id, NOW)
            await together(
                [
                    one.store.instance_forget(instance_id),
                    other.store.socket_connect(ALICE, socket_id, instance_id),
                ]
            )
            assert dict(await one.store.instance_sockets(instance_id)) == {socket_id: ALICE}

    async def test_only_one_concurrent_claim_succeeds(self, peers: Peers) -> None:
        crowd = await peers.open_many(PEERS)
        dead = InstanceId("dead")
        for round_ in range(5):
            now = NOW + round_ * 100
            await crowd[0].store.instance_heartbeat(dead, now)
            pulse = (await crowd[0].store.instance_pulses())[dead]
            claims, _ = await together(peer.store.instance_claim(dead, now + 50, pulse) for peer in crowd * 3)
            assert sum(claimed is not None for claimed in claims) == 1
