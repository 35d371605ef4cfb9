"""What the parts of the suite share: open stores whose listeners record, and short ways to say things."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from chat_service.contracts.bus import Envelope, Notify, RoomEvent, Topic, TopicKind
from chat_service.contracts.store import Actor, JoinResult, LeaveResult, RoomConfig, Store
from chat_service.errors import ChatServiceError
from chat_service.testing.waiting import wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName

#: Makes a new store, not opened yet, over the state of the test.
MakeStore = Callable[[], Store]

ALICE, BOB, CAROL, DAVE = UserName("alice"), UserName("bob"), UserName("carol"), UserName("dave")
ROOM, HALL = RoomName("room"), RoomName("hall")
S1, S2, S3, S4 = SocketId("s1"), SocketId("s2"), SocketId("s3"), SocketId("s4")
#: Milliseconds since the epoch; later moments are this plus something.
NOW = 1_700_000_000_000
#: A limit that no test reaches by accident.
LIMIT = 10_000

_marks = itertools.count(1)
_MARK = "conformance:mark"


def actor(user: UserName) -> Actor:
    """A user who asks without special rights."""
    return Actor(name=user)


def room_topic(room: RoomName) -> Topic:
    return Topic(TopicKind.ROOM, room)


def user_topic(user: UserName) -> Topic:
    return Topic(TopicKind.USER, user)


class Told(NamedTuple):
    """What an envelope tells, in a form that compares well: the order of socket ids does not matter."""

    words: list[Any]
    exclude: frozenset[str]
    removed: dict[str, frozenset[str]]
    announced: frozenset[str]


def told(
    event: str = "",
    *args: Any,
    exclude: Sequence[str] = (),
    removed: Mapping[Any, Sequence[str]] | None = None,
    announced: Sequence[str] = (),
) -> Told:
    """What a ``Notify`` or a ``RoomEvent`` is expected to tell."""
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
            )
        case _:
            raise AssertionError(f"not for sockets: {envelope!r}")


@contextmanager
def raises_error(code: str, *arguments: Any) -> Iterator[None]:
    """The block must raise a ``ChatServiceError`` with this code and these arguments."""
    with pytest.raises(ChatServiceError) as caught:
        yield
    assert (caught.value.code, caught.value.arguments) == (code, arguments)


class Recorder:
    """A ``BusListener`` that keeps what it hears. ``fails``: it raises besides."""

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
    """One instance's open store, and what it hears on its bus."""

    def __init__(self, store: Store, instance_id: InstanceId) -> None:
        self.store = store
        self.instance_id = instance_id
        self.recorder = Recorder()
        #: The last event taken of each epoch.
        self._last: dict[str, RoomEvent] = {}

    async def hear(self, *topics: Topic) -> None:
        """Subscribe to topics."""
        for topic in topics:
            await self.store.bus.subscribe(topic)

    async def take(self, topic: Topic) -> list[Envelope]:
        """What was published on a subscribed topic until now, and was not taken before.

        Order shows that all of it has come: a mark is published behind it.
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
        """The events of a room, checked: dense sequence numbers, and dense ids of messages, per epoch."""
        events = []
        for envelope in await self.take(room_topic(room)):
            assert isinstance(envelope, RoomEvent), f"{envelope!r} is no event of a room"
            last = self._last.get(envelope.epoch)
            if last is not None:
                assert envelope.seq == last.seq + 1, f"{envelope!r} does not follow {last!r}"
                assert envelope.last_message_id == last.last_message_id + envelope.is_message
            self._last[envelope.epoch] = envelope
            events.append(envelope)
        return events

    async def room_told(self, room: RoomName = ROOM) -> list[Told]:
        """What the events of a room tell."""
        return [_told(event) for event in await self.room_events(room)]

    async def user_told(self, user: UserName) -> list[Told]:
        """What was published on a user's topic."""
        return [_told(envelope) for envelope in await self.take(user_topic(user))]

    # Steps that most tests begin with

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
        """Leave with a socket."""
        return await self.store.room_leave(room, user, socket_id, NOW, echo=echo)

    async def members(self, room: RoomName = ROOM) -> dict[str, set[str]]:
        """The joined users with their sockets."""
        found = await self.store.room_members(room)
        return {user: set(sockets) for user, sockets in found.items()}

    async def indexed(self, user: UserName) -> dict[str, set[str]]:
        """The rooms in the user's index, by socket."""
        sockets = await self.store.user_sockets(user)
        return {socket_id: set(info.rooms) for socket_id, info in sockets.items()}


def _is_mark(envelope: Envelope, number: int | None = None) -> bool:
    if not isinstance(envelope, Notify) or envelope.event != _MARK:
        return False
    return number is None or list(envelope.args) == [number]


class Peers:
    """Opens stores over the state of one test, and closes them in the end."""

    def __init__(self, make_store: MakeStore) -> None:
        self._make_store = make_store
        self.opened: list[Peer] = []

    async def open(self) -> Peer:
        """One more instance, which hears nothing yet."""
        peer = Peer(self._make_store(), InstanceId(f"instance{len(self.opened) + 1}"))
        await peer.store.open(peer.recorder)
        self.opened.append(peer)
        return peer

    async def open_many(self, count: int) -> list[Peer]:
        """Several more instances."""
        return [await self.open() for _ in range(count)]

    async def close(self) -> None:
        for peer in reversed(self.opened):
            await peer.store.close()


class StoreTests:
    """The fixtures of every part of the suite."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Override it: the function that makes the stores of one test. The fixture may be asynchronous."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def peers(self, make_store: MakeStore) -> AsyncIterator[Peers]:
        """Opens stores over the state of the test."""
        made = Peers(make_store)
        try:
            yield made
        finally:
            await made.close()

    @pytest_asyncio.fixture
    async def peer(self, peers: Peers) -> Peer:
        """The first instance. It has a room ``room`` with every notification switched on, without an
        owner, and hears that room, ``alice`` and ``bob``."""
        made = await peers.open()
        config = RoomConfig(enable_userlist_updates=True, enable_access_lists_updates=True)
        await made.store.room_create(ROOM, config)
        await made.hear(room_topic(ROOM), user_topic(ALICE), user_topic(BOB))
        return made
