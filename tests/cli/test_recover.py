"""recover: cleans up after dead instances, and leaves living ones alone."""

import asyncio
from typing import Any

import pytest

from chat_service.cli.commands import recover
from chat_service.types import InstanceId
from tests.cli.conftest import Site, invoke
from tests.support.clocks import SteppedClock
from tests.support.parts import parts_of
from tests.support.world import Instance

pytestmark = pytest.mark.redis
#: No instance recovers another one by itself.
QUIET = {"heartbeat_rate": 3600.0, "heartbeat_timeout": 7200.0}
#: Neither does one of these, but it is heard of.
ALIVE = {"heartbeat_rate": 0.1, "heartbeat_timeout": 7200.0, "auto_recovery": False}
#: Seconds that suffice to hear of it.
LISTEN = ("--heartbeat-timeout", "2")


async def _dead(site: Site) -> Instance:
    """An instance with alice in a room, whose heartbeat is an hour old. It still has to be closed."""
    instance = await site.world.start(**QUIET)
    await instance.service.add_room("room", enable_userlist_updates=True)
    await instance.joined("alice", "room")
    store, clock = parts_of(instance.service).store, parts_of(instance.service).clock
    await store.instance_heartbeat(InstanceId(instance.service.instance_uid), clock.now_ms() - 3_600_000)
    return instance


@pytest.mark.covers("cli:recover")
async def test_recover_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "LOOK", 0.0)
    dead, alive = await _dead(site), await site.world.start(**ALIVE)
    bob = await alive.joined("bob", "room")
    name = dead.service.instance_uid
    planned = await site.json("recover", "--dry-run", *LISTEN)
    assert planned == {"instances": [{"id": name, "sockets": 1, "result": "dead"}]}
    assert "alice" in (await alive.service.room_status("room")).members
    done = await site.run("recover", *LISTEN)
    assert [line.split() for line in done.stdout.splitlines() if name in line] == [[name, "1", "recovered"]]
    await bob.wait_for("roomUserLeft", "room", "alice")
    assert set((await alive.service.room_status("room")).members) == {"bob"}
    assert "no instance is dead" in (await site.run("recover", *LISTEN)).stderr
    assert [item["id"] for item in (await site.json("instances"))["instances"]] == [
        alive.service.instance_uid
    ]


async def test_recover_one(site: Site) -> None:
    instance = await site.world.start(**QUIET)
    await instance.login("alice")
    name = instance.service.instance_uid
    refused = await site.run("recover", name, code=1)
    assert refused.stderr.startswith(f"chat-service: instance {name} is alive, heard of ")
    assert refused.stderr.endswith("use --force to recover it anyway\n")
    answer = await site.json("recover", name[:10], "--force")
    assert answer == {"instances": [{"id": name, "sockets": 1, "result": "recovered"}]}
    assert (await site.json("users"))["users"] == []
    others = [await site.world.start(**QUIET) for _ in range(2)]
    several = await site.run("recover", "", code=6)
    assert several.stderr == "chat-service: there are 2 instances with ids like \n", others
    missing = await site.run("recover", "nobody", code=6)
    assert missing.stderr == "chat-service: there is no instance nobody\n"


async def test_an_instance_whose_clock_is_wrong_is_left_alone(site: Site) -> None:
    """By the clocks, all of them are dead for an hour, or born in an hour."""
    instances = []
    for step in (-3_600_000, 3_600_000):
        clock = SteppedClock(step)
        instances.append(await site.world.start(clock=clock, **ALIVE))
        await instances[-1].joined(f"user{step}")
    assert (await site.json("recover", *LISTEN))["instances"] == []
    behind = instances[0].service.instance_uid
    refused = await site.run("recover", behind, *LISTEN, code=1)
    assert refused.stderr.endswith(f"instance {behind} is alive; use --force to recover it anyway\n")
    assert len((await site.json("users"))["users"]) == 2


async def test_an_instance_recovered_by_another(site: Site) -> None:
    dead, alive = await _dead(site), await site.world.start(**QUIET)
    store, now = parts_of(alive.service).store, parts_of(alive.service).clock.now_ms()
    name = InstanceId(dead.service.instance_uid)
    assert await store.instance_claim(name, now, (await store.instance_pulses())[name])
    (listed,) = [item for item in (await site.json("instances"))["instances"] if item["id"] == name]
    assert listed["state"] == "recovering"
    assert (await site.json("recover"))["instances"] == []
    # Its claim is too old: it has died over it.
    await asyncio.sleep(0.01)
    answer = await site.json("recover", "--heartbeat-timeout", "0.001", str(name))
    assert answer["instances"][0]["result"] == "recovered"


async def test_a_failed_recovery(site: Site) -> None:
    dead = await _dead(site)
    store: Any = parts_of(dead.service).store
    key, rooms = store.keys.user_sockets("alice"), store.keys.user_rooms("alice")
    await store.client.call(key, "DEL", key, rooms)
    await store.client.call(key, "SET", key, "of another type")
    failed = await site.run("recover", *LISTEN, code=1)
    assert "failed" in failed.stdout
    assert failed.stderr.endswith("chat-service: some sockets could not be removed: try again\n")
    await store.client.call(key, "DEL", key)


def test_force_requires_an_instance() -> None:
    result = invoke("recover", "--force", "--url", "redis://127.0.0.1:1")
    assert result.exit_code == 2
    assert result.stderr == "chat-service: --force requires an INSTANCE\n"
