"""A feed notices when the store has lost what was given, also when it has gone as far again since then."""

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.domain.feed import RoomFeed


def message(seq: int, message_id: int, text: str) -> RoomEvent:
    return RoomEvent(
        epoch="one", seq=seq, last_message_id=message_id, event="roomMessage", args=("room", {"text": text})
    )


def at(seq: int, epoch: str = "one") -> RoomCursor:
    return RoomCursor(epoch=epoch, seq=seq)


def feed_with(*events: RoomEvent) -> RoomFeed:
    feed = RoomFeed(
        admit=lambda socket_id: None,
        dismiss=lambda socket_id: None,
        replay=lambda socket_id, event: None,
        broadcast=lambda event: None,
    )
    for event in events:
        feed.apply(event)
    return feed


def test_nothing_was_lost():
    feed = feed_with(message(1, 1, "a"), message(2, 2, "b"))
    assert not feed.went_back(at(2), 2, [message(0, 2, "b")])
    assert not feed.went_back(at(9), 5, [message(0, 2, "b"), message(0, 3, "c")])
    # The history may have rotated it away.
    assert not feed.went_back(at(9), 5, [message(0, 4, "d")])


def test_the_store_is_behind():
    feed = feed_with(message(1, 1, "a"), message(2, 2, "b"))
    assert feed.went_back(at(1), 1, [])
    assert feed.went_back(at(2), 1, [])


def test_the_store_has_another_message_under_the_id():
    feed = feed_with(message(1, 1, "a"), message(2, 2, "b"))
    assert feed.went_back(at(4), 4, [message(0, 2, "x"), message(0, 3, "c")])


def test_another_life_of_the_room_is_no_loss():
    feed = feed_with(message(1, 1, "a"), message(2, 2, "b"))
    assert not feed.went_back(at(1, "two"), 0, [])
