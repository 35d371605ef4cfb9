"""example/backends as real programs, with logins, orders that are announced, and logouts."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio

from chat_service.testing import wait_until
from tests.e2e.processes import Process, run
from tests.support.patience import PATIENCE
from tests.support.redis_servers import free_port

pytestmark = pytest.mark.e2e

NAMESPACE = "/chat-service"
SECRET = "a secret that is long enough for HS256"


@dataclass
class Shop:
    """The addresses of a running example, how its clients log in, and its processes."""

    site: str
    chat: str
    processes: list[Process]
    #: "cookie": the session of the page; "token": the answer of /login; "ticket": that of /chat-token.
    login: str
    path: str = "socket.io"
    has_csrf: bool = False
    #: Whether a logout ends the user's connections.
    ends_chat: bool = True


async def _is_up(url: str) -> bool:
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(url):
                return True
        except aiohttp.ClientConnectionError:
            return False


@asynccontextmanager
async def shop(name: str, directory: Path) -> AsyncIterator[Shop]:
    port, chat_port, api_port = free_port(), free_port(), free_port()
    env = {
        "PORT": str(port),
        "API_PORT": str(api_port),
        "CHAT_API": f"http://127.0.0.1:{api_port}/api",
        "CHAT_TOKEN": "0123456789abcdef" * 4,
        "DATABASE": str(directory / "shop.sqlite3"),
        **dict.fromkeys(("JWT_SECRET", "SESSION_SECRET", "DJANGO_SECRET"), SECRET),
    }
    site = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:

        async def start(file: str, **more: str) -> Process:
            command = (sys.executable, f"example/backends/{file}.py")
            return await stack.enter_async_context(run(*command, env={**env, **more}))

        processes = [await start(f"{name}_shop")]
        made = Shop(site, site, processes, "cookie")
        if name in ("fastapi", "litestar"):
            made.login, made.path = "token", "chat/socket.io"
        elif name == "flask":
            processes.append(await start("flask_chat", PORT=str(chat_port)))
            made.login, made.chat, made.ends_chat = "ticket", f"http://127.0.0.1:{chat_port}", False
        made.has_csrf = name == "django"
        async with asyncio.timeout(2 * PATIENCE):
            while not (await _is_up(made.site) and await _is_up(made.chat)):
                errors = [process.errors for process in processes]
                assert not any("Traceback" in text for text in errors), errors
                await asyncio.sleep(0.05)
        yield made


class Person:
    """A browser: it keeps cookies and the token, and sends both where pages would."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.token: str | None = None
        self.http = aiohttp.ClientSession(shop.site, cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.events: list[tuple[str, Any]] = []
        self.sio = socketio.AsyncClient(reconnection=False)
        for name in ("loginConfirmed", "loginRejected", "roomMessage", "disconnect"):
            self.sio.on(name, self._taker(name), namespace=NAMESPACE)

    def _taker(self, name: str) -> Any:
        return lambda *args: self.events.append((name, args))

    def cookie(self, name: str) -> str:
        return next((item.value for item in self.http.cookie_jar if item.key == name), "")

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"X-CSRFToken": self.cookie("csrftoken")} if self.shop.has_csrf else {}
        if self.shop.login == "token" and self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        async with self.http.post(path, json=body or {}, headers=headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else None

    async def login(self, password: str) -> int:
        if self.shop.has_csrf:
            async with self.http.get("/") as response:
                assert response.status == 200
        status, answer = await self.post("/login", {"user": "ann", "password": password})
        if status < 300 and self.shop.login == "ticket":
            answer = (await self.post("/chat-token"))[1]
        if status < 300 and self.shop.login != "cookie":
            self.token = answer["token"]
        return status

    async def connect(self) -> str:
        """Connect to the chat; whether the login was confirmed or rejected."""
        cookies = "; ".join(f"{item.key}={item.value}" for item in self.http.cookie_jar)
        await self.sio.connect(
            self.shop.chat,
            socketio_path=self.shop.path,
            namespaces=[NAMESPACE],
            transports=["websocket"],
            headers={"Cookie": cookies} if self.shop.login == "cookie" and cookies else {},
            auth=None if self.token is None else {"token": self.token},
            wait_timeout=PATIENCE,
        )
        await wait_until(lambda: bool(self.events), "an answer to the login")
        return self.events[0][0]

    def count(self, name: str) -> int:
        return sum(event == name for event, _ in self.events)

    async def close(self) -> None:
        await self.sio.disconnect()
        await self.sio.shutdown()
        await self.http.close()
        # The library closes its connections in its own tasks.
        await asyncio.sleep(0)


@asynccontextmanager
async def person(shop: Shop) -> AsyncIterator[Person]:
    made = Person(shop)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["fastapi", "starlette", "django", "litestar", "flask"])
async def test_a_shop_with_a_chat(name: str, tmp_path: Path) -> None:
    async with shop(name, tmp_path) as running:
        async with person(running) as stranger:
            assert await stranger.login("coffee") == 401
            assert (await stranger.post("/orders", {"text": "tea"}))[0] == 401
            stranger.token = None
            assert await stranger.connect() == "loginRejected"
        async with person(running) as ann:
            assert await ann.login("tea") < 300
            assert await ann.connect() == "loginConfirmed"
            assert ann.events[0][1][0] == "ann"
            joined = await ann.sio.call("roomJoin", "orders", namespace=NAMESPACE, timeout=PATIENCE)
            assert joined[0] is None
            assert await ann.post("/orders", {"text": "cake"}) == (201, {"messageId": 1})
            await wait_until(lambda: ann.count("roomMessage") == 1, "the announcement")
            room, message = ann.events[-1][1]
            assert (room, message["textMessage"]) == ("orders", "ann orders cake")
            assert (await ann.post("/logout"))[0] == 204
            if running.ends_chat:
                await wait_until(lambda: ann.count("disconnect") == 1, "the end of the connection")
            if running.login != "token":
                assert (await ann.post("/orders", {"text": "more cake"}))[0] == 401
        for process in running.processes:
            process.send_signal(signal.SIGINT)
            # uvicorn and Flask's server end by the signal itself.
            assert await process.wait() in (0, 1, 128 + signal.SIGINT, -signal.SIGINT), process.errors
            told = process.output + process.errors
            assert "ERROR" not in told and "Exception" not in told, told
