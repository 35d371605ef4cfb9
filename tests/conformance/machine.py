"""A state machine that runs random operations on a store and a model, and compares them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from chat_service.contracts.records import (
    SEEN_LIMIT,
    SYSTEM,
    Actor,
    HistoryPage,
    JoinResult,
    LeaveResult,
    MembersPage,
    Removal,
    RoomConfig,
    SendConditions,
    UserSeen,
)
from chat_service.contracts.store import Store
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite import Peer, Peers
from chat_service.testing.store_suite.base import Told, actor, room_topic, user_topic
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.conformance.model import Model
from tests.support.backends import Backend

USERS = [UserName(name) for name in ("alice", "bob", "carol")]
ROOMS = [RoomName(name) for name in ("room", "hall")]
SOCKETS = [(user, SocketId(f"{user}{number}")) for user in USERS for number in (1, 2)]
LISTS = ["adminlist", "blacklist", "whitelist"]

users, rooms = st.sampled_from(USERS), st.sampled_from(ROOMS)
owned_sockets = st.sampled_from(SOCKETS)
instances = st.sampled_from([0, 1])
actors = st.one_of(users.map(actor), st.just(SYSTEM), st.just(Actor(name=None)))
readers = st.one_of(users.map(actor), st.just(SYSTEM))
names = st.lists(users, max_size=2, unique=True)
flags = st.booleans()
mostly = st.sampled_from([True, True, True, False])
details = st.sampled_from(["1", '{"a":"é"}'])
configs = st.builds(
    RoomConfig,
    owner=st.none() | users,
    adminlist=names,
    blacklist=st.just([]) | names,
    whitelist=names,
    whitelist_only=mostly.map(lambda flag: not flag),
    history_max_size=st.integers(0, 3),
    enable_userlist_updates=mostly,
    enable_access_lists_updates=mostly,
)


def view(result: Any) -> Any:
    """A result in the model's form."""
    match result:
        case JoinResult():
            return result.njoined, result.changed, result.last_message_id
        case LeaveResult():
            return result.njoined, result.changed, result.room_exists
        case UserSeen():
            return result.joined, result.timestamp
        case MembersPage():
            return {item.user_name: (item.joined_at, item.sockets, item.details) for item in result.members}
        case Removal():
            return sorted(socket for sockets in result.sockets.values() for socket in sockets)
        case [str(), *_]:
            return sorted(result)
    return result


class StoreMachine(RuleBasedStateMachine):
    """Two instances with shared state, and the model. The test sets ``make_backend``."""

    make_backend: Callable[[], Backend]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.backend = type(self).make_backend()
        self.peers = Peers(self.backend.new_store)
        self.opened: list[Peer] = []
        self.model = Model()
        self.now = 1_000

    def wait(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return self.runner.run(run())

    @initialize(first=configs, second=configs)
    def open(self, first: RoomConfig, second: RoomConfig) -> None:
        self.opened = self.wait(self.peers.open_many(2))
        for peer in self.opened:
            topics = [*map(room_topic, ROOMS), *map(user_topic, USERS)]
            self.wait(peer.hear(*topics))
        for room, config in zip(ROOMS, (first, second), strict=True):
            self.create_room(0, room, config)

    def teardown(self) -> None:
        self.wait(self.peers.close())
        self.wait(self.backend.leftovers())
        self.runner.close()

    def tick(self) -> int:
        self.now += 1
        return self.now

    def agree(self, expected: Callable[[], Any], work: Awaitable[Any]) -> None:
        """Check that both return the same result or error and publish the same."""
        try:
            should = expected()
        except ChatServiceError as error:
            should = error.code, error.arguments
        does = self.wait(self._outcome(work))
        assert does == should
        self.wait(self._compare_told())

    async def _outcome(self, work: Awaitable[Any]) -> Any:
        try:
            return view(await work)
        except ChatServiceError as error:
            return error.code, error.arguments

    async def _compare_told(self) -> None:
        said, self.model.told = self.model.told, []
        for peer in self.opened:
            for name in (*ROOMS, *USERS):
                heard = await self._told(peer, name)
                everything = [entry for topic, entry, _ in said if topic == name]
                required = [
                    entry
                    for topic, entry, needed in said
                    if topic == name and (needed is None or peer.instance_id in needed)
                ]
                assert heard in (everything, required), f"{name} heard {heard}, not {everything}"

    async def _told(self, peer: Peer, name: str) -> list[Told]:
        if name in ROOMS:
            return await peer.room_told(RoomName(name))
        return await peer.user_told(UserName(name))

    # Users and sockets

    @rule(at=instances, owned=owned_sockets)
    def connect(self, at: int, owned: tuple[UserName, SocketId]) -> None:
        peer = self.opened[at]
        self.agree(
            lambda: self.model.socket_connect(*owned, peer.instance_id),
            peer.store.socket_connect(*owned, peer.instance_id),
        )

    @rule(at=instances, owned=owned_sockets)
    def disconnect(self, at: int, owned: tuple[UserName, SocketId]) -> None:
        peer, (user, socket) = self.opened[at], owned
        places = self.model.users[user].places if user in self.model.users else {}
        instance = InstanceId(places.get(socket, peer.instance_id))
        self.agree(
            lambda: self.model.socket_disconnect(user, socket),
            peer.store.socket_disconnect(user, socket, instance, []),
        )

    @rule(at=instances, user=users)
    def delete_user(self, at: int, user: UserName) -> None:
        joined = any(user in room.members for room in self.model.rooms.values())
        if not joined:
            self.agree(lambda: self.model.user_delete(user), self.opened[at].store.user_delete(user))

    @rule(at=instances, user=users, names=names, list_name=st.sampled_from(LISTS[1:]), adds=flags)
    def change_user_list(self, at: int, user: UserName, names: list[str], list_name: str, adds: bool) -> None:
        store = self.opened[at].store
        if adds:
            self.agree(
                lambda: self.model.user_add_to_list(user, list_name, names, 2),
                store.user_add_to_list(user, list_name, names, 2),
            )
        else:
            self.agree(
                lambda: self.model.user_remove_from_list(user, list_name, names),
                store.user_remove_from_list(user, list_name, names),
            )

    @rule(at=instances, user=users, mode=flags)
    def set_user_mode(self, at: int, user: UserName, mode: bool) -> None:
        self.agree(
            lambda: self.model.user_set_mode(user, mode), self.opened[at].store.user_set_mode(user, mode)
        )

    @rule(at=instances, user=users, who=readers)
    def direct_message(self, at: int, user: UserName, who: Actor) -> None:
        message = {"textMessage": "psst", "author": who.name}
        self.agree(
            lambda: self.model.direct_message(user, who, message),
            self.opened[at].store.direct_message(user, who, message),
        )

    # Rooms

    @rule(at=instances, room=rooms, config=configs)
    def create_room(self, at: int, room: RoomName, config: RoomConfig) -> None:
        self.agree(
            lambda: self.model.room_create(room, config), self.opened[at].store.room_create(room, config)
        )

    @rule(at=instances, room=rooms, who=actors, is_rare=st.integers(0, 4))
    def delete_room(self, at: int, room: RoomName, who: Actor, is_rare: int) -> None:
        if is_rare:
            return
        self.agree(lambda: self.model.room_delete(room, who), self.opened[at].store.room_delete(room, who))

    @rule(
        at=instances,
        room=rooms,
        owned=owned_sockets,
        announce=flags,
        is_remembered=mostly,
        details=st.none() | details,
    )
    def join(
        self,
        at: int,
        room: RoomName,
        owned: tuple[UserName, SocketId],
        announce: bool,
        is_remembered: bool = True,
        details: str | None = None,
    ) -> None:
        user, socket = owned
        now = self.tick()
        places = self.model.users[user].places if user in self.model.users else {}
        if socket not in places:
            self.connect(at, owned)
        # A socket joins on the instance that holds it.
        (peer,) = [peer for peer in self.opened if peer.instance_id == self.model.users[user].places[socket]]
        self.agree(
            lambda: self.model.room_join(room, user, socket, now, announce, is_remembered, details),
            peer.store.room_join(
                room,
                user,
                socket,
                peer.instance_id,
                now,
                announce=announce,
                seen_limit=SEEN_LIMIT if is_remembered else 0,
                details=details,
            ),
        )

    @rule(room=rooms, comers=st.permutations(SOCKETS), announced=st.integers(0, 6))
    def crowd(self, room: RoomName, comers: list[tuple[UserName, SocketId]], announced: int) -> None:
        for number, owned in enumerate(comers):
            self.join(number % 2, room, owned, number < announced)

    @rule(at=instances, room=rooms, owned=owned_sockets, details=st.none() | details)
    def set_details(
        self, at: int, room: RoomName, owned: tuple[UserName, SocketId], details: str | None
    ) -> None:
        self.agree(
            lambda: self.model.room_set_details(room, *owned, details),
            self.opened[at].store.room_set_details(room, *owned, details, details),
        )

    @rule(at=instances, room=rooms, owned=owned_sockets)
    def announce(self, at: int, room: RoomName, owned: tuple[UserName, SocketId]) -> None:
        self.agree(
            lambda: self.model.room_announce(room, *owned), self.opened[at].store.room_announce(room, *owned)
        )

    @rule(at=instances, room=rooms, owned=owned_sockets, echo=flags)
    def leave(self, at: int, room: RoomName, owned: tuple[UserName, SocketId], echo: bool) -> None:
        now = self.tick()
        self.agree(
            lambda: self.model.room_leave(room, *owned, now, echo),
            self.opened[at].store.room_leave(room, *owned, now, echo=echo),
        )

    @rule(room=rooms, senders=st.lists(actors, min_size=1, max_size=4))
    def send(self, room: RoomName, senders: list[Actor]) -> None:
        for number, who in enumerate(senders):
            message = {"textMessage": "hello", "timestamp": self.tick(), "author": who.name}

            def expected(who: Actor = who, message: dict[str, Any] = message) -> int:
                return self.model.room_message(room, who, message)

            self.agree(expected, self.opened[number % 2].store.room_message(room, who, dict(message)))

    @rule(
        at=instances,
        room=rooms,
        user=users,
        message_id=st.integers(0, 9),
        bypass=mostly.map(lambda flag: not flag),
    )
    def mark_read(self, at: int, room: RoomName, user: UserName, message_id: int, bypass: bool) -> None:
        store = self.opened[at].store
        self.agree(
            lambda: self.model.room_mark_read(room, user, message_id, bypass),
            store.room_mark_read(room, user, message_id, bypass=bypass),
        )
        self.agree(lambda: self.model.rooms_unread(ROOMS, user, bypass), self._unread(store, user, bypass))

    async def _unread(self, store: Store, user: UserName, bypass: bool) -> dict[RoomName, int]:
        found = await store.rooms_unread(ROOMS, user, bypass=bypass)
        assert all(0 <= state.read_id <= state.last_message_id for state in found.values())
        return {room: state.unread for room, state in found.items()}

    @rule(
        at=instances,
        room=rooms,
        who=actors,
        key=st.none() | st.sampled_from(["k1", "k2"]),
        digest=st.sampled_from([b"\x00:1", b"\x00:1", b"other"]),
        behind=st.none() | st.integers(0, 1),
    )
    def send_on_conditions(
        self, at: int, room: RoomName, who: Actor, key: str | None, digest: bytes, behind: int | None
    ) -> None:
        last_id = self.model.rooms[room].last_id if room in self.model.rooms else 0
        expected = None if behind is None else max(0, last_id - behind)
        conditions = SendConditions(key=key, digest=digest, expected_last_id=expected)
        message = {"textMessage": "once", "timestamp": self.tick()}
        self.agree(
            lambda: self.model.room_send(room, who, message, conditions),
            self.opened[at].store.room_send(room, who, dict(message), conditions),
        )

    @rule(
        at=instances,
        room=rooms,
        who=actors,
        list_name=st.sampled_from(LISTS),
        names=names,
        adds=flags,
        limit=st.sampled_from([1, 2, 3]),
    )
    def change_room_list(
        self, at: int, room: RoomName, who: Actor, list_name: str, names: list[str], adds: bool, limit: int
    ) -> None:
        now = self.tick()
        add, remove = (names, []) if adds else ([], names)
        self.agree(
            lambda: self.model.room_change_list(room, who, list_name, now, add, remove, limit),
            self.opened[at].store.room_change_list(
                room, who, list_name, now, add=add, remove=remove, limit=limit
            ),
        )

    @rule(at=instances, room=rooms, who=actors, mode=flags)
    def set_room_mode(self, at: int, room: RoomName, who: Actor, mode: bool) -> None:
        now = self.tick()
        self.agree(
            lambda: self.model.room_set_mode(room, who, now, mode),
            self.opened[at].store.room_set_mode(room, who, now, mode),
        )

    @rule(at=instances, room=rooms, owner=st.none() | users)
    def set_owner(self, at: int, room: RoomName, owner: UserName | None) -> None:
        now = self.tick()
        self.agree(
            lambda: self.model.room_set_owner(room, now, owner),
            self.opened[at].store.room_set_owner(room, now, owner),
        )

    @rule(at=instances, room=rooms, size=st.integers(0, 4))
    def resize(self, at: int, room: RoomName, size: int) -> None:
        self.agree(
            lambda: self.model.room_set_history_max_size(room, size),
            self.opened[at].store.room_set_history_max_size(room, size),
        )

    @rule(at=instances, room=rooms, userlist=st.none() | flags, access_lists=st.none() | flags)
    def set_updates(self, at: int, room: RoomName, userlist: bool | None, access_lists: bool | None) -> None:
        self.agree(
            lambda: self.model.room_set_updates(room, userlist, access_lists),
            self.opened[at].store.room_set_updates(room, userlist=userlist, access_lists=access_lists),
        )

    @rule(at=instances, room=rooms, gone=names)
    def remove_users(self, at: int, room: RoomName, gone: list[UserName]) -> None:
        now = self.tick()
        self.agree(
            lambda: self.model.room_remove_users(room, gone, now),
            self.opened[at].store.room_remove_users(room, gone, now),
        )

    # Reading

    @precondition(lambda self: self.model.rooms)
    @rule(at=instances, room=rooms, who=actors, after=st.integers(0, 6), limit=st.integers(1, 5), user=users)
    def read(self, at: int, room: RoomName, who: Actor, after: int, limit: int, user: UserName) -> None:
        store, model = self.opened[at].store, self.model
        self.agree(
            lambda: model.room_history(room, who, after, limit), store.room_history(room, who, after, limit)
        )
        self.agree(
            lambda: model.room_recent_history(room, who, limit), store.room_recent_history(room, who, limit)
        )
        for start in (after, None):

            def page(start: int | None = start) -> list[dict[str, Any]]:
                if start is None:
                    return model.room_recent_history(room, who, limit)
                return model.room_history(room, who, start, limit)

            self.agree(page, self._page(store.room_history_page(room, who, start, limit), room))
        self.agree(lambda: model.members_page(room, who), store.room_members_page(room, who, 9))
        self.agree(lambda: model.room_user_seen(room, who, user), store.room_user_seen(room, who, user))
        for list_name in (*LISTS, "userlist"):

            def expected(name: str = list_name) -> list[str]:
                return model.room_get_list(room, who, name)

            self.agree(expected, store.room_get_list(room, who, list_name))

    async def _page(self, work: Awaitable[HistoryPage], room: RoomName) -> Any:
        messages, epoch = await work
        info = await self.opened[0].store.room_history_info(room, SYSTEM)
        assert epoch == info.cursor.epoch
        return messages

    @invariant()
    def same_state(self) -> None:
        if self.opened:
            self.wait(self._compare_state(self.opened[0]))

    async def _compare_state(self, peer: Peer) -> None:
        for room in ROOMS:
            assert await peer.store.room_exists(room) is (room in self.model.rooms)
            if room in self.model.rooms:
                assert await peer.members(room) == self.model.rooms[room].members
                expected = self.model.rooms[room]
                page = view(await peer.store.room_members_page(room, SYSTEM, 9))
                assert page == self.model.members_page(room, SYSTEM)
                assert await peer.store.room_recent_history(room, SYSTEM, 9) == expected.messages[::-1]
                info = await peer.store.room_history_info(room, SYSTEM)
                assert (info.size, info.last_message_id) == (len(expected.messages), expected.last_id)
                for user in USERS:
                    assert await peer.store.room_check_access(room, user) is expected.lets_in(user)
                    seen = view(await peer.store.room_user_seen(room, SYSTEM, user))
                    assert seen == (user in expected.members, expected.seen.get(user))
        for user in USERS:
            assert await peer.store.user_exists(user) is (user in self.model.users)
            if user in self.model.users:
                assert await peer.indexed(user) == self.model.users[user].sockets
