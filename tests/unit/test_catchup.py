"""Envelopes that the bus has lost: clients never see a gap."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat_service import StoreError
from chat_service.contracts.bus import Envelope, RoomEvent, Topic, TopicKind
from chat_service.domain import catchup
from chat_service.domain.inbox import Inbox
from chat_service.domain.lease import Lease
from chat_service.testing import FakeClock, InProcessClient, wait_until
from chat_service.types import RoomName
from tests.support.faults import FaultyStore, as_store
from tests.support.parts import parts_of
from tests.support.world import Instance, World


class Pair:
    """Two instances. Envelopes for the second one may get lost."""

    def __init__(self, first: Instance, second: Instance, store: FaultyStore) -> None:
        self.first = first
        self.second = second
        self.store = store

    def lose(self, condition: Callable[[RoomEvent], bool]) -> None:
        def loses(topic: Topic, envelope: Envelope) -> bool:
            return topic.kind is TopicKind.ROOM and isinstance(envelope, RoomEvent) and condition(envelope)

        self.store.loses = loses

    def lose_nothing(self) -> None:
        self.lose(lambda event: False)


@pytest.fixture
async def pair(world: World) -> Pair:
    store = FaultyStore(world.backend.new_store())
    first, second = await world.start(), await world.start(store=as_store(store))
    await first.service.add_room("room", owner="alice", enable_userlist_updates=True)
    return Pair(first, second, store)


def ids(client: InProcessClient) -> list[int]:
    return [message["id"] for _, message in client.received("roomMessage")]


async def post(client: InProcessClient, count: int) -> None:
    for number in range(count):
        await client.call("roomMessage", "room", {"textMessage": str(number)})


async def has_all(client: InProcessClient, first: int, last: int) -> None:
    expected = list(range(first, last + 1))
    await wait_until(lambda: ids(client)[-1:] == [last], f"message {last} at {client.events}")
    assert ids(client) == expected


@pytest.mark.covers("notification:roomMessage", "better:id order on every instance")
@pytest.mark.parametrize("lost", [{1}, {3}, {2, 3, 4}, {1, 3, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9}])
async def test_lost_messages_are_read_from_the_history(pair: Pair, lost: set[int]) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    pair.lose(lambda event: event.is_message and event.last_message_id in lost)
    await post(alice, 10)
    await has_all(bob, 1, 10)
    await has_all(alice, 1, 10)
    assert len(pair.store.lost) == len(lost)


async def test_many_lost_messages_are_read_in_pages(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "PAGE", 7)
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    pair.lose(lambda event: event.last_message_id < 40)
    await post(alice, 40)
    await has_all(bob, 1, 40)


async def test_messages_that_were_rotated_out_are_gone_and_the_rest_comes(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    await pair.first.service.change_room_history_max_size("room", 3)
    pair.lose(lambda event: event.last_message_id < 10)
    await post(alice, 10)
    await has_all(bob, 8, 10)
    [gap] = bob.received("roomHistoryGap")
    epoch = (await alice.call("roomHistoryInfo", "room"))["epoch"]
    assert gap == ["room", {"epoch": epoch, "from": 1, "to": 7}]
    order = [name for name, _ in bob.events if name in ("roomHistoryGap", "roomMessage")]
    assert order == ["roomHistoryGap", *["roomMessage"] * 3]
    assert alice.received("roomHistoryGap") == bob.received("roomStateGap") == []


@pytest.mark.covers("notification:roomHistoryGap")
async def test_sockets_that_joined_inside_a_hole_miss_only_later_messages(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    await pair.first.service.change_room_history_max_size("room", 2)
    await post(alice, 3)
    await has_all(bob, 1, 3)
    pair.lose(lambda event: event.last_message_id < 9)
    await post(alice, 2)
    carol = await pair.second.joined("carol", "room")
    await post(alice, 3)
    dave = await pair.second.joined("dave", "room")
    await post(alice, 1)
    await has_all(dave, 9, 9)
    await has_all(carol, 8, 9)
    gaps = {
        name: [(gap["from"], gap["to"]) for _, gap in client.received("roomHistoryGap")]
        for name, client in (("bob", bob), ("carol", carol), ("dave", dave))
    }
    assert gaps == {"bob": [(4, 7)], "carol": [(6, 7)], "dave": []}


@pytest.mark.covers("notification:roomStateGap")
@pytest.mark.parametrize(("lost", "told"), [(200, 0), (201, 1)])
async def test_changes_beyond_those_that_are_kept_are_told_to_be_missing(
    pair: Pair, lost: int, told: int
) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    service = pair.first.service
    await service.change_access_lists_updates("room", True)
    pair.lose(lambda event: not event.is_message)
    for number in range(lost):
        await service.exec_user_command(True, "roomAddToList", "room", "whitelist", [f"guest{number}"])
    await post(alice, 2)
    await has_all(bob, 1, 2)
    assert len(bob.received("roomStateGap")) == told
    assert len(bob.received("roomAccessListAdded")) == 200
    assert alice.received("roomStateGap") == bob.received("roomHistoryGap") == []


async def test_a_room_without_history_goes_on_after_a_loss(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    await pair.first.service.change_room_history_max_size("room", 0)
    pair.lose(lambda event: event.last_message_id in (2, 3))
    await post(alice, 6)
    await wait_until(lambda: ids(bob)[-1:] == [6], "the last message")
    # The delivered messages arrive, although the history is empty.
    assert ids(bob) == [1, 4, 5, 6]
    assert [(gap["from"], gap["to"]) for _, gap in bob.received("roomHistoryGap")] == [(2, 3)]


async def test_a_user_who_joins_during_a_catch_up_gets_events_after_the_join(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    gate = pair.store.faults.gate("room_history_info")
    pair.lose(lambda event: event.last_message_id in (1, 2))
    await post(alice, 3)
    await wait_until(lambda: pair.store.faults.waiting == 1, "the catch-up")
    carol = await pair.second.login("carol")
    assert await carol.call("roomJoin", "room") == 1
    await post(alice, 2)
    # A repeated join changes nothing.
    assert await carol.call("roomJoin", "room") == 1
    gate.set()
    await has_all(bob, 1, 5)
    await has_all(carol, 4, 5)
    await post(alice, 1)
    await has_all(bob, 1, 6)
    await has_all(carol, 4, 6)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), RuntimeError("broken")], ids=repr)
async def test_errors_do_not_stop_a_catch_up(pair: Pair, error: BaseException) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    pair.store.faults.calls.clear()
    pair.store.faults.fail("room_history_info", error)
    pair.lose(lambda event: event.last_message_id == 1)
    await post(alice, 3)
    await wait_until(lambda: pair.store.faults.calls.count("room_history_info") > 1, "another try")
    assert ids(bob) == []
    pair.store.faults.mend("room_history_info")
    await has_all(bob, 1, 3)


@pytest.mark.covers("api:emit_to_channel")
async def test_other_events_of_the_channel_do_not_wait_for_a_catch_up(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    gate = pair.store.faults.gate("room_history_info")
    pair.lose(lambda event: event.last_message_id == 1)
    await post(alice, 2)
    await wait_until(lambda: pair.store.faults.waiting == 1, "the catch-up")
    carol, dave = await pair.second.login("carol"), await pair.second.login("dave")
    for client in (carol, dave):
        await client.call("roomJoin", "room")
    await pair.first.service.transport.send_to_channel(dave.id, "room", "news", 5)
    for client in (alice, bob, carol):
        assert await client.wait_for("news") == [5]
    gate.set()
    await post(alice, 1)
    await has_all(dave, 3, 3)
    assert dave.received("news") == []


async def test_a_user_who_leaves_during_a_catch_up_gets_no_further_events(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    carol = await pair.second.joined("carol", "room")
    gate = pair.store.faults.gate("room_history_info")
    pair.lose(lambda event: event.last_message_id == 1)
    await post(alice, 2)
    await wait_until(lambda: pair.store.faults.waiting == 1, "the catch-up")
    await bob.call("roomLeave", "room")
    gate.set()
    await has_all(carol, 1, 2)
    assert ids(bob) == []


async def test_a_user_who_joins_after_all_have_left_gets_no_old_messages(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    gate = pair.store.faults.gate("room_members")
    pair.lose(lambda event: event.last_message_id == 1)
    await post(alice, 3)
    await wait_until(lambda: pair.store.faults.waiting == 1, "the catch-up")
    await bob.call("roomLeave", "room")
    carol = await pair.second.joined("carol", "room")
    gate.set()
    await post(alice, 2)
    await has_all(carol, 4, 5)
    assert ids(bob) == []


async def test_an_unavailable_store_is_retried(world: World) -> None:
    store, clock = FaultyStore(world.backend.new_store()), FakeClock()
    first, second = await world.start(), await world.start(store=as_store(store), clock=clock)
    await first.service.add_room("room")
    alice = await first.joined("alice", "room")
    bob = await second.joined("bob", "room")
    pair = Pair(first, second, store)
    pair.lose(lambda event: event.last_message_id == 1)
    store.faults.fail("room_history", StoreError("away"))
    await post(alice, 3)
    # Waits grow: 0.1 s, 0.2 s, 0.4 s.
    for tries, seconds in enumerate((0.1, 0.2, 0.4), start=1):
        await wait_until(lambda tries=tries: store.faults.calls.count("room_history") == tries, "a try")
        assert ids(bob) == []
        await clock.advance(seconds)
    store.faults.mend("room_history")
    await clock.advance(catchup.RETRY_LONGEST)
    await has_all(bob, 1, 3)


@pytest.mark.covers("better:no later message reaches a removed user")
async def test_a_lost_removal_is_found(pair: Pair) -> None:
    left: list[Any] = []
    pair.second.service.on("on_leave")(lambda service, info: left.append((info.id, info.room_name)))
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    carol = await pair.second.joined("carol", "room")
    pair.lose(lambda event: bool(event.removed))
    await alice.call("roomAddToList", "room", "blacklist", ["bob"])
    pair.lose_nothing()
    await post(alice, 2)
    await has_all(carol, 1, 2)
    assert await bob.wait_for("roomAccessRemoved") == ["room"]
    assert ids(bob) == []
    await wait_until(lambda: left == [(bob.id, "room")], "on_leave")
    await alice.call("roomRemoveFromList", "room", "blacklist", ["bob"])
    assert await bob.call("roomJoin", "room") == 1
    await post(alice, 1)
    await has_all(bob, 3, 3)


@pytest.mark.covers("better:no later message reaches a removed user")
async def test_a_user_who_was_removed_during_a_loss_is_told_of_no_gap(pair: Pair) -> None:
    """Neither messages nor changes: later events are not for removed sockets."""
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    carol = await pair.second.joined("carol", "room")
    service = pair.first.service
    await service.change_room_history_max_size("room", 2)
    await service.change_access_lists_updates("room", True)
    pair.lose(lambda event: event.last_message_id < 5)
    await post(alice, 4)
    await alice.call("roomAddToList", "room", "blacklist", ["bob"])
    for number in range(200):
        await service.exec_user_command(True, "roomAddToList", "room", "whitelist", [f"guest{number}"])
    await post(alice, 1)
    await has_all(carol, 4, 5)
    assert await bob.wait_for("roomAccessRemoved") == ["room"]
    assert [(gap["from"], gap["to"]) for _, gap in carol.received("roomHistoryGap")] == [(1, 3)]
    assert carol.received("roomStateGap")
    names = {"roomHistoryGap", "roomStateGap", "roomMessage"}
    assert [name for name, _ in bob.events if name in names] == []


@pytest.mark.parametrize("lost", ["the deletion", "everything until the end"])
async def test_a_room_that_was_deleted_and_recreated(pair: Pair, lost: str) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    await post(alice, 2)
    await has_all(bob, 1, 2)
    bob.clear()
    pair.lose(lambda event: bool(event.removed) or lost != "the deletion")
    await alice.call("roomDelete", "room")
    await pair.first.service.add_room("room", owner="alice")
    await alice.call("roomJoin", "room")
    await post(alice, 3)
    pair.lose_nothing()
    await post(alice, 1)
    assert await bob.wait_for("roomAccessRemoved") == ["room"]
    assert ids(bob) == []
    await bob.call("roomJoin", "room")
    await post(alice, 1)
    await has_all(bob, 5, 5)


async def test_a_room_that_was_recreated_several_times(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    gate = pair.store.faults.gate("room_history_info")
    pair.lose(lambda event: bool(event.removed))
    for _ in range(3):
        await alice.call("roomDelete", "room")
        await pair.first.service.add_room("room", owner="alice")
        await alice.call("roomJoin", "room")
        await post(alice, 2)
    gate.set()
    assert await bob.wait_for("roomAccessRemoved") == ["room"]
    await bob.call("roomJoin", "room")
    await post(alice, 2)
    await has_all(bob, 3, 4)


async def test_a_deleted_room_removes_sockets_that_missed_the_deletion(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    pair.lose(lambda event: True)
    await alice.call("roomDelete", "room")
    listener = pair.store.listener
    assert listener is not None
    listener.on_interruption(Topic(TopicKind.ROOM, "room"))
    assert await bob.wait_for("roomAccessRemoved") == ["room"]
    assert await bob.error("roomHistoryInfo", "room") == "ChatServiceError: No such room room"


async def test_an_interrupted_subscription_is_caught_up_without_another_event(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    pair.lose(lambda event: True)
    await post(alice, 4)
    pair.lose_nothing()
    listener = pair.store.listener
    assert listener is not None
    listener.on_interruption(Topic(TopicKind.ROOM, "room"))
    # A second one during the first changes nothing.
    listener.on_interruption(Topic(TopicKind.ROOM, "room"))
    listener.on_interruption(Topic(TopicKind.ROOM, "elsewhere"))
    listener.on_interruption(Topic(TopicKind.USER, "bob"))
    await has_all(bob, 1, 4)


async def test_a_gap_inside_a_catch_up(pair: Pair) -> None:
    alice = await pair.first.joined("alice", "room")
    bob = await pair.second.joined("bob", "room")
    # The end of the first catch-up shows the second gap.
    gate = pair.store.faults.gate("room_members")
    pair.lose(lambda event: event.last_message_id in (1, 4, 6))
    await post(alice, 3)
    await wait_until(lambda: pair.store.faults.waiting == 1, "the catch-up")
    await post(alice, 5)
    gate.set()
    await has_all(bob, 1, 8)


async def test_an_interruption_during_a_catch_up_is_caught_up_as_well(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    client = await instance.joined("alice", "room")
    context = parts_of(instance.service)
    assert isinstance(context.lease, Lease)
    inbox, feed = Inbox(context, context.lease), context.delivery.feed(RoomName("room"))
    assert feed is not None and not feed.is_holding
    topic = Topic(TopicKind.ROOM, "room")
    inbox.on_interruption(topic)
    assert "filling, 0 held" in repr(feed)
    inbox.on_interruption(topic)
    assert "filling, 1 held" in repr(feed)
    await wait_until(lambda: not feed.is_holding, "both to be caught up")
    assert await client.call("roomMessage", "room", {"textMessage": "x"}) == 1
    await client.wait_for("roomMessage", "room")
