"""The stores on which the whole suite runs. Each backend creates stores that share their state."""

import uuid
from typing import Any, Protocol

import pytest
import redis as redis_client

from chat_service.contracts.store import Store
from chat_service.stores.memory import MemoryBackend, MemoryStore
from chat_service.stores.redis import RedisStore
from tests.support.redis_servers import RedisCluster, RedisServer

#: Marks tests of behaviour that does not depend on the store. They run once, in memory.
ONE_STORE = pytest.mark.parametrize("backend", ["memory"], indirect=True)

#: Time in ms before its end at which a key is not looked at any more.
EXPIRING_MS = 1000


class Backend(Protocol):
    """Holds the state of one test."""

    name: str

    def new_store(self) -> Store:
        """A store for another instance with the same state."""
        ...

    async def leftovers(self) -> list[str]:
        """What is left after all users, rooms and instances are gone; empty if everything was cleaned up."""
        ...


class InMemory:
    """The memory store."""

    name = "memory"

    def __init__(self) -> None:
        self.shared = MemoryBackend()

    def new_store(self) -> Store:
        return MemoryStore(self.shared)

    async def inventory(self) -> dict[str, int]:
        """The stored items with their sizes, except the changes of rooms."""
        found = {f"user {name}": len(user.sockets) for name, user in self.shared.users.items()}
        for name, room in self.shared.rooms.items():
            found |= {f"members of {name}": len(room.members), f"seen in {name}": len(room.seen)}
        return found | {name: len(item.sockets) for name, item in self.shared.instances.items()}

    async def leftovers(self) -> list[str]:
        return [f"subscription of {topic}" for topic in self.shared.hub.topics()]


class InRedis:
    """The Redis store, in one server or in a cluster. Each test has its own prefix."""

    def __init__(self, servers: RedisServer | RedisCluster) -> None:
        self.name = "cluster" if isinstance(servers, RedisCluster) else "redis"
        self._servers = servers
        self.prefix = f"test{uuid.uuid4().hex[:8]}"
        self.options = {
            "url": servers.url,
            "cluster": self.name == "cluster",
            "prefix": self.prefix,
            # On a slow machine, a thousand commands may have to wait for one another.
            "command_timeout": 20.0,
        }

    def new_store(self) -> Store:
        return RedisStore(self.options)

    async def inventory(self) -> dict[str, int]:
        sizes: dict[Any, str] = {
            b"hash": "hlen",
            b"set": "scard",
            b"list": "llen",
            b"zset": "zcard",
            b"string": "strlen",
        }
        found = {}
        for client in self.clients():
            for key in client.scan_iter(match=f"{self.prefix}*", count=1000):
                if not key.endswith(b":changes"):
                    found[key.decode()] = int(getattr(client, sizes[client.type(key)])(key))
        return found

    def clients(self) -> list["redis_client.Redis"]:
        """A blocking client of each node."""
        nodes = self._servers.servers if isinstance(self._servers, RedisCluster) else [self._servers]
        return [node.client() for node in nodes]

    async def leftovers(self) -> list[str]:
        found, keys = [], {}
        for client in self.clients():
            with client:
                found += [
                    f"subscription of {name!r}" for name in client.pubsub_shardchannels(f"{self.prefix}:*")
                ]
                for key in client.scan_iter(f"{self.prefix}:*"):
                    # These outlive their room or user, and expire.
                    may_stay = any(part in key for part in (b"}:sent:", b"}:permits", b"}:revoked:"))
                    left = client.pttl(key)
                    # A room whose keys expire at this moment may have lost some of them already.
                    if left == -2 or 0 <= left < EXPIRING_MS:
                        continue
                    if not may_stay or left == -1:
                        keys[key.decode()] = client.type(key)
                    client.delete(key)
        return found + [key for key in keys if self._has_no_owner(key, set(keys))]

    def _has_no_owner(self, key: str, keys: set[str]) -> bool:
        """Whether a key belongs to a room, user, socket or instance that no longer exists.

        All instances are closed by now, so no sockets, members or instances are left.
        """
        owner, _, part = key.partition("}")
        if part == ":ban":
            # Bans outlive users.
            return False
        if part in (":sockets", ":rooms", ":members") or owner == f"{self.prefix}:instances:{{all":
            return True
        return owner + "}" not in keys
