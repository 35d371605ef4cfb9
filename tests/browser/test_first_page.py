"""The first page: what the browser loads for it, and its layout from right to left."""

from typing import Any

from playwright.async_api import Browser, expect

from chat_service.demo import Demo
from tests.browser.conftest import MARKS, People, Unique
from tests.browser.person import Person

pytestmark = MARKS

#: Bytes on the wire until a conversation can be used: compressed, with heads, style sheets and the font.
MAX_BYTES = 150_000
#: Pixels by which the beginnings of lines may differ.
SLACK = 3


async def test_first_load_is_small(browser: Browser, demo: Demo, unique: Unique) -> None:
    context = await browser.new_context()
    someone = Person(unique("Ann"), await context.new_page(), f"http://127.0.0.1:{demo.port}/")
    session = await context.new_cdp_session(someone.page)
    loaded: dict[str, float] = {}
    urls: dict[str, str] = {}

    def on_request(event: dict[str, Any]) -> None:
        urls[event["requestId"]] = event["request"]["url"]

    def on_loaded(event: dict[str, Any]) -> None:
        url = urls.get(event["requestId"], "")
        # What is loaded ahead for dialogs, a second after the page can be used.
        if "/overlay-views-" not in url:
            loaded[url] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", on_request)
    session.on("Network.loadingFinished", on_loaded)
    await session.send("Network.enable")
    await someone.open()
    await someone.login()
    await expect(someone.composer).to_be_editable()
    await context.close()
    assert sum("/app-" in url for url in loaded) == 2, loaded
    assert sum(loaded.values()) < MAX_BYTES, loaded
    assert not any(name in url for url in loaded for name in ("emoji-data", "markdown"))


async def test_lines_begin_at_the_right_in_a_page_from_right_to_left(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    await ann.say("hello")
    await ann.page.evaluate("document.documentElement.dir = 'rtl'")
    for row, name in (
        (".row[aria-current]", ".row[aria-current] .name bdi"),
        (".title > span", "h1 bdi"),
        (".me span:has(> strong)", ".me strong bdi"),
        ("li .who", "li .who .name-button"),
    ):
        boxes = [await ann.page.locator(selector).first.bounding_box() for selector in (row, name)]
        outer, inner = boxes
        assert outer is not None and inner is not None
        free = outer["x"] + outer["width"] - (inner["x"] + inner["width"])
        icon = 40 if row.startswith(".row") else 0
        assert free <= icon + SLACK, (row, boxes)
