"""Notifications on the desktop. These tests need the browser with a window: the one without refuses them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.axe import violations
from tests.browser.conftest import FLAGS, MARKS, People, Unique
from tests.browser.person import Person
from tests.browser.test_choices import choose

pytestmark = MARKS

#: Keeps the notifications that the browser shows, and lets a test say that the user looks elsewhere.
WATCH = """
window.shown = [];
const Real = window.Notification;
window.Notification = class extends Real {
  constructor(title, options) {
    super(title, options);
    window.shown.push({ title, body: options.body, tag: options.tag, notification: this });
  }
};
window.asked = 0;
const ask = Real.requestPermission.bind(Real);
window.Notification.requestPermission = () => { window.asked += 1; return ask(); };
window.looksAway = false;
document.hasFocus = () => !window.looksAway;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield made
        await made.close()


async def shown(someone: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await someone.page.evaluate(
        "window.shown.map(({ title, body, tag }) => ({ title, body, tag }))"
    )
    return found


async def test_notifications_are_asked_for_after_a_click_and_can_be_muted(
    person: People, unique: Unique
) -> None:
    ann = await person(unique("Ann"), permissions=["notifications"])
    await ann.page.add_init_script(WATCH)
    await ann.open()
    await ann.login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await ann.page.evaluate("window.looksAway = true")
    await bob.say("nobody wants to be told")
    await ann.sees("nobody wants to be told")
    assert await shown(ann) == []
    assert await ann.page.evaluate("window.asked") == 0
    await ann.click("Your settings", exact=False)
    wanted = ann.page.get_by_role("switch", name="Notifications on the desktop")
    await expect(wanted).not_to_be_checked()
    await wanted.click()
    await expect(wanted).to_be_checked()
    assert await violations(ann) == []
    await ann.page.keyboard.press("Escape")
    await bob.say("tell Ann")
    await ann.sees("tell Ann")
    assert await shown(ann) == [{"title": f"{bob.name} in {room}", "body": "tell Ann", "tag": f"room:{room}"}]
    # A click on it leads to the conversation.
    await ann.open_room("default")
    await ann.page.evaluate("window.shown[0].notification.onclick()")
    await expect(ann.heading(room)).to_be_visible()
    # While the user looks at the page, it says nothing.
    await ann.page.evaluate("window.looksAway = false")
    await bob.say("seen at once")
    await ann.sees("seen at once")
    await ann.page.evaluate("window.looksAway = true")
    await choose(ann, "Mute")
    await ann.open_room("default")
    await bob.say("muted")
    await expect(ann.row(room).locator(".badge")).to_contain_text("1")
    await expect(ann.row(room)).to_contain_text(", muted")
    await expect(ann.page).to_have_title("default · Chat")
    assert len(await shown(ann)) == 1
    # Direct messages are not muted with the room.
    await bob.click(f"Message {ann.name}")
    await bob.say("psst")
    await expect(ann.row(bob.name).locator(".badge")).to_be_visible()
    assert (await shown(ann))[1:] == [{"title": bob.name, "body": "psst", "tag": f"direct:{bob.name}"}]
    # Remembered, until it is turned off.
    await ann.page.reload()
    await ann.click("Your settings", exact=False)
    await expect(wanted).to_be_checked()
    await wanted.click()
    await expect(wanted).not_to_be_checked()
    await ann.page.keyboard.press("Escape")
    await ann.page.evaluate("window.looksAway = true")
    await bob.say("not any more")
    await expect(ann.row(bob.name).locator(".badge")).to_contain_text("2")
    assert await shown(ann) == []


async def test_a_browser_that_blocks_notifications_says_so(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"))
    await ann.page.add_init_script(
        "Object.defineProperty(Notification, 'permission', { get: () => 'denied' })"
    )
    await ann.open()
    await ann.login()
    await ann.click("Your settings", exact=False)
    wanted = ann.page.get_by_role("switch", name="Notifications on the desktop")
    await expect(wanted).to_be_disabled()
    await expect(wanted).to_have_accessible_description(
        "Your browser blocks them. Allow them in its settings for this page."
    )
