"""Redis users with few permissions: missing ones are named when the start fails."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chat_service.stores.redis
from chat_service import ChatService
from chat_service.cli.commands.check import check_store
from chat_service.cli.findings import Verdict
from chat_service.errors import StoreError
from chat_service.stores.redis import RedisStore
from chat_service.stores.redis.rights import missing_rule
from chat_service.testing import InProcessTransport
from tests.redis.conftest import At
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.world import World

pytestmark = pytest.mark.redis

HOME = Path(chat_service.stores.redis.__file__).parent

#: Permissions that managed servers often deny and the service does not need.
ENOUGH = {
    "no dangerous commands": "+@all -@dangerous",
    "no admin commands": "+@all -@admin",
    "no INFO": "+@all -info",
    "no CLIENT": "+@all -client",
    "no HELLO": "+@all -hello",
    "neither INFO nor HELLO": "+@all -info -hello",
    "no KEYS, SCAN, CONFIG": "+@all -keys -scan -config",
    "few connection commands": "+@all -@connection +auth +ping +select +asking",
    "only what is needed": "-@all +@hash +@set +@sortedset +@list +@scripting +@transaction +@pubsub"
    " +exists +expire +pexpireat +persist +rename +time +get +set +unlink +ping +cluster|slots +asking",
}
#: Insufficient rules, and the missing ones that the message names.
NOT_ENOUGH = {
    "no scripts": ("~{prefix}:* &{prefix}:* +@all -@scripting", "+eval", "+evalsha"),
    "no EVALSHA": ("~{prefix}:* &{prefix}:* +@all -evalsha", "+evalsha"),
    "no transactions": ("~{prefix}:* &{prefix}:* +@all -@transaction", "+multi"),
    "no channels": ("~{prefix}:* resetchannels +@all", "&{prefix}:*"),
    "other channels": ("~{prefix}:* resetchannels &other:* +@all", "&{prefix}:*"),
    "only channels of rooms": ("~{prefix}:* resetchannels &{prefix}:room:* +@all", "&{prefix}:*"),
    "other keys": ("~other:* &* +@all", "~{prefix}:*"),
    "only keys of rooms": ("~{prefix}:room:* &* +@all", "~{prefix}:*"),
    "only reading of keys": ("%R~{prefix}:* &* +@all", "~{prefix}:*"),
    "no strings": ("~{prefix}:* &{prefix}:* +@all -@string", "+get", "+set"),
    "no lists": ("~{prefix}:* &* +@all -@list", "+lpush", "+lrange"),
    "no writes": ("~{prefix}:* &* +@all -@write", "+hset", "+lpush", "+zadd", "+unlink"),
    "no publishing": ("~{prefix}:* &* +@all -spublish", "+spublish"),
    "no subscribing": ("~{prefix}:* &* +@all -ssubscribe", "+ssubscribe"),
    "no unsubscribing": ("~{prefix}:* &* +@all -sunsubscribe", "+sunsubscribe"),
    "no PING": ("~{prefix}:* &* +@all -ping", "+ping"),
}


class Users:
    """Creates users on all nodes of a server or cluster."""

    def __init__(self, servers: RedisServer | RedisCluster) -> None:
        self.is_cluster = isinstance(servers, RedisCluster)
        self._servers = servers.servers if isinstance(servers, RedisCluster) else [servers]
        self.port = self._servers[0].port
        self.made: list[str] = []
        self.prefix = f"test{uuid.uuid4().hex[:8]}"

    def make(self, *rules: str) -> dict[str, Any]:
        """Store options of a new user."""
        name = f"user{uuid.uuid4().hex[:8]}"
        self.made.append(name)
        for server in self._servers:
            with server.client() as client:
                client.execute_command("ACL", "SETUSER", name, "on", ">word", *rules)
        url = f"redis://{name}:word@127.0.0.1:{self.port}"
        return {"url": url, "cluster": self.is_cluster, "prefix": self.prefix}

    def keys(self) -> set[bytes]:
        found: set[bytes] = set()
        for server in self._servers:
            with server.client() as client:
                found |= set(client.scan_iter(f"{self.prefix}:*"))
        return found

    def close(self) -> None:
        for server in self._servers:
            with server.client() as client:
                client.execute_command("ACL", "DELUSER", *self.made)
                for key in client.scan_iter(f"{self.prefix}:*"):
                    client.delete(key)


@pytest.fixture(params=["redis", "cluster"])
def users(request: pytest.FixtureRequest) -> Iterator[Users]:
    made = Users(request.getfixturevalue(f"{request.param}_servers"))
    yield made
    made.close()


@pytest.mark.parametrize("name", ENOUGH)
async def test_users_with_sufficient_permissions(users: Users, name: str) -> None:
    options = users.make(f"~{users.prefix}:*", f"&{users.prefix}:*", *ENOUGH[name].split())
    world = World(At(**options))
    try:
        first, second = await world.start(), await world.start()
        await first.service.add_room("room")
        alice, bob = await first.login("alice"), await second.login("bob")
        for client in (alice, bob):
            await client.call("roomJoin", "room")
        await alice.call("roomMessage", "room", {"textMessage": "hello"})
        assert (await bob.wait_for("roomMessage"))[1]["textMessage"] == "hello"
        assert len(await bob.call("roomRecentHistory", "room")) == 1
    finally:
        await world.close()


@pytest.mark.parametrize("name", NOT_ENOUGH)
async def test_missing_permissions_are_named(users: Users, name: str) -> None:
    rules, *missing = (text.format(prefix=users.prefix) for text in NOT_ENOUGH[name])
    options = users.make(*rules.split())
    service = ChatService(store="redis", store_options=options, transport=InProcessTransport())
    with pytest.raises(StoreError) as caught:
        await service.start()
    message = str(caught.value)
    assert message.startswith(f"Redis at 127.0.0.1:{users.port} does not grant the user {users.made[0]}")
    assert "\n" not in message and set(missing) <= set(message.split())
    await service.close()
    # The permissions in the message are sufficient.
    _, _, granted = message.partition(f"ACL SETUSER {users.made[0]} ")
    options = users.make(*rules.split(), *granted.split())
    async with ChatService(store="redis", store_options=options, transport=InProcessTransport()):
        pass


async def test_cluster_user_needs_cluster_slots(cluster_servers: RedisCluster) -> None:
    users = Users(cluster_servers)
    try:
        for rules, message in (("-cluster", "cluster|slots"), ("-asking", "+asking")):
            options = users.make("~*", "&*", "+@all", rules)
            service = ChatService(store="redis", store_options=options, transport=InProcessTransport())
            with pytest.raises(StoreError, match=re.escape(message)):
                await service.start()
            await service.close()
    finally:
        users.close()


async def test_permission_check_leaves_nothing_behind(users: Users) -> None:
    store = RedisStore(users.make("~*", "&*", "+@all"))
    await store.open(Nobody())
    assert store._open_bus.status().subscriptions == 0
    await store.close()
    assert users.keys() == set()


class Nobody:
    """A ``BusListener`` that must receive nothing."""

    def on_envelope(self, topic: object, envelope: object) -> None:
        raise AssertionError(envelope)

    def on_interruption(self, topic: object) -> None:
        raise AssertionError(topic)


async def test_check_reports_keys_that_the_user_may_not_read(users: Users) -> None:
    options = users.make(f"~{users.prefix}:*", f"&{users.prefix}:*", "+@all", "-@dangerous")
    found = {item.name: item for item in await check_store(RedisStore(options))}
    assert {item.verdict for item in found.values()} <= {Verdict.OK, Verdict.WARNING}
    assert (
        "may not run INFO" in found["version"].detail and "may not run INFO" in found["memory policy"].detail
    )
    assert found["permissions"].verdict is Verdict.OK
    options = users.make(f"~{users.prefix}:*", f"&{users.prefix}:*", "+@all", "-evalsha")
    found = {item.name: item for item in await check_store(RedisStore(options, needs_all_rights=False))}
    assert found["permissions"].verdict is Verdict.FAILED and "+evalsha" in found["permissions"].detail


# The check covers all commands in use


def _in_scripts(folder: Path) -> set[str]:
    texts = [path.read_text("utf-8") for path in folder.rglob("*.lua") if path.name != "probe.lua"]
    return {name for text in texts for name in re.findall(r"redis\.p?call\('([A-Z]+)'", text)}


def test_every_command_in_scripts_is_tried() -> None:
    tried = set(re.findall(r"^try\('([A-Z]+)'", (HOME / "lua/probe.lua").read_text("utf-8"), re.MULTILINE))
    used = _in_scripts(HOME / "lua")
    assert used and not used - tried


@pytest.mark.parametrize(
    ("command", "text", "rule"),
    [
        ("EVAL", "NOPERM this user has no permissions to run the 'eval' command", "+eval"),
        ("EVAL", "NOPERM User x has no permissions to run the 'eval' command", "+eval"),
        ("X", "NOPERM User x has no permissions to run the 'cluster|slots' command", "+cluster|slots"),
        ("EVAL", "NOPERM this user has no permissions to access one of the keys used as arguments", "~p:*"),
        ("EVAL", "NOPERM No permissions to access a key", "~p:*"),
        ("SPUBLISH", "NOPERM No permissions to access a channel", "&p:*"),
        ("HSET", "ERR The user executing the script can't run this command or subcommand", "+hset"),
        ("HSET", "ERR The user executing the script can't access at least one of the keys", "~p:*"),
        ("SPUBLISH", "ERR The user executing the script can't publish to the channel mentioned", "&p:*"),
        ("HSET", "ERR ACL failure in script: User x has no permissions to run the 'hset' command", "+hset"),
        ("HSET", "ERR ACL failure in script: No permissions to access a key", "~p:*"),
        ("HSET", "ERR Unknown Redis command called from script script: 9b", "+hset"),
        ("EVAL", "ERR unknown command 'EVAL', with args beginning with: ", "+eval"),
        ("HSET", "OOM command not allowed when used memory > 'maxmemory'.", None),
        ("HSET", "READONLY You can't write against a read only replica.", None),
        ("HSET", "Redis at 127.0.0.1:1 is not connected", None),
    ],
)
def test_missing_rule(command: str, text: str, rule: str | None) -> None:
    assert missing_rule(command, text, "p") == rule
