"""Services of a configuration file with the web chat, and what browsers send them."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import argon2
import pytest
import socketio

from chat_service import ChatService
from chat_service.cli.assembly import build_service
from chat_service.cli.settings import Settings
from chat_service.testing import wait_until
from tests.support.patience import PATIENCE

#: ``await site('[login]…')``: a running service at a free port.
Sites = Callable[..., Awaitable["Site"]]

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services hash with the least that Argon2id knows. Tests of the file alone, no coroutines, hash
    as operators do.
    """
    if inspect.iscoroutinefunction(request.function):
        made = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
        monkeypatch.setattr("argon2.PasswordHasher", lambda: made)


class Site:
    """A running service, and the requests of one browser, which keeps cookies."""

    def __init__(self, service: ChatService, browser: aiohttp.ClientSession) -> None:
        self.service = service
        self.browser = browser
        self.address = f"http://127.0.0.1:{service.port}"

    async def post(self, what: str, content: Any = None, **options: Any) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        options = {"json": content or {}} | options
        async with self.browser.post(f"{self.address}/login/{what}", **options) as answer:
            return answer.status, await answer.json()

    async def state(self) -> Any:
        async with self.browser.get(f"{self.address}/login/state") as answer:
            return await answer.json()

    def cookie(self, name: str = "chat-session") -> Any:
        """The last cookie of this name, None if there is none."""
        found = [cookie for cookie in self.browser.cookie_jar if cookie.key == name]
        return found[0] if found else None

    async def ticket(self) -> str:
        status, answer = await self.post("ticket")
        assert status == 200, answer
        return str(answer["ticket"])


class Socket:
    """A socket with an ``auth`` object, and what it hears."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: list[tuple[Any, ...]] = []
        self.is_over = False

    async def connect(self, site: Site, auth: Any) -> tuple[Any, ...]:
        """Returns the event that confirms or rejects the login."""

        async def on_event(event: str, *args: Any) -> None:
            self.events.append((event, *args))

        async def on_disconnect(*_: Any) -> None:
            self.is_over = True

        self.client.on("*", on_event, namespace="/chat-service")
        self.client.on("disconnect", on_disconnect, namespace="/chat-service")
        await self.client.connect(site.address, namespaces=["/chat-service"], auth=auth)
        return await self.heard("loginConfirmed", "loginRejected")

    async def heard(self, *names: str) -> tuple[Any, ...]:
        await wait_until(lambda: any(event[0] in names for event in self.events), f"one of {names}")
        return next(event for event in self.events if event[0] in names)

    async def call(self, command: str, *args: Any) -> Any:
        return await self.client.call(command, args, namespace="/chat-service", timeout=PATIENCE)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Sites]:
    made: list[Site] = []

    async def make(text: str, environment: dict[str, str] | None = None) -> Site:
        path = tmp_path / f"chat-{len(made)}.toml"
        path.write_text(text, "utf-8")
        service = build_service(Settings.read(str(path), environment or {}).overridden(port=0))
        await service.start()
        made.append(Site(service, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))))
        return made[-1]

    yield make
    for each in made:
        await each.browser.close()
        await each.service.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Site, Any], Awaitable[Socket]]]:
    made: list[Socket] = []

    async def make(site: Site, auth: Any) -> Socket:
        made.append(Socket())
        await made[-1].connect(site, auth)
        return made[-1]

    yield make
    for each in made:
        await each.client.disconnect()
