"""The web chat in a real browser: one browser and one server for all tests, a fresh profile per person."""

import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from chat_service.demo import Demo
from tests.browser.person import Person

#: The browser without a window: it takes a quarter of the time, most of which the window's own pages take.
CHROMIUM = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A fifth of the processor time of a page: a process for drawing, and one in reserve for another page.
    "--in-process-gpu",
    "--renderer-process-limit=1",
)

#: ``await person("ann", at=demo, width=..., **options of the browser context)``
People = Callable[..., Awaitable[Person]]

#: ``await demos(options of Demo ...)``
Demos = Callable[..., Awaitable[Demo]]

#: Makes a name that no other test has.
Unique = Callable[[str], str]

#: Of every module here: one browser, on the loop of the session. Each worker has its own.
MARKS = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
]

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        await made.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo() -> AsyncIterator[Demo]:
    async with Demo("127.0.0.1", 0) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def demos() -> AsyncIterator[Demos]:
    """Makes servers for one test alone. They close after the pages of ``person``."""
    async with AsyncExitStack() as stack:

        async def make(port: int = 0, **options: Any) -> Demo:
            return await stack.enter_async_context(Demo("127.0.0.1", port, **options))

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def person(browser: Browser, demo: Demo, demos: Demos) -> AsyncIterator[People]:
    """Makes people at the login page. In the end none may have had an error, or have asked another host.

    Depends on ``demos`` for the order of the ends only: a page whose server is gone would log errors.
    """
    made: list[Person] = []

    async def make(
        name: str, *, at: Demo = demo, width: int = 1200, height: int = 760, **options: object
    ) -> Person:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            reduced_motion="reduce",
            **options,  # type: ignore[arg-type]
        )
        someone = Person(name, await context.new_page(), f"http://127.0.0.1:{at.port}/")
        made.append(someone)
        await someone.open()
        return someone

    yield make
    for someone in made:
        await someone.page.context.close()
    assert [problem for someone in made for problem in someone.problems] == []


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names that no other test uses."""
    return lambda prefix: f"{prefix} {next(_numbers)}"
