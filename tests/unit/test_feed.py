"""The feed of a room: joins that race with events, gaps, new lives of a room."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.domain.feed import RoomFeed, Verdict
from chat_service.types import SocketId


@dataclass
class Model:
    """A room, the bus to one instance, a feed, and what the sockets hear."""

    epoch: str = "one"
    seq: int = 0
    last_id: int = 0
    #: All messages of this life, by id.
    messages: list[int] = field(default_factory=list)
    bus: deque[RoomEvent] = field(default_factory=deque)
    #: Sockets that the room knows, with the place of their join.
    joined: dict[SocketId, tuple[int, int]] = field(default_factory=dict)
    #: Answers that are on their way: the cursor, the last message id.
    answers: dict[SocketId, tuple[RoomCursor, int]] = field(default_factory=dict)
    asked: set[SocketId] = field(default_factory=set)
    admitted: set[SocketId] = field(default_factory=set)
    heard: dict[SocketId, list[tuple[str, int]]] = field(default_factory=dict)
    #: Sequence numbers of events that were lost, and ids of the messages among them.
    lost: set[int] = field(default_factory=set)
    lost_messages: set[int] = field(default_factory=set)
    #: Sequence numbers of events that are no messages.
    others: list[int] = field(default_factory=list)
    #: Messages that the history keeps.
    max_size: int = 99
    #: The answer of the store that is on its way: cursor, last id, messages, held events when it was asked.
    answer_of_store: tuple[RoomCursor, int, list[int], int] | None = None
    #: The subscription was lost, and the room has not been read since then.
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.feed = RoomFeed(
            admit=self.admit, dismiss=self.admitted.remove, replay=self.replay, broadcast=self.broadcast
        )

    # What the feed does

    def admit(self, socket_id: SocketId) -> None:
        assert socket_id not in self.admitted
        self.admitted.add(socket_id)

    def replay(self, socket_id: SocketId, event: RoomEvent) -> None:
        assert socket_id in self.admitted
        self.heard[socket_id].append(told(event))

    def broadcast(self, event: RoomEvent) -> None:
        for socket_id in self.admitted:
            self.heard[socket_id].append(told(event))

    # What happens

    def publish(self, *, is_message: bool) -> None:
        self.seq += 1
        if is_message:
            self.last_id += 1
            self.messages.append(self.last_id)
        else:
            self.others.append(self.seq)
        name = "roomMessage" if is_message else "roomModeChanged"
        self.bus.append(
            RoomEvent(
                epoch=self.epoch, seq=self.seq, last_message_id=self.last_id, event=name, args=(self.seq,)
            )
        )

    def deliver(self) -> None:
        if self.bus:
            self.receive(self.bus.popleft())

    def receive(self, event: RoomEvent) -> None:
        if self.feed.held is not None:
            self.feed.held.append(event)
            return
        verdict = self.feed.judge(event)
        if verdict is Verdict.NEXT:
            self.feed.apply(event)
        elif verdict is Verdict.SEEN:
            self.feed.pass_over(event)
        else:
            self.feed.held = [event]

    def lose(self) -> None:
        # A loss at the very moment of the first joins, before the feed has a place, goes unnoticed.
        if self.bus and self.feed.last_seq is not None and self.bus[0].seq > self.feed.last_seq:
            event = self.bus.popleft()
            self.lost.add(event.seq)
            if event.is_message:
                self.lost_messages.add(event.last_message_id)

    def interrupt(self) -> None:
        """The subscription is lost with all that is on its way, and comes back."""
        self.lost.update(event.seq for event in self.bus)
        self.lost_messages.update(event.last_message_id for event in self.bus if event.is_message)
        self.bus.clear()
        self.feed.interrupt()
        self.interrupted = True

    def ask(self, socket_id: SocketId) -> None:
        if socket_id not in self.asked:
            self.asked.add(socket_id)
            self.feed.begin_join(socket_id)

    def decide(self, socket_id: SocketId) -> None:
        if socket_id in self.asked and socket_id not in self.answers:
            self.answers[socket_id] = RoomCursor(epoch=self.epoch, seq=self.seq), self.last_id

    def answer(self, socket_id: SocketId) -> None:
        if socket_id not in self.answers:
            return
        cursor, last_id = self.answers.pop(socket_id)
        self.asked.discard(socket_id)
        if socket_id in self.joined:
            # It was joined already: the first join counts.
            self.feed.abort_join(socket_id)
            return
        self.joined[socket_id] = (cursor.seq, last_id)
        self.heard[socket_id] = []
        self.feed.complete_join(socket_id, cursor, last_id)

    def refuse(self, socket_id: SocketId) -> None:
        if socket_id in self.asked and socket_id not in self.answers:
            self.asked.discard(socket_id)
            self.feed.abort_join(socket_id)

    def leave(self, socket_id: SocketId) -> None:
        if socket_id in self.joined and socket_id not in self.asked:
            self.check(socket_id, whole=False)
            del self.joined[socket_id]
            self.admitted.discard(socket_id)
            self.feed.forget(socket_id)

    def read(self) -> None:
        if self.feed.held is not None and self.answer_of_store is None:
            cursor = RoomCursor(epoch=self.epoch, seq=self.seq)
            if self.interrupted:
                # Nobody can tell whether what comes now had been lost; of that only messages are filled in.
                self.lost.update(event.seq for event in self.bus)
            self.interrupted = False
            kept = self.messages[max(len(self.messages) - self.max_size, 0) :]
            self.answer_of_store = cursor, self.last_id, kept, self.feed.begin_fill()

    def resume(self) -> None:
        if self.answer_of_store is None:
            return
        note("resume")
        cursor, last_id, kept, known = self.answer_of_store
        self.answer_of_store = None
        messages = [
            RoomEvent(
                epoch=self.epoch, seq=0, last_message_id=message_id, event="roomMessage", args=(message_id,)
            )
            for message_id in kept
        ]
        self.feed.resume(cursor, last_id, messages, known)

    # What must be true

    def check(self, socket_id: SocketId, *, whole: bool) -> None:
        seq, last_id = self.joined[socket_id]
        ids = [number for name, number in self.heard[socket_id] if name == "message"]
        expected = list(range(last_id + 1, self.last_id + 1))
        # What was not lost arrives in any case, what was lost is in the history unless it rotated out.
        missing = set(expected if whole else expected[: expected.index(ids[-1]) if ids else 0]) - set(ids)
        assert ids == [number for number in expected if number in set(ids)]
        assert missing <= (self.lost_messages if self.max_size < 99 else set())
        others = [number for name, number in self.heard[socket_id] if name == "other"]
        assert others == sorted(set(others))
        assert all(number > seq for number in others)
        if whole:
            told_all = {number for number in self.others if number > seq}
            assert told_all - set(others) <= self.lost

    def finish(self, *, marker: bool = True) -> None:
        """``marker``: a last message shows that something was lost before."""
        for socket_id in list(self.asked):
            self.decide(socket_id)
            self.answer(socket_id)
        if marker:
            self.publish(is_message=True)
        for _ in range(10):
            while self.bus:
                self.deliver()
            self.read()
            self.resume()
        assert self.feed.held is None
        assert not self.feed.has_joins
        assert self.admitted == set(self.joined)
        for socket_id in self.joined:
            self.check(socket_id, whole=True)


def told(event: RoomEvent) -> tuple[str, int]:
    return ("message", event.last_message_id) if event.is_message else ("other", event.seq)


SOCKETS = st.sampled_from([SocketId("a"), SocketId("b"), SocketId("c")])
#: What may happen to the room and on the bus, and to a socket.
NETWORK: dict[str, Callable[[Model], None]] = {
    "message": lambda model: model.publish(is_message=True),
    "other": lambda model: model.publish(is_message=False),
    "deliver": Model.deliver,
    "lose": Model.lose,
    "read": Model.read,
    "resume": Model.resume,
}
JOINS: dict[str, Callable[[Model, SocketId], None]] = {
    "ask": Model.ask,
    "decide": Model.decide,
    "answer": Model.answer,
    "refuse": Model.refuse,
    "leave": Model.leave,
}
steps = st.lists(
    st.tuples(st.sampled_from(sorted(NETWORK)), st.none())
    | st.tuples(st.sampled_from(sorted(JOINS)), SOCKETS),
    max_size=60,
)


@settings(max_examples=1000, deadline=None)
@given(steps, st.sampled_from([0, 1, 2, 99]))
def test_every_socket_gets_exactly_the_messages_after_its_join_in_order(
    actions: list[tuple[str, SocketId | None]], max_size: int
) -> None:
    model = Model(max_size=max_size)
    for action, socket_id in actions:
        if socket_id is None:
            NETWORK[action](model)
        else:
            JOINS[action](model, socket_id)
        for joined in model.joined:
            model.check(joined, whole=False)
    model.finish()


@settings(max_examples=300, deadline=None)
@given(steps)
def test_without_losses_every_socket_gets_every_event_after_its_join(
    actions: list[tuple[str, SocketId | None]],
) -> None:
    model = Model()
    for action, socket_id in actions:
        if socket_id is None:
            if action != "lose":
                NETWORK[action](model)
        else:
            JOINS[action](model, socket_id)
    model.finish()
    assert not model.lost
    for socket_id, (seq, _) in model.joined.items():
        assert len(model.heard[socket_id]) == model.seq - seq


@settings(max_examples=1000, deadline=None)
@given(steps)
def test_an_interrupted_subscription_is_caught_up_by_itself(
    actions: list[tuple[str, SocketId | None]],
) -> None:
    """Whenever it is lost, and with all that was on its way, however often: no later message is needed."""
    model = Model()
    for action, socket_id in actions:
        if socket_id is not None:
            JOINS[action](model, socket_id)
        elif action == "lose":
            model.interrupt()
        else:
            NETWORK[action](model)
        for joined in model.joined:
            model.check(joined, whole=False)
    model.finish(marker=False)


# Single cases, for what the property cannot show or to say what is meant


def joined_at(model: Model, name: str) -> SocketId:
    socket_id = SocketId(name)
    for step in (model.ask, model.decide, model.answer):
        step(socket_id)
    return socket_id


def test_a_repeated_join_keeps_the_first_one_that_is_ahead_of_the_feed() -> None:
    model = Model()
    joined_at(model, "early")
    model.publish(is_message=True)
    late = joined_at(model, "late")
    assert late not in model.admitted
    joined_at(model, "late")
    model.deliver()
    assert late in model.admitted
    model.finish()


def test_a_socket_is_admitted_as_soon_as_the_feed_is_where_it_joined() -> None:
    """Not at the next event: notifications that are no room events come in between."""
    model = Model()
    joined_at(model, "early")
    model.publish(is_message=False)
    late = joined_at(model, "late")
    model.deliver()
    assert late in model.admitted
    assert model.heard[late] == []


def test_events_that_came_before_the_answer_are_replayed() -> None:
    model = Model()
    socket_id = SocketId("a")
    model.ask(socket_id)
    model.publish(is_message=True)
    model.decide(socket_id)
    model.publish(is_message=False)
    model.publish(is_message=True)
    for _ in range(3):
        model.deliver()
    assert socket_id not in model.admitted
    model.answer(socket_id)
    assert model.heard[socket_id] == [("other", 2), ("message", 2)]


@pytest.mark.parametrize(
    ("seq", "epoch", "verdict"),
    [
        (4, "one", Verdict.SEEN),
        (5, "one", Verdict.SEEN),
        (6, "one", Verdict.NEXT),
        (7, "one", Verdict.GAP),
        (1, "two", Verdict.NEW_EPOCH),
        (6, "two", Verdict.NEW_EPOCH),
    ],
)
def test_verdicts(seq: int, epoch: str, verdict: Verdict) -> None:
    model = Model(seq=5)
    joined_at(model, "a")
    assert model.feed.judge(RoomEvent(epoch=epoch, seq=seq, last_message_id=0)) is verdict


def test_a_feed_that_knows_nothing_takes_anything() -> None:
    feed = Model().feed
    assert feed.judge(RoomEvent(epoch="any", seq=77, last_message_id=5)) is Verdict.NEXT


def test_the_end_of_an_epoch() -> None:
    model = Model()
    joined_at(model, "early")
    model.publish(is_message=True)
    waiting = joined_at(model, "waiting")
    assert list(model.feed.end_epochs("one", 0)) == [waiting]
    assert not model.feed.has_joins
    # Late events of the old life start nothing.
    assert model.feed.judge(model.bus.popleft()) is Verdict.SEEN
    assert model.feed.judge(RoomEvent(epoch="two", seq=3, last_message_id=0)) is Verdict.NEXT


def test_settling_drops_what_belongs_to_the_old_life() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    feed.end_epochs("one", 0)
    feed.held = [RoomEvent(epoch="one", seq=5, last_message_id=0)]
    assert feed.settle(0)
    assert feed.held is None
    feed.held = [
        RoomEvent(epoch="one", seq=5, last_message_id=0),
        RoomEvent(epoch="two", seq=1, last_message_id=0),
    ]
    assert not feed.settle(0)
    assert feed.held is not None
    assert [event.epoch for event in feed.held] == ["two"]


def test_held_events_of_a_room_that_is_gone_are_of_lives_that_are_over() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    second, third = (RoomEvent(epoch=name, seq=1, last_message_id=0) for name in ("two", "three"))
    feed.begin_join(SocketId("b"))
    feed.complete_join(SocketId("b"), RoomCursor(epoch="two", seq=0), 0)
    feed.held = [second, third]
    # No room was there when the first one was held already; the second one may have come later.
    assert feed.end_epochs("one", 1) == {"b": RoomCursor(epoch="two", seq=0)}
    assert not feed.settle(0)
    assert feed.held == [third]
    assert feed.end_epochs(feed.epoch, 1) == {}
    assert feed.settle(0)


def test_a_life_that_began_while_the_old_one_was_read_is_not_over() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    feed.end_epochs("one", 0)
    feed.begin_join(SocketId("b"))
    feed.complete_join(SocketId("b"), RoomCursor(epoch="two", seq=4), 2)
    assert feed.end_epochs(None, 0) == {}
    assert (feed.epoch, feed.last_seq, feed.is_over(RoomCursor(epoch="two", seq=9))) == ("two", 4, False)


def test_another_gap_behind_the_first() -> None:
    model = Model()
    joined_at(model, "a")
    for _ in range(6):
        model.publish(is_message=True)
    events = list(model.bus)
    model.receive(events[1])
    model.receive(events[5])
    feed = model.feed
    assert not feed.resume(RoomCursor(epoch="one", seq=2), 2, [], 1)
    assert feed.held == [events[5]]
    assert feed.resume(RoomCursor(epoch="one", seq=6), 6, [], 1)
    assert feed.held is None


def test_events_of_lives_in_between_are_dropped() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    second, third, fourth = (
        RoomEvent(epoch=name, seq=1, last_message_id=0) for name in ("two", "three", "four")
    )
    feed.held = [second, third]
    feed.end_epochs("one", 0)
    # The room was read in its third life; what came since then may be of a fourth one.
    feed.held.append(fourth)
    assert not feed.resume(RoomCursor(epoch="three", seq=1), 0, [], 2)
    assert feed.held == [fourth]
    assert (feed.epoch, feed.last_seq) == ("three", 1)
    assert feed.judge(second) is Verdict.SEEN


def test_a_repr_shows_where_it_is() -> None:
    model = Model()
    assert repr(model.feed) == "<RoomFeed None:None asked=0 ahead=0 ok>"
    joined_at(model, "a")
    model.ask(SocketId("b"))
    model.feed.held = []
    assert repr(model.feed) == "<RoomFeed one:0 asked=1 ahead=0 filling, 0 held>"
