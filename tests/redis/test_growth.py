"""Bounds of the keys in Redis: compares the table in docs/redis.md with keys of every kind."""

import re
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.commands.table import COMMANDS
from chat_service.contracts.records import SYSTEM, Ban, Rate, RoomConfig, RoomQuota, SendConditions
from chat_service.interactions import Relation
from chat_service.options import Options
from chat_service.stores.redis import RedisStore
from chat_service.testing.store_suite import Peer
from chat_service.testing.store_suite.base import ALICE, BOB, CAROL, NOW, S1, S2, actor
from chat_service.types import InstanceId, RoomName, UserName
from tests.redis.conftest import At
from tests.redis.costs import DOCS
from tests.redis.ghosts import write_ghosts
from tests.support.redis_servers import RedisServer

pytestmark = [
    pytest.mark.redis,
    pytest.mark.covers("option:user_ttl", "option:empty_ttl", "option:history_ttl"),
]

ROOM, EMPTY = RoomName("room"), RoomName("empty")
SECONDS, HOUR = 1000.0, 3600.0
#: Two at once, and then one in 100 s.
SLOW = Rate(100_000_000, 100_000_000)


def rows() -> dict[str, tuple[str, str]]:
    """The bound of each kind of key, and how it is removed."""
    table = DOCS.read_text("utf-8").partition("<!-- growth -->")[2].partition("<!-- end of growth -->")[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found.update(dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), (cells[1], cells[2])))
    return found


def kind_of(key: str, prefix: str) -> str:
    """The key in the notation of the table."""
    kind = key.removeprefix(f"{prefix}:")
    kind = re.sub(r"^(room|user):\{[^}]*\}", r"\1:{name}", kind)
    kind = re.sub(r"^instance:\{[^}]*\}", "instance:{id}", kind)
    kind = re.sub(r":pace:.*:due", ":pace:user:due", kind)
    kind = re.sub(r":(leaving|staged):.*", r":\1:change", kind)
    return re.sub(r":sent:.*", ":sent:user:key:id", kind)


def ttls(client: Any, prefix: str, name: str = "") -> dict[str, int]:
    """All keys, or those of one name, with their time to live in ms; -1 without one."""
    keys = [key.decode() for key in client.scan_iter(f"{prefix}:*", count=1000)]
    return {key: client.pttl(key) for key in keys if f"{{{name}" in key}


async def make_everything(peer: Peer) -> None:
    """Keys of every kind."""
    store = peer.store
    await store.instance_heartbeat(peer.instance_id, NOW)
    await store.instance_heartbeat(InstanceId("dead"), NOW)
    [pulse] = [pulse for name, pulse in (await store.instance_pulses()).items() if name == "dead"]
    await store.instance_claim(InstanceId("dead"), NOW, pulse)
    config = RoomConfig(owner=ALICE, history_ttl=SECONDS, empty_ttl=SECONDS, enable_access_lists_updates=True)
    await store.room_create(ROOM, config, RoomQuota(rate=SLOW, limit=9))
    await store.room_create(RoomName("lasting"), RoomConfig(owner=ALICE), RoomQuota(limit=9))
    await store.socket_connect(ALICE, S1, peer.instance_id, ttl=SECONDS, rate=SLOW)
    await store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW, announce=True, own_limit=9)
    await store.room_set_details(ROOM, ALICE, S1, "1", 1)
    for list_name in ("adminlist", "blacklist", "whitelist"):
        await store.room_change_list(ROOM, SYSTEM, list_name, NOW, add=[BOB], limit=9)
    for list_name in ("blacklist", "whitelist"):
        await store.user_add_to_list(ALICE, list_name, [BOB], 9)
    await store.room_send(ROOM, SYSTEM, {"textMessage": "x"}, SendConditions(key="k"))
    message = {"textMessage": "x", "timestamp": NOW, "author": ALICE}
    await store.room_send(ROOM, actor(ALICE), message, SendConditions(rate=SLOW))
    await store.room_mark_read(ROOM, ALICE, 1)
    relation = Relation("reaction", 1, "+1")
    await store.room_send(ROOM, SYSTEM, {"textMessage": ""}, SendConditions(relation=relation))
    await store.user_ban(BOB, Ban(until=NOW + 1_000_000), NOW)
    # This room leaves nothing behind.
    await store.socket_connect(CAROL, S2, peer.instance_id, ttl=SECONDS)
    await store.socket_disconnect(CAROL, S2, peer.instance_id, [])


async def test_every_key_has_a_bound_and_an_end(server: RedisServer, alone: At, peer: Peer) -> None:
    documented = rows()
    await make_everything(peer)
    with server.client() as client:
        # A change that removes many users is interrupted.
        write_ghosts(client, alone.prefix, 201, ["lasting"])
        assert isinstance(peer.store, RedisStore)
        await peer.store._rooms.set(RoomName("lasting"), SYSTEM, NOW, "mode", "1", b"\x90")
        # So are one that adds many names, after its decision, and one before it.
        names = [UserName(f"user{number}") for number in range(251)]
        await peer.store.room_create(RoomName("unfinished"), RoomConfig())
        await peer.store._rooms.change_list(
            RoomName("unfinished"), SYSTEM, "blacklist", NOW, names, [], 1000, []
        )
        await peer.store._rooms.pending.stage_names(RoomName("unfinished"), names, [])
        found = ttls(client, alone.prefix)
    assert {kind_of(key, alone.prefix) for key in found} == set(documented)
    # Keys that should expire by themselves do.
    for key, left in found.items():
        bound, end = documented[kind_of(key, alone.prefix)]
        assert bound
        assert end
        if end.startswith("it expires") or key.endswith(("}:history", "}:times", "}:interactions", "}:ban")):
            assert 0 < left <= (HOUR if ":leaving:" in key or ":staged:" in key else SECONDS) * 1000, key
        elif not key.endswith("{carol}"):
            assert left == -1, key
    # All keys in the table exist.
    options = set(Options.__dataclass_fields__)
    known = options | set(COMMANDS) | set(dir(ChatService))
    named = {name for cells in documented.values() for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named <= known
    assert {"user_ttl", "empty_ttl", "history_ttl", "seen_limit"} <= named


async def test_all_keys_of_an_empty_room_go_at_once(server: RedisServer, alone: At, peer: Peer) -> None:
    """Including keys created while the room is empty. After a join, none of them expires."""
    store = peer.store
    config = RoomConfig(owner=ALICE, empty_ttl=SECONDS, enable_access_lists_updates=True)
    await store.room_create(EMPTY, config)

    def left() -> dict[str, int]:
        with server.client() as client:
            return ttls(client, alone.prefix, EMPTY + "}")

    with server.client() as client:
        client.pexpire(f"{alone.prefix}:room:{{{EMPTY}}}", 0)
    assert not await store.room_exists(EMPTY)
    await store.room_create(EMPTY, config)
    await store.room_message(EMPTY, SYSTEM, {})
    edit = SendConditions(relation=Relation("edit", 1))
    await store.room_send(EMPTY, SYSTEM, {}, edit)
    for list_name in ("adminlist", "blacklist", "whitelist"):
        await store.room_change_list(EMPTY, SYSTEM, list_name, NOW, add=[BOB], limit=9)
    await store.room_mark_read(EMPTY, ALICE, 1)
    with server.client() as client:
        at = {
            key: client.execute_command("PEXPIRETIME", key) for key in left() if not key.endswith(":changes")
        }
    assert len(at) == 7
    assert len(set(at.values())) == 1
    assert all(0 < ttl <= SECONDS * 1000 for ttl in left().values())
    await peer.enter(ALICE, S1, room=EMPTY)
    assert {ttl for key, ttl in left().items() if not key.endswith(":changes")} == {-1}
    await peer.leave(ALICE, S1, EMPTY)
    assert all(0 < ttl <= SECONDS * 1000 for ttl in left().values())
    assert isinstance(store, RedisStore)
    assert f"{store.keys.seen(EMPTY)}" in left()


async def test_marks_of_a_former_room_mean_nothing(server: RedisServer, alone: At, peer: Peer) -> None:
    """An instance of an earlier version leaves them when it deletes a room."""
    store = peer.store
    await store.room_create(ROOM, RoomConfig(owner=ALICE))
    for _ in range(3):
        await store.room_message(ROOM, SYSTEM, {})
    for user in (ALICE, BOB):
        await store.room_mark_read(ROOM, user, 3, bypass=True)
    with server.client() as client:
        client.hset(f"{alone.prefix}:room:{{{ROOM}}}", "birth", "another")
    assert (await store.rooms_unread([ROOM], ALICE))[ROOM].unread == 3
    assert await store.room_mark_read(ROOM, ALICE, 1) == (1, True)
    assert (await store.rooms_unread([ROOM], ALICE))[ROOM].unread == 2
    with server.client() as client:
        marks = client.hgetall(f"{alone.prefix}:room:{{{ROOM}}}:marks")
    assert marks == {b"": b"another", b"alice": b"1"}


async def test_what_a_limit_of_age_costs(server: RedisServer, peer: Peer) -> None:
    """The numbers in docs/redis.md."""
    store = peer.store
    executed: dict[str, list[int]] = {"send": [], "read": []}
    with server.client() as client:
        for ttl in (None, SECONDS):
            room = RoomName(f"room with {ttl}")
            await store.room_create(room, RoomConfig(history_ttl=ttl))
            # The first run of a script loads it.
            await store.room_message(room, SYSTEM, {})
            await store.room_history_info(room, SYSTEM)
            for what in executed:
                client.config_resetstat()
                if what == "send":
                    await store.room_message(room, SYSTEM, {})
                else:
                    await store.room_history_info(room, SYSTEM)
                calls = client.info("commandstats")
                inside = set(calls) - {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_ping"}
                executed[what].append(sum(calls[name]["calls"] for name in inside))
    assert {what: after - before for what, (before, after) in executed.items()} == {"send": 7, "read": 3}


async def test_a_limit_of_age_costs_nothing_elsewhere(server: RedisServer, alone: At, peer: Peer) -> None:
    """A room without an age limit has no times, and its history stays."""
    await peer.store.room_create(ROOM, RoomConfig())
    await peer.store.room_message(ROOM, SYSTEM, {})
    await peer.store.room_send(ROOM, SYSTEM, {}, SendConditions(expected_last_id=1))
    with server.client() as client:
        client.config_resetstat()
        await peer.store.room_message(ROOM, SYSTEM, {})
        calls = client.info("commandstats")
        assert not {"cmdstat_time", "cmdstat_pexpireat", "cmdstat_lindex", "cmdstat_persist"} & set(calls)
        assert set(ttls(client, alone.prefix).values()) == {-1}
        # If only the times are evicted, the next message repairs them.
        await peer.store.room_set_history_ttl(ROOM, SECONDS)
        client.delete(f"{alone.prefix}:room:{{{ROOM}}}:times")
        assert len(await peer.store.room_recent_history(ROOM, SYSTEM, 9)) == 3
        await peer.store.room_message(ROOM, SYSTEM, {})
        assert client.llen(f"{alone.prefix}:room:{{{ROOM}}}:times") == 4
        assert len(await peer.store.room_recent_history(ROOM, SYSTEM, 9)) == 4
