"""A client for the conformance suite of the Socket.IO transport, based on python-socketio."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import socketio

from chat_service.contracts.transport import Transport
from chat_service.testing.transport_suite import Connect
from chat_service.types import SocketId
from tests.support.patience import PATIENCE

NAMESPACE = "/chat-service"


class SocketIOClient:
    """A ``TransportClient``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.id = SocketId(client.get_sid(NAMESPACE))
        self.events: list[tuple[str, list[Any]]] = []

    @property
    def connected(self) -> bool:
        return NAMESPACE in self._client.namespaces and self._client.eio.state == "connected"

    def take(self, event: str, *args: Any) -> None:
        self.events.append((event, list(args)))

    async def emit(self, event: str, *args: Any) -> list[Any]:
        acked: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        await self._client.emit(
            event, args, namespace=NAMESPACE, callback=lambda *values: acked.set_result(list(values))
        )
        async with asyncio.timeout(PATIENCE):
            return await acked

    async def send(self, event: str, *args: Any) -> None:
        await self._client.emit(event, args, namespace=NAMESPACE)

    async def disconnect(self) -> None:
        if self.connected:
            # A polling client in the middle of a request does not send its disconnect.
            engine = self._client.eio
            sent = asyncio.create_task(engine.queue.join())
            await asyncio.wait([sent, engine.read_loop_task], return_when=asyncio.FIRST_COMPLETED)
            sent.cancel()
        await self._client.disconnect()
        # The client's own wait() sleeps for a second.
        await self._client.eio.wait()


def connector(transport_name: str, serializer: str = "default") -> Connect:
    """Connects clients with one Engine.IO transport."""

    async def connect(
        transport: Transport,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,
    ) -> SocketIOClient:
        client = socketio.AsyncClient(reconnection=False, serializer=serializer)
        early: list[tuple[Any, ...]] = []
        client.on("*", lambda *event: early.append(event), namespace=NAMESPACE)
        try:
            await client.connect(
                f"http://127.0.0.1:{transport.port}?{urlencode(query or {})}",
                headers=dict(headers or {}),
                auth=auth,
                transports=[transport_name],
                namespaces=[NAMESPACE],
                wait_timeout=int(PATIENCE),
            )
        except BaseException:
            await client.disconnect()
            raise
        made = SocketIOClient(client)
        for event in early:
            made.take(*event)
        client.on("*", made.take, namespace=NAMESPACE)
        return made

    return connect
