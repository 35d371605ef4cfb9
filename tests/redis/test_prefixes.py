"""Services sharing a Redis: prefixes isolate their keys and channels."""

from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.redis.conftest import At
from tests.support.redis_servers import RedisServer
from tests.support.world import World

pytestmark = [pytest.mark.redis, pytest.mark.covers("store_option:prefix", "store_option:url")]

#: Pairs of store options that are easily confused.
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a longer one": ({"prefix": "a"}, {"prefix": "a:b"}),
    "a kind of key": ({"prefix": "a"}, {"prefix": "a:room"}),
    "a colon": ({"prefix": "a"}, {"prefix": "a:"}),
    "a pattern": ({"prefix": "a*"}, {"prefix": "ab"}),
    "letters in brackets": ({"prefix": "[ab]"}, {"prefix": "a"}),
    "another database": ({"prefix": "a"}, {"prefix": "a", "db": 1}),
    "databases": ({"prefix": "a", "db": 1}, {"prefix": "a", "db": 11}),
}


@pytest.mark.parametrize("name", PAIRS)
async def test_services_do_not_interfere(server: RedisServer, name: str) -> None:
    worlds: list[World] = []
    try:
        for given in PAIRS[name]:
            options = dict(given)
            url = f"redis://127.0.0.1:{server.port}/{options.pop('db', 0)}"
            worlds.append(World(At(url, **options)))
        ones = [await world.start() for world in worlds]
        others = [await world.start() for world in worlds]
        clients = []
        for one, other, mine in zip(ones, others, ("first", "second"), strict=True):
            # Names that are also parts of keys.
            for room in (mine, "both", "instances", "room", "all"):
                await one.service.add_room(room)
            clients.append((await one.joined("alice", "both"), await other.joined("bob", "both"), mine))
        for text in ("", " end"):
            for alice, _, mine in clients:
                await alice.call("roomMessage", "both", {"textMessage": mine + text})
                await alice.call("directMessage", "bob", {"textMessage": mine + text})
        for one, (_, bob, mine) in zip(ones, clients, strict=True):
            # Nothing of the other service arrives between the two messages, although it was sent then.
            for event in ("roomMessage", "directMessage"):
                texts = [(await bob.wait_for(event))[-1]["textMessage"] for _ in range(2)]
                assert texts == [mine, mine + " end"]
            rooms = (await one.service.list_rooms(limit=100)).items
            assert {room.name for room in rooms} == {mine, "both", "instances", "room", "all"}
            users = (await one.service.list_users(limit=100)).items
            assert {user.name: user.sockets for user in users} == {"alice": 1, "bob": 1}
            assert len(await one.service.list_instances()) == 2
        # Closing one service does not affect the other.
        await worlds[0].close()
        alone = others[1].service

        async def goes_on() -> bool:
            return len(await alone.list_instances()) == 2 and await alone.has_room("both")

        await wait_until(goes_on, "the other service goes on")
        names = [str(room.name) for room in (await alone.list_rooms(limit=100)).items]
        assert "second" in names and "first" not in names
    finally:
        for world in worlds:
            await world.close()
