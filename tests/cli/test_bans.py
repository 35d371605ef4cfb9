"""ban, unban and kick: users are kept out, let in again and disconnected, from the command line."""

import time

import pytest

from chat_service.testing import wait_until
from tests.cli.conftest import Site
from tests.support.wire_errors import wire_error

pytestmark = pytest.mark.redis


@pytest.mark.covers("cli:ban", "cli:unban")
async def test_ban_and_unban(site: Site) -> None:
    instance = await site.world.start()
    await instance.service.add_room("room", enable_userlist_updates=True)
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    assert await site.json("ban", "alice", "--reason", "spam") == {
        "name": "alice",
        "until": None,
        "reason": "spam",
    }
    assert set((await instance.service.room_status("room")).members) == {"bob"}
    await wait_until(lambda: not alice.connected, "the end of the connection")
    await bob.wait_for("roomUserLeft", "room", "alice")
    refused = await instance.transport.connect(query={"userName": "alice"})
    assert await refused.wait_for("loginRejected") == [wire_error("banned", "null", "spam")]
    assert "alice is no longer banned" in (await site.run("unban", "alice")).stderr
    await instance.login("alice")
    assert await site.json("unban", "alice") == {"name": "alice", "wasBanned": False}
    assert "alice was not banned" in (await site.run("unban", "alice")).stderr


async def test_ban_of_an_unknown_user_with_a_duration(site: Site) -> None:
    instance = await site.world.start()
    before = round(time.time() * 1000)
    answer = await site.json("ban", "ghost", "--seconds", "3600")
    assert answer["until"] > before and answer["reason"] is None
    ban = await instance.service.get_ban("ghost")
    assert ban is not None and ban.until == answer["until"]
    assert "ghost is banned for" in (await site.run("ban", "ghost", "--seconds", "60")).stderr
    refused = await site.run("ban", "ghost", "--seconds", "0", code=2)
    assert refused.stderr.startswith("chat-service: --seconds: expected more than 0")
    assert "contains invalid characters" in (await site.run("ban", "a:b", code=1)).stderr
    assert await site.json("unban", "ghost") == {"name": "ghost", "wasBanned": True}


@pytest.mark.covers("cli:kick")
async def test_kick(site: Site) -> None:
    instance, other = await site.world.start(), await site.world.start()
    clients = [await instance.login("alice"), await other.login("alice")]
    assert await site.json("kick", "alice") == {"name": "alice", "sockets": 2}
    for client in clients:
        await wait_until(lambda client=client: not client.connected, "the end of the connection")
    await instance.login("alice")
    assert "1 socket of alice told to disconnect" in (await site.run("kick", "alice")).stderr
    assert (await site.run("kick", "ghost", code=6)).stderr == "chat-service: No such user ghost\n"
