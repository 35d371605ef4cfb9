"""The rooms in the lists of users, and the conversations of two users."""

import pytest

from chat_service.contracts.own_room_store import OwnRoom
from chat_service.contracts.records import (
    SYSTEM,
    Actor,
    Ban,
    Rate,
    ReadState,
    Removal,
    RoomConfig,
    SendConditions,
    SendResult,
    UserConfig,
)
from chat_service.protocol.names import conversation_name
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LIMIT,
    NOW,
    ROOM,
    S1,
    S2,
    S3,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
)
from chat_service.types import RoomName, SocketId, UserName

PAIR = RoomName(conversation_name(ALICE, BOB))
#: The argument of ``limitExceeded``.
MANY = "conversations of a user"


async def opened(peer: Peer, user: UserName = ALICE, other: UserName = BOB, limit: int = 10) -> list[str]:
    """Open a conversation. Returns who did not have it before."""
    room = RoomName(conversation_name(user, other))
    made = await peer.store.direct_open(room, actor(user), other, RoomConfig(), NOW, limit=limit)
    return sorted(made.listed)


async def listed(peer: Peer, user: UserName) -> list[str]:
    page = await peer.store.own_rooms(user, 100)
    assert page.cursor is None
    return [room.name for room in page.items]


async def send(peer: Peer, user: UserName = ALICE, other: UserName = BOB) -> SendResult:
    message = {"textMessage": "hello", "timestamp": NOW, "author": user}
    room = RoomName(conversation_name(user, other))
    return await peer.store.room_send(room, actor(user), message, SendConditions(recipient=other))


async def join_listed(
    peer: Peer, user: UserName, socket_id: SocketId, room: RoomName = ROOM, limit: int = 10
) -> None:
    await peer.store.room_join(room, user, socket_id, peer.instance_id, NOW, announce=True, own_limit=limit)


class OwnRoomSuite(StoreTests):
    """Conversations, and rooms that stay in a list."""

    async def test_a_conversation_is_opened_for_two_and_both_have_it(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.connect(ALICE, S1)
        await one.store.user_create(BOB, UserConfig())
        assert await opened(one) == [ALICE, BOB]
        assert await opened(other, BOB, ALICE) == []
        assert await opened(one) == []
        for user in (ALICE, BOB):
            assert await listed(other, user) == [PAIR]
        settings = await one.store.room_settings(PAIR, SYSTEM)
        assert (settings.owner, settings.whitelist_only) == (None, True)
        assert sorted(await one.store.room_get_list(PAIR, SYSTEM, "whitelist")) == [ALICE, BOB]
        # Nobody else gets in, whatever their role elsewhere.
        await one.connect(CAROL, S3)
        with raises_error("noRoom", PAIR):
            await one.join(CAROL, S3, room=PAIR)
        await one.join(ALICE, S1, room=PAIR)
        await other.connect(BOB, S2)
        await other.join(BOB, S2, room=PAIR)
        assert await one.members(PAIR) == {ALICE: {S1}, BOB: {S2}}
        assert await one.indexed(ALICE) == {S1: {PAIR}}

    async def test_a_conversation_needs_two_users_of_whom_the_other_one_lets_it(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        with raises_error("noUser", BOB):
            await opened(peer)
        with raises_error("noUser", BOB):
            await opened(peer, BOB, ALICE)
        assert await listed(peer, ALICE) == []
        await peer.store.user_create(BOB, UserConfig(blacklist=[ALICE]))
        with raises_error("notAllowed"):
            await opened(peer)
        await peer.store.user_remove_from_list(BOB, "blacklist", [ALICE])
        await peer.store.user_set_mode(BOB, True)
        with raises_error("notAllowed"):
            await opened(peer)
        assert await listed(peer, ALICE) == [] == await listed(peer, BOB)
        assert not await peer.store.room_exists(PAIR)
        forced = await peer.store.direct_open(
            PAIR, Actor(ALICE, bypass=True), BOB, RoomConfig(), NOW, limit=10
        )
        assert sorted(forced.listed) == [ALICE, BOB]
        # A user who has the conversation needs no further permission.
        assert await opened(peer) == []
        with raises_error("notAllowed"):
            await peer.store.direct_open(
                RoomName(conversation_name(ALICE, ALICE)), actor(ALICE), ALICE, RoomConfig(), NOW, limit=10
            )

    async def test_a_banned_user_opens_nothing(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        await peer.store.user_create(BOB, UserConfig())
        await peer.store.user_ban(ALICE, Ban(reason="spam"), NOW)
        with raises_error("banned", None, "spam"):
            await peer.store.direct_open(PAIR, Actor(ALICE, check_ban=True), BOB, RoomConfig(), NOW, limit=10)
        assert await listed(peer, BOB) == []
        # Others still open one with them.
        assert await opened(peer, BOB, ALICE) == [ALICE, BOB]

    async def test_the_lists_have_a_limit_of_conversations(self, peer: Peer) -> None:
        for user in (ALICE, BOB, CAROL):
            await peer.store.user_create(user, UserConfig())
        assert await opened(peer, ALICE, BOB, limit=1) == [ALICE, BOB]
        assert await opened(peer, ALICE, BOB, limit=1) == []
        for user, other in ((ALICE, CAROL), (CAROL, ALICE)):
            with raises_error("limitExceeded", MANY):
                await opened(peer, user, other, limit=1)
        assert await listed(peer, CAROL) == []
        await peer.store.direct_leave(PAIR, ALICE, NOW)
        assert await opened(peer, CAROL, ALICE, limit=1) == [ALICE, CAROL]

    async def test_opening_may_be_limited_in_rate(self, peer: Peer) -> None:
        for user in (ALICE, BOB, CAROL):
            await peer.store.user_create(user, UserConfig())
        rate, config, another = Rate.of(0.001, 1), RoomConfig(), RoomName(conversation_name(ALICE, CAROL))
        await peer.store.direct_open(PAIR, actor(ALICE), BOB, config, NOW, limit=10, rate=rate)
        await peer.store.direct_open(PAIR, actor(ALICE), BOB, config, NOW, limit=10, rate=rate)
        with pytest.raises(Exception, match="Rate limit exceeded"):
            await peer.store.direct_open(another, actor(ALICE), CAROL, config, NOW, limit=10, rate=rate)

    async def test_a_message_needs_the_consent_of_the_recipient(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.store.user_create(BOB, UserConfig())
        await opened(peer)
        with raises_error("notJoined", PAIR):
            await send(peer)
        await peer.join(ALICE, S1, room=PAIR)
        assert await send(peer) == SendResult(1, False)
        await peer.store.user_add_to_list(BOB, "blacklist", [ALICE], LIMIT)
        with raises_error("notAllowed"):
            await send(peer)
        with raises_error("notAllowed"):
            message = {"textMessage": "hello", "timestamp": NOW}
            conditions = SendConditions(recipient=BOB, key="key")
            await peer.store.room_send(PAIR, actor(ALICE), message, conditions)
        await peer.store.user_remove_from_list(BOB, "blacklist", [ALICE])
        await peer.store.user_set_mode(BOB, True)
        with raises_error("notAllowed"):
            await send(peer)
        await peer.store.user_add_to_list(BOB, "whitelist", [ALICE], LIMIT)
        assert await send(peer) == SendResult(2, False)
        await peer.store.user_delete(BOB)
        with raises_error("noUser", BOB):
            await send(peer)
        bypass = SendConditions(recipient=BOB)
        sent = await peer.store.room_send(PAIR, Actor(ALICE, True), {"textMessage": "x"}, bypass)
        assert sent == SendResult(3, False)

    async def test_a_conversation_is_left_by_one_and_ends_with_the_other(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.connect(BOB, S2, S3)
        await opened(peer)
        for user, socket_id in ((ALICE, S1), (BOB, S2), (BOB, S3)):
            await peer.join(user, socket_id, room=PAIR)
        await send(peer)
        removal = await peer.store.direct_leave(PAIR, BOB, NOW)
        assert isinstance(removal, Removal)
        assert {one for found in removal.sockets.values() for one in found} == {S2, S3}
        assert await peer.members(PAIR) == {ALICE: {S1}}
        assert (await listed(peer, ALICE), await listed(peer, BOB)) == ([PAIR], [])
        assert await peer.indexed(BOB) == {S2: set(), S3: set()}
        with raises_error("noRoom", PAIR):
            await peer.join(BOB, S2, room=PAIR)
        # Nothing is stored until he has it again.
        assert await send(peer) == SendResult(0, False)
        assert await peer.store.direct_leave(PAIR, BOB, NOW) is None
        assert await opened(peer) == [BOB]
        assert await send(peer) == SendResult(2, False)
        assert await opened(peer) == []
        await peer.store.direct_leave(PAIR, BOB, NOW)
        await peer.store.direct_leave(PAIR, ALICE, NOW)
        assert not await peer.store.room_exists(PAIR)
        assert await peer.indexed(ALICE) == {S1: set()}
        assert await peer.store.direct_leave(PAIR, ALICE, NOW) is None
        # The next one is new.
        assert await opened(peer, BOB, ALICE) == [ALICE, BOB]
        assert (await peer.store.room_summary(PAIR)).last_message_id == 0

    async def test_a_new_user_inherits_no_conversation(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        await peer.connect(BOB, S2)
        await opened(peer)
        await peer.join(BOB, S2, room=PAIR)
        await send(peer, BOB, ALICE)
        await peer.store.user_delete(ALICE)
        assert await listed(peer, BOB) == [PAIR]
        await peer.connect(ALICE, S1)
        assert await listed(peer, ALICE) == []
        with raises_error("noRoom", PAIR):
            await peer.join(ALICE, S1, room=PAIR)
        made = await peer.store.direct_open(PAIR, actor(ALICE), BOB, RoomConfig(), NOW, limit=10)
        assert list(made.listed) == [ALICE]
        assert made.removal is not None
        assert await peer.indexed(BOB) == {S2: set()}
        await peer.join(ALICE, S1, room=PAIR)
        await peer.join(BOB, S2, room=PAIR)
        assert await send(peer) == SendResult(1, False)
        assert list(await peer.store.room_recent_history(PAIR, actor(ALICE), 10)) == [
            {"id": 1, "textMessage": "hello", "timestamp": NOW, "author": ALICE}
        ]

    async def test_a_list_has_what_is_unread(self, peer: Peer) -> None:
        await peer.store.user_create(BOB, UserConfig())
        await peer.connect(ALICE, S1)
        await opened(peer)
        await peer.join(ALICE, S1, room=PAIR)
        for number in range(3):
            text = {"textMessage": "hello", "timestamp": NOW + number}
            await peer.store.room_message(PAIR, actor(ALICE), text)
        await peer.store.room_mark_read(PAIR, ALICE, 2)
        [entry] = (await peer.store.own_rooms(ALICE, 10)).items
        assert entry == OwnRoom(name=PAIR, state=ReadState(3, 2), last_message_at=NOW + 2)
        [entry] = (await peer.store.own_rooms(BOB, 10)).items
        assert entry == OwnRoom(name=PAIR, state=ReadState(3, 0), last_message_at=NOW + 2)
        binary = {"data": b"\x00", "timestamp": NOW + 9}
        await peer.store.room_message(PAIR, actor(ALICE), binary)
        [entry] = (await peer.store.own_rooms(BOB, 10)).items
        assert (entry.state.unread, entry.last_message_at) == (4, NOW + 9)
        for message in ({"textMessage": "x"}, {"timestamp": "soon"}):
            await peer.store.room_message(PAIR, SYSTEM, message)
            [entry] = (await peer.store.own_rooms(BOB, 10)).items
            assert entry.last_message_at is None
        await peer.store.room_set_history_max_size(PAIR, 0)
        [entry] = (await peer.store.own_rooms(BOB, 10)).items
        assert entry == OwnRoom(name=PAIR, state=ReadState(6, 0), last_message_at=None)

    async def test_joined_rooms_stay_in_the_list(self, peers: Peers) -> None:
        peer, other = await peers.open_many(2)
        for name in (ROOM, HALL):
            await peer.store.room_create(name, RoomConfig())
        await peer.connect(ALICE, S1, S2)
        await peer.join(ALICE, S1, room=HALL)
        assert await listed(peer, ALICE) == []
        await join_listed(peer, ALICE, S1)
        assert await listed(other, ALICE) == [ROOM]
        await peer.store.room_leave(ROOM, ALICE, S1, NOW, echo=True)
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        await peer.store.socket_disconnect(ALICE, S2, peer.instance_id, [])
        assert await listed(other, ALICE) == [ROOM]
        await other.store.own_room_remove(ALICE, ROOM)
        await other.store.own_room_remove(ALICE, ROOM)
        assert await listed(peer, ALICE) == []

    async def test_the_list_of_joined_rooms_has_a_limit(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.store.user_create(BOB, UserConfig())
        await opened(peer)
        names = [RoomName(f"place{number}") for number in range(3)]
        for name in names:
            await peer.store.room_create(name, RoomConfig())
            await join_listed(peer, ALICE, S1, name, limit=2)
        assert await listed(peer, ALICE) == [PAIR, *names[:2]]
        assert await peer.indexed(ALICE) == {S1: set(names)}
        await peer.store.own_room_remove(ALICE, names[0])
        await join_listed(peer, ALICE, S1, names[2], limit=2)
        assert await listed(peer, ALICE) == [PAIR, *names[1:]]
        await peer.store.own_room_remove(ALICE, PAIR)
        assert PAIR in await listed(peer, ALICE)

    async def test_the_list_comes_in_pages(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        names = [RoomName(f"place{number}") for number in range(5)]
        for name in names:
            await peer.store.room_create(name, RoomConfig())
            await join_listed(peer, ALICE, S1, name)
        await peer.store.room_delete(names[1], SYSTEM)
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            page = await peer.store.own_rooms(ALICE, 2, cursor)
            assert len(page.items) <= 2
            found += [room.name for room in page.items]
            cursor, pages = page.cursor, pages + 1
        assert found == [name for name in names if name != names[1]]
        assert (await peer.store.own_rooms(UserName("nobody"), 2)).items in ((), [])

    async def test_who_loses_access_loses_the_entry(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.store.room_create(HALL, RoomConfig())
        await join_listed(peer, ALICE, S1, HALL)
        assert HALL in await listed(peer, ALICE)
        await peer.store.room_change_list(HALL, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT)
        assert await listed(peer, ALICE) == []
        # It does not come back with the access.
        await peer.store.room_change_list(HALL, SYSTEM, "blacklist", NOW, remove=[ALICE], limit=LIMIT)
        assert await listed(peer, ALICE) == []
        await join_listed(peer, ALICE, S1, HALL)
        await peer.store.room_leave(HALL, ALICE, S1, NOW, echo=False)
        await peer.store.room_set_mode(HALL, SYSTEM, NOW, True)
        # An entry of somebody who was not there is left out, and a refused join ends it.
        assert await listed(peer, ALICE) == []
        with raises_error("notAllowed"):
            await join_listed(peer, ALICE, S1, HALL)
        await peer.store.room_set_mode(HALL, SYSTEM, NOW, False)
        assert await listed(peer, ALICE) == []

    async def test_a_ban_ends_what_was_joined_but_no_conversation(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.store.user_create(BOB, UserConfig())
        await opened(peer)
        await peer.store.room_create(HALL, RoomConfig())
        await join_listed(peer, ALICE, S1, HALL)
        assert await listed(peer, ALICE) == [PAIR, HALL]
        await peer.store.user_ban(ALICE, Ban(), NOW)
        assert await listed(peer, ALICE) == [PAIR]

    async def test_the_list_goes_with_an_ephemeral_user(self, peer: Peer) -> None:
        await peer.store.socket_connect(ALICE, S1, peer.instance_id, ephemeral=True)
        await peer.store.user_create(BOB, UserConfig())
        await opened(peer)
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        assert await listed(peer, ALICE) == []
        await peer.connect(ALICE, S1)
        assert await listed(peer, ALICE) == []
