"""Sentinel: the service uses the master and follows a failover without a restart."""

import asyncio
import signal

import pytest

from chat_service.stores.redis.keys import Keys
from chat_service.testing import InProcessClient, wait_until
from tests.redis.conftest import MakeWorld
from tests.redis.sentinels import SentinelSetup
from tests.support.markers import room_marker
from tests.support.patience import PATIENCE
from tests.support.world import Instance

pytestmark = [pytest.mark.redis, pytest.mark.slow]

TEXT = {"textMessage": "hello"}
LEASE = {"heartbeat_rate": 5.0, "heartbeat_timeout": 60.0}
FAST = {"command_timeout": 1.0, "connect_timeout": 1.0, "probe_interval": 0.5}


def ids_of(client: InProcessClient) -> list[int]:
    return [message["id"] for _, message in client.received("roomMessage")]


async def _answers(client: InProcessClient) -> bool:
    async with asyncio.timeout(PATIENCE):
        return bool((await client.emit("roomMessage", "room", TEXT))[0] is None)


async def _works(service: Instance, *clients: InProcessClient) -> None:
    """Check that messages reach both users without gaps."""
    last = await room_marker(service.service, "room")
    for client in clients:
        await wait_until(lambda client=client: last in ids_of(client), f"{last} at {client!r}")
        heard = ids_of(client)
        assert heard == list(range(heard[0], last + 1))
        assert client.connected


@pytest.mark.covers("store_option:sentinels", "store_option:sentinel_service")
@pytest.mark.parametrize("how", ["killed", "asked", "stands still"])
async def test_service_follows_a_failover(at: MakeWorld, how: str) -> None:
    with SentinelSetup() as setup:
        # Only the credentials and database of the url are used; no Redis runs at its host.
        world = at("redis://nowhere.invalid:1/0", **setup.options, **FAST)
        first, second = await world.start(**LEASE), await world.start(**LEASE)
        uids = [instance.service.instance_uid for instance in (first, second)]
        await first.service.add_room("room")
        alice, bob = await first.joined("alice", "room"), await second.joined("bob", "room")
        acked = [await alice.call("roomMessage", "room", TEXT) for _ in range(10)]
        await _works(first, alice, bob)
        master, replica = setup.servers
        with master.client() as client:
            # Ensures that the replica has every acknowledged write; otherwise a failover may lose some.
            assert client.wait(1, 5000) == 1
        assert master.process is not None
        if how == "killed":
            master.kill()
        elif how == "stands still":
            master.process.send_signal(signal.SIGSTOP)
        else:
            setup.sentinels[0].ask("SENTINEL", "FAILOVER", "chatmaster")
        await wait_until(lambda: setup.master_port() == replica.port, "a new master")
        if how == "asked":
            # Until it is demoted, the old master accepts messages that will be lost.
            with master.client() as client:
                await wait_until(lambda: client.role()[0] == b"slave", "the old master knows")
        for client in (alice, bob):
            await wait_until(lambda client=client: _answers(client), "commands are answered")
        await _works(first, alice, bob)
        history = await bob.call("roomRecentHistory", "room")
        assert {message["id"] for message in history} >= set(acked)
        assert [instance.service.instance_uid for instance in (first, second)] == uids
        with replica.client() as client:
            assert client.role()[0] == b"master"
            # The bus has left the old master even if that still responds.
            channel = Keys(world.backend.options["prefix"]).room("room")  # type: ignore[attr-defined]
            await wait_until(lambda: client.pubsub_shardnumsub(channel) == [(channel.encode(), 2)], "the bus")
        if master.process is not None:
            master.process.send_signal(signal.SIGCONT)
        await _works(second, alice, bob)
        await world.close()


@pytest.mark.covers("store_option:sentinel_password", "store_option:sentinels")
async def test_sentinels_with_a_password_of_which_some_are_down(at: MakeWorld) -> None:
    with SentinelSetup("word") as setup:
        setup.sentinels[0].stop()
        world = at("redis://localhost/0", **setup.options, **FAST)
        instance = await world.start(**LEASE)
        await instance.service.add_room("room")
        alice = await instance.joined("alice", "room")
        await _works(instance, alice)
        await world.close()
