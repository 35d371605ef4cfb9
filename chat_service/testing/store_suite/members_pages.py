"""Pages of the members of a room: when they joined, and their details."""

import asyncio
from contextlib import suppress

import pytest

from chat_service.contracts.records import SYSTEM, Actor, MembersPage, MemberStatus, RoomConfig
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
    S4,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
    told,
)
from chat_service.types import RoomName, SocketId, UserName


def status(user: UserName, joined_at: int | None, sockets: int, details: str | None = None) -> MemberStatus:
    return MemberStatus(user_name=user, joined_at=joined_at, sockets=sockets, details=details)


async def status_of(peer: Peer, user: UserName, room: RoomName = ROOM) -> MemberStatus | None:
    page = await peer.store.room_members_page(room, SYSTEM, LIMIT)
    return next((member for member in page.members if member.user_name == user), None)


async def join(
    peer: Peer, user: UserName, socket_id: SocketId, now: int, room: RoomName = ROOM, **more: object
) -> None:
    await peer.connect(user, socket_id)
    await peer.store.room_join(room, user, socket_id, peer.instance_id, now, announce=True, **more)  # type: ignore[arg-type]


async def walk(peer: Peer, limit: int, room: RoomName = ROOM) -> list[MembersPage]:
    pages = [await peer.store.room_members_page(room, SYSTEM, limit)]
    while pages[-1].cursor is not None:
        assert len(pages) < LIMIT
        pages.append(await peer.store.room_members_page(room, SYSTEM, limit, pages[-1].cursor))
    return pages


def names_of(pages: list[MembersPage]) -> list[str]:
    return [member.user_name for page in pages for member in page.members]


class MembersPageSuite(StoreTests):
    """``room_members_page`` and ``room_set_details``."""

    async def test_the_state_of_a_room_and_its_members(self, peer: Peer) -> None:
        await peer.store.room_set_owner(ROOM, NOW, CAROL)
        await join(peer, ALICE, S1, NOW + 1)
        await join(peer, BOB, S2, NOW + 2)
        await join(peer, ALICE, S3, NOW + 3)
        await peer.store.room_message(ROOM, SYSTEM, {})
        page = await peer.store.room_members_page(ROOM, actor(ALICE), LIMIT)
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert (page.owner, page.epoch, page.last_message_id) == (CAROL, info.cursor.epoch, 1)
        assert (page.members_count, page.cursor) == (2, None)
        members = sorted(page.members, key=lambda member: member.user_name)
        assert members == [status(ALICE, NOW + 1, 2), status(BOB, NOW + 2, 1)]

    async def test_who_may_read_it(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig(owner=CAROL, adminlist=[BOB]))
        for who in (actor(ALICE), Actor(name=None)):
            with raises_error("notJoined", HALL):
                await peer.store.room_members_page(HALL, who, LIMIT)
        for user in (BOB, CAROL):
            assert (await peer.store.room_members_page(HALL, actor(user), LIMIT)).members_count == 0
        with raises_error("noRoom", "none"):
            await peer.store.room_members_page(RoomName("none"), SYSTEM, LIMIT)

    async def test_without_members_if_the_limit_is_zero(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        page = await peer.store.room_members_page(ROOM, SYSTEM, 0)
        assert (page.members_count, list(page.members), page.cursor) == (1, [], None)

    # The time of the join

    @pytest.mark.parametrize("seen_limit", [LIMIT, 0])
    async def test_joined_at_is_that_of_the_first_socket_until_the_last_one_leaves(
        self, peer: Peer, seen_limit: int
    ) -> None:
        await join(peer, ALICE, S1, NOW + 1, seen_limit=seen_limit)
        await join(peer, ALICE, S2, NOW + 2, seen_limit=seen_limit)
        # Joining again changes nothing.
        await join(peer, ALICE, S1, NOW + 3, seen_limit=seen_limit)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 1, 2)
        await peer.leave(ALICE, S1)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 1, 1)
        await join(peer, ALICE, S3, NOW + 4, seen_limit=seen_limit)
        await peer.leave(ALICE, S2)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 1, 1)
        await peer.leave(ALICE, S3)
        assert await status_of(peer, ALICE) is None
        await join(peer, ALICE, S1, NOW + 5, seen_limit=seen_limit)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 5, 1)

    async def test_joined_at_of_a_user_whom_the_room_remembers_no_longer(self, peer: Peer) -> None:
        """Whose earlier leave is still known."""
        await join(peer, ALICE, S1, NOW + 1)
        await peer.leave(ALICE, S1)
        await join(peer, ALICE, S1, NOW + 5, seen_limit=0)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 5, 1)
        await peer.store.room_remove_users(ROOM, [ALICE], NOW + 6)
        await join(peer, ALICE, S1, NOW + 7)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 7, 1)

    # Details

    async def test_details_that_were_set_last_are_shown(self, peer: Peer) -> None:
        await join(peer, ALICE, S1, NOW, details='"one"')
        await join(peer, ALICE, S2, NOW, details='"two"')
        await join(peer, ALICE, S3, NOW)
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 3, '"two"')
        await peer.store.room_set_details(ROOM, ALICE, S1, '{"x":[1,"é"]}', None)
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 3, '{"x":[1,"é"]}')
        # Joining again changes nothing.
        for socket_id in (S1, S2):
            await join(peer, ALICE, socket_id, NOW, details='"again"')
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 3, '{"x":[1,"é"]}')
        await peer.store.room_set_details(ROOM, ALICE, S1, None, None)
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 3, '"two"')
        await peer.leave(ALICE, S2)
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 2)
        await peer.leave(ALICE, S1)
        await peer.leave(ALICE, S3)
        await join(peer, ALICE, S1, NOW)
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 1)

    async def test_details_need_a_joined_socket_of_the_user(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.connect(ALICE, S2)
        await peer.enter(BOB, S3)
        await peer.room_told()
        for user, socket_id in ((ALICE, S2), (ALICE, S3), (BOB, S1), (CAROL, S4)):
            with raises_error("notJoined", ROOM):
                await peer.store.room_set_details(ROOM, user, socket_id, '"x"', "x")
        with raises_error("noRoom", HALL):
            await peer.store.room_set_details(HALL, ALICE, S1, '"x"', "x")
        assert await peer.room_told() == []
        assert await status_of(peer, ALICE) == status(ALICE, NOW, 1)

    async def test_details_are_published_when_updates_are_on(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.connect(BOB, S2)
        await peer.join(BOB, S2, announce=False)
        await peer.room_told()
        await peer.store.room_set_details(ROOM, ALICE, S1, '{"secret":1}', {"shown": [b"\x00", None]})
        # Nobody was told of this user yet.
        await peer.store.room_set_details(ROOM, BOB, S2, '"x"', "x")
        await peer.store.room_set_details(ROOM, ALICE, S1, None, None)
        await peer.store.room_set_updates(ROOM, userlist=False)
        await peer.store.room_set_details(ROOM, ALICE, S1, '"y"', "y")
        assert await peer.room_told() == [
            told("roomMemberUpdated", ROOM, ALICE, {"shown": [b"\x00", None]}),
            told("roomMemberUpdated", ROOM, ALICE, None),
        ]

    @pytest.mark.parametrize("way", ["leave", "remove", "blacklist", "renew", "delete", "expire"])
    async def test_details_end_with_the_membership(self, peer: Peer, way: str) -> None:
        store = peer.store
        await join(peer, ALICE, S1, NOW, details='"x"', seen_limit=0)
        await join(peer, ALICE, S2, NOW, details='"y"', seen_limit=0)
        match way:
            case "leave":
                await peer.leave(ALICE, S1)
                await peer.leave(ALICE, S2)
            case "remove":
                await store.room_remove_users(ROOM, [ALICE], NOW)
            case "blacklist":
                await store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT)
                await store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, remove=[ALICE], limit=LIMIT)
            case "renew":
                await store.room_renew(ROOM, (await store.room_history_info(ROOM, SYSTEM)).cursor.epoch, NOW)
            case "delete":
                await store.room_delete(ROOM, SYSTEM)
                await store.room_create(ROOM, RoomConfig())
            case _:
                # A room that would expire stays with everything when somebody comes.
                await store.room_remove_users(ROOM, [ALICE], NOW)
                await store.room_set_empty_ttl(ROOM, 3600.0)
        assert await status_of(peer, ALICE) is None
        await join(peer, ALICE, S1, NOW + 9)
        assert await status_of(peer, ALICE) == status(ALICE, NOW + 9, 1)

    async def test_details_end_when_very_many_are_removed(self, peer: Peer) -> None:
        """Which a store may do in several steps. Who joins again in between keeps what is new."""
        crowd = [(UserName(f"user{number}"), SocketId(f"s{number}")) for number in range(230)]
        await asyncio.gather(*(join(peer, *entry, NOW, details='"old"') for entry in crowd))
        removing = asyncio.ensure_future(peer.store.room_set_mode(ROOM, SYSTEM, NOW, True))
        await asyncio.sleep(0)
        add = [name for name, _ in crowd[:3]]
        await peer.store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=add, limit=LIMIT)
        await join(peer, *crowd[0], NOW + 1, details='"new"')
        await removing
        await join(peer, *crowd[1], NOW + 1)
        await join(peer, *crowd[2], NOW + 1, seen_limit=0)
        members = (await peer.store.room_members_page(ROOM, SYSTEM, LIMIT)).members
        assert sorted(members, key=lambda member: member.user_name) == [
            status(crowd[0][0], NOW + 1, 1, '"new"'),
            status(crowd[1][0], NOW + 1, 1),
            status(crowd[2][0], NOW + 1, 1),
        ]

    # Pages

    @pytest.mark.parametrize("count", [25, 200])
    async def test_every_member_is_on_one_page(self, peer: Peer, count: int) -> None:
        users = {UserName(f"user {number:03d} é") for number in range(count)}
        for user in users:
            await join(peer, user, SocketId(f"socket {user}"), NOW)
        for limit in (1, 7, count, count + 1) if count < 100 else (7, 50):
            pages = await walk(peer, limit)
            assert sorted(names_of(pages)) == sorted(users)
            assert all(len(page.members) <= limit for page in pages)
            assert {page.members_count for page in pages} == {count}

    async def test_nobody_is_missed_while_others_come_and_go(self, peer: Peer) -> None:
        stay = {UserName(f"stays {number}") for number in range(60)}
        go = [UserName(f"goes {number}") for number in range(60)]
        for user in (*stay, *go):
            await join(peer, user, SocketId(f"socket {user}"), NOW)
        found, cursor, number = set(), None, 0
        while True:
            page = await peer.store.room_members_page(ROOM, SYSTEM, 9, cursor)
            found |= {member.user_name for member in page.members}
            if page.cursor is None:
                break
            cursor = page.cursor
            # The number of members grows from 120 past 128 and falls again.
            for _ in range(8):
                if number < 40:
                    user = UserName(f"comes {number}")
                    await join(peer, user, SocketId(f"socket {user}"), NOW)
                elif number < 100:
                    await peer.leave(go[number - 40], SocketId(f"socket {go[number - 40]}"))
                number += 1
        assert found >= stay
        assert number > 40

    async def test_a_page_is_of_one_moment(self, peers: Peers, peer: Peer) -> None:
        """While users join and leave on several instances, and set their details."""
        others = await peers.open_many(2)
        users = [UserName(f"user{number}") for number in range(12)]

        async def come_and_go(number: int, user: UserName) -> None:
            store, socket_id = others[number % 2].store, SocketId(f"socket {user}")
            await store.socket_connect(user, socket_id, others[number % 2].instance_id)
            for _ in range(3):
                await store.room_join(
                    ROOM, user, socket_id, others[number % 2].instance_id, NOW, announce=True, details="1"
                )
                await store.room_set_details(ROOM, user, socket_id, "2", 2)
                await store.room_leave(ROOM, user, socket_id, NOW, echo=False)

        coming = asyncio.gather(*(come_and_go(*entry) for entry in enumerate(users)))
        while not coming.done():
            page = await peer.store.room_members_page(ROOM, SYSTEM, LIMIT)
            assert len(page.members) == page.members_count
            assert {(member.sockets, member.details) for member in page.members} <= {(1, "1"), (1, "2")}
            await asyncio.sleep(0)
        await coming
        page = await peer.store.room_members_page(ROOM, SYSTEM, LIMIT)
        assert (page.members_count, list(page.members)) == (0, [])

    async def test_names_that_are_special_elsewhere(self, peer: Peer) -> None:
        names = {UserName(name) for name in ("__proto__", "constructor", "0", "*", "a.b", "'; --", "\\")}
        for number, name in enumerate(sorted(names)):
            await join(peer, name, SocketId(f"s{number}"), NOW, details="1")
        for limit in (1, 3, LIMIT):
            pages = await walk(peer, limit)
            assert sorted(names_of(pages)) == sorted(names)
            assert all(member.details == "1" for page in pages for member in page.members)

    async def test_a_room_that_is_deleted_between_two_pages(self, peer: Peer) -> None:
        for number in range(5):
            await join(peer, UserName(f"user{number}"), SocketId(f"s{number}"), NOW)
        first = await peer.store.room_members_page(ROOM, SYSTEM, 2)
        assert first.cursor is not None
        await peer.store.room_delete(ROOM, SYSTEM)
        with raises_error("noRoom", ROOM):
            await peer.store.room_members_page(ROOM, SYSTEM, 2, first.cursor)
        await peer.store.room_create(ROOM, RoomConfig())
        later = await peer.store.room_members_page(ROOM, SYSTEM, 2, first.cursor)
        assert (later.members_count, list(later.members), later.cursor) == (0, [], None)
        assert later.epoch != first.epoch

    async def test_a_cursor_from_elsewhere_gets_members_or_an_error(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        for cursor in ("", "x", "-1::", "0:0:", "9" * 20 + "::", "1:2:" + "x" * 300, "0:\x00:", "18:٣:"):
            members: list[MemberStatus] = []
            with suppress(ValueError):
                members += (await peer.store.room_members_page(ROOM, SYSTEM, 2, cursor)).members
            assert members in ([], [status(ALICE, NOW, 1)])
