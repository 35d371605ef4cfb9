"""The page of the guide works in a browser, with the client that the service serves."""

import re
from pathlib import Path

from aiohttp import web
from playwright.async_api import Browser, expect

from chat_service import ChatService
from tests.browser.conftest import MARKS
from tests.e2e.test_mounting import running
from tests.support.world import name_by_query

pytestmark = MARKS

GUIDE = Path(__file__).parents[2] / "docs/guide/browser-client.md"


async def test_the_page_of_the_guide(browser: Browser) -> None:
    block = re.search(r"<!-- page: chat -->\n```html\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert block is not None

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=block[1], content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    service = ChatService(hooks={"on_connect": name_by_query}, transport_options={"app": app})
    async with running(app) as port:
        await service.add_room("lobby")
        page = await browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(f"http://127.0.0.1:{port}/")
        # A form that is submitted before the script runs would load the page again.
        await page.wait_for_function("form.onsubmit !== null")
        for text in ("hello", "<b>again</b>"):
            await page.locator("#text").fill(text)
            await page.locator("#text").press("Enter")
            await expect(page.locator("#log")).to_contain_text(f"alice: {text}")
        assert problems == []
        await page.close()
