"""Two instances over one Redis with a client each in the same room, to observe outages."""

import asyncio
from typing import Any

from chat_service.testing import InProcessClient, wait_until
from tests.support.markers import room_marker
from tests.support.wire_errors import wire_error
from tests.support.world import Instance

TEXT = {"textMessage": "hello"}
#: Long leases, so that they do not interfere.
LEASE = {"heartbeat_rate": 30.0, "heartbeat_timeout": 60.0}
#: Maximum time in seconds for the answer to a command while Redis is down. The options set 0.5 s; a busy
#: machine needs longer, and an outage that is waited for lasts for ever.
FAST = 15.0


def ids_of(client: InProcessClient) -> list[int]:
    return [message["id"] for _, message in client.received("roomMessage")]


class Pair:
    """Two instances with alice on the first and bob on the second, both in a room."""

    def __init__(self, first: Instance, second: Instance) -> None:
        self.first = first
        self.second = second
        self.service = first.service

    async def enter(self) -> None:
        await self.service.add_room("room")
        self.alice = await self.first.joined("alice", "room")
        self.bob = await self.second.joined("bob", "room")

    async def fails_fast(self, *call: Any) -> None:
        """Check that a command fails with ``timeout`` promptly."""
        begun = asyncio.get_running_loop().time()
        assert await self.alice.error(*(call or ("roomMessage", "room", TEXT))) == wire_error("timeout")
        assert asyncio.get_running_loop().time() - begun < FAST

    async def works_again(self) -> None:
        """Check that messages reach both users in the same order without gaps."""

        async def is_answered() -> bool:
            return (await self.alice.emit("roomHistoryInfo", "room"))[0] is None

        await wait_until(is_answered, "commands are answered")
        last = await room_marker(self.service, "room")
        for client in (self.alice, self.bob):
            await wait_until(lambda client=client: last in ids_of(client), f"message {last} at {client!r}")
            assert ids_of(client) == list(range(ids_of(client)[0], last + 1))
            assert client.connected
        direct = {"textMessage": f"after {last}"}

        async def is_told() -> bool:
            # The users' topics are resubscribed too, but nothing indicates when.
            await self.alice.emit("directMessage", "bob", direct)
            return any(
                args[0]["textMessage"] == direct["textMessage"] for args in self.bob.received("directMessage")
            )

        await wait_until(is_told, "direct messages arrive")
