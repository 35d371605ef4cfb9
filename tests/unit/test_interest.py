"""Subscriptions by interest: one per topic, in whatever order users of the topic come and go."""

import asyncio
import random

import pytest

from chat_service import StoreError
from chat_service.contracts.bus import Envelope, Topic, TopicKind
from chat_service.domain.interest import Interest

TOPIC = Topic(TopicKind.ROOM, "room")


class SlowBus:
    """A bus whose operations take several turns of the loop."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.subscribed: set[Topic] = set()
        self.calls: list[str] = []
        self.fails = False

    async def _work(self, name: str) -> None:
        self.calls.append(name)
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.fails:
            raise StoreError("no bus")

    async def subscribe(self, topic: Topic) -> None:
        await self._work("subscribe")
        self.subscribed.add(topic)

    async def unsubscribe(self, topic: Topic) -> None:
        await self._work("unsubscribe")
        self.subscribed.discard(topic)

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        raise AssertionError("nobody publishes here")


@pytest.fixture
def bus() -> SlowBus:
    return SlowBus(random.Random(1))


async def test_a_topic_is_subscribed_once_and_until_the_last_one_leaves(bus: SlowBus) -> None:
    interest = Interest(lambda: bus)
    for _ in range(3):
        await interest.acquire(TOPIC)
    assert interest.topics() == bus.subscribed == {TOPIC}
    for _ in range(2):
        await interest.release(TOPIC)
        assert bus.subscribed == {TOPIC}
    await interest.release(TOPIC)
    assert interest.topics() == bus.subscribed == set()
    assert bus.calls == ["subscribe", "unsubscribe"]


async def test_a_failed_subscription_counts_for_nothing(bus: SlowBus) -> None:
    interest = Interest(lambda: bus)
    bus.fails = True
    with pytest.raises(StoreError):
        await interest.acquire(TOPIC)
    bus.fails = False
    await interest.acquire(TOPIC)
    assert bus.subscribed == {TOPIC}
    await interest.release(TOPIC)
    assert bus.subscribed == set()


async def test_a_failure_does_not_affect_the_others() -> None:
    bus = SlowBus(random.Random(2))
    interest = Interest(lambda: bus)
    bus.fails = True
    first = asyncio.create_task(interest.acquire(TOPIC))
    second = asyncio.create_task(interest.acquire(TOPIC))
    with pytest.raises(StoreError):
        await first
    bus.fails = False
    await asyncio.gather(second, return_exceptions=True)
    if second.exception() is None:
        assert bus.subscribed == {TOPIC}
        await interest.release(TOPIC)
    assert bus.subscribed == set()


@pytest.mark.parametrize("seed", range(50))
async def test_random_subscribers(seed: int) -> None:
    chance = random.Random(seed)
    bus = SlowBus(chance)
    interest = Interest(lambda: bus)

    async def visitor() -> None:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        await interest.acquire(TOPIC)
        try:
            assert TOPIC in bus.subscribed
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
                assert TOPIC in bus.subscribed
        finally:
            await interest.release(TOPIC)

    tasks = [asyncio.create_task(visitor()) for _ in range(8)]
    for task in tasks:
        if chance.random() < 0.2:
            await asyncio.sleep(0)
            task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(item is None or isinstance(item, asyncio.CancelledError) for item in outcomes), outcomes
    # One more visit, because a visitor that is cancelled while leaving may not have unsubscribed.
    await interest.acquire(TOPIC)
    await interest.release(TOPIC)
    assert interest.topics() == bus.subscribed == set()
