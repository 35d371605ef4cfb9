"""Opening and closing a store, and its bus."""

import asyncio
from typing import Any

import pytest

from chat_service.contracts.bus import (
    EVERYONE,
    ApplicationEvent,
    DisconnectSocket,
    DisconnectUser,
    Envelope,
    Notify,
    NotifySocket,
    Reply,
    Request,
    Topic,
    TopicKind,
)
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
    ROOM,
    S1,
    S2,
    MakeStore,
    Peers,
    Recorder,
    StoreTests,
    room_topic,
    user_topic,
)
from chat_service.types import InstanceId, SocketId

ARGS: tuple[Any, ...] = ("текст 🎈", None, True, -1, 0.5, b"\x00\xff", ["a", [b"\x01"]], {"k": {"é": []}}, "")

#: One of each kind of envelope that anyone may publish.
ENVELOPES: dict[str, Envelope] = {
    "Notify": Notify(event="event", args=ARGS, exclude=(S1, S2)),
    "Notify with defaults": Notify(event="event"),
    "NotifySocket": NotifySocket(socket_id=S1, event="event", args=ARGS),
    "DisconnectUser": DisconnectUser(),
    "DisconnectSocket": DisconnectSocket(socket_id=S1),
    "Request": Request(id="1", reply_to=InstanceId("instance1"), operation="join", args=ARGS),
    "Reply with a result": Reply(id="1", result=[1, {"a": b"\x00"}]),
    "Reply without a result": Reply(id="1"),
    "Reply with an error": Reply(id="1", error=("notJoined", ("room", 1, None))),
    "ApplicationEvent": ApplicationEvent(event="reload", args=ARGS),
}

TOPICS: dict[str, Topic] = {
    "room": room_topic(ROOM),
    "user": user_topic(ALICE),
    "instance": Topic(TopicKind.INSTANCE, "instance1"),
    "everyone": EVERYONE,
    "unusual name": Topic(TopicKind.ROOM, "a room, 部屋 *?[x]\\ $1 'q' \"d\" %s"),
}


def notify(number: int) -> Notify:
    return Notify(event="event", args=(number,))


class BusSuite(StoreTests):
    """Opening and closing, subscribing and publishing."""

    # The life of a store

    async def test_close_is_idempotent(self, make_store: MakeStore) -> None:
        store = make_store()
        await store.open(Recorder())
        await store.close()
        await store.close()

    async def test_close_without_open(self, make_store: MakeStore) -> None:
        await make_store().close()

    async def test_stores_share_state(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.store.room_create(ROOM, RoomConfig(owner=ALICE))
        await one.store.close()
        assert (await other.store.room_settings(ROOM, SYSTEM)).owner == ALICE

    async def test_closing_a_store_ends_only_its_own_subscriptions(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for peer in (one, other):
            await peer.hear(user_topic(ALICE), EVERYONE)
        await one.store.close()
        for topic in (user_topic(ALICE), EVERYONE):
            await other.store.bus.publish(topic, notify(1))
            assert await other.take(topic) == [notify(1)]
        assert one.recorder.heard == []

    # Subscriptions

    @pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS)
    async def test_envelopes_reach_all_subscribers_and_the_publisher(
        self, peers: Peers, topic: Topic
    ) -> None:
        one, other, deaf = await peers.open_many(3)
        for peer in (one, other):
            await peer.hear(topic)
        await one.store.bus.publish(topic, notify(1))
        await deaf.store.bus.publish(topic, notify(2))
        for peer in (one, other):
            assert await peer.take(topic) == [notify(1), notify(2)]
        # Envelopes from before the subscription must not arrive. They would come first.
        await deaf.hear(topic)
        assert await deaf.take(topic) == []

    async def test_subscribing_twice_delivers_once(self, peers: Peers) -> None:
        peer = await peers.open()
        await peer.hear(user_topic(ALICE), user_topic(ALICE))
        await peer.store.bus.publish(user_topic(ALICE), notify(1))
        assert await peer.take(user_topic(ALICE)) == [notify(1)]
        await peer.store.bus.unsubscribe(user_topic(ALICE))
        await peer.store.bus.publish(user_topic(ALICE), notify(2))
        await peer.hear(user_topic(ALICE))
        assert await peer.take(user_topic(ALICE)) == []

    async def test_unsubscribing(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        topic = user_topic(ALICE)
        await one.store.bus.unsubscribe(topic)
        for peer in (one, other):
            await peer.hear(topic)
        await one.store.bus.unsubscribe(topic)
        await one.store.bus.publish(topic, notify(1))
        assert await other.take(topic) == [notify(1)]
        await one.hear(topic)
        assert await one.take(topic) == []
        await one.store.bus.publish(topic, notify(2))
        assert await one.take(topic) == [notify(2)]

    async def test_topics_are_separate(self, peers: Peers) -> None:
        peer = await peers.open()
        topics = [Topic(kind, "name") for kind in (TopicKind.ROOM, TopicKind.USER, TopicKind.INSTANCE)]
        await peer.hear(*topics, user_topic(BOB))
        for number, topic in enumerate(topics):
            await peer.store.bus.publish(topic, notify(number))
        for number, topic in enumerate(topics):
            assert await peer.take(topic) == [notify(number)]
        assert await peer.take(user_topic(BOB)) == []

    # Envelopes

    @pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
    async def test_envelopes_arrive_unchanged(self, peers: Peers, envelope: Envelope) -> None:
        one, other = await peers.open_many(2)
        await one.hear(EVERYONE)
        await other.hear(EVERYONE)
        await one.store.bus.publish(EVERYONE, envelope)
        for peer in (one, other):
            (arrived,) = await peer.take(EVERYONE)
            assert arrived == envelope
            assert repr(arrived) == repr(envelope)

    async def test_envelopes_arrive_in_order(self, peers: Peers) -> None:
        one, other, third = await peers.open_many(3)
        topic = user_topic(ALICE)
        for peer in (one, other, third):
            await peer.hear(topic)

        async def publish(peer_number: int) -> None:
            bus = (one, other, third)[peer_number].store.bus
            for number in range(50):
                await bus.publish(topic, notify(peer_number * 1000 + number))

        await asyncio.gather(*(publish(number) for number in range(3)))
        heard = [await peer.take(topic) for peer in (one, other, third)]
        assert heard[0] == heard[1] == heard[2]
        numbers = [envelope.args[0] for envelope in heard[0] if isinstance(envelope, Notify)]
        assert len(numbers) == 150
        for publisher in range(3):
            own = [number for number in numbers if number // 1000 == publisher]
            assert own == sorted(own)

    async def test_store_events_and_publications_arrive_in_order(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        topic = user_topic(ALICE)
        await one.connect(ALICE, SocketId("witness"))
        await other.hear(topic)
        await one.connect(ALICE, S1)
        await one.store.bus.publish(topic, notify(1))
        await one.connect(ALICE, S2)
        first, second, third = await other.take(topic)
        assert second == notify(1)
        assert [event.event for event in (first, third) if isinstance(event, Notify)] == [
            "socketConnectEcho",
            "socketConnectEcho",
        ]

    async def test_failing_listener_does_not_affect_others(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for peer in (one, other):
            await peer.hear(room_topic(HALL))
        await one.store.room_create(HALL, RoomConfig())
        one.recorder.fails = True
        for number in (1, 2):
            assert await one.store.room_message(HALL, SYSTEM, {}) == number
        for peer in (one, other):
            assert [event.last_message_id for event in await peer.room_events(HALL)] == [1, 2]
