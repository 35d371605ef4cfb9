"""Signed events: their kinds, order, repeats and limits, and delivery on close."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from chat_service.concurrency import running
from chat_service.testing import wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from chat_service.webhooks.back_end import BackEnd as Requests
from tests.support.backends import ONE_STORE
from tests.support.parts import parts_of
from tests.support.world import Instance, World
from tests.webhooks.back_ends import Asked, BackEnd, Raw, start


async def telling(world: World, decider: BackEnd, **webhooks: Any) -> Instance:
    """An instance that only sends events of messages unless ``webhooks`` say otherwise."""
    given = {"events_url": decider.url("/events"), "events": ["message"], **webhooks}
    instance = await start(world, given)
    for room in ("one", "two"):
        await instance.service.add_room(room, exist_ok=True)
    return instance


async def say(instance: Instance, room: str, *numbers: int) -> None:
    for number in numbers:
        await instance.service.exec_user_command(True, "roomMessage", room, {"textMessage": str(number)})


def numbers(decider: BackEnd, room: str) -> list[int]:
    """The received messages of a room, including repeats."""
    return [int(each["message"]["textMessage"]) for each in decider.events() if each["room"] == room]


def outcomes(instance: Instance) -> dict[str, int]:
    return dict(parts_of(instance.service).counters.webhooks.events)


def waiting(instance: Instance) -> int:
    count = parts_of(instance.service).counters.webhooks.waiting
    assert count is not None
    return count()


async def delivered(instance: Instance, count: int) -> None:
    await wait_until(lambda: outcomes(instance).get("delivered") == count, f"{count} delivered events")
    assert waiting(instance) == 0


# What is sent

KINDS = ["message", "join", "leave", "connect", "disconnect", "direct_message"]


@pytest.mark.covers("webhook_option:events_url", "webhook_option:events")
async def test_events_of_every_kind(world: World, decider: BackEnd) -> None:
    instance = await telling(world, decider, events=KINDS)
    alice, bob = await instance.login("alice"), await instance.login("bob")
    await alice.call("roomJoin", "one")
    await alice.call("roomMessage", "one", {"textMessage": "hi"}, {"idempotencyKey": "k"})
    # A repeat is not stored, so there is no event.
    await alice.call("roomMessage", "one", {"textMessage": "hi"}, {"idempotencyKey": "k"})
    skipping = {"user_name": "alice", "bypass_hooks": True, "bypass_permissions": True}
    await instance.service.exec_user_command(skipping, "roomMessage", "one", {"textMessage": "by server"})
    await alice.call("directMessage", "bob", {"textMessage": "psst"})
    await bob.call("roomJoin", "one")
    await bob.call("roomLeave", "one")
    await bob.call("roomJoin", "one")
    await instance.service.exec_user_command(True, "roomAddToList", "one", "blacklist", ["bob"])
    await delivered(instance, 10)
    await alice.disconnect()
    await bob.disconnect()
    await delivered(instance, 13)
    events = decider.events()
    assert len({event["id"] for event in events}) == 13
    assert all(isinstance(event["timestamp"], int) for event in events)

    def of(kind: str) -> list[dict[str, Any]]:
        found = (event for event in events if event["kind"] == kind)
        return [
            {name: value for name, value in event.items() if name not in ("id", "kind", "timestamp")}
            for event in found
        ]

    def seat(client: Any, user: str, sockets: int) -> dict[str, Any]:
        return {"room": "one", "user": user, "socketId": client.id, "sockets": sockets}

    assert of("connect") == [
        {"user": "alice", "socketId": alice.id},
        {"user": "bob", "socketId": bob.id},
    ]
    assert of("join") == [seat(alice, "alice", 1), seat(bob, "bob", 1), seat(bob, "bob", 1)]
    assert of("leave") == [seat(bob, "bob", 0), seat(bob, "bob", 0), seat(alice, "alice", 0)]
    first, second = of("message")
    assert (first["room"], first["user"], first["socketId"]) == ("one", "alice", alice.id)
    assert {**first["message"], "timestamp": 0} == {
        "id": 1,
        "timestamp": 0,
        "author": "alice",
        "textMessage": "hi",
    }
    assert (second["message"]["id"], second["socketId"]) == (2, None)
    [direct] = of("direct_message")
    assert (direct["user"], direct["toUser"], direct["message"]["textMessage"]) == ("alice", "bob", "psst")
    assert of("disconnect") == [
        {"user": "alice", "socketId": alice.id, "sockets": 0, "rooms": ["one"]},
        {"user": "bob", "socketId": bob.id, "sockets": 0, "rooms": []},
    ]


async def test_each_instance_counts_its_own_work(world: World, decider: BackEnd) -> None:
    first, second = await telling(world, decider), await telling(world, decider)
    await say(first, "one", 1, 2)
    await say(second, "one", 3)
    await say(first, "one", 4)
    await delivered(first, 3)
    await delivered(second, 1)
    # Each once; the ids of the messages give the order across instances.
    events = sorted(decider.events(), key=lambda event: event["message"]["id"])
    assert [event["message"]["textMessage"] for event in events] == ["1", "2", "3", "4"]
    assert len({event["id"] for event in events}) == 4


@ONE_STORE
async def test_kinds_that_are_not_asked_for_are_not_sent(world: World, decider: BackEnd) -> None:
    instance = await telling(world, decider, events=["join"])
    alice = await instance.joined("alice", "one")
    await alice.call("roomMessage", "one", {"textMessage": "x"})
    await alice.disconnect()
    await delivered(instance, 1)
    assert [event["kind"] for event in decider.events()] == ["join"]


@ONE_STORE
async def test_a_join_that_its_hook_undoes_is_not_told(world: World, decider: BackEnd) -> None:
    def on_join(service: Any, info: Any) -> None:
        raise RuntimeError

    given = {"events_url": decider.url("/events"), "events": ["join", "leave"]}
    instance = await start(world, given, hooks={"on_join": on_join})
    await instance.service.add_room("one")
    alice = await instance.login("alice")
    await alice.error("roomJoin", "one")
    assert (waiting(instance), outcomes(instance)) == (0, {})


async def test_the_instance_that_recovers_a_dead_one_reports_who_has_left(
    world: World, decider: BackEnd
) -> None:
    store, dead = world.backend.new_store(), InstanceId("dead")
    instance = await start(
        world, {"events_url": decider.url("/events"), "events": ["leave", "disconnect"]}, store=store
    )
    await instance.service.add_room("one")
    now = parts_of(instance.service).clock.now_ms()
    await store.instance_heartbeat(dead, now)
    alice, ghost = UserName("alice"), SocketId("ghost")
    await store.socket_connect(alice, ghost, dead)
    await store.room_join(RoomName("one"), alice, ghost, dead, now, announce=True, echo_all=True)
    await instance.service.instance_recovery(dead)
    await delivered(instance, 1)
    [event] = decider.events()
    assert (event["kind"], event["room"], event["user"], event["socketId"]) == (
        "leave",
        "one",
        "alice",
        "ghost",
    )


# Order and repeats


@ONE_STORE
@pytest.mark.covers("webhook_option:events_batch", "webhook_option:events_batch_bytes")
async def test_order_of_a_room_over_batches_and_repeats(world: World, decider: BackEnd) -> None:
    """Each request fails once, some of them after they were processed."""
    seen = 0

    async def behave(asked: Asked) -> Any:
        nonlocal seen
        seen += 1
        return {} if seen % 2 == 0 else web.Response(status=503)

    decider.by_path["/events"] = behave
    instance = await telling(world, decider, events_batch=4, circuit_failures=1000)
    alice = await instance.joined("alice", "one", "two")
    await asyncio.gather(
        *(
            alice.call("roomMessage", room, {"textMessage": str(n)})
            for n in range(30)
            for room in ("one", "two")
        )
    )
    await delivered(instance, 60)
    for room in ("one", "two"):
        came = numbers(decider, room)
        # The first delivery of each, in order.
        assert list(dict.fromkeys(came)) == list(range(30))
        assert len(came) > 30
    assert max(len(body["events"]) for body in decider.requests("/events")) <= 4
    for body in decider.requests("/events"):
        assert len({event["room"] for event in body["events"]}) == 1
    ids = {event["id"] for event in decider.events()}
    assert len(ids) == 60


@ONE_STORE
@pytest.mark.covers("webhook_option:events_concurrency", "webhook_option:events_timeout")
async def test_a_room_whose_events_fail_holds_up_no_other(world: World, decider: BackEnd) -> None:
    async def behave(asked: Asked) -> Any:
        if asked.data["events"][0]["room"] == "one" and not is_well:
            return web.Response(status=500)
        if asked.data["events"][0]["room"] == "hanging":
            await decider.ends.wait()
        return {}

    is_well = False
    decider.by_path["/events"] = behave
    instance = await telling(world, decider, events_concurrency=3, circuit_failures=10_000)
    await instance.service.add_room("hanging")
    await say(instance, "hanging", 0)
    await say(instance, "one", 0, 1, 2)
    await decider.got(3, "/events")
    await say(instance, "two", *range(20))
    await delivered_of(decider, "two", 20)
    assert set(numbers(decider, "one")) <= {0, 1, 2}
    is_well = True
    await wait_until(lambda: waiting(instance) == 1, "the other room's events")
    assert list(dict.fromkeys(numbers(decider, "one"))) == [0, 1, 2]
    decider.ends.set()
    await delivered(instance, 24)


async def delivered_of(decider: BackEnd, room: str, count: int) -> None:
    await wait_until(lambda: len(set(numbers(decider, room))) == count, f"{count} events of {room}")


@ONE_STORE
async def test_a_dead_back_end_gets_everything_when_it_is_back(world: World, decider: BackEnd) -> None:
    await decider.stop()
    instance = await telling(world, decider, circuit_failures=2, circuit_seconds=0.05)
    await say(instance, "one", *range(10))
    counters = parts_of(instance.service).counters.webhooks
    await wait_until(lambda: counters.circuits["events"] == 1, "the circuit to open")
    await say(instance, "two", *range(10))
    await decider.start()
    await delivered(instance, 20)
    assert counters.circuits["events"] == 0
    assert (numbers(decider, "one"), numbers(decider, "two")) == (list(range(10)), list(range(10)))


@ONE_STORE
@pytest.mark.parametrize("status", [400, 410, 413, 422])
async def test_events_that_are_refused_for_good_do_not_block_their_room(
    world: World, decider: BackEnd, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = asyncio.Event()

    async def behave(asked: Asked) -> Any:
        await go_on.wait()
        texts = [event["message"]["textMessage"] for event in asked.data["events"]]
        return web.Response(status=status) if "2" in texts else {}

    decider.by_path["/events"] = behave
    instance = await telling(world, decider)
    await say(instance, "one", *range(5))
    go_on.set()
    await delivered(instance, 4)
    assert outcomes(instance) == {"delivered": 4, "refused": 1}
    assert f"the back end refused 1 webhook events for good: status {status}" in caplog.text


@ONE_STORE
@pytest.mark.parametrize("answer", [Raw(status=302, headers={"Location": "/x"}), Raw(body=b"x" * 70_000)])
async def test_answers_that_do_not_confirm_receipt(world: World, decider: BackEnd, answer: Raw) -> None:
    decider.says("/events", answer)
    instance = await telling(world, decider, circuit_failures=1000)
    await say(instance, "one", 1)
    await decider.got(3, "/events")
    assert {asked.path for asked in decider.asked} == {"/events"}
    decider.says("/events", {})
    await delivered(instance, 1)


# Bounds


@ONE_STORE
@pytest.mark.covers(
    "webhook_option:events_queue", "webhook_option:events_room_queue", "webhook_option:events_queue_bytes"
)
@pytest.mark.parametrize(
    ("option", "limit", "kept"),
    [("events_queue", 5, 5), ("events_room_queue", 4, 4), ("events_queue_bytes", 700, 3)],
)
async def test_a_full_queue_drops_counts_and_says_so_once_a_second(
    world: World,
    decider: BackEnd,
    option: str,
    limit: int,
    kept: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    decider.hangs("/events")
    instance = await telling(world, decider, **{option: limit})
    await say(instance, "one", *range(40))
    assert outcomes(instance) == {"dropped": 40 - kept}
    lines = [
        record.getMessage() for record in caplog.records if "webhook events: the queue" in record.getMessage()
    ]
    assert lines[0] == "dropped 1 webhook events: the queue is full"
    assert len(lines) < 10
    metrics = {
        (sample.name, *sample.labels.values()): sample.value
        for family in instance.service.operations.registry.collect()
        for sample in family.samples
    }
    assert metrics["chat_service_webhook_events_waiting",] == kept
    assert metrics["chat_service_webhook_events_total", "dropped"] == 40 - kept
    decider.ends.set()
    # The remaining events are in the order of the room.
    await delivered(instance, kept)
    assert list(dict.fromkeys(numbers(decider, "one"))) == list(range(kept))


# Workers and the close


@ONE_STORE
async def test_a_worker_that_fails_is_logged_counted_and_restarted_and_loses_nothing(
    world: World, decider: BackEnd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "RESTART_FIRST", 0.001)
    failing = 3
    post: Callable[..., Any] = Requests.post

    async def broken(self: Requests, *args: Any, **options: Any) -> Any:
        nonlocal failing
        if failing:
            failing -= 1
            raise RuntimeError("a fault of the code")
        return await post(self, *args, **options)

    monkeypatch.setattr(Requests, "post", broken)
    instance = await telling(world, decider)
    await say(instance, "one", *range(5))
    await delivered(instance, 5)
    assert numbers(decider, "one") == list(range(5))
    assert parts_of(instance.service).background.failures["webhook events"] == 3
    assert "background task webhook events" in caplog.text


@ONE_STORE
async def test_a_close_delivers_waiting_messages(world: World, decider: BackEnd) -> None:
    failing = 3

    async def behave(asked: Asked) -> Any:
        nonlocal failing
        failing -= 1
        return web.Response(status=500) if failing >= 0 else {}

    decider.by_path["/events"] = behave
    instance = await telling(world, decider, events=["message", "leave", "disconnect"], events_batch=3)
    alice = await instance.joined("alice", "one")
    for number in range(10):
        await alice.call("roomMessage", "one", {"textMessage": str(number)})
    await instance.service.close()
    # Including events caused by the close itself.
    assert outcomes(instance) == {"delivered": 12}
    kinds = {event["kind"] for event in decider.events()}
    assert kinds == {"message", "leave", "disconnect"}
    room = [event for event in decider.events() if event.get("room") == "one"]
    assert room[-1]["kind"] == "leave"


@ONE_STORE
@pytest.mark.covers("webhook_option:events_close_timeout")
async def test_a_close_does_not_wait_for_a_dead_back_end_for_ever(
    world: World, decider: BackEnd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    decider.hangs("/events")
    instance = await telling(world, decider, events_close_timeout=0.1)
    await say(instance, "one", *range(10))
    await decider.got(1, "/events")
    await instance.service.close()
    assert outcomes(instance) == {"dropped": 10}
    assert "dropped 10 webhook events: not delivered within 0.1 s of closing" in caplog.text
