"""Requests received by aiohttp: polling, and WebSockets that are taken over from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from aiohttp import web

from chat_service.http_ports import refuse_packed
from chat_service.transports.socketio.borrowed import Detached, detach
from chat_service.transports.socketio.engine.doors import FOR_WEBSOCKETS, UPGRADE_REQUIRED, Door, paths_of
from chat_service.transports.socketio.engine.framing import DEFLATE_ANSWER, accepts_deflate
from chat_service.transports.socketio.engine.gate import Refusal
from chat_service.transports.socketio.engine.hub import Hub
from chat_service.transports.socketio.engine.opening import Opening, join_headers
from chat_service.transports.socketio.engine.polling import Answer, answer, refuse
from chat_service.transports.socketio.engine.websocket import WebSocketConnection

#: Answers a request for a path.
AnswerPage = Callable[[Opening, str], Answer]


def read_opening(request: web.BaseRequest) -> Opening:
    """The head of a request."""
    return Opening(
        request.method,
        request.path,
        request.rel_url.raw_query_string,
        join_headers(request.raw_headers),
        remote_addr=request.remote,
        scheme=request.scheme,
    )


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
    """Answer a request."""
    if (refused := await refuse_packed(request)) is not None:  # type: ignore[arg-type]
        return refused
    opening = read_opening(request)
    hub.identify(opening)
    if opening.query.get("transport") == "websocket" and opening.asks_for_websocket:
        try:
            return await _take_over(hub, request, opening)
        except Refusal as refusal:
            return _respond(refuse(refusal))
        except ConnectionResetError:
            return Detached()
    return _respond(await answer(hub, AiohttpExchange(request, opening)))


def add_pages(app: web.Application, paths: Iterable[str], answer_page: AnswerPage) -> None:
    """Answer all requests for these paths of an application."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if (refused := await refuse_packed(request)) is not None:
            return refused
        return _respond(answer_page(read_opening(request), request.path))

    for path in paths:
        app.router.add_route("*", path, serve)


def _respond(found: Answer) -> web.Response:
    response = web.Response(status=found.status, body=found.body)
    response.headers["Content-Type"] = found.content_type
    for name, value in found.headers:
        response.headers.add(name, value)
    if found.ends_connection:
        response.force_close()
    return response


async def _take_over(hub: Hub, request: web.BaseRequest, opening: Opening) -> Detached:
    peer = hub.check(opening)

    def join(transport: asyncio.Transport) -> tuple[WebSocketConnection, Awaitable[Any] | None]:
        line = accept(hub, opening, transport)
        work = hub.join(peer, opening, line)
        transport.set_protocol(line)
        return line, work

    return await _detach_to(request, join)


async def serve_door(door: Door, request: web.BaseRequest) -> web.StreamResponse:
    """Answer a request for a door."""
    if (refused := await refuse_packed(request)) is not None:  # type: ignore[arg-type]
        return refused
    opening = read_opening(request)
    try:
        if not opening.asks_for_websocket:
            raise Refusal(UPGRADE_REQUIRED, FOR_WEBSOCKETS)
        door.check(opening)
        return await _detach_to(request, lambda transport: (door.open(opening, transport), None))
    except Refusal as refusal:
        response = _respond(refuse(refusal))
        if refusal.status == UPGRADE_REQUIRED:
            response.headers["Upgrade"] = "websocket"
        return response
    except ConnectionResetError:
        return Detached()


def add_door(app: web.Application, door: Door) -> None:
    """Serve a door on an application."""
    for path in paths_of(door):
        app.router.add_route("*", path, partial(serve_door, door))


def application_of(door: Door) -> web.Application:
    """An application that serves nothing else."""
    app = web.Application()
    add_door(app, door)
    return app


async def _detach_to(
    request: web.BaseRequest,
    join: Callable[[asyncio.Transport], tuple[WebSocketConnection, Awaitable[Any] | None]],
) -> Detached:
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    transport, tail = detach(request)
    line, work = join(transport)
    if work is not None:
        await work
    if tail:
        line.data_received(tail)
    # aiohttp stops reading if the rest is long.
    if not transport.is_closing():
        transport.resume_reading()
    if task is not None and task.cancelling() > before:
        # An application may want its handlers to be cancelled when a connection is lost.
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            task.uncancel()
    return Detached()


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
