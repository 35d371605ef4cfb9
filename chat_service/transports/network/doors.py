"""Doors: paths on the same port as Socket.IO, whose WebSockets speak another protocol."""

import asyncio
from typing import Any, Final, Protocol

from chat_service.transports.network.gate import Gate
from chat_service.transports.network.opening import Opening
from chat_service.transports.network.websocket import WebSocketConnection

#: The status and the text for a request that is not for a WebSocket.
UPGRADE_REQUIRED: Final = 426
FOR_WEBSOCKETS: Final = "this address is for WebSockets"


class Door(Protocol):
    """Serves the WebSockets of one path."""

    @property
    def path(self) -> str:
        """The path, with a leading slash and without a trailing one."""
        ...

    def use_gate(self, gate: Gate) -> None:
        """Check requests as this gate does. Called once, before any other method."""
        ...

    def check(self, opening: Opening) -> None:
        """Find out the address of a client, and raise ``Refusal`` unless it may open a WebSocket."""
        ...

    def open(self, opening: Opening, transport: asyncio.Transport) -> WebSocketConnection:
        """Turn the connection of a checked request into a WebSocket, which has been greeted."""
        ...

    async def serve_asgi(self, opening: Opening, receive: Any, send: Any) -> None:
        """Serve the WebSocket of a checked request, which an ASGI server has accepted, until its end."""
        ...

    def subprotocol(self, opening: Opening) -> str | None:
        """The subprotocol for a client."""
        ...


def paths_of(door: Door) -> tuple[str, str]:
    """The paths of a door, with and without a trailing slash."""
    return door.path, f"{door.path}/"
