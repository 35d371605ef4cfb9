"""Requests received by aiohttp: heads, answers, and WebSockets that are taken over from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from aiohttp import web

from chat_service.http_ports import refuse_packed
from chat_service.transports.borrowed import Detached, detach
from chat_service.transports.network.doors import FOR_WEBSOCKETS, UPGRADE_REQUIRED, Door, paths_of
from chat_service.transports.network.gate import Answer, Refusal, refuse
from chat_service.transports.network.opening import Opening, join_headers
from chat_service.transports.network.websocket import WebSocketConnection

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


def add_pages(app: web.Application, paths: Iterable[str], answer_page: AnswerPage) -> None:
    """Answer all requests for these paths of an application."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if (refused := await refuse_packed(request)) is not None:
            return refused
        return respond(answer_page(read_opening(request), request.path))

    for path in paths:
        app.router.add_route("*", path, serve)


def respond(found: Answer) -> web.Response:
    """The response of aiohttp."""
    response = web.Response(status=found.status, body=found.body)
    response.headers["Content-Type"] = found.content_type
    for name, value in found.headers:
        response.headers.add(name, value)
    if found.ends_connection:
        response.force_close()
    return response


async def serve_door(door: Door, request: web.BaseRequest) -> web.StreamResponse:
    """Answer a request for a door."""
    if (refused := await refuse_packed(request)) is not None:  # type: ignore[arg-type]
        return refused
    opening = read_opening(request)
    try:
        if not opening.asks_for_websocket:
            raise Refusal(UPGRADE_REQUIRED, FOR_WEBSOCKETS)
        door.check(opening)
        return await detach_to(request, lambda transport: (door.open(opening, transport), None))
    except Refusal as refusal:
        response = respond(refuse(refusal))
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


async def detach_to(
    request: web.BaseRequest,
    join: Callable[[asyncio.Transport], tuple[WebSocketConnection, Awaitable[Any] | None]],
) -> Detached:
    """Take a connection over from aiohttp. ``join`` turns it into a WebSocket, and may return what to await
    before anything is read. Raises ``ConnectionResetError`` if the client has disconnected.
    """
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
