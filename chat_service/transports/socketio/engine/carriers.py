"""The carriers of Engine.IO: polling requests and WebSockets from our own port, aiohttp and ASGI servers."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from chat_service.concurrency import eager
from chat_service.http_ports import refuse_packed, refuse_packed_asgi
from chat_service.transports.borrowed import Detached
from chat_service.transports.network import aiohttp_carrier, asgi_carrier
from chat_service.transports.network.asgi_carrier import REFUSED, AsgiLine, Receive, Scope, Send
from chat_service.transports.network.framing import DEFLATE_ANSWER, accepts_deflate
from chat_service.transports.network.front import Entrance
from chat_service.transports.network.gate import Refusal, refuse
from chat_service.transports.network.opening import Opening
from chat_service.transports.network.websocket import WebSocketConnection
from chat_service.transports.socketio.engine.hub import Hub
from chat_service.transports.socketio.engine.polling import answer

logger = logging.getLogger("chat_service")


# Our own port


def accept(hub: Hub, opening: Opening, transport: asyncio.Transport) -> WebSocketConnection:
    """Turn a connection into a WebSocket by replacing its protocol."""
    extra: list[tuple[str, str]] = []
    is_compressed = hub.compression and accepts_deflate(opening.headers.get("sec-websocket-extensions", ""))
    if is_compressed:
        extra.append(("Sec-WebSocket-Extensions", DEFLATE_ANSWER))
    if opening.protocols:
        # Browsers require one of the protocols they offer; it is Engine.IO in any case.
        extra.append(("Sec-WebSocket-Protocol", opening.protocols[0]))
    return WebSocketConnection(
        transport,
        hub.outbox,
        opening.accept(*extra),
        max_message_size=hub.max_message_size,
        send_buffer_limit=hub.send_buffer_limit,
        per_turn=hub.per_turn,
        is_compressed=is_compressed,
    )


def entrance_of_hub(hub: Hub) -> Entrance:
    """Opens WebSockets of Engine.IO."""

    def enter(opening: Opening, transport: asyncio.Transport, rest: bytes) -> bool:
        if opening.query.get("transport") != "websocket":
            return False
        hub.identify(opening)
        peer = hub.check(opening)
        line = accept(hub, opening, transport)
        work = hub.join(peer, opening, line)
        transport.set_protocol(line)
        if work is not None:
            eager.start(work, _nothing)
        if rest:
            line.data_received(rest)
        return True

    return enter


def _nothing(_: object) -> None:
    pass


# aiohttp


class AiohttpExchange:
    """An ``Exchange`` over aiohttp."""

    def __init__(self, request: web.BaseRequest, opening: Opening) -> None:
        self.opening = opening
        self._request = request

    def is_there(self) -> bool:
        """Whether the client is still waiting for the answer."""
        transport = self._request.transport
        return transport is not None and not transport.is_closing()

    async def read(self, most: int) -> bytes:
        """The body."""
        length = self._request.content_length
        if length is not None and length > most:
            raise ValueError("the body is too large")
        body = bytearray()
        try:
            while part := await self._request.content.readany():
                body += part
                if len(body) > most:
                    raise ValueError("the body is too large")
        except (web.RequestPayloadError, ConnectionError) as error:
            raise ValueError(f"the body does not come: {error!r}") from None
        return bytes(body)

    async def poll(self, work: Awaitable[list[str | bytes] | None]) -> list[str | bytes] | None:
        """Wait for a poll. The peer checks by itself whether the client is still connected."""
        return await work


async def serve_aiohttp(hub: Hub, request: web.BaseRequest) -> web.StreamResponse:
    """Answer a request that aiohttp has received."""
    if (refused := await refuse_packed(request)) is not None:  # type: ignore[arg-type]
        return refused
    opening = aiohttp_carrier.read_opening(request)
    hub.identify(opening)
    if opening.query.get("transport") == "websocket" and opening.asks_for_websocket:
        try:
            return await _take_over(hub, request, opening)
        except Refusal as refusal:
            return aiohttp_carrier.respond(refuse(refusal))
        except ConnectionResetError:
            return Detached()
    return aiohttp_carrier.respond(await answer(hub, AiohttpExchange(request, opening)))


async def _take_over(hub: Hub, request: web.BaseRequest, opening: Opening) -> Detached:
    peer = hub.check(opening)

    def join(transport: asyncio.Transport) -> tuple[WebSocketConnection, Awaitable[Any] | None]:
        line = accept(hub, opening, transport)
        work = hub.join(peer, opening, line)
        transport.set_protocol(line)
        return line, work

    return await aiohttp_carrier.detach_to(request, join)


# ASGI


class ClientGone(Exception):
    """The client disconnected before its request was answered."""


class AsgiExchange:
    """An ``Exchange`` over ASGI."""

    def __init__(self, opening: Opening, first: Any, receive: Receive) -> None:
        """``first``: the first event of the request."""
        self.opening = opening
        self._first = first
        self._receive = receive
        self._is_there = True

    def is_there(self) -> bool:
        """Whether the client is still waiting for the answer."""
        return self._is_there

    async def read(self, most: int) -> bytes:
        """The body."""
        body = bytearray()
        event = self._first
        while True:
            if event["type"] != "http.request":
                self._is_there = False
                raise ValueError("the client has gone")
            body += event.get("body") or b""
            if len(body) > most:
                raise ValueError("the body is too large")
            if not event.get("more_body"):
                return bytes(body)
            event = await self._receive()

    async def poll(self, work: Awaitable[list[str | bytes] | None]) -> list[str | bytes] | None:
        """Wait for a poll, and end it if the client disconnects. Raises ``ClientGone``."""
        polling = asyncio.ensure_future(work)
        # Most polls of a new session need not wait.
        await asyncio.sleep(0)
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait([polling, watching], return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                raise ClientGone
            return polling.result()
        finally:
            for task in (polling, watching):
                task.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_there = False


async def serve_asgi(hub: Hub, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that an ASGI server has received, or serve a WebSocket until it is closed."""
    if await refuse_packed_asgi(scope, send):
        return
    opening = asgi_carrier.read_opening(scope)
    hub.identify(opening)
    if scope["type"] == "websocket":
        await _serve_websocket(hub, opening, scope, receive, send)
        return
    first = await receive()
    if first["type"] != "http.request":
        return
    try:
        found = await answer(hub, AsgiExchange(opening, first, receive))
    except ClientGone:
        return
    await asgi_carrier.respond(send, found)


async def _serve_websocket(hub: Hub, opening: Opening, scope: Scope, receive: Receive, send: Send) -> None:
    if (await receive())["type"] != "websocket.connect":
        return
    try:
        if opening.query.get("transport") != "websocket":
            raise Refusal(400, "Transport unknown", 0)
        peer = hub.check(opening)
    except Refusal as refusal:
        logger.debug("refused a WebSocket: %s", refusal)
        # 403 in HTTP. With a custom response, some versions of uvicorn log an error.
        await send({"type": "websocket.close", "code": REFUSED, "reason": str(refusal)})
        return
    offered = scope.get("subprotocols") or ()
    await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
    line = AsgiLine(receive, send, hub.send_buffer_limit, hub.max_message_size)
    await line.serve(hub.join(peer, opening, line), hub.per_turn)
