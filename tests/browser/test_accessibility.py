"""Accessibility: keyboard, screen readers and small screens."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.axe import violations
from tests.browser.conftest import MARKS, People, Unique

ROOT = Path(__file__).resolve().parents[2]

pytestmark = MARKS

#: What the element that has the focus is called.
FOCUSED = "(e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent)(document.activeElement)"

#: A file is dropped on the page.
DROP = """() => {
  const data = new DataTransfer();
  data.items.add(new File(["x"], "picture.png", { type: "image/png" }));
  const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("width", [1200, 390])
async def test_axe_finds_nothing(person: People, unique: Unique, width: int) -> None:
    ann = await person(unique("Ann"), width=width)
    assert await violations(ann) == []
    await ann.login()
    if width < 500:
        await ann.click("All conversations")
    await ann.create_room(unique("Tea"))
    await ann.say("hello")
    await ann.sees("hello")
    assert await violations(ann) == []
    await ann.click("Room settings")
    await ann.page.get_by_label("Block: name").fill("somebody")
    await ann.click("Block")
    await expect(ann.page.get_by_text("somebody", exact=True)).to_be_visible()
    await ann.page.get_by_label("Invite: name").fill("a:b")
    await ann.click("Invite")
    await ann.is_told("That name cannot be used.")
    assert await violations(ann) == []
    await ann.page.keyboard.press("Escape")
    if width < 500:
        await ann.click("All conversations")
        assert await violations(ann) == []
    await ann.go_offline()
    if width < 500:
        await expect(ann.page.get_by_role("button", name="Your settings")).to_contain_text("Offline")
    else:
        await ann.is_told("You are offline.")
        await ann.say("not yet")
        await expect(ann.log.get_by_text("Sending…")).to_be_visible()
    assert await violations(ann) == []


@pytest.mark.parametrize("width", [1200, 390])
async def test_axe_finds_nothing_when_things_go_wrong(person: People, unique: Unique, width: int) -> None:
    ann = await person(unique("Ann"), width=width)
    await ann.page.get_by_label("Your name").fill("n" * 40)
    assert await violations(ann) == []
    await ann.login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await bob.create_room(room)
    if width < 500:
        await ann.click("All conversations")
    await ann.open_room(room)
    # Folded notes, opened; a text that is too long.
    for _ in range(2):
        await bob.click("Leave the room")
        await bob.open_room(room)
    await ann.log.get_by_role("button", name=f"{bob.name} joined twice and left twice").click()
    await ann.composer.fill("x" * 4001)
    await ann.is_told("1 character too many")
    assert await violations(ann) == []
    # A file, a dialog with a notice, a person who was removed, a message that failed.
    await ann.page.evaluate(DROP)
    await expect(ann.page.locator(".pending-file.done")).to_contain_text("picture.png")
    assert await violations(ann) == []
    await bob.click(f"Remove {ann.name}")
    await bob.page.evaluate(DROP)
    await expect(bob.page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    assert await violations(bob) == []
    await bob.click("Remove from room")
    await ann.is_told(f"{bob.name} removed you from {room}.")
    assert await violations(ann) == []
    await bob.click("New direct message")
    await bob.page.get_by_label("To", exact=True).fill("nobody")
    await bob.click("Open")
    await expect(bob.heading("nobody")).to_be_visible()
    await bob.say("hello")
    await bob.is_told("Nobody named nobody has been here.")
    assert await violations(bob) == []


async def test_everything_with_the_keyboard(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"))
    bob = await (await person(unique("Bob"))).login()
    page = ann.page

    async def tab_to(name: str) -> None:
        # As many as there may be rooms of other tests on the way.
        for _ in range(200):
            await page.keyboard.press("Tab")
            label = await page.evaluate(FOCUSED)
            if name in label and await page.evaluate("document.activeElement !== document.body"):
                return
        raise AssertionError(f"{name} is not reached")

    # The name has the focus from the start.
    await page.keyboard.type(ann.name)
    await page.keyboard.press("Enter")
    await expect(ann.composer).to_be_focused()
    await page.keyboard.type("hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("everybody")
    await page.keyboard.press("Enter")
    await bob.sees("hello\neverybody")
    # Focus goes into a dialog, stays there, and comes back.
    await tab_to("Create a room")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Name of the room")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Create a room")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Name of the room")).to_be_focused()
    room = unique("Keys")
    await page.keyboard.type(room)
    await tab_to("Only invited people")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(ann.heading(room)).to_be_visible()
    await expect(ann.composer).to_be_focused()
    await tab_to("Room settings")
    await page.keyboard.press("Enter")
    await tab_to("Invite: name")
    await page.keyboard.type(bob.name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Invited people").get_by_role("listitem")).to_have_text(bob.name)
    await tab_to("Close")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Room settings")).to_be_focused()
    await page.keyboard.press("Alt+ArrowUp")
    await expect(ann.heading("default")).to_be_visible()
    await tab_to(f"Message {bob.name}")
    await page.keyboard.press("Enter")
    await expect(ann.heading(bob.name)).to_be_visible()
    await expect(ann.composer).to_be_focused()
    await page.keyboard.type("psst")
    await page.keyboard.press("Enter")
    await bob.open_room(ann.name)
    await bob.sees("psst")
    # Somebody is removed: the focus stays where it was, though the button has gone.
    await bob.open_room(room)
    await page.keyboard.press("Alt+ArrowUp")
    await expect(ann.heading(room)).to_be_visible()
    await tab_to(f"Remove {bob.name}")
    await page.keyboard.press("Enter")
    await tab_to("Remove from room")
    await page.keyboard.press("Enter")
    await bob.is_told(f"{ann.name} removed you from {room}.")
    await expect(page.get_by_role("complementary", name=f"People in {room}")).to_be_focused()


async def test_a_phone(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"), width=360, height=640, has_touch=True, is_mobile=True)

    async def fits() -> None:
        assert await ann.page.evaluate("document.documentElement.scrollWidth") <= 360
        small = await ann.page.evaluate(
            "[...document.querySelectorAll('button')].filter(b => b.checkVisibility() && "
            "(b.offsetHeight < 24 || b.offsetWidth < 24)).map(b => b.outerHTML)"
        )
        assert small == []

    await fits()
    await ann.login()
    await fits()
    # A touch screen would open its keyboard.
    await expect(ann.composer).not_to_be_focused()
    await ann.say("x" * 300)
    await fits()
    await ann.click("People")
    await expect(ann.member(ann.name)).to_be_visible()
    await fits()
    await ann.click("Hide people")
    await ann.click("Room settings")
    await fits()
    await ann.click("Close")
    await ann.click("All conversations")
    await expect(ann.composer).to_have_count(0)
    await fits()
    await ann.open_room("default")
    await expect(ann.page.get_by_role("navigation")).not_to_be_visible()


async def test_the_theme_is_chosen_and_remembered(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"), color_scheme="light")).login()

    async def background() -> str:
        return str(await ann.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = await background()
    await ann.click("Your settings", exact=False)
    await ann.click("Dark", "radio")
    await expect(ann.page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = await background()
    assert dark != light
    await ann.page.reload()
    assert await background() == dark
    await ann.click("Your settings", exact=False)
    await ann.click("Same as system", "radio")
    await expect(ann.page.locator("html")).not_to_have_attribute("data-theme", "dark")
    assert await background() == light
