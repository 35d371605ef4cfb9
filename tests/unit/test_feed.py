"""The feed of a room: joins that race with events, gaps, and rooms that are deleted and created again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.contracts.bus import Notify, RoomCursor, RoomEvent
from chat_service.domain.decisions import (
    CaughtUp,
    DecidedJoin,
    Gap,
    Given,
    Missed,
    Reading,
    Snapshot,
    StateGap,
    Verdict,
)
from chat_service.domain.feed import RoomFeed
from chat_service.types import SocketId, UserName

USER = UserName("user")


def join(seq: int, last_id: int = 0, epoch: str = "one") -> DecidedJoin:
    return DecidedJoin(RoomCursor(epoch=epoch, seq=seq), last_id)


@dataclass
class Model:
    """A room, the bus to one instance, a feed, and the events that sockets receive."""

    epoch: str = "one"
    seq: int = 0
    last_id: int = 0
    #: All messages of the current room, by id.
    messages: list[int] = field(default_factory=list)
    bus: deque[RoomEvent] = field(default_factory=deque)
    #: Members of the room, with the positions of their joins.
    joined: dict[SocketId, tuple[int, int]] = field(default_factory=dict)
    #: Answers of the store that have not arrived yet.
    answers: dict[SocketId, DecidedJoin] = field(default_factory=dict)
    asked: set[SocketId] = field(default_factory=set)
    #: Joined sockets whose clients have not been told yet.
    unanswered: set[SocketId] = field(default_factory=set)
    heard: dict[SocketId, list[tuple[str, int]]] = field(default_factory=dict)
    #: Sequence numbers of lost events, and the ids of the messages among them.
    lost: set[int] = field(default_factory=set)
    lost_messages: set[int] = field(default_factory=set)
    #: Sequence numbers of events other than messages.
    others: list[int] = field(default_factory=list)
    #: Messages in the history.
    max_size: int = 99
    #: A read of the room that has not arrived yet.
    read_room: tuple[Reading, Snapshot] | None = None
    #: Whether the subscription was lost, and the room has not been read since.
    interrupted: bool = False

    feed: RoomFeed = field(default_factory=RoomFeed)

    # Decisions of the feed

    def give(self, event: RoomEvent, deaf: frozenset[SocketId]) -> None:
        for socket_id in self.joined:
            if socket_id not in deaf:
                assert socket_id not in self.unanswered, "before the answer"
                self.heard[socket_id].extend(told(event))

    def miss(self, missed: Missed) -> None:
        for socket_id, gap in missed.gaps.items():
            assert socket_id in self.joined and socket_id not in self.unanswered, "before the answer"
            self.heard[socket_id].extend(told(gap))

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
                epoch=self.epoch,
                seq=self.seq,
                last_message_id=self.last_id,
                event=name,
                # A message from the history is identical.
                args=(self.last_id if is_message else self.seq,),
            )
        )

    def deliver(self) -> None:
        if self.bus:
            self.receive(self.bus.popleft())

    def receive(self, event: RoomEvent) -> None:
        decision = self.feed.take(event)
        if decision.is_given:
            self.give(event, decision.deaf)

    def lose(self) -> None:
        # A loss during the first joins, before the feed has a position, is not noticed.
        if self.bus and self.feed.last_seq is not None and self.bus[0].seq > self.feed.last_seq:
            event = self.bus.popleft()
            self.lost.add(event.seq)
            if event.is_message:
                self.lost_messages.add(event.last_message_id)

    def interrupt(self) -> None:
        """The subscription is lost with all undelivered events, and restored."""
        self.lost.update(event.seq for event in self.bus)
        self.lost_messages.update(event.last_message_id for event in self.bus if event.is_message)
        self.bus.clear()
        self.feed.interrupt()
        self.interrupted = True

    def ask(self, socket_id: SocketId) -> None:
        if socket_id not in self.asked:
            self.asked.add(socket_id)
            self.feed.audience.ask(socket_id)

    def decide(self, socket_id: SocketId) -> None:
        if socket_id in self.asked and socket_id not in self.answers:
            self.answers[socket_id] = join(self.seq, self.last_id, self.epoch)

    def answer(self, socket_id: SocketId) -> None:
        """The store's answer arrives."""
        if socket_id not in self.answers:
            return
        decided = self.answers.pop(socket_id)
        self.asked.discard(socket_id)
        if socket_id in self.joined:
            # It was joined already: the first join counts.
            self.feed.audience.take_asked(socket_id)
            return
        self.joined[socket_id] = (decided.cursor.seq, decided.last_message_id)
        self.heard[socket_id] = []
        self.unanswered.add(socket_id)
        assert self.feed.decide_join(socket_id, USER, decided) is None

    def tell(self, socket_id: SocketId) -> None:
        """The client is told about its join."""
        if socket_id in self.unanswered:
            self.unanswered.discard(socket_id)
            for item in self.feed.answer_join(socket_id):
                assert not isinstance(item, Notify)
                self.heard[socket_id].extend(told(item))

    def repeat(self, socket_id: SocketId) -> None:
        """A joined socket joins again, and is told its position."""
        if socket_id in self.joined and socket_id not in self.asked:
            place = self.feed.repeat_join(socket_id)
            assert place is not None
            ids = [number for name, number in self.heard[socket_id] if name in ("message", "lost")]
            assert place == (ids[-1] if ids else place)
            assert self.joined[socket_id][1] <= place <= self.last_id
            self.unanswered.add(socket_id)

    def refuse(self, socket_id: SocketId) -> None:
        if socket_id in self.asked and socket_id not in self.answers:
            self.asked.discard(socket_id)
            self.feed.audience.take_asked(socket_id)

    def leave(self, socket_id: SocketId) -> None:
        if socket_id in self.joined and socket_id not in self.asked:
            self.check(socket_id, whole=False)
            del self.joined[socket_id]
            self.unanswered.discard(socket_id)
            self.feed.forget(socket_id)

    def read(self) -> None:
        if self.feed.is_holding and self.read_room is None:
            if self.interrupted:
                # Whether these events were lost is unknown; only messages among them are filled in.
                self.lost.update(event.seq for event in self.bus)
            self.interrupted = False
            kept = self.messages[max(len(self.messages) - self.max_size, 0) :]
            reading = self.feed.begin_reading()
            self.read_room = reading, self.snapshot(*kept)

    def snapshot(self, *messages: int) -> Snapshot:
        """The current room with these messages. Sockets count as joined before the answer arrives."""
        return Snapshot(
            cursor=RoomCursor(epoch=self.epoch, seq=self.seq),
            last_message_id=self.last_id,
            events=[
                RoomEvent(self.epoch, 0, message_id, "roomMessage", (message_id,)) for message_id in messages
            ],
            joined={*self.joined, *self.answers},
        )

    def resume(self) -> None:
        if self.read_room is None:
            return
        note("resume")
        reading, snapshot = self.read_room
        self.read_room = None
        caught_up = self.feed.catch_up(reading, snapshot)
        assert not caught_up.lost and not caught_up.has_gone_back
        for item in caught_up.given:
            if isinstance(item, Missed):
                self.miss(item)
            else:
                self.give(item.event, item.deaf)

    # Invariants

    def check(self, socket_id: SocketId, *, whole: bool) -> None:
        seq, last_id = self.joined[socket_id]
        ids = [number for name, number in self.heard[socket_id] if name == "message"]
        expected = list(range(last_id + 1, self.last_id + 1))
        # Other events always arrive, and lost messages are in the history unless they were rotated out.
        missing = set(expected if whole else expected[: expected.index(ids[-1]) if ids else 0]) - set(ids)
        assert ids == [number for number in expected if number in set(ids)]
        assert missing <= (self.lost_messages if self.max_size < 99 else set())
        # The others are reported as missing, each once and in order.
        known = [number for name, number in self.heard[socket_id] if name in ("message", "lost")]
        assert known == expected[: len(known)]
        others = [number for name, number in self.heard[socket_id] if name == "other"]
        assert others == sorted(set(others))
        assert all(number > seq for number in others)
        if whole:
            told_all = {number for number in self.others if number > seq}
            assert told_all - set(others) <= self.lost
            assert len(known) == len(expected)
            if told_all - set(others):
                assert ("state", 0) in self.heard[socket_id]

    def finish(self, *, marker: bool = True) -> None:
        """``marker``: send a last message, which reveals earlier losses."""
        for socket_id in list(self.asked):
            self.decide(socket_id)
            self.answer(socket_id)
        for socket_id in list(self.unanswered):
            self.tell(socket_id)
        if marker:
            self.publish(is_message=True)
        for _ in range(10):
            while self.bus:
                self.deliver()
            self.read()
            self.resume()
        assert not self.feed.is_holding
        assert self.feed.audience.is_empty is not bool(self.joined)
        for socket_id in self.joined:
            self.check(socket_id, whole=True)


def told(item: RoomEvent | Gap | StateGap) -> list[tuple[str, int]]:
    """The events that a socket receives, with each message id."""
    if isinstance(item, StateGap):
        return [("state", 0)]
    if isinstance(item, Gap):
        return [("lost", number) for number in range(item.first, item.last + 1)]
    return [("message", item.last_message_id) if item.is_message else ("other", item.seq)]


SOCKETS = st.sampled_from([SocketId("a"), SocketId("b"), SocketId("c")])
#: Possible steps of the room and the bus, and of a socket.
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
    "tell": Model.tell,
    "refuse": Model.refuse,
    "repeat": Model.repeat,
    "leave": Model.leave,
}
steps = st.lists(
    st.tuples(st.sampled_from(sorted(NETWORK)), st.none())
    | st.tuples(st.sampled_from(sorted(JOINS)), SOCKETS),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=300, deadline=None)
@given(steps)
def test_an_interrupted_subscription_is_caught_up_automatically(
    actions: list[tuple[str, SocketId | None]],
) -> None:
    """At any time, with all undelivered events, and any number of times. No later message is needed."""
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


# Single cases, which the property test does not cover or which illustrate it

A, B, C = SocketId("a"), SocketId("b"), SocketId("c")


def joined_at(model: Model, name: str) -> SocketId:
    socket_id = SocketId(name)
    for step in (model.ask, model.decide, model.answer, model.tell):
        step(socket_id)
    return socket_id


def event_of(epoch: str, seq: int, **fields: object) -> RoomEvent:
    return RoomEvent(epoch, seq, 0, **fields)  # type: ignore[arg-type]


def test_nothing_comes_before_the_answer_to_a_join() -> None:
    model = Model()
    joined_at(model, "early")
    for step in (model.ask, model.decide, model.answer):
        step(A)
    model.publish(is_message=True)
    model.deliver()
    notice = Notify(event="news")
    assert model.feed.audience.notify(notice) == {A}
    model.publish(is_message=False)
    model.deliver()
    assert model.heard[A] == []
    first, news, second = model.feed.answer_join(A)
    assert (isinstance(first, RoomEvent), news, isinstance(second, RoomEvent)) == (True, notice, True)
    assert model.feed.audience.notify(notice) == frozenset()
    assert list(model.feed.answer_join(A)) == []


def test_the_answer_to_an_ended_join_gives_nothing() -> None:
    model = Model()
    joined_at(model, "early")
    for step in (model.ask, model.decide, model.answer):
        step(A)
    model.publish(is_message=True)
    model.deliver()
    assert model.feed.forget(A)
    assert list(model.feed.answer_join(A)) == []
    assert not model.feed.forget(A)


def test_a_repeated_join_does_not_disturb_the_first_one_before_its_answer() -> None:
    model = Model()
    joined_at(model, "early")
    for step in (model.ask, model.decide, model.answer, model.ask):
        step(A)
    model.publish(is_message=True)
    model.deliver()
    model.decide(A)
    model.answer(A)
    model.tell(A)
    assert model.heard[A] == [("message", 1)]
    model.finish()


def test_a_repeated_join_keeps_the_first_one_that_is_ahead_of_the_feed() -> None:
    model = Model()
    joined_at(model, "early")
    model.publish(is_message=True)
    late = joined_at(model, "late")
    joined_at(model, "late")
    model.deliver()
    assert model.heard[late] == []
    model.publish(is_message=True)
    model.deliver()
    assert model.heard[late] == [("message", 2)]
    model.finish()


def test_a_socket_gets_events_once_the_feed_reaches_its_join() -> None:
    model = Model()
    joined_at(model, "early")
    model.publish(is_message=False)
    late = joined_at(model, "late")
    assert "ahead=1" in repr(model.feed)
    model.deliver()
    assert "ahead=0" in repr(model.feed)
    assert model.heard[late] == []


def test_events_that_came_before_the_answer_are_given_then() -> None:
    model = Model()
    model.ask(A)
    model.publish(is_message=True)
    model.decide(A)
    model.publish(is_message=False)
    model.publish(is_message=True)
    for _ in range(3):
        model.deliver()
    model.answer(A)
    assert model.heard[A] == []
    model.tell(A)
    assert model.heard[A] == [("other", 2), ("message", 2)]


def test_access_that_is_lost_before_the_answer_of_the_store_is_noticed() -> None:
    feed = RoomFeed()
    feed.audience.ask(A)
    feed.decide_join(A, USER, join(0))
    feed.answer_join(A)
    feed.audience.ask(B)
    removal = event_of("one", 1, removed={USER: (B,)})
    feed.take(event_of("one", 1, removed={USER: (B,)}))
    assert feed.decide_join(B, USER, join(0)) == removal.cursor
    assert list(feed.answer_join(B)) == []
    # A message after the removal is not affected by it.
    feed.audience.ask(C)
    feed.take(event_of("one", 2))
    assert feed.decide_join(C, USER, join(1)) is None
    assert [item.cursor.seq for item in feed.answer_join(C) if isinstance(item, RoomEvent)] == [2]


@pytest.mark.parametrize(("stayed", "loses_it"), [((), True), ((USER,), False)], ids=["all are out", "stays"])
def test_access_of_everybody_but_some_that_is_lost_before_the_answer(
    stayed: tuple[UserName, ...], loses_it: bool
) -> None:
    feed = RoomFeed()
    feed.audience.ask(A)
    removal = event_of("one", 1, stayed=frozenset(stayed))
    feed.take(removal)
    assert feed.decide_join(A, USER, join(0)) == (removal.cursor if loses_it else None)
    assert list(feed.answer_join(A)) == ([] if loses_it else [removal])
    # It concerns those who joined before.
    feed.audience.ask(B)
    assert feed.decide_join(B, USER, join(1)) is None


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
    assert model.feed.judge(event_of(epoch, seq)) is verdict
    decision = model.feed.take(event_of(epoch, seq))
    assert decision.is_given is (verdict is Verdict.NEXT)
    assert decision.is_gap is (verdict in (Verdict.GAP, Verdict.NEW_EPOCH))
    assert model.feed.is_holding is decision.is_gap


def test_a_new_feed_accepts_any_event() -> None:
    assert RoomFeed().judge(event_of("any", 77)) is Verdict.NEXT


# Rooms that are deleted and created again


def reading_with(feed: RoomFeed, *events: RoomEvent) -> Reading:
    """The room is read while events are held, because the subscription was lost before them."""
    feed.interrupt()
    for event in events:
        feed.take(event)
    return feed.begin_reading()


def seen_at(epoch: str, seq: int, *joined: SocketId, last_id: int = 0) -> Snapshot:
    return Snapshot(
        cursor=RoomCursor(epoch=epoch, seq=seq), last_message_id=last_id, events=[], joined=set(joined)
    )


def test_the_end_of_an_epoch() -> None:
    model = Model()
    early = joined_at(model, "early")
    model.publish(is_message=True)
    waiting = joined_at(model, "waiting")
    reading = reading_with(model.feed)
    caught_up = model.feed.catch_up(reading, None)
    assert caught_up == CaughtUp(
        lost={early: RoomCursor(epoch="one", seq=1), waiting: RoomCursor(epoch="one", seq=2)},
        is_complete=True,
    )
    for socket_id in caught_up.lost:
        assert model.feed.forget(socket_id)
    assert model.feed.audience.is_empty
    # Late events of the former room have no effect.
    assert not model.feed.take(model.bus.popleft()).is_given
    assert model.feed.take(event_of("two", 3)).is_given
    # A join to the former room, whose answer arrives now, has ended, too.
    model.feed.audience.ask(A)
    assert model.feed.decide_join(A, USER, join(0)) == RoomCursor(epoch="one", seq=1)


def test_events_of_the_old_epoch_are_dropped_when_the_room_is_deleted() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    assert feed.catch_up(reading_with(feed, event_of("one", 5)), None).is_complete
    assert not feed.is_holding
    reading = reading_with(feed)
    feed.take(event_of("one", 5))
    feed.take(event_of("two", 1))
    # That of another life came after the room was read: it may be there again.
    assert not feed.catch_up(reading, None).is_complete
    caught_up = feed.catch_up(feed.begin_reading(), seen_at("two", 0))
    assert [item.event.epoch for item in caught_up.given if isinstance(item, Given)] == ["two"]


def test_held_events_of_a_deleted_room_belong_to_finished_epochs() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    feed.audience.ask(B)
    feed.decide_join(B, USER, join(0, epoch="two"))
    second, third = event_of("two", 1), event_of("three", 1)
    reading = reading_with(feed, second)
    feed.take(third)
    # No room was there when the first one was held already; the second one may have come later.
    caught_up = feed.catch_up(reading, None)
    assert (set(caught_up.lost), caught_up.is_complete) == ({A, B}, False)
    for socket_id in caught_up.lost:
        feed.forget(socket_id)
    caught_up = feed.catch_up(feed.begin_reading(), None)
    assert (caught_up.lost, caught_up.is_complete, feed.is_holding) == ({}, True, False)


def test_an_epoch_that_began_during_the_read_is_not_finished() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    feed.catch_up(reading_with(feed), None)
    feed.forget(A)
    reading = feed.begin_reading()
    feed.audience.ask(B)
    feed.decide_join(B, USER, join(4, 2, epoch="two"))
    assert feed.catch_up(reading, None).lost == {}
    assert (feed.epoch, feed.last_seq, feed.is_over(RoomCursor(epoch="two", seq=9))) == ("two", 4, False)


def test_sockets_that_are_no_longer_joined_are_found() -> None:
    """Hearing, ahead of the feed, or before the answer to their joins."""
    model = Model()
    hearing, other = joined_at(model, "hearing"), joined_at(model, "other")
    model.publish(is_message=True)
    ahead = joined_at(model, "ahead")
    for step in (model.ask, model.decide, model.answer):
        step(A)
    feed = model.feed
    reading = reading_with(feed)
    # Joined since the reading began: not among those that were read, but joined.
    feed.audience.ask(B)
    feed.decide_join(B, USER, join(1, 1))
    caught_up = feed.catch_up(reading, seen_at("one", 9, other, last_id=1))
    assert set(caught_up.lost) == {hearing, ahead, A}
    assert caught_up.lost[hearing] == RoomCursor(epoch="one", seq=1)
    for socket_id in caught_up.lost:
        feed.forget(socket_id)
    assert list(feed.answer_join(A)) == []
    assert feed.take(event_of("one", 10)).deaf == {B}


def test_another_gap_behind_the_first() -> None:
    model = Model()
    a = joined_at(model, "a")
    for _ in range(6):
        model.publish(is_message=True)
    events = list(model.bus)
    model.receive(events[1])
    model.receive(events[5])
    feed = model.feed
    reading = feed.begin_reading()
    caught_up = feed.catch_up(reading, seen_at("one", 2, a, last_id=2))
    assert [item.event for item in caught_up.given if isinstance(item, Given)] == [events[1]]
    assert not caught_up.is_complete and feed.is_holding
    caught_up = feed.catch_up(feed.begin_reading(), seen_at("one", 6, a, last_id=6))
    assert caught_up.given == [Missed({a: Gap("one", 3, 5)}), Given(events[5], frozenset())]
    assert caught_up.is_complete and not feed.is_holding


def test_events_of_lives_in_between_are_dropped() -> None:
    model = Model()
    joined_at(model, "a")
    feed = model.feed
    second, third, fourth = (event_of(name, 1) for name in ("two", "three", "four"))
    reading = reading_with(feed, second, third)
    # The room was read in its third life; what came since then may be of a fourth one.
    feed.take(fourth)
    caught_up = feed.catch_up(reading, seen_at("three", 1))
    assert (caught_up.given, caught_up.is_complete) == ([Given(third, frozenset())], False)
    assert (feed.epoch, feed.last_seq) == ("three", 1)
    assert feed.judge(second) is Verdict.SEEN
    assert feed.begin_reading().held == 1


def test_an_interruption_while_the_room_is_read_is_caught_up_as_well() -> None:
    model = Model()
    a = joined_at(model, "a")
    feed = model.feed
    assert feed.interrupt()
    reading = feed.begin_reading()
    assert not feed.interrupt()
    assert not feed.catch_up(reading, seen_at("one", 3, a)).is_complete
    assert feed.catch_up(feed.begin_reading(), seen_at("one", 3, a)).is_complete
    assert not feed.is_holding


def test_a_repr_shows_where_it_is() -> None:
    model = Model()
    assert repr(model.feed) == "<RoomFeed None:None <Audience asked=0 unanswered=0 ahead=0 hearing=0> ok>"
    joined_at(model, "a")
    model.ask(B)
    model.feed.interrupt()
    audience = "<Audience asked=1 unanswered=0 ahead=0 hearing=1>"
    assert repr(model.feed) == f"<RoomFeed one:0 {audience} filling, 0 held>"


def test_a_socket_that_was_joined_before_the_loss_is_told_after_its_answer() -> None:
    """The store's answer to its join comes in after the catch-up."""
    model = Model()
    old = joined_at(model, "old")
    feed = model.feed
    feed.audience.ask(A)
    feed.audience.ask(B)
    feed.take(event_of("one", 300))
    caught_up = feed.catch_up(feed.begin_reading(), seen_at("one", 300, old, A, B))
    assert caught_up.given == [Missed({old: StateGap("one", 299)}), Given(event_of("one", 300), frozenset())]
    feed.decide_join(A, USER, join(10))
    feed.decide_join(B, USER, join(299))
    assert StateGap("one", 299) in feed.answer_join(A)
    assert feed.answer_join(B) == [event_of("one", 300)]
