"""Serial work per key: order, nested holds, cancellation, and holds that cross."""

import asyncio
import random

import pytest

from chat_service.concurrency.serial import PARTY_SIZE, DeadlockError, SerialQueue
from tests.support.patience import PATIENCE


async def test_first_come_first_served() -> None:
    queue, order, inside = SerialQueue(), [], 0

    async def work(number: int) -> None:
        nonlocal inside
        async with queue.hold("key"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            order.append(number)
            inside -= 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))
    assert len(queue) == 0


async def test_keys_do_not_wait_for_each_other() -> None:
    queue = SerialQueue()
    async with queue.hold("a"), asyncio.timeout(PATIENCE), queue.hold("b"):
        assert len(queue) == 2
    assert len(queue) == 0


async def test_a_hold_inside_a_hold_of_the_same_key_enters_immediately() -> None:
    queue = SerialQueue()
    async with asyncio.timeout(PATIENCE), queue.hold("a"):
        async with queue.hold("a"):
            assert len(queue) == 1
        # The inner stay does not end the outer one.
        assert len(queue) == 1

        async def child() -> None:
            async with queue.hold("a"):
                pass

        await asyncio.create_task(child())
    assert len(queue) == 0


async def test_a_task_that_outlives_the_hold_waits_like_everybody() -> None:
    queue, begin, entered = SerialQueue(), asyncio.Event(), asyncio.Event()

    async def child() -> None:
        await begin.wait()
        async with queue.hold("a"):
            entered.set()

    async with queue.hold("a"):
        task = asyncio.create_task(child())
    async with queue.hold("a"):
        pass
    other = asyncio.Event()

    async def stranger() -> None:
        async with queue.hold("a"):
            await other.wait()

    stay = asyncio.create_task(stranger())
    await asyncio.sleep(0)
    begin.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not entered.is_set()
    other.set()
    await asyncio.gather(task, stay)
    assert entered.is_set()


async def test_two_queues_know_nothing_of_each_other() -> None:
    first, second = SerialQueue(), SerialQueue()
    async with first.hold("a"), second.hold("a"):
        assert (len(first), len(second)) == (1, 1)


async def test_an_error_inside_frees_the_key() -> None:
    queue = SerialQueue()
    with pytest.raises(ZeroDivisionError):
        async with queue.hold("a"):
            raise ZeroDivisionError
    assert len(queue) == 0


async def test_cancelled_waiters_are_passed_over() -> None:
    queue, order, gate = SerialQueue(), [], asyncio.Event()

    async def work(number: int) -> None:
        async with queue.hold("key"):
            await gate.wait()
            order.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    tasks[0].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 3, 4]
    assert len(queue) == 0


async def test_a_waiter_that_is_cancelled_when_its_turn_came_hands_it_on() -> None:
    queue, order = SerialQueue(), []

    async def work(number: int) -> None:
        async with queue.hold("key"):
            order.append(number)

    async with queue.hold("key"):
        # Tasks created here would be inside the hold, so they are created elsewhere.
        pass
    await queue.acquire("key")
    tasks = [asyncio.create_task(work(number)) for number in range(3)]
    await asyncio.sleep(0)
    queue.release("key")
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 2]
    assert len(queue) == 0


async def test_random_cancellation_never_loses_the_key() -> None:
    chance = random.Random(5)
    for _ in range(100):
        queue, inside = SerialQueue(), 0

        async def work(turns: int, queue: SerialQueue = queue) -> None:
            nonlocal inside
            async with queue.hold("key"):
                inside += 1
                try:
                    assert inside == 1
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(work(chance.randrange(3))) for _ in range(6)]
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0)
            chance.choice(tasks).cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(item is None or isinstance(item, asyncio.CancelledError) for item in outcomes)
        assert len(queue) == 0


async def crosswise(queue: SerialQueue, keys: list[list[str]]) -> list[BaseException | None]:
    """Tasks that each nest several keys, all holding the first before any continues."""
    barrier = asyncio.Barrier(len(keys))

    async def nest(rest: list[str]) -> None:
        if rest:
            async with queue.hold(rest[0]):
                await nest(rest[1:])

    async def work(first: str, rest: list[str]) -> None:
        async with queue.hold(first):
            await barrier.wait()
            await nest(rest)

    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*(work(first, rest) for first, *rest in keys), return_exceptions=True)


async def test_holds_in_opposite_order_do_not_deadlock() -> None:
    queue = SerialQueue()
    outcomes = await crosswise(queue, [["a", "b"], ["b", "a"]])
    assert sorted(map(type, outcomes), key=str) == [type(None), DeadlockError]
    outcomes = await crosswise(queue, [["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"]])
    assert [type(outcome) for outcome in outcomes].count(DeadlockError) == 1
    assert len(queue) == 0


async def test_a_chain_of_waiters_is_not_a_deadlock() -> None:
    queue = SerialQueue()
    assert await crosswise(queue, [["a", "b"], ["b", "c"], ["c", "d"], ["d"]]) == [None] * 4
    assert len(queue) == 0


async def test_a_waiter_in_a_queue_can_be_part_of_a_deadlock() -> None:
    """A holds 1 and waits for 2, behind B, which gets 2 and then wants 1."""
    queue, order = SerialQueue(), []
    free = asyncio.Event()

    async def holder() -> None:
        async with queue.hold("2"):
            await free.wait()

    async def second() -> None:
        async with queue.hold("2"), queue.hold("1"):
            order.append("second")

    async def first() -> None:
        async with queue.hold("1"), queue.hold("2"):
            order.append("first")

    tasks = []
    for work in (holder, second, first):
        tasks.append(asyncio.create_task(work()))
        await asyncio.sleep(0)
    free.set()
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), DeadlockError, type(None)]
    assert order == ["first"]
    assert len(queue) == 0


async def test_waiters_who_agree_enter_together_up_to_a_number() -> None:
    queue, log = SerialQueue(), []

    async def work(number: int, *, is_sociable: bool) -> None:
        hold = queue.hold("key")
        if not hold.enter_at_once():
            _, party = await hold.enter(is_sociable=is_sociable)
            log.append((number, party.members if party else 1))
            await asyncio.sleep(0.001 * (5 - number % 5))
        else:
            await asyncio.sleep(0.01)
        hold.leave()

    sociable = [False, True, True, False, *[True] * (PARTY_SIZE + 1), False]
    tasks = [asyncio.create_task(work(number, is_sociable=value)) for number, value in enumerate(sociable)]
    await asyncio.sleep(0)
    # It leaves a party of two.
    tasks[5].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    sizes = [1, *[2] * 2, 1, *[PARTY_SIZE] * PARTY_SIZE, 1]
    entered = [number for number in range(1, len(sociable)) if number != 5]
    assert [number for number, _ in log] == entered
    assert [size for _, size in log] == sizes[1:]
    assert len(queue) == 0


async def test_a_holder_who_expects_others_lets_them_join_until_the_party_is_closed() -> None:
    queue = SerialQueue()
    await queue.acquire("key")
    party = queue.open_party("key")
    assert await queue.acquire("key", is_sociable=True) == (0.0, party)
    party.is_open = False
    waiting = asyncio.create_task(queue.acquire("key", is_sociable=True))
    await asyncio.sleep(0)
    queue.release("key")
    assert not waiting.done()
    queue.release("key")
    assert await waiting == (0.0, None)
    assert queue.sociable == {"key"}
    queue.release("key")
    await queue.acquire("key")
    queue.open_party("key")
    queue.release("key")
    assert queue.sociable == set() and len(queue) == 0


async def test_nobody_joins_an_open_party_past_a_holder_who_waits() -> None:
    queue = SerialQueue()
    await queue.acquire("key")
    queue.open_party("key")
    alone = asyncio.create_task(queue.acquire("key"))
    await asyncio.sleep(0)
    sociable = asyncio.create_task(queue.acquire("key", is_sociable=True))
    await asyncio.sleep(0)
    assert not sociable.done()
    queue.release("key")
    await asyncio.sleep(0)
    assert alone.done() and not sociable.done()
    queue.release("key")
    await sociable
    queue.release("key")
    assert len(queue) == 0
