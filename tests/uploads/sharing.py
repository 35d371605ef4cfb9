"""A service with uploads on each kind of carrier, its clients, and small files of real formats."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from aiohttp import web
from PIL import Image

from chat_service import ChatService
from chat_service.client import ChatClient
from chat_service.testing import wait_until
from chat_service.uploads import Uploads
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query

ROOM = "tea"


def picture(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    """An image file."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 80, 20)).save(out, kind)
    return out.getvalue()


PNG = picture()
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
HTML = b"<!doctype html><script>alert(1)</script>"


@dataclass
class Sharing:
    """A running service. ``base``: its address; ``folder``: where its files lie."""

    service: ChatService
    uploads: Uploads
    base: str
    folder: Path
    http: aiohttp.ClientSession

    @asynccontextmanager
    async def person(self, name: str = "alice", *, joins: bool = True) -> AsyncIterator[ChatClient]:
        """A logged-in client, which has joined the room."""
        async with ChatClient(self.base, query={"userName": name}, timeout=PATIENCE) as client:
            if joins:
                await client.join(ROOM)
            yield client

    async def ticket(self, client: ChatClient, name: str, size: int, kind: str = "", room: str = ROOM) -> str:
        """A ticket of a client."""
        permit = await client.command("uploadTicket", room, {"name": name, "bytes": size, "type": kind})
        return str(permit["ticket"])

    async def post(self, ticket: str | None, body: Any, **headers: str) -> tuple[int, Any]:
        """An upload by hand: the status and the answer."""
        given = {} if ticket is None else {"Authorization": f"Bearer {ticket}"}
        url = f"{self.base}{self.uploads.options.path}"
        async with self.http.post(url, data=body, headers={**given, **headers}) as answer:
            return answer.status, await answer.json()

    async def get(self, url: str, **headers: str) -> tuple[int, "dict[str, str]", bytes]:
        """A download by hand: the status, the headers and the body."""
        async with self.http.get(self.base + url, headers=headers) as answer:
            body = await answer.read()
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, body

    def files(self) -> list[str]:
        """The names of all files with content, whole or not."""
        places = (self.folder / "files", self.folder / "parts")
        return sorted(path.name for place in places for path in place.rglob("*") if path.is_file())


@asynccontextmanager
async def sharing(
    folder: Path, carrier: str = "own", *, hooks: Any = None, service_options: Any = None, **parts: Any
) -> AsyncIterator[Sharing]:
    """Run a service. ``parts``: arguments of ``Uploads``; further ones are its options."""
    named = {key: parts.pop(key) for key in ("storage", "records", "check", "access") if key in parts}
    options = {"folder": str(folder), "min_free_bytes": 0, **parts}
    app = web.Application() if carrier == "aiohttp" else None
    service = ChatService(
        port=0,
        hooks={"on_connect": name_by_query, **(hooks or {})},
        enable_rooms_management=True,
        command_rate=None,
        transport_options={"app": app} if app is not None else {},
        **(service_options or {}),
    )
    uploads = Uploads(service, options, **named)
    async with _carried(service, app, carrier) as port, aiohttp.ClientSession() as http:
        await service.add_room(ROOM)
        yield Sharing(service, uploads, f"http://127.0.0.1:{port}", folder, http)


@asynccontextmanager
async def _carried(service: ChatService, app: web.Application | None, carrier: str) -> AsyncIterator[int]:
    if app is not None:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()
    elif carrier == "asgi":
        async with _uvicorn(service.asgi_app()) as port:
            yield port
    else:
        async with service:
            assert service.port is not None
            yield service.port


@asynccontextmanager
async def _uvicorn(app: Any) -> AsyncIterator[int]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await wait_until(lambda: server.started, "uvicorn listens")
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await running
        listening.close()
