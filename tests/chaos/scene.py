"""The parts of a run that faults can affect."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import redis as redis_client

from tests.chaos.backends import Backend
from tests.chaos.instances import Instances
from tests.chaos.record import Record


class Scene:
    """Servers, instances, dice and record of a run. ``restore_rooms``: makes the rooms that are missing."""

    def __init__(
        self,
        backend: Backend,
        instances: Instances,
        rng: random.Random,
        record: Record,
        restore_rooms: Callable[[], Awaitable[None]],
    ) -> None:
        self.backend = backend
        self.instances = instances
        self.rng = rng
        self.record = record
        self.restore_rooms = restore_rooms
        if backend.proxy is not None:
            backend.proxy.random = rng

    async def pause(self, shortest: float, longest: float) -> None:
        await asyncio.sleep(self.rng.uniform(shortest, longest))

    async def everywhere(self, *command: str | int) -> None:
        """Run a command at every server."""

        def run() -> None:
            for server in self.backend.servers():
                with server.client() as client:
                    client.execute_command(*command)

        await asyncio.to_thread(run)

    @contextlib.asynccontextmanager
    async def configured(self, changed: Mapping[str, str], *then: tuple[str, ...]) -> AsyncIterator[None]:
        """Other settings of every server for a while, and commands to run right after the change.

        Its own connections stay open, since new ones may not be possible meanwhile.
        """
        servers = self.backend.servers()
        clients = [server.client(single_connection_client=True) for server in servers]
        former: list[dict[str, str]] = []

        def change() -> None:
            for client in clients:
                former.append({name: str(client.config_get(name)[name]) for name in changed})
                for name, value in changed.items():
                    client.config_set(name, value)
                for command in then:
                    client.execute_command(*command)

        def restore() -> None:
            for client, settings in zip(clients, former, strict=False):
                for name, value in settings.items():
                    client.config_set(name, value)

        try:
            await asyncio.to_thread(change)
            yield
        finally:
            try:
                await asyncio.to_thread(restore)
            finally:
                for client in clients:
                    with contextlib.suppress(redis_client.RedisError):
                        client.close()

    async def heal(self) -> None:
        """Undo whatever a fault that failed may have left."""
        for instance in self.instances.all:
            if instance.is_running:
                instance.resume()
                instance.set_clock(0.0)
                instance.limit_descriptors(None)
        self.backend.set_clock(0.0)
        if self.backend.proxy is not None:
            self.backend.proxy.delay = 0.0
            self.backend.proxy.release()
            self.backend.proxy.refuses = False
