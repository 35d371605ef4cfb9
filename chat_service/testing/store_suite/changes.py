"""Events that a room keeps for instances whose subscription broke."""

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
    NOW,
    ROOM,
    S1,
    S2,
    Peer,
    StoreTests,
    raises_error,
)

#: More events than a store needs to keep.
MANY = 500


def _beginning(event: RoomEvent) -> RoomCursor:
    return RoomCursor(epoch=event.epoch, seq=0)


class ChangeSuite(StoreTests):
    """``room_changes``."""

    async def test_events_other_than_messages_are_kept_unchanged(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.room_message(ROOM, SYSTEM, {"text": "hi"})
        await peer.enter(BOB, S2)
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[BOB], limit=10)
        await peer.leave(ALICE, S1)
        published = await peer.room_events()
        changes = [event for event in published if not event.is_message]
        assert len(changes) == len(published) - 1 >= 5
        beginning = _beginning(published[0])
        assert list(await peer.store.room_changes(ROOM, beginning)) == changes
        for event in changes:
            later = [other for other in changes if other.seq > event.seq]
            assert list(await peer.store.room_changes(ROOM, event.cursor)) == later

    async def test_only_events_of_the_same_epoch_are_returned(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        [joined] = await peer.room_events()
        await peer.store.room_renew(ROOM, joined.epoch, NOW)
        renewed = await peer.room_events()
        assert list(await peer.store.room_changes(ROOM, _beginning(renewed[0]))) == renewed
        former = await peer.store.room_changes(ROOM, _beginning(joined))
        assert all(event.epoch == joined.epoch for event in former)

    async def test_kept_events_do_not_survive_deletion(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        [joined] = await peer.room_events()
        await peer.store.room_delete(ROOM, SYSTEM)
        with raises_error("noRoom", ROOM):
            await peer.store.room_changes(ROOM, _beginning(joined))
        await peer.store.room_create(ROOM, RoomConfig())
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert list(await peer.store.room_changes(ROOM, RoomCursor(epoch=info.cursor.epoch, seq=0))) == []

    async def test_only_a_limited_number_of_latest_events_is_kept(self, peer: Peer) -> None:
        for _ in range(MANY // 2):
            await peer.store.room_set_mode(ROOM, SYSTEM, NOW, True)
            await peer.store.room_set_mode(ROOM, SYSTEM, NOW, False)
        published = await peer.room_events()
        kept = list(await peer.store.room_changes(ROOM, _beginning(published[0])))
        assert 100 <= len(kept) < MANY
        assert kept == published[-len(kept) :]

    async def test_without_notifications_no_events_are_kept(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        await peer.enter(ALICE, S1, room=HALL)
        await peer.leave(ALICE, S1, HALL)
        info = await peer.store.room_history_info(HALL, SYSTEM)
        assert list(await peer.store.room_changes(HALL, RoomCursor(epoch=info.cursor.epoch, seq=0))) == []
