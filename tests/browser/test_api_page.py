"""The page for trying the HTTP API: every route has a form that sends a request and shows the answer."""

from playwright.async_api import Browser, expect

from chat_service import ChatService
from chat_service.http_api.routes import TABLE
from chat_service.testing import InProcessTransport
from tests.browser.conftest import MARKS
from tests.http_api.programs import OPTIONS, TOKENS

pytestmark = MARKS


async def test_routes_can_be_tried(browser: Browser) -> None:
    service = ChatService(transport=InProcessTransport(), operations_port=0, api_options=OPTIONS)
    async with service:
        await service.add_room("a/b")
        page = await browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        base = f"http://127.0.0.1:{service.operations.port}/api/"
        await page.goto(base)
        await expect(page.locator("details")).to_have_count(len(TABLE))
        assert problems == []
        await page.get_by_label("Token").fill(TOKENS["write"])
        form = page.locator("details", has_text="POST /rooms/{room}/messages")
        await form.locator("summary").click()
        await form.get_by_label("room (path)").fill("a/b")
        await form.get_by_role("button", name="Send").click()
        await expect(form.locator("pre")).to_contain_text('"id": 1')
        await page.get_by_label("Token").fill(TOKENS["read"])
        stream = page.locator("details", has_text="GET /rooms/{room}/events")
        await stream.locator("summary").click()
        await stream.get_by_label("room (path)").fill("a/b")
        await stream.get_by_label("after (query)").fill("0")
        await stream.get_by_role("button", name="Send").click()
        await expect(stream.locator("pre")).to_contain_text("event: roomMessage")
        await stream.get_by_role("button", name="Stop").click()
        await expect(stream.locator("pre")).to_contain_text("stopped")
        # Nothing comes from elsewhere.
        assert problems == [] and all(url.startswith((base, "data:")) for url in asked)
        await page.close()
