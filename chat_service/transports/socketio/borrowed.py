"""What we use of libraries that they do not publish. tests/e2e/test_library_pins.py pins all of it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web
from bidict import ValueDuplicationError
from socketio import AsyncManager

from chat_service.transports.socketio.packets import strict_decoder

# json: the scanner without its wrapper in Python

#: ``scan_json(text, start)`` returns the value that begins there and where it ends, without looking for white
#: space around it. Raises ``StopIteration``, ``ValueError`` or ``RecursionError``.
scan_json: Callable[[str, int], tuple[Any, int]] = strict_decoder.scan_once  # type: ignore[attr-defined]


# python-socketio: where a server keeps what it is made of


def replace_engine(server: Any, make: Callable[[Mapping[str, Any]], Any], environ: dict[str, Any]) -> Any:
    """Give a server an engine of our own, which is made for the handlers that the library's engine has.

    ``environ``: keeps the environs of its connections.
    """
    server.eio = make(server.eio.handlers)
    server.environ = environ
    return server.eio


def serves(server: Any, namespace: str) -> bool:
    """Whether a server has handlers for a namespace."""
    return namespace in server.handlers or namespace in server.namespace_handlers


def forget_namespace(server: Any, namespace: str) -> None:
    """Take the handlers of a namespace from a server."""
    server.handlers.pop(namespace, None)
    server.namespace_handlers.pop(namespace, None)


class Manager(AsyncManager):  # type: ignore[misc]
    """The stock manager makes a room for every socket, and looks through all rooms at each disconnect."""

    # Attributes of the stock class, which has no types.
    rooms: dict[str, dict[Any, Any]]
    server: Any
    pending_connect: dict[str, list[str]]

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        sid: str = self.server.eio.generate_id()
        try:
            self.basic_enter_room(sid, namespace, None, eio_sid=eio_sid)
        except ValueDuplicationError:
            # Connected already.
            return None
        self.pending_connect.setdefault(namespace, []).append(sid)
        return sid

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        if isinstance(room, str) and self.is_sid_room(namespace, room):
            # The room of a socket, which is not there.
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


# python-engineio: sessions of a server of the caller


def session_of(server: Any, sid: str) -> Any:
    """The session with an id, None when there is none."""
    return server.eio.sockets.get(sid)


def is_over(session: Any) -> bool:
    """Whether a session is over, or about to be."""
    return bool(session.closed or session.closing)


def queue_of(session: Any) -> "asyncio.Queue[Any]":
    """The packets that wait for the client."""
    queue: asyncio.Queue[Any] = session.queue
    return queue


async def cut(session: Any, reason: str) -> None:
    """Close a session without waiting for its client."""
    queue = queue_of(session)
    while not queue.empty():
        queue.get_nowait()
        queue.task_done()
    await session.close(wait=False, abort=True, reason=reason)


# aiohttp: a connection that is taken from it


class _Tail:
    """Takes the place of a WebSocket parser of aiohttp, and keeps what it is fed."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


class Detached(web.StreamResponse):
    """The answer to a request whose connection aiohttp no longer manages."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def detach(request: web.BaseRequest) -> tuple[asyncio.Transport, bytes]:
    """Take the transport of a request for an upgrade from aiohttp, which believes that it is lost.

    Returns what has come after the request, too. What aiohttp keeps per connection is free then: a protocol,
    a parser, two tasks. Raises ``ConnectionResetError`` when the client has gone.
    """
    protocol: Any = request.protocol
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    tail = _Tail()
    protocol.set_parser(tail)
    # Without its transport it can close nothing.
    protocol.transport = None
    protocol.connection_lost(None)
    return transport, tail.data
