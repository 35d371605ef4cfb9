"""Measures how much work the web chat makes in Chromium: ``python -m benchmarks.web_chat [messages ...]``.

Prints, for conversations with 80, 2,000 and 10,000 loaded messages, the work of the main thread per new
message and per frame of scrolling, in ms of processor time, and the frames per second; then the same for a
list of 10,000 rooms, and the time until the page can be used. Processor time hardly depends on whatever else
runs on the machine; the frames per second do.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, CDPSession, Page, async_playwright, expect

from chat_service.demo import Demo
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.person import Person

SIZES = (80, 2000, 10_000)
NEW_MESSAGES = 40
ROOMS = 10_000
#: Pixels per frame, and the time in s that is scrolled.
SPEED, SCROLLED = 40, 4.0
STARTS = 5

#: Scrolls by the same distance in each frame, back and forth, and counts the frames.
SCROLL = """async ([selector, speed, seconds]) => {
  const box = document.querySelector(selector);
  let direction = -1;
  const begun = performance.now();
  const frames = [];
  while (performance.now() - begun < seconds * 1000) {
    frames.push(await new Promise(requestAnimationFrame));
    const before = box.scrollTop;
    box.scrollTop += direction * speed;
    if (box.scrollTop === before) direction = -direction;
  }
  const gaps = frames.slice(1).map((at, index) => at - frames[index]).sort((a, b) => a - b);
  return [frames.length, 1000 / gaps[gaps.length >> 1]];
}"""

#: Scrolls to the beginning until all older messages are loaded.
LOAD = """async () => {
  const box = document.querySelector(".messages");
  while (document.querySelector(".beginning.loading")) {
    box.scrollTop = 0;
    await new Promise(done => setTimeout(done, 5));
  }
  box.scrollTop = box.scrollHeight;
}"""


class Work:
    """The processor time of a page's main thread."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    @classmethod
    async def of(cls, page: Page) -> "Work":
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        return cls(session)

    async def seconds(self) -> float:
        found = await self._session.send("Performance.getMetrics")
        values = {metric["name"]: metric["value"] for metric in found["metrics"]}
        return float(values["TaskDuration"])


@asynccontextmanager
async def visitor(browser: Browser, demo: Demo, name: str) -> AsyncIterator[Person]:
    context = await browser.new_context(viewport={"width": 1200, "height": 760})
    someone = Person(name, await context.new_page(), f"http://127.0.0.1:{demo.port}/")
    await someone.open()
    yield await someone.login()
    await context.close()


async def post(demo: Demo, room: str, number: int) -> None:
    text = f"number {number}" + " with some more words" * (number * 7 % 11)
    message = {"textMessage": text, "author": f"clock {number // 3 % 2}"}
    await demo.service.exec_user_command(True, "roomMessage", room, message)


async def scrolling(someone: Person, work: Work, selector: str) -> tuple[float, float]:
    """Processor time in ms per frame, and the frames per second (by the median of the times between them)."""
    begun = await work.seconds()
    frames, rate = await someone.page.evaluate(SCROLL, [selector, SPEED, SCROLLED])
    return (await work.seconds() - begun) * 1000 / frames, rate


async def conversation(browser: Browser, demo: Demo, size: int) -> str:
    room = f"room of {size}"
    await demo.service.add_room(room, history_max_size=size + NEW_MESSAGES)
    for number in range(1, size + 1):
        await post(demo, room, number)
    async with visitor(browser, demo, f"reader of {size}") as someone:
        await someone.open_room(room)
        await someone.sees(f"number {size}")
        await someone.page.evaluate(LOAD)
        await expect(someone.log.get_by_text(f"number {size}").last).to_be_in_viewport()
        work = await Work.of(someone.page)
        await asyncio.sleep(1)
        costs = []
        for number in range(size + 1, size + NEW_MESSAGES + 1):
            begun = await work.seconds()
            await post(demo, room, number)
            await asyncio.sleep(0.1)
            costs.append((await work.seconds() - begun) * 1000)
        await someone.sees(f"number {size + NEW_MESSAGES}")
        per_frame, rate = await scrolling(someone, work, ".messages")
        elements = await someone.page.locator(".messages *").count()
    return (
        f"{size:6} messages: {statistics.median(costs):.1f} ms per message (max {max(costs):.1f}); "
        f"scrolling {per_frame:.1f} ms per frame, {rate:.0f} fps; {elements} elements"
    )


async def rooms(browser: Browser, demo: Demo) -> str:
    for number in range(ROOMS):
        await demo.service.add_room(f"place {number}")
    begun = time.perf_counter()
    async with visitor(browser, demo, "guest") as someone:
        await expect(someone.row("place 0")).to_be_visible()
        opened = time.perf_counter() - begun
        work = await Work.of(someone.page)
        costs = []
        for number in range(20):
            at = await work.seconds()
            await demo.service.add_room(f"new place {number}")
            await demo.service.exec_user_command(True, "roomSetWhitelistMode", f"new place {number}", True)
            await asyncio.sleep(0.3)
            costs.append((await work.seconds() - at) * 1000)
        per_frame, rate = await scrolling(someone, work, ".sidebar nav")
        elements = await someone.page.locator(".sidebar *").count()
    change = f"{statistics.median(costs):.1f} ms per change"
    return (
        f"{ROOMS:6} rooms: shown {opened:.1f} s after the page was asked for; {change}; "
        f"scrolling {per_frame:.1f} ms per frame, {rate:.0f} fps; {elements} elements"
    )


async def start(browser: Browser, demo: Demo) -> str:
    """From the request of the page until the field for the name has the focus, with an empty cache."""
    times, costs = [], []
    for _ in range(STARTS):
        context = await browser.new_context()
        page = await context.new_page()
        work = await Work.of(page)
        begun = time.perf_counter()
        await page.goto(f"http://127.0.0.1:{demo.port}/")
        await page.get_by_label("Your name").wait_for()
        times.append(time.perf_counter() - begun)
        costs.append(await work.seconds())
        await context.close()
    return (
        f"the login can be used after {statistics.median(times):.2f} s (best {min(times):.2f}), "
        f"{statistics.median(costs) * 1000:.0f} ms of it processor time of the page"
    )


async def main(sizes: tuple[int, ...]) -> None:
    async with Demo("127.0.0.1", 0) as demo, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        print(await start(browser, demo), flush=True)
        for size in sizes:
            print(await conversation(browser, demo, size), flush=True)
        print(await rooms(browser, demo), flush=True)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(tuple(map(int, sys.argv[1:])) or SIZES))
