"""An operator who uses the console, and the service it shows."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from chat_service import ChatService
from chat_service.testing import InProcessTransport
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.http_api.programs import OPTIONS, TOKENS
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
ROOMS, MEMBERS = 10_000, 5_000
#: The room with all the members.
BIG = "Town hall"
#: What a browser writes about answers that are errors, and when the network is gone.
EXPECTED = re.compile(r"Failed to load resource|net::ERR_(CONNECTION_|EMPTY_RESPONSE|INCOMPLETE)")


@dataclass
class Stage:
    """A service with the console, and clients without a network."""

    service: ChatService
    transport: InProcessTransport

    def address_at(self, port: int | None = None) -> str:
        """Where the console is; ``port``: that of a proxy in front of it."""
        return f"http://127.0.0.1:{port or self.service.operations.port}/api/console/"


@asynccontextmanager
async def open_stage(**options: Any) -> AsyncIterator[Stage]:
    """A service on a free port."""
    transport = InProcessTransport()

    def name_of(service: ChatService, socket_id: str) -> str:
        return str(service.transport.get_handshake_data(socket_id).query["userName"])

    settings = {"operations_port": 0, "api_options": OPTIONS, "enable_direct_messages": True, **options}
    service = ChatService(transport=transport, hooks={"on_connect": name_of}, **settings)
    async with service:
        yield Stage(service, transport)


async def fill(service: ChatService, big: str, rooms: Sequence[str], members: Sequence[str]) -> None:
    """Make rooms, and the big one with its members, by what the store does for each."""
    for number, name in enumerate(rooms):
        await service.add_room(name, owner="ann" if number % 2 else None)
    await service.add_room(big, enable_userlist_updates=True)
    context = parts_of(service)
    for number, name in enumerate(members):
        await context.store.room_join(
            RoomName(big),
            UserName(name),
            SocketId(f"far-away-{number}"),
            InstanceId(context.instance_id()),
            context.clock.now_ms(),
            announce=False,
        )


class Operator:
    """One tab of one browser profile."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        #: Errors on the console, uncaught exceptions, and requests to other hosts.
        self.problems: list[str] = []
        #: The paths of the API that were asked for.
        self.asked: list[str] = []
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda message: self._on_console(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._on_request(request.url))

    def _on_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED.match(text):
            self.problems.append(text)

    def _on_request(self, url: str) -> None:
        api = self.address.removesuffix("console/")
        if not url.startswith(api):
            self.problems.append(f"asked {url}")
        elif not url.startswith(self.address):
            self.asked.append(url[len(api) - 1 :])

    async def sign_in(self, token: str = TOKENS["admin"], *, at: str = "") -> "Operator":
        await self.page.goto(self.address + at)
        await self.page.get_by_label("Token").fill(token)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("navigation")).to_be_visible()
        return self

    async def show(self, at: str) -> None:
        """Go to a page by the part of its address that follows the #."""
        await self.page.goto(f"{self.address}#/{at}")

    async def click(self, name: str, role: Any = "button", *, exact: bool = True) -> None:
        await self.page.get_by_role(role, name=name, exact=exact).click()

    async def is_told(self, text: str) -> None:
        """Wait for a message to the person, wherever it stands."""
        told = self.page.locator("[role=alert], [role=status]").filter(has_text=text)
        await expect(told.first).to_be_visible()

    def grid(self, label: str) -> Locator:
        return self.page.get_by_role("grid", name=label)

    async def violations(self) -> list[str]:
        """What axe-core finds on the page."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
        found: dict[str, Any] = await self.page.evaluate("axe.run({ resultTypes: ['violations'] })")
        return [
            f"{rule['impact']} {rule['id']}: {node['html'][:200]}\n{node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


async def make_operator(browser: Browser, address: str, **options: Any) -> Operator:
    """An operator with a separate profile, before the login."""
    given = {"viewport": {"width": 1200, "height": 760}, "locale": "en-GB", "reduced_motion": "reduce"}
    context = await browser.new_context(**{**given, **options})
    return Operator(await context.new_page(), address)
