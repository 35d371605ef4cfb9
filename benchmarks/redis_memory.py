"""Measures the Redis memory used by a room, a member, a message, a user and a socket.

    python -m benchmarks.redis_memory [url]

Prints the rows of the table in docs/redis.md. Without a url it starts its own server. Sizes are those of
``MEMORY USAGE``, including the overhead of keys. Growing hashes and lists are measured over many items.
"""

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Any

import redis as redis_client

from chat_service import ChatService
from chat_service.stores.redis.keys import Keys
from chat_service.testing import InProcessTransport
from tests.support.redis_servers import RedisServer

DOCS = Path(__file__).resolve().parents[1] / "docs" / "redis.md"
#: Number of items over which the cost of one is averaged.
MANY = 1000
TEXT = "x" * 100


class Memory:
    """The memory of the keys with a prefix."""

    def __init__(self, client: "redis_client.Redis", prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def of(self, pattern: str) -> int:
        """Size in bytes of all matching keys."""
        found = self._client.scan_iter(f"{self._prefix}:{pattern}", count=10_000)
        return sum(self.of_key(key) for key in found)

    def of_key(self, key: str | bytes) -> int:
        """Size in bytes of a key, with all its items counted."""
        return self._client.memory_usage(key, samples=0) or 0


async def measure(url: str) -> dict[str, int]:
    """Sizes in bytes by row of the table."""
    prefix = f"memory{uuid.uuid4().hex[:8]}"
    keys = Keys(prefix)
    transport = InProcessTransport()
    service = ChatService(
        command_rate=None,
        store="redis",
        store_options={"url": url, "prefix": prefix},
        transport=transport,
        hooks={"on_connect": lambda service, socket_id: service.transport.get_handshake_data(socket_id).auth},
        heartbeat_rate=3600.0,
        heartbeat_timeout=7200.0,
    )
    found: dict[str, int] = {}
    async with service:
        with redis_client.Redis.from_url(url) as client:
            memory = Memory(client, prefix)
            await service.add_room("room")
            found["a room without members and messages"] = memory.of("room:{room}*")
            names = [f"user-{number:05}" for number in range(MANY)]
            await service.add_room("listed", whitelist=names)
            found["a name in an access list"] = memory.of_key(keys.room_list("listed", "whitelist")) // MANY
            # Messages first, while there are no recipients.
            for _ in range(MANY):
                message = {"textMessage": TEXT, "author": names[0]}
                await service.exec_user_command(True, "roomMessage", "room", message)
            found["a message with 100 characters of text"] = memory.of("room:{room}:history") // MANY

            clients = [await _login(transport, name) for name in names]
            online = memory.of("user:*") + memory.of("instance:*")
            found["a user who is online with one socket"] = online // MANY
            for one in clients:
                await one.call("roomJoin", "room")
            joined = memory.of("room:{room}:members") + memory.of("room:{room}:seen")
            indexes = memory.of("user:*") + memory.of("instance:*") - online
            found["a member with one socket, in the room"] = joined // MANY
            found["a member with one socket, in the user's index"] = indexes // MANY

            for one in clients:
                await one.call("roomMarkRead", "room", MANY)
            found["a read mark"] = memory.of("room:{room}:marks") // MANY

            for one in clients:
                await one.disconnect()
            found["a user who is offline"] = memory.of("user:*") // MANY
            found["a former member, in the room"] = memory.of("room:{room}:seen") // MANY
            for name in names:
                await service.delete_user(name)
            for room in ("room", "listed"):
                await service.delete_room(room)
    return found


async def _login(transport: InProcessTransport, name: str) -> Any:
    client = await transport.connect(auth=name)
    await client.wait_for("loginConfirmed")
    return client


def main() -> None:
    if len(sys.argv) > 1:
        found = asyncio.run(measure(sys.argv[1]))
    else:
        with RedisServer() as server:
            found = asyncio.run(measure(server.url))
    for name, size in found.items():
        print(f"| {name} | {size} |")


if __name__ == "__main__":
    main()
