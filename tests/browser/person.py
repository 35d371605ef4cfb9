"""A user of the web chat: actions and observations by the texts on the page."""

import asyncio
import re
import time
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.support.patience import PATIENCE

expect.set_options(timeout=PATIENCE * 1000)

#: What a browser writes when the network is gone.
OFFLINE = re.compile(
    r"net::ERR_(FAILED|INTERNET_DISCONNECTED|CONNECTION_|NETWORK_CHANGED|EMPTY_RESPONSE)|WebSocket"
)

#: Scrolls by half of what is in view; from the end to the beginning.
SCROLL_ON = """
box => { box.scrollTop = box.scrollTop + box.clientHeight >= box.scrollHeight - 1
  ? 0 : box.scrollTop + box.clientHeight / 2 }
"""


class Person:
    """One tab of one browser profile."""

    def __init__(self, name: str, page: Page, address: str) -> None:
        self.name = name
        self.page = page
        self.address = address
        #: Errors on the console, uncaught exceptions, and requests to other hosts.
        self.problems: list[str] = []
        self.may_be_offline = False
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda message: self._on_console(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(f"{name}: {error}"))
        page.on("request", lambda request: self._on_request(request.url))
        page.on("websocket", lambda socket: self._on_request(socket.url))

    def _on_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not (self.may_be_offline and OFFLINE.search(text)):
            self.problems.append(f"{self.name}: {text}")

    def _on_request(self, url: str) -> None:
        if not url.replace("ws://", "http://").removeprefix("blob:").startswith(self.address):
            self.problems.append(f"{self.name} asked {url}")

    # Doing

    async def open(self) -> None:
        await self.page.goto(self.address)

    async def login(self, name: str | None = None) -> "Person":
        await self.page.get_by_label("Your name").fill(name or self.name)
        await self.page.get_by_role("button", name="Enter").click()
        await expect(self.page.locator(".talk")).to_be_visible()
        return self

    async def click(self, name: str, role: Any = "button", *, exact: bool = True) -> None:
        await self.page.get_by_role(role, name=name, exact=exact).click()

    async def create_room(self, room: str, *, closed: bool = False) -> None:
        await self.click("Create a room")
        await self.page.get_by_label("Name of the room").fill(room)
        if closed:
            await self.page.get_by_role("switch", name="Only invited people").check(force=True)
        await self.click("Create")
        await expect(self.heading(room)).to_be_visible()

    async def open_room(self, room: str) -> None:
        """Join a room, or show a conversation."""
        await self.scroll_to_row(room)
        await self.row(room).click()
        await expect(self.heading(room)).to_be_visible()

    async def try_to_join(self, room: str) -> None:
        await self.scroll_to_row(room)
        await self.row(room).click()

    async def scroll_to_row(self, name: str) -> None:
        """Look for a room in the whole list: of a long one only a part is in the document."""
        end = time.monotonic() + PATIENCE
        while await self.row(name).count() == 0 and time.monotonic() < end:
            await self.page.get_by_role("navigation").evaluate(SCROLL_ON)
            await asyncio.sleep(0.05)

    async def say(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def use_tool(self, text: str, tool: str) -> None:
        """Choose what to do with a message in its toolbar, with the mouse."""
        await self.page.mouse.move(0, 0)  # the tools of another message could cover it
        await self.message(text).locator(".bubble").hover()
        await (
            self.message(text)
            .get_by_role("group", name="Message actions")
            .get_by_role("button", name=tool, exact=True)
            .click()
        )

    async def go_offline(self) -> None:
        self.may_be_offline = True
        await self.page.context.set_offline(True)

    async def go_online(self) -> None:
        await self.page.context.set_offline(False)

    # Seeing

    @property
    def composer(self) -> Locator:
        return self.page.locator(".composer textarea")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    def message(self, text: str) -> Locator:
        """The last message with this text, not counting what it quotes."""
        body = self.page.locator(".bubble > p, .bubble > .markdown", has_text=text)
        return self.log.locator(".message").filter(has=body).last

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("main").get_by_role("heading", name=name, exact=True)

    def row(self, name: str) -> Locator:
        """A conversation, or a room to join, in the list."""
        label = self.page.locator(".name").get_by_text(name, exact=True)
        return self.page.get_by_role("navigation").get_by_role("button").filter(has=label)

    def member(self, name: str) -> Locator:
        return self.page.locator(".people li").filter(has_text=name)

    async def texts(self) -> list[str]:
        """The texts of the messages in view and around it, in the order in which they stand."""
        return await self.log.locator(".bubble > p").all_inner_texts()

    async def all_texts(self) -> list[str]:
        """The texts of all loaded messages, by scrolling from the top to the end."""
        found: dict[str, str] = {}
        place = -1.0
        await self.log.evaluate("box => { box.scrollTop = 0 }")
        while True:
            # Two frames after scrolling, the messages at the new place are there.
            shown, reached = await self.log.evaluate(
                """box => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done([
                  [...box.querySelectorAll("[data-key]")]
                    .filter(row => row.querySelector(".bubble > p"))
                    .map(row => [row.dataset.key, row.querySelector(".bubble > p").innerText]),
                  box.scrollTop,
                ]))))"""
            )
            found.update(shown)
            if reached == place:
                return list(found.values())
            place = reached
            await self.log.evaluate("box => { box.scrollTop += box.clientHeight / 2 }")

    async def sees(self, text: str) -> None:
        """Wait for a message."""
        await expect(self.log.locator(".bubble p").filter(has_text=text).last).to_be_visible()

    async def is_told(self, text: str) -> None:
        """Wait for a message to the person, wherever it stands."""
        told = self.page.locator("[role=alert], [role=status]").filter(has_text=text)
        await expect(told.first).to_be_visible()
