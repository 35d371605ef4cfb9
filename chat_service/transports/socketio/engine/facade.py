"""The interface that python-socketio, its admin instrumentation and applications expect of an Engine.IO
server.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from chat_service.transports.network.lines import (
    CLIENT_DISCONNECT,
    PING_TIMEOUT,
    SERVER_DISCONNECT,
    TRANSPORT_CLOSE,
)
from chat_service.transports.socketio.engine.carriers import serve_aiohttp, serve_asgi
from chat_service.transports.socketio.engine.hub import Hub
from chat_service.transports.socketio.engine.peer import Peer
from chat_service.transports.socketio.engine.session import MESSAGE

logger = logging.getLogger("chat_service")

#: Handlers of the server's own events.
EVENTS = ("connect", "message", "disconnect")


class Engine:
    """The ``eio`` of a ``socketio.AsyncServer``: our hub with the methods that the library calls."""

    class reason:  # noqa: N801 - the library's name
        """Reasons why sessions end."""

        SERVER_DISCONNECT = SERVER_DISCONNECT
        CLIENT_DISCONNECT = CLIENT_DISCONNECT
        PING_TIMEOUT = PING_TIMEOUT
        TRANSPORT_CLOSE = TRANSPORT_CLOSE
        TRANSPORT_ERROR = "transport error"

    def __init__(self, hub: Hub, async_mode: str, handlers: Mapping[str, Callable[..., Any]]) -> None:
        """``handlers``: the handlers of the library's server, by event."""
        self.hub = hub
        self.async_mode = async_mode
        self.handlers: dict[str, Callable[..., Any]] = dict(handlers)
        self.logger = logger
        self.ping_interval = hub.ping_interval
        self.ping_timeout = hub.ping_timeout
        self.max_http_buffer_size = hub.max_message_size
        self.transports = list(hub.transports)

    def __repr__(self) -> str:
        return f"<Engine {self.async_mode} sockets={len(self.sockets)}>"

    @property
    def sockets(self) -> dict[str, Peer]:
        """The open sessions by their ids."""
        return self.hub.sockets

    # Handlers

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register a handler of "connect", "message" or "disconnect", or return a decorator that does."""
        if event not in EVENTS:
            raise ValueError("Invalid event")
        if handler is not None:
            self.handlers[event] = handler
            return None

        def register(given: Callable[..., Any]) -> Callable[..., Any]:
            self.handlers[event] = given
            return given

        return register

    async def trigger(self, event: str, *args: Any) -> Any:
        """Call the handler of an event."""
        handler = self.handlers.get(event)
        result = handler(*args) if handler is not None else None
        return await result if inspect.isawaitable(result) else result

    # Sending

    async def send(self, sid: str, data: str | bytes) -> None:
        """Send a message. Ignored if the session is closed."""
        self.put(sid, data)

    def put(self, sid: str, data: str | bytes) -> None:
        """Same as ``send``."""
        peer = self.hub.sockets.get(sid)
        if peer is not None:
            peer.send(data if isinstance(data, bytes) else MESSAGE + data)

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Send a packet of python-engineio."""
        peer = self.hub.sockets.get(sid)
        if peer is not None:
            encoded = pkt.encode()
            peer.send(bytes(encoded) if isinstance(encoded, bytes | bytearray) else encoded)

    # Sessions

    def transport(self, sid: str) -> str:
        """ "polling" or "websocket". Raises ``KeyError`` if the session is closed."""
        return "websocket" if self._get_socket(sid).upgraded else "polling"

    def _get_socket(self, sid: str) -> Peer:
        return self.hub.sockets[sid]

    async def get_session(self, sid: str) -> dict[str, Any]:
        """The data that an application stores for a session."""
        peer = self._get_socket(sid)
        if peer.user_session is None:
            peer.user_session = {}
        return peer.user_session

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Store data for a session."""
        self._get_socket(sid).user_session = session

    @asynccontextmanager
    async def session(self, sid: str) -> AsyncIterator[dict[str, Any]]:
        """The stored data of a session, as a context manager that saves it at the end."""
        session = await self.get_session(sid)
        yield session
        await self.save_session(sid, session)

    async def disconnect(self, sid: str | None = None) -> None:
        """Close one session, or all of them."""
        peers = list(self.hub.sockets.values()) if sid is None else [self.hub.sockets.get(sid)]
        for peer in peers:
            if peer is not None:
                await peer.close()

    def generate_id(self) -> str:
        """A new, unguessable id."""
        return self.hub.generate_id()

    # Requests

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Serve a path of an aiohttp application, with and without a trailing slash."""
        path = f"/{engineio_path.strip('/')}"
        for route in (path, f"{path}/"):
            app.router.add_route("*", route, self.handle_request)

    async def handle_request(self, *args: Any) -> Any:
        """Serve a request of aiohttp or, with ``scope``, ``receive`` and ``send``, of ASGI."""
        if len(args) == 1:
            return await serve_aiohttp(self.hub, args[0])
        await serve_asgi(self.hub, *args)
        return None

    # Tools of the library's asynchronous models

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> "asyncio.Future[Any]":
        """Run a coroutine function in a task."""
        return asyncio.ensure_future(target(*args, **kwargs))

    async def sleep(self, seconds: float = 0) -> None:
        """Same as ``asyncio.sleep``."""
        await asyncio.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> "asyncio.Queue[Any]":
        """Same as ``asyncio.Queue``."""
        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        """The exception of an empty queue."""
        return asyncio.QueueEmpty

    def create_event(self, *args: Any, **kwargs: Any) -> asyncio.Event:
        """Same as ``asyncio.Event``."""
        return asyncio.Event(*args, **kwargs)

    async def shutdown(self) -> None:
        """Does nothing: the transport owns the hub and closes it."""

    def _ok(self, packets: Any = None, headers: Any = None, jsonp_index: Any = None) -> dict[str, Any]:
        # The library's instrumentation patches this to count answers to polls.
        return {"status": "200 OK", "headers": headers or [], "response": b""}
