"""A feed notices when the store has lost delivered messages, even if new ones have reached the same id."""

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.domain.decisions import DecidedJoin, Snapshot
from chat_service.domain.feed import RoomFeed
from chat_service.types import SocketId, UserName


def message(seq: int, message_id: int, text: str) -> RoomEvent:
    return RoomEvent(
        epoch="one", seq=seq, last_message_id=message_id, event="roomMessage", args=("room", {"text": text})
    )


def has_gone_back(seq: int, last_message_id: int, *messages: RoomEvent, epoch: str = "one") -> bool:
    """Read a room in this state after messages 1 "a" and 2 "b" were delivered and the subscription was
    lost.
    """
    feed = RoomFeed()
    for event in (message(1, 1, "a"), message(2, 2, "b")):
        assert feed.take(event).is_given
    feed.interrupt()
    snapshot = Snapshot(
        cursor=RoomCursor(epoch=epoch, seq=seq),
        last_message_id=last_message_id,
        events=messages,
        joined=(),
    )
    return feed.catch_up(feed.begin_reading(), snapshot).has_gone_back


def test_nothing_was_lost():
    assert not has_gone_back(2, 2, message(0, 2, "b"))
    assert not has_gone_back(9, 5, message(0, 2, "b"), message(0, 3, "c"))
    # The history may have been rotated.
    assert not has_gone_back(9, 5, message(0, 4, "d"))


def test_the_store_is_behind():
    assert has_gone_back(1, 1)
    assert has_gone_back(2, 1)


def test_the_store_has_another_message_under_the_id():
    assert has_gone_back(4, 4, message(0, 2, "x"), message(0, 3, "c"))


def test_a_new_epoch_is_not_a_loss():
    assert not has_gone_back(1, 0, epoch="two")


def test_a_first_join_after_the_room_was_read_is_not_a_loss():
    feed = RoomFeed()
    feed.interrupt()
    reading = feed.begin_reading()
    socket_id = SocketId("a")
    feed.audience.ask(socket_id)
    feed.decide_join(socket_id, UserName("user"), DecidedJoin(RoomCursor(epoch="one", seq=5), 3))
    snapshot = Snapshot(
        cursor=RoomCursor(epoch="one", seq=4), last_message_id=2, events=(), joined={socket_id}
    )
    caught_up = feed.catch_up(reading, snapshot)
    assert (caught_up.has_gone_back, caught_up.is_complete, feed.last_seq) == (False, True, 5)


def test_the_last_delivered_message_is_read_again():
    feed = RoomFeed()
    assert feed.known_message("one") == 0
    feed.take(message(1, 1, "a"))
    assert (feed.known_message("one"), feed.known_message("two")) == (0, 0)
    feed.take(message(2, 2, "b"))
    assert feed.known_message("one") == 1
    # Another event that follows does not make it unknown.
    feed.take(RoomEvent("one", 3, 2, "roomModeChanged", ("room", True)))
    assert feed.known_message("one") == 1
