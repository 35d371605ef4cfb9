"""Shared by the parts of the suite: open stores with recording listeners, and helpers."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from chat_service.contracts.bus import Envelope, Notify, RoomEvent, Topic, TopicKind
from chat_service.contracts.records import Actor, JoinResult, LeaveResult, RoomConfig
from chat_service.contracts.store import Store
from chat_service.errors import ChatServiceError
from chat_service.testing.waiting import wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName

#: Creates a new, unopened store with the state of the test.
MakeStore = Callable[[], Store]

ALICE, BOB, CAROL, DAVE = UserName("alice"), UserName("bob"), UserName("carol"), UserName("dave")
ROOM, HALL = RoomName("room"), RoomName("hall")
S1, S2, S3, S4 = SocketId("s1"), SocketId("s2"), SocketId("s3"), SocketId("s4")
#: The current Unix time in ms. Later times are offsets from it.
NOW = 1_700_000_000_000
#: A limit that tests do not reach by accident.
LIMIT = 10_000

_marks = itertools.count(1)
_MARK = "conformance:mark"


def actor(user: UserName) -> Actor:
    """A user without special permissions."""
    return Actor(name=user)


def room_topic(room: RoomName) -> Topic:
    return Topic(TopicKind.ROOM, room)


def user_topic(user: UserName) -> Topic:
    return Topic(TopicKind.USER, user)


class Told(NamedTuple):
    """The content of an envelope in a comparable form, in which the order of socket ids is irrelevant."""

    words: list[Any]
    exclude: frozenset[str]
    removed: dict[str, frozenset[str]]
    announced: frozenset[str]
    stayed: frozenset[str] | None = None


def told(
    event: str = "",
    *args: Any,
    exclude: Sequence[str] = (),
    removed: Mapping[Any, Sequence[str]] | None = None,
    announced: Sequence[str] = (),
) -> Told:
    """The expected content of a ``Notify`` or ``RoomEvent``."""
    left = {str(user): frozenset(sockets) for user, sockets in (removed or {}).items()}
    return Told([event, *args], frozenset(exclude), left, frozenset(announced))


def _told(envelope: Envelope) -> Told:
    match envelope:
        case Notify():
            return told(envelope.event, *envelope.args, exclude=envelope.exclude)
        case RoomEvent():
            return told(
                envelope.event,
                *envelope.args,
                exclude=envelope.exclude,
                removed=envelope.removed,
                announced=envelope.announced,
            )._replace(stayed=envelope.stayed)
        case _:
            raise AssertionError(f"not a notification: {envelope!r}")


@contextmanager
def raises_error(code: str, *arguments: Any) -> Iterator[None]:
    """Expect the block to raise a ``ChatServiceError`` with this code and these arguments."""
    with pytest.raises(ChatServiceError) as caught:
        yield
    assert (caught.value.code, caught.value.arguments) == (code, arguments)


class Recorder:
    """A ``BusListener`` that records envelopes. ``fails``: whether it also raises."""

    def __init__(self) -> None:
        self.heard: list[tuple[Topic, Envelope]] = []
        self.fails = False

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        self.heard.append((topic, envelope))
        if self.fails:
            raise RuntimeError("a listener that fails")

    def on_interruption(self, topic: Topic) -> None:
        raise AssertionError(f"the subscription of {topic} was interrupted")


class Peer:
    """The open store of one instance, with a listener on its bus."""

    def __init__(self, store: Store, instance_id: InstanceId) -> None:
        self.store = store
        self.instance_id = instance_id
        self.recorder = Recorder()
        #: The last event returned for each epoch.
        self._last: dict[str, RoomEvent] = {}

    async def hear(self, *topics: Topic) -> None:
        """Subscribe to topics."""
        for topic in topics:
            await self.store.bus.subscribe(topic)

    async def take(self, topic: Topic) -> list[Envelope]:
        """Return what was published on a subscribed topic since the last call.

        It publishes a marker and waits for it. Since the order is kept, everything before has then arrived.
        """
        number = next(_marks)
        await self.store.bus.publish(topic, Notify(event=_MARK, args=(number,)))
        taken: list[Envelope] = []

        def is_marked() -> bool:
            heard = self.recorder.heard
            for position, (heard_on, envelope) in enumerate(heard):
                if heard_on == topic and _is_mark(envelope, number):
                    taken.extend(item for on, item in heard[:position] if on == topic)
                    heard[: position + 1] = [entry for entry in heard[:position] if entry[0] != topic]
                    return True
            return False

        await wait_until(is_marked, f"what was published on {topic}")
        return [envelope for envelope in taken if not _is_mark(envelope)]

    async def room_events(self, room: RoomName = ROOM) -> list[RoomEvent]:
        """Take a room's events, checking that sequence numbers and message ids have no gaps in an epoch."""
        events = []
        for envelope in await self.take(room_topic(room)):
            assert isinstance(envelope, RoomEvent), f"{envelope!r} is not a room event"
            last = self._last.get(envelope.epoch)
            if last is not None:
                assert envelope.seq == last.seq + 1, f"{envelope!r} does not follow {last!r}"
                assert envelope.last_message_id == last.last_message_id + envelope.is_message
            self._last[envelope.epoch] = envelope
            events.append(envelope)
        return events

    async def room_told(self, room: RoomName = ROOM) -> list[Told]:
        """The content of a room's events."""
        return [_told(event) for event in await self.room_events(room)]

    async def user_told(self, user: UserName) -> list[Told]:
        """The content of what was published on a user's topic."""
        return [_told(envelope) for envelope in await self.take(user_topic(user))]

    # Common first steps

    async def connect(self, user: UserName, *sockets: SocketId) -> None:
        """Connect sockets of a user to this instance."""
        for socket_id in sockets:
            await self.store.socket_connect(user, socket_id, self.instance_id)

    async def join(
        self, user: UserName, socket_id: SocketId, room: RoomName = ROOM, *, announce: bool = True
    ) -> JoinResult:
        """Join a connected socket of this instance."""
        return await self.store.room_join(room, user, socket_id, self.instance_id, NOW, announce=announce)

    async def enter(self, user: UserName, *sockets: SocketId, room: RoomName = ROOM) -> None:
        """Connect and join sockets of a user."""
        for socket_id in sockets:
            await self.connect(user, socket_id)
            await self.join(user, socket_id, room)

    async def leave(
        self, user: UserName, socket_id: SocketId, room: RoomName = ROOM, *, echo: bool = True
    ) -> LeaveResult:
        """Leave a room with a socket."""
        return await self.store.room_leave(room, user, socket_id, NOW, echo=echo)

    async def members(self, room: RoomName = ROOM) -> dict[str, set[str]]:
        """The joined users with their sockets."""
        found = await self.store.room_members(room)
        return {user: set(sockets) for user, sockets in found.items()}

    async def indexed(self, user: UserName) -> dict[str, set[str]]:
        """The rooms in a user's index, by socket."""
        sockets = await self.store.user_sockets(user)
        return {socket_id: set(info.rooms) for socket_id, info in sockets.items()}


def _is_mark(envelope: Envelope, number: int | None = None) -> bool:
    if not isinstance(envelope, Notify) or envelope.event != _MARK:
        return False
    return number is None or list(envelope.args) == [number]


class Peers:
    """Opens stores with the state of one test, and closes them at the end."""

    def __init__(self, make_store: MakeStore) -> None:
        self._make_store = make_store
        self.opened: list[Peer] = []

    async def open(self) -> Peer:
        """Open another instance, without subscriptions."""
        peer = Peer(self._make_store(), InstanceId(f"instance{len(self.opened) + 1}"))
        await peer.store.open(peer.recorder)
        self.opened.append(peer)
        return peer

    async def open_many(self, count: int) -> list[Peer]:
        """Open several instances."""
        return [await self.open() for _ in range(count)]

    async def close(self) -> None:
        for peer in reversed(self.opened):
            await peer.store.close()


class StoreTests:
    """Fixtures shared by all parts of the suite."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Override this to return a function that creates the stores of one test. It may be asynchronous."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def peers(self, make_store: MakeStore) -> AsyncIterator[Peers]:
        """Opens stores with the state of the test."""
        made = Peers(make_store)
        try:
            yield made
        finally:
            await made.close()

    @pytest_asyncio.fixture
    async def peer(self, peers: Peers) -> Peer:
        """The first instance, subscribed to a room ``room`` and the users ``alice`` and ``bob``.

        The room has no owner and all optional notifications are on.
        """
        made = await peers.open()
        config = RoomConfig(enable_userlist_updates=True, enable_access_lists_updates=True)
        await made.store.room_create(ROOM, config)
        await made.hear(room_topic(ROOM), user_topic(ALICE), user_topic(BOB))
        return made
