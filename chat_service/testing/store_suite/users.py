"""Users: lists, mode and direct messages."""

import itertools
from collections.abc import Awaitable, Callable

import pytest

from chat_service import rules
from chat_service.contracts.records import SYSTEM, Actor, UserConfig
from chat_service.contracts.store import Store
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    LIMIT,
    S1,
    S2,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
    told,
    user_topic,
)
from chat_service.types import UserName

#: Operations that require an existing user.
NEEDS_USER: dict[str, Callable[[Store, UserName], Awaitable[object]]] = {
    "user_delete": lambda store, user: store.user_delete(user),
    "user_get_list": lambda store, user: store.user_get_list(user, "blacklist"),
    "user_has_in_list": lambda store, user: store.user_has_in_list(user, "whitelist", BOB),
    "user_add_to_list": lambda store, user: store.user_add_to_list(user, "blacklist", [BOB], 0),
    "user_remove_from_list": lambda store, user: store.user_remove_from_list(user, "blacklist", [BOB]),
    "user_get_mode": lambda store, user: store.user_get_mode(user),
    "user_set_mode": lambda store, user: store.user_set_mode(user, True),
    "user_check_direct_access": lambda store, user: store.user_check_direct_access(user, user),
    "direct_message": lambda store, user: store.direct_message(user, actor(user), {}),
    "user_sockets": lambda store, user: store.user_sockets(user),
}

LISTS = ["blacklist", "whitelist"]


class UserSuite(StoreTests):
    """Users and direct messages."""

    # Creation and deletion

    async def test_user_exists_after_creation(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        assert await one.store.user_exists(ALICE) is False
        await one.store.user_create(ALICE, UserConfig())
        assert await other.store.user_exists(ALICE) is True
        assert await other.store.user_exists(BOB) is False

    async def test_user_exists_after_connecting_and_stays(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        assert await peer.store.user_exists(ALICE) is True
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        assert await peer.store.user_exists(ALICE) is True
        with raises_error("userExists", ALICE):
            await peer.store.user_create(ALICE, UserConfig())

    async def test_user_starts_with_config(self, peer: Peer) -> None:
        config = UserConfig(whitelist=[BOB, CAROL, BOB], blacklist=["mallory"], whitelist_only=True)
        await peer.store.user_create(ALICE, config)
        assert sorted(await peer.store.user_get_list(ALICE, "whitelist")) == [BOB, CAROL]
        assert await peer.store.user_get_list(ALICE, "blacklist") == ["mallory"]
        assert await peer.store.user_get_mode(ALICE) is True

    async def test_user_starts_empty_without_config(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        for list_name in LISTS:
            assert await peer.store.user_get_list(ALICE, list_name) == []
        assert await peer.store.user_get_mode(ALICE) is False

    async def test_second_creation_changes_nothing(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig(whitelist=[BOB]))
        with raises_error("userExists", ALICE):
            await peer.store.user_create(ALICE, UserConfig(whitelist=[CAROL], whitelist_only=True))
        assert await peer.store.user_get_list(ALICE, "whitelist") == [BOB]
        assert await peer.store.user_get_mode(ALICE) is False

    async def test_login_keeps_the_lists_of_a_created_user(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig(whitelist=[BOB], whitelist_only=True))
        await peer.connect(ALICE, S1)
        assert await peer.store.user_get_list(ALICE, "whitelist") == [BOB]
        assert await peer.store.user_get_mode(ALICE) is True

    async def test_deleted_user_leaves_nothing(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig(whitelist=[BOB], whitelist_only=True))
        await peer.store.user_delete(ALICE)
        assert await peer.store.user_exists(ALICE) is False
        await peer.store.user_create(ALICE, UserConfig())
        assert await peer.store.user_get_list(ALICE, "whitelist") == []
        assert await peer.store.user_get_mode(ALICE) is False

    async def test_online_user_is_not_deleted(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.store.user_create(ALICE, UserConfig(whitelist=[BOB]))
        await one.connect(ALICE, S1)
        await other.connect(ALICE, S2)
        await one.store.socket_disconnect(ALICE, S1, one.instance_id, [])
        with raises_error("userOnline", ALICE):
            await one.store.user_delete(ALICE)
        assert await one.store.user_get_list(ALICE, "whitelist") == [BOB]
        await other.store.socket_disconnect(ALICE, S2, other.instance_id, [])
        await one.store.user_delete(ALICE)
        assert await other.store.user_exists(ALICE) is False

    @pytest.mark.parametrize("operation", NEEDS_USER.values(), ids=NEEDS_USER)
    async def test_unknown_user(
        self, peer: Peer, operation: Callable[[Store, UserName], Awaitable[object]]
    ) -> None:
        with raises_error("noUser", ALICE):
            await operation(peer.store, ALICE)
        assert await peer.store.user_exists(ALICE) is False
        assert await peer.user_told(ALICE) == []

    # Lists and mode

    @pytest.mark.parametrize("list_name", LISTS)
    async def test_lists_are_sets(self, peer: Peer, list_name: str) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        await peer.store.user_add_to_list(ALICE, list_name, [BOB, CAROL, BOB], LIMIT)
        await peer.store.user_add_to_list(ALICE, list_name, [CAROL, "Дейв 🎈"], LIMIT)
        await peer.store.user_add_to_list(ALICE, list_name, [], LIMIT)
        assert sorted(await peer.store.user_get_list(ALICE, list_name)) == [BOB, CAROL, "Дейв 🎈"]
        other = next(name for name in LISTS if name != list_name)
        assert await peer.store.user_get_list(ALICE, other) == []
        assert await peer.store.user_has_in_list(ALICE, list_name, "Дейв 🎈") is True
        assert await peer.store.user_has_in_list(ALICE, list_name, "nobody") is False
        assert await peer.store.user_has_in_list(ALICE, other, BOB) is False
        await peer.store.user_remove_from_list(ALICE, list_name, [BOB, "missing", BOB])
        await peer.store.user_remove_from_list(ALICE, list_name, [])
        assert sorted(await peer.store.user_get_list(ALICE, list_name)) == [CAROL, "Дейв 🎈"]

    async def test_lists_of_users_are_separate(self, peer: Peer) -> None:
        for user in (ALICE, BOB):
            await peer.store.user_create(user, UserConfig())
        await peer.store.user_add_to_list(ALICE, "blacklist", [CAROL], LIMIT)
        await peer.store.user_set_mode(ALICE, True)
        assert await peer.store.user_get_list(BOB, "blacklist") == []
        assert await peer.store.user_get_mode(BOB) is False

    async def test_list_limit_counts_distinct_names(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        for name in ("a", "b"):
            await peer.store.user_add_to_list(ALICE, "blacklist", [name, name], 3)
        with raises_error("listLimitExceeded", "blacklist"):
            await peer.store.user_add_to_list(ALICE, "blacklist", ["c", "d"], 3)
        assert sorted(await peer.store.user_get_list(ALICE, "blacklist")) == ["a", "b"]
        await peer.store.user_add_to_list(ALICE, "blacklist", ["a", "c", "c", "b"], 3)
        await peer.store.user_add_to_list(ALICE, "blacklist", ["a", "b", "c"], 3)
        with raises_error("listLimitExceeded", "blacklist"):
            await peer.store.user_add_to_list(ALICE, "blacklist", ["d"], 3)
        # Lowering the limit removes nothing.
        await peer.store.user_add_to_list(ALICE, "blacklist", ["a"], 1)
        await peer.store.user_remove_from_list(ALICE, "blacklist", ["b"])
        await peer.store.user_add_to_list(ALICE, "blacklist", ["d"], 3)
        assert sorted(await peer.store.user_get_list(ALICE, "blacklist")) == ["a", "c", "d"]

    async def test_mode_is_set(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.store.user_create(ALICE, UserConfig())
        for mode in (True, True, False):
            await one.store.user_set_mode(ALICE, mode)
            assert await other.store.user_get_mode(ALICE) is mode

    # Direct messages

    @pytest.mark.parametrize(
        ("in_blacklist", "in_whitelist", "whitelist_only"), list(itertools.product([False, True], repeat=3))
    )
    async def test_direct_access(
        self, peer: Peer, in_blacklist: bool, in_whitelist: bool, whitelist_only: bool
    ) -> None:
        config = UserConfig(
            blacklist=[BOB, "x"] if in_blacklist else ["x"],
            whitelist=[BOB, "y"] if in_whitelist else ["y"],
            whitelist_only=whitelist_only,
        )
        await peer.store.user_create(ALICE, config)
        await peer.connect(ALICE, S1)
        await peer.user_told(ALICE)
        allowed = rules.has_direct_access(
            in_blacklist=in_blacklist, in_whitelist=in_whitelist, whitelist_only=whitelist_only
        )
        assert await peer.store.user_check_direct_access(ALICE, BOB) is allowed
        message = {"textMessage": "hello", "author": "bob"}
        if allowed:
            await peer.store.direct_message(ALICE, actor(BOB), message)
        else:
            with raises_error("notAllowed"):
                await peer.store.direct_message(ALICE, actor(BOB), message)
        assert await peer.user_told(ALICE) == [told("directMessage", message)] * allowed
        await peer.store.direct_message(ALICE, Actor(name=BOB, bypass=True), message)
        await peer.store.direct_message(ALICE, SYSTEM, message)
        assert await peer.user_told(ALICE) == [told("directMessage", message)] * 2

    async def test_direct_message_goes_to_the_recipient_on_every_instance(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for peer in (one, other):
            await peer.hear(user_topic(ALICE), user_topic(BOB))
        await other.connect(ALICE, S1)
        await other.user_told(ALICE)
        await one.user_told(ALICE)
        message = {"blob": b"\x00\xff", "deep": [{"é": None}], "textMessage": "hi"}
        await one.store.direct_message(ALICE, actor(BOB), message)
        for peer in (one, other):
            assert await peer.user_told(ALICE) == [told("directMessage", message)]
            assert await peer.user_told(BOB) == []

    async def test_nobody_writes_to_themselves(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig(whitelist=[ALICE]))
        assert await peer.store.user_check_direct_access(ALICE, ALICE) is False
        # The name is checked first, whether or not the user is online.
        for bypass in (False, True):
            with raises_error("notAllowed"):
                await peer.store.direct_message(ALICE, Actor(name=ALICE, bypass=bypass), {})
        await peer.connect(ALICE, S1)
        await peer.user_told(ALICE)
        with raises_error("notAllowed"):
            await peer.store.direct_message(ALICE, actor(ALICE), {})
        assert await peer.user_told(ALICE) == []

    async def test_nameless_sender_needs_bypass(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.user_told(ALICE)
        with raises_error("notAllowed"):
            await peer.store.direct_message(ALICE, Actor(name=None), {})
        assert await peer.user_told(ALICE) == []

    async def test_direct_message_errors_are_checked_in_order(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig(blacklist=[BOB]))
        with raises_error("notAllowed"):
            await peer.store.direct_message(ALICE, actor(BOB), {})
        with raises_error("noUserOnline", ALICE):
            await peer.store.direct_message(ALICE, actor(CAROL), {})
        with raises_error("noUserOnline", ALICE):
            await peer.store.direct_message(ALICE, SYSTEM, {})
        await peer.connect(ALICE, S1)
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        with raises_error("noUserOnline", ALICE):
            await peer.store.direct_message(ALICE, actor(CAROL), {})
        sent = [words for words in await peer.user_told(ALICE) if words.words[0] == "directMessage"]
        assert sent == []
