"""What Redis keeps of edits, deletions and reactions."""

import pytest

from chat_service.contracts.records import SYSTEM, Actor, RoomConfig, SendConditions
from chat_service.interactions import Relation, fold
from chat_service.stores.redis import RedisStore
from chat_service.testing.store_suite import Peer
from chat_service.types import RoomName, UserName
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

HALL = RoomName("hall")


async def react(peer: Peer, target: int, user: str = "alice") -> int:
    relation = Relation("reaction", target, "+1")
    message = {"relatesTo": relation.as_field(), "author": user}
    who = Actor(UserName(user), True)
    return (await peer.store.room_send(HALL, who, message, SendConditions(relation=relation))).id


def key_of(peer: Peer) -> str:
    assert isinstance(peer.store, RedisStore)
    return peer.store.keys.interactions(HALL)


async def test_what_is_kept_goes_with_its_messages(server: RedisServer, peer: Peer) -> None:
    """Whatever is said about messages that are no longer stored goes, too, at a bounded cost."""
    await peer.store.room_create(HALL, RoomConfig(history_max_size=20))
    for number in range(300):
        await peer.store.room_message(HALL, SYSTEM, {})
        await react(peer, 2 * number + 1)
    with server.client() as client:
        # Of ten stored messages two fields each, and a few that are about to go.
        assert 20 < client.hlen(key_of(peer)) < 80
        await peer.store.room_set_history_max_size(HALL, 0)
        assert not client.exists(key_of(peer))


async def test_another_life_of_the_room_knows_nothing(server: RedisServer, peer: Peer) -> None:
    """An instance of an earlier version does not know the key, and leaves it when it deletes the room."""
    await peer.store.room_create(HALL, RoomConfig())
    await peer.store.room_message(HALL, SYSTEM, {})
    assert await react(peer, 1) == 2
    with server.client() as client:
        left = client.dump(key_of(peer))
        await peer.store.room_delete(HALL, SYSTEM)
        await peer.store.room_create(HALL, RoomConfig())
        client.restore(key_of(peer), 0, left)
    await peer.store.room_message(HALL, SYSTEM, {})
    page = await peer.store.room_history_folded(HALL, SYSTEM, None, 9)
    assert fold(page.messages, page.folds)[0]["interactions"] == {"upTo": 1}
    # What it says is not taken for a repeat, and counts from one.
    assert await react(peer, 1) == 2
    assert await react(peer, 1, "bob") == 3
    page = await peer.store.room_history_folded(HALL, SYSTEM, 0, 1)
    assert dict(page.folds.marks[1].reactions) == {"+1": 2}
