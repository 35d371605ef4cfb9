"""Permission rules: compares the store with ``chat_service.rules`` for every combination of facts."""

import itertools
from collections.abc import Iterator, Sequence

from chat_service import rules
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.rules import RoomFacts
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    LIMIT,
    NOW,
    ROOM,
    S1,
    Peer,
    StoreTests,
    actor,
    raises_error,
)
from chat_service.testing.store_suite.rooms import LISTS, READING


def _facts(*, joined: bool) -> list[RoomFacts]:
    """All combinations, except that users without access cannot be joined."""
    names = ("is_owner", "in_adminlist", "in_blacklist", "in_whitelist", "whitelist_only")
    found = [
        RoomFacts(**dict(zip(names, values, strict=True)), joined=joined)
        for values in itertools.product([False, True], repeat=len(names))
    ]
    return [facts for facts in found if rules.has_room_access(facts)] if joined else found


def _id(facts: RoomFacts) -> str:
    words = {
        "owner": facts.is_owner,
        "admin": facts.in_adminlist,
        "black": facts.in_blacklist,
        "white": facts.in_whitelist,
        "mode": facts.whitelist_only,
        "joined": facts.joined,
    }
    return "+".join(word for word, is_true in words.items() if is_true) or "none"


def _each(cases: Sequence[RoomFacts]) -> Iterator[RoomFacts]:
    """Go through the cases. The output of a test that fails ends with the one that it failed for."""
    for number, facts in enumerate(cases, 1):
        print(f"case {number} of {len(cases)}: {_id(facts)}")
        yield facts


STRANGERS = _facts(joined=False)
EVERYBODY = STRANGERS + _facts(joined=True)


async def make_room(peer: Peer, facts: RoomFacts) -> None:
    """Recreate ``room`` so that the facts apply to alice. Every list contains other users, too."""

    def names(has_alice: bool) -> Sequence[str]:
        return ["somebody", ALICE] if has_alice else ["somebody"]

    if await peer.store.room_exists(ROOM):
        await peer.store.room_delete(ROOM, SYSTEM)
    await peer.store.room_create(
        ROOM,
        RoomConfig(
            owner=ALICE if facts.is_owner else CAROL,
            adminlist=names(facts.in_adminlist),
            blacklist=names(facts.in_blacklist),
            whitelist=names(facts.in_whitelist),
            whitelist_only=facts.whitelist_only,
        ),
    )
    if not await peer.store.user_exists(ALICE):
        await peer.connect(ALICE, S1)
    if facts.joined:
        await peer.join(ALICE, S1)


class AccessSuite(StoreTests):
    """Permissions in a room."""

    async def test_access_to_join(self, peer: Peer) -> None:
        for facts in _each(STRANGERS):
            await make_room(peer, facts)
            allowed = rules.has_room_access(facts)
            assert await peer.store.room_check_access(ROOM, ALICE) is allowed
            if allowed:
                assert (await peer.join(ALICE, S1)).changed is True
            else:
                with raises_error("notAllowed"):
                    await peer.join(ALICE, S1)
            assert await peer.members() == ({ALICE: {S1}} if allowed else {})

    async def test_access_to_read_and_send(self, peer: Peer) -> None:
        for facts in _each(EVERYBODY):
            await make_room(peer, facts)
            for operation in READING.values():
                if rules.may_read(facts):
                    await operation(peer.store, actor(ALICE))
                else:
                    with raises_error("notJoined", ROOM):
                        await operation(peer.store, actor(ALICE))
            if facts.joined:
                assert await peer.store.room_message(ROOM, actor(ALICE), {}) == 1
            else:
                with raises_error("notJoined", ROOM):
                    await peer.store.room_message(ROOM, actor(ALICE), {})

    async def test_access_to_change_lists(self, peer: Peer) -> None:
        for facts in _each(EVERYBODY):
            await make_room(peer, facts)
            owner = ALICE if facts.is_owner else CAROL
            for list_name, names in itertools.product(LISTS, [[BOB], [BOB, owner]]):
                may = rules.may_change_list(facts, list_name, names_owner=owner in names)
                for added, removed in ((names, []), ([], names)):
                    before = set(await peer.store.room_get_list(ROOM, SYSTEM, list_name))
                    after = (before | set(added)) - set(removed) if may else before
                    if may:
                        await peer.store.room_change_list(
                            ROOM, actor(ALICE), list_name, NOW, add=added, remove=removed, limit=LIMIT
                        )
                    else:
                        with raises_error("notAllowed"):
                            await peer.store.room_change_list(
                                ROOM, actor(ALICE), list_name, NOW, add=added, remove=removed, limit=LIMIT
                            )
                    assert set(await peer.store.room_get_list(ROOM, SYSTEM, list_name)) == after

    async def test_access_to_change_mode_and_delete(self, peer: Peer) -> None:
        for facts in _each(EVERYBODY):
            await make_room(peer, facts)
            if rules.is_admin(facts):
                await peer.store.room_set_mode(ROOM, actor(ALICE), NOW, not facts.whitelist_only)
            else:
                with raises_error("notAllowed"):
                    await peer.store.room_set_mode(ROOM, actor(ALICE), NOW, not facts.whitelist_only)
            settings = await peer.store.room_settings(ROOM, SYSTEM)
            assert settings.whitelist_only is (facts.whitelist_only != rules.is_admin(facts))
            if facts.is_owner:
                await peer.store.room_delete(ROOM, actor(ALICE))
            else:
                with raises_error("notAllowed"):
                    await peer.store.room_delete(ROOM, actor(ALICE))
            assert await peer.store.room_exists(ROOM) is not facts.is_owner

    async def test_access_without_an_owner(self, peer: Peer) -> None:
        for facts in _each(STRANGERS):
            await make_room(peer, facts)
            await peer.store.room_set_owner(ROOM, NOW, None)
            without = RoomFacts(
                is_owner=False,
                in_adminlist=facts.in_adminlist,
                in_blacklist=facts.in_blacklist,
                in_whitelist=facts.in_whitelist,
                whitelist_only=facts.whitelist_only,
            )
            assert await peer.store.room_check_access(ROOM, ALICE) is rules.has_room_access(without)
