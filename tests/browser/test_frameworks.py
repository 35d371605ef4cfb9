"""The examples for React and Vue in a browser: bundled as users do, on a real service."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Locator, Page, expect

from chat_service import ChatService, ChatServiceError
from tests.browser.conftest import MARKS
from tests.e2e.processes import ROOT
from tests.e2e.test_mounting import running
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query

pytestmark = MARKS

EXAMPLES = ROOT / "clients/js/examples"
#: By the framework: the entry, and what its users give to the bundler.
BUILDS = {
    "react": ("main.tsx", ["--jsx=automatic"]),
    "vue": ("main.ts", ["--alias:vue=vue/dist/vue.esm-bundler.js"]),
}
FLAGS = ["__VUE_OPTIONS_API__", "__VUE_PROD_DEVTOOLS__", "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__"]

#: What the browser reports: the icon, which the examples do not have, and connections that the server ends.
EXPECTED = ("Failed to load resource", "WebSocket is already in CLOSING")

#: ``await open("ann")``: the page of a user.
Open = Callable[[str], Awaitable[Page]]


@pytest.fixture(scope="session", params=list(BUILDS))
def script(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The framework and its bundled example, the development build: React mounts everything twice in it."""
    name: str = request.param
    entry, options = BUILDS[name]
    target = tmp_path_factory.mktemp(name) / "main.js"
    command: list[str | Path] = [
        ROOT / "node_modules/.bin/esbuild",
        EXAMPLES / name / entry,
        "--bundle",
        f"--outfile={target}",
    ]
    defined = [f"--define:{flag}=false" for flag in FLAGS]
    subprocess.run(
        [*command, *options, *defined, "--format=esm", "--log-level=error", "--sourcemap=inline",
         '--define:process.env.NODE_ENV="development"'],
        check=True,
    )  # fmt: skip
    return name, target


@asynccontextmanager
async def example(
    browser: Browser, script: tuple[str, Path], on_connect: Any = name_by_query
) -> AsyncIterator[tuple[ChatService, Open]]:
    """A service whose page is the example. Fails if a page logs an error."""
    name, target = script

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(EXAMPLES / name / "index.html")

    async def main(_: web.Request) -> web.FileResponse:
        return web.FileResponse(target)

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/main.js", main)
    service = ChatService(
        hooks={"on_connect": on_connect}, transport_options={"app": app}, enable_userlist_updates=True
    )
    problems: list[str] = []
    async with running(app) as port:
        pages: list[Page] = []

        async def show(user: str) -> Page:
            page = await browser.new_page()
            pages.append(page)
            page.set_default_timeout(1000 * PATIENCE)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
            await page.goto(f"http://127.0.0.1:{port}/?user={user}")
            return page

        try:
            yield service, show
        finally:
            for page in pages:
                await page.close()
    assert [text for text in problems if not text.startswith(EXPECTED)] == []


def items(page: Page) -> Locator:
    return page.locator("li")


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send").click()


WAIT = 1000.0 * PATIENCE


async def test_two_people_talk(browser: Browser, script: tuple[str, Path]) -> None:
    async with example(browser, script) as (service, show):
        for room in ("lobby", "kitchen"):
            await service.add_room(room)
        for number in range(1, 31):
            await service.broadcast("lobby", {"textMessage": f"old {number}", "author": "desk"})
        ann, bob = await show("ann"), await show("bob")
        for page, name in ((ann, "ann"), (bob, "bob")):
            await expect(page.locator("#state")).to_contain_text(f"{name} online", timeout=WAIT)
            await expect(page.locator("h2")).to_have_text("lobby: joined", timeout=WAIT)
            await expect(page.locator("#members")).to_have_text("Here: ann, bob", timeout=WAIT)
            await expect(items(page)).to_have_count(20, timeout=WAIT)
        # Older messages come when they are asked for.
        older = ann.get_by_role("button", name="Older messages")
        await older.click()
        await expect(items(ann)).to_have_count(30, timeout=WAIT)
        await expect(older).to_have_count(0, timeout=WAIT)
        # Who is typing, until the message arrives.
        await bob.get_by_label("Message").fill("hel")
        await expect(ann.locator("#typing")).to_have_text("bob typing", timeout=WAIT)
        await say(bob, "hello")
        await expect(items(ann).last).to_contain_text("bob: hello", timeout=WAIT)
        await expect(ann.locator("#typing")).to_have_text("", timeout=WAIT)
        # A reaction, and a deletion.
        await items(ann).last.get_by_role("button", name="👍").click()
        await expect(items(bob).last).to_contain_text("👍 1", timeout=WAIT)
        await items(bob).last.get_by_role("button", name="Delete").click()
        await expect(items(ann).last).to_have_text("bob deleted a message", timeout=WAIT)
        await expect(items(ann)).to_have_count(31)


async def test_changing_the_room_leaves_the_old_one(browser: Browser, script: tuple[str, Path]) -> None:
    async with example(browser, script) as (service, show):
        for room in ("lobby", "kitchen"):
            await service.add_room(room)
        await service.broadcast("kitchen", {"textMessage": "soup", "author": "desk"})
        ann, bob = await show("ann"), await show("bob")
        await expect(bob.locator("#members")).to_have_text("Here: ann, bob", timeout=WAIT)
        await ann.get_by_label("Room").select_option("kitchen")
        await expect(ann.locator("h2")).to_have_text("kitchen: joined", timeout=WAIT)
        await expect(items(ann)).to_have_count(1, timeout=WAIT)
        await expect(items(ann).first).to_contain_text("desk: soup")
        await expect(ann.locator("#members")).to_have_text("Here: ann", timeout=WAIT)
        await expect(bob.locator("#members")).to_have_text("Here: bob", timeout=WAIT)
        # And back: the room is joined anew, with its history.
        await service.broadcast("lobby", {"textMessage": "missed", "author": "desk"})
        await ann.get_by_label("Room").select_option("lobby")
        await expect(items(ann)).to_have_count(1, timeout=WAIT)
        await expect(items(ann).first).to_contain_text("missed")
        await expect(bob.locator("#members")).to_have_text("Here: ann, bob", timeout=WAIT)


async def test_a_lost_connection_and_a_refused_room(browser: Browser, script: tuple[str, Path]) -> None:
    async with example(browser, script) as (service, show):
        await service.add_room("lobby")
        ann = await show("ann")
        await expect(ann.locator("h2")).to_have_text("lobby: joined", timeout=WAIT)
        await ann.get_by_label("Room").select_option("kitchen")
        await expect(ann.locator("h2")).to_have_text("kitchen: No such room kitchen", timeout=WAIT)
        await ann.get_by_label("Room").select_option("lobby")
        await expect(ann.locator("h2")).to_have_text("lobby: joined", timeout=WAIT)
        # The network goes away while somebody writes.
        (socket_id,) = (await service.exec_user_command("ann", "listOwnSockets"))[0]
        await service.transport.get_socket(socket_id).close(wait=False)
        await service.broadcast("lobby", {"textMessage": "meanwhile", "author": "desk"})
        await say(ann, "after")
        await expect(items(ann)).to_have_count(2, timeout=WAIT)
        await expect(items(ann).first).to_contain_text("meanwhile")
        await expect(items(ann).last).to_contain_text("ann: after")
        # Removed for good.
        await service.delete_room("lobby")
        await expect(ann.locator("h2")).to_have_text("lobby: No such room lobby", timeout=WAIT)


async def test_a_rejected_login(browser: Browser, script: tuple[str, Path]) -> None:
    def refuse(service: ChatService, socket_id: str) -> str:
        raise ChatServiceError("noLogin")

    async with example(browser, script, refuse) as (_, show):
        page = await show("ann")
        await expect(page.locator("#state")).to_contain_text("closed No login provided", timeout=WAIT)
