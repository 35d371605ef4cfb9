"""A service under test: instances that share a backend, and their clients."""

from collections.abc import Mapping
from typing import Any

from chat_service import ChatService, Clock, Store
from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.testing import InProcessClient, InProcessTransport
from tests.support.backends import Backend
from tests.support.parts import parts_of


def name_by_query(service: ChatService, socket_id: str) -> str | None:
    """An ``on_connect`` hook: the user's name is the query field ``userName``."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


class Instance:
    """One running service with an in-process transport."""

    def __init__(self, service: ChatService, transport: InProcessTransport) -> None:
        self.service = service
        self.transport = transport
        #: All instances of the test.
        self.peers: list[Instance] = [self]

    async def login(self, user_name: str, **handshake: Any) -> InProcessClient:
        """A client whose login is confirmed. The events of the login are discarded."""
        client = await self.transport.login(user_name, **handshake)
        client.clear()
        return client

    async def joined(self, user_name: str, *rooms: str) -> InProcessClient:
        """A client that has joined rooms. Its events up to this point are discarded."""
        client = await self.login(user_name)
        for room in rooms:
            await client.call("roomJoin", room)
            await self._settle(room, client)
        client.clear()
        return client

    async def _settle(self, room: str, client: InProcessClient) -> None:
        """Return when a client has received everything that its join published, by means of an event for it
        alone.
        """
        everybody = (socket_id for peer in self.peers for socket_id in peer.transport.socket_ids())
        others = tuple(socket_id for socket_id in everybody if socket_id != client.id)
        marker = Notify(event="settled", args=(), exclude=others)
        await parts_of(self.service).store.bus.publish(Topic(TopicKind.ROOM, room), marker)
        await client.wait_for("settled")


class World:
    """Creates instances that share one backend, and closes them at the end."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.instances: list[Instance] = []

    def make(
        self,
        *,
        hooks: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        store: Store | None = None,
        **options: Any,
    ) -> Instance:
        """Create another instance without starting it. ``store``: one of this backend; a new one when None.

        Room management, direct messages and conversations are enabled unless ``options`` say otherwise.
        """
        options = {
            "enable_rooms_management": True,
            "enable_direct_messages": True,
            "enable_direct_conversations": True,
            # Tests send fast. Tests of the limit set it themselves.
            "command_rate": None,
            **options,
        }
        transport = InProcessTransport()
        service = ChatService(
            store=store or self.backend.new_store(),
            transport=transport,
            hooks={"on_connect": name_by_query, **(hooks or {})},
            clock=clock,
            **options,
        )
        instance = Instance(service, transport)
        self.instances.append(instance)
        instance.peers = self.instances
        return instance

    async def start(self, **options: Any) -> Instance:
        """Create another instance and start it."""
        instance = self.make(**options)
        await instance.service.start()
        return instance

    async def close(self) -> None:
        """Close all instances. Raises the first error."""
        for instance in reversed(self.instances):
            await instance.service.close()
