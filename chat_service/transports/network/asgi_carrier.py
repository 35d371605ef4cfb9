"""Requests and WebSockets received by ASGI servers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from chat_service.http_ports import refuse_packed_asgi
from chat_service.transports.network.doors import FOR_WEBSOCKETS, UPGRADE_REQUIRED, Door
from chat_service.transports.network.framing import NORMAL_CLOSURE, TOO_LARGE
from chat_service.transports.network.gate import Answer, Refusal
from chat_service.transports.network.lines import CLOSE_GRACE, NOBODY, Receiver, Waiting
from chat_service.transports.network.opening import Opening, join_headers, read_text

logger = logging.getLogger("chat_service")

#: Names of the warnings that have been logged.
_warned: list[int] = []

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

#: The close code for a refused WebSocket: policy violation.
REFUSED = 1008


def read_opening(scope: Scope) -> Opening:
    """The head of a request, or of a WebSocket."""
    client = scope.get("client")
    scheme = scope.get("scheme") or "http"
    return Opening(
        scope.get("method", "GET"),
        scope["path"],
        read_text(scope.get("query_string") or b""),
        join_headers(scope.get("headers") or ()),
        remote_addr=str(client[0]) if client else None,
        scheme={"ws": "http", "wss": "https"}.get(scheme, scheme),
    )


async def respond(send: Send, found: Answer) -> None:
    """Send an answer."""
    headers = [
        ("content-type", found.content_type),
        ("content-length", str(len(found.body))),
        *found.headers,
    ]
    if found.ends_connection:
        headers.append(("connection", "close"))
    raw = [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in headers]
    await send({"type": "http.response.start", "status": found.status, "headers": raw})
    await send({"type": "http.response.body", "body": found.body})


async def serve_page(
    answer_page: Callable[[Opening, str], Answer], path: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a request for a path. WebSockets are refused."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": REFUSED, "reason": "not a WebSocket"})
    elif not await refuse_packed_asgi(scope, send):
        await respond(send, answer_page(read_opening(scope), path))


async def serve_door(door: Door, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for a door, or serve its WebSocket until it is closed."""
    opening = read_opening(scope)
    if scope["type"] != "websocket":
        found = Answer(UPGRADE_REQUIRED, FOR_WEBSOCKETS.encode())
        found.headers.append(("Upgrade", "websocket"))
        await respond(send, found)
        return
    if (await receive())["type"] != "websocket.connect":
        return
    try:
        door.check(opening)
    except Refusal as refusal:
        logger.debug("refused a WebSocket: %s", refusal)
        await send({"type": "websocket.close", "code": REFUSED, "reason": str(refusal)})
        return
    await send({"type": "websocket.accept", "subprotocol": door.subprotocol(opening)})
    await door.serve_asgi(opening, receive, send)


def _warn_of_size(size: int, limit: int) -> None:
    """Warn once that the ASGI server accepts too large messages, which it holds in memory."""
    if not _warned:
        _warned.append(size)
        logger.warning(
            "the ASGI server has read a message of %s bytes, more than max_message_size (%s): set the "
            "server's own limit to the same size, in uvicorn with ws_max_size",
            size,
            limit,
        )


class AsgiLine:
    """A ``Line`` over ASGI: one task reads and passes messages on, another one writes."""

    #: The ASGI server makes the frames.
    sink = None

    def __init__(self, receive: Receive, send: Send, send_buffer_limit: int, max_message_size: int) -> None:
        self.receiver: Receiver = NOBODY
        self._receive = receive
        self._send = send
        self._max_message_size = max_message_size
        self._waiting = Waiting(send_buffer_limit)
        #: Size of the packet that is being passed to the server.
        self._in_hand = 0
        #: Number of packets passed to the server, now and at the last check.
        self._sent = self._seen = 0
        self._code: int | None = None
        self._has_more: asyncio.Event = asyncio.Event()
        self._may_go_on: asyncio.Event = asyncio.Event()
        self._closed: asyncio.Event = asyncio.Event()
        # Stops the reader.
        self._limit: asyncio.Timeout | None = None

    def __repr__(self) -> str:
        return f"<AsgiLine unsent={self.unsent}>"

    @property
    def unsent(self) -> int:
        """Part of ``Line``."""
        return self._waiting.bytes + self._in_hand

    @property
    def is_full(self) -> bool:
        """Part of ``Line``."""
        return self._waiting.is_full

    def begin(self, packet: str | None) -> None:
        """Part of ``Line``: the client has already been accepted."""
        if packet is not None:
            self.send(packet)

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """Part of ``Line``."""
        if self._code is not None:
            return
        was_full = self.is_full
        self._waiting.put(packet, is_answer=is_answer)
        self._has_more.set()
        if self.is_full and not was_full:
            self.receiver.full()
        if self._waiting.is_over_limit:
            unsent = self.unsent
            self.abort()
            self.receiver.slow(unsent)

    def has_drained(self) -> bool:
        """Part of ``Line``."""
        seen, self._seen = self._seen, self._sent
        return self._sent > seen

    def proceed(self) -> None:
        """Part of ``Line``."""
        self._may_go_on.set()

    def close(self) -> None:
        """Part of ``Line``."""
        self.close_with(NORMAL_CLOSURE)

    def close_with(self, code: int) -> None:
        """Close with a close code (RFC 6455, section 7.4)."""
        if self._code is None:
            self._code = code
            self._has_more.set()
            self._end_reading(CLOSE_GRACE)

    def abort(self) -> None:
        """Part of ``Line``."""
        self._waiting.drop()
        self.close_with(NORMAL_CLOSURE)
        self._end_reading(0)

    def _end_reading(self, seconds: float) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    async def wait_closed(self) -> None:
        """Part of ``Line``."""
        await self._closed.wait()

    async def serve(self, first: Awaitable[Any] | None, per_turn: int) -> None:
        """Return when the WebSocket is closed. ``first``: called before reading begins."""
        writer = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(None) as self._limit:
                if self._code is not None:
                    self._end_reading(CLOSE_GRACE)
                if first is not None:
                    await first
                await self._read(per_turn)
        except TimeoutError:
            logger.debug("a client did not confirm the close of its WebSocket in time")
        finally:
            self._limit = None
            self._waiting.drop()
            self._code = self._code or NORMAL_CLOSURE
            self._has_more.set()
            await asyncio.wait([writer], timeout=CLOSE_GRACE)
            writer.cancel()
            self._closed.set()
            # They refer to each other.
            receiver, self.receiver = self.receiver, NOBODY
            receiver.lost()

    async def _read(self, per_turn: int) -> None:
        left = per_turn
        while True:
            while self.receiver.is_blocked:
                self._may_go_on.clear()
                await self._may_go_on.wait()
            event = await self._receive()
            if event["type"] != "websocket.receive":
                return
            packet = event.get("text")
            if packet is None:
                packet = event.get("bytes") or b""
            if len(packet) > self._max_message_size:
                _warn_of_size(len(packet), self._max_message_size)
                self.close_with(TOO_LARGE)
                return
            if self._code is None:
                self.receiver.take(packet)
            left -= 1
            if not left:
                # Let other clients have their turn.
                await asyncio.sleep(0)
                left = per_turn

    async def _write(self) -> None:
        """Send waiting packets until the end, then signal it."""
        try:
            while True:
                was_full = self.is_full
                for packet in self._waiting.take(1):
                    self._in_hand = len(packet)
                    key = "bytes" if isinstance(packet, bytes) else "text"
                    await self._send({"type": "websocket.send", key: packet})
                    self._in_hand = 0
                    self._sent += 1
                    if was_full and not self.is_full:
                        self.receiver.drained()
                if not self._waiting:
                    if self._code is not None:
                        await self._send({"type": "websocket.close", "code": self._code})
                        return
                    self._has_more.clear()
                    await self._has_more.wait()
        except Exception as error:
            # The client has disconnected, which the reader will notice.
            logger.debug("writing to a WebSocket failed: %r", error)
            self._waiting.drop()
            self._code = self._code or NORMAL_CLOSURE
            self._end_reading(CLOSE_GRACE)
