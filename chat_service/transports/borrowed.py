"""Our use of private names of libraries. tests/e2e/test_library_pins.py pins all of them."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web
from aiohttp._websocket.helpers import websocket_mask
from bidict import ValueDuplicationError
from socketio import AsyncManager

# json: the C scanner without its Python wrapper


def scanner_of(decoder: json.JSONDecoder) -> Callable[[str, int], tuple[Any, int]]:
    """A function of a text and a position, which returns the value that begins there and its end position.

    It does not skip white space, and raises ``StopIteration``, ``ValueError`` or ``RecursionError``.
    """
    scan: Callable[[str, int], tuple[Any, int]] = decoder.scan_once  # type: ignore[attr-defined]
    return scan


# aiohttp: the mask of WebSocket frames, written in C where aiohttp has been compiled

#: ``mask(key, payload)`` applies the four bytes of a key to a payload in place.
mask: Callable[[bytes, bytearray], None] = websocket_mask


# python-socketio: the internal parts of a server


def replace_engine(server: Any, make: Callable[[Mapping[str, Any]], Any], environ: dict[str, Any]) -> Any:
    """Replace the engine of a server with ours, which is created with the handlers of the library's
    engine.

    ``environ``: stores the environs of its connections.
    """
    server.eio = make(server.eio.handlers)
    server.environ = environ
    return server.eio


def serves(server: Any, namespace: str) -> bool:
    """Whether a server has handlers for a namespace."""
    return namespace in server.handlers or namespace in server.namespace_handlers


def forget_namespace(server: Any, namespace: str) -> None:
    """Remove the handlers of a namespace from a server."""
    server.handlers.pop(namespace, None)
    server.namespace_handlers.pop(namespace, None)


class Manager(AsyncManager):  # type: ignore[misc]
    """The stock manager creates a room for every socket, and searches all rooms at each disconnect."""

    # Attributes of the stock class, which is not typed.
    rooms: dict[str, dict[Any, Any]]
    server: Any
    pending_connect: dict[str, list[str]]

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        sid: str = self.server.eio.generate_id()
        try:
            self.basic_enter_room(sid, namespace, None, eio_sid=eio_sid)
        except ValueDuplicationError:
            # Already connected.
            return None
        self.pending_connect.setdefault(namespace, []).append(sid)
        return sid

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        if isinstance(room, str) and self.is_sid_room(namespace, room):
            # The room of a socket, which this class does not create.
            yield room, self.rooms[namespace][None][room]
        elif isinstance(room, list | tuple):
            participants: dict[str, str] = {}
            for item in room:
                participants.update(self.get_participants(namespace, item))
            yield from participants.items()
        else:
            yield from super().get_participants(namespace, room)

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        rooms: list[Any] = super().get_rooms(sid, namespace)
        return [sid, *rooms] if self.is_sid_room(namespace, sid) else rooms


# python-engineio: sessions of a caller's own server


def session_of(server: Any, sid: str) -> Any:
    """The session with an id, None if there is none."""
    return server.eio.sockets.get(sid)


def is_over(session: Any) -> bool:
    """Whether a session is closed or closing."""
    return bool(session.closed or session.closing)


def queue_of(session: Any) -> "asyncio.Queue[Any]":
    """The packets queued for the client."""
    queue: asyncio.Queue[Any] = session.queue
    return queue


async def cut(session: Any, reason: str) -> None:
    """Close a session without waiting for its client."""
    queue = queue_of(session)
    while not queue.empty():
        queue.get_nowait()
        queue.task_done()
    await session.close(wait=False, abort=True, reason=reason)


# aiohttp: taking over a connection


class _Tail:
    """Replaces a WebSocket parser of aiohttp, and collects the data fed to it."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


class Detached(web.StreamResponse):
    """The response to a request whose connection aiohttp no longer manages."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def detach(request: web.BaseRequest) -> tuple[asyncio.Transport, bytes]:
    """Take over the transport of an upgrade request from aiohttp, which then considers it lost.

    Also returns the data received after the request. This releases what aiohttp keeps per connection: a
    protocol, a parser, two tasks. Raises ``ConnectionResetError`` if the client has disconnected.
    """
    protocol: Any = request.protocol
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    tail = _Tail()
    protocol.set_parser(tail)
    # Without its transport it cannot close anything.
    protocol.transport = None
    protocol.connection_lost(None)
    return transport, tail.data
